"""Compile a function of a plan and of arrays by XLA, once for each plan and shape.

Tables are arguments of the function, because a constant would remain in memory with the compiled code. If an argument
is sharded over several devices, XLA copies the tables to all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import Any

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function of a plan and arrays, so that XLA compiles it; the first call imports JAX."""

    @cache
    def jitted() -> Callable[..., Any]:
        jit: Callable[..., Any] = import_module("jax").jit(function, static_argnums=0)
        return jit

    @wraps(function)
    def call(plan: object, *arrays: Any) -> Any:
        return jitted()(plan, *arrays)

    return call
