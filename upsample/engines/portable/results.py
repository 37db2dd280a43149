"""How an engine that makes its result as a new array hands it over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array

__all__ = ["Target", "deliver", "empty", "plane_cuts", "quiet", "scalar"]

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


class Target:
    """Where a result is written piece by piece: a new array, or `out` itself under another shape.

    Attributes
    ----------
    array : array
        Of the shape in which the engine works.
    """

    def __init__(self, xp: ModuleType, shape: tuple[int, ...], like: Array, out: Array | None) -> None:
        self._xp, self._out = xp, out
        self._in_place = out is not None and arrays.is_contiguous(out)
        self.array: Any = xp.reshape(out, shape) if self._in_place else empty(xp, shape, like)

    def finished(self, shape: tuple[int, ...]) -> Array:
        """Return the result in its own shape, or `out`, which then holds it."""
        if self._in_place and self._out is not None:
            return self._out
        return deliver(self._xp.reshape(self.array, shape), self._out)


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
