"""Return the taps of a plan in the layouts that kernels read.

Two layouts. `Listed` names every tap's input: exact for NaN and infinity too, since a merged tap that torch would have
multiplied by zero appears again with weight zero. `Runs` gives each output as many consecutive inputs as the longest
has, weights padded with zeros, which vectorises; a padded zero must not meet NaN or infinity, so a kernel falls back
on `Listed` for a row that has any.

The tables are shared and must not be written, but stay writeable: Numba takes microseconds to recognise a read-only
array, which is more than a small resize costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.caches import once_a_call
from upsample.engines.cpu.resize.formula_tables import made_lists, made_runs, repeated
from upsample.engines.cpu.resize.formulas import has_formula, most_taps, span_of
from upsample.engines.cpu.resize.run_tables import (
    Integers,
    RunTable,
    can_make,
    integers_of,
    listed_runs,
    paired,
    run_table,
)
from upsample.plans import long_tables
from upsample.plans.long_tables import in_pieces
from upsample.plans.resize import AxisRule
from upsample.plans.taps import FixedPoint, Taps, fixed_point, scaled, settling_by, taps

__all__ = ["LONG", "Listed", "Runs", "Steady", "listed", "pairs", "reach", "runs", "settling", "steady", "sums_of"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

LONG = 1 << 13
"""Outputs of a row from which its tables are larger than the scratch memory of a formula's kernel."""
LOW_BITS = 11
"""Bits of a weight of more than 16 that are multiplied apart, such as half of Pillow's 22."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Taps of each output, one by one.

    Attributes
    ----------
    count : ndarray of int32, shape (out,)
        How many taps.
    index : ndarray of int32, shape (out, most)
        Their inputs.
    weight : ndarray, shape (out, most)
        Their weights.
    """

    count: _Array
    index: _Array
    weight: _Array


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of one length for the elements of a row of `inner` values a sample.

    Attributes
    ----------
    first : ndarray of uint32, shape (out * inner,)
        The first input element of each output element.
    weight : ndarray, shape (longest, out * inner)
        The weights of the elements that follow, `inner` apart.
    """

    first: _Array
    weight: _Array


@dataclass(frozen=True, slots=True, eq=False)
class Steady:
    """Where the same weights come again and again.

    Output ``period * i + phase`` is made of the inputs from ``advance * i + start[phase]`` on, for every `i` in
    ``[low, high)``.

    Attributes
    ----------
    low, high : int
        Periods for which this holds; the rest are the borders.
    start : tuple of int
        For each phase.
    weight : ndarray, shape (period, taps)
        For each phase.
    """

    low: int
    high: int
    start: tuple[int, ...]
    weight: _Array


@once_a_call
def _run_table(rule: AxisRule) -> RunTable | None:
    return run_table(rule) if can_make(rule) else None


@once_a_call
def _integers(rule: AxisRule, table: RunTable) -> Integers:
    return integers_of(rule, table)


def _fixed(rule: AxisRule) -> Integers | FixedPoint:
    table = _run_table(rule)
    return fixed_point(rule) if table is None else _integers(rule, table)


def sums_of(rule: AxisRule) -> str:
    """Return the integers in which the sums of a uint8 axis fit."""
    return _fixed(rule).sums


def settling(rule: AxisRule) -> int:
    """Return how kernels end the sums of a uint8 axis, see `upsample.plans.taps.settling`."""
    return settling_by(rule, _fixed(rule).shift)


_scaled = once_a_call(scaled)


def _weighed(rule: AxisRule, dtype: str) -> tuple[_Array, _Array, _Array]:
    """Return the first input of each output, how many there are, and their weights in the dtype of sums."""
    run = _run_table(rule)
    if run is not None:
        return run.first, run.count, listed(rule, dtype).weight
    table, weight = _scaled(rule, dtype)
    return table.first, table.count, weight


def reach(rule: AxisRule, begin: int, end: int) -> tuple[int, int]:
    """Return inputs ``[low, high)`` that contain those of the outputs ``[begin, end)``."""
    if has_formula(rule):
        return span_of(rule, begin, end)
    first, past = _ends(rule)
    if first is not None and past is not None:
        return int(first[begin]), max(int(past[end - 1]), int(first[begin]) + 1)
    table, low, high = taps(rule), rule.in_size, 0
    for at in range(begin, end, long_tables.PIECE):
        piece = slice(at, min(at + long_tables.PIECE, end))
        first = table.first[piece]
        low = min(low, int(first.min()))
        high = max(high, int((first + table.count[piece]).max()))
    return low, max(high, low + 1)


@once_a_call
def _ends(rule: AxisRule) -> tuple[_Array | None, _Array | None]:
    """Return where the runs of taps begin and end, if both ascend."""
    table = _run_table(rule) or taps(rule)
    first, past = table.first, table.first + table.count
    ascends = bool((first[1:] >= first[:-1]).all() and (past[1:] >= past[:-1]).all())
    return (first, past) if ascends else (None, None)


def _is_made(rule: AxisRule, dtype: str) -> bool:
    return dtype.startswith("float") and has_formula(rule)


@once_a_call
def _made(rule: AxisRule, dtype: str) -> tuple[_Array, _Array, _Array, _Array]:
    return made_lists(rule, dtype)


@once_a_call
def listed(rule: AxisRule, dtype: str) -> Listed:
    """Name the input of every tap."""
    if _is_made(rule, dtype):
        return Listed(*_made(rule, dtype)[:3])
    run = _run_table(rule)
    if run is not None:
        weight = _integers(rule, run).weight if dtype.startswith("int") else run.weight
        return Listed(*listed_runs(run, weight, dtype))
    table, weight = _scaled(rule, dtype)
    floats = dtype.startswith("float")
    more = floats and bool(table.mixed_first.any()), floats and bool(table.mixed_last.any())

    def make(low: int, high: int) -> tuple[_Array, ...]:
        return _listed(table.rows(low, high), weight[low:high], more, rule.in_size)

    return Listed(*in_pieces(make, 0, rule.out_size, max(1, long_tables.PIECE // table.longest)))


def _listed(table: Taps, weight: _Array, more: tuple[bool, bool], in_size: int) -> tuple[_Array, ...]:
    """Name the inputs of some outputs' taps, with a column `more` for merged first ones and for merged last ones."""
    kind = np.dtype(np.int32 if in_size < 1 << 30 else np.int64)  # sums of two indices fit
    count, place = table.count, np.arange(table.longest, dtype=kind)
    index = np.minimum(place, count[:, None].astype(kind) - 1)
    index = np.add(index, table.first[:, None].astype(kind), out=index)
    np.clip(index, 0, in_size - 1, out=index)
    weight = np.where(place < count[:, None], weight, 0)
    mixed = (table.mixed_first, table.first), (table.mixed_last, table.first + count - 1)
    for (flag, again), column in zip(mixed, more, strict=True):
        if column:
            index = np.concatenate([index, again[:, None]], axis=1)
            weight = np.concatenate([weight, np.zeros((len(again), 1), dtype=weight.dtype)], axis=1)
            outputs = np.nonzero(flag)[0]
            index[outputs, count[outputs]] = again[outputs]
            weight[outputs, count[outputs]] = 0
            count = count + flag
    return count.astype(np.int32), index.astype(np.int32, copy=False), np.ascontiguousarray(weight)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Taps of each output in pairs, for the kernels that multiply 16-bit numbers.

    Attributes
    ----------
    count : ndarray of int32, shape (out,)
        How many pairs.
    index : ndarray of int32, shape (out, 2 * most)
        The inputs of the taps.
    weights : tuple of ndarray of int32, shape (out, most)
        The weights of the two taps of each pair, as the halves of one number; or, where a weight takes more than 16
        bits, first what is left of it without its last `LOW_BITS`, then those.
    """

    count: _Array
    index: _Array
    weights: tuple[_Array, ...]


@once_a_call
def pairs(rule: AxisRule) -> Pairs | None:
    """Name the inputs of a uint8 axis, taps in pairs and their weights as halves of one number.

    A last tap without another is paired with itself, of weight zero. None where sums may pass 32 bits.
    """
    each = listed(rule, "int32")
    least, largest = int(each.weight.min()), int(each.weight.max())
    if sums_of(rule) != "int32" or max(-least, largest + 1) > 2 ** (15 + LOW_BITS):
        return None
    is_short = least >= -(2**15) and largest < 2**15
    return Pairs(*paired((each.count, each.index, each.weight), None if is_short else LOW_BITS))


@once_a_call
def runs(rule: AxisRule, dtype: str, inner: int, begin: int, end: int) -> Runs:
    """Give each of the outputs ``[begin, end)`` a run of the longest length among them.

    A run that would pass the last of their inputs is moved back.
    """
    end_of_inputs = reach(rule, begin, end)[1]
    if _is_made(rule, dtype) or _run_table(rule) is not None:
        table_of = listed(rule, dtype)
        count, index, weight = table_of.count, table_of.index, table_of.weight
        longest = _longest(count[begin:end], index[begin:end]) if _is_made(rule, dtype) else _most(count[begin:end])
        return Runs(*made_runs((count, index, weight), (begin, end), end_of_inputs - 1, longest, inner))
    table, weight = _scaled(rule, dtype)
    longest = _most(table.count[begin:end])
    most = end_of_inputs - longest
    made = Runs(
        np.empty((end - begin) * inner, dtype=np.uint32), np.empty((longest, (end - begin) * inner), dtype=weight.dtype)
    )
    step = max(1, long_tables.PIECE // (longest * inner))
    for low in range(begin, end, step):
        high = min(low + step, end)
        begins, count = table.first[low:high], table.count[low:high]
        first = np.minimum(begins, most)
        moved = weight[low:high, :longest]
        if (begins != first).any() or (count != longest).any():
            source = np.arange(longest) - (begins - first)[:, None]
            inside = (source >= 0) & (source < count[:, None])
            moved = np.where(inside, np.take_along_axis(weight[low:high], np.clip(source, 0, longest - 1), axis=1), 0)
        cut = slice((low - begin) * inner, (high - begin) * inner)
        made.first[cut] = (first[:, None] * inner + np.arange(inner)).reshape(-1)
        made.weight[:, cut] = np.repeat(moved, inner, axis=0).T
    return made


def _most(count: _Array) -> int:
    return max(int(count.max()), 1)


def _longest(count: _Array, index: _Array) -> int:
    """Return the most consecutive inputs of an output; behind them may be merged taps, whose inputs do not ascend."""
    ascends = (index[:, 1:] > index[:, :-1]) & (np.arange(1, index.shape[1]) < count[:, None])
    return 1 + int(np.logical_and.accumulate(ascends, axis=1).sum(axis=1).max(initial=0))


@once_a_call
def steady(rule: AxisRule, dtype: str, period: int, advance: int) -> Steady | None:
    """Return where the weights repeat, or None where that is less than half of the axis."""
    if _is_made(rule, dtype):
        count, index, weight, ends = _made(rule, dtype)
        found = repeated(rule, ends, period, advance)
        if found is None:
            return None
        middle, longest = sum(found) // 2 * period, most_taps(rule)
        if (count[middle : middle + period] < longest).any():
            return None
        place = index[middle : middle + period, 0] - middle // period * advance
        return Steady(*found, tuple(map(int, place)), weight[middle : middle + period, :longest].copy())
    starts, counts, weight = _weighed(rule, dtype)
    groups = rule.out_size // period
    if groups < 2 or rule.out_size % period:
        return None
    first, count, shaped = (x.reshape(groups, -1) for x in (starts, counts, weight))
    middle = groups // 2
    start, pattern = first[middle] - middle * advance, shaped[middle]

    def make(low: int, high: int) -> tuple[_Array]:
        offset = first[low:high] - np.arange(low, high)[:, None] * advance
        whole = (offset == start) & (count[low:high] == weight.shape[1])
        return (whole.all(axis=1) & (shaped[low:high] == pattern).all(axis=1),)

    same = in_pieces(make, 0, groups, max(1, long_tables.PIECE // len(pattern)))[0]
    if not same[middle]:
        return None
    low = middle - int(np.argmin(same[middle::-1])) + 1 if not same[:middle].all() else 0
    high = middle + int(np.argmin(same[middle:])) if not same[middle:].all() else groups
    if (high - low) * 2 < groups:
        return None
    return Steady(low, high, tuple(map(int, start)), pattern.reshape(period, -1).copy())
