"""Taps by formula: kernels compute them where they need them, and no table is made, kept or read.

A `numbers` array describes an axis whose taps are linear or cubic weights of a coordinate. `fill` computes the taps of
some outputs inside of the axis, `border` those of one output whose taps are folded onto the first or last input. Both
round as `upsample.plans.taps` does, operation by operation, so weights have the bits of its tables.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import once_a_call
from upsample.engines.cpu.runtime.compile import part
from upsample.plans.filter_weights import fma
from upsample.plans.resize import AxisRule, Rounding

__all__ = [
    "CHUNK",
    "TAPS",
    "border",
    "fill",
    "fused",
    "has_formula",
    "inside",
    "keys32",
    "keys64",
    "most_taps",
    "numbers",
    "numbers_without_repeats",
    "repetition",
    "span_of",
    "trim",
]

_U: Any = np.uint64

CHUNK = 1 << 10
"""Elements of a row whose taps are computed together; their weights stay in the L1 cache."""
TAPS = 4
"""Most taps of an output."""
_ROUNDINGS = (Rounding.FLOAT64, Rounding.FLOAT32, Rounding.FLOAT64_FLOORF)
_TAPS = {"linear": 2, "cubic": 4}
_TAPS_AT, _ROUNDING, _CORNERS, _NUMERATOR, _DENOMINATOR, _COEFFICIENT = range(6)
_LAST, _BEGIN, _LOW, _ADVANCE, _EXACT, _SKIPS, _END = range(6, 13)
"""Places in the `numbers` of an axis: `TAPS`, of `_ROUNDINGS`, aligned corners, the step, Keys' a; the last input, the
first output and input of a part of the axis, inputs that `CHUNK` outputs advance, outputs up to which all is exact,
`AxisRule.skips_zeros`; the last input of the part, which may have fewer inputs than all taps would read."""
_LARGEST_PERIOD = 64
"""Outputs after which the weights of an axis repeat, at most."""


def has_formula(rule: AxisRule) -> bool:
    """Return whether the taps of an axis have a formula here."""
    whole = rule if rule.cut is None else rule.cut.full
    plain = not (whole.transposed or whole.table or whole.antialias or whole.copies)
    return plain and whole.method in _TAPS


def most_taps(rule: AxisRule) -> int:
    """Return the taps of an output inside of an axis that has a formula."""
    return _TAPS[(rule if rule.cut is None else rule.cut.full).method]


@once_a_call
def numbers(rule: AxisRule) -> NDArray:
    """Describe an axis for kernels; one array of float64, so that all kernels have one signature."""
    return _described(rule, _repeats(rule if rule.cut is None else rule.cut.full))


def numbers_without_repeats(rule: AxisRule) -> NDArray:
    """Describe an axis for kernels that need not know where weights repeat."""
    return _described(rule, (0, 0))


def _described(rule: AxisRule, repeats: tuple[int, int]) -> NDArray:
    whole, begin, low = (rule, 0, 0) if rule.cut is None else (rule.cut.full, rule.cut.begin, rule.cut.low)
    kind, (numerator, denominator) = _ROUNDINGS.index(whole.rounding), whole.step
    how = [_TAPS[whole.method], kind, whole.corners, numerator, denominator, whole.cubic_coeff, whole.in_size - 1]
    return np.asarray([*how, begin, low, *repeats, whole.skips_zeros, low + rule.in_size - 1], dtype=np.float64)


def _repeats(rule: AxisRule) -> tuple[int, int]:
    """Return how many inputs `CHUNK` outputs advance, and the outputs up to which weights repeat exactly.

    They do while every coordinate is a multiple of a power of two that its dtype represents.
    """
    step = Fraction(rule.step[0]) / Fraction(rule.step[1])
    period = step.denominator
    if period & (period - 1) or period > _LARGEST_PERIOD or not 0 < step <= _LARGEST_PERIOD:
        return 0, 0
    if rule.rounding is Rounding.FLOAT64 and rule.in_size * rule.out_size >= 2**50:
        return 0, 0
    places = 50 if rule.rounding is Rounding.FLOAT64 else 22
    return int(CHUNK * step), min(int((2**places // period) / step), rule.out_size)


def span_of(rule: AxisRule, begin: int, end: int) -> tuple[int, int]:
    """Return the inputs ``[low, high)`` of the outputs ``[begin, end)``; a few may have weight zero."""
    whole, offset, low = (rule, 0, 0) if rule.cut is None else (rule.cut.full, rule.cut.begin, rule.cut.low)
    first = _first_of(whole, begin + offset)
    last = _first_of(whole, end - 1 + offset) + _TAPS[whole.method] - 1
    start = min(max(first - low, 0), rule.in_size - 1)
    return start, max(min(last + 1 - low, rule.in_size), start + 1)


def _first_of(rule: AxisRule, output: int) -> int:
    """Return the first input of an output, before taps are folded at the border; rounds as `_source` does."""
    half, (numerator, denominator) = 0.0 if rule.corners else 0.5, rule.step
    position = output + half
    if rule.rounding is Rounding.FLOAT64:
        source = position * numerator / denominator - half
    elif rule.rounding is Rounding.FLOAT32:
        source = float(np.float32(position * numerator - half))
    else:
        source = float(np.float32(fma(position, numerator, -half)))
    if rule.method == "linear":  # the coordinate stops at the first input
        source = max(source, 0.0)
    return min(math.floor(source), rule.in_size - 1) + 1 - _TAPS[rule.method] // 2


@part
def fused(a: float, b: float, c: float) -> Any:
    """Return a * b + c with the bits of `fma` in `upsample.plans.taps`."""
    splitter = 2.0**27 + 1.0  # Dekker's exact product, Knuth's exact sum
    a_high = a * splitter - (a * splitter - a)
    b_high = b * splitter - (b * splitter - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    product_error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    carried = total - product
    return total + (((product - (total - carried)) + (c - carried)) + product_error)


@part
def _source(kind: int, half: float, numerator: float, denominator: float, output: int) -> Any:
    """Return the coordinate of an output; `half` is 1/2 for half-pixel coordinates and 0 for aligned corners."""
    position = output + half
    if kind == 1:
        return np.float64(np.float32(position * numerator - half))
    if kind == 0:
        return position * numerator / denominator - half
    return fused(position, numerator, -half)


@part
def _nearest(kind: int, last: float, source: float) -> Any:
    """Return the input at or before a coordinate, as a float."""
    whole = np.float64(np.float32(source)) if kind == 2 else source
    return min(np.floor(whole), last)


@part
def keys32(distance: float, a: float) -> Any:
    """Keys' weight in float32; see `upsample.plans.filters`."""
    x, one = np.abs(np.float32(distance)), np.float32(1.0)
    p, q = np.float32(a + 2.0), np.float32(a + 3.0)
    r, s, t, u = np.float32(a), np.float32(5.0 * a), np.float32(8.0 * a), np.float32(4.0 * a)
    near = ((p * x - q) * x) * x + one
    far = ((r * x - s) * x + t) * x - u
    return np.float64(near if x < one else (far if x < np.float32(2.0) else np.float32(0.0)))


