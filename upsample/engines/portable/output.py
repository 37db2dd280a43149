"""Return the result of an engine that allocates it, or copy it to `out`."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.copies import copy
from upsample.engines import result_pool, threads

__all__ = [
    "WORTH_SHARING",
    "Target",
    "deliver",
    "each_tile",
    "empty",
    "plane_cuts",
    "scalar",
    "tile_bytes",
    "write",
]

_TILE_BYTES = 1 << 19
"""Bytes of a tile of other libraries: with its temporaries it stays in a core's second-level cache."""
_NUMPY_TILE_BYTES = 1 << 21
"""Bytes of a tile of NumPy arrays, on any number of threads, because a cut changes the order of sums. Threads queue for
the interpreter between calls of NumPy, and one that waits sleeps some 50 µs, so calls must be long; with eight threads
tiles and their temporaries still take under 32 MiB."""
WORTH_SHARING = 1 << 19
"""Least elements that are shared with other threads; for fewer, waking the threads costs more."""


def deliver(result: Array, out: Array | None) -> Array:
    """Return the result, in `out` where that is given."""
    if out is None:
        return result
    copy(result, out)
    return out


def write(xp: ModuleType, values: Any, target: Any) -> None:
    """Convert values into an array; NumPy needs no copy for that."""
    if xp is np:
        np.copyto(target, values, casting="unsafe")
    else:
        target[...] = arrays.astype(xp, values, target.dtype)


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


def each_tile(xp: ModuleType, fill: Callable[[int], object], count: int) -> None:
    """Call ``fill(number)`` for every tile; NumPy's, whose functions release the GIL, on several threads."""
    if xp is not np or count == 1:
        for number in range(count):
            fill(number)
        return
    threads.each_block(fill, count)


def tile_bytes(xp: ModuleType) -> int:
    """Return how large a tile should be: the number of threads does not matter."""
    return _NUMPY_TILE_BYTES if xp is np else _TILE_BYTES


def plane_cuts(xp: ModuleType, planes: Any) -> list[slice]:
    """Cut ``[planes, ...]`` into a few planes at a time, though into two parts at least if it is large."""
    count = planes.shape[0]
    if math.prod(planes.shape) * arrays.itemsize(planes) <= _TILE_BYTES:
        return [slice(0, count)]
    most = tile_bytes(xp)
    step = max(1, most // max(1, math.prod(planes.shape[1:]) * arrays.itemsize(planes)))
    if step >= count and math.prod(planes.shape) > WORTH_SHARING:
        step = -(-count // 2)
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]


def empty(xp: ModuleType, shape: tuple[int, ...], like: Array) -> Any:
    """Make an uninitialised array of the dtype and device of `like`."""
    if type(like).__module__ == "numpy":
        return result_pool.empty(shape, like.dtype)
    return xp.empty(shape, dtype=like.dtype, device=arrays.device_of(like))


def scalar(xp: ModuleType, value: float, like: Array) -> Any:
    """Make a zero-dimensional array of the dtype and device of `like`."""
    if type(like).__module__ == "numpy":
        return xp.asarray(value, dtype=like.dtype)
    return xp.asarray(value, dtype=like.dtype, device=arrays.device_of(like))
