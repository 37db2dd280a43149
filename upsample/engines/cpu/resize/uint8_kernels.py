"""Filter one axis of a box of bytes with integer sums; `float_kernels` explains the box of a kernel.

Weights are multiples of a power of two (`upsample.plans.taps.fixed_point`), sums exact; `how` says how they end, see
`upsample.plans.taps.settling`. Bytes may also be the 16-bit numbers between two axes. Every step is cast to the type of
the weights: Numba would go on in int64, which vectorises badly.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.runtime.compile import inlined, kernel, part

__all__ = ["columns", "rows", "rows_double2", "rows_double4"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64


@inlined
def _ending(how: int, weight: _Array) -> tuple[Any, Any, Any, Any, Any]:
    """Return what sums begin with, the places to shift, 1 for ties to even, and the bounds."""
    kind = weight.dtype.type
    even, between = how >> 8 == 2, how >> 8 == 1
    half = kind((1 << (how & 255) >> 1) - (1 if even else 0))
    low, high = kind(-32768 if between else 0), kind(32767 if between else 255)
    return half, kind(how & 255), kind(1 if even else 0), low, high


@inlined
def _ended(total: Any, half: Any, places: Any, even: Any, low: Any, high: Any, weight: _Array) -> Any:
    """Shift and clamp a sum that began with `half`, less by one where ties go to even."""
    kind = weight.dtype.type
    odd = kind(kind(kind(total - half) >> places) & even)
    return min(max(kind(kind(total + odd) >> places), low), high)


@part
def _many(
    src: _Array, s: int, sn: int, dst: _Array, d: int, taps: int, index: _Array, weight: _Array, o: int, sums: _Array
) -> None:
    """Sum any number of stretches; `sums` begins with the rounding."""
    kind = weight.dtype.type
    for t in range(taps):
        a, w = _U(s + index[o, t] * sn), weight[o, t]
        for j in range(len(sums)):
            k = _U(j)
            sums[k] = kind(sums[k] + kind(kind(src[a + k]) * w))


@kernel
def columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    count: _Array,
    index: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are `inner` values."""
    sa, sb, sn, da, db, dn, size_b, n = steps
    kind = weight.dtype.type
    half, places, even, low, high = _ending(how, weight)
    sums = np.empty(n, dtype=weight.dtype)
    for top in range(outer):
        for mid in range(size_b):
            s = s0 + top * sa + mid * sb
            for o in range(len(count)):
                d = _U(d0 + top * da + mid * db + o * dn)
                taps = count[o]
                if taps == 2:
                    a, w = _U(s + index[o, 0] * sn), weight[o, 0]
                    b, v = _U(s + index[o, 1] * sn), weight[o, 1]
                    for j in range(n):
                        k = _U(j)
                        total = kind(kind(kind(src[a + k]) * w) + kind(kind(src[b + k]) * v) + half)
                        dst[d + k] = _ended(total, half, places, even, low, high, weight)
                elif taps == 4:
                    a, w = _U(s + index[o, 0] * sn), weight[o, 0]
                    b, v = _U(s + index[o, 1] * sn), weight[o, 1]
                    c, u = _U(s + index[o, 2] * sn), weight[o, 2]
                    e, z = _U(s + index[o, 3] * sn), weight[o, 3]
                    for j in range(n):
                        k = _U(j)
                        total = kind(kind(kind(src[a + k]) * w) + kind(kind(src[b + k]) * v))
                        total = kind(total + kind(kind(src[c + k]) * u) + kind(kind(src[e + k]) * z) + half)
                        dst[d + k] = _ended(total, half, places, even, low, high, weight)
                else:
                    for j in range(n):
                        sums[_U(j)] = half
                    _many(src, s, sn, dst, d, taps, index, weight, o, sums)
                    for j in range(n):
                        dst[d + _U(j)] = _ended(sums[_U(j)], half, places, even, low, high, weight)


@part
def _some(
    src: _Array,
    s: int,
    dst: _Array,
    d: int,
    begin: int,
    end: int,
    inner: int,
    how: int,
    first: _Array,
    weight: _Array,
) -> None:
    """Filter the elements ``[begin, end)`` of a row by runs."""
    kind = weight.dtype.type
    half, places, even, low, high = _ending(how, weight)
    taps, one = len(weight), _U(inner)
    for j in range(begin, end):
        k = _U(j)
        f = s + _U(first[k])
        total = kind(kind(kind(src[f]) * weight[_U(0), k]) + half)
        for t in range(1, taps):
            f += one
            total = kind(total + kind(kind(src[f]) * weight[_U(t), k]))
        dst[d + k] = _ended(total, half, places, even, low, high, weight)


@kernel
def rows(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    first: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are few values, by runs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            _some(src, s, dst, d, 0, len(first), inner, how, first, weight)


@kernel
def rows_double2(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    first: _Array,
    weight: _Array,
    low: int,
    high: int,
    start: int,
    phases: _Array,
) -> None:
    """Filter rows to twice as many samples, two taps each: no tables but at the borders."""
    sa, sb, _, da, db, _, size_b, inner = steps
    kind = weight.dtype.type
    half, places, even, least, most = _ending(how, weight)
    p, q, r, z = phases[0, 0], phases[0, 1], phases[1, 0], phases[1, 1]
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            _some(src, s, dst, d, 0, 2 * low, inner, how, first, weight)
            _some(src, s, dst, d, 2 * high, len(first), inner, how, first, weight)
            f, g = s + _U(low + start), d + _U(2 * low)
            for j in range(high - low):
                x, y = f + _U(j), g + _U(2 * j)
                a, b, c = kind(src[x]), kind(src[x + _U(1)]), kind(src[x + _U(2)])
                first_of_two, second = kind(kind(a * p) + kind(b * q) + half), kind(kind(b * r) + kind(c * z) + half)
                dst[y] = _ended(first_of_two, half, places, even, least, most, weight)
                dst[y + _U(1)] = _ended(second, half, places, even, least, most, weight)


@kernel
def rows_double4(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    first: _Array,
    weight: _Array,
    low: int,
    high: int,
    start: int,
    phases: _Array,
) -> None:
    """Filter rows to twice as many samples, four taps each."""
    sa, sb, _, da, db, _, size_b, inner = steps
    kind = weight.dtype.type
    half, places, even, least, most = _ending(how, weight)
    a0, a1, a2, a3 = phases[0, 0], phases[0, 1], phases[0, 2], phases[0, 3]
    b0, b1, b2, b3 = phases[1, 0], phases[1, 1], phases[1, 2], phases[1, 3]
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            _some(src, s, dst, d, 0, 2 * low, inner, how, first, weight)
            _some(src, s, dst, d, 2 * high, len(first), inner, how, first, weight)
            f, g = s + _U(low + start), d + _U(2 * low)
            for j in range(high - low):
                x, y = f + _U(j), g + _U(2 * j)
                k, m, n = kind(src[x + _U(1)]), kind(src[x + _U(2)]), kind(src[x + _U(3)])
                first_of_two = kind(kind(kind(kind(src[x]) * a0) + kind(k * a1)) + kind(kind(m * a2) + kind(n * a3)))
                second = kind(kind(kind(k * b0) + kind(m * b1)) + kind(kind(n * b2) + kind(kind(src[x + _U(4)]) * b3)))
                dst[y] = _ended(kind(first_of_two + half), half, places, even, least, most, weight)
                dst[y + _U(1)] = _ended(kind(second + half), half, places, even, least, most, weight)