@part
def keys64(distance: float, a: float) -> Any:
    """Keys' weight in float64."""
    x = np.abs(distance)
    near = (((a + 2.0) * x - (a + 3.0)) * x) * x + 1.0
    far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return near if x < 1.0 else (far if x < 2.0 else 0.0)


@part
def _weight(taps: int, kind: int, a: float, distance: float) -> Any:
    if taps == 2:
        return max(1.0 - np.abs(distance), 0.0)
    return keys32(distance, a) if kind == 1 else keys64(distance, a)


@part
def _is_inside(how: NDArray, output: int) -> bool:
    """Say whether all taps of an output are inputs of the part, and the coordinate is not stopped at a border."""
    taps, kind, half = int(how[_TAPS_AT]), int(how[_ROUNDING]), 0.0 if how[_CORNERS] else 0.5
    source = _source(kind, half, how[_NUMERATOR], how[_DENOMINATOR], output)
    first = _nearest(kind, how[_LAST], source) + (1 - taps // 2)
    return bool(source >= 0.0 and first >= how[_LOW] and first + (taps - 1) <= min(how[_LAST], how[_END]))


@part
def inside(how: NDArray, begin: int, end: int) -> tuple[int, int]:
    """Return the outputs of ``[begin, end)`` none of whose taps are beyond the border; counted in the part."""
    offset = int(how[_BEGIN])
    while begin < end and not _is_inside(how, begin + offset):
        begin += 1
    while end > begin and not _is_inside(how, end - 1 + offset):
        end -= 1
    return begin, end


@part
def fill(how: NDArray, begin: int, count: int, distance: NDArray, first: NDArray, weight: NDArray) -> int:
    """Compute the taps of `count` outputs inside of the axis.

    `first` gets the first input of each, counted from that of output `begin`, which is returned; `weight` the weights,
    a row for each tap. `distance` is scratch memory.
    """
    taps, kind, half, offset = int(how[_TAPS_AT]), int(how[_ROUNDING]), 0.0 if how[_CORNERS] else 0.5, int(how[_BEGIN])
    numerator, denominator, a, last = how[_NUMERATOR], how[_DENOMINATOR], how[_COEFFICIENT], how[_LAST]
    offset, low, before = begin + offset, int(how[_LOW]), 1 - taps // 2
    base = _nearest(kind, last, _source(kind, half, numerator, denominator, offset))
    if kind == 1:
        for j in range(count):
            distance[_U(j)] = _source(1, half, numerator, denominator, j + offset)
    else:
        for j in range(count):
            distance[_U(j)] = _source(kind, half, numerator, denominator, j + offset)
    for j in range(count):
        source = distance[_U(j)]
        nearest = _nearest(kind, last, source)
        first[_U(j)] = np.uint32(nearest - base)
        distance[_U(j)] = min(max(source - nearest, 0.0), 1.0)
    for t in range(taps):
        shift = np.float64(before + t)
        if taps == 2:
            for j in range(count):
                weight[_U(t), _U(j)] = max(1.0 - np.abs(distance[_U(j)] - shift), 0.0)
        elif kind == 1:
            for j in range(count):
                weight[_U(t), _U(j)] = keys32(distance[_U(j)] - shift, a)
        else:
            for j in range(count):
                weight[_U(t), _U(j)] = keys64(distance[_U(j)] - shift, a)
    return int(base) + before - low


@part
def repetition(how: NDArray) -> tuple[int, int, bool]:
    """Return how many inputs `CHUNK` outputs advance, where weights repeat; up to which output; whether it doubles."""
    advance, exact = int(how[_ADVANCE]), int(how[_EXACT]) - int(how[_BEGIN])
    return advance, exact, 2 * advance == CHUNK and not how[_CORNERS]


@part
def trim(how: NDArray, weight: NDArray, j: int) -> tuple[int, int]:
    """Return the first tap of output `j` of `fill` that counts, and the end of those that do."""
    begin, end = 0, int(how[_TAPS_AT])
    if how[_SKIPS]:
        while begin < end and weight[_U(begin), _U(j)] == 0:
            begin += 1
        while end > begin and weight[_U(end - 1), _U(j)] == 0:
            end -= 1
    return begin, end


@part
def border(how: NDArray, output: int, dtype: NDArray, weight: NDArray, mixed: NDArray) -> tuple[int, int]:
    """Compute the taps of one output, folded onto the inputs; return the first and how many.

    `weight` gets the weights in the dtype of the array `dtype`. `mixed` says whether the first and the last tap were
    merged of several that do not have one sign: see `upsample.plans.tap_table.Taps`.
    """
    taps, last, kind, half = int(how[_TAPS_AT]), int(how[_LAST]), int(how[_ROUNDING]), 0.0 if how[_CORNERS] else 0.5
    source = _source(kind, half, how[_NUMERATOR], how[_DENOMINATOR], output + int(how[_BEGIN]))
    if taps == 2:  # the coordinate stops at the first input
        source = max(source, 0.0)
    nearest = _nearest(kind, how[_LAST], source)
    distance, begin = min(max(source - nearest, 0.0), 1.0), int(nearest) + 1 - taps // 2
    first, final = min(max(begin, 0), last), min(max(begin + taps - 1, 0), last)
    count = final - first + 1
    sums, signs = np.zeros(TAPS), np.zeros((2, 3), dtype=np.bool_)
    for t in range(taps):
        share, place = (
            _weight(taps, kind, how[_COEFFICIENT], distance - (1 - taps // 2 + t)),
            min(max(begin + t, 0), last) - first,
        )
        sums[place] = share if count == taps else sums[place] + share
        sign = 0 if share < 0.0 else 1 if share == 0.0 else 2
        signs[0, sign] |= place == 0
        signs[1, sign] |= place == count - 1
    for side in range(2):
        several = int(signs[side, 0]) + int(signs[side, 1]) + int(signs[side, 2]) > 1
        mixed[side] = count < taps and several and (side == 0 or count > 1) and not how[_SKIPS]
    skipped = 0
    if how[_SKIPS]:
        while skipped < count and sums[skipped] == 0.0:
            skipped += 1
        while count > skipped and sums[count - 1] == 0.0:
            count -= 1
        first, count = (first, 0) if count == skipped else (first + skipped, count - skipped)
    for t in range(count):
        weight[t] = dtype.dtype.type(sums[skipped + t])
    return first - int(how[_LOW]), count
