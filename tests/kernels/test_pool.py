"""Max-pooling on the CUDA engine: the portable engine's bits, whatever the windows, dtypes and thread orders."""

from __future__ import annotations

import numpy as np
import pytest
from backends import LAYOUTS, get
from cases import CASES, Case, noise
from drawn import pools, same_bits
from dtypes import dtype_of
from emulator.device import EmulatedDevice
from emulator.trials import examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample.engines.cuda import pool as cuda
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.portable.pool import driver as portable
from upsample.plans.window import PoolPlan, WindowAxis

POOLS = [case for case in CASES if "max_pool" in case.id]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["bool", *INTEGERS, "float16", "bfloat16", "float32", "float64"]
PAIRS = (WindowAxis(22, 11, 2, 2, 0, 1), WindowAxis(21, 11, 3, 2, 1, 1))


def values(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Few different numbers, so that many are equal; extremes; for floats NaN, infinities, both zeros, subnormals."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        limits = np.iinfo(dtype)
        return rng.choice(np.asarray([limits.min, limits.max, 0, 1, 2], dtype=dtype), shape)
    kind = dtype_of(dtype)
    odd = np.asarray([np.nan, -np.inf, -np.inf, -np.inf, np.inf, -0.0, 0.0, 1.0, 2.0, -1.0]).astype(kind)
    tiny = np.asarray([1, 2, 3], dtype=f"uint{8 * kind.itemsize}").view(kind)
    return rng.choice(np.concatenate([odd, tiny, -tiny]), shape)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", POOLS, ids=repr)
def test_agrees_with_reference_and_portable(gpu: EmulatedDevice, case: Case, kind: str) -> None:
    x = get(kind).make(case.arrays[0])
    before = x.copy()
    got = case.function(x, **case.options, engine="cuda")
    same_bits(got, case.function(x, **case.options, engine="portable"))
    for g, w in zip(got, case.expected(*case.arrays), strict=True):
        np.testing.assert_array_equal(g, w)
    np.testing.assert_array_equal(x, before)
    alone = getattr(upsample, case.function.__name__.removesuffix("_with_indices"))(x, **case.options, engine="cuda")
    np.testing.assert_array_equal(alone, got[0])


@examples(60)
@given(pools(axes=3, longest=19), st.sampled_from(DTYPES), st.booleans(), st.integers(0, 2**31), st.booleans())
def test_equals_portable(
    gpu: EmulatedDevice, plan: PoolPlan, dtype: str, with_indices: bool, seed: int, small_limit: bool
) -> None:
    if plan.local_indices and "float" not in dtype:
        dtype = "float32"
    x = values(dtype, (2, 3, *(axis.large for axis in plan.axes)), seed)
    gpu.index_limit = 20 if small_limit else 2**31
    got = cuda.run(np, plan, x, (None, None), with_indices)
    assert dict(gpu.launches[-1].kernel.macros)["INDEX"] == ("int64" if small_limit else "int")
    same_bits(got, portable.run(np, plan, x, (None, None), with_indices))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", PAIRS, ids=["two", "three"])
@pytest.mark.parametrize("first_nan", [False, True])
def test_every_dtype(gpu: EmulatedDevice, dtype: str, axis: WindowAxis, first_nan: bool) -> None:
    x = values(dtype, (2, 9, axis.large), 5)
    plan = PoolPlan((WindowAxis(9, 3, 4, 3, 1, 1), axis), local_indices=False, first_nan=first_nan)
    same_bits(cuda.run(np, plan, x, (None, None), True), portable.run(np, plan, x, (None, None), True))
    pairs = dtype in ("uint8", "bool") or "float" in dtype
    assert gpu.launches[-1].kernel.entry == ("pool_pairs" if pairs else "pool_cells")


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("width", [32, 33, 34, 35])
def test_rows_of_any_alignment(gpu: EmulatedDevice, width: int, start: int) -> None:
    """Rows, or the array itself, that do not begin at multiples of 16 bytes."""
    x = values("float32", (3 * 6 * width + start,), 2)[start:].reshape(3, 6, width)
    for window in ((2, 2, 0), (3, 2, 1)):
        for ceil_mode in (False, True):
            got = upsample.max_pool2d_with_indices(x, *window, ceil_mode=ceil_mode, engine="cuda")
            same_bits(got, upsample.max_pool2d_with_indices(x, *window, ceil_mode=ceil_mode, engine="portable"))


@pytest.mark.parametrize("index_limit", [20, 2**31])
def test_more_pieces_and_planes_than_threads(
    gpu: EmulatedDevice, monkeypatch: pytest.MonkeyPatch, index_limit: int
) -> None:
    """Every thread steps over pieces, and over planes."""
    monkeypatch.setattr(cuda, "_BLOCKS", 1)
    gpu.processors, gpu.index_limit = 3, index_limit  # no other test has three: plans are cached
    for shape, window in (((1, 30, 70), (2, 1)), ((700, 3, 4), (2, 2)), ((2, 60, 64), (3, 2, 1))):
        x = noise(*shape)
        got = upsample.max_pool2d_with_indices(x, *window, engine="cuda")
        assert gpu.launches[-1].grid[0] * gpu.launches[-1].grid[1] <= 3
        same_bits(got, upsample.max_pool2d_with_indices(x, *window, engine="portable"))


def test_out(gpu: EmulatedDevice) -> None:
    x = noise(2, 3, 8, 7)
    want = upsample.max_pool2d_with_indices(x, 2, engine="portable")
    for change in (np.ascontiguousarray, np.asfortranarray, lambda a: a[..., ::-1]):
        out = tuple(change(np.full(w.shape, 7, w.dtype)) for w in want)
        got = upsample.max_pool2d_with_indices(x, 2, out=out, engine="cuda")
        assert all(g is o for g, o in zip(got, out, strict=True))
        same_bits([np.ascontiguousarray(o) for o in out], want)


def test_bits_are_moved(gpu: EmulatedDevice) -> None:
    """Payloads of NaN and the sign of zero arrive as they are."""
    bits = np.asarray([[[0x7FC00123, 0xFF800000, 0x80000000, 0x80000000]]], dtype=np.uint32)
    got = upsample.max_pool1d(bits.view(np.float32), 2, engine="cuda")
    np.testing.assert_array_equal(got.view(np.uint32), [[[0x7FC00123, 0x80000000]]])


def test_nothing_is_launched_for_nothing(gpu: EmulatedDevice) -> None:
    assert upsample.max_pool2d(noise(0, 3, 4, 4), 2, engine="cuda").shape == (0, 3, 2, 2)
    assert not gpu.launches


CELLS, PAIRED = (3, 1, 1), (2, 2, 0)
FAULTS = [
    (CELLS, "line[r * g.step[1] * g.large[2] + (k + c) * g.step[2]]", "line[r * g.step[1] * g.large[2] + k + c + 1]"),
    (CELLS, "j + r < row.count && k + c < column.count", "j + r < column.count && k + c <= row.count"),
    (CELLS, "g.one_slice);\n    const Taps<Index> depth(tables, g, 0, cell.depth), row(tables, g, 1, cell.row)",
     "g.one_slice);\n    const Taps<Index> depth(tables, g, 0, cell.depth), row(tables, g, 1, cell.column)"),
    (CELLS, "if (o > order)", "if (o >= order)"),
    (PAIRED, "n * apart + t, infinity,", "n * apart + t + 1, infinity,"),
    (PAIRED, "v[r][2 * n + t]", "v[t][2 * n + r]"),
    (PAIRED, "const bool here = j + r < row.count;", "const bool here = j + r <= row.count;"),
]  # fmt: skip


@faults_are_planted
@pytest.mark.parametrize(("window", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(window: tuple[int, int, int], old: str, new: str) -> None:
    x = values("float32", (2, 7, 10), 3)
    x = np.pad(x, ((0, 1), (0, 0), (0, 0)), constant_values=9.0)[:2]  # what a read past the end finds
    with emulating(EmulatedDevice(fault=(old, new))):
        got = upsample.max_pool2d_with_indices(x, *window, ceil_mode=True, engine="cuda")
    want = upsample.max_pool2d_with_indices(x, *window, ceil_mode=True, engine="portable")
    assert any(g.tobytes() != w.tobytes() for g, w in zip(got, want, strict=True))
