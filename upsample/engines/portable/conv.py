"""The transpose of transposed convolution by its input: a matrix product for each tap of the first axis.

The taps add in one fixed order.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.columns import Columns, images
from upsample.engines.portable.results import empty, quiet, write
from upsample.plans.window import SpreadPlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: SpreadPlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    groups, shape = plan.groups, (y.shape[0], weight.shape[0], *plan.small_shape)
    columns = None if 0 in shape else Columns.of(plan)
    if columns is None:
        nothing: Array = xp.zeros(shape, dtype=y.dtype, device=arrays.device_of(y))
        return nothing
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(y)))
    taps = arrays.astype(xp, weight, accumulator)[(..., *(slice(u.start, u.stop) for u in columns.useful))]
    taps = xp.reshape(
        taps, (groups, -1, weight.shape[1], len(columns.useful[0]), math.prod(map(len, columns.useful[1:])))
    )
    taps = xp.permute_dims(taps, (3, 0, 1, 4, 2))  # [first taps, groups, C / groups, other taps, M / groups]
    factors = xp.reshape(taps, (*taps.shape[:3], -1))
    if not arrays.can_assign(xp, y, weight):
        made = _convolved(xp, columns, arrays.astype(xp, y, accumulator), factors)
        result: Array = arrays.astype(xp, xp.reshape(made, shape), y.dtype)
        return result
    target = empty(xp, shape, y)
    for n in images(y.shape[0], True):
        made = _convolved(xp, columns, arrays.astype(xp, y[n, ...], accumulator), factors)
        write(xp, xp.reshape(made, (1, *shape[1:])), target[n, ...])
    whole: Array = target
    return whole


def _convolved(xp: ModuleType, columns: Columns, y: Any, factors: Any) -> Any:
    """Return ``[N, groups, C / groups, cells]``."""
    total = None
    for place, (_, met) in enumerate(columns.taps(xp, y)):
        share = xp.matmul(factors[place, ...], met)
        total = share if total is None else total + share
    return total
