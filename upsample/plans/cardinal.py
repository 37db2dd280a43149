"""B-splines, and cardinal splines, which interpolate.

Source: M. Unser, Splines: a perfect fit for signal and image processing (1999), https://doi.org/10.1109/79.799930.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

__all__ = ["SUPPORT", "b_spline", "cardinal_spline"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SUPPORT = {2: 17, 3: 23, 4: 30, 5: 36}
"""The distance, by order, beyond which a cardinal spline is below 1e-13."""
_MARGIN = 24
"""Coefficients beyond the support: the error at the ends decays within them."""


def b_spline(x: _Reals, order: int) -> _Reals:
    """Return the central B-spline of an order."""
    below = -np.abs(x)  # on this side fewer terms cancel each other
    total = np.zeros_like(below)
    for k in range(order // 2 + 1):
        part = np.maximum(below + (order + 1) / 2 - k, 0.0)
        total = total + (-1.0) ** k * math.comb(order + 1, k) * part**order
    return total / math.factorial(order)


def cardinal_spline(x: _Reals, order: int) -> _Reals:
    """Return the spline of an order that is 1 at 0 and 0 at all other integers."""
    coefficient = _coefficients(order)
    middle = len(coefficient) // 2
    nearest = np.rint(x).astype(np.int64)
    total = np.zeros_like(x)
    for k in range(-(order + 2) // 2, (order + 2) // 2 + 1):
        at = nearest + k
        share = np.where(np.abs(at) <= middle, coefficient[np.clip(at + middle, 0, 2 * middle)], 0.0)
        total = total + share * b_spline(x - at, order)
    return np.where(np.abs(x) < SUPPORT[order], total, 0.0)


@lru_cache(maxsize=4)
def _coefficients(order: int) -> _Reals:
    """Return the B-spline coefficients of one sample of 1 among zeros: a middle column of the inverse filter."""
    size = SUPPORT[order] + _MARGIN
    place = np.arange(-size, size + 1)
    matrix = b_spline((place[:, None] - place).astype(np.float64), order)
    coefficients: _Reals = np.linalg.solve(matrix, (place == 0).astype(np.float64))
    return coefficients
