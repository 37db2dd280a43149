"""Max-unpooling of the trailing axes of an array."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import delivered, follow, followed
from upsample.errors import Raw, bad_value
from upsample.ops.steps import Unpool
from upsample.plans.window import UnpoolPlan

__all__ = ["unpool"]


def unpool(
    x: ArrayT,
    indices: Array,
    *,
    op: str,
    arguments: tuple[str, str, str],
    xp: ModuleType,
    plan: UnpoolPlan,
    duplicate_grad: str,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run an unpooling plan.

    Parameters
    ----------
    x : array
        ``[..., *small]``.
    indices : array of an integer dtype
        The shape of `x`.
    op : str
        The dialect's name of the operation, for errors.
    arguments : tuple of three str
        The dialect's names of `x`, `indices` and the size of the result.
    xp : module
        Namespace of both.
    plan : UnpoolPlan
        Windows, and what indices mean.
    duplicate_grad : {"winner", "all"}
        Which of the cells that name one position receive its gradient, where one overwrote the others.
    out : array or None
        Receives the result.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[..., *large]``, of the namespace, dtype and device of `x`; zero where no cell lands.
    """
    if tuple(indices.shape) != tuple(x.shape):
        raise bad_value(
            op,
            arguments[1],
            Raw(f"<shape {tuple(indices.shape)}>"),
            f"{arguments[0]} has the shape {tuple(x.shape)}",
            "pass one index for each element",
        )
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.large_shape)
    check_addressable(op, arguments[2], plan.large_shape, shape, arrays.itemsize(x))
    if out is not None:
        arrays.check_out(op, out, shape, x.dtype, {arguments[0]: x, arguments[1]: indices})
    step = Unpool(op, xp, engine, plan, duplicate_grad == "all", arguments[1])
    return cast(ArrayT, delivered(follow(step, x, indices)[0], out) if followed(x) else step.into(x, indices, out))
