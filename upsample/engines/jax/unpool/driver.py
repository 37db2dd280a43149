"""Max-unpooling: a scatter of cell numbers, of which the last wins, and a gather of these cells' values.

Under "sum", a CPU scatters and adds, because XLA then adds cells in order. Other devices add in no fixed order.
Therefore they sort cells by position and sum them by a segmented scan.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.index_checks import check_duplicates, check_range, signed
from upsample.engines.jax.runtime.compiled import compiled
from upsample.engines.jax.unpool.positions import flattened, rows_of, winners
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]


def run(xp: ModuleType, plan: UnpoolPlan, x: Any, indices: Any, out: None, names: tuple[str, str]) -> Array:
    """Return the unpooled array; raise IndexError for a bad index, ValueError for a duplicate under "error".

    While JAX traces, indices cannot be checked: bad ones are dropped, and the last of several duplicates wins.
    """
    indices = signed(xp, plan, indices, names)
    if plan.check_indices and not arrays.is_abstract(indices) and not arrays.is_abstract(x):
        where = arrays.astype(xp, indices, arrays.index_dtype(xp))
        check_range(xp, plan, where, names)
        if plan.duplicates == "error":
            check_duplicates(xp, plan, where, names)
    return cast(Array, _unpooled(plan, x, indices))


@compiled
def _unpooled(plan: UnpoolPlan, x: Any, indices: Any) -> Any:
    from jax import lax
    from jax import numpy as jnp

    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.large_shape)
    if 0 in x.shape:
        return jnp.zeros(shape, x.dtype)
    values, rows = flattened(plan, x, plan.small_shape), rows_of(plan, indices)
    if plan.duplicates == "sum":
        wide = values.astype(arrays.accumulator(values.dtype.name))
        size = math.prod(plan.large_shape)
        by = {"cpu": lambda *pair: scattered(size, *pair), "default": lambda *pair: summed_runs(size, *pair)}
        return lax.platform_dependent(wide, rows, **by).astype(x.dtype).reshape(shape)
    cells = winners(plan, rows)
    taken = jnp.take_along_axis(values, jnp.maximum(cells, 0), axis=1, mode="promise_in_bounds")
    return jnp.where(cells >= 0, taken, 0).reshape(shape)


def scattered(size: int, values: Any, rows: Any) -> Any:
    """Return the sums of ``values [planes, cells]`` at the positions `rows`, ``[planes, size]``, by a scatter."""
    from jax import lax
    from jax import numpy as jnp

    plane = lax.broadcasted_iota(rows.dtype, rows.shape, 0)
    return jnp.zeros((values.shape[0], size), values.dtype).at[plane, rows].add(values, mode="drop")


def summed_runs(size: int, values: Any, rows: Any) -> Any:
    """Return what `scattered` does, but add in an order that does not depend on the device.

    A segmented scan sums each run of equal positions in the sorted cells.
    """
    from jax import lax
    from jax import numpy as jnp

    order = jnp.argsort(rows, axis=1, stable=True)
    values, rows = (jnp.take_along_axis(x, order, axis=1) for x in (values, rows))

    def joined(left: tuple[Any, Any], right: tuple[Any, Any]) -> tuple[Any, Any]:
        is_same_run = left[1] == right[1]
        return jnp.where(is_same_run, left[0] + right[0], right[0]), right[1]

    sums, _ = lax.associative_scan(joined, (values, rows), axis=1)
    is_last = jnp.concatenate([rows[:, 1:] != rows[:, :-1], jnp.ones_like(rows[:, :1], dtype=bool)], axis=1)
    return scattered(size, sums, jnp.where(is_last, rows, size))
