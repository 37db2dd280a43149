"""Compiled loops of the transposes of transposed convolution: what each tap of each cell meets, laid out in rows.

Arrays are flat; ``grid`` is as `upsample.engines.cpu.grid` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel, part
from upsample.engines.cpu.grid import AXIS, row_place
from upsample.engines.cpu.tile import BITS, ROWS, add_tiles

__all__ = ["copy", "correlate_rows", "correlate_units", "lay_out", "turn", "weigh"]

_A = np.ndarray[Any, Any]

_BITS, _ROWS, _VECTORS = BITS, ROWS, 2
_LANES = 16
"""Partial sums of a dot product, which are added in order at its end."""


@part
def _bounds(last: _A, tap: int, cell0: int, cell1: int) -> tuple[int, int, int]:
    """Where tap `tap` of the last axis lies for cell 0, and the cells of a cut from and to which it is no padding."""
    large, stride = last[0], last[3]
    start = tap * last[5] - last[4]
    low = min(max(cell0, -(start // stride)), cell1)
    return start, low, max(low, min(cell1, (large - 1 - start) // stride + 1))


@part
def copy(source: _A, at: int, stride: int, made: _A, to: int, count: int) -> None:
    """Set ``made[to + j]`` to ``source[at + stride * j]`` for `count` values of `j`."""
    begin, first, step = np.uint64(at), np.uint64(to), np.uint64(stride)
    if stride == 1:
        for j in range(np.uint64(count)):
            made[first + j] = source[begin + j]
    elif stride == 2:
        for j in range(np.uint64(count)):
            made[first + j] = source[begin + np.uint64(2) * j]
    else:
        for j in range(np.uint64(count)):
            made[first + j] = source[begin + step * j]


@part
def _clear(made: _A, to: int, count: int) -> None:
    """Set `count` values from ``made[to]`` on to zero; a slice would be counted, which takes longer than short rows."""
    first = np.uint64(to)
    for j in range(np.uint64(count)):
        made[first + j] = 0


@kernel
def lay_out(source: _A, place: int, positions: int, channels: int, grid: _A, cut: _A, step: int, made: _A) -> None:
    """Fill ``made [channels, taps, step]`` with what each tap of some cells meets, zeros in the padding.

    ``cut``: the rows of cells from and to, and the cells from and to of each; what is left of a step is not touched.
    Planes of `positions` begin at `place`.
    """
    last, leads = grid[grid.shape[0] - AXIS :], 1
    row0, row1, cell0, cell1 = cut[0], cut[1], cut[2], cut[3]
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    places = np.empty(row1 - row0, dtype=np.int64)
    for lead in range(leads):
        for row in range(row0, row1):
            places[row - row0] = row_place(grid, lead, row)
        for channel in range(channels):
            plane = place + channel * positions
            for tap in range(last[2]):
                start, low, high = _bounds(last, tap, cell0, cell1)
                to = ((channel * leads + lead) * last[2] + tap) * step
                for row in range(row1 - row0):
                    begin = places[row]
                    if begin < 0:
                        _clear(made, to, cell1 - cell0)
                    else:
                        _clear(made, to, low - cell0)
                        at = plane + begin + start + low * last[3]
                        copy(source, at, last[3], made, to + low - cell0, high - low)
                        _clear(made, to + high - cell0, cell1 - high)
                    to += cell1 - cell0


@kernel
def turn(cells: _A, place: int, apart: int, inputs: int, cut: _A, width: int, pitch: int, made: _A) -> None:
    """Fill ``made [cells, pitch]`` with the cells of a cut of `inputs` planes, `apart` from each other."""
    to = 0
    for row in range(cut[0], cut[1]):
        for cell in range(row * width + cut[2], row * width + cut[3]):
            source, target = np.uint64(place + cell), np.uint64(to)
            for c in range(np.uint64(inputs)):
                made[target + c] = cells[source + np.uint64(apart) * c]
            to += pitch


@kernel
def correlate_units(
    source: _A, place: int, sizes: tuple[int, ...], grid: _A, units: _A, cells: _A, met: _A, made: _A
) -> None:
    """Add to ``made [channels * taps, pitch]`` the products of what the taps meet and the cells of some units.

    ``units`` has a row for each: where its planes begin, and a cut as `lay_out` takes it. ``cells [units, step,
    pitch]`` has the values of each unit's cells, zeros for those that are missing. ``sizes``: positions of a plane,
    channels, taps, columns (whole vectors), the pitch and the step. `met` and `made` have room for whole tiles of rows.
    """
    positions, channels, taps, columns, pitch, step = sizes
    lanes, here = _BITS // (8 * made.itemsize), np.zeros(1, np.int64)
    for unit in range(units.shape[0]):
        cut = units[unit, 1:]
        depth = (cut[1] - cut[0]) * (cut[3] - cut[2])
        lay_out(source, units[unit, 0] + place, positions, channels, grid, cut, step, met)
        for column in range(0, columns, _VECTORS * lanes):  # this part of the cells stays in the first-level cache
            vectors = min(_VECTORS, (columns - column) // lanes)
            for row in range(0, channels * taps, _ROWS):
                at, to = unit * step * pitch + column, row * pitch + column
                numbers = (row * step, at, 0, 1, depth, depth, pitch, to, pitch)
                add_tiles((met, cells, here, made), numbers, (step, 1), vectors, lanes)


@part
def _add(source: _A, at: int, step: int, factor: Any, sums: _A, to: int, low: int, high: int) -> None:
    """Add to ``sums[to + j]``, for `j` from `low` to `high`, what stands at ``at + step * j``, weighed."""
    for j in range(low, high):
        sums[to + j] += factor * source[at + step * j]


@kernel
def weigh(source: _A, place: int, positions: int, channels: int, grid: _A, cut: _A, weight: _A, sums: _A) -> None:
    """Sum what the taps of some cells meet, weighed by ``weight [inputs, channels, taps]``: ``sums [inputs, cells]``.

    ``cut`` is as in `lay_out`. Two taps at once where they stand side by side: every value of a row is then loaded
    once.
    """
    last = grid[grid.shape[0] - AXIS :]
    row0, row1, cell0, cell1 = cut[0], cut[1], cut[2], cut[3]
    cells, width, stride, leads = cell1 - cell0, last[2], last[3], 1
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    rows = row1 - row0
    inputs = sums.shape[0] // (rows * cells)
    sums[:] = 0
    for row in range(row0, row1):
        for lead in range(leads):
            begin = row_place(grid, lead, row)
            if begin < 0:
                continue
            for tap in range(0, width, 2):
                start, low, high = _bounds(last, tap, cell0, cell1)
                also = start + last[5]
                low2, high2 = low, low
                if tap + 1 < width:
                    also, low2, high2 = _bounds(last, tap + 1, cell0, cell1)
                first, end = max(low, low2), max(low, low2, min(high, high2))
                pair = stride == 2 and last[5] == 1
                for channel in range(channels):
                    at = place + channel * positions + begin
                    for c in range(inputs):
                        to = (c * rows + row - row0) * cells - cell0
                        f = ((c * channels + channel) * leads + lead) * width + tap
                        w, v = weight[f], weight[min(f + 1, weight.shape[0] - 1)]
                        if pair:
                            x, y = np.uint64(at + start + 2 * first), np.uint64(to + first)
                            for j in range(np.uint64(end - first)):
                                k = x + np.uint64(2) * j
                                sums[y + j] += w * source[k] + v * source[k + np.uint64(1)]
                        else:
                            _add(source, at + start, stride, w, sums, to, first, end)
                            _add(source, at + also, stride, v, sums, to, first, end)
                        _add(source, at + start, stride, w, sums, to, low, min(first, high))
                        _add(source, at + start, stride, w, sums, to, max(end, low), high)
                        _add(source, at + also, stride, v, sums, to, low2, min(first, high2))
                        _add(source, at + also, stride, v, sums, to, max(end, low2), high2)


@kernel
def correlate_rows(cells: _A, rows: _A, taps: int, size: int, result: _A) -> None:
    """Add the products of ``cells [channels, size]`` and ``rows [taps, size]`` to ``result [channels, taps]``."""
    lanes = np.empty(_LANES, dtype=result.dtype)
    whole = size // _LANES * _LANES
    for channel in range(cells.shape[0] // size):
        for tap in range(taps):
            a, b = np.uint64(channel * size), np.uint64(tap * size)
            lanes[:] = 0
            for j in range(np.uint64(0), np.uint64(whole), np.uint64(_LANES)):
                for k in range(np.uint64(_LANES)):
                    lanes[k] += cells[a + j + k] * rows[b + j + k]
            total = lanes.dtype.type(0)
            for k in range(_LANES):
                total += lanes[k]
            for j in range(np.uint64(whole), np.uint64(size)):
                total += cells[a + j] * rows[b + j]
            result[channel * taps + tap] += total
