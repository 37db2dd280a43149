"""Large arrays that are not contiguous are copied some planes at a time, with the bits of a contiguous copy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from backends import needs_numba
from cases import noise

import upsample

needs_numba()

from upsample.engines.cpu.runtime import blocks  # noqa: E402

SHAPE = (5, 6, 9, 14)
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "crop": lambda x: x[:, :, 1:-1, 2:-3],
    "strided": lambda x: x[:, :, ::2, ::3],
    "reversed": lambda x: x[::-1, ::-1, ::-1, ::-1],
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "batch last": lambda x: x.transpose(3, 1, 2, 0),
}
POOLS: dict[str, Callable[..., Any]] = {
    "small windows": partial(upsample.max_pool2d, kernel_size=2),
    "dilated": partial(upsample.max_pool2d, kernel_size=(2, 2), stride=(1, 2), dilation=(2, 1)),
    "adaptive": partial(upsample.adaptive_max_pool2d, output_size=(2, 3)),
    "whole planes": partial(upsample.adaptive_max_pool2d, output_size=1),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MIN_BYTES", 1 << 9)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 10)


@contextmanager
def unlimited() -> Iterator[None]:
    """Within this block no array is large."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MIN_BYTES", 1 << 40)
        yield


def outside(*shape: int, dtype: Any) -> np.ndarray:
    """Return an array that kernels cannot write into."""
    return np.empty((*shape, 2), dtype)[..., 0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("pool", POOLS)
def test_pool(pool: str, dtype: str, layout: str) -> None:
    x = LAYOUTS[layout]((noise(*SHAPE) * 3).astype(dtype))
    call = partial(POOLS[pool], engine="cpu")
    with unlimited():
        values, indices = call(np.ascontiguousarray(x), return_indices=True)
    given = outside(*values.shape, dtype=dtype), outside(*values.shape, dtype="int64")
    for out in (None, given):
        made = call(x, return_indices=True, out=out)
        np.testing.assert_array_equal(made[0], values)
        np.testing.assert_array_equal(made[1], indices)
        np.testing.assert_array_equal(call(x, out=None if out is None else out[0]), values)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "complex128"])
@pytest.mark.parametrize("duplicates", ["last", "sum"])
@pytest.mark.parametrize("index", ["int64", "uint64", "int32"])
def test_unpool(index: str, duplicates: str, dtype: str, layout: str) -> None:
    x = LAYOUTS[layout]((noise(*SHAPE) * 3).astype(dtype))
    large = tuple(2 * size + 1 for size in x.shape[2:])
    where = np.random.default_rng(0).integers(0, np.prod(large), SHAPE)
    where = LAYOUTS[layout](where.astype(index))
    call = partial(
        upsample.max_unpool2d, kernel_size=2, output_size=large, duplicates="last" if dtype == "uint8" else duplicates
    )
    with unlimited():
        wanted = call(np.ascontiguousarray(x), np.ascontiguousarray(where), engine="cpu")
    for inputs in ((x, where), (np.ascontiguousarray(x), where), (x, np.ascontiguousarray(where))):
        for out in (None, outside(*wanted.shape, dtype=dtype)):
            np.testing.assert_array_equal(call(*inputs, out=out, engine="cpu"), wanted)
    if dtype in ("float32", "float16"):
        grad = _like(wanted)
        with unlimited():
            _, pull = upsample.vjp(lambda x: call(x, np.ascontiguousarray(where), engine="cpu"), x)
            first = pull(np.ascontiguousarray(grad))
        _, pull = upsample.vjp(lambda x: call(x, where, engine="cpu"), x)
        np.testing.assert_array_equal(pull(grad), first)


