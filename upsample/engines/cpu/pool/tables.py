"""Tables of the taps of small windows, in the layouts that the direct kernels read."""

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

__all__ = ["Cells", "Rows", "direct_tables"]

_Axis: TypeAlias = WindowAxis | SpanAxis

_MAX_TAPS = 64
"""Most taps of a window that the direct kernels compare."""
_SHORT = 64
"""Most cells of a row for which a table of all cells of a plane is faster than one of rows."""
_CELLS = 1 << 16
"""Most entries of a table of cells; it stays in the caches."""
_TOGETHER = 512
"""Cells that `pool_cells` pools at once, of several planes if planes are small."""
_LEAD = 1 << 18
"""Most entries of a table of rows; it stays in the caches."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The tables of `direct.pool_cells`: every tap of every cell of a plane, or of several small planes.

    Attributes
    ----------
    sizes : tuple of int
        Positions of a plane, cells of a plane, planes at once.
    taps : array
        Position of each tap, ``[taps, cells]``.
    home : array
        Position at which each cell's plane begins.
    weights : array
        What each position adds to an index; empty if it adds its own number.
    lanes : Lanes or None
        The tables of `direct_simd.pool_lanes`, if rows fit its vectors.
    """

    sizes: tuple[int, int, int]
    taps: NDArray
    home: NDArray
    weights: NDArray
    lanes: Lanes | None

    @property
    def count(self) -> int:
        """Taps of a window."""
        return len(self.taps)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The tables of `direct.pool_rows`: the taps of rows of cells; `pool_rows` says what each array contains."""

    sizes: RowSizes
    lead: NDArray
    weights: NDArray
    across: NDArray
    columns: NDArray

    @property
    def count(self) -> int:
        """Taps of a window."""
        return len(self.across)


def direct_tables(axes: tuple[_Axis, ...], weights: tuple[int, ...]) -> Cells | Rows | None:
    """Return the tables of a direct kernel, or None if windows have many taps or one has no tap inside.

    A step along an axis adds the axis's entry of `weights` to an index.
    """
    taps = math.prod(axis.longest if isinstance(axis, SpanAxis) else axis.kernel for axis in axes)
    windows = [axis for axis in axes if isinstance(axis, WindowAxis)]
    if taps > _MAX_TAPS or not all(axis.every_window_has_an_element() for axis in windows):
        return None
    size, cells = (math.prod(numbers) for numbers in zip(*((a.large, a.small) for a in axes), strict=True))
    *leading, last = axes
    large = tuple(axis.large for axis in axes)
    is_full = weights == tuple(math.prod(large[axis + 1 :]) for axis in range(len(large)))  # not a part of a plane
    most = 1 << 21 if is_full else _CELLS
    if last.small <= _SHORT and (cells + _TOGETHER) * (taps + MORE) <= _CELLS and size < most:
        if not is_full:
            return _cells(_joined(axes), size, _weights(large, weights), None)
        return _cells(_joined(axes), size, _weights((), ()), lanes_of(large, _joined(leading), _positions(last)))
    rows = math.prod(axis.small for axis in leading)
    apart = sum(axis.large * weight for axis, weight in zip(leading, weights, strict=False)) + last.large
    if isinstance(last, SpanAxis) or rows * (taps + MORE) > _LEAD or apart >= 1 << 31:
        return None
    return _rows(last, _joined(leading), _tap_weights(leading, weights), math.prod(large[:-1]))


def _positions(axis: _Axis) -> NDArray:
    """Return the position of each tap, ``[cells, taps]``; a tap in the padding has that of the nearest one inside."""
    if isinstance(axis, SpanAxis):
        (first, count), before = axis.spans(0, axis.small), np.zeros(axis.small, dtype=np.int64)
        step, taps = 1, axis.longest
    else:
        if axis.padding == 0 and (axis.small - 1) * axis.stride + axis.reach <= axis.large:  # no tap is outside
            return np.add.outer(np.arange(axis.small) * axis.stride, np.arange(axis.kernel) * axis.dilation)
        before, step, taps = axis.first_inside(), axis.dilation, axis.kernel
        first = axis.positions(0) + before * step
        count = np.minimum(taps - before, -(-(axis.large - first) // step))
    tap = np.arange(taps) - before[:, None]
    return np.asarray(first[:, None] + np.clip(tap, 0, count[:, None] - 1) * step)


def _joined(axes: Iterable[_Axis]) -> NDArray:
    """Return flat positions of the taps of several axes together, ``[cells, taps]``."""
    total = np.zeros((1, 1), dtype=np.int64)
    for axis in axes:
        total = _outer_sum(total * axis.large, _positions(axis))
    return total


def _tap_weights(axes: Iterable[_Axis], weights: tuple[int, ...]) -> NDArray:
    """Return what the taps of several axes together add to an index, ``[cells, taps]``."""
    total = np.zeros((1, 1), dtype=np.int64)
    for axis, weight in zip(axes, weights, strict=False):
        total = _outer_sum(total, _positions(axis) * weight)
    return total


def _outer_sum(outer: NDArray, inner: NDArray) -> NDArray:
    """Add each entry of `outer` to each entry of `inner`, both ``[cells, taps]``, in row-major order of both axes."""
    return (outer[:, None, :, None] + inner[None, :, None, :]).reshape(len(outer) * len(inner), -1)


def _weights(large: tuple[int, ...], weights: tuple[int, ...]) -> NDArray:
    """Return what each position of a plane adds to an index, flat; an empty array for no axes."""
    total = np.zeros(1 if large else 0, dtype=np.int64)
    for size, weight in zip(large, weights, strict=True):
        total = (total[:, None] + np.arange(size) * weight).reshape(-1)
    return frozen(total)


def _filled_passes(table: NDArray) -> NDArray:
    """Repeat the last tap until it fills the last pass of the direct kernels."""
    taps = table.shape[-1]
    missing = FIRST - taps if taps < FIRST else -(taps - FIRST) % MORE
    return np.concatenate([table, np.repeat(table[..., -1:], missing, axis=-1)], axis=-1)


def _cells(table: NDArray, size: int, weights: NDArray, lanes: Lanes | None) -> Cells:
    group = max(1, _TOGETHER // len(table))
    home = np.repeat(np.arange(group) * size, len(table))
    taps = np.tile(_filled_passes(table).T, (1, group)) + home
    packed = np.ascontiguousarray(taps, dtype=np.uint32)
    return Cells((size, len(table), group), frozen(packed), frozen(home.astype(np.uint32)), weights, lanes)


def _rows(last: WindowAxis, lead: NDArray, weights: NDArray, in_rows: int) -> Rows:
    low = min(-(-last.padding // last.stride), last.small)  # cells from `low` to `high` have no tap in the padding
    high = min(max((last.large + last.padding - last.reach) // last.stride + 1, low), last.small)
    kernel, leads = last.kernel, lead.shape[1]
    across = np.tile(np.arange(kernel) * last.dilation - last.padding, leads)
    border = np.concatenate([_positions(last.cells(0, low)), _positions(last.cells(high, last.small))])
    border = np.tile(border, (1, leads))
    sizes = RowSizes(in_rows, len(lead), last.small, last.stride, low, high)
    tables = (np.repeat(lead, kernel, axis=1), np.repeat(weights, kernel, axis=1), across, border)
    return Rows(sizes, *(frozen(np.ascontiguousarray(_filled_passes(table))) for table in tables))
