"""Max-unpooling of NumPy arrays by assignment, and back by `take`: places are flat positions of some planes.

NumPy does not say in which order it assigns where a place comes twice. Windows of a pooling that lie apart name none
twice; elsewhere the values are counted, or what was written is read again, and where some are missing the caller asks
in order instead. `numpy.add.at` does have an order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from upsample import arrays
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["all_below", "can_scatter", "distinct", "places", "scattered"]

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""What values of so many bytes are moved and compared as, so that NaN finds itself."""


def can_scatter(xp: Any, plan: UnpoolPlan, x: Any, result: Any) -> bool:
    """Whether this way is open: indices of the plane that all lie in it, and both of one byte order."""
    inside = not plan.local_indices and (plan.check_indices or plan.trusted)
    alike = xp is np and x.dtype == result.dtype and x.dtype.itemsize in _UNSIGNED
    if not (alike and inside and result.flags.c_contiguous):
        return False
    wide = arrays.accumulator(arrays.dtype_name(x)) == arrays.dtype_name(x)  # else sums are of another dtype
    return plan.duplicates != "sum" or wide or _apart(plan)


def scattered(plan: UnpoolPlan, values: Any, where: Any, result: Any) -> bool:
    """Unpool ``values [planes, *small]`` into ``result [planes, *large]``; False where some place is named twice."""
    result[...] = 0
    place, flat = places(where, math.prod(plan.large_shape)), result.reshape(-1)
    values = np.ascontiguousarray(values).reshape(-1)
    if plan.duplicates == "sum" and not _apart(plan):
        np.add.at(flat, place, values)
        return True
    kind = _UNSIGNED[values.dtype.itemsize]
    flat, moved = flat.view(kind), values.view(kind)
    flat[place] = moved
    if _apart(plan) or plan.duplicates == "error":
        return True
    if _lie_apart(plan) and np.count_nonzero(flat) == moved.size:  # takes half of reading it again
        return True
    return bool((flat[place] == moved).all())


def _lie_apart(plan: UnpoolPlan) -> bool:
    """Whether windows do not overlap."""
    return all(isinstance(a, WindowAxis) and a.reach <= a.stride for a in plan.axes)


def _apart(plan: UnpoolPlan) -> bool:
    """Whether no two cells can name one position."""
    return plan.trusted and _lie_apart(plan)


def places(where: Any, positions: int) -> Any:
    """Turn indices ``[planes, ...]`` into flat positions of all planes."""
    planes = len(where)
    return np.add(where.reshape(planes, -1), np.arange(planes)[:, None] * positions, dtype=np.intp).reshape(-1)


def all_below(where: Any, end: int) -> bool:
    """Whether indices are in ``[0, end)``; in one pass, for a negative one is a large unsigned one."""
    if where.size == 0:
        return True
    if end > np.iinfo(where.dtype).max:
        return bool(where.min() >= 0)
    return bool(where.view(f"u{where.dtype.itemsize}").max() < end)


def distinct(place: Any, positions: int) -> bool:
    """Whether flat positions are all different."""
    named = np.zeros(positions, dtype=bool)
    named[place] = True
    return bool(np.count_nonzero(named) == place.size)
