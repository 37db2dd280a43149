"""Functions that the first versions of the Array API standard lack, for libraries that follow these.

A namespace names its version. It may have a later function all the same and raise when it is called, as
array-api-strict does.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["clip", "has_order", "maximum", "minimum", "not_above"]

_ORDER = "2023.12"
"""The version that brought maximum, minimum, clip, signbit and searchsorted."""


def has_order(xp: ModuleType) -> bool:
    """Return whether a library has the functions that compare values and choose, such as maximum and clip."""
    return str(getattr(xp, "__array_api_version__", _ORDER)) >= _ORDER


def maximum(xp: ModuleType, a: Any, b: Any) -> Any:
    """Return the larger values of two arrays of one dtype; NaN of `a` stays, and of `b`, too, if the library can."""
    return xp.maximum(a, b) if has_order(xp) else xp.where(a < b, b, a)


def minimum(xp: ModuleType, a: Any, b: Any) -> Any:
    """Return the smaller values of two arrays of one dtype; NaN of `a` stays, and of `b`, too, if the library can."""
    return xp.minimum(a, b) if has_order(xp) else xp.where(a > b, b, a)


def clip(xp: ModuleType, x: Any, low: float, high: float) -> Any:
    """Return `x` between two numbers; NaN stays."""
    if xp is np:
        return np.minimum(np.maximum(x, low), high)  # np.clip takes several microseconds longer
    if has_order(xp):
        return xp.clip(x, low, high)
    ends = (xp.asarray(end, dtype=x.dtype, device=x.device) for end in (low, high))
    return minimum(xp, maximum(xp, x, next(ends)), next(ends))


def not_above(xp: ModuleType, ordered: Any, numbers: Any) -> Any:
    """Count, for each of ascending numbers, the elements of a sorted vector that are not above it."""
    if has_order(xp):
        return xp.searchsorted(ordered, numbers, side="right")
    together = xp.argsort(xp.concat([ordered, numbers]), stable=True)  # a number behind the elements that equal it
    place = xp.argsort(together, stable=True)[ordered.shape[0] :]
    return place - xp.arange(numbers.shape[0], dtype=place.dtype, device=place.device)
