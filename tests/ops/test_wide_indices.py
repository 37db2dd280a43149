"""Indices that int64 lacks are refused by their own value, or dropped, and never taken for negative ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backends
import numpy as np
import pytest

import upsample
import upsample.chainer

WIDE = (2**63, 2**63 + 5, 2**64 - 1)
LIBRARIES = ("numpy", "portable", "strict", "torch", "dask", "emulated")
X = np.arange(1.0, 5.0, dtype="float32").reshape(1, 1, 2, 2)


def indices(value: int) -> np.ndarray:
    return np.asarray([[0, 3], [2, value]], dtype=np.uint64).reshape(X.shape)


def unpooled(function: Callable[..., Any], where: np.ndarray, name: str, **options: object) -> np.ndarray:
    backend = backends.get(name)
    with backend.active():
        return backend.back(function(backend.make(X), backend.make(where), 2, **options, **backend.options))


@pytest.mark.parametrize("value", WIDE)
@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("function", [upsample.max_unpool2d, upsample.chainer.upsampling_2d], ids=lambda f: f.__name__)
def test_refused(function: Callable[..., Any], name: str, value: int) -> None:
    for _ in range(2):  # the second call may be answered from the cache of calls
        with pytest.raises(IndexError, match=rf"\[0, 0, 1, 1\]={value}, but the "):
            unpooled(function, indices(value), name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_first_of_several_is_named(name: str) -> None:
    where = indices(2**64 - 1)
    where[0, 0, 0, 1] = 99
    with pytest.raises(IndexError, match=r"\[0, 0, 0, 1\]=99, but the output plane \(4, 4\) has indices 0 to 15"):
        unpooled(upsample.max_unpool2d, where, name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_dropped_where_no_index_is_checked(name: str) -> None:
    where = indices(2**64 - 1)
    where[0, 0, 1, 0] = 8  # in its own window
    wanted = np.zeros((1, 1, 4, 4), "float32")
    wanted[0, 0, 0, [0, 3]], wanted[0, 0, 2, 0] = (1.0, 2.0), 3.0
    made = unpooled(upsample.max_unpool2d, where, name, check_indices=False)
    np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize("name", LIBRARIES)
def test_legal_ones_are_as_good_as_int64(name: str) -> None:
    where = np.asarray([[5, 2], [8, 15]], dtype=np.uint64).reshape(X.shape)
    np.testing.assert_array_equal(
        unpooled(upsample.max_unpool2d, where, name), unpooled(upsample.max_unpool2d, where.astype(np.int64), name)
    )
