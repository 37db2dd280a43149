"""Max-unpooling of Dask arrays.

In memory an index may lie anywhere in its plane. Where planes are in several chunks, a chunk of the result takes the
cells whose windows meet it, so that an index must lie in its own window; tasks check that.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import as_dask, out_chunks
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.window import PlanePart, UnpoolPlan

__all__ = ["cut_plan", "run"]


def run(_xp: ModuleType, plan: UnpoolPlan, x: Any, indices: Any, _out: None, names: tuple[str, str]) -> Any:
    """Return the unpooled array; tasks raise IndexError for a bad index, ValueError for a duplicate under "error"."""
    lead = x.ndim - len(plan.axes)
    indices = as_dask(indices, x.chunks)
    chunks = out_chunks(x, (*x.shape[:lead], *plan.large_shape), set(range(lead, x.ndim)))
    in_one_chunk = all(len(c) == 1 for c in (*x.chunks[lead:], *chunks[lead:]))

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...] | None]:
        positions, part = ranges[lead:], plan
        cells: Ranges = tuple((0, n) for n in plan.small_shape)
        first = tuple(begin for begin, _ in ranges[:lead])
        if not in_one_chunk:
            cells = tuple(axis.covering_cells(*p) for axis, p in zip(plan.axes, positions, strict=True))
            if any(begin == end for begin, end in cells):
                return (), None
            part = cut_plan(plan, cells, positions, first)
        elif any(first):
            part = replace(plan, within=PlanePart(plan.large_shape, (0,) * len(cells), (*first, *(0,) * len(cells))))
        return (_unpool, part, names), ((*ranges[:lead], *cells),) * 2

    return chunked("unpool", [x, indices], chunks, x.dtype, chunk, (plan, names), 1)


def cut_plan(plan: UnpoolPlan, cells: Ranges, positions: Ranges, first: tuple[int, ...]) -> UnpoolPlan:
    """Return the plan of some cells and positions; `first` are the first numbers on the leading axes."""
    axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
    within = PlanePart(plan.large_shape, tuple(p[0] for p in positions), (*first, *(c[0] for c in cells)))
    return replace(plan, axes=axes, within=within)


def _unpool(plan: UnpoolPlan, names: tuple[str, str], x: Any, indices: Any) -> Any:
    return run_op("unpool", plan, x, indices, None, names)
