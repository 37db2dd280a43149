"""Tables of antialiased axes, means and gradients, made by compiled code; and the integer weights of bytes.

NumPy needs some hundred calls for a table, which take longer than resampling a photograph with it. The arithmetic is
that of `upsample.plans.taps`, operation by operation, so weights have the bits of its tables; a test compares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize.formula_tables import made_lists
from upsample.engines.cpu.resize.formulas import has_formula, keys32, keys64
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.plans.filters import FILTERS, Mean, Weighted
from upsample.plans.resize import AxisRule, Rounding
from upsample.plans.taps import precision

__all__ = ["Integers", "RunTable", "can_make", "integers_of", "listed_runs", "paired", "run_table"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_MOST_OUTPUTS = 1 << 14
"""Samples of an axis up to which its table is made at once: Python handles signals between the calls of kernels."""
_MOST_ENTRIES = 1 << 20
"""Weights of such a table."""
_WEIGHTS = ("linear", "cubic")
"""Filters that are polynomials: their weights have the same bits without NumPy."""


@dataclass(frozen=True, slots=True, eq=False)
class RunTable:
    """The taps of each output, a run of inputs; see `upsample.plans.tap_table.Taps`.

    Attributes
    ----------
    first, count : ndarray of int64, shape (out,)
        The first input of each output, and how many.
    weight : ndarray of float64, shape (out, most)
        Their weights, zero from `count` on.
    """

    first: _Array
    count: _Array
    weight: _Array


@dataclass(frozen=True, slots=True, eq=False)
class Integers:
    """The weights of bytes as integers, of which ``2**shift`` make one; see `upsample.plans.taps.FixedPoint`.

    Attributes
    ----------
    shift : int
        Binary places.
    sums : {"int32", "int64"}
        The integers in which sums fit.
    weight : ndarray of float64, shape (out, most)
        The weights.
    """

    shift: int
    sums: str
    weight: _Array


def can_make(rule: AxisRule) -> bool:
    """Return whether the table of an axis is made here."""
    if rule.table or rule.cut is not None or max(rule.in_size, rule.out_size) > _MOST_OUTPUTS:
        return False
    if isinstance(FILTERS[rule.method], Mean) or (rule.antialias and rule.method in _WEIGHTS):
        return True
    return rule.transposed and has_formula(rule.transpose())


def run_table(rule: AxisRule) -> RunTable | None:
    """Return the table of an axis, or None if it would be large."""
    if rule.transposed:
        return _transposed(rule.transpose())
    method, size = FILTERS[rule.method], rule.out_size
    if isinstance(method, Weighted):
        step = rule.step[0] / rule.step[1]
        most = 2 * int(np.ceil(method.support * max(step, 1.0))) + 3
    else:
        most = rule.in_size // size + 2
    if most * size > _MOST_ENTRIES:
        return None
    first, count, weight = np.empty(size, np.int64), np.empty(size, np.int64), np.zeros((size, most))
    if isinstance(method, Weighted):
        real: Any = np.float32 if rule.rounding is Rounding.FLOAT32 else np.float64
        numbers = np.asarray([*rule.step, method.support, rule.cubic_coeff, real is np.float32], np.float64)
        _antialiased(rule.in_size, numbers, real(1), rule.skips_zeros, first, count, weight)
    else:
        _means(rule.in_size, first, count, weight)
    return RunTable(first, count, np.ascontiguousarray(weight[:, : max(int(count.max()), 1)]))


def _transposed(forward: AxisRule) -> RunTable | None:
    """Return the table of a gradient: for each input, the outputs that use it and the weights that they have for it."""
    if has_formula(forward):
        taps = made_lists(forward, "float64")[:3]
    else:
        table = run_table(forward)
        if table is None:
            return None
        taps = listed_runs(table, table.weight, "float64")
    size = forward.in_size
    first, count, ends = np.empty(size, np.int64), np.empty(size, np.int64), np.zeros(size, np.int64)
    _count_users(*taps, first, count, ends)
    weight = np.zeros((size, max(int(count.max()), 1)))
    _turn(*taps, first, weight)
    return RunTable(first, count, weight)


@kernel
def _antialiased(
    size: int, numbers: _Array, one: Any, skips_zeros: bool, first: _Array, count: _Array, weight: _Array
) -> None:
    """Fill in the taps of an antialiased filter, normalised; `one` has the precision of the coordinates.

    `numbers`: both numbers of the step, the support, Keys' a, whether the precision is float32.
    """
    real, is_single = type(one), numbers[4] != 0.0
    step = real(numbers[0]) / real(numbers[1])
    reach, squeeze = real(numbers[2]), one
    if step >= one:
        reach, squeeze = reach * step, one / step
    allowed, half = int(np.ceil(reach)) * 2 + 1, 0.5
    for o in range(len(first)):
        center = real(np.float64(step) * (o + half))
        low = min(max(int(np.float64(center - reach) + half), 0), size - 1)
        taps = min(max(min(int(np.float64(center + reach) + half), size) - low, 1), allowed)
        total = 0.0
        for t in range(taps):
            distance = real((np.float64(real(low + t) - center) + half) * np.float64(squeeze))
            if numbers[2] == 1.0:
                weight[o, t] = max(one - abs(distance), one - one)
            elif is_single:
                weight[o, t] = keys32(distance, numbers[3])
            else:
                weight[o, t] = keys64(distance, numbers[3])
            total += weight[o, t]
        if total != 0.0:
            for t in range(taps):
                weight[o, t] /= total
        first[o], count[o] = low, taps
        if skips_zeros:
            _trim(first, count, weight, o)


@part
def _trim(first: _Array, count: _Array, weight: _Array, o: int) -> None:
    """Drop the taps of weight zero at both ends of an output's run."""
    begin, end = 0, count[o]
    while begin < end and weight[o, begin] == 0.0:
        begin += 1
    while end > begin and weight[o, end - 1] == 0.0:
        end -= 1
    if begin:
        for t in range(begin, end):
            weight[o, t - begin] = weight[o, t]
        for t in range(max(end - begin, 0), end):
            weight[o, t] = 0.0
    first[o], count[o] = first[o] + begin, end - begin


