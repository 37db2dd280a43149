"""JAX primitives for linear functions of one array, whose transpose comes from the plan.

JAX would transpose a gather into a scatter, which XLA runs one index at a time on a CPU, and in no fixed order on a
GPU. The plan's transpose is a gather too. ``jax.custom_vjp`` does not support forward mode, and ``linear_call`` does
not support ``vmap``; a primitive supports both.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["linear_primitive"]


def linear_primitive(
    name: str,
    run: Callable[[Any, Any], Any],
    shape: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]],
    transpose: Callable[[Any], Any],
    batched: Callable[[Any], Any],
) -> Callable[[Any, Any], Any]:
    """Make a primitive of JAX that has a plan, and return the function that applies it to a plan and an array.

    Parameters
    ----------
    name : str
        The primitive's name in the text of a jaxpr.
    run : callable
        ``run(plan, x)`` applies the function, which is linear in `x`, by JAX operations.
    shape : callable
        ``shape(plan, x.shape)`` returns the shape of the result, which has the dtype of `x`.
    transpose : callable
        ``transpose(plan)`` returns the plan of the transposed function.
    batched : callable
        ``batched(plan)`` returns the plan for an array with one more leading axis.
    """
    core, ad, batching, mlir = (
        import_module(f"jax.{module}")
        for module in ("extend.core", "interpreters.ad", "interpreters.batching", "interpreters.mlir")
    )
    primitive = core.Primitive(name)

    def abstract(x: Any, *, plan: Any) -> Any:
        return x.update(shape=shape(plan, x.shape), weak_type=False)

    def transposed(cotangent: Any, _x: Any, *, plan: Any) -> tuple[Any]:
        return (primitive.bind(cotangent, plan=transpose(plan)),)

    def batch(given: tuple[Any], places: tuple[int], *, plan: Any) -> tuple[Any, int]:
        x = import_module("jax.numpy").moveaxis(given[0], places[0], 0)
        return primitive.bind(x, plan=batched(plan)), 0

    primitive.def_impl(lambda x, *, plan: run(plan, x))
    primitive.def_abstract_eval(abstract)
    ad.deflinear2(primitive, transposed)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(lambda x, *, plan: run(plan, x), multiple_results=False))
    return lambda plan, x: primitive.bind(x, plan=plan)
