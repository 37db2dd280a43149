"""Kernels of floats that compute the taps of an axis while they filter it; see `formulas` and `float_kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.resize.float_kernels import double2, double4, is_finite, some
from upsample.engines.cpu.resize.formulas import _BEGIN, _TAPS_AT, CHUNK, TAPS, border, fill, inside, repetition, trim
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import fma

__all__ = ["rows_by_formula"]

_U: Any = np.uint64


@part
def _edges(
    src: NDArray,
    s0: int,
    dst: NDArray,
    d0: int,
    outer: int,
    steps: NDArray,
    how: NDArray,
    begin: int,
    low: int,
    high: int,
) -> None:
    """Filter the outputs ``[low, high)`` of every row, whose taps are folded onto the inputs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    zero, weight, mixed = src.dtype.type(0), np.empty(TAPS, dtype=src.dtype), np.zeros(2, dtype=np.bool_)
    for o in range(low, high):
        first, taps = border(how, o, src, weight, mixed)
        for place in range(outer * size_b * inner):
            box, i = place // inner, place % inner
            s = s0 + box // size_b * sa + box % size_b * sb + first * inner + i
            total = src[_U(s)] * weight[0] if taps else zero
            for t in range(1, taps):
                total = fma(src[_U(s + t * inner)], weight[t], total)
            if mixed[0]:
                total = fma(src[_U(s)], zero, total)
            if mixed[1]:
                total = fma(src[_U(s + (taps - 1) * inner)], zero, total)
            dst[_U(d0 + box // size_b * da + box % size_b * db + (o - begin) * inner + i)] = total + zero


@part
def _exactly(
    src: NDArray, s: int, dst: NDArray, d: int, n: int, inner: int, how: NDArray, first: NDArray, weight: NDArray
) -> None:
    """Filter `n` elements of a row tap by tap, so that NaN and infinity reach only what they are a tap of."""
    zero = src.dtype.type(0)
    for j in range(n):
        f = s + _U(first[_U(j)])
        begin, end = trim(how, weight, j)
        total = src[f + _U(begin * inner)] * weight[_U(begin), _U(j)] if begin < end else zero
        for t in range(begin + 1, end):
            total = fma(src[f + _U(t * inner)], weight[_U(t), _U(j)], total)
        dst[d + _U(j)] = total + zero


@part
def _spread(first: NDArray, weight: NDArray, inner: int, count: int, ones: NDArray, wide: NDArray, taps: int) -> None:
    """Repeat the taps of each output for the values of its sample."""
    for j in range(count * inner):
        o, i = j // inner, j % inner
        ones[_U(j)] = np.uint32(first[_U(o)] * inner + i)
        for t in range(taps):
            wide[_U(t), _U(j)] = weight[_U(t), _U(o)]


@kernel
def rows_by_formula(
    src: NDArray,
    s0: int,
    dst: NDArray,
    d0: int,
    outer: int,
    steps: NDArray,
    how: NDArray,
    begin: int,
    end: int,
) -> None:
    """Filter an axis whose samples are few values; the taps of a chunk of outputs serve all rows.

    The weights of a step that is a multiple of a small power of two repeat: then those of the first chunk serve all.
    """
    sa, sb, _, da, db, _, size_b, inner = steps
    low, high = inside(how, begin, end)
    advance, exact, doubles = repetition(how)
    exact = min(exact, high)
    doubles = doubles and inner == 1 and low + 2 < exact
    if doubles and (low + int(how[_BEGIN])) % 2:
        low += 1
    _edges(src, s0, dst, d0, outer, steps, how, begin, begin, low)
    _edges(src, s0, dst, d0, outer, steps, how, begin, high, end)
    taps, each = int(how[_TAPS_AT]), max(min(CHUNK // inner, high - low), 2)
    distance, first = np.empty(each), np.empty(each, dtype=np.uint32)
    weight = np.empty((taps, each), dtype=src.dtype)
    ones, wide = first, weight
    if inner > 1:
        ones, wide = np.empty(each * inner, dtype=np.uint32), np.empty((taps, each * inner), dtype=src.dtype)
    base = fill(how, low, 2, distance, first, weight) if doubles else 0
    for j in range(2 if doubles else 0):
        begin_tap, end_tap = trim(how, weight, j)
        doubles = doubles and begin_tap == 0 and end_tap == taps
    if doubles:
        n = exact - low
        for box in range(outer * size_b):
            s = _U(s0 + box // size_b * sa + box % size_b * sb + base)
            d = _U(d0 + box // size_b * da + box % size_b * db + low - begin)
            if taps == 2:
                double2(src, s, dst, d, n // 2, weight)
            else:
                double4(src, s, dst, d, n // 2, weight)
            if n % 2:
                _exactly(src, s + _U(n // 2), dst, d + _U(n - 1), 1, 1, how, first, weight)
        low = exact
    repeats = False
    for o in range(low, high, each):
        count = min(each, high - o)
        if repeats and o + count <= exact:
            base += advance
        else:
            base = fill(how, o, count, distance, first, weight)
            if inner > 1:
                _spread(first, weight, inner, count, ones, wide, taps)
            repeats = advance > 0 and each == CHUNK and o + count <= exact
        length, n = (int(first[_U(count - 1)]) + taps) * inner, count * inner
        for box in range(outer * size_b):
            s = _U(s0 + box // size_b * sa + box % size_b * sb + base * inner)
            d = _U(d0 + box // size_b * da + box % size_b * db + (o - begin) * inner)
            if is_finite(src, s, length):
                some(src, s, dst, d, 0, n, inner, ones, wide)
            else:
                _exactly(src, s, dst, d, n, inner, how, ones, wide)
