"""Tap tables (`Taps`) of rules: the inputs and the weights of each output.

A tap of weight zero counts, because NaN times zero is NaN in torch; but not at the ends of a run if the rule says
`AxisRule.skips_zeros`, as the rules of `upsample.resize` do.

A transposed rule's table says for each sample that the method takes which ones it fed (`first`, `count`), and with
what weights. They are one run again, since both ends of the runs ascend; a sample that fed none has `count` 0. There
weights of zero at the ends of a run do not count: what had no part in a value has none in its gradient.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from upsample.caches import cached
from upsample.float_errors import quiet
from upsample.plans import long_tables
from upsample.plans.filters import FILTERS, Mean, Point, Weighted
from upsample.plans.long_tables import in_pieces
from upsample.plans.makers import MAKERS
from upsample.plans.resize import AxisRule, Rounding
from upsample.plans.tap_table import Ints, Reals, Taps, clamped, trimmed, unmerged

__all__ = [
    "FixedPoint",
    "Taps",
    "fixed_point",
    "fma",
    "listed_apart",
    "precision",
    "scaled",
    "settling",
    "settling_by",
    "taps",
    "taps_between",
]

_Real = TypeVar("_Real", float, Reals)

_ADDED, _FEW = 1 << 16, 256
"""Weights that one call adds up in turn, so many fit a second-level cache; of more outputs one tap a call is faster."""
_KEPT = 1 << 16
"""Outputs up to which the whole table of an axis is made at once: some megabytes."""


def taps(rule: AxisRule) -> Taps:
    """Expand a rule into its table."""
    return taps_between(rule, 0, rule.out_size)


def taps_between(rule: AxisRule, begin: int, end: int) -> Taps:
    """Return the table of outputs ``[begin, end)``; of a long axis, only this part is made."""
    if rule.out_size > _KEPT and not rule.table:
        return _part(rule, begin, end)
    whole = _part(rule, 0, rule.out_size)
    return whole if (begin, end) == (0, rule.out_size) else whole.rows(begin, end)


def listed_apart(rule: AxisRule) -> tuple[Ints, Reals]:
    """Return the input and the weight of every tap: taps that a border moves onto one input are not merged.

    Only for makers that have such a table (`upsample.plans.makers.Maker.apart`), and their parts.
    """
    if rule.cut is not None:
        index, weight = listed_apart(rule.cut.full)
        cut = slice(rule.cut.begin, rule.cut.begin + rule.out_size)
        return index[cut] - rule.cut.low, weight[cut]
    name, *numbers = rule.table
    make = MAKERS[str(name)].apart
    assert make is not None
    return make(rule.in_size, rule.out_size, np.arange(rule.out_size), *numbers)


@cached
def _part(rule: AxisRule, begin: int, end: int) -> Taps:
    return _expanded(rule, begin, end)


@quiet
def _expanded(rule: AxisRule, begin: int, end: int) -> Taps:
    if rule.cut is not None:
        cut = rule.cut
        return taps_between(cut.full, cut.begin + begin, cut.begin + end).moved(cut.low)
    # at most about a piece of inputs
    step = max(1, min(long_tables.PIECE, long_tables.PIECE * rule.out_size // rule.in_size))
    method = FILTERS[rule.method]
    make = _turning(rule, begin, end) if rule.transposed else partial(_forward, rule)
    table = Taps(*in_pieces(lambda low, high: make(np.arange(low, high)).arrays, begin, end, step))
    if rule.antialias and isinstance(method, Weighted) and not rule.transposed and not rule.table:
        for low in range(0, end - begin, step):
            _normalise(table.weight[low : low + step])
    if rule.skips_zeros and not rule.transposed:
        table = trimmed(table)
    for array in table.arrays:
        array.flags.writeable = False
    return table


def _forward(rule: AxisRule, output: Ints) -> Taps:
    """Make the table of some outputs; that of an antialiased rule is yet to be normalised."""
    if rule.table:
        name, *numbers = rule.table
        return MAKERS[str(name)].make(rule.in_size, rule.out_size, output, *numbers)
    method = FILTERS[rule.method]
    if isinstance(method, Point):
        return _point(rule, method, output)
    if isinstance(method, Mean):
        return _mean(rule, output)
    return _antialiased(rule, method, output) if rule.antialias else _weighted(rule, method, output)


def _turning(rule: AxisRule, begin: int, end: int) -> Callable[[Ints], Taps]:
    """Return what turns the forward table round for some of the samples ``[begin, end)``."""
    forward = rule.transpose()
    low, high = _users(forward, begin, end)
    return partial(_transposed, rule, taps_between(forward, low, high), low)


def _transposed(rule: AxisRule, table: Taps, begin: int, output: Ints) -> Taps:
    """Turn the part of the forward table round that uses the samples `output`; it begins at forward output `begin`."""
    last = min(begin + max(len(table.first), 1), rule.in_size) - 1
    low, high = _between(table, int(output[0]), int(output[-1]) + 1)
    table = table.rows(low, high)
    first, end = _envelope(table)
    lowest = np.searchsorted(end, output, side="right")
    count = np.maximum(np.searchsorted(first, output, side="right") - lowest, 0)
    weight = np.zeros((len(output), int(count.max(initial=1))))
    sample, place = np.nonzero(np.arange(weight.shape[1]) < count[:, None])
    user = lowest[sample] + place
    tap = output[sample] - table.first[user]
    own = (tap >= 0) & (tap < table.count[user])
    weight[sample[own], place[own]] = table.weight[user[own], tap[own]]
    return trimmed(unmerged(np.minimum(begin + low + lowest, last), count, weight))


def _users(rule: AxisRule, begin: int, end: int) -> tuple[int, int]:
    """Return the outputs that use inputs ``[begin, end)``: by bisection, where the table is too long to be kept."""
    if rule.out_size <= _KEPT or rule.table:  # folded runs do not ascend, which bisection would need
        return _between(taps(rule), begin, end)

    def past(output: int) -> int:
        one = _expanded(rule, output, output + 1)
        return int(one.first[0] + one.count[0])

    def first(output: int) -> int:
        return int(_expanded(rule, output, output + 1).first[0])

    low: int = bisect_right(range(rule.out_size), begin, key=past)
    high: int = bisect_left(range(rule.out_size), end, key=first)
    return low, max(high, low)


def _between(table: Taps, begin: int, end: int) -> tuple[int, int]:
    """Return the rows that use inputs ``[begin, end)``."""
    first, past = _envelope(table)
    low = int(np.searchsorted(past, begin, side="right"))
    return low, max(int(np.searchsorted(first, end, side="left")), low)


def _envelope(table: Taps) -> tuple[Ints, Ints]:
    """Return where runs begin and end; both ascend, for which runs of a folded border are taken wider."""
    first: Ints = np.minimum.accumulate(table.first[::-1])[::-1]
    past: Ints = np.maximum.accumulate(table.first + table.count)
    return first, past


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """A table for uint8: its weights are multiples of a power of two, so that sums are exact.

    Attributes
    ----------
    table : Taps
        With the rounded weights.
    shift : int
        The binary places of the weights.
    fits_float32 : bool
        Whether the sums are exact in float32 already.
    sums : {"int32", "int64"}
        The integers in which the sums of weights times ``2**shift`` fit.
    """

    table: Taps
    shift: int
    fits_float32: bool
    sums: str


@cached
@quiet
def fixed_point(rule: AxisRule) -> FixedPoint:
    """Round the weights of an axis to binary fractions, halves away from zero.

    They have `AxisRule.bits` binary places; where that is 0, they are torch's (with `AxisRule.places`, at most 15,
    and the weights of each output keep their sum): multiples of 2**-p, where p is the
    largest precision, at most 22, in which the largest of them fits 16 bits with its sign. Source: torch's
    ``_compute_index_ranges_int16_weights`` (aten/src/ATen/native/cpu/UpSampleKernel.cpp).
    """
    if rule.cut is not None:  # rounded by the largest weight of the whole axis
        cut, fixed = rule.cut, fixed_point(rule.cut.full)
        return replace(fixed, table=fixed.table.rows(cut.begin, cut.begin + rule.out_size).moved(cut.low))
    table = taps(rule)
    later = rule.places is not None and rule.places[0] > 0
    shift = rule.bits or precision(float(table.weight.max()), 22 if rule.places is None else 15)
    one, sums_of_pieces = 2.0**shift, []

    def make(low: int, high: int) -> tuple[Reals]:
        whole = table.weight[low:high] * one
        whole = np.trunc(whole + np.copysign(0.5, whole)) if rule.places is None else _balanced(whole)
        sums_of_pieces.append(float(np.abs(whole).sum(axis=1).max()))
        return (whole / one,)

    weight = in_pieces(make, 0, len(table.first), max(1, long_tables.PIECE // table.longest))[0]
    weight.flags.writeable = False
    most = (2.0**15 if later else 255.0) * max(sums_of_pieces)
    sums = "int32" if most + one < 2.0**31 else "int64"
    return FixedPoint(replace(table, weight=weight), shift, most + one / 2 < 2.0**24, sums)


def precision(largest: float, most: int) -> int:
    """Return the number of binary places that torch uses for integer weights up to `largest`."""
    places = most
    while places and int(0.5 + largest * 2.0**places) >= 2**15:
        places -= 1
    return places


def _balanced(weight: Reals) -> Reals:
    """Round the weights of each output so that they keep their sum: those with the largest fractions are rounded up."""
    whole = np.floor(weight)
    fraction = weight - whole
    missing = np.rint(weight.sum(axis=1)) - whole.sum(axis=1)
    rank = np.argsort(np.argsort(-fraction, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(whole + (rank < missing[:, None]))


def settling(rule: AxisRule) -> int:
    """Return how kernels end the sums of a fixed-point axis: by how many places they shift, and 256 times a kind.

    ====  ==============================================================
    Kind  The sum becomes
    ====  ==============================================================
    0     a byte, ties rounded up
    1     a 16-bit number with `AxisRule.places`, ties rounded up
    2     a byte, ties rounded to even
    ====  ==============================================================
    """
    return settling_by(rule, fixed_point(rule).shift)


def settling_by(rule: AxisRule, shift: int) -> int:
    """Return the same for weights of `shift` binary places."""
    if rule.places is None:
        return shift
    before, behind = rule.places
    return shift + before - behind + ((1 if behind else 2) << 8)


@quiet
def scaled(rule: AxisRule, dtype: str) -> tuple[Taps, Reals]:
    """Return the table, and its weights in the `dtype` of sums: for bytes, integers of which ``2**shift`` make one."""
    if dtype.startswith("int"):
        fixed = fixed_point(rule)
        table, one = fixed.table, 2.0**fixed.shift
    else:
        table, one = taps(rule), None

    def make(low: int, high: int) -> tuple[Reals]:
        part = table.weight[low:high]
        return ((part if one is None else np.rint(part * one)).astype(dtype),)

    return table, in_pieces(make, 0, len(table.first), max(1, long_tables.PIECE // table.longest))[0]


def _point(rule: AxisRule, method: Point, output: Ints) -> Taps:
    """Take one sample an output: the one in which its position lies, rounded as torch rounds it."""
    numerator, denominator = rule.step
    source: Reals
    if rule.rounding is Rounding.FLOAT64:
        source = (output + method.anchor) * numerator / denominator
    else:
        source = _torch_position(rule.rounding, numerator, method.anchor, output)
    first = np.minimum(np.floor(source).astype(np.int64), rule.in_size - 1)
    return unmerged(first, np.ones_like(first), np.ones((len(output), 1)))


def _torch_position(rounding: Rounding, step: float, anchor: float, output: Ints) -> Reals:
    """Return where torch takes a sample; nearest-exact adds 1/2 to a coordinate that was rounded without it.

    Source: torch's ``HelperInterpNearest`` and ``HelperInterpNearestExact``
    (aten/src/ATen/native/cpu/UpSampleKernel.cpp). Its loop for small 2-D results rounds ``(i + 1/2) * step`` instead,
    so that its 2-D result differs from its own 1-D and 3-D ones where that product is just below a whole number.
    """
    real: Any = np.float32 if rounding is Rounding.FLOAT32 else np.float64
    position = (output.astype(real) + real(anchor)).astype(np.float64)
    if anchor == 0.0:
        return np.asarray((position * step).astype(np.float32))
    if rounding is Rounding.FLOAT32:  # the product of two float32 is exact in float64
        centre = (position * step - anchor).astype(np.float32)
    else:
        centre = fma(position, step, -anchor)
    return np.asarray((np.maximum(centre, 0.0).astype(np.float64) + anchor).astype(np.float32))


def _mean(rule: AxisRule, output: Ints) -> Taps:
    first = output * rule.in_size // rule.out_size
    count = -(-(output + 1) * rule.in_size // rule.out_size) - first
    inside = np.arange(count.max()) < count[:, None]
    return unmerged(first, count, inside / count[:, None])


def _weighted(rule: AxisRule, method: Weighted, output: Ints) -> Taps:
    source = _coordinates(rule, output)
    last = rule.in_size - 1
    offsets = np.arange(1 - method.support, method.support + 1)
    if method.stops_at_edge:
        source = np.maximum(source, 0.0)
    whole = source.astype(np.float32) if rule.rounding is Rounding.FLOAT64_FLOORF else source
    nearest = np.minimum(np.floor(whole).astype(np.int64), last)
    distance = np.clip(source - nearest, 0.0, 1.0)[:, None] - offsets
    if rule.rounding is Rounding.FLOAT32 and method.support > 1:  # as torch does; weights that vanish there vanish here
        distance = distance.astype(np.float32)
    weight = method.weight(distance, rule.cubic_coeff).astype(np.float64)
    if rule.method not in ("linear", "cubic"):  # which sum to 1 as they are
        _normalise(weight)
    if rule.copies:  # torch takes each sample twice, with the weights 1 and 0
        offsets = np.zeros_like(offsets)
    return clamped(nearest[:, None] + offsets, weight, last)


def _coordinates(rule: AxisRule, output: Ints) -> Reals:
    """Where each output's centre lies among the inputs.

    torch's compiled code uses one fused multiply-add for ``(i + 1/2) * step - 1/2``; so does this.
    """
    numerator, denominator = rule.step
    position = output + (0.0 if rule.corners else 0.5)
    shift = 0.0 if rule.corners else -0.5
    if rule.rounding is Rounding.FLOAT32:  # the product of two float32 is exact in float64
        return (position * numerator + shift).astype(np.float32).astype(np.float64)
    if rule.rounding is Rounding.FLOAT64_FLOORF:
        return fma(position, numerator, shift)
    return position * numerator / denominator + shift


def fma(a: _Real, b: float, c: float) -> _Real:
    """A * b + c rounded once: Dekker's exact product, Knuth's exact sum."""
    splitter = 2.0**27 + 1.0
    a_high = a * splitter - (a * splitter - a)
    b_high = b * splitter - (b * splitter - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    product_error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    carried = total - product
    total_error = (product - (total - carried)) + (c - carried)
    return total + (total_error + product_error)


def _antialiased(rule: AxisRule, method: Weighted, output: Ints) -> Taps:
    """Pillow's method as torch has it: the filter, as wide as the step, cut off at the border and normalised.

    Source: torch's ``_compute_indices_min_size_weights_aa`` (aten/src/ATen/native/cpu/UpSampleKernel.cpp), with
    its mixture of float32 and float64 where the dialect asks for float32.
    """
    real: Any = np.float32 if rule.rounding is Rounding.FLOAT32 else np.float64
    step = real(rule.step[0]) / real(rule.step[1])
    wide = step >= 1.0
    support = real(method.support) * step if wide else real(method.support)
    squeeze = real(1.0) / step if wide else real(1.0)
    center = (float(step) * (output + 0.5)).astype(real)
    first = np.maximum(((center - support).astype(np.float64) + 0.5).astype(np.int64), 0)
    end = np.minimum(((center + support).astype(np.float64) + 0.5).astype(np.int64), rule.in_size)
    longest_allowed = int(np.ceil(support)) * 2 + 1
    count = np.clip(end - first, 1, longest_allowed)
    index = np.arange(int(count.max()))
    distance = ((first[:, None] + index).astype(real) - center[:, None]).astype(np.float64) + 0.5
    weight = method.weight((distance * float(squeeze)).astype(real), rule.cubic_coeff).astype(np.float64)
    return unmerged(first, count, np.where(index < count[:, None], weight, 0.0))


def _normalise(weight: Reals) -> None:
    """Let the weights of each output sum to one, in place."""
    total = np.zeros((len(weight), 1))
    step = 1 if len(weight) > _FEW else _ADDED // max(1, len(weight))
    for begin in range(0, weight.shape[1], step):  # one by one, so that the sum does not depend on the table's width
        part = weight[:, begin : begin + step]
        total = total + part if step == 1 else np.add.accumulate(np.hstack([total, part]), axis=1)[:, -1:]
    weight /= np.where(total == 0.0, 1.0, total)
