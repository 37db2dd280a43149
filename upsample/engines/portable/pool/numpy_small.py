"""Max-pooling of small NumPy arrays: every window is gathered, since calls cost more than values there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from upsample.arrays import Table
from upsample.caches import cached
from upsample.plans.window import PoolPlan, WindowAxis

__all__ = ["pool_small"]

_SMALL = 1 << 12
"""Values up to which an array is small."""


def pool_small(plan: PoolPlan, planes: int, x: Any) -> tuple[Any, Any] | None:
    """Pool all planes; return the maxima and their places, one plane a row, or None where there is NaN or too much."""
    kept = _table(plan) if x.size <= _SMALL else None
    if kept is None or planes * kept[0].size > 4 * _SMALL:
        return None
    (table, starts), values = kept, x.reshape(planes, -1)
    found = values.take(table, axis=1).argmax(axis=2)
    found += starts
    places = table.take(found)
    maxima = values.take(places) if len(values) == 1 else np.take_along_axis(values, places, axis=1)
    if maxima.dtype.kind not in "biu" and math.isnan(np.add.reduce(maxima, axis=None)):
        return None
    return maxima, places


@cached
def _table(plan: PoolPlan) -> tuple[Table, Table] | None:
    """The positions of each cell's window, those in the padding replaced by the first that is not; where rows begin.

    None for windows that are large, or whose indices count within them.
    """
    taps = [axis.kernel if isinstance(axis, WindowAxis) else 0 for axis in plan.axes]
    if plan.local_indices or plan.within or not 0 < math.prod(taps) * math.prod(plan.small_shape) <= 4 * _SMALL:
        return None
    table = np.zeros((1, 1), dtype=np.intp)
    for axis in plan.axes:
        assert isinstance(axis, WindowAxis)
        position = axis.positions(0)[:, None] + np.arange(axis.kernel) * axis.dilation
        first = axis.positions(0) + axis.first_inside() * axis.dilation
        position = np.where((position >= 0) & (position < axis.large), position, first[:, None])
        table = table[:, None, :, None] * axis.large + position[None, :, None, :]
        table = table.reshape(table.shape[0] * table.shape[1], -1)
    return table, np.arange(len(table)) * table.shape[1]
