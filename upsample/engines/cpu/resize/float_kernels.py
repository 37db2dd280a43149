"""Kernels that filter one axis of a box of floats.

A box is ``[a, b, axis, inner]`` of a larger array, contiguous along `inner`. `steps` holds the distances of `a`, `b`
and the axis in the source, the same in the destination, then the sizes of `b` and `inner`; `s0` and `d0` are where the
boxes begin. Elements are numbered by uint64, and nothing is sliced: a signed index is tested for being negative, a
slice counts references, and either costs more than the sum it serves.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import fma
from upsample.engines.cpu.runtime.nontemporal import fence, put

__all__ = [
    "columns",
    "double2",
    "double4",
    "edges",
    "is_finite",
    "rows",
    "rows_double2",
    "rows_double4",
    "rows_halved",
    "rows_quartered",
    "some",
]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_STRETCH = 1 << 11
"""Outputs of a row that the kernel sums at once; they stay in the L1 cache."""


@part
def _add_taps(
    src: _Array, s: int, step: int, dst: _Array, d: int, n: int, taps: int, index: _Array, weight: _Array, o: int
) -> None:
    """Add the taps from the fourth on."""
    t, zero = 4, dst.dtype.type(0)
    while t + 2 <= taps:
        a, b = _U(s + index[o, t] * step), _U(s + index[o, t + 1] * step)
        w, v = weight[o, t], weight[o, t + 1]
        for j in range(_U(n)):
            dst[d + j] = fma(src[b + j], v, fma(src[a + j], w, dst[d + j])) + zero
        t += 2
    if t < taps:
        a, w = _U(s + index[o, t] * step), weight[o, t]
        for j in range(_U(n)):
            dst[d + j] = fma(src[a + j], w, dst[d + j]) + zero


@kernel
def columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    count: _Array,
    index: _Array,
    weight: _Array,
    past: int,
) -> None:
    """Filter an axis whose samples are `inner` values: each output a weighted sum of whole stretches.

    Long stretches are cut, so that inputs stay in the first-level cache from one output to the next. `past` says
    whether outputs are stored past the caches, through a small array.
    """
    sa, sb, sn, da, db, dn, size_b, all_n = steps
    made = np.empty(_STRETCH, dtype=src.dtype) if past else dst
    zero = src.dtype.type(0)
    pieces = -(-all_n // _STRETCH)
    for box in range(outer * size_b * pieces):
        top, mid, at = box // pieces // size_b, box // pieces % size_b, box % pieces * _STRETCH
        n, kept = min(_STRETCH, all_n - at), 0
        s, begin = s0 + top * sa + mid * sb + at, d0 + top * da + mid * db + at
        for o in range(len(count)):
            d, taps = _U(kept if past else begin + o * dn), count[o]
            a, w = _U(s + index[o, 0] * sn), weight[o, 0]
            if taps == 0:  # of a gradient
                for j in range(_U(n)):
                    made[d + j] = 0
            elif taps == 1:
                for j in range(_U(n)):
                    made[d + j] = src[a + j] * w + zero
            else:
                b, v = _U(s + index[o, 1] * sn), weight[o, 1]
                if taps == 2:
                    for j in range(_U(n)):
                        made[d + j] = fma(src[b + j], v, src[a + j] * w) + zero
                else:
                    c, u = _U(s + index[o, 2] * sn), weight[o, 2]
                    if taps == 3:
                        for j in range(_U(n)):
                            made[d + j] = fma(src[c + j], u, fma(src[b + j], v, src[a + j] * w)) + zero
                    else:
                        e, z = _U(s + index[o, 3] * sn), weight[o, 3]
                        for j in range(_U(n)):
                            made[d + j] = (
                                fma(src[e + j], z, fma(src[c + j], u, fma(src[b + j], v, src[a + j] * w))) + zero
                            )
                        if taps > 4:
                            _add_taps(src, s, sn, made, d, n, taps, index, weight, o)
            kept += n
            if past and (dn != n or kept + n > _STRETCH or o + 1 == len(count)):
                put(made, dst, _U(begin + o * dn + n - kept), _U(kept))
                kept = 0
    if past:
        fence()


@part
def is_finite(x: _Array, s: int, n: int) -> bool:
    """Say whether there is no NaN and no infinity among `n` values."""
    bad = np.int32(0)  # as wide as a float, or the loop does not vectorise as well
    for j in range(n):
        value = x[s + _U(j)]
        bad = np.int32(bad | np.int32(value - value != 0))
    return bool(bad == 0)


@part
def _careful(
    src: _Array, s: int, dst: _Array, d: int, inner: int, count: _Array, index: _Array, weight: _Array
) -> None:
    """Filter a row tap by tap, so that NaN and infinity reach only what they are a tap of."""
    zero = src.dtype.type(0)
    for o in range(len(count)):
        for i in range(inner):
            total = src[s + _U(index[o, 0] * inner + i)] * weight[o, 0]
            for t in range(1, count[o]):
                total = fma(src[s + _U(index[o, t] * inner + i)], weight[o, t], total)
            dst[d + _U(o * inner + i)] = total + zero if count[o] else zero


@part
def edges(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    low: int,
    high: int,
    count: _Array,
    index: _Array,
    weight: _Array,
) -> None:
    """Filter the outputs outside ``[low, high)`` of every row tap by tap: column by column, so tables are read once."""
    sa, sb, _, da, db, _, size_b, inner = steps
    zero = src.dtype.type(0)
    for place in range((low + len(count) - high) * inner):
        e = place if place < low * inner else place + (high - low) * inner
        o, i = e // inner, e % inner
        taps = count[o]
        for top in range(outer):
            for mid in range(size_b):
                s = s0 + top * sa + mid * sb + i
                d = _U(d0 + top * da + mid * db + e)
                total = src[_U(s + index[o, 0] * inner)] * weight[o, 0]
                if taps == 2:
                    total = fma(src[_U(s + index[o, 1] * inner)], weight[o, 1], total)
                elif taps == 3:
                    total = fma(src[_U(s + index[o, 1] * inner)], weight[o, 1], total)
                    total = fma(src[_U(s + index[o, 2] * inner)], weight[o, 2], total)
                elif taps == 4:
                    total = fma(src[_U(s + index[o, 1] * inner)], weight[o, 1], total)
                    total = fma(src[_U(s + index[o, 2] * inner)], weight[o, 2], total)
                    total = fma(src[_U(s + index[o, 3] * inner)], weight[o, 3], total)
                else:
                    for t in range(1, taps):
                        total = fma(src[_U(s + index[o, t] * inner)], weight[o, t], total)
                dst[d] = total + zero if taps else zero


@part
def some(
    src: _Array, s: int, dst: _Array, d: int, low: int, high: int, inner: int, first: _Array, weight: _Array
) -> None:
    """Filter the elements ``[low, high)`` of a row by runs."""
    taps, zero = len(weight), src.dtype.type(0)
    one, two, three = _U(inner), _U(2 * inner), _U(3 * inner)
    if taps == 2:
        for j in range(low, high):
            k = _U(j)
            f = s + _U(first[k])
            dst[d + k] = fma(src[f + one], weight[_U(1), k], src[f] * weight[_U(0), k]) + zero
        return
    if taps == 4:
        for j in range(low, high):
            k = _U(j)
            f = s + _U(first[k])
            both = fma(src[f + one], weight[_U(1), k], src[f] * weight[_U(0), k])
            dst[d + k] = fma(src[f + three], weight[_U(3), k], fma(src[f + two], weight[_U(2), k], both)) + zero
        return
    for j in range(low, high):
        k = _U(j)
        f = s + _U(first[k])
        total = src[f] * weight[_U(0), k]
        for t in range(1, taps):
            f += one
            total = fma(src[f], weight[_U(t), k], total)
        dst[d + k] = total + zero


@kernel
def rows(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    low: int,
    in_size: int,
    count: _Array,
    index: _Array,
    exact: _Array,
    first: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are few values, by runs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            if is_finite(src, s + _U(low * inner), in_size * inner):
                some(src, s, dst, d, 0, len(first), inner, first, weight)
            else:
                _careful(src, s, dst, d, inner, count, index, exact)


@part
def double2(src: _Array, s: int, dst: _Array, d: int, pairs: int, weight: _Array) -> None:
    """Make pairs of outputs, two taps each; `weight` has a row for each tap and a column for each of two outputs."""
    p, q, r, z = weight[0, 0], weight[1, 0], weight[0, 1], weight[1, 1]
    zero = src.dtype.type(0)
    for j in range(pairs):
        x, y = s + _U(j), d + _U(2 * j)
        dst[y] = fma(src[x + _U(1)], q, src[x] * p) + zero
        dst[y + _U(1)] = fma(src[x + _U(2)], z, src[x + _U(1)] * r) + zero


@part
def double4(src: _Array, s: int, dst: _Array, d: int, pairs: int, weight: _Array) -> None:
    """Make pairs of outputs, four taps each; see `double2`."""
    a0, a1, a2, a3 = weight[0, 0], weight[1, 0], weight[2, 0], weight[3, 0]
    b0, b1, b2, b3 = weight[0, 1], weight[1, 1], weight[2, 1], weight[3, 1]
    zero = src.dtype.type(0)
    for j in range(pairs):
        x, y = s + _U(j), d + _U(2 * j)
        k, m, n = src[x + _U(1)], src[x + _U(2)], src[x + _U(3)]
        dst[y] = fma(n, a3, fma(m, a2, fma(k, a1, src[x] * a0))) + zero
        dst[y + _U(1)] = fma(src[x + _U(4)], b3, fma(n, b2, fma(m, b1, k * b0))) + zero


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
    """Filter rows to twice as many samples, two taps each: no tables but at the borders."""
    sa, sb, _, da, db, _, size_b, _ = steps
    edges(src, s0, dst, d0, outer, steps, 2 * low, 2 * high, count, index, exact)
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            double2(src, s + _U(low + start), dst, d + _U(2 * low), high - low, phases.T)


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
    """Filter rows to twice as many samples, four taps each."""
    sa, sb, _, da, db, _, size_b, _ = steps
    edges(src, s0, dst, d0, outer, steps, 2 * low, 2 * high, count, index, exact)
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            double4(src, s + _U(low + start), dst, d + _U(2 * low), high - low, phases.T)


@kernel
def rows_halved(
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
    """Filter rows to half as many samples, an even number of taps each."""
    sa, sb, _, da, db, _, size_b, _ = steps
    zero = src.dtype.type(0)
    if phases.shape[1] == 2 and low == start == 0 and high == len(count) == da and sa == 2 * da and size_b == 1:
        p, q, s, d = phases[0, 0], phases[0, 1], _U(s0), _U(d0)  # pairs that no row's end cuts: all rows are one
        for j in range(_U(outer * high)):
            dst[d + j] = fma(src[s + _U(2) * j + _U(1)], q, src[s + _U(2) * j] * p) + zero
        return
    edges(src, s0, dst, d0, outer, steps, low, high, count, index, exact)
    for top in range(outer):
        for mid in range(size_b):
            s = _U(s0 + top * sa + mid * sb)
            d = _U(d0 + top * da + mid * db)
            g = d + _U(low)
            for t in range(0, phases.shape[1], 2):
                f = s + _U(2 * low + start + t)
                p, q = phases[0, t], phases[0, t + 1]
                if t == 0:
                    for j in range(high - low):
                        x = f + _U(2 * j)
                        dst[g + _U(j)] = fma(src[x + _U(1)], q, src[x] * p) + zero
                else:
                    for j in range(high - low):
                        x = f + _U(2 * j)
                        dst[g + _U(j)] = fma(src[x + _U(1)], q, fma(src[x], p, dst[g + _U(j)])) + zero


@kernel
def rows_quartered(
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
    """Filter rows to a quarter of the samples, four taps each."""
    sa, sb, _, da, db, _, size_b, _ = steps
    edges(src, s0, dst, d0, outer, steps, low, high, count, index, exact)
    p, q, r, z = phases[0, 0], phases[0, 1], phases[0, 2], phases[0, 3]
    zero = src.dtype.type(0)
    for top in range(outer):
        for mid in range(size_b):
            f, g = _U(s0 + top * sa + mid * sb + 4 * low + start), _U(d0 + top * da + mid * db + low)
            for j in range(high - low):
                x = f + _U(4 * j)
                both = fma(src[x + _U(1)], q, src[x] * p)
                dst[g + _U(j)] = fma(src[x + _U(3)], z, fma(src[x + _U(2)], r, both)) + zero
