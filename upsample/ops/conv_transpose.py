"""Transposed convolution."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.engines import dispatch
from upsample.plans.window import SpreadPlan

__all__ = ["conv_transpose"]


def conv_transpose(
    x: ArrayT,
    weight: Array,
    bias: Array | None,
    *,
    op: str,
    arguments: tuple[str, str, str],
    xp: ModuleType,
    plan: SpreadPlan,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run a spreading plan.

    Parameters
    ----------
    x : array
        ``[N, C, *small]``.
    weight : array
        ``[C, M / groups, *kernel]``.
    bias : array or None
        ``[M]``.
    op : str
        What the dialect calls the operation, for errors.
    arguments : tuple of three str
        What it calls `x`, `weight` and `bias`.
    xp : module
        Namespace of all.
    plan : SpreadPlan
        Windows and groups.
    out : array or None
        Receives the result.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[N, M, *large]``, of the namespace, dtype and device of `x`.
    """
    shape = (x.shape[0], weight.shape[1] * plan.groups, *plan.large_shape)
    check_addressable(op, arguments[0], x.shape, shape, arrays.itemsize(x))
    if out is not None:
        arrays.check_out(op, out, shape, x.dtype, dict(zip(arguments, (x, weight, bias), strict=True)))
    run = dispatch.choose(op, "conv_transpose", plan, x, engine)
    native = (arrays.native_order(x), arrays.native_order(weight), None if bias is None else arrays.native_order(bias))
    return cast(ArrayT, arrays.in_order_of(x, run(xp, plan, *native, out)))
