"""The gradient of max-unpooling, on Dask arrays."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import as_dask
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.engines.dask.unpool.driver import cut_plan
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: UnpoolPlan, y: Any, indices: Any) -> Any:
    """Return for each cell of ``indices [..., *small]`` what ``y [..., *large]`` has at its position."""
    lead = y.ndim - len(plan.axes)
    spatial = getattr(indices, "chunks", tuple((n,) for n in indices.shape))[lead:]
    chunks = (*y.chunks[:lead], *spatial)
    indices = as_dask(indices, chunks)
    in_one_chunk = all(len(c) == 1 for c in (*y.chunks[lead:], *spatial))

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        cells = ranges[lead:]
        if in_one_chunk:
            positions: Ranges = tuple((0, n) for n in plan.large_shape)
            return (_unpool_backward, plan, cells), ((*ranges[:lead], *positions), ranges)
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        # later cells may name the positions too
        others = tuple(axis.covering_cells(*p) for axis, p in zip(plan.axes, positions, strict=True))
        wider = tuple((min(c[0], o[0]), max(c[1], o[1])) for c, o in zip(cells, others, strict=True))
        part = cut_plan(plan, wider, positions, ())
        inner = tuple((c[0] - w[0], c[1] - w[0]) for c, w in zip(cells, wider, strict=True))
        return (_unpool_backward, part, inner), ((*ranges[:lead], *positions), (*ranges[:lead], *wider))

    return chunked("unpool_backward", [y, indices], chunks, y.dtype, chunk, plan, 1)


def _unpool_backward(plan: UnpoolPlan, inner: Ranges, y: Any, indices: Any) -> Any:
    return run_op("unpool.backward", plan, y, indices)[(..., *(slice(*r) for r in inner))]
