"""The transpose of transposed convolution by its weight: products of cells and what each tap of the first axis meets.

The images add in order.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.columns import Columns, images
from upsample.engines.portable.phases import shifted
from upsample.engines.portable.results import quiet
from upsample.plans.window import SpreadPlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: SpreadPlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    groups = plan.groups
    channels, each = x.shape[1], y.shape[1] // groups
    shape = (channels, each, *plan.kernel_shape)
    columns = None if 0 in x.shape or 0 in shape else Columns.of(plan)
    if columns is None:
        nothing: Array = xp.zeros(shape, dtype=x.dtype, device=arrays.device_of(x))
        return nothing
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(x)))
    cells = xp.reshape(arrays.astype(xp, x, accumulator), (x.shape[0], groups, channels // groups, -1))
    total: Any = None
    for n in images(x.shape[0], arrays.can_assign(xp, x, y)):
        met = (part for _, part in columns.taps(xp, arrays.astype(xp, y[n, ...], accumulator)))
        made = [xp.sum(xp.matmul(cells[n, ...], xp.permute_dims(part, (0, 1, 3, 2))), axis=0) for part in met]
        total = made if total is None else [before + now for before, now in zip(total, made, strict=True)]
    lengths = tuple(map(len, columns.useful))
    stacked = xp.reshape(xp.stack(total, axis=0), (lengths[0], channels, *lengths[1:], each))
    order = (1, stacked.ndim - 1, 0, *range(2, stacked.ndim - 1))
    small = arrays.astype(xp, xp.permute_dims(stacked, order), x.dtype)
    moves = [(-useful.start, axis.kernel) for useful, axis in zip(columns.useful, plan.axes, strict=True)]
    result: Array = xp.reshape(shifted(xp, small, moves), shape)
    return result
