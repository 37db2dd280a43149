"""Convert indices of a whole plane to indices of a part, by a compiled loop."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.copies import contiguous
from upsample.engines import part_indices, threads
from upsample.engines.cpu.runtime.compile import frozen, kernel
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["localised"]

_U: Any = np.uint64

_BLOCK = 1 << 18
"""Cells of a block of rows."""
_AXIS = 8
"""Numbers of an axis: positions and cells of the part, stride, padding, dilation, reach (0: any position is in the
window), the step of an index of the whole plane, the first position."""
_ILLEGAL, _ELSEWHERE = 1, 2


@kernel
def _targets(where: NDArray, row0: int, row1: int, grid: NDArray, positions: int, target: NDArray) -> int:
    """Turn indices of the rows of cells from and to into positions of the part, -1 outside of it or of their windows.

    Returns 1 if some index was outside of the whole plane of so many `positions`, plus 2 if one was outside of its
    window.
    """
    axes = grid.shape[0] // _AXIS
    last = _AXIS * (axes - 1)
    size, every, stride, padding, dilation, reach = grid[last : last + 6]
    begin = grid[last + 7]
    starts = np.empty(axes, np.int64)
    bad = 0
    for row in range(row0, row1):
        rest = row
        for axis in range(axes - 2, -1, -1):
            at = _AXIS * axis
            starts[axis] = rest % grid[at + 1] * grid[at + 2] - grid[at + 3]
            rest //= grid[at + 1]
        for cell in range(every):
            place = _U(row * every + cell)
            index = where[place]
            goal = 0
            if _U(index) >= _U(positions):
                bad |= _ILLEGAL
                target[place] = -1
                continue
            own, inside = True, True
            for axis in range(axes - 1):
                at = _AXIS * axis
                step = index // grid[at + 6]
                index -= step * grid[at + 6]
                step -= grid[at + 7]
                inside &= step >= 0 and step < grid[at]
                goal = goal * grid[at] + step
                tap = step - starts[axis]
                own &= grid[at + 5] == 0 or (tap >= 0 and tap < grid[at + 5] and tap % grid[at + 4] == 0)
            step = index - begin
            inside &= step >= 0 and step < size
            tap = step - (cell * stride - padding)
            own &= reach == 0 or (tap >= 0 and tap < reach and (dilation == 1 or tap % dilation == 0))
            if not own:
                bad |= _ELSEWHERE
            target[place] = goal * size + step if own and inside else -1
    return bad


def localised(plan: UnpoolPlan, where: NDArray, names: tuple[str, str]) -> tuple[UnpoolPlan, NDArray]:
    """Do as `upsample.engines.part_indices.localised`."""
    if plan.local_indices or plan.has_full_planes:
        return part_indices.localised(np, plan, where, names)
    within = plan.within
    assert within is not None
    flat = frozen(contiguous(where.astype(np.int64, copy=False)).reshape(-1))
    target = np.empty(where.shape, dtype=np.int64)
    if flat.size:
        every, grid, positions = plan.small_shape[-1], _grid(plan), math.prod(within.plane)
        rows, step = flat.size // every, max(1, _BLOCK // every)
        found: list[int] = []

        def block(number: int) -> None:
            part = number * step, min((number + 1) * step, rows)
            found.append(_targets(flat, *part, grid, positions, target.reshape(-1)))

        threads.each_block(block, -(-rows // step))
        if plan.check_indices and any(bad & (_ILLEGAL if plan.trusted else _ILLEGAL | _ELSEWHERE) for bad in found):
            part_indices.raise_bad(plan, where, names)
        if plan.check_indices and plan.duplicates == "error":
            part_indices.check_twice(plan, where, target, names)
    return replace(plan, within=None, check_indices=False, trusted=True), target


def _grid(plan: UnpoolPlan) -> NDArray:
    assert plan.within is not None
    numbers = []
    for axis, weight, origin in zip(plan.axes, plan.within.weights, plan.within.origin, strict=True):
        if isinstance(axis, WindowAxis) and not plan.trusted:
            shape = axis.large, axis.small, axis.stride, axis.padding, axis.dilation, axis.reach
        else:
            shape = axis.large, axis.small, 0, 0, 1, 0
        numbers += [*shape, weight, origin]
    return frozen(np.asarray(numbers, dtype=np.int64))
