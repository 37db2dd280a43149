"""The two transposes of transposed convolution: by its input, a convolution; by its weight, a correlation.

Of ``y = spread(x, w)`` all three are sums over the same triples of cell, tap and position::

    spread       y[position] += x[cell] * w[tap]
    convolve     x[cell]     += y[position] * w[tap]
    correlate    w[tap]      += y[position] * x[cell]
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import follow, followed
from upsample.engines import dispatch
from upsample.plans.window import SpreadPlan

__all__ = ["convolve", "correlate"]


def convolve(y: ArrayT, weight: Array, *, op: str, xp: ModuleType, plan: SpreadPlan, engine: str | None) -> ArrayT:
    """Sum each cell's window, weighed.

    Parameters
    ----------
    y : array
        ``[N, M, *large]``, or without N.
    weight : array
        ``[C, M / groups, *kernel]``.
    op : str
        What the dialect calls the operation, for errors.
    xp : module
        Namespace of both.
    plan : SpreadPlan
        Windows and groups.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[N, C, *small]``, or without N, of the namespace, dtype and device of `y`.
    """
    if followed(y, weight):
        from upsample.ops import gradients  # which imports this module

        return cast(ArrayT, follow(gradients.Convolve(op, xp, engine, plan), y, weight)[0])
    run = dispatch.choose(op, "conv_transpose.input_grad", plan, y, engine)
    result = run(xp, plan, _batched(plan, y), arrays.native_order(weight))
    return cast(ArrayT, arrays.in_order_of(y, _unbatched(plan, y, result)))


def correlate(x: ArrayT, y: Array, *, op: str, xp: ModuleType, plan: SpreadPlan, engine: str | None) -> ArrayT:
    """Sum, for each tap, the products of every cell with what the tap meets.

    Parameters
    ----------
    x : array
        ``[N, C, *small]``, or without N.
    y : array
        ``[N, M, *large]``, or without N.
    op : str
        What the dialect calls the operation, for errors.
    xp : module
        Namespace of both.
    plan : SpreadPlan
        Windows and groups.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[C, M / groups, *kernel]``, of the namespace, dtype and device of `x`.
    """
    if followed(x, y):
        from upsample.ops import gradients  # which imports this module

        return cast(ArrayT, follow(gradients.Correlate(op, xp, engine, plan), x, y)[0])
    run = dispatch.choose(op, "conv_transpose.weight_grad", plan, x, engine)
    return cast(ArrayT, arrays.in_order_of(x, run(xp, plan, _batched(plan, x), _batched(plan, y))))


def _batched(plan: SpreadPlan, x: Any) -> Any:
    x = arrays.native_order(x)
    return x if x.ndim == len(plan.axes) + 2 else x[None, ...]


def _unbatched(plan: SpreadPlan, like: Array, result: Any) -> Any:
    return result if like.ndim == len(plan.axes) + 2 else result[0, ...]
