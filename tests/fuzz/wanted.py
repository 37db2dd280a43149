"""The form of an expected result, and how its arguments are read."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Unsure", "Want", "each", "held", "limit", "most", "plain", "rank_of", "sizes_of", "wide_enough"]

LARGEST = 200_000
"""Positions of a result that loops in Python still make in no time."""


class Unsure(Exception):
    """The reference cannot say: an argument is refused by it, or the result is too large for loops."""


@dataclass
class Want:
    """The expected result of a call.

    Attributes
    ----------
    arrays : tuple of ndarray
        The results, wide where there is arithmetic.
    exact : bool
        Values only move.
    bound : float
        What no partial sum passes in magnitude.
    between : tuple of ndarray or None
        The least and the largest integers that are right.
    divisors : ndarray or None
        What each sum was divided by; the result may be missing or not where that is next to nothing.
    mixes : bool
        It is not laid down which of infinity and NaN a result is.
    """

    arrays: tuple[np.ndarray, ...]
    exact: bool
    bound: float = 1.0
    between: tuple[np.ndarray, np.ndarray] | None = None
    divisors: np.ndarray | None = None
    mixes: bool = False


def plain(value: Any) -> Any:
    """An argument in Python's own types."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and not isinstance(value, np.ma.MaskedArray):
        value = value.tolist()
    if isinstance(value, (list, tuple, range)):
        return tuple(map(plain, value))
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    try:
        return operator.index(value)
    except TypeError:
        return float(value)


def held(x: Any) -> np.ndarray:
    """An array as NumPy holds it, in this machine's byte order."""
    if not isinstance(x, np.ndarray):
        x = np.from_dlpack(x)
    x = np.array(x, subok=False)
    return x.astype(x.dtype.newbyteorder("="))


def each(value: Any, spatial: int) -> tuple[int, ...]:
    """One int for each spatial axis, of one int or of a sequence of one."""
    value = plain(value)
    if isinstance(value, tuple):
        return value * spatial if len(value) == 1 else value
    return (value,) * spatial


def rank_of(name: str, x: np.ndarray) -> int:
    found = re.search(r"(\d)_?d", name)
    return int(found[1]) if found else x.ndim - 2


def most(x: np.ndarray) -> float:
    finite = np.abs(x[np.isfinite(x)].astype(np.complex128)) if x.dtype.kind in "fciu" else np.zeros(0)
    return float(finite.max()) if finite.size else 0.0


def limit(*shape: int) -> None:
    if math.prod(n for n in shape if n) > LARGEST:
        raise Unsure


def wide_enough(x: np.ndarray) -> np.ndarray:
    """bfloat16 as float32: the same numbers, in a dtype that NumPy itself has."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def sizes_of(shape: tuple[int, ...], size: Any, factor: Any) -> tuple[int, ...]:
    if size is not None:
        return each(size, len(shape))
    factors = factor if isinstance(factor, tuple) else (factor,) * len(shape)
    return tuple(int(n * f) for n, f in zip(shape, factors, strict=True))
