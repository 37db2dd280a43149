"""Max-pooling of Dask arrays."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import out_chunks
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.window import PlanePart, PoolPlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: PoolPlan, x: Any, _out: tuple[None, None], with_indices: bool) -> tuple[Any, Any]:
    """Return the maxima of the windows, and their indices when they are asked for."""
    lead = x.ndim - len(plan.axes)
    plane = tuple(axis.large for axis in plan.axes)
    chunks = out_chunks(x, (*x.shape[:lead], *plan.small_shape), set(range(lead, x.ndim)))

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        cells = ranges[lead:]
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
        within = PlanePart(plane, tuple(p[0] for p in positions), ())
        part = replace(plan, axes=axes, within=within if with_indices else None)
        return (_pool, part, with_indices), ((*ranges[:lead], *positions),)

    made = chunked("pool", [x], chunks, x.dtype, chunk, plan, 1 + with_indices)
    return made if with_indices else (made, None)


def _pool(plan: PoolPlan, with_indices: bool, x: Any) -> Any:
    values, indices = run_op("pool", plan, x, (None, None), with_indices)
    return (values, indices) if with_indices else values
