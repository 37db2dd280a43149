"""Gradient of max-unpooling: a gather of the value at each cell's position, if the cell won this position."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, cast

from upsample.arrays import Array
from upsample.engines.index_checks import signed
from upsample.engines.jax.runtime.compiled import compiled
from upsample.engines.jax.unpool.positions import flattened, rows_of, winners
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]


def run(xp: ModuleType, plan: UnpoolPlan, y: Array, indices: Array) -> Array:
    """Return the value of ``y [..., *large]`` at the position of each cell of ``indices [..., *small]``."""
    return cast(Array, _taken(plan, y, signed(xp, plan, indices, None)))


@compiled
def _taken(plan: UnpoolPlan, y: Any, indices: Any) -> Any:
    from jax import lax
    from jax import numpy as jnp

    if 0 in indices.shape:
        return jnp.zeros(indices.shape, y.dtype)
    rows, size = rows_of(plan, indices), math.prod(plan.large_shape)
    inside, place = rows < size, jnp.minimum(rows, size - 1)
    if plan.duplicates == "last":
        winner = jnp.take_along_axis(winners(plan, rows), place, axis=1, mode="promise_in_bounds")
        inside &= winner == lax.broadcasted_iota(rows.dtype, rows.shape, 1)
    values = flattened(plan, y, plan.large_shape)
    taken = jnp.take_along_axis(values, place, axis=1, mode="promise_in_bounds")
    return jnp.where(inside, taken, 0).reshape(indices.shape)
