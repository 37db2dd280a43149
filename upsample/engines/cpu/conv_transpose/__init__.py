"""Transposed convolution of NumPy arrays, and its gradients, by compiled kernels.

The first row that fits decides. A product is one multiplication of an input by a weight::

    products                           channels of a group                                 kernel
    2**14 or fewer                     any                                                 direct_small.sum_listed
    more                               more than 1, weights finite                         gemm.products
    more                               any                                                 direct.sum_products

The gradients choose by the channels of a group: with more than 4, `input_grad` and `weight_grad` use the GEMM
micro-kernel, otherwise direct loops. Float16 and bfloat16 are converted to float32.
"""

from upsample.engines.cpu.conv_transpose.driver import bind, run

__all__ = ["bind", "run"]
