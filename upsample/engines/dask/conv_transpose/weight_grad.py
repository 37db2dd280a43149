"""The gradient of transposed convolution by its weight, on Dask arrays: a sum over all cells."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.dask.block_sums import of_blocks, summed
from upsample.engines.dask.chunks import as_dask
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.cell_blocks import sums_of_weights
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: ConvTransposePlan, x: Any, y: Any) -> Any:
    """Return ``[C, M / groups, *kernel]``, the sums over cells of ``x [N, C, *small]`` times ``y [N, M, *large]``."""
    x = as_dask(x, (y.chunks[0], -1, *((n,) for n in plan.small_shape))) if isinstance(x, np.ndarray) else x
    x = x.rechunk({1: -1})
    y = as_dask(y, (x.chunks[0], -1, *((n,) for n in plan.large_shape))) if isinstance(y, np.ndarray) else y
    y = y.rechunk({1: -1})
    wide = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    shape = (x.shape[1], y.shape[1] // plan.groups, *plan.kernel_shape)
    blocks = sums_of_weights(plan.small_shape)

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        cells = ranges[2:]
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
        slabs = (ranges[0], (0, x.shape[1]), *cells), (ranges[0], (0, y.shape[1]), *positions)
        return (_weight_grad, replace(plan, axes=axes, blocks=blocks), wide), slabs

    made = chunked("conv_transpose_weight_grad", [x, y], of_blocks(x, blocks), wide, chunk, plan, 1)
    return summed(made, shape, x.dtype, x)


def _weight_grad(plan: ConvTransposePlan, wide: np.dtype[Any], x: Any, y: Any) -> Any:
    """Return the sum of each block of a part, in the dtype of sums; CuPy blocks have one sum of another order."""
    x, y = (slab.array().astype(wide, copy=False) for slab in (x, y))
    if isinstance(x, np.ndarray):
        return run_op("conv_transpose.weight_grad", plan, x, y)
    return run_op("conv_transpose.weight_grad", replace(plan, blocks=None), x, y)[None]
