"""Tables of axes whose taps have a formula, made by compiled code: the kernels for short rows and columns read them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.resize.formulas import TAPS, border, fill, inside, numbers, numbers_without_repeats, trim
from upsample.engines.cpu.runtime.compile import kernel
from upsample.plans.resize import AxisRule

__all__ = ["made_lists", "made_runs", "repeated"]

_U: Any = np.uint64


@kernel
def _lists(how: NDArray, size: int, count: NDArray, index: NDArray, weight: NDArray, ends: NDArray) -> None:
    """Fill in the taps of all outputs one by one; `ends` gets the outputs between which no tap was folded."""
    low, high = inside(how, 0, size)
    ends[0], ends[1] = low, high
    taps, chunk = int(how[0]), min(max(high - low, 1), 256)
    distance, first, shares = np.empty(chunk), np.empty(chunk, dtype=np.uint32), np.empty((taps, chunk), weight.dtype)
    for o in range(low, high, chunk):
        some = min(chunk, high - o)
        base = fill(how, o, some, distance, first, shares)
        for j in range(some):
            skipped, last = trim(how, shares, j)
            count[o + j] = last - skipped
            index[o + j, 0] = base + int(first[j])
            for t in range(skipped, last):
                index[o + j, t - skipped] = base + int(first[j]) + t
                weight[o + j, t - skipped] = shares[t, j]
    own, mixed = np.zeros(TAPS, dtype=weight.dtype), np.zeros(2, dtype=np.bool_)
    for place in range(low + size - high):
        o = place if place < low else place + high - low
        begin, many = border(how, o, weight, own, mixed)
        index[o, 0] = begin
        for t in range(many):
            index[o, t] = begin + t
            weight[o, t] = own[t]
        for side in range(2):
            if mixed[side]:  # a tap of weight zero, which makes NaN of infinity
                index[o, many + side * mixed[0]] = begin if side == 0 else begin + many - 1
        count[o] = many + mixed[0] + mixed[1]


def made_lists(rule: AxisRule, dtype: str) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return the number of taps of each output, their inputs and weights, and where no tap is folded."""
    how, size = numbers_without_repeats(rule), rule.out_size
    width = int(how[0]) + 2
    count, index, ends = np.empty(size, np.int32), np.zeros((size, width), np.int32), np.empty(2, np.int64)
    weight = np.zeros((size, width))  # of one dtype, so that the kernel is compiled once
    _lists(how, size, count, index, weight, ends)
    most = int(count.max())
    if most < width:  # kernels read whole rows
        index, weight = index[:, :most].copy(), weight[:, :most].copy()
    return count, index, weight.astype(dtype, copy=False), ends


@kernel
def _runs(
    count: NDArray, index: NDArray, weight: NDArray, begin: int, last: int, inner: int, first: NDArray, runs: NDArray
) -> None:
    """Give each output a run of consecutive inputs, for each of `inner` values; no run passes `last`."""
    longest = len(runs)
    for j in range(len(first) // inner):
        o = begin + j
        start = min(index[o, 0], last + 1 - longest)
        for i in range(inner):
            first[j * inner + i] = np.uint32(start * inner + i)
        for t in range(count[o]):
            place = index[o, t] - start
            if t == 0 or index[o, t] > index[o, t - 1]:  # behind the taps are those that only make NaN of infinity
                for i in range(inner):
                    runs[place, j * inner + i] = weight[o, t]
            else:
                break


def made_runs(
    lists: tuple[NDArray, NDArray, NDArray], span: tuple[int, int], last: int, longest: int, inner: int
) -> tuple[NDArray, NDArray]:
    """Return the first input of each value of the outputs `span`, and `longest` rows of weights, up to input `last`."""
    size = (span[1] - span[0]) * inner
    first, weight = np.empty(size, np.uint32), np.zeros((longest, size), lists[2].dtype)
    _runs(*lists, span[0], last, inner, first, weight)
    return first, weight


def repeated(rule: AxisRule, ends: NDArray, period: int, advance: int) -> tuple[int, int] | None:
    """Return the periods in which weights repeat, or None if those are less than half of the axis."""
    how, groups = numbers(rule), rule.out_size // period
    step = Fraction(float(how[3])) / Fraction(float(how[4]))
    if groups < 2 or rule.out_size % period or step * period != advance or not how[9] or int(how[7]) % period:
        return None
    exact = min(int(how[10]) - int(how[7]), int(ends[1]))
    low, high = -(-int(ends[0]) // period), exact // period
    return (low, high) if (high - low) * 2 >= groups else None
