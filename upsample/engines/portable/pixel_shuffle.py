"""Moving blocks of channels into space and back, by reshape and transpose."""

from __future__ import annotations

from types import ModuleType

from upsample.arrays import Array, copied
from upsample.engines.portable.results import deliver
from upsample.plans.shuffle import ShufflePlan

__all__ = ["run"]


def run(xp: ModuleType, plan: ShufflePlan, x: Array, out: Array | None) -> Array:
    """Return `x` rearranged; never a view of it."""
    result = xp.reshape(x, plan.split)
    result = xp.permute_dims(result, plan.order)
    if out is None:
        result = copied(xp, result)
    return deliver(xp.reshape(result, plan.shape), out)
