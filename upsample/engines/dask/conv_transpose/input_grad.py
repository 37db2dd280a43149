"""Convolution of Dask arrays: the gradient of transposed convolution by its input."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import one_chunk, out_chunks
from upsample.engines.dask.graph import Ranges, chunked, everything, run_op
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: ConvTransposePlan, y: Any, weight: Any) -> Any:
    """Return ``[N, C, *small]``: each cell's window of ``y [N, M, *large]``, weighted."""
    y, weight = y.rechunk({1: -1}), one_chunk(weight)
    chunks = out_chunks(y, (*y.shape[:2], *plan.small_shape), set(range(2, y.ndim)))
    chunks = (chunks[0], (weight.shape[0],), *chunks[2:])

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, ranges[2:], strict=True))
        axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, ranges[2:], positions, strict=True))
        slab = (ranges[0], (0, y.shape[1]), *positions)
        return (_input_grad, replace(plan, axes=axes)), (slab, everything(weight))

    return chunked("conv_transpose_input_grad", [y, weight], chunks, y.dtype, chunk, plan, 1)


def _input_grad(plan: ConvTransposePlan, y: Any, weight: Any) -> Any:
    return run_op("conv_transpose.input_grad", plan, y, weight)
