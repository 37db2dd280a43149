"""Convert indices of an unpooling to the position of each cell, and to the winning cell of each position."""

from __future__ import annotations

import math
from typing import Any

from upsample.plans.window import UnpoolPlan

__all__ = ["flattened", "rows_of", "winners"]


def flattened(plan: UnpoolPlan, x: Any, sizes: tuple[int, ...]) -> Any:
    """Reshape ``[..., *sizes]`` to ``[planes, product of sizes]``."""
    planes = math.prod(x.shape[: x.ndim - len(plan.axes)])
    return x.reshape((planes, math.prod(sizes)))


def rows_of(plan: UnpoolPlan, indices: Any) -> Any:
    """Return the flat position of each cell, ``[planes, cells]``; the size of a plane for cells that are dropped."""
    from jax import dtypes
    from jax import numpy as jnp

    size = math.prod(plan.large_shape)
    where = indices.astype(dtypes.canonicalize_dtype("int64"))
    if plan.local_indices:
        where = _of_windows(plan, where)
    elif not (plan.check_indices or plan.trusted):
        where = jnp.where(_in_own_window(plan, where), where, -1)
    where = flattened(plan, where, plan.small_shape)
    return jnp.where((where >= 0) & (where < size), where, size)


def _starts(plan: UnpoolPlan, like: Any) -> list[Any]:
    """Return for each axis the positions at which windows begin, to broadcast with `like`."""
    from jax import lax

    lead, starts = like.ndim - len(plan.axes), []
    for number, axis in enumerate(plan.windows, start=lead):
        column = (1,) * number + (axis.small,) + (1,) * (like.ndim - number - 1)
        starts.append(lax.broadcasted_iota(like.dtype, column, number) * axis.stride - axis.padding)
    return starts


def _of_windows(plan: UnpoolPlan, where: Any) -> Any:
    """Convert indices that count within windows, negative ones from the end, to positions; -1 if invalid."""
    from jax import numpy as jnp

    window = math.prod(axis.kernel for axis in plan.windows)
    rest = jnp.where(where < 0, where + window, where)
    inside, target, step = (rest >= 0) & (rest < window), 0, 1
    for axis, start in reversed(list(zip(plan.windows, _starts(plan, where), strict=True))):
        position = rest % axis.kernel * axis.dilation + start
        inside &= (position >= 0) & (position < axis.large)
        rest, target, step = rest // axis.kernel, target + position * step, step * axis.large
    return jnp.where(inside, target, -1)


def _in_own_window(plan: UnpoolPlan, where: Any) -> Any:
    """Tell for each index whether its cell's window covers this position."""
    rest, inside = where, (where >= 0) & (where < math.prod(plan.large_shape))
    for axis, start in reversed(list(zip(plan.windows, _starts(plan, where), strict=True))):
        offset = rest % axis.large - start
        inside &= (offset >= 0) & (offset < axis.reach) & (offset % axis.dilation == 0)
        rest = rest // axis.large
    return inside


def winners(plan: UnpoolPlan, rows: Any) -> Any:
    """Return the last cell with each position, ``[planes, positions]``; -1 if there is none."""
    from jax import lax
    from jax import numpy as jnp

    shape = (rows.shape[0], math.prod(plan.large_shape))
    plane = lax.broadcasted_iota(rows.dtype, rows.shape, 0)
    cell = lax.broadcasted_iota(rows.dtype, rows.shape, 1)
    return jnp.full(shape, -1, rows.dtype).at[plane, rows].max(cell, mode="drop")
