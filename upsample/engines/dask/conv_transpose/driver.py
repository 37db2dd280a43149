"""Transposed convolution of Dask arrays: a chunk of the result needs all input channels of the cells that meet it."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import one_chunk, out_chunks
from upsample.engines.dask.graph import Ranges, chunked, everything, run_op
from upsample.plans.window import ConvTransposePlan, Range, WindowAxis

__all__ = ["run"]


def run(_xp: ModuleType, plan: ConvTransposePlan, x: Any, weight: Any, bias: Any, _out: None) -> Any:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    x = x.rechunk({1: -1})
    weights = [one_chunk(w) for w in (weight, bias) if w is not None]
    made = weight.shape[1] * plan.groups
    chunks = out_chunks(x, (*x.shape[:2], *plan.large_shape), set(range(2, x.ndim)))
    chunks = (chunks[0], (made,), *chunks[2:])

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        cells = tuple(_met(axis, *p) for axis, p in zip(plan.axes, ranges[2:], strict=True))
        axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, ranges[2:], strict=True))
        slab = (ranges[0], (0, x.shape[1]), *cells)
        return (_conv_transpose, replace(plan, axes=axes)), (slab, *map(everything, weights))

    return chunked("conv_transpose", [x, *weights], chunks, x.dtype, chunk, plan, 1)


def _met(axis: WindowAxis, begin: int, end: int) -> Range:
    """The cells that meet some positions, or one next to them: then the result is the bias alone."""
    low, high = axis.covering_cells(begin, end)
    low = min(low, axis.small - 1)
    return low, max(high, low + 1)


def _conv_transpose(plan: ConvTransposePlan, x: Any, weight: Any, bias: Any = None) -> Any:
    return run_op("conv_transpose", plan, x, weight, bias, None)
