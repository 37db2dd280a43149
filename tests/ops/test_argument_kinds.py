"""Sizes, factors and axes as NumPy takes a shape: integers of every kind, sequences, arrays of one axis."""

from __future__ import annotations

import array
import re
import warnings
from collections import UserList, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample import chainer

X = noise(1, 2, 6, 8)
POOLED = noise(1, 2, 3, 4)
PLACES = np.arange(12).reshape(1, 1, 3, 4).repeat(2, axis=1) * 2
WEIGHT = noise(2, 3, 2, 2)
CALLS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "resize shape": (lambda v: upsample.resize(X, v, axes=(2, 3)), (3, 5)),
    "resize axes": (lambda v: upsample.resize(X, (3, 5), axes=v), (2, 3)),
    "resize scale": (lambda v: upsample.resize(X, scale=v, axes=(2, 3)), (2, 3)),
    "interpolate size": (lambda v: upsample.interpolate(X, v), (3, 5)),
    "interpolate scale_factor": (lambda v: upsample.interpolate(X, scale_factor=v), (2, 3)),
    "max_pool2d kernel_size": (lambda v: upsample.max_pool2d(X, v), (3, 2)),
    "max_pool2d stride": (lambda v: upsample.max_pool2d(X, 3, v), (1, 2)),
    "max_pool2d padding": (lambda v: upsample.max_pool2d(X, 4, 1, v), (1, 2)),
    "adaptive_max_pool2d": (lambda v: upsample.adaptive_max_pool2d(X, v), (2, 3)),
    "max_unpool2d": (lambda v: upsample.max_unpool2d(POOLED, PLACES, 2, output_size=v), (6, 8)),
    "conv_transpose2d": (lambda v: upsample.conv_transpose2d(X, WEIGHT, stride=v), (2, 3)),
    "resize_images": (lambda v: chainer.resize_images(X.astype(np.float32), v), (3, 5)),
    "max_pooling_2d": (lambda v: chainer.max_pooling_2d(X, v), (3, 2)),
    "unpooling_2d": (lambda v: chainer.unpooling_2d(POOLED, 2, outsize=v), (6, 8)),
    "nn.MaxPool2d": (lambda v: upsample.nn.MaxPool2d(v)(X), (3, 2)),
    "nn.Upsample": (lambda v: upsample.nn.Upsample(size=v)(X), (3, 5)),
}
KINDS: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "list": list,
    "integers of NumPy": lambda v: tuple(map(np.int32, v)),
    "array": np.asarray,
    "array of bytes": lambda v: np.asarray(v, dtype=np.uint8),
    "array of objects": lambda v: np.asarray(v, dtype=object),
    "arrays of no axes": lambda v: [np.asarray(n) for n in v],
    "UserList": UserList,
    "array.array": lambda v: array.array("q", v),
}


def same(got: Any, want: Any) -> None:
    np.testing.assert_array_equal(
        got[0] if isinstance(got, tuple) else got, want[0] if isinstance(want, tuple) else want
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_taken(name: str, kind: str) -> None:
    call, value = CALLS[name]
    same(call(KINDS[kind](value)), call(value))


@pytest.mark.parametrize("name", CALLS)
def test_torch_and_jax(name: str) -> None:
    call, value = CALLS[name]
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for kind in (torch.Size(value), torch.asarray(value), [torch.asarray(n) for n in value]):
        same(call(kind), call(value))
    jax = pytest.importorskip("jax", reason="jax is not installed")
    same(call(jax.numpy.asarray(value)), call(value))


def test_range() -> None:
    same(upsample.resize(X, (3, 5), axes=range(2, 4)), upsample.resize(X, (3, 5), axes=(2, 3)))


@pytest.mark.parametrize("name", [name for name in CALLS if "scale" not in name])
@pytest.mark.parametrize(
    "value",
    [
        np.asarray([2.0, 3.0]),
        [np.float32(2), np.float32(3)],
        np.asarray([True, True]),
        (True, 2),
        (np.True_, 2),
        "23",
        b"23",
        np.asarray([["2", "3"]]),
        np.asarray([[2, 3]]),
        np.ma.masked_array([2, 3], mask=[0, 0]),
        {2, 3},
        {2: 3},
        deque,
        (2, None, 3),
        (2, "3"),
    ],
    ids=repr,
)
def test_refused(name: str, value: Any) -> None:
    """What NumPy refuses as a shape, and bools, which it takes for 0 and 1."""
    with pytest.raises((TypeError, ValueError)) as caught:
        CALLS[name][0](value)
    assert "(" not in str(caught.value).split(":")[0]
    assert ": " in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "resize axes"])
@pytest.mark.parametrize("value", [np.asarray([2, 3, 2, 3, 2]), [2, 3, 2, 3, 2], range(2, 7)], ids=repr)
def test_errors_show_what_was_passed(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"={value!r}, but it")):
        CALLS[name][0](value)


class TestChannels:
    """Named axes are never warned of; the channels of an image are."""

    @pytest.mark.parametrize(
        ("shape", "axes"),
        [((6, 8, 3), "(0, 1)"), ((3, 6, 8), "(1, 2)"), ((2, 6, 8, 4), "(1, 2)"), ((2, 3, 6, 8), "(2, 3)")],
    )
    def test_warned(self, shape: tuple[int, ...], axes: str) -> None:
        with pytest.warns(UserWarning, match="resize: axes=None.*pass axes=" + re.escape(axes)):
            assert upsample.resize(np.zeros(shape), scale=2).shape == tuple(2 * n for n in shape)

    def test_not_warned(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            upsample.resize(np.zeros((6, 8, 3)), scale=2, axes=(0, 1, 2))
            upsample.resize(np.zeros((6, 8, 3)), (12, 16, 3))
            upsample.resize(np.zeros((6, 8, 1)), scale=2)
            upsample.resize(np.zeros((6, 8, 7)), scale=2)
            upsample.resize(np.zeros((6, 3)), scale=2)
