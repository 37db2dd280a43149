"""Weight gradient of transposed convolution: correlate the input with the output gradient.

The cells of the batch are cut into blocks (`plans.cell_blocks`), and a block into units. A weight's sum has one of two
orders, by whether its group has more than `FEW_CHANNELS` input channels:

    more    a GEMM (`conv_transpose.weight_grad_gemm`) adds a unit's cells in row-major order, by `runtime.fma`
    few     dot products (`conv_transpose.weight_grad_dots`): cell number n of a unit is added to sum ``n % 16`` of
            sixteen, by `runtime.fma`; these are added in order, then the cells of the last incomplete sixteen

The units' sums are added in order to the sum of their block, and the blocks' sums in order to the weight's. Units and
blocks depend on the plan alone, and threads, vectors and other channels never show.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.copies import converted
from upsample.engines.cpu.conv_transpose.input_grad import FEW_CHANNELS, rows_of
from upsample.engines.cpu.conv_transpose.weight_grad_dots import Dots
from upsample.engines.cpu.conv_transpose.weight_grad_gemm import Gemm
from upsample.engines.cpu.runtime.compile import frozen
from upsample.float_errors import quiet
from upsample.plans.cell_blocks import CellBlocks, sums_of_weights
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    cells: Any = x
    shape = (len(cells), *plan.small_shape)
    if plan.blocks is not None:
        count = plan.blocks.count(shape)
        stack: Array = _sums(plan, plan.blocks, cells, y, [range(number, number + 1) for number in range(count)])
        return stack
    blocks = sums_of_weights(plan.small_shape)
    (total,) = _sums(plan, blocks, cells, y, [range(blocks.count(shape))])
    result: Array = total.astype(cells.dtype, copy=False)
    return result


def _sums(plan: ConvTransposePlan, blocks: CellBlocks, x: NDArray, y: Any, numbers: list[range]) -> Any:
    """Return for each range of blocks their sum."""
    rows, groups = rows_of(plan), plan.groups
    inputs, outputs = x.shape[1] // groups, y.shape[1] // groups
    dtype = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    made = np.zeros((len(numbers), groups, inputs, outputs * rows.taps), dtype=dtype)
    if x.size and made.size:
        flat = frozen(converted(x, dtype)).reshape(-1)
        planes = frozen(converted(y, dtype)).reshape(-1)
        kind = Dots if inputs <= FEW_CHANNELS else Gemm
        work = kind(rows, blocks, (len(x), *plan.small_shape), flat, planes, (groups, inputs, outputs))
        for some, target in zip(numbers, made, strict=True):
            work.add(some, target)
    return made.reshape(len(numbers), groups * inputs, outputs, *plan.kernel_shape)