@kernel
def _means(size: int, first: _Array, count: _Array, weight: _Array) -> None:
    """Fill in the taps of mode area: the mean of all inputs that an output overlaps."""
    outputs = len(first)
    for o in range(outputs):
        begin = o * size // outputs
        taps = -(-(o + 1) * size // outputs) - begin
        for t in range(taps):
            weight[o, t] = 1.0 / taps
        first[o], count[o] = begin, taps


@kernel
def _count_users(count: _Array, index: _Array, weight: _Array, first: _Array, users: _Array, ends: _Array) -> None:
    """Find the first output that uses each input, and from it on how many outputs there are to the last one."""
    for o in range(len(count)):
        for t in range(count[o]):
            if weight[o, t] != 0.0:  # neither a tap of weight zero, nor one that was merged into another
                place = index[o, t]
                if ends[place] == 0:
                    first[place] = o
                ends[place] = o + 1
    for place in range(len(first)):
        if ends[place] == 0:
            first[place] = 0
        users[place] = ends[place] - first[place]


@kernel
def _turn(count: _Array, index: _Array, weight: _Array, first: _Array, turned: _Array) -> None:
    """Give each input the weights that the outputs have for it."""
    for o in range(len(count)):
        for t in range(count[o]):
            if weight[o, t] != 0.0:
                place = index[o, t]
                turned[place, o - first[place]] = weight[o, t]


def listed_runs(table: RunTable, weight: _Array, dtype: str) -> tuple[_Array, _Array, _Array]:
    """Return how many taps each output has, and the input and the weight of each tap; see `taps.Listed`."""
    count = np.empty(len(table.first), np.int32)
    index, listed = np.empty(weight.shape, np.int32), np.empty(weight.shape, dtype)
    _list(table.first, table.count, weight, count, index, listed)
    return count, index, listed


@kernel
def _list(first: _Array, counts: _Array, weight: _Array, count: _Array, index: _Array, listed: _Array) -> None:
    for o in range(len(first)):
        count[o] = counts[o]
        for t in range(weight.shape[1]):
            index[o, t] = first[o] + max(min(t, counts[o] - 1), 0)
            listed[o, t] = weight[o, t]


def integers_of(rule: AxisRule, table: RunTable) -> Integers:
    """Round the weights of bytes to multiples of a power of two; see `upsample.plans.taps.fixed_point`."""
    later = rule.places is not None and rule.places[0] > 0
    shift = rule.bits or precision(float(table.weight.max()), 22 if rule.places is None else 15)
    one, weight = 2.0**shift, np.empty(table.weight.shape)
    largest = _integers(table.weight, one, rule.places is not None, weight)
    return Integers(shift, "int32" if (2.0**15 if later else 255.0) * largest + one < 2.0**31 else "int64", weight)


@kernel
def _integers(weight: _Array, one: float, balances: bool, made: _Array) -> float:
    """Fill in weights times `one`, rounded; return the largest sum of the magnitudes of an output's weights."""
    largest, taps = 0.0, weight.shape[1]
    for o in range(len(weight)):
        total, sum_of_wholes, magnitude = 0.0, 0.0, 0.0
        for t in range(taps):
            whole = weight[o, t] * one
            made[o, t] = np.floor(whole) if balances else np.trunc(whole + np.copysign(0.5, whole))
            total += whole
            sum_of_wholes += made[o, t]
        if balances:  # the weights with the largest fractions are rounded up, so that the sum stays
            for _ in range(int(np.rint(total) - sum_of_wholes)):
                best, place = -1.0, 0
                for t in range(taps):
                    fraction = weight[o, t] * one - made[o, t]
                    if fraction > best:
                        best, place = fraction, t
                made[o, place] += 1.0  # its fraction is negative now
        for t in range(taps):
            magnitude += abs(made[o, t])
        largest = max(largest, magnitude)
    return largest


def paired(taps: tuple[_Array, _Array, _Array], low_bits: int | None) -> tuple[_Array, _Array, tuple[_Array, ...]]:
    """Return pairs of taps as `taps.Pairs`; weights of more than 16 bits in two parts, the last of `low_bits`."""
    size, width = taps[1].shape
    half = (width + 1) // 2
    count, index = np.empty(size, np.int32), np.empty((size, 2 * half), np.int32)
    weights = np.empty((1 if low_bits is None else 2, size, half), np.int32)
    _pair(*taps, 0 if low_bits is None else low_bits, count, index, weights)
    return count, index, tuple(weights)


@kernel
def _pair(
    counts: _Array, indices: _Array, listed: _Array, low_bits: int, count: _Array, index: _Array, weights: _Array
) -> None:
    for o in range(len(counts)):
        count[o] = (counts[o] + 1) // 2
        for t in range(index.shape[1]):
            inside = t < indices.shape[1]
            index[o, t] = indices[o, t if inside else counts[o] - 1]
            weight = listed[o, t] if inside else np.int32(0)
            shift = 16 * (t % 2)
            for p in range(len(weights)):
                share = weight if low_bits == 0 else weight >> low_bits if p == 0 else weight & ((1 << low_bits) - 1)
                share = (share & 0xFFFF) << shift
                weights[p, o, t // 2] = np.int32(share if t % 2 == 0 else weights[p, o, t // 2] | share)
