"""Max-pooling of small NumPy arrays: gather all windows, because NumPy calls take longer than the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from upsample.arrays import Table
from upsample.caches import cached
from upsample.plans.window import PoolPlan, WindowAxis

__all__ = ["pool_small"]

_SMALL = 1 << 12
"""Most values of a small array."""


def pool_small(plan: PoolPlan, planes: int, x: Any) -> tuple[Any, Any] | None:
    """Return the maxima and their positions, one plane a row; None if there is NaN, or the array is not small."""
    tables = _table(plan) if x.size <= _SMALL else None
    if tables is None or planes * tables[0].size > 4 * _SMALL:
        return None
    (table, starts), values = tables, x.reshape(planes, -1)
    winners = values.take(table, axis=1).argmax(axis=2)
    winners += starts
    places = table.take(winners)
    maxima = values.take(places) if len(values) == 1 else np.take_along_axis(values, places, axis=1)
    if maxima.dtype.kind not in "biu" and math.isnan(np.add.reduce(maxima, axis=None)):
        return None
    return maxima, places


@cached
def _table(plan: PoolPlan) -> tuple[Table, Table] | None:
    """Return a table of the positions of each cell's window, and the flat place of each row of the table.

    A position in the padding is replaced by the window's first position inside. The result is None if windows are
    large, or if indices count within windows.
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
