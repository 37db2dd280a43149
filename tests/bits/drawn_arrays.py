"""Drawn arrays, windows and parts: what the draws of every op share."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from upsample.engines import dispatch
from upsample.plans.window import WindowAxis

__all__ = [
    "FLOATS",
    "Array",
    "Drawn",
    "Part",
    "bits",
    "cut",
    "floating",
    "held",
    "inside",
    "real",
    "run",
    "sizes",
    "some",
    "values",
    "windows",
]

Array = np.ndarray[Any, Any]
Index = tuple[slice, ...]
Part = tuple[Index, Callable[[str], Array]]

FLOATS = ("float32", "float32", "float64", "float16")


@dataclass(frozen=True)
class Drawn:
    """A call: in words, its whole result by an engine, and its parts."""

    words: str
    whole: Callable[[str], Array]
    parts: list[Part]


def bits(x: Array) -> bytes:
    """Return the bytes of an array; all NaN are one, because their sign and payload are no part of the promise."""
    numbers = np.ascontiguousarray(x)
    if numbers.dtype.kind == "c":
        numbers = numbers.view(numbers.real.dtype)
    if numbers.dtype.kind != "f":
        return numbers.tobytes()
    return np.where(np.isnan(numbers), numbers.dtype.type(np.nan), numbers).tobytes()


def run(task: str, plan: object, engine: str, x: Array, *others: Any) -> Any:
    return dispatch.choose(task.partition(".")[0], task, plan, x, engine)(np, plan, x, *others)


def held(x: Array, rng: random.Random) -> Array:
    """Return the same values, held in some other way, read-only."""
    kind = rng.randrange(4)
    if kind == 1:
        x = np.asfortranarray(x)
    elif kind == 2:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        x = wide[..., ::2]
    elif kind == 3:
        x = x[::-1].copy()[::-1]
    view = x.view()
    view.flags.writeable = False
    return view


def values(rng: random.Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers that every platform draws alike, some of them so small that products underflow."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    if dtype == "uint8":
        return numbers.integers(0, 256, shape, dtype=np.uint8)
    one = 2.0 ** rng.choice([-20, -20, -20, -9, -145 if dtype == "float32" else -30])
    x = numbers.integers(-(2**22), 2**22, shape) * one
    if dtype.startswith("complex"):
        return (x + 1j * (numbers.integers(-(2**22), 2**22, shape) * one)).astype(dtype)
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
    if x.size and rng.random() < 0.2:
        x[tuple(rng.randrange(n) for n in shape)] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    return x


def real(dtypes: Sequence[str]) -> list[str]:
    return [dtype for dtype in dtypes if not dtype.startswith("complex")]


def floating(dtypes: Sequence[str]) -> list[str]:
    return [dtype for dtype in dtypes if dtype.startswith("float")]


def some(rng: random.Random, size: int) -> tuple[int, int]:
    begin = rng.randrange(size)
    return begin, rng.randrange(begin + 1, size + 1)


def cut(x: Array, *ranges: tuple[int, int]) -> Array:
    """Return some of the last axes."""
    return np.ascontiguousarray(x[(..., *(slice(*r) for r in ranges))])


def windows(rng: random.Random, longest: int) -> tuple[WindowAxis, ...]:
    made: list[WindowAxis] = []
    count = rng.choice([1, 2, 2, 3])
    while len(made) < count:
        large, kernel, stride = rng.randint(1, longest), rng.randint(1, 4), rng.choice([1, 2, 2, 3])
        dilation = rng.choice([1, 1, 2])
        reach = dilation * (kernel - 1) + 1
        padding = rng.randint(0, reach // 2)
        small = (large + 2 * padding - reach) // stride + 1
        axis = WindowAxis(large, small, kernel, stride, padding, dilation) if small >= 1 else None
        if axis is not None and axis.every_window_has_an_element():
            made.append(axis)
    return tuple(made)


def sizes(axes: tuple[WindowAxis, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(a.large for a in axes), tuple(a.small for a in axes)


def inside(axis: WindowAxis, begin: int, end: int) -> tuple[int, int]:
    low, high = axis.needs(begin, end)
    return low, high
