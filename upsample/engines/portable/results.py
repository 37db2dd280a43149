"""How an engine that makes its result as a new array hands it over."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array

__all__ = ["deliver", "empty", "quiet", "scalar"]

quiet = np.errstate(invalid="ignore", over="ignore")
"""Decorates a `run`: NumPy would warn of infinities and NaN that are in the input, as no other library does."""


def deliver(result: Array, out: Array | None) -> Array:
    """Return the result, in `out` where that is given."""
    if out is None:
        return result
    target: Any = out
    target[...] = result
    return out


def empty(xp: ModuleType, shape: tuple[int, ...], like: Array) -> Any:
    """Make an uninitialised array of the dtype and device of `like`."""
    if type(like).__module__ == "numpy":
        return xp.empty(shape, dtype=like.dtype)
    return xp.empty(shape, dtype=like.dtype, device=arrays.device_of(like))


def scalar(xp: ModuleType, value: float, like: Array) -> Any:
    """Make a zero-dimensional array of the dtype and device of `like`."""
    if type(like).__module__ == "numpy":
        return xp.asarray(value, dtype=like.dtype)
    return xp.asarray(value, dtype=like.dtype, device=arrays.device_of(like))
