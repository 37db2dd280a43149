"""Resize of bytes by high halves of 16-bit products: OpenCV's linear interpolation (`plans.arithmetic.HIGH_HALVES`)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.output import deliver
from upsample.plans.resize import ResizePlan
from upsample.plans.taps import listed_apart, taps

__all__ = ["run_high"]

_PLACES = 7
"""Binary places of the sums along rows."""
_DROPPED = 16
"""Binary places that are dropped from products along columns."""


def run_high(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    """Resample `x` along rows, then along columns, tap by tap; write the result to `out` if it is not None."""
    (top, left), (down, across) = plan.axes, plan.rules
    table = taps(across)
    last = np.maximum(table.count, 1) - 1
    rows: Any = 0
    for tap in range(table.longest):
        index = table.first + np.minimum(tap, last)
        rows = _product(xp, x, left, index, table.weight[:, tap] * 2.0**across.bits) + rows
    rows = rows >> (across.bits - _PLACES)
    places = _PLACES + down.bits - _DROPPED
    indices, weights = listed_apart(down)
    total: Any = 1 << places >> 1
    for index, weight in zip(indices.T, weights.T, strict=True):
        total = (_product(xp, rows, top, index, weight * 2.0**down.bits) >> _DROPPED) + total
    return deliver(arrays.astype(xp, total >> places, x.dtype), out)


def _product(xp: ModuleType, x: Any, axis: int, index: Any, weight: Any) -> Any:
    """Return the inputs `index` along an axis times `weight`, as int32."""
    taken = arrays.astype(xp, arrays.take(xp, x, index, axis), xp.int32)
    column = np.rint(weight).astype(np.int32).reshape((-1,) + (1,) * (len(x.shape) - axis - 1))
    return taken * arrays.from_table(xp, column, taken, xp.int32)
