"""Compiled loops of the transposes of transposed convolution: what each tap of each cell meets, laid out in rows.

Arrays are flat. ``grid`` has `AXIS` numbers for each axis, as in `upsample.plans.window.WindowAxis`: positions, cells,
kernel, stride, padding, dilation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel

__all__ = ["AXIS", "correlate_rows", "lay_out", "weigh"]

_A = np.ndarray[Any, Any]

AXIS = 6
_LANES = 16
"""Partial sums of a dot product, which are added in order at its end."""


@kernel
def _row_place(grid: _A, tap: int, row: int) -> int:
    """Where in a plane the row lies that tap `tap` of the leading axes of row `row` of cells meets; -1 in the padding.

    Both count in row-major order without the last axis.
    """
    axes = grid.shape[0] // AXIS
    place, scale = 0, grid[AXIS * (axes - 1)]
    for axis in range(axes - 2, -1, -1):
        at = AXIS * axis
        position = row % grid[at + 1] * grid[at + 3] - grid[at + 4] + tap % grid[at + 2] * grid[at + 5]
        if position < 0 or position >= grid[at]:
            return -1
        place += position * scale
        scale *= grid[at]
        row //= grid[at + 1]
        tap //= grid[at + 2]
    return place


@kernel
def _bounds(last: _A, tap: int) -> tuple[int, int, int]:
    """Where tap `tap` of the last axis lies for cell 0, and the cells from and to which it is no padding."""
    large, small, stride = last[0], last[1], last[3]
    start = tap * last[5] - last[4]
    low = min(max(0, -(start // stride)), small)
    return start, low, max(low, min(small, (large - 1 - start) // stride + 1))


@kernel
def lay_out(source: _A, place: int, positions: int, channels: int, grid: _A, row0: int, row1: int, made: _A) -> None:
    """Fill ``made [channels, taps, row1 - row0, cells]`` with what each tap meets, zeros in the padding.

    Planes of `positions` begin at `place`.
    """
    last = grid[grid.shape[0] - AXIS :]
    cells, width, stride = last[1], last[2], np.uint64(last[3])
    leads = 1
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    places = np.empty((leads, row1 - row0), dtype=np.int64)
    for lead in range(leads):
        for row in range(row0, row1):
            places[lead, row - row0] = _row_place(grid, lead, row)
    to: Any = np.uint64(0)
    for channel in range(channels):
        plane = place + channel * positions
        for lead in range(leads):
            for tap in range(width):
                start, low, high = _bounds(last, tap)
                for row in range(row1 - row0):
                    begin = places[lead, row]
                    if begin < 0:
                        for j in range(np.uint64(cells)):
                            made[to + j] = 0
                    else:
                        for j in range(low):
                            made[to + np.uint64(j)] = 0
                        at, first = np.uint64(plane + begin + start + low * last[3]), to + np.uint64(low)
                        if stride == 1:
                            for j in range(np.uint64(high - low)):
                                made[first + j] = source[at + j]
                        elif stride == 2:
                            for j in range(np.uint64(high - low)):
                                made[first + j] = source[at + np.uint64(2) * j]
                        else:
                            for j in range(np.uint64(high - low)):
                                made[first + j] = source[at + stride * j]
                        for j in range(high, cells):
                            made[to + np.uint64(j)] = 0
                    to += np.uint64(cells)


@kernel
def _add(source: _A, at: int, step: int, factor: Any, sums: _A, to: int, low: int, high: int) -> None:
    """Add to ``sums[to + j]``, for `j` from `low` to `high`, what stands at ``at + step * j``, weighed."""
    for j in range(low, high):
        sums[to + j] += factor * source[at + step * j]


@kernel
def weigh(source: _A, place: int, positions: int, channels: int, grid: _A, rows: int, weight: _A, sums: _A) -> None:
    """Sum what the taps meet, weighed by ``weight [inputs, channels, taps]``: ``sums [inputs, rows, cells]``.

    Two taps at once where they stand side by side: every value of a row is then loaded once.
    """
    last = grid[grid.shape[0] - AXIS :]
    cells, width, stride, leads = last[1], last[2], last[3], 1
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    inputs = sums.shape[0] // (rows * cells)
    sums[:] = 0
    for row in range(rows):
        for lead in range(leads):
            begin = _row_place(grid, lead, row)
            if begin < 0:
                continue
            for tap in range(0, width, 2):
                start, low, high = _bounds(last, tap)
                also = start + last[5]
                low2, high2 = low, low
                if tap + 1 < width:
                    also, low2, high2 = _bounds(last, tap + 1)
                first, end = max(low, low2), max(low, low2, min(high, high2))
                pair = stride == 2 and last[5] == 1
                for channel in range(channels):
                    at = place + channel * positions + begin
                    for c in range(inputs):
                        to, f = (c * rows + row) * cells, ((c * channels + channel) * leads + lead) * width + tap
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
