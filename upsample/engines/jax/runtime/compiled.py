"""Compile a function of a plan and of arrays by XLA, once for each plan and shape.

Tables are arguments of the function and no constants in it: a constant would stay in memory with the compiled code. An
argument of the function may also be sharded over several devices; XLA then copies the tables to all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import Any

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function whose first argument is a plan and whose others are arrays; JAX is imported by a call."""

    @cache
    def jitted() -> Callable[..., Any]:
        made: Callable[..., Any] = import_module("jax").jit(function, static_argnums=0)
        return made

    @wraps(function)
    def call(plan: object, *arrays: Any) -> Any:
        return jitted()(plan, *arrays)

    return call
