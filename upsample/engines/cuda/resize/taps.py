"""Tables of taps in the layouts of the resize kernels; the device caches them.

Weights have the type of a kernel's sums (`upsample.plans.taps.scaled`).
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
"""Flags in the high bits of a number of taps; must equal the constants of kernels/resize.cuh."""


@cached
def longest(rule: AxisRule) -> int:
    """Return the most inputs of an output, counted from its base; a flag of `Taps` counts as one more."""
    table = taps(rule)
    return int((table.first - base(table) + table.count + table.mixed_first + table.mixed_last).max())


@cached
def marches(rule: AxisRule) -> bool:
    """Tell whether each output has a tap; in transposed tables one may have none."""
    return int(taps(rule).count.min()) > 0


@cached
def widest(rule: AxisRule, outputs: int) -> int:
    """Return the most inputs that a tile of `outputs` outputs needs."""
    begin = np.arange(0, rule.out_size, outputs)
    end = np.minimum(begin + outputs, rule.out_size)
    table = taps(rule)
    return int((_reach(table)[end - 1] - base(table)[begin]).max())


def _flagged(table: Taps) -> _Array:
    """Return the number of taps of each output, with the flags in its high bits."""
    flags: _Array = _MIXED_FIRST * table.mixed_first + _MIXED_LAST * table.mixed_last
    return (table.count + flags).astype(np.int32)


def axis_tables(rule: AxisRule, dtype: str, by_output: bool) -> tuple[_Array, ...]:
    """Return the tables of one axis: first input, number of taps, base, reach and weights of each output.

    The base is the first input of this output and all later ones; the reach is one past the last input of this output
    and all earlier ones. Weights are ``[outputs, taps]`` if `by_output`, otherwise ``[taps, outputs]``.
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
    """Return the tables of an axis of which a kernel reads `width` inputs per output: (first, offsets), and weights.

    Offsets have three bits each, the first tap's lowest; the number of taps begins at bit 24. If `Taps` flags the first
    or the last tap, it is repeated with weight zero. If an output has fewer taps than `width`, the kernel reads the
    last one again, and does not weigh it.
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
    """Return the tables of an axis along which a kernel slides a window of `width` inputs: (base, own), and weights.

    Input i and its weight are at place i modulo `width` of the window, a ring buffer. Bit p of `own` tells whether
    place p contains a tap, and bit 16 + p whether `Taps` flags this tap.
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
    padded = np.zeros((len(weight), width), dtype=weight.dtype)
    padded[:, : weight.shape[1]] = weight[:, :width]
    return padded
