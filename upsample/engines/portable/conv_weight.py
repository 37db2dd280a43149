"""The transpose of transposed convolution by its weight: for each tap, a matrix product of cells and what it meets.

The images add in order.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.conv import cuts
from upsample.engines.portable.results import quiet
from upsample.plans.window import SpreadPlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: SpreadPlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    groups = plan.groups
    channels, each = x.shape[1], y.shape[1] // groups
    shape = (channels, each, *plan.kernel_shape)
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(x)))
    nothing = xp.zeros((groups, channels // groups, each), dtype=accumulator, device=arrays.device_of(x))
    made: list[Any] = [nothing] * math.prod(plan.kernel_shape)
    if 0 not in x.shape:
        cells = xp.reshape(arrays.astype(xp, x, accumulator), (x.shape[0], groups, channels // groups, -1))
        for tap, cut in cuts(xp, plan, arrays.astype(xp, y, accumulator)):
            made[tap] = xp.sum(xp.matmul(cells, xp.permute_dims(cut, (0, 1, 3, 2))), axis=0)
    result: Array = xp.reshape(arrays.astype(xp, xp.stack(made, axis=-1), x.dtype), shape)
    return result
