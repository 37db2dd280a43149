"""Move blocks of channels into space and back, by reshape and transpose."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import Array, can_assign, copied, is_contiguous
from upsample.copies import copy
from upsample.engines.portable.output import Target, deliver
from upsample.float_errors import quiet
from upsample.plans.shuffle import ShufflePlan

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: ShufflePlan, x: Array, out: Array | None) -> Array:
    """Return `x` rearranged; never a view of it."""
    if xp is np:
        return _copied(plan, x, out)
    own = out is None and can_assign(xp, x) and not is_contiguous(x)
    if own:  # of a broadcast array no reshape copies
        x = copied(xp, x)
    moved = xp.permute_dims(xp.reshape(x, plan.split), plan.order)
    if out is None and plan.is_reshape and not own:  # else the reshape copies
        moved = copied(xp, moved)
    return deliver(xp.reshape(moved, plan.shape), out)


def _copied(plan: ShufflePlan, x: Any, out: Array | None) -> Array:
    """Copy a NumPy array into its new order."""
    target = Target(np, tuple(plan.split[axis] for axis in plan.order), x, out)
    copy(np.reshape(x, plan.split).transpose(plan.order), target.array)
    return target.finished(plan.shape)
