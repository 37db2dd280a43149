"""Bias gradient of transposed convolution: sums over all axes except the channels, in an order that shapes decide.

The positions of NumPy arrays are cut into blocks (`plans.cell_blocks`), whatever the layout of the array. NumPy sums
each channel of each image of a block pairwise, then the images' sums pairwise; the blocks' sums are added in order.
Other libraries sum in their own fixed order.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import NDArray
from upsample.engines import threads
from upsample.float_errors import quiet
from upsample.plans.cell_blocks import CellBlocks, sums_of_bias
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]

_SUMMED = 1 << 20
"""Elements per NumPy sum, about: small enough to keep Ctrl-C responsive and to share among threads."""


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, grad: Any, dtype: Any) -> Any:
    """Return the sums of ``[..., M, *large]`` for each of the M channels, as an array of `dtype`."""
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(grad)))
    channels = grad.ndim - len(plan.axes) - 1
    if xp is not np:
        others = tuple(axis for axis in range(grad.ndim) if axis != channels)
        return arrays.astype(xp, xp.sum(arrays.astype(xp, grad, accumulator), axis=others), dtype)
    planes = grad.reshape(math.prod(grad.shape[:channels]), *grad.shape[channels:])
    if plan.blocks is not None:
        return _block_sums(planes, plan.blocks, accumulator)
    total = np.zeros(grad.shape[channels], dtype=accumulator)
    for one in _block_sums(planes, sums_of_bias(plan.large_shape), accumulator):
        total += one
    return arrays.astype(np, total, dtype)


def _block_sums(planes: Any, blocks: CellBlocks, accumulator: Any) -> NDArray:
    """Return each block's sum of ``[N, M, *large]``: ``[blocks, M]``; threads sum some channels of a block each."""
    count, shape = planes.shape[1], (planes.shape[0], *planes.shape[2:])
    step = max(1, _SUMMED // max(1, blocks.cells(shape)))
    parts = -(-count // step)
    sums = np.empty((blocks.count(shape), count), dtype=accumulator)

    def sum_part(number: int) -> None:
        block, part = divmod(number, parts)
        images, *box = (slice(*r) for r in blocks.box(shape, block))
        cut = slice(part * step, (part + 1) * step)
        some = np.ascontiguousarray(arrays.astype(np, planes[(images, cut, *box)], accumulator))
        rows = some.reshape(*some.shape[:2], math.prod(some.shape[2:])).sum(axis=-1)
        sums[block, cut] = np.ascontiguousarray(rows.T).sum(axis=-1)

    threads.each_block(sum_part, len(sums) * parts)
    return sums
