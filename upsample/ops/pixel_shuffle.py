"""Depth to space and back."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import delivered, follow, followed
from upsample.ops.steps import Rearrange
from upsample.plans.shuffle import ShufflePlan

__all__ = ["rearrange"]


def rearrange(
    x: ArrayT, *, op: str, argument: str, xp: ModuleType, plan: ShufflePlan, out: Array | None, engine: str | None
) -> ArrayT:
    """Run a shuffle plan; the result is a new array of the namespace, dtype and device of `x`, or `out`."""
    check_addressable(op, argument, tuple(x.shape), plan.shape, arrays.itemsize(x))
    if out is not None:
        arrays.check_out(op, out, plan.shape, x.dtype, {argument: x})
    step = Rearrange(op, xp, engine, plan, tuple(x.shape))
    return cast(ArrayT, delivered(follow(step, x)[0], out) if followed(x) else step.into(x, out))
