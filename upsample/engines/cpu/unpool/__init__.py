"""Max-unpooling of NumPy arrays by compiled kernels.

The first row that fits decides; a method that finds an index outside of its window leaves the call to the next row::

    result                          windows and indices                                 kernel
    over 2**19 positions            stride 2, AVX2, int64 indices, 4 or 8 bytes         gather_simd.gather_kernel
    planes over 2**14 positions     every index is in its window                        scatter.make_bands
    any                             any                                                 scatter.make_planes
"""

from upsample.engines.cpu.unpool.driver import bind, run

__all__ = ["bind", "run"]
