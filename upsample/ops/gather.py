"""The transpose of max-unpooling: each cell takes back what stands where it was put."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import follow, followed
from upsample.engines import dispatch
from upsample.plans.window import UnpoolPlan

__all__ = ["gather"]


def gather(y: ArrayT, indices: Array, *, op: str, xp: ModuleType, plan: UnpoolPlan, engine: str | None) -> ArrayT:
    """Run an unpooling plan the other way.

    Parameters
    ----------
    y : array
        ``[..., *large]``.
    indices : array of an integer dtype
        ``[..., *small]``, as `upsample.ops.unpool.unpool` took them.
    op : str
        What the dialect calls the operation, for errors.
    xp : module
        Namespace of both.
    plan : UnpoolPlan
        Windows, and what indices mean. Under ``duplicates="last"`` only the last cell of those that name a position
        takes its value, else each does.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[..., *small]``, of the namespace, dtype and device of `y`; zero for a cell that was dropped.
    """
    if followed(y):
        from upsample.ops import gradients  # which imports this module

        return cast(ArrayT, follow(gradients.Gather(op, xp, engine, plan), y, indices)[0])
    run = dispatch.choose(op, "unpool.backward", plan, y, engine)
    result = run(xp, plan, arrays.native_order(y), arrays.native_order(indices))
    return cast(ArrayT, arrays.in_order_of(y, result))
