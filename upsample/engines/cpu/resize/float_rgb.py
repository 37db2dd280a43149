"""Double rows of RGB pixels, channels last; `float_kernels` explains the box of a kernel."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize.float_kernels import edges
from upsample.engines.cpu.runtime.compile import kernel
from upsample.engines.cpu.runtime.fma import fma

__all__ = ["rows_double2", "rows_double4"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_CHUNK = 128
"""Pixels whose two phases are interleaved at once; they stay in the L1 cache."""


@kernel
def rows_double2(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    count: _Array,
    index: _Array,
    exact: _Array,
    low: int,
    high: int,
    start: int,
    phases: _Array,
) -> None:
    """Filter rows to twice as many pixels, two taps each; with the 3 written out the stores vectorise."""
    sa, sb, _, da, db, _, size_b, _ = steps
    edges(src, s0, dst, d0, outer, steps, 2 * low, 2 * high, count, index, exact)
    p, q, r, z = phases[0, 0], phases[0, 1], phases[1, 0], phases[1, 1]
    zero = src.dtype.type(0)
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            f, g = s + _U(3 * (low + start)), d + _U(6 * low)
            for j in range(high - low):
                for c in range(3):
                    x, y = f + _U(3 * j + c), g + _U(6 * j + c)
                    dst[y] = fma(src[x + _U(3)], q, src[x] * p) + zero
                    dst[y + _U(3)] = fma(src[x + _U(6)], z, src[x + _U(3)] * r) + zero


@kernel
def rows_double4(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    count: _Array,
    index: _Array,
    exact: _Array,
    low: int,
    high: int,
    start: int,
    phases: _Array,
) -> None:
    """Filter rows to twice as many pixels, four taps each: each phase by itself, then both together."""
    sa, sb, _, da, db, _, size_b, _ = steps
    edges(src, s0, dst, d0, outer, steps, 2 * low, 2 * high, count, index, exact)
    a0, a1, a2, a3 = phases[0, 0], phases[0, 1], phases[0, 2], phases[0, 3]
    b0, b1, b2, b3 = phases[1, 0], phases[1, 1], phases[1, 2], phases[1, 3]
    zero = src.dtype.type(0)
    even, odd = np.empty(3 * _CHUNK, dtype=src.dtype), np.empty(3 * _CHUNK, dtype=src.dtype)
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            for begin in range(low, high, _CHUNK):
                pixels = min(_CHUNK, high - begin)
                f, g = s + _U(3 * (begin + start)), d + _U(6 * begin)
                for j in range(3 * pixels):
                    x = f + _U(j)
                    k, m, n = src[x + _U(3)], src[x + _U(6)], src[x + _U(9)]
                    even[_U(j)] = fma(n, a3, fma(m, a2, fma(k, a1, src[x] * a0))) + zero
                    odd[_U(j)] = fma(src[x + _U(12)], b3, fma(n, b2, fma(m, b1, k * b0))) + zero
                for j in range(pixels):
                    for c in range(3):
                        y = g + _U(6 * j + c)
                        dst[y] = even[_U(3 * j + c)]
                        dst[y + _U(3)] = odd[_U(3 * j + c)]
