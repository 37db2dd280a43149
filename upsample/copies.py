"""Copy and convert NumPy arrays in pieces, because Python handles signals only between NumPy calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["contiguous", "converted", "copy", "duplicate", "joined"]


_PIECE_BYTES = 1 << 22
"""Most bytes that one NumPy call copies: a few milliseconds."""


def copy(source: Any, target: Any) -> None:
    """Assign to all elements of an array of equal shape; arrays of other libraries are copied at once."""
    if not isinstance(target, np.ndarray) or target.nbytes <= _PIECE_BYTES:
        target[...] = source
        return
    axis = next(axis for axis, size in enumerate(target.shape) if size > 1)
    half = target.shape[axis] // 2
    for cut in (slice(0, half), slice(half, None)):
        place = (slice(None),) * axis + (cut, ...)
        copy(source[place], target[place])


def duplicate(x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a new array of the values in a dtype, in row-major order."""
    result = np.empty(x.shape, dtype=dtype)
    copy(x, result)
    return result


def converted(x: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values in a dtype and in row-major order; `x` itself, as a plain ndarray, where it is so already."""
    if x.flags.c_contiguous and x.dtype == dtype:
        return np.asarray(x)
    return duplicate(x, dtype)


def contiguous(x: NDArray[Any]) -> NDArray[Any]:
    """Return the values in row-major order."""
    return converted(x, x.dtype)


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return vectors of one dtype as one."""
    result, begin = np.empty(sum(part.size for part in parts), dtype=parts[0].dtype), 0
    for part in parts:
        copy(part, result[begin : begin + part.size])
        begin += part.size
    return result
