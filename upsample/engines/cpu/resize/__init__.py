"""Resampling of NumPy arrays by compiled kernels.

`driver` runs a call, `strips` divides it and `choose` chooses kernels. The first row that fits decides. `inner` is the
number of values of a sample, the product of the axes after the resized one: 1 for rows of channels-first arrays, 3 for
RGB with channels last. `packed` samples are contiguous. Every kernel gives the bits of the others for its dtype::

    dtype   axis                              condition                           kernel
    any     nearest, samples of 256 bytes                                         nearest._copy_rows
    any     nearest, last axis doubled        inner 1                             nearest._double
    any     nearest, last axis doubled        inner 3                             nearest._double_rgb
    any     nearest                           inner 1                             nearest._gather_values
    any     nearest                                                               nearest._gather_samples
    uint8   any, 32-bit sums                  AVX2, inner 32 or more              uint8_simd.columns
    uint8   any, 32-bit sums                  AVX2, inner 16 to 31                uint8_simd.short_columns
    uint8   row of 16 samples, 32-bit sums    AVX2, packed                        uint8_simd.rows
    uint8   any                               inner 16 or more, or not packed     uint8_kernels.columns
    uint8   row doubled by 2 equal taps       inner 1, whole rows                 uint8_kernels.rows_double2
    uint8   row doubled by 4 equal taps       inner 1, whole rows                 uint8_kernels.rows_double4
    uint8   row                                                                   uint8_kernels.rows
    float   last two axes, last doubled       inner 1, rows fit the ring buffer   float_2x_fused.doubled
    float   row of 8192, linear or cubic      inner 15 or less, packed            float_formula.rows_by_formula
    float   any                               inner 16 or more, or not packed     float_kernels.columns
    float   row of fewer than 16 samples      AVX2, inputs fit a vector           float_simd.rows
    float   row doubled by 2 equal taps       inner 1, whole rows                 float_kernels.rows_double2
    float   row doubled by 4 equal taps       inner 1, whole rows                 float_kernels.rows_double4
    float   row doubled by 2 equal taps       inner 3, whole rows                 float_rgb.rows_double2
    float   row doubled by 4 equal taps       inner 3, whole rows                 float_rgb.rows_double4
    float   row halved, even number of taps   inner 1, whole rows                 float_kernels.rows_halved
    float   row quartered by 4 taps           inner 1, whole rows                 float_kernels.rows_quartered
    float   row                               AVX2, inputs fit a vector           float_simd.rows
    float   row                                                                   float_kernels.rows

Some calls go elsewhere, whole. `first_call` resamples a small array of floats whose size is new. `cells` averages cells
of bytes by whole factors, and other cells by halves. `uint8_fused` filters both axes of bytes if weights have few
binary places and values are rounded once, as in OpenCV. `ordered` keeps another library's order of sums, and
`ordered_fused` does so for rows and then columns at once.

`tests/engines/test_cpu_decisions.py` holds this table to the code.
"""

from upsample.engines.cpu.resize.driver import bind, run

__all__ = ["bind", "run"]
