"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import delivered, follow, followed
from upsample.ops.conv_steps import ConvTranspose
from upsample.plans.window import ConvTransposePlan

__all__ = ["conv_transpose", "repeat_conv_transpose"]


def conv_transpose(
    x: ArrayT,
    weight: Array,
    bias: Array | None,
    *,
    op: str,
    arguments: tuple[str, str, str],
    xp: ModuleType,
    plan: ConvTransposePlan,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run a transposed convolution.

    Parameters
    ----------
    x : array
        ``[N, C, *small]``, or without N.
    weight : array
        ``[C, M / groups, *kernel]``.
    bias : array or None
        ``[M]``.
    op : str
        The dialect's name of the operation, for errors.
    arguments : tuple of three str
        The dialect's names of `x`, `weight` and `bias`.
    xp : module
        Namespace of all.
    plan : ConvTransposePlan
        Windows and groups.
    out : array or None
        Receives the result.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        ``[N, M, *large]``, or without N, of the namespace, dtype and device of `x`.
    """
    spatial = len(plan.axes)
    shape = (*x.shape[: x.ndim - spatial - 1], weight.shape[1] * plan.groups, *plan.large_shape)
    check_addressable(op, arguments[0], x.shape, shape, arrays.itemsize(x))
    given = (x, weight) if bias is None else (x, weight, bias)
    if out is not None:
        arrays.check_out(op, out, shape, x.dtype, dict(zip(arguments, given, strict=False)))
    step = ConvTranspose(op, xp, engine, plan)
    if followed(x, weight, bias):
        return cast(ArrayT, delivered(follow(step, x, weight, bias)[0], out))
    return cast(ArrayT, step.into(x, weight, bias, out))


def repeat_conv_transpose(run: Callable[..., Any], x: Array, weight: Array, bias: Array | None, out: Any) -> Any:
    """Run a cached call on other arrays of the same shapes and dtypes."""
    if x.ndim == weight.ndim:
        return run(x, weight, bias, out)
    result = run(x[None, ...], weight, bias, None if out is None else out[None, ...])
    return result[0, ...] if out is None else out
