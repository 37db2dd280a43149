"""What may be done to an array: layouts, dtypes, contents, subclasses, and what is no array any more."""

from __future__ import annotations

import functools
import math
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CHANGES"]


class Sub(np.ndarray):
    """A harmless subclass."""


Change = Callable[[np.ndarray], Any]
CHANGES: dict[str, Change] = {}
"""What may be done to an array, by name."""


def change(function: Change) -> Change:
    """A change that cannot be made leaves the array as it is, so that every text has a value."""

    CHANGES[function.__name__] = functools.partial(_gently, function)
    return function


def _gently(function: Change, x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(x)
    except (TypeError, ValueError, IndexError, OverflowError):
        return x


def _converted(dtype: str, x: np.ndarray) -> Any:
    return x.real.astype(dtype)


for _name, _dtype in {"halves": "f2", "singles": "f4", "doubles": "f8", "bytes_": "u1", "integers": "i8"}.items():
    CHANGES[_name] = functools.partial(_gently, functools.partial(_converted, _dtype))


def _filled(x: np.ndarray, value: float) -> np.ndarray:
    """Every third element is `value`."""
    y = x.copy()
    if y.size and y.dtype.kind in "fc":
        y.reshape(-1)[::3] = value
    return y


@change
def read_only(x: np.ndarray) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


@change
def swapped(x: np.ndarray) -> Any:
    return x.astype(x.dtype.newbyteorder(">" if sys.byteorder == "little" else "<"))


@change
def mirrored(x: np.ndarray) -> Any:
    """Negative strides."""
    back = (slice(None, None, -1),) * x.ndim
    return x[back].copy()[back]


@change
def strided(x: np.ndarray) -> Any:
    """Every second element, on every axis, of a larger array of garbage."""
    large = np.full([2 * n + 1 for n in x.shape], 77).astype(x.dtype)
    view = large[tuple(slice(1, 2 * n, 2) for n in x.shape)]
    view[...] = x
    return view


@change
def fortran(x: np.ndarray) -> Any:
    return np.asfortranarray(x)


@change
def misaligned(x: np.ndarray) -> Any:
    y = np.zeros(x.nbytes + 1, dtype="u1")[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


@change
def spread(x: np.ndarray) -> Any:
    """One column for all: stride 0."""
    return np.broadcast_to(x[..., :1], x.shape)


@change
def constant(x: np.ndarray) -> Any:
    """One element for all."""
    return np.broadcast_to(x.reshape(-1)[0], x.shape)


@change
def mapped(x: np.ndarray) -> Any:
    """In a file."""
    with tempfile.TemporaryFile() as file:
        y = np.memmap(file, dtype=x.dtype, mode="w+", shape=x.shape)
    y[...] = x
    return y


@change
def subclass(x: np.ndarray) -> Any:
    return x.view(Sub)


@change
def matrix(x: np.ndarray) -> Any:
    return np.matrix(x.reshape(1, -1))


@change
def masked(x: np.ndarray) -> Any:
    return np.ma.masked_array(x, mask=np.zeros(x.shape, dtype=bool))


@change
def records(x: np.ndarray) -> Any:
    return np.zeros(x.shape, dtype=[("a", "f4"), ("b", "i2")])


@change
def recarray(x: np.ndarray) -> Any:
    return np.zeros(x.shape, dtype=[("a", "f4")]).view(np.recarray)


@change
def void(x: np.ndarray) -> Any:
    return np.zeros(x.shape, dtype="V3")


@change
def dates(x: np.ndarray) -> Any:
    return np.zeros(x.shape, dtype="M8[s]")


@change
def text(x: np.ndarray) -> Any:
    return np.full(x.shape, "2")


@change
def objects(x: np.ndarray) -> Any:
    return x.astype(object)


@change
def long(x: np.ndarray) -> Any:
    return x.astype(np.longdouble)


@change
def brain(x: np.ndarray) -> Any:
    """bfloat16, by ml_dtypes."""
    import ml_dtypes

    return x.real.astype(ml_dtypes.bfloat16)


@change
def largest(x: np.ndarray) -> Any:
    return x.real.astype("u8") + np.uint64(2**63)


@change
def least(x: np.ndarray) -> Any:
    return np.full(x.shape, -(2**63))


@change
def bools(x: np.ndarray) -> Any:
    return x.astype(bool)


@change
def pairs(x: np.ndarray) -> Any:
    return x.astype("c16")


@change
def nans(x: np.ndarray) -> Any:
    return _filled(x, math.nan)


@change
def infinities(x: np.ndarray) -> Any:
    return _filled(_filled(x, math.inf)[..., ::-1], -math.inf)


@change
def huge(x: np.ndarray) -> Any:
    return _filled(x, float(np.finfo(x.dtype).max) / 4)


@change
def tiny(x: np.ndarray) -> Any:
    return _filled(x, float(np.finfo(x.dtype).smallest_subnormal))


@change
def negative(x: np.ndarray) -> Any:
    return -x if x.dtype.kind in "ifc" else x


@change
def scalar(x: np.ndarray) -> Any:
    return x.reshape(-1)[:1].sum()


@change
def pointlike(x: np.ndarray) -> Any:
    """No axes."""
    return np.asarray(x.reshape(-1)[:1].sum())


@change
def flat(x: np.ndarray) -> Any:
    return x.reshape(-1)


@change
def deeper(x: np.ndarray) -> Any:
    return x[None]


@change
def shallower(x: np.ndarray) -> Any:
    return x.reshape(x.shape[1:]) if x.shape[0] == 1 else x[0]


@change
def deepest(x: np.ndarray) -> Any:
    """As many axes as an array can have."""
    return x.reshape((1,) * (64 - x.ndim) + x.shape)


@change
def headless(x: np.ndarray) -> Any:
    return x[:0]


@change
def hollow(x: np.ndarray) -> Any:
    return x[:, :0]


@change
def tailless(x: np.ndarray) -> Any:
    return x[..., :0]


@change
def longer(x: np.ndarray) -> Any:
    return np.concatenate([x, x], axis=-1)


@change
def as_list(x: np.ndarray) -> Any:
    return x.tolist()


@change
def buffer(x: np.ndarray) -> Any:
    return memoryview(np.ascontiguousarray(x))


@change
def strict(x: np.ndarray) -> Any:
    """An array of another library."""
    import array_api_strict

    return array_api_strict.asarray(x.copy())
