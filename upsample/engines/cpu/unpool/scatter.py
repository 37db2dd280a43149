"""Kernels of max-unpooling: convert indices to positions, then scatter in row-major order with bounds checks.

Arrays are flat; ``grid`` is as `runtime.window_grid` says. Indices are data: whatever they say, nothing is read
or written outside of the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.nontemporal import stream
from upsample.engines.cpu.runtime.window_grid import AXIS, row_place

__all__ = ["any_outside", "first_twice", "make_bands", "make_planes", "own_targets", "window_targets"]


_CLEARED = 1 << 12
"""Output positions zeroed together, of several planes if planes are small."""


@kernel
def any_outside(where: NDArray, least: int, count: int) -> Any:
    """Whether some index is outside ``[least, least + count)``."""
    bad: Any = False
    size = np.uint64(count)
    for i in range(where.shape[0]):
        bad |= np.uint64(where[i] - least) >= size
    return bad


@kernel
def first_twice(where: NDArray, planes: int, begin: int, seen: NDArray) -> int:
    """Return the number of the first cell that names a position which an earlier cell of its plane named; -1 if none.

    Only positions from `begin` on count, as many in each plane as `seen [planes, positions]` has; it remembers them.
    """
    cells, positions = where.shape[0] // planes, seen.shape[0] // planes
    size = np.uint64(positions)
    for plane in range(planes):
        base = np.uint64(plane * positions)
        for i in range(plane * cells, (plane + 1) * cells):
            target = np.uint64(where[i] - begin)
            if target < size:
                if seen[base + target]:
                    return i
                seen[base + target] = 1
    return -1


@part
def _scatter(
    values: NDArray,
    where: NDArray,
    first: int,
    last: int,
    bounds: tuple[int, int, int, int],
    adding: bool,
    made: NDArray,
    base: int,
) -> Any:
    """Write, or add, the values of cells `first` to `last` to `made`, in order; return whether an index was illegal.

    ``bounds``: the first position of the range in its plane, and how many positions it has; the first legal index, and
    how many indices are legal. The range begins at ``made[base]``.
    """
    size, every, to = np.uint64(bounds[1]), np.uint64(bounds[3]), np.uint64(base)
    bad: Any = False
    for j in range(np.uint64(first), np.uint64(last)):
        target = np.uint64(where[j] - bounds[0])
        if target < size:
            if adding:
                made[to + target] += values[j]
            else:
                made[to + target] = values[j]
        else:
            bad |= np.uint64(where[j] - bounds[2]) >= every
    return bad


@kernel
def make_planes(
    values: NDArray, where: NDArray, planes: int, part: tuple[int, int, bool, bool], scratch: NDArray, result: NDArray
) -> Any:
    """Write or add the values of each plane to their positions in row-major order, so that the last one stays.

    ``part``: where the positions of `result` begin in each plane, and how many a plane has; whether the kernel zeroes
    `result` first; whether values add. If `scratch` is not empty, the kernel computes planes in it and streams them to
    `result`. Returns whether some index was outside of its plane. Each part has one thread.
    """
    begin, positions, clear, adding = part
    cells, size = where.shape[0] // planes, result.shape[0] // planes
    together, streamed = max(1, _CLEARED // max(size, 1)), scratch.shape[0] > 0
    bad: Any = False
    for first in range(0, planes, together):
        count = min(together, planes - first)
        target = result[first * size : (first + count) * size]
        made = scratch[: count * size] if streamed else target
        if clear:
            made[:] = 0
        for plane in range(count):
            cell = (first + plane) * cells
            bounds = (begin, size, 0, positions)
            bad |= _scatter(values, where, cell, cell + cells, bounds, adding, made, plane * size)
        if streamed:
            stream(made, target)
    return bad


@kernel
def make_bands(
    values: NDArray,
    where: NDArray,
    bands: NDArray,
    spans: NDArray,
    start: tuple[int, int, int],
    adding: bool,
    scratch: NDArray,
    result: NDArray,
) -> Any:
    """Zero bands of a plane, then write or add the values of the cells whose windows overlap them.

    ``bands`` has a row for each band: its positions from and to, the slices of cells from and to whose windows overlap
    it, and the slices from and to whose windows are entirely in it. ``spans`` has a row for each slice: the positions
    from and to that its windows reach. ``start``: the position that `result` begins with, the slice that `values` and
    `where` begin with, and the cells of a slice. Slices go in order, so that the last one stays. If `scratch` is not
    empty, the kernel computes a band in it and streams it to `result`. Returns whether some index was outside of its
    window's slices and of the band; if so, the caller discards the bands. Each call has one thread.
    """
    far: Any = False
    for number in range(bands.shape[0]):
        begin, end, at, last, whole0, whole1 = bands[number]
        target = result[begin - start[0] : end - start[0]]
        made = scratch[: end - begin] if scratch.shape[0] > 0 else target
        made[:] = 0
        while at < last:
            to, low, high = at + 1, spans[at, 0], spans[at, 1]
            if whole0 <= at < whole1:  # no other band reads these cells
                to, low, high = whole1, begin, end
            bounds, cell = (begin, end - begin, low, high - low), (at - start[1]) * start[2]
            far |= _scatter(values, where, cell, (to - start[1]) * start[2], bounds, adding, made, 0)
            at = to
        if scratch.shape[0] > 0:
            stream(made, target)
    return far


@part
def _find_bases(grid: NDArray, row: int, rows: int, bases: NDArray) -> None:
    """Store the places of the rows that the taps of a row of cells read; -1 for rows in the padding."""
    for tap in range(bases.shape[0]):
        bases[tap] = row_place(grid, tap, row % rows)


@kernel
def window_targets(where: NDArray, first: int, rows: int, taps: int, grid: NDArray, target: NDArray) -> None:
    """Convert indices that count in windows of `taps` rows to positions in planes; -1 in the padding.

    Negative indices count from the window's end. `first` is the number of the first cell; a plane has `rows` rows of
    cells.
    """
    last = grid[grid.shape[0] - AXIS :]
    size, row_cells, width, stride, pad, dilation = last[0], last[1], last[2], last[3], last[4], last[5]
    bases = np.empty(taps, np.int64)
    known = -1
    for i in range(where.shape[0]):
        row, cell = (first + i) // row_cells, (first + i) % row_cells
        if row != known:
            _find_bases(grid, row, rows, bases)
            known = row
        index = where[i]
        if index < 0:
            index += taps * width
        position = -1
        if index >= 0 and index < taps * width:
            base, column = bases[index // width], cell * stride - pad + index % width * dilation
            if base >= 0 and column >= 0 and column < size:
                position = base + column
        target[i] = position


@kernel
def own_targets(where: NDArray, first: int, rows: int, taps: int, grid: NDArray, target: NDArray) -> None:
    """Copy the indices that are in their own windows, which have `taps` rows; write -1 for the others."""
    last = grid[grid.shape[0] - AXIS :]
    size, row_cells, width, stride, pad, dilation = last[0], last[1], last[2], last[3], last[4], last[5]
    bases = np.empty(taps, np.int64)
    known = -1
    for i in range(where.shape[0]):
        row, cell = (first + i) // row_cells, (first + i) % row_cells
        if row != known:
            _find_bases(grid, row, rows, bases)
            known = row
        position = -1
        for base in bases:
            column = where[i] - base
            offset = column - (cell * stride - pad)
            inside = base >= 0 and column >= 0 and column < size
            if inside and offset >= 0 and offset < width * dilation and offset % dilation == 0:
                position = where[i]
        target[i] = position
