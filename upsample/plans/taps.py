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

import numpy as np

from upsample.caches import cached
from upsample.float_errors import quiet
from upsample.plans import long_tables
from upsample.plans.filter_weights import forward, is_normalised, longest_run, normalise, run_of, run_weights
from upsample.plans.long_tables import in_pieces
from upsample.plans.makers import MAKERS
from upsample.plans.resize import AxisRule
from upsample.plans.tap_table import Ints, Reals, Taps, trimmed, unmerged

__all__ = [
    "LONG_RUN",
    "FixedPoint",
    "Taps",
    "expanded",
    "fixed_point",
    "listed_apart",
    "precision",
    "scaled",
    "settling",
    "settling_by",
    "taps",
    "taps_between",
    "users",
]

LONG_RUN = 1 << 18
"""Taps of an output from which on the weights of its axis are made piece by piece: some megabytes."""
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
    return expanded(rule, begin, end)


@quiet
def expanded(rule: AxisRule, begin: int, end: int) -> Taps:
    """Make the table of outputs ``[begin, end)``, which no cache keeps."""
    if rule.cut is not None:
        cut = rule.cut
        return taps_between(cut.full, cut.begin + begin, cut.begin + end).moved(cut.low)
    # at most about a piece of inputs
    step = max(1, min(long_tables.PIECE, long_tables.PIECE * rule.out_size // rule.in_size))
    make = _turning(rule, begin, end) if rule.transposed else partial(forward, rule)
    table = Taps(*in_pieces(lambda low, high: make(np.arange(low, high)).arrays, begin, end, step))
    if is_normalised(rule) and not rule.transposed:
        for low in range(0, end - begin, step):
            normalise(table.weight[low : low + step])
    if rule.skips_zeros and not rule.transposed:
        table = trimmed(table)
    for array in table.arrays:
        array.flags.writeable = False
    return table


def _turning(rule: AxisRule, begin: int, end: int) -> Callable[[Ints], Taps]:
    """Return what turns the forward table round for some of the samples ``[begin, end)``."""
    turned = rule.transpose()
    low, high = users(turned, begin, end)
    if longest_run(turned) >= LONG_RUN:
        return partial(_transposed, rule, _windows(turned, low, high, begin, end), low)
    return partial(_transposed, rule, taps_between(turned, low, high), low)


def _windows(rule: AxisRule, low: int, high: int, begin: int, end: int) -> Taps:
    """Return what outputs ``[low, high)`` take of the inputs ``[begin, end)``, of an axis with very long runs."""
    table = _without_weights(rule, low, high)
    first, past = (np.clip(edge, begin, end) for edge in (table.first, table.first + table.count))
    weight = np.zeros((high - low, int((past - first).max(initial=1))))
    for row, output in enumerate(range(low, high)):
        run, count = run_of(rule, output), int(past[row] - first[row])
        if count:
            place = int(first[row]) - run.first
            weight[row, :count] = run_weights(rule, run, place, place + count)
    return unmerged(first, past - first, weight)


def _without_weights(rule: AxisRule, low: int, high: int) -> Taps:
    """Return the runs of outputs ``[low, high)`` of an axis with very long runs."""
    runs = [run_of(rule, output) for output in range(low, high)]
    first, count = (np.asarray([getattr(run, name) for run in runs], dtype=np.int64) for name in ("first", "count"))
    return unmerged(first, count, np.zeros((len(runs), 0)))


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


def users(rule: AxisRule, begin: int, end: int) -> tuple[int, int]:
    """Return the outputs that use inputs ``[begin, end)``: by bisection, where the table is too long to be kept."""
    if longest_run(rule) >= LONG_RUN:
        return _between(_without_weights(rule, 0, rule.out_size), begin, end)
    if rule.out_size <= _KEPT or rule.table:  # folded runs do not ascend, which bisection would need
        return _between(taps(rule), begin, end)

    def past(output: int) -> int:
        one = expanded(rule, output, output + 1)
        return int(one.first[0] + one.count[0])

    def first(output: int) -> int:
        return int(expanded(rule, output, output + 1).first[0])

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
