"""Max-pooling of the trailing axes of an array."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import delivered, follow, followed
from upsample.errors import Raw, bad_type
from upsample.ops.steps import Pool
from upsample.plans.window import PoolPlan

__all__ = ["pool"]


def pool(
    x: ArrayT,
    *,
    op: str,
    argument: str,
    xp: ModuleType,
    plan: PoolPlan,
    with_indices: bool,
    out: object,
    engine: str | None,
) -> tuple[ArrayT, ArrayT | None]:
    """Run a pooling plan: the maxima and, when they are wanted, their indices.

    Parameters
    ----------
    x : array
        ``[..., *large]``.
    op, argument : str
        The dialect's names of the operation and of `x`, for errors.
    xp : module
        Namespace of `x`.
    plan : PoolPlan
        Windows, and how they are indexed.
    with_indices : bool
        Whether indices are made.
    out : array, tuple of two arrays or None
        Receives the maxima, or with indices the maxima and the indices.
    engine : str or None
        Forces an engine.

    Returns
    -------
    maxima : array
        ``[..., *small]``, of the namespace, dtype and device of `x`.
    indices : array of the library's index dtype, or None
        An array of the shape of `x`.
    """
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.small_shape)
    check_addressable(op, argument, tuple(x.shape), shape, 8)  # the indices are the larger result
    pair: tuple[object, object] = (None, None)
    if out is not None:
        pair = _checked_pair(op, argument, xp, x, shape, out, with_indices)
    step = Pool(op, xp, engine, plan)
    if followed(x):
        values, indices = map(delivered, follow(step, x), pair)
    else:
        values, indices = step.into(x, pair, with_indices)
    return cast(ArrayT, values), cast(ArrayT, indices) if with_indices else None


def _checked_pair(
    op: str, argument: str, xp: ModuleType, x: Array, shape: tuple[int, ...], out: object, with_indices: bool
) -> tuple[object, object]:
    """Return where the maxima and the indices go."""
    pair = _pair(op, out, with_indices)
    arrays.check_out(op, pair[0], shape, x.dtype, {argument: x})
    if with_indices:
        taken = {argument: x, "out[0]": pair[0]}
        arrays.check_out(op, pair[1], shape, arrays.index_dtype(xp), taken)
    return pair


def _pair(op: str, out: object, with_indices: bool) -> tuple[object, object]:
    if not with_indices:
        return out, None
    if not isinstance(out, tuple) or len(out) != 2:
        raise bad_type(
            op, "out", Raw(f"<{type(out).__name__}>"), "the result is a pair", "pass a tuple (maxima, indices)"
        )
    return out
