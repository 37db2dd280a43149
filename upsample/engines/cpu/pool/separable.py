"""Separable max-pooling: reduce each input row along the last axis, then select among rows.

The first maximum in row-major order is the first maximum of the first row that contains it; the first NaN and the last
NaN are found by the same rule. Therefore the kernels reduce each row once, however many windows share it, and the inner
loops run over neighboring cells.

Arrays are flat. ``grid`` contains the windows as numbers (`driver._grid` fills it): `AXIS` numbers of the last axis,
then of each leading axis, first to last. The tables of the axes follow, three an axis, with an entry for each cell: the
first position inside, the number of taps inside, and the number of taps before it. One call pools a `Piece`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.pool.piece import Piece
from upsample.engines.cpu.runtime.compile import kernel, part

__all__ = ["AXIS", "pool_indices", "pool_values"]


AXIS = 8
"""Numbers of an axis in the grid: positions, cells, kernel (0: adaptive), stride, padding, dilation, weight, place of
its tables. The weight is what a step adds to an index: a step by a position, or by a tap if indices are local to the
window, and always by a tap on the last axis."""


@part
def _wins(value: Any, best: Any, last_nan: bool) -> Any:
    """Tell whether `value` replaces the maximum `best` of the values before it."""
    return (value > best) | ((value != value) & (last_nan | (best == best)))


@part
def _deal(row: NDArray, start: int, low: int, stride: int, phases: NDArray) -> None:
    """Copy each position from `start` on to its phase of the stride; `row` begins at position `low`.

    The kernel leaves positions that `row` does not contain as they are.
    """
    length, high = phases.shape[1], low + row.shape[0]
    for phase in range(stride):
        first = start + phase
        begin, end = max(0, -((first - low) // stride)), min(length, -((first - high) // stride))
        if end <= begin:
            continue
        source, line = row[first + stride * begin - low :], phases[phase, begin:end]
        if stride == 1:
            for j in range(end - begin):
                line[j] = source[j]
        elif stride == 2:
            for j in range(end - begin):
                line[j] = source[2 * j]
        else:
            for j in range(end - begin):
                line[j] = source[stride * j]


@part
def _reduce(
    phases: NDArray, begin: int, grid: NDArray, local: bool, lowest: Any, last_nan: bool, v: NDArray, c: NDArray
) -> None:
    """Reduce the phases of a row to maxima `v` and their shares `c` of an index, for the cells from `begin` on."""
    cells = v.shape[0]
    taps, stride, dilation, of_tap = grid[2], grid[3], grid[5], grid[6]
    of_cell = 0 if local else stride
    origin = 0 if local else begin * stride - grid[4]
    firsts = grid[grid[7] + begin : grid[7] + begin + cells]
    line = phases[0, :cells]
    for i in range(cells):
        first = 0 if local else firsts[i]
        v[i] = line[i]
        c[i] = origin + i * of_cell if _wins(line[i], lowest, True) else first
    for tap in range(1, taps):
        shift = tap * dilation
        line = phases[shift % stride, shift // stride : shift // stride + cells]
        place = origin + tap * of_tap
        for i in range(cells):
            wins = _wins(line[i], v[i], last_nan)
            v[i] = line[i] if wins else v[i]
            c[i] = place + i * of_cell if wins else c[i]


@part
def _reduce_values(phases: NDArray, taps: int, stride: int, dilation: int, last_nan: bool, v: NDArray) -> None:
    """Reduce the phases of a row to maxima `v`."""
    cells = v.shape[0]
    line = phases[0, :cells]
    for i in range(cells):
        v[i] = line[i]
    for tap in range(1, taps):
        shift = tap * dilation
        line = phases[shift % stride, shift // stride : shift // stride + cells]
        for i in range(cells):
            v[i] = line[i] if _wins(line[i], v[i], last_nan) else v[i]


@part
def _reduce_spans(row: NDArray, low: int, begin: int, grid: NDArray, last_nan: bool, v: NDArray, c: NDArray) -> None:
    """Reduce a row by adaptive windows, whose bounds are in tables; `row` begins at position `low`."""
    table, row_cells = grid[7], grid[1]
    for i in range(v.shape[0]):
        first = grid[table + begin + i]
        best, place = row[first - low], first
        for x in range(first + 1, first + grid[table + row_cells + begin + i]):
            if _wins(row[x - low], best, last_nan):
                best, place = row[x - low], x
        v[i], c[i] = best, place


@part
def _source(grid: NDArray, axes: int, cell: int, tap: int, local: bool) -> tuple[int, int]:
    """Return the input row of tap `tap` of a row of cells, counted over all planes, and what it adds to an index."""
    row, weight, scale = 0, 0, 1
    for axis in range(axes, 0, -1):
        at = AXIS * axis
        size, cells, table = grid[at], grid[at + 1], grid[at + 7]
        i = cell % cells
        cell //= cells
        count = grid[table + cells + i]
        t = tap % count
        tap //= count
        position = grid[table + i] + t * grid[at + 5]
        row += scale * position
        weight += grid[at + 6] * (grid[table + 2 * cells + i] + t if local else position)
        scale *= size
    return row + cell * scale, weight


@part
def _taps(grid: NDArray, axes: int, cell: int) -> int:
    """Count the input rows that a row of cells reads."""
    total = 1
    for axis in range(axes, 0, -1):
        at = AXIS * axis
        cells = grid[at + 1]
        total *= grid[grid[at + 7] + cells + cell % cells]
        cell //= cells
    return total


@kernel
def pool_indices(
    x: NDArray,
    _scratch: NDArray,
    values: NDArray,
    indices: NDArray,
    grid: NDArray,
    axes: int,
    piece: Piece,
    cached: int,
    is_local: bool,
    origin: int,
    lowest: NDArray,
    last_nan: bool,
    step: int,
) -> None:
    """Pool rows of cells. `values` begins at the piece's first cell; its rows are `step` apart.

    `indices` begins at the first cell of the result. One thread pools a piece, and no other piece writes its cells. The
    kernel compares taps in row-major order.
    """
    row0, row1, begin, end = piece.row_begin, piece.row_end, piece.begin, piece.end
    x_row, x_low, width = piece.first_row, piece.first_position, piece.width
    cells, row_cells, stride = end - begin, grid[1], max(grid[3], 1)
    low = lowest[0]
    reach = cells + (grid[2] - 1) * grid[5] // stride if grid[2] else 0
    phases = np.full((stride, max(reach, 0)), low, x.dtype)
    tags = np.full(cached, -1, np.int64)
    best, place = np.empty((cached, cells), x.dtype), np.empty((cached, cells), np.int64)
    for cell in range(row0, row1):
        v = values[(cell - row0) * step : (cell - row0) * step + cells]
        c = indices[cell * row_cells + begin : cell * row_cells + end]
        total = _taps(grid, axes, cell)
        if total == 0 or (is_local and total > 0):
            for i in range(cells):
                v[i], c[i] = low, 0
        for tap in range(total):
            row, weight = _source(grid, axes, cell, tap, is_local)
            slot = row % cached
            bv, bc = best[slot], place[slot]
            if tags[slot] != row:
                tags[slot] = row
                line = x[(row - x_row) * width : (row - x_row + 1) * width]
                if grid[2] == 0:
                    _reduce_spans(line, x_low, begin, grid, last_nan, bv, bc)
                else:
                    _deal(line, begin * stride - grid[4], x_low, stride, phases)
                    _reduce(phases, begin, grid, is_local, low, last_nan, bv, bc)
            base = origin + weight
            if tap == 0 and not is_local:
                for i in range(cells):
                    v[i] = bv[i]
                    c[i] = base + bc[i]
            else:
                for i in range(cells):
                    wins = _wins(bv[i], v[i], last_nan)
                    v[i] = bv[i] if wins else v[i]
                    c[i] = base + bc[i] if wins else c[i]


@kernel
def pool_values(
    x: NDArray,
    _scratch: NDArray,
    values: NDArray,
    _indices: NDArray,
    grid: NDArray,
    axes: int,
    piece: Piece,
    cached: int,
    is_local: bool,
    origin: int,
    lowest: NDArray,
    last_nan: bool,
    step: int,
) -> None:
    """Pool rows of cells as `pool_indices` does, without indices."""
    row0, row1, begin, end = piece.row_begin, piece.row_end, piece.begin, piece.end
    x_row, x_low, width = piece.first_row, piece.first_position, piece.width
    cells, stride, low = end - begin, max(grid[3], 1), lowest[0]
    reach = cells + (grid[2] - 1) * grid[5] // stride if grid[2] else 0
    phases = np.full((stride, max(reach, 0)), low, x.dtype)
    tags = np.full(cached, -1, np.int64)
    best, place = np.empty((cached, cells), x.dtype), np.empty(cells, np.int64)
    for cell in range(row0, row1):
        v = values[(cell - row0) * step : (cell - row0) * step + cells]
        v[:] = low
        for tap in range(_taps(grid, axes, cell)):
            row, _ = _source(grid, axes, cell, tap, True)
            slot = row % cached
            bv = best[slot]
            if tags[slot] != row:
                tags[slot] = row
                line = x[(row - x_row) * width : (row - x_row + 1) * width]
                if grid[2] == 0:
                    _reduce_spans(line, x_low, begin, grid, last_nan, bv, place)
                else:
                    _deal(line, begin * stride - grid[4], x_low, stride, phases)
                    _reduce_values(phases, grid[2], stride, grid[5], last_nan, bv)
            if tap == 0:
                for i in range(cells):
                    v[i] = bv[i]
            else:
                for i in range(cells):
                    v[i] = bv[i] if _wins(bv[i], v[i], last_nan) else v[i]
