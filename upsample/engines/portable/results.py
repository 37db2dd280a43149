"""How an engine that makes its result as a new array hands it over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array

__all__ = ["deliver", "empty", "plane_cuts", "quiet", "scalar"]

_BLOCK_BYTES = 1 << 19
"""Bytes of planes at a time: with the handful of temporaries that an op makes of them, they stay in the cache."""

quiet = np.errstate(invalid="ignore", over="ignore")
"""Decorates a `run`: NumPy would warn of infinities and NaN that are in the input, as no other library does."""


def deliver(result: Array, out: Array | None) -> Array:
    """Return the result, in `out` where that is given."""
    if out is None:
        return result
    target: Any = out
    target[...] = result
    return out


def plane_cuts(planes: Any) -> Iterator[slice]:
    """Cut ``[planes, ...]`` into a few planes at a time."""
    count = planes.shape[0]
    step = max(1, _BLOCK_BYTES // max(1, math.prod(planes.shape[1:]) * arrays.itemsize(planes)))
    for begin in range(0, count, step):
        yield slice(begin, min(begin + step, count))


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
