"""Taps of a plan in the layout of the kernels, cached on the device.

Weights are in the type in which a kernel sums (`upsample.plans.taps.scaled`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from upsample.caches import cached
from upsample.plans.resize import AxisRule
from upsample.plans.taps import Taps, scaled, taps

__all__ = ["axis_tables", "base", "longest", "marches", "place_tables", "run_tables", "widest"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_MIXED_FIRST, _MIXED_LAST = 1 << 29, 1 << 30
"""Flags above the number of taps; as in kernels/resize.cuh."""


@cached
def longest(rule: AxisRule) -> int:
    """Return the most inputs of an output, from its base on; taps that `Taps` merged and an infinity shows count."""
    table = taps(rule)
    return int((table.first - base(table) + table.count + table.mixed_first + table.mixed_last).max())


@cached
def marches(rule: AxisRule) -> bool:
    """Tell whether every output has a tap; transposed tables may not."""
    return int(taps(rule).count.min()) > 0


@cached
def widest(rule: AxisRule, outputs: int) -> int:
    """Return how many inputs the outputs of a tile are made of, at most."""
    begin = np.arange(0, rule.out_size, outputs)
    end = np.minimum(begin + outputs, rule.out_size)
    table = taps(rule)
    return int((_reach(table)[end - 1] - base(table)[begin]).max())


def _flagged(table: Taps) -> _Array:
    """Return the number of taps of each output, with its flags."""
    flags: _Array = _MIXED_FIRST * table.mixed_first + _MIXED_LAST * table.mixed_last
    return (table.count + flags).astype(np.int32)


def axis_tables(rule: AxisRule, dtype: str, by_output: bool) -> tuple[_Array, ...]:
    """Make the tables of one axis: first, count, base and reach, and weight.

    The runs of an output and of those after it begin at its base or later, those of it and before end by its reach.

    `by_output` puts the weights of an output side by side, else those of neighbours.
    """
    table, weight = scaled(rule, dtype)
    weight = weight if by_output else weight.T
    return table.first, _flagged(table), base(table), _reach(table), np.ascontiguousarray(weight)


def base(table: Taps) -> _Array:
    """Return the input at which the runs of each output and of those behind it begin, or before which they do not."""
    lowest: _Array = np.ascontiguousarray(np.minimum.accumulate(table.first[::-1])[::-1])
    return lowest


def _reach(table: Taps) -> _Array:
    reach: _Array = np.maximum.accumulate(table.first + table.count)
    return reach


def place_tables(rule: AxisRule, dtype: str, width: int) -> tuple[_Array, ...]:
    """Make the tables of an axis of which a kernel reads `width` inputs an output: (first, offsets), and the weights.

    Three bits an offset, the first tap's lowest; from bit 24 on the number of taps. The first or the last tap comes
    again, with weight zero, where `Taps` flags that. Where an output has fewer taps than `width`, the last one is read
    again and not weighed.
    """
    table, weight = scaled(rule, dtype)
    count, place, taps = table.count[:, None], np.arange(width), table.count
    offset = np.minimum(place, count - 1)
    if dtype.startswith("float"):
        taps = taps + table.mixed_first + table.mixed_last
        offset = np.where(table.mixed_first[:, None] & (place == count), 0, offset)
    bits = (offset.astype(np.int64) << 3 * place).sum(axis=1) + (taps << 24)
    places = np.stack([table.first, bits], axis=1).astype(np.int32)
    return places, np.ascontiguousarray(_padded(weight, width))


def run_tables(rule: AxisRule, dtype: str, width: int) -> tuple[_Array, ...]:
    """Make the tables of an axis along which a kernel moves a window of `width` inputs: (base, own), and the weights.

    Input i is at place i modulo `width` of the window, and so is its weight. A bit of `own` says for each place
    whether it holds a tap, one 16 higher whether `Taps` flags that.
    """
    table, weight = scaled(rule, dtype)
    begin = base(table)
    tap = (np.arange(width) - begin[:, None]) % width - (table.first - begin)[:, None]
    own = (tap >= 0) & (tap < table.count[:, None])
    flagged = (tap == 0) & table.mixed_first[:, None]
    flagged |= (tap == table.count[:, None] - 1) & table.mixed_last[:, None]
    bits = (own << np.arange(width)).sum(axis=1) + (flagged << np.arange(16, 16 + width)).sum(axis=1)
    runs = np.stack([begin, bits], axis=1).astype(np.int32)
    weights = np.take_along_axis(_padded(weight, width), np.maximum(tap, 0), axis=1)
    return runs, np.ascontiguousarray(np.where(own, weights, 0).astype(dtype))


def _padded(weight: _Array, width: int) -> _Array:
    made = np.zeros((len(weight), width), dtype=weight.dtype)
    made[:, : weight.shape[1]] = weight[:, :width]
    return made
