"""Max-unpooling of NumPy arrays by assignment to places that no two cells name with different values.

NumPy does not say in which order it assigns where an index comes twice, so what was written is read again: where a
cell does not find its own value, another one named its place, and the caller asks in order instead.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from upsample.plans.window import UnpoolPlan

__all__ = ["can_scatter", "scattered"]

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""What values of so many bytes are moved and compared as, so that NaN finds itself."""


def can_scatter(xp: Any, plan: UnpoolPlan, x: Any, result: Any) -> bool:
    """Whether this way is open: checked indices of the plane, no sums, and both of one byte order."""
    checked = plan.check_indices and not plan.local_indices and plan.duplicates != "sum"
    alike = xp is np and x.dtype == result.dtype and x.dtype.itemsize in _UNSIGNED
    return alike and checked and result.flags.c_contiguous


def scattered(plan: UnpoolPlan, values: Any, where: Any, result: Any) -> bool:
    """Unpool ``values [planes, *small]`` into ``result [planes, *large]``; False where some place is named twice."""
    kind = _UNSIGNED[values.dtype.itemsize]
    planes, positions = values.shape[0], math.prod(plan.large_shape)
    result[...] = 0
    flat = result.reshape(-1).view(kind)
    place = where.reshape(planes, -1).astype(np.intp)
    place += np.arange(planes)[:, None] * positions
    moved = np.ascontiguousarray(values).reshape(place.shape).view(kind)
    place, moved = place.reshape(-1), moved.reshape(-1)
    flat[place] = moved
    return bool((flat[place] == moved).all())
