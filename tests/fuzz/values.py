"""Arrays and arguments, ordinary and hostile: the words in which calls are written down."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from fuzz.changes import CHANGES
from upsample import reference

__all__ = ["ABSURD", "CHANGES", "EDGES", "NUMBERS", "OTHERS", "evaluate"]


# ---------------------------------------------------------------------------------------------- ordinary arrays


def numbers(dtype: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Quarters from -2 to 2, or their like: ties, zeros, and exact in every dtype."""
    draws = np.random.default_rng([seed, *shape]).integers(-8, 9, shape)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return draws > 0
    if kind in "iu":
        return (np.abs(draws) if kind == "u" else draws).astype(dtype)
    if kind == "c":
        return ((draws + 1j * draws[::-1]) / 4).astype(dtype)
    return (draws / 4).astype(dtype)


def places(dtype: str, *shape: int, top: int, seed: int = 0) -> np.ndarray:
    """Indices below `top`; some come twice."""
    return np.random.default_rng([seed, *shape]).integers(0, top, shape).astype(dtype)


def pooled(dtype: str, shape: tuple[int, ...], spatial: int, *window: Any) -> tuple[np.ndarray, np.ndarray]:
    """The maxima and the indices of a pool over the trailing axes: kernel, stride, padding, dilation."""
    return reference.max_pool(numbers(dtype, *shape), *window, spatial=spatial)


# ----------------------------------------------------------------------------------------------- hostile objects


class Unprintable:
    """Nothing can be said of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Index:
    def __index__(self) -> int:
        return 2


class Iterable:
    def __iter__(self) -> Iterator[int]:
        return iter((2, 2))


class Arrayish:
    """Something that NumPy would take, and no array."""

    shape, ndim, dtype = (1, 2, 3), 3, np.dtype("f4")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return np.ones((1, 2, 3), dtype="f4")


# ------------------------------------------------------------------------------------------- hostile arguments

ABSURD = (2**31, 10**9, 2**40, 2**62, 2**63 - 1)
"""Sizes that no memory holds, though 64 bits do; refused for want of memory at the latest."""
EDGES = ("0", "-1", "1", "2", "4", *map(repr, ABSURD), "2**63", "2**70", "10**30")
NUMBERS = (
    *("0", "1", "2", "3", "7", "-1", "-2", "0.0", "1.0", "2.5", "-0.5", "1e-300", "5e-324", "1e300", "-1e300"),
    *("nan", "inf", "-inf", "2**63", "-2**63", "2**64", "2**70", "10**5000", "True", "False", "1j"),
    *(repr(-n) for n in ABSURD),
    *("np.int8(2)", "np.uint64(2**63)", "np.int64(-1)", "np.float32(1.5)", "np.float64('nan')", "np.bool_(True)"),
    *("np.complex64(1)", "np.asarray(2)", "np.asarray(1.5)", "np.asarray(True)", "np.asarray('2')", "np.asarray(1j)"),
    *("Fraction(3, 2)", "Fraction(2)", "Decimal('1.5')", "Decimal('nan')", "Decimal('sNaN')", "Index()"),
    *("np.longdouble(2)", "np.float16(2)", "np.ma.masked_array(2)", "np.ones(1, dtype=int)"),
)
OTHERS = (
    *("None", "''", "'2'", "'nearest'", "'linear'", "'sum'", "'all'", "'portable'", "'cuda'", "'cpu'", r"'naïve\n\0'"),
    *("b'2'", "bytearray(b'2')", "'x' * 999", "...", "NotImplemented", "int", "len", "object()", "Unprintable()"),
    *("{}", "{'a': 1}", "{2}", "range(2)", "slice(2)", "[[2]]", "[None]", "()", "[]", "(2,)", "[3, 2]", "(2, 2, 2)"),
    *("(2, 3, 2, 3)", "(None, 3)", "(3, None)", "(1.5, 2)", "('up', 'down')", "(2, -1)", "(True, 2)", "(nan, 1.0)"),
    *("(2**40, 2**40)", "(2**62, 1)", "(2, 2**63)", "(1e300, 1e300)", "('linear', 'cubic')", "(Unprintable(),)"),
    *("np.asarray([2, 2])", "np.asarray([])", "np.asarray([None])", "np.ma.masked", "np.datetime64(2, 's')"),
    *(
        "Arrayish()",
        "np.ones((1, 2, 3))",
        "Iterable()",
        "memoryview(b'22')",
        "(np.int32(2), Index())",
        "np.dtype('f4')",
    ),
    *(
        "iter((2, 2))",
        "(2 for _ in range(2))",
        "np.zeros(2, dtype=object)",
        "('nearest', 'linear')",
        "frozenset((0, 1))",
    ),
)

_WORDS: dict[str, Any] = {
    **{f.__name__: f for f in (numbers, places, pooled)},
    **{c.__name__: c for c in (Arrayish, Decimal, Fraction, Index, Iterable, Unprintable)},
    **CHANGES,
    "np": np,
    "nan": math.nan,
    "inf": math.inf,
}


@functools.lru_cache(maxsize=4096)
def _compiled(written: str) -> Any:
    return compile(written, written, "eval")


def evaluate(written: str) -> Any:
    """Return what a text stands for, made anew."""
    return eval(_compiled(written), dict(_WORDS))
