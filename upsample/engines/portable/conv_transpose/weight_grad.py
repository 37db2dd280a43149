"""The transpose of transposed convolution by its weight: products of cells and what each tap of the first axis meets.

The images add in order, and so do the parts of a large plane.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.conv_transpose.im2col import Columns
from upsample.engines.portable.phases import shifted
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    groups = plan.groups
    channels, each = x.shape[1], y.shape[1] // groups
    shape = (channels, each, *plan.kernel_shape)
    columns = None if 0 in x.shape or 0 in shape else Columns.of(plan)
    if columns is None:
        nothing: Array = xp.zeros(shape, dtype=x.dtype, device=arrays.device_of(x))
        return nothing
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(x)))
    blocks: Any = [((...,), (...,), columns)]  # all together where a result cannot be written in parts
    if arrays.can_assign(xp, x, y):
        blocks = columns.blocks(x.shape[0], channels, y.shape[1])
    total: Any = None
    for at, positions, block in blocks:
        some = arrays.astype(xp, x[at], accumulator)
        cells = xp.reshape(some, (some.shape[0], groups, channels // groups, -1))
        met = (part for _, part in block.taps(xp, arrays.astype(xp, y[positions], accumulator)))
        made = [xp.sum(xp.matmul(cells, xp.permute_dims(part, (0, 1, 3, 2))), axis=0) for part in met]
        total = made if total is None else [before + now for before, now in zip(total, made, strict=True)]
    lengths = tuple(map(len, columns.useful))
    stacked = xp.reshape(xp.stack(total, axis=0), (lengths[0], channels, *lengths[1:], each))
    order = (1, stacked.ndim - 1, 0, *range(2, stacked.ndim - 1))
    small = arrays.astype(xp, xp.permute_dims(stacked, order), x.dtype)
    moves = [(-useful.start, axis.kernel) for useful, axis in zip(columns.useful, plan.axes, strict=True)]
    result: Array = xp.reshape(shifted(xp, small, moves), shape)
    return result