def _like(x: np.ndarray) -> np.ndarray:
    """Return noise of a shape and a dtype that is not contiguous."""
    return noise(*x.shape, 2).astype(x.dtype)[..., 1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("outputs", [1, 9])
def test_conv_transpose(outputs: int, groups: int, dtype: str, layout: str) -> None:
    x = LAYOUTS[layout](noise(*SHAPE).astype(dtype))
    weight, bias = noise(6, outputs, 3, 2).astype(dtype), noise(groups * outputs).astype(dtype)
    call = partial(upsample.conv_transpose2d, bias=bias, stride=(2, 1), groups=groups, engine="cpu")
    with unlimited():
        wanted, pull = upsample.vjp(lambda x: call(x, weight), np.ascontiguousarray(x))
        grad = _like(wanted)
        first = pull(np.ascontiguousarray(grad))
    for out in (None, outside(*wanted.shape, dtype=dtype)):
        np.testing.assert_array_equal(call(x, weight, out=out), wanted)
    _, pull = upsample.vjp(lambda x: call(x, weight), x)
    np.testing.assert_array_equal(pull(grad), first)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("index", ["int64", "uint64"])
def test_errors_name_the_place(index: str, layout: str) -> None:
    """The first index outside, wherever its block is, also if an earlier block has a duplicate."""
    x = LAYOUTS[layout](noise(*SHAPE))
    large = tuple(2 * size for size in x.shape[2:])
    where = np.broadcast_to(np.arange(x[0, 0].size).reshape(x.shape[2:]), x.shape).astype(index)
    where = np.stack([where, where], axis=-1)[..., 0]
    place = (x.shape[0] - 2, 4, 1, 2)
    call = partial(upsample.max_unpool2d, kernel_size=2, output_size=large, duplicates="error", engine="cpu")
    call(x, where)
    where[0, 1, 0, 1] = 0
    with pytest.raises(ValueError, match=r"indices\[0, 1, 0, 1\]"):
        call(x, where)
    where[place] = 999_999
    where[-1, -1] = 999_998
    with pytest.raises(IndexError, match=r"indices\[" + ", ".join(map(str, place)) + r"\]=999999"):
        call(x, where)


MEMORY: dict[str, Callable[[np.ndarray], Callable[[np.ndarray], Any]]] = {
    "pool": lambda x: partial(upsample.max_pool2d, kernel_size=50, return_indices=True, engine="cpu"),
    "adaptive pool": lambda x: partial(upsample.adaptive_max_pool2d, output_size=1, engine="cpu"),
    "unpool": lambda x: (
        lambda x: upsample.max_unpool2d(x, _zeros(*x.shape, dtype="i1"), 1, duplicates="last", engine="cpu")
    ),
    "unpool's indices": lambda x: (
        lambda x: upsample.max_unpool2d(
            _zeros(*x.shape, dtype="i1"), x.view("i4"), 1, check_indices=False, engine="cpu"
        )
    ),
    "conv_transpose": lambda x: (
        lambda x: upsample.conv_transpose2d(x, np.ones((4, 1, 1, 1), "f4"), padding=40, groups=4, engine="cpu")
    ),
    "gradient of unpool": lambda x: upsample.vjp(
        partial(upsample.max_unpool2d, kernel_size=50, output_size=x.shape[2:], engine="cpu"),
        _zeros(*x.shape[:2], 2, 2),
        _zeros(*x.shape[:2], 2, 2, dtype="i8"),
    )[1],
    "gradient of conv_transpose": lambda x: upsample.vjp(
        partial(upsample.conv_transpose2d, weight=np.ones((1, 4, 50, 50), "f4"), stride=50, engine="cpu"),
        _zeros(len(x), 1, 2, 2),
        wrt="input",
    )[1],
}


def _zeros(*shape: int, dtype: str = "f4") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("name", MEMORY)
def test_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(24, 4, 104, 106)[:, :, 2:-2, 3:-3]
    call = MEMORY[name](x)

    def peak() -> int:
        call(x)
        tracemalloc.start()
        try:
            call(x)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with unlimited():
        copied = peak()
    monkeypatch.setattr(blocks, "MIN_BYTES", 1 << 20)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 17)
    assert peak() < copied - (x.nbytes - (1 << 19))
