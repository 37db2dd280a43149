"""Resampling of Dask arrays."""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.dask.chunks import out_chunks
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.engines.dask.slabs import Layout, Slab
from upsample.plans.resize import ResizePlan
from upsample.plans.resize_parts import needs, part_of_plan, parted
from upsample.plans.window import Range

__all__ = ["run"]

_LARGE = 1 << 23
"""Bytes of a slab from which on planning its parts takes less time than copying it."""


def run(_xp: ModuleType, plan: ResizePlan, x: Any, _out: None) -> Any:
    """Return `x` resampled as the plan says."""
    shape = plan.out_shape(x.shape)
    active = {axis: rule for axis, rule in zip(plan.axes, plan.rules, strict=True) if not rule.is_identity}
    order = _order(plan, x)

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        wanted = list(ranges)
        for axis, rule in active.items():
            wanted[axis] = needs(rule, *ranges[axis])
        part = part_of_plan(plan, {axis: ranges[axis] for axis in plan.axes}, order)
        return (_resize, part), (tuple(wanted),)

    return chunked("resize", [x], out_chunks(x, shape, set(active)), x.dtype, chunk, plan, 1)


def _order(plan: ResizePlan, x: Any) -> tuple[int, ...]:
    """The order of axes that kernels have for the whole array, on a CPU or a GPU; a slab would suggest another."""
    arithmetic, name = plan.arithmetic, arrays.dtype_name(x)
    if plan.only_moves or plan.order:
        return plan.order
    return plan.filter_order((name in arrays.INTEGER or arithmetic.ordered) and arithmetic.each_axis)


def _resize(plan: ResizePlan, x: Slab) -> Any:
    """Resample a slab: block by block if each output needs one block only, so that large blocks are not copied."""
    size = math.prod(x.shape) * x.blocks[0].dtype.itemsize
    parts = _parts(plan, x.layout) if len(x.blocks) > 1 and size >= _LARGE else None
    if parts is None:
        return run_op("resize", plan, x, None)
    result = np.empty_like(x.blocks[0], shape=plan.out_shape(x.shape))
    for ranges, (place, block) in zip(itertools.product(*parts), x.parts(), strict=True):
        target = result[tuple(slice(*r) for r in ranges)]
        if target.size == 0:
            continue
        inputs = list(place)
        for axis, rule in zip(plan.axes, plan.rules, strict=True):
            inputs[axis] = needs(rule, *ranges[axis])
        source = block[tuple(slice(a - p, b - p) for (a, b), (p, _) in zip(inputs, place, strict=True))]
        run_op("resize", part_of_plan(plan, {axis: ranges[axis] for axis in plan.axes}, plan.order), source, target)
    return result


def _parts(plan: ResizePlan, layout: Layout) -> list[list[Range]] | None:
    """Return the outputs of each block on each axis, or None if an output needs several blocks."""
    rules, parts = dict(zip(plan.axes, plan.rules, strict=True)), []
    for axis, blocks in enumerate(layout):
        borders = tuple(itertools.accumulate((high - low for low, high in blocks), initial=0))
        cuts = parted(rules[axis], borders) if axis in rules else borders
        if cuts is None:
            return None
        parts.append(list(itertools.pairwise(cuts)))
    return parts
