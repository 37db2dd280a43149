"""Transposed convolution along axes with few cells and long windows: one step per cell instead of one per tap.

Each position adds its products in the order of the cells. Hence a step can add all taps of a cell, and the next step
those of the next cell. Along the other axes of the plane, a step adds one tap of one phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.engines.portable.output import write
from upsample.plans.phases import phases
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["StepKey", "fill_by_cells", "goes_by_cells", "overlap"]

_TAPS = 4
"""Least taps per cell of an axis with a step per cell: its long slices outweigh a second pass over the sums."""


@dataclass(frozen=True, slots=True)
class StepKey:
    """The products that a step adds along one axis.

    Attributes
    ----------
    taps, cells : int or slice
        All taps of one cell, or one tap of several cells.
    places : slice
        Positions to which the products are added, within the phase or the axis.
    covers_phase : bool
        Whether these are all positions of the phase.
    """

    taps: int | slice
    cells: int | slice
    places: slice
    covers_phase: bool


def goes_by_cells(axis: WindowAxis) -> bool:
    """Tell whether an axis has few cells for its taps, and steps per cell give equal sums.

    The driver adds the taps that cover a phase first. Hence either no tap may cover a phase, or each phase must have
    one tap that does.
    """
    if len(axis.useful_taps()) <= _TAPS * axis.small:
        return False
    return axis.large // axis.stride > axis.small or _are_tiles(axis)


def _are_tiles(axis: WindowAxis) -> bool:
    """Tell whether windows do not overlap, and each tap covers its phase."""
    return axis.reach <= axis.stride and axis.large + axis.padding <= axis.small * axis.stride


def fill_by_cells(
    xp: ModuleType, plan: ConvTransposePlan, products: Callable[[Sequence[StepKey]], Any], added: Any, target: Any
) -> None:
    """Add the products of each phase, and write the sums to ``target [n, g, m, *large]``.

    Parameters
    ----------
    xp : module
        Namespace of `target`.
    plan : ConvTransposePlan
        Geometry; at least one axis has steps per cell.
    products : callable
        Returns the products of a step; each spatial axis counts taps or cells.
    added : array or None
        The bias, ``[g, m]``.
    target : array
        Receives the sums.
    """
    covers = all(_are_tiles(axis) for axis in plan.axes if goes_by_cells(axis))
    for corner in itertools.product(*(_parts(axis) for axis in plan.axes)):
        region = target[(..., *(positions for positions, _ in corner))]
        total = _total(xp, region, [steps for _, steps in corner], products, covers)
        if added is not None:
            total += xp.reshape(added, (*added.shape, *(1 for _ in plan.axes)))
        if total is not region:
            write(xp, total, region)


def _total(xp: ModuleType, region: Any, axes: list[list[StepKey]], products: Any, covers: bool) -> Any:
    """Return the sums of one phase: in `region` itself if it has the dtype of sums, otherwise in a new array."""
    order = list(itertools.product(*axes))
    first: list[int | slice] = []
    if covers:
        order.sort(key=lambda step: not all(key.covers_phase for key in step))
        first = [key.taps for key in order[0]] if order and all(key.covers_phase for key in order[0]) else []
    total = None
    for step in order:
        share = products(step)
        if total is None:
            total = region
            if region.dtype != share.dtype:
                total = xp.zeros(region.shape, dtype=share.dtype, device=arrays.device_of(region))
            else:
                total[...] = 0
        places = (..., *(key.places for key in step))
        if first and all(isinstance(key.taps, slice) or key.taps == tap for key, tap in zip(step, first, strict=True)):
            total[places] = share  # an addition to +0 would lose the sign of -0
        else:
            total[places] += share
    if total is None:
        total = region
        total[...] = 0
    return total


def _parts(axis: WindowAxis) -> Iterator[tuple[slice, list[StepKey]]]:
    """Yield parts of an axis, with their steps in the order of sums: the axis itself, or each of its phases."""
    if goes_by_cells(axis):
        yield slice(None), [step for cell in range(axis.small) for step in _taps_of_cell(axis, cell)]
        return
    for phase in phases(axis):
        steps = []
        for tap, begin in zip(phase.taps, phase.cells, strict=True):
            cells, places = overlap(begin, phase.count, axis.small)
            if cells.stop > cells.start:
                steps.append(StepKey(tap, cells, places, cells.stop - cells.start == phase.count))
        yield slice(phase.start, None, axis.stride), steps


def _taps_of_cell(axis: WindowAxis, cell: int) -> Iterator[StepKey]:
    """Yield the step of all taps of a cell that are not padding, if any."""
    begin = cell * axis.stride - axis.padding
    low = max(0, -(begin // axis.dilation))
    high = min(axis.kernel, (axis.large - 1 - begin) // axis.dilation + 1)
    if high > low:
        first, last = begin + low * axis.dilation, begin + (high - 1) * axis.dilation
        yield StepKey(slice(low, high), cell, slice(first, last + 1, axis.dilation), True)


def overlap(begin: int, count: int, size: int) -> tuple[slice, slice]:
    """Return the slice of `count` cells from `begin` on that exist, and the slice of their positions in the phase."""
    low, high = min(max(begin, 0), size), max(min(begin + count, size), 0)
    high = max(low, high)
    return slice(low, high), slice(low - begin, high - begin)
