"""Windows as flat arrays of numbers, which kernels read, and the places of the rows that taps read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import frozen, part
from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["AXIS", "grid_of", "is_single", "row_place"]


AXIS = 6
"""Numbers of an axis in a grid, as in `WindowAxis`: positions, cells, kernel, stride, padding, dilation."""


def grid_of(axes: Iterable[WindowAxis]) -> NDArray:
    """Return the numbers of all axes, flat."""
    numbers = [(a.large, a.small, a.kernel, a.stride, a.padding, a.dilation) for a in axes]
    return frozen(np.asarray(numbers, dtype=np.int64).reshape(-1))


def is_single(axis: WindowAxis | SpanAxis) -> bool:
    """Return whether an axis has one position and one cell, which consists of it: a plane of such columns is a row."""
    is_one = axis.large == axis.small == 1
    return is_one and (isinstance(axis, SpanAxis) or (axis.kernel == 1 and axis.padding == 0))


@part
def row_place(grid: NDArray, tap: int, row: int) -> int:
    """Return the place in a plane of the row that tap `tap` of row `row` of cells reads; -1 in the padding.

    Taps and rows are counted in row-major order of the leading axes.
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
