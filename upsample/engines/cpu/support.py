"""Decide which calls the cpu engine supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines import lazy_compile
from upsample.engines.cpu.torch_tensors import on_tensors, shares_cpu_memory
from upsample.plans.resize import ResizePlan
from upsample.plans.window import WindowAxis

__all__ = ["adapted", "supports", "unusable"]

_LARGEST_WINDOW = 1 << 14
"""Positions of the largest window; the row buffers of the kernels grow with the window."""
_REAL = arrays.FLOATING | arrays.INTEGER | {"bool"}
_DTYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "resize": arrays.FLOATING | arrays.COMPLEX | arrays.INTEGER,
        "pool": _REAL,
        "unpool": arrays.MOVABLE,
        "unpool.backward": arrays.MOVABLE - {"complex128"},
        "conv_transpose": arrays.FLOATING,
        "conv_transpose.input_grad": arrays.FLOATING,
        "conv_transpose.weight_grad": arrays.FLOATING,
    }
)


@lru_cache(maxsize=1)
def unusable() -> str | None:
    """Return None, or in words why the engine is of no use in this process.

    Numba is imported here, once, at the first call that could use it: one that is there may still be broken.
    """
    if lazy_compile.wish() == "never":
        return "UPSAMPLE_COMPILE=never is set: unset it"
    if find_spec("numba") is None:
        return 'Numba is not installed: pip install "upsample[cpu]"'
    try:
        if import_module("numba").config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set, so Numba compiles nothing: unset it"
        import_module("upsample.engines.cpu.runtime.compile")
    except Exception as error:  # whatever Numba, llvmlite or their shared libraries raise
        words = str(error).strip().splitlines() or [type(error).__name__]
        return f"Numba is installed, but cannot be imported: {words[0]}"
    return None


def supports(task: str, plan: object, x: Array) -> str | None:
    """Return None, or in words why this engine does not carry out `plan` on `x`."""
    if not isinstance(x, np.ndarray) and not shares_cpu_memory(x):
        return "it takes NumPy arrays and torch CPU tensors only"
    if task not in _DTYPES:
        return "moving blocks of memory needs no compiled code"
    if any(_is_huge(axis) for axis in getattr(plan, "axes", ()) if isinstance(axis, WindowAxis)):
        return f"its row buffers grow with the window, which here is past {_LARGEST_WINDOW} positions"
    name = arrays.dtype_name(x)
    moves = task == "resize" and isinstance(plan, ResizePlan) and plan.only_moves
    if name not in (arrays.MOVABLE if moves else _DTYPES[task]):
        return f"it does not take {name} for this"
    return unusable()


def adapted(run: Callable[..., Any], x: Array) -> Callable[..., Any]:
    """Return an op's `run` as it is called with arrays like `x`."""
    return run if isinstance(x, np.ndarray) else on_tensors(run)


def _is_huge(axis: WindowAxis) -> bool:
    return max(axis.reach, axis.stride, axis.padding) > _LARGEST_WINDOW
