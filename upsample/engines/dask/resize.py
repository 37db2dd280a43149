"""Resampling of Dask arrays."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.engines.dask.chunks import out_chunks
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.parts import needs, part_of_plan
from upsample.plans.resize import ResizePlan

__all__ = ["run"]


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
    return plan.filtered((name in arrays.INTEGER or arithmetic.ordered) and arithmetic.each_axis)


def _resize(plan: ResizePlan, x: Any) -> Any:
    return run_op("resize", plan, x, None)
