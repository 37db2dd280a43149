"""Compiled loops of max-unpooling: what an index means, and a guarded scatter in row-major order.

Arrays are flat. Indices are data: whatever they say, nothing is read or written outside of the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel

__all__ = ["AXIS", "add", "any_outside", "any_twice", "own_targets", "place", "place_band", "window_targets"]

_A = np.ndarray[Any, Any]

AXIS = 6
"""Numbers of an axis in ``grid``: positions, cells, kernel, stride, padding, dilation."""
_CLEARED = 1 << 12
"""Positions that are zeroed together, of several planes where these are small."""


@kernel
def any_outside(where: _A, least: int, count: int) -> Any:
    """Whether some index is outside ``[least, least + count)``."""
    bad: Any = False
    size = np.uint64(count)
    for i in range(where.shape[0]):
        bad |= np.uint64(where[i] - least) >= size
    return bad


@kernel
def any_twice(where: _A, planes: int, begin: int, seen: _A) -> bool:
    """Whether two cells of a plane name one position from `begin` on, as far as `seen`, scratch, reaches."""
    cells, size = where.shape[0] // planes, np.uint64(seen.shape[0])
    for plane in range(planes):
        seen[:] = 0
        for i in range(plane * cells, (plane + 1) * cells):
            target = np.uint64(where[i] - begin)
            if target < size:
                if seen[target]:
                    return True
                seen[target] = 1
    return False


@kernel
def place(values: _A, where: _A, planes: int, begin: int, positions: int, clear: bool, result: _A) -> Any:
    """Write the values of each plane to their positions from `begin` on, the last in row-major order to stay.

    `result` is that range of each plane; all of it is zeroed first where `clear`. Returns whether some index was
    outside ``[0, positions)``. One thread a range.
    """
    cells, size = where.shape[0] // planes, result.shape[0] // planes
    every, reach, together = np.uint64(positions), np.uint64(size), max(1, _CLEARED // max(size, 1))
    bad: Any = False
    for plane in range(planes):
        base, c = np.uint64(plane * size), np.uint64(plane * cells)
        if clear and plane % together == 0:
            for j in range(np.uint64(min(together, planes - plane) * size)):
                result[base + j] = 0
        for j in range(np.uint64(cells)):
            index = where[c + j]
            target = np.uint64(index - begin)
            if target < reach:
                result[base + target] = values[c + j]
            else:
                bad |= np.uint64(index) >= every
    return bad


@kernel
def place_band(values: _A, where: _A, band: tuple[int, ...], result: _A) -> bool:
    """Write what lies in the windows of some slices of cells to a band of positions, which is zeroed first.

    ``band``: where the band begins in `result`, its positions in the plane from and to, the first slice of cells and
    how many; cells of a slice; positions of a slice, and how many; reach, stride and padding of windows on the first
    axis. `values` and `where` begin at the first slice. Returns whether some index was outside of its window's slices;
    the band then is of no use. One thread a band; slices in order, so that the last one stays.
    """
    base, begin, end, first, slices, cells, line, large, reach, stride, pad = band
    size, far = np.uint64(end - begin), False
    for j in range(size):
        result[np.uint64(base) + j] = 0
    for number in range(slices):
        start = (first + number) * stride - pad
        low, high = max(start, 0) * line, min(start + reach, large) * line
        span, c = np.uint64(max(high - low, 0)), np.uint64(number * cells)
        if low >= begin and high <= end:
            to = np.uint64(base + low - begin)
            for j in range(np.uint64(cells)):
                target = np.uint64(where[c + j] - low)
                if target < span:
                    result[to + target] = values[c + j]
                else:
                    far = True
        else:
            for j in range(np.uint64(cells)):
                index = where[c + j]
                target = np.uint64(index - begin)
                if np.uint64(index - low) >= span:
                    far = True
                elif target < size:
                    result[np.uint64(base) + target] = values[c + j]
    return far


@kernel
def add(values: _A, where: _A, planes: int, begin: int, positions: int, clear: bool, result: _A) -> Any:
    """Add where `place` writes, in row-major order."""
    cells, size = where.shape[0] // planes, result.shape[0] // planes
    every, reach = np.uint64(positions), np.uint64(size)
    bad: Any = False
    for plane in range(planes):
        part = result[plane * size : (plane + 1) * size]
        if clear:
            part[:] = 0
        for i in range(plane * cells, (plane + 1) * cells):
            index = where[i]
            bad |= np.uint64(index) >= every
            target = np.uint64(index - begin)
            if target < reach:
                part[target] += values[i]
    return bad


@kernel
def _bases(grid: _A, row: int, bases: _A) -> None:
    """For each tap of the leading axes: where its row of positions begins in the plane, -1 in the padding."""
    axes = grid.shape[0] // AXIS
    for number in range(bases.shape[0]):
        tap, cell, base, scale = number, row, 0, grid[AXIS * (axes - 1)]
        for axis in range(axes - 2, -1, -1):
            at = AXIS * axis
            position = cell % grid[at + 1] * grid[at + 3] - grid[at + 4] + tap % grid[at + 2] * grid[at + 5]
            if position < 0 or position >= grid[at]:
                base = -1
                break
            base += scale * position
            scale *= grid[at]
            cell //= grid[at + 1]
            tap //= grid[at + 2]
        bases[number] = base


@kernel
def window_targets(where: _A, first: int, rows: int, taps: int, grid: _A, target: _A) -> None:
    """Turn indices that count in windows of `taps` rows into positions in planes; -1 in the padding.

    Negative ones count from the window's end. `first` is the number of the first cell, `rows` the rows of cells in a
    plane.
    """
    last = grid[grid.shape[0] - AXIS :]
    size, every, width, stride, pad, dilation = last[0], last[1], last[2], last[3], last[4], last[5]
    bases = np.empty(taps, np.int64)
    known = -1
    for i in range(where.shape[0]):
        row, cell = (first + i) // every, (first + i) % every
        if row != known:
            _bases(grid, row % rows, bases)
            known = row
        index = where[i]
        if index < 0:
            index += taps * width
        goal = -1
        if index >= 0 and index < taps * width:
            base, column = bases[index // width], cell * stride - pad + index % width * dilation
            if base >= 0 and column >= 0 and column < size:
                goal = base + column
        target[i] = goal


@kernel
def own_targets(where: _A, first: int, rows: int, taps: int, grid: _A, target: _A) -> None:
    """Keep indices that lie in their own windows, which have `taps` rows; -1 for the others."""
    last = grid[grid.shape[0] - AXIS :]
    size, every, width, stride, pad, dilation = last[0], last[1], last[2], last[3], last[4], last[5]
    bases = np.empty(taps, np.int64)
    known = -1
    for i in range(where.shape[0]):
        row, cell = (first + i) // every, (first + i) % every
        if row != known:
            _bases(grid, row % rows, bases)
            known = row
        goal = -1
        for tap in range(taps):
            column = where[i] - bases[tap]
            offset = column - (cell * stride - pad)
            inside = bases[tap] >= 0 and column >= 0 and column < size
            if inside and offset >= 0 and offset < width * dilation and offset % dilation == 0:
                goal = where[i]
        target[i] = goal
