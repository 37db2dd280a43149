"""Kernels of the gradient of max-unpooling: a bounds-checked take.

Arrays are flat. Indices are data: whatever they say, nothing is read or written outside of the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import kernel, part

__all__ = ["take", "take_bands", "take_last"]


@kernel
def take(values: NDArray, where: NDArray, first: int, cells: int, positions: int, result: NDArray) -> None:
    """Give each cell, from number `first` on, the value at its position in its plane, zero where that is outside."""
    size, last, at = np.uint64(positions), first + where.shape[0], first
    while at < last:
        plane = at // cells
        to = min((plane + 1) * cells, last)
        base = np.uint64(plane * positions)
        for i in range(np.uint64(at - first), np.uint64(to - first)):
            index = np.uint64(where[i])
            result[i] = values[base + index] if index < size else values.dtype.type(0)
        at = to


@kernel
def take_last(
    values: NDArray, where: NDArray, planes: int, begin: int, clear: bool, seen: NDArray, result: NDArray
) -> None:
    """Do as `take` does for some planes, but only for the last cell of those that name a position.

    The kernel visits cells in reverse order and marks the positions that they name in `seen`, which it clears first if
    `clear`. `seen` begins at position `begin`; cells that name positions outside of `seen` are not written. Which cell
    is last is unpredictable, so a branch would mispredict: the kernel multiplies values, as unsigned integers, by 0 or
    1 instead.
    """
    cells, positions, size = where.shape[0] // planes, values.shape[0] // planes, np.uint64(seen.shape[0])
    kind = values.dtype.type
    for plane in range(planes):
        if clear:
            seen[:] = 0
        base, last = np.uint64(plane * positions + begin), np.uint64((plane + 1) * cells - 1)
        for back in range(np.uint64(cells)):
            i = last - back
            index = np.uint64(where[i] - begin)
            if index < size:
                before = seen[index]
                seen[index] = 1
                result[i] = kind(values[base + index] * kind(before == 0))


@part
def _take_slice(
    values: NDArray, where: NDArray, cut: tuple[int, int], bounds: tuple[int, ...], seen: NDArray, result: NDArray
) -> Any:
    """Do as `take_last` does for the cells of a cut whose positions are in a band; write zero for dropped cells.

    ``bounds``: the positions from and to of the band, and the positions from and to that the windows of these cells
    reach. Returns whether some index was in neither range.
    """
    size, every, kind = np.uint64(bounds[1] - bounds[0]), np.uint64(bounds[3] - bounds[2]), values.dtype.type
    far: Any = False
    for back in range(np.uint64(cut[1] - cut[0])):
        i = np.uint64(cut[1] - 1) - back
        index = np.uint64(where[i] - bounds[0])
        if index < size:
            before = seen[index]
            seen[index] = 1
            result[i] = kind(values[np.uint64(bounds[0]) + index] * kind(before == 0))
        elif np.uint64(where[i] - bounds[2]) >= every:
            result[i] = 0
            far |= where[i] != -1
    return far


@kernel
def take_bands(
    values: NDArray,
    where: NDArray,
    bands: NDArray,
    spans: NDArray,
    start: tuple[int, int],
    seen: NDArray,
    result: NDArray,
) -> Any:
    """Do as `take_last` does in a plane for the cells whose positions are in some bands.

    ``bands`` and ``spans`` are as in `scatter.make_bands`; ``start``: the slice that
    `where` and `result` begin with, and the cells of a slice. `seen` is scratch for the longest band. An index of -1
    marks a dropped cell. Returns whether another index was outside of its window's slices and of the band; if so, the
    caller discards the result.
    """
    far: Any = False
    for number in range(bands.shape[0]):
        begin, end, first, at, whole0, whole1 = bands[number]
        seen[: end - begin] = 0
        while at > first:
            to, low, high = at - 1, spans[at - 1, 0], spans[at - 1, 1]
            if whole0 < at <= whole1:  # no other band reads these cells
                to, low, high = whole0, begin, end
            cut = ((to - start[0]) * start[1], (at - start[0]) * start[1])
            far |= _take_slice(values, where, cut, (begin, end, low, high), seen, result)
            at = to
    return far
