"""Decide which calls the engine for JAX arrays supports."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from upsample.arrays import Array
from upsample.plans.resize import ResizePlan

__all__ = ["supports", "unusable"]

_TASKS = frozenset(
    {
        "resize",
        "pool",
        "unpool",
        "unpool.backward",
        "conv_transpose",
        "conv_transpose.input_grad",
        "conv_transpose.weight_grad",
    }
)


def unusable() -> str | None:
    """Return None if JAX is installed, otherwise the reason in words; JAX is not imported."""
    return None if find_spec("jax") is not None else "JAX is not installed: pip install jax"


def supports(task: str, plan: object, x: Array) -> str | None:
    """Return None if this engine supports `plan` on `x`, otherwise the reason in words."""
    jax: Any = sys.modules.get("jax")
    if jax is None or not isinstance(x, jax.Array):
        return "it takes JAX arrays only"
    if task not in _TASKS:
        return "this is one operation of XLA on the portable engine, too"
    if getattr(plan, "within", None) is not None:
        return "it takes whole planes only"
    if isinstance(plan, ResizePlan) and plan.arithmetic.sums == "high":
        return "products of 16 bits have two taps an axis, a few operations on the portable engine, too"
    return None
