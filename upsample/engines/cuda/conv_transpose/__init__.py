"""Transposed convolution on the GPU, and its gradients.

Which kernel computes the result and its gradient by the input::

    dtype                               channels that a value sums         kernel
    int64                               any                                conv_transpose_direct
    float16, bfloat16, TF32             few (`driver._FEW_CHANNELS`)       conv_transpose_direct
                                        more                               conv_transpose, on tensor cores
    float32, float64                    few, or few outputs                conv_transpose_direct
                                        more                               conv_transpose

The last two rows have one order of sums, that of `upsample.engines.cpu.runtime.fma` in shares of 128 channels: so the
outputs may choose between them. Tensor cores have an order of their own, which the summed channels choose.

The gradient by the weight has the direct kernel for few input channels of a group, otherwise products of matrices.
"""

from upsample.engines.cuda.conv_transpose.driver import run

__all__ = ["run"]
