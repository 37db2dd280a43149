"""Tables of the taps of small windows, in the layouts that `direct` reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.pool.direct import FIRST, MORE, RowSizes
from upsample.engines.cpu.pool.direct_simd import Lanes, lanes_of
from upsample.engines.cpu.runtime.compile import frozen
from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["Cells", "Rows", "few_taps"]

_Axis: TypeAlias = WindowAxis | SpanAxis

_FEW_TAPS = 64
"""Most taps of a window that the direct kernels compare."""
_SHORT = 64
"""Cells of a row up to which a table of all cells of a plane is faster than one of rows."""
_CELLS = 1 << 16
"""Most entries of a table of cells; it stays in the caches."""
_TOGETHER = 512
"""Cells that one turn pools, of several planes if planes are small."""
_LEAD = 1 << 18
"""Most entries of a table of rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Every tap of every cell of a plane, of several planes where they are small.

    Attributes
    ----------
    sizes : tuple of int
        Positions and cells a plane, planes at once.
    taps : array
        ``[taps, cells]``.
    home : array
        Where the plane of each cell begins.
    places : array
        What each position adds to an index; empty if that is its own number.
    lanes : Lanes or None
        The same for vectors of float32, where rows are short.
    """

    sizes: tuple[int, int, int]
    taps: NDArray
    home: NDArray
    places: NDArray
    lanes: Lanes | None

    @property
    def count(self) -> int:
        """Taps of a window."""
        return len(self.taps)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The tables of `direct.pool_rows`, by which rows of cells find their taps."""

    sizes: RowSizes
    lead: NDArray
    places: NDArray
    across: NDArray
    columns: NDArray

    @property
    def count(self) -> int:
        """Taps of a window."""
        return len(self.across)


def few_taps(axes: tuple[_Axis, ...], weights: tuple[int, ...]) -> Cells | Rows | None:
    """Lay out the taps, or None where there are many, or where a window has none inside.

    `weights` are what a step along each axis adds to an index.
    """
    taps = math.prod(axis.longest if isinstance(axis, SpanAxis) else axis.kernel for axis in axes)
    windows = [axis for axis in axes if isinstance(axis, WindowAxis)]
    if taps > _FEW_TAPS or not all(axis.every_window_has_an_element() for axis in windows):
        return None
    size, cells = (math.prod(numbers) for numbers in zip(*((a.large, a.small) for a in axes), strict=True))
    *leading, last = axes
    large = tuple(axis.large for axis in axes)
    whole = weights == tuple(math.prod(large[axis + 1 :]) for axis in range(len(large)))
    if last.small <= _SHORT and (cells + _TOGETHER) * (taps + MORE) <= _CELLS and size < (1 << 21 if whole else _CELLS):
        if not whole:
            return _cells(_joined(axes), size, _places(large, weights), None)
        return _cells(_joined(axes), size, _places((), ()), lanes_of(large, _joined(leading), _positions(last)))
    rows = math.prod(axis.small for axis in leading)
    apart = sum(axis.large * weight for axis, weight in zip(leading, weights, strict=False)) + last.large
    if isinstance(last, SpanAxis) or rows * (taps + MORE) > _LEAD or apart >= 1 << 31:
        return None
    return _rows(last, _joined(leading), _weighed(leading, weights), math.prod(large[:-1]))


def _positions(axis: _Axis) -> NDArray:
    """Where the taps of each cell lie; one in the padding lies where the nearest one inside does."""
    if isinstance(axis, SpanAxis):
        (first, count), before = axis.spans(0, axis.small), np.zeros(axis.small, dtype=np.int64)
        step, taps = 1, axis.longest
    else:
        before, step, taps = axis.first_inside(), axis.dilation, axis.kernel
        first = axis.positions(0) + before * step
        count = np.minimum(taps - before, -(-(axis.large - first) // step))
    tap = np.arange(taps) - before[:, None]
    return np.asarray(first[:, None] + np.clip(tap, 0, count[:, None] - 1) * step)


def _joined(axes: Iterable[_Axis]) -> NDArray:
    """Positions of the taps of several axes together, ``[cells, taps]``."""
    joined = np.zeros((1, 1), dtype=np.int64)
    for axis in axes:
        table = _positions(axis)
        both = joined[:, None, :, None] * axis.large + table[None, :, None, :]
        joined = both.reshape(joined.shape[0] * table.shape[0], -1)
    return joined


def _weighed(axes: Iterable[_Axis], weights: tuple[int, ...]) -> NDArray:
    """What the taps of several axes together add to an index, ``[cells, taps]``."""
    total = np.zeros((1, 1), dtype=np.int64)
    for axis, weight in zip(axes, weights, strict=False):
        table = _positions(axis) * weight
        total = (total[:, None, :, None] + table[None, :, None, :]).reshape(len(total) * len(table), -1)
    return total


def _places(large: tuple[int, ...], weights: tuple[int, ...]) -> NDArray:
    """What each position adds to an index, flat; nothing for no axes."""
    place = np.zeros(1 if large else 0, dtype=np.int64)
    for size, weight in zip(large, weights, strict=True):
        place = (place[:, None] + np.arange(size) * weight).reshape(-1)
    return frozen(place)


def _whole_turns(table: NDArray) -> NDArray:
    """Repeat the last tap until the turns are full."""
    taps = table.shape[-1]
    missing = FIRST - taps if taps < FIRST else -(taps - FIRST) % MORE
    return np.concatenate([table, np.repeat(table[..., -1:], missing, axis=-1)], axis=-1)


def _cells(table: NDArray, size: int, places: NDArray, lanes: Lanes | None) -> Cells:
    group = max(1, _TOGETHER // len(table))
    home = np.repeat(np.arange(group) * size, len(table))
    taps = np.tile(_whole_turns(table).T, (1, group)) + home
    packed = np.ascontiguousarray(taps, dtype=np.uint32)
    return Cells((size, len(table), group), frozen(packed), frozen(home.astype(np.uint32)), places, lanes)


def _rows(last: WindowAxis, lead: NDArray, places: NDArray, in_rows: int) -> Rows:
    low = min(-(-last.padding // last.stride), last.small)  # the cells that have all their taps inside
    high = min(max((last.large + last.padding - last.reach) // last.stride + 1, low), last.small)
    kernel, leads = last.kernel, lead.shape[1]
    across = np.tile(np.arange(kernel) * last.dilation - last.padding, leads)
    border = np.concatenate([_positions(last.cells(0, low)), _positions(last.cells(high, last.small))])
    border = np.tile(border, (1, leads))
    sizes = RowSizes(in_rows, len(lead), last.small, last.stride, low, high)
    tables = (np.repeat(lead, kernel, axis=1), np.repeat(places, kernel, axis=1), across, border)
    return Rows(sizes, *(frozen(np.ascontiguousarray(_whole_turns(table))) for table in tables))
