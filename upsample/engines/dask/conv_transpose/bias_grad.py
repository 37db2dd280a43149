"""The gradient of transposed convolution by its bias, on Dask arrays: sums over all axes except the channels."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.dask.block_sums import of_blocks, summed
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.cell_blocks import sums_of_bias
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: ConvTransposePlan, grad: Any, dtype: Any) -> Any:
    """Return the sums of ``[..., M, *large]`` for each of the M channels, as an array of `dtype`."""
    y = grad if grad.ndim == len(plan.axes) + 2 else grad[None]
    y = y.rechunk({1: -1})
    wide = np.dtype(arrays.accumulator(arrays.dtype_name(y)))
    blocks = sums_of_bias(plan.large_shape)
    part = replace(plan, blocks=blocks)

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        return (_bias_grad, part, wide), (ranges,)

    made = chunked("conv_transpose_bias_grad", [y], of_blocks(y, blocks), wide, chunk, plan, 1)
    return summed(made, (y.shape[1],), np.dtype(dtype), y)


def _bias_grad(plan: ConvTransposePlan, wide: np.dtype[Any], y: Any) -> Any:
    """Return the sum of each block of a part."""
    y = y.array()
    if isinstance(y, np.ndarray):
        return run_op("conv_transpose.bias_grad", plan, y, wide)
    return run_op("conv_transpose.bias_grad", replace(plan, blocks=None), y, wide)[None]
