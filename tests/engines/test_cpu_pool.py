"""The compiled max-pooling: the portable engine's bits, on every kind of array."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from backends import LAYOUTS, get
from cases import CASES, Case, noise, shuffled
from drawn import pools, same_bits
from dtypes import dtype_of
from hypothesis import given, settings
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample.engines.portable.pool import driver as portable
from upsample.plans.window import PoolPlan, WindowAxis

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.pool import direct as pool_few
from upsample.engines.cpu.pool import direct_simd, separable
from upsample.engines.cpu.pool import driver as compiled
from upsample.engines.cpu.pool import tables as pool_tables
from upsample.engines.cpu.runtime import machine

POOLS = [case for case in CASES if "max_pool" in case.id]


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", POOLS, ids=repr)
def test_agrees_with_reference_and_portable(case: Case, kind: str) -> None:
    x = get(kind).make(case.arrays[0])
    before = x.copy()
    got = case.function(x, **case.options, engine="cpu")
    same_bits(got, case.function(x, **case.options, engine="portable"))
    for g, w in zip(got, case.expected(*case.arrays), strict=True):
        np.testing.assert_array_equal(g, w)
    np.testing.assert_array_equal(x, before)
    alone = getattr(upsample, case.function.__name__.removesuffix("_with_indices"))(x, **case.options, engine="cpu")
    np.testing.assert_array_equal(alone, got[0])


def values(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Few different numbers, so that many are equal; NaN, both infinities, both zeros."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, shape)
    kind = dtype_of(dtype)
    if kind.kind in "iub":
        return (x - (kind.kind == "i")).astype(kind)
    odd = np.asarray([np.nan, -np.inf, -np.inf, -np.inf, np.inf, -0.0, 0.0, 1.0, 2.0, -1.0])
    return odd[rng.integers(0, len(odd), shape)].astype(kind)


DTYPES = ["bool", "int8", "int64", "uint8", "uint32", "float16", "bfloat16", "float32", "float64"]


@settings(deadline=None, max_examples=600)
@given(
    pools(axes=4, longest=11),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.integers(0, 2**31),
    st.booleans(),
    st.sampled_from([{}, {"_SHORT": 0}, {"_MAX_TAPS": 0}]),
)
def test_equals_portable(
    plan: PoolPlan, dtype: str, with_indices: bool, seed: int, small_blocks: bool, tables: dict[str, int]
) -> None:
    """By tables of cells, of rows, and without; in blocks of any size."""
    if plan.local_indices:
        dtype = dtype if "float" in dtype else "float32"
    x = values(dtype, (2, 1, *(axis.large for axis in plan.axes)), seed)
    with pytest.MonkeyPatch.context() as patch:
        for name, size in tables.items():
            patch.setattr(pool_tables, name, size)
        if small_blocks:  # cuts in rows and columns, and rows that share a place in the kernel's memory
            for name, size in (("_BLOCK", 30), ("_TILE", 3), ("_CACHED", 6), ("_ROWS_TOGETHER", 6), ("_LONGEST", 40)):
                patch.setattr(compiled, name, size)
            patch.setattr(pool_tables, "_TOGETHER", 6)
        compiled._geometry.cache_clear()
        got = compiled.run(np, plan, x, (None, None), with_indices)
    compiled._geometry.cache_clear()
    same_bits(got, portable.run(np, plan, x, (None, None), with_indices))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 0), (5, 1, 2)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_one_and_two_threads(
    monkeypatch: pytest.MonkeyPatch, dtype: str, kernel: int, stride: int, padding: int
) -> None:
    x = noise(6, 16, 127, 129).astype(dtype)
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("UPSAMPLE_NUM_THREADS", threads)
        results.append(upsample.max_pool2d_with_indices(x, kernel, stride, padding, engine="cpu"))
    same_bits(*results)
    same_bits(results[0], upsample.max_pool2d_with_indices(x, kernel, stride, padding, engine="portable"))


@pytest.mark.parametrize("length", [4096, 4097, 20_001])
def test_long_rows(length: int) -> None:
    x = values("float32", (1, 2, length), 1)
    for window in ((2, 1, 0), (3, 2, 1), (7, 5, 3)):
        got = upsample.max_pool1d_with_indices(x, *window, engine="cpu")
        same_bits(got, upsample.max_pool1d_with_indices(x, *window, engine="portable"))


def test_first_of_equals_last_of_nans() -> None:
    x = np.asarray([[[1.0, 5.0, 5.0], [5.0, 2.0, 0.0], [np.nan, 7.0, np.nan]]])
    _, indices = upsample.max_pool2d_with_indices(x, 2, 1, engine="cpu")
    np.testing.assert_array_equal(indices, [[[1, 1], [6, 8]]])
    _, indices = upsample.chainer.max_pooling_2d(x[None], 3, 1, return_indices=True, engine="cpu")
    assert indices.item() == 6
    _, indices = upsample.max_pool2d_with_indices(x, 3, 1, engine="cpu")
    assert indices.item() == 8


def test_nothing_above_the_padding() -> None:
    x = np.full((1, 1, 3, 3), -np.inf, dtype=np.float32)
    _, indices = upsample.max_pool2d_with_indices(x, 3, 2, 1, engine="cpu")
    np.testing.assert_array_equal(indices[0, 0], [[0, 1], [3, 4]])
    y, indices = upsample.chainer.max_pooling_2d(x, 2, 2, 2, return_indices=True, engine="cpu")
    assert (y == -np.inf).all()
    assert (indices == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", ">f4"])
@pytest.mark.parametrize("layout", ["plain", "fortran", "reversed"])
def test_out(dtype: str, layout: str) -> None:
    x = (shuffled(2, 3, 9, 8) % 50).astype(dtype)
    want = upsample.max_pool2d_with_indices(x, 3, 2, 1, engine="portable")
    change = {"plain": np.ascontiguousarray, "fortran": np.asfortranarray, "reversed": lambda a: a[..., ::-1]}[layout]
    out = tuple(change(np.full(w.shape, 1, w.dtype)) for w in want)
    got = upsample.max_pool2d_with_indices(x, 3, 2, 1, engine="cpu", out=out)
    assert got[0] is out[0]
    assert got[1] is out[1]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


@pytest.mark.parametrize(
    ("kernel", "name", "value"),
    [
        (pool_few.pool_cells, "_SHORT", 64),
        (pool_few.pool_rows, "_SHORT", 0),
        (separable.pool_indices, "_MAX_TAPS", 0),
    ],
)
def test_one_signature(monkeypatch: pytest.MonkeyPatch, kernel: Any, name: str, value: int) -> None:
    """Read-only, strided and writeable inputs of any size share one compiled signature."""
    monkeypatch.setattr(pool_tables, name, value)
    compiled._geometry.cache_clear()
    upsample.max_pool2d_with_indices(noise(2, 3, 9, 8), 2, engine="cpu")
    before = len(kernel.signatures)
    assert before > 0
    for kind in LAYOUTS:
        upsample.max_pool2d_with_indices(get(kind).make(noise(1, 2, 20, 11)), 3, 2, 1, engine="cpu")
    upsample.max_pool1d_with_indices(noise(1, 2, 11), 3, 2, 1, engine="cpu", out=None)
    assert len(kernel.signatures) == before
    compiled._geometry.cache_clear()


def test_axes_that_are_one_object() -> None:
    axis = WindowAxis(9, 4, 2, 2, 0, 2)
    plan = PoolPlan((axis, axis), local_indices=False, first_nan=False)
    x = noise(2, 9, 9)
    same_bits(compiled.run(np, plan, x, (None, None), True), portable.run(np, plan, x, (None, None), True))


def test_repeated_calls_of_many_threads_share_nothing() -> None:
    """The calls are readied, and take their scratch memory from one list."""
    images = [np.random.default_rng(seed).standard_normal((1, 4, 40, 40)).astype(np.float32) for seed in range(4)]

    def made(x: np.ndarray) -> list[bytes]:
        return [a.tobytes() for a in upsample.max_pool2d_with_indices(x, 3, 2, 1, engine="cpu")]

    wanted = [made(x) for x in images]

    def wrong(number: int) -> int:
        return sum(made(images[number % 4]) != wanted[number % 4] for _ in range(1500))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(wrong, range(8))) == 0
    finally:
        sys.setswitchinterval(before)


@pytest.mark.skipif(not machine.HAS_AVX512, reason="this processor permutes no two vectors")
@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 2)), max_size=2),
    st.tuples(st.sampled_from([10, 11, 13, 14, 15, 16, 20, 31, 32]), st.integers(1, 4), st.integers(1, 2)),
    st.sampled_from(["float32", "float16"]),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_short_rows(
    lead: list[tuple[int, int, int]], last: tuple[int, int, int], dtype: str, seed: int, first_nan: bool, small: bool
) -> None:
    """Rows of five to sixteen cells, whole pairs of them or not, on every end of an array; the portable engine's."""
    axes = [
        WindowAxis(large, max((large + 2 * (k // 2) - k) // stride + 1, 1), k, stride, k // 2, 1)
        for large, k, stride in (*lead, last)
    ]
    plan = PoolPlan(tuple(axes), local_indices=False, first_nan=first_nan)
    x = values(dtype, (3, *(axis.large for axis in axes)), seed)
    want = portable.run(np, plan, x, (None, None), True)
    with pytest.MonkeyPatch.context() as patch:
        compiled._geometry.cache_clear()
        if small:
            patch.setattr(compiled, "_BLOCK", 64)
        if direct_simd._LEAST * 16 < axes[-1].small * (2 if axes[-1].small <= 8 else 1) <= 16:
            patch.setattr(compiled, "pool_cells", None)  # nothing is gathered
        same_bits(compiled.run(np, plan, x, (None, None), True), want)
        same_bits(compiled.run(np, plan, x, (None, None), False)[:1], want[:1])
    compiled._geometry.cache_clear()
