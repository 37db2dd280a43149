"""Gradient of max-unpooling by the Array API alone: one take by flat positions; with NumPy, one for every few planes.

If the last of several cells won, the numbers of the cells are unpooled as their values were. A cell won if its position
contains its number.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines import result_pool
from upsample.engines.index_checks import check_range, signed
from upsample.engines.part_indices import localised
from upsample.engines.portable.output import each_tile, empty, plane_cuts, scalar
from upsample.engines.portable.unpool import driver as unpool
from upsample.engines.portable.unpool.numpy_scatter import Places, take
from upsample.float_errors import quiet
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: UnpoolPlan, y: Array, indices: Array) -> Array:
    """Return for each cell of ``indices [..., *small]`` what ``y [..., *large]`` has at its position."""
    indices = signed(xp, plan, indices, None)
    if plan.within is not None:
        plan, indices = localised(xp, replace(plan, check_indices=False), indices, ("gather", "indices"))
    shape = tuple(indices.shape)
    if 0 in shape:
        nothing: Array = empty(xp, shape, y)
        return nothing
    planes = math.prod(shape[: len(shape) - len(plan.axes)])
    cells, positions = math.prod(plan.small_shape), math.prod(plan.large_shape)
    if xp is np:
        taken, bad = _by_planes(plan, np.asarray(y).reshape(planes, -1), np.asarray(indices).reshape(planes, -1))
        if bad and plan.check_indices and plan.duplicates == "last":
            check_range(np, plan, arrays.astype(np, indices, np.int64), ("gather", "indices"))
        return cast(Array, taken.reshape(shape))
    where = xp.reshape(arrays.astype(xp, indices, arrays.index_dtype(xp)), (planes, *plan.small_shape))
    where = xp.reshape(_positions(xp, plan, where), (planes, cells))
    inside = xp.logical_and(where >= scalar(xp, 0, where), where < scalar(xp, positions, where))
    base = arrays.from_table(xp, np.arange(planes)[:, None] * positions, where, where.dtype)
    flat = xp.reshape(xp.where(inside, where + base, scalar(xp, 0, where)), (-1,))
    taken = xp.reshape(xp.take(xp.reshape(y, (-1,)), flat, axis=0), (planes, cells))
    if plan.duplicates == "last":
        numbers = np.ascontiguousarray(np.broadcast_to(np.arange(cells), (planes, cells)))
        own = arrays.from_table(xp, numbers, where, where.dtype)
        last = unpool.run(xp, plan, xp.reshape(own, shape), indices, None, ("gather", "indices"))
        winner = xp.reshape(xp.take(xp.reshape(last, (-1,)), flat, axis=0), (planes, cells))
        inside = xp.logical_and(inside, winner == own)
    result: Array = xp.reshape(xp.where(inside, taken, scalar(xp, 0, y)), shape)
    return result


def _by_planes(plan: UnpoolPlan, y: Any, where: Any) -> tuple[Any, bool]:
    """Take ``[planes, cells]`` of ``y [planes, positions]``, a few planes at a time; say whether an index is bad."""
    y, result = np.ascontiguousarray(y), result_pool.empty(where.shape, y.dtype)
    cuts, bad = plane_cuts(np, y), []

    def fill(number: int) -> None:
        cut = cuts[number]
        places = Places(plan, where[cut], False, len(cuts) == 1)
        take(plan, y[cut], places, result[cut])
        if places.bad:
            bad.append(number)

    each_tile(np, fill, len(cuts))
    return result, bool(bad)


def _positions(xp: ModuleType, plan: UnpoolPlan, where: Any) -> Any:
    """Return the position of each cell in its plane; a position outside of the plane for a dropped cell."""
    if plan.local_indices:
        return _of_windows(xp, plan, where)
    if plan.check_indices or plan.trusted:
        return where
    own = unpool.in_own_window(xp, plan, where)
    return xp.where(own, where, scalar(xp, -1, where))


def _of_windows(xp: ModuleType, plan: UnpoolPlan, where: Any) -> Any:
    """Turn indices that count within windows into positions."""
    window = math.prod(axis.kernel for axis in plan.windows)
    rest = xp.where(where < scalar(xp, 0, where), where + window, where)
    inside = xp.logical_and(rest >= scalar(xp, 0, where), rest < scalar(xp, window, where))
    rest = xp.where(inside, rest, scalar(xp, 0, where))
    target, step = None, 1
    for place, axis in reversed(list(enumerate(plan.windows))):
        column = (1,) * (place + 1) + (-1,) + (1,) * (len(plan.axes) - place - 1)
        position = rest % axis.kernel * axis.dilation
        position = position + arrays.from_table(xp, axis.positions(0).reshape(column), where, where.dtype)
        rest = rest // axis.kernel
        on_axis = xp.logical_and(position >= scalar(xp, 0, where), position < scalar(xp, axis.large, where))
        inside = xp.logical_and(inside, on_axis)
        target = position * step if target is None else target + position * step
        step *= axis.large
    return xp.where(inside, target, scalar(xp, -1, where))
