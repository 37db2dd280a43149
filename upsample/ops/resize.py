"""Resampling of any axes of an array."""

from __future__ import annotations

from types import ModuleType
from typing import cast

from upsample import arrays
from upsample.arguments import check_addressable
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import delivered, follow, followed
from upsample.errors import Raw, bad_type
from upsample.ops.call_chains import note
from upsample.ops.steps import Resize
from upsample.plans.resize import ResizePlan

__all__ = ["resize"]


def resize(
    x: ArrayT,
    *,
    op: str,
    arguments: tuple[str, str],
    xp: ModuleType,
    plan: ResizePlan,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run a resize plan.

    Parameters
    ----------
    x : array
        Any shape that the plan was made for.
    op : str
        The dialect's name of the operation, for errors.
    arguments : tuple of two str
        The dialect's names of `x` and of the size of the result.
    xp : module
        Namespace of `x`.
    plan : ResizePlan
        Axes and rules.
    out : array or None
        Receives the result.
    engine : str or None
        Forces an engine.

    Returns
    -------
    array
        Of the namespace, dtype and device of `x`.
    """
    shape = plan.out_shape(x.shape)
    check_addressable(op, arguments[1], shape, shape, arrays.itemsize(x))
    if out is not None:
        arrays.check_out(op, out, shape, x.dtype, {arguments[0]: x})
    _check_sums(op, arguments[0], xp, plan, x)
    step = Resize(op, xp, engine, plan)
    result = cast(ArrayT, delivered(follow(step, x)[0], out) if followed(x) else step.into(x, out))
    note(plan, (x,), result)
    return result


def _check_sums(op: str, argument: str, xp: ModuleType, plan: ResizePlan, x: Array) -> None:
    """Raise TypeError where sums of 32-bit integers need float64 and the library has none, as JAX by default."""
    name = arrays.dtype_name(x)
    if name not in ("int32", "uint32") or arrays.double(xp) == xp.float64:
        return
    if not plan.only_moves and plan.arithmetic.sums == "float64":
        rule = "its sums need float64, which JAX has switched off"
        raise bad_type(op, argument, Raw(f"<dtype {name}>"), rule, "call jax.config.update('jax_enable_x64', True)")
