"""Max-pooling of NumPy arrays by compiled kernels.

The first row of the table that fits decides. Direct kernels compare every tap of a window. They need at most 64 taps, a
table of taps that fits the caches, and an element in every window. Separable kernels pool axis by axis, or slide along
an axis::

    windows                                  rows                           dtype              kernel
    small, table of all cells fits           10 to 16 cells, or 5 to 8      float32, AVX-512   direct_simd.pool_lanes
    small, table of all cells fits           64 cells or fewer              any                direct.pool_cells
    small, table of rows fits, not adaptive  any                            any                direct.pool_rows
    any                                      any                            any                separable.pool_values

`separable.pool_indices` replaces `pool_values` in calls with indices. Float16 and bfloat16 are converted to float32
first.
"""

from upsample.engines.cpu.pool.driver import bind, run

__all__ = ["bind", "run"]
