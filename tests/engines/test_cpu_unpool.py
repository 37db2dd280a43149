"""The compiled max-unpooling: the portable engine's bits and errors, whatever the indices say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from backends import LAYOUTS, get
from cases import CASES, Case, noise
from drawn import indices_of, outcome, unpools
from dtypes import dtype_of
from hypothesis import given, settings
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample.engines.portable.unpool import backward as portable_gather
from upsample.engines.portable.unpool import driver as portable
from upsample.plans.window import UnpoolPlan, WindowAxis

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.runtime import machine, nontemporal
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.unpool import backward as compiled_gather
from upsample.engines.cpu.unpool import driver as compiled
from upsample.engines.cpu.unpool import gather_simd, scatter

UNPOOLS = [case for case in CASES if "max_unpool" in case.id]
NAMES = ("max_unpool", "indices")


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", UNPOOLS, ids=repr)
def test_agrees_with_reference_and_portable(case: Case, kind: str) -> None:
    args = tuple(get(kind).make(a) for a in case.arrays)
    before = [a.copy() for a in args]
    got = case.function(*args, **case.options, engine="cpu")
    want = case.function(*args, **case.options, engine="portable")
    assert got.dtype == want.dtype
    assert got.tobytes() == want.tobytes()
    np.testing.assert_array_equal(got, case.expected(*case.arrays))
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


DTYPES = ["bool", "int8", "int64", "uint16", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    """Cut everything into blocks, bands and ranges of a few elements, and stream whatever is made."""
    for name, count in (("_BLOCK", 7), ("_SPLIT", 10), ("_RANGE", 64), ("_WIDE_RANGE", 5), ("_BAND", 9)):
        patch.setattr(compiled, name, count)
    for name, count in (("_BLOCK", 3), ("_SEEN", 7)):
        patch.setattr(compiled_gather, name, count)
    patch.setattr(nontemporal, "_LEAST", 0)
    compiled.geometry.cache_clear()


@settings(deadline=None, max_examples=200)
@given(
    unpools(axes=4),
    st.sampled_from(DTYPES),
    st.sampled_from(["int8", "int16", "int32", "int64", "uint64"]),
    st.sampled_from(["own", "legal", "distinct", "beyond", "anywhere"]),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_equals_portable(
    plan: UnpoolPlan, dtype: str, index: str, kind: str, seed: int, small: bool, with_out: bool
) -> None:
    if plan.duplicates == "sum" and dtype == "bool":
        dtype = "uint16"
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (2, 1, *plan.small_shape)).astype(dtype_of(dtype))  # sums of these are exact in any order
    indices = indices_of(kind, plan, rng, 2).reshape(2, 1, *plan.small_shape).astype(index)
    out = [np.full((2, 1, *plan.large_shape), 1, x.dtype) if with_out else None for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        if small:
            small_blocks(patch)
        got = outcome(compiled.run, plan, x, indices, out[0], NAMES)
    compiled.geometry.cache_clear()
    assert got == outcome(portable.run, plan, x, indices, out[1], NAMES)


@settings(deadline=None, max_examples=200)
@given(
    unpools(axes=4),
    st.sampled_from(["int8", "float16", "float32", "complex64"]),
    st.sampled_from(["int16", "int32", "int64"]),
    st.sampled_from(["own", "legal", "distinct"]),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_gather_equals_portable(plan: UnpoolPlan, dtype: str, index: str, kind: str, seed: int, small: bool) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(1, 100, (2, 1, *plan.large_shape)).astype(dtype_of(dtype))
    indices = indices_of(kind, plan, rng, 2).reshape(2, 1, *plan.small_shape).astype(index)
    with pytest.MonkeyPatch.context() as patch:
        if small:
            small_blocks(patch)
        got = compiled_gather.run(np, plan, y, indices)
    compiled.geometry.cache_clear()
    want = portable_gather.run(np, plan, y, indices)
    assert got.dtype == want.dtype
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "complex128"])
def test_streaming_copies_and_touches_nothing_else(dtype: str) -> None:
    for size in (0, 1, 3, 15, 16, 17, 63, 64, 65, 1000):
        for offset in range(67):
            source = np.random.default_rng(size).integers(1, 250, size).astype(dtype)
            target = np.zeros(size + 200, dtype=dtype)
            nontemporal.stream(frozen(source), target[offset : offset + size])
            np.testing.assert_array_equal(target[offset : offset + size], source)
            assert not target[:offset].any()
            assert not target[offset + size :].any()


def test_a_large_out_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes, and bands of planes, whole and with a rest; equal to what is stored plainly."""
    rng = np.random.default_rng(0)
    for shape, kernel in (((3, 5, 150, 152), 2), ((1, 2, 300, 602), 3)):
        x = rng.random(shape, dtype=np.float32)
        values, indices = upsample.max_pool2d_with_indices(x, kernel, 2, kernel // 2, engine="cpu")
        results = []
        for least in (0, 1 << 40):
            monkeypatch.setattr(nontemporal, "_LEAST", least)
            out = np.ones(x.size + 1, dtype=np.float32)[1:].reshape(shape)
            arguments = (values, indices, kernel, 2, kernel // 2, shape[2:])
            results.append(upsample.max_unpool2d(*arguments, out=out, engine="cpu").copy())
        np.testing.assert_array_equal(*results)
        np.testing.assert_array_equal(results[0], upsample.max_unpool2d(*arguments, engine="portable"))


def test_bits_are_moved() -> None:
    """Payloads of NaN, both zeros and infinities arrive as they are."""
    bits = np.asarray([[[0x7FC00123, 0xFF800000], [0x80000000, 0xFFC00001]]], dtype=np.uint32)
    indices = np.asarray([[[0, 3], [8, 11]]])
    got = upsample.max_unpool2d(bits.view(np.float32), indices, 2, engine="cpu")
    np.testing.assert_array_equal(got.view(np.uint32).reshape(-1)[[0, 3, 8, 11]], bits.reshape(-1))


@pytest.mark.parametrize("rule", ["last", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "complex64"])
def test_one_and_two_threads(monkeypatch: pytest.MonkeyPatch, dtype: str, rule: str) -> None:
    rng = np.random.default_rng(0)
    many = noise(40, 8, 33, 35).astype(dtype), rng.integers(0, 66 * 70, (40, 8, 33, 35)), (66, 70)
    large = noise(1, 600, 601).astype(dtype), rng.integers(0, 1200 * 1202, (1, 600, 601)), (1200, 1202)
    for x, indices, size in (many, large):
        results = []
        for threads in ("1", "2"):
            monkeypatch.setenv("UPSAMPLE_NUM_THREADS", threads)
            results.append(
                upsample.max_unpool2d(x, indices, 2, output_size=size, duplicates=rule, engine="cpu").tobytes()
            )
        assert results[0] == results[1]
        if rule == "last":
            wanted = upsample.max_unpool2d(x, indices, 2, output_size=size, engine="portable")
            assert results[0] == wanted.tobytes()


def test_sums_in_float32() -> None:
    """2048 + 1 + 1 is 2048 in float16, step by step."""
    x = np.asarray([[2048.0, 1.0, 1.0]], dtype=np.float16)
    got = upsample.max_unpool1d(x, np.zeros((1, 3), dtype=int), 2, duplicates="sum", engine="cpu")
    assert got[0, 0] == 2050.0


@pytest.mark.parametrize("place", [0, 7, 2_000_000])
@pytest.mark.parametrize("with_out", [False, True])
def test_the_error_names_the_first(place: int, with_out: bool) -> None:
    indices = np.zeros((1, 2, 1100, 1000), dtype=np.int64)
    indices.reshape(-1)[place::150_001] = 2200 * 2000
    x = np.zeros(indices.shape, dtype=np.float32)
    out = np.ones((1, 2, 2200, 2000), dtype=np.float32) if with_out else None
    with pytest.raises(IndexError) as got:
        upsample.max_unpool2d(x, indices, 2, engine="cpu", out=out)
    with pytest.raises(IndexError) as want:
        upsample.max_unpool2d(x, indices, 2, engine="portable")
    assert str(got.value) == str(want.value)


@pytest.mark.parametrize("layout", ["plain", "fortran", "reversed", "swapped"])
def test_out(layout: str) -> None:
    x, indices = noise(2, 3, 4, 5), np.tile(np.arange(20).reshape(4, 5) * 4, (2, 3, 1, 1))
    want = upsample.max_unpool2d(x, indices, 2, engine="portable")
    change = {
        "plain": np.ascontiguousarray,
        "fortran": np.asfortranarray,
        "reversed": lambda a: a[..., ::-1],
        "swapped": np.ascontiguousarray,
    }[layout]
    if layout == "swapped":
        x = x.astype(">f4")
    out = change(np.full(want.shape, 1, x.dtype))
    assert upsample.max_unpool2d(x, indices, 2, engine="cpu", out=out) is out
    np.testing.assert_array_equal(out, want)


def test_one_signature() -> None:
    """Read-only, strided and writeable inputs of any size and index dtype share one compiled signature."""

    def call(kind: str, index: str, *shape: int) -> None:
        make = get(kind).make
        indices = make(np.zeros(shape, dtype=index))
        upsample.max_unpool2d(make(noise(*shape)), indices, 2, engine="cpu")

    call("numpy", "int64", 1, 1, 2, 2)
    before = len(scatter.make_planes.signatures)
    for kind in LAYOUTS:
        for index in ("int64", "int32", "uint8"):
            call(kind, index, 2, 3, 7, 5)
    assert len(scatter.make_planes.signatures) == before


def test_windows_that_cover_nothing() -> None:
    """Every window lies in the padding, and the indices name positions all the same; the engines agree."""
    plan = UnpoolPlan((WindowAxis(1, 2, 1, 3, 1, 1), WindowAxis(4, 1, 2, 2, 0, 1)), False, "last", True, True)
    x, indices = np.asarray([[[1.0], [2.0]]]), np.asarray([[[3], [0]]])
    for run in (compiled.run, portable.run):
        np.testing.assert_array_equal(run(np, plan, x, indices, None, NAMES), [[[2.0, 0.0, 0.0, 1.0]]])


@pytest.mark.parametrize("layout", ["plain", "strided", "unaligned"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32", "complex64", "complex128"])
def test_a_small_call_that_is_made_again(dtype: str, layout: str) -> None:
    values = noise(2, 3, 4, 5).astype(dtype)
    _, indices = upsample.max_pool2d_with_indices(noise(2, 3, 9, 10), 2)
    want = upsample.max_unpool2d(values, indices, 2, output_size=(9, 10), engine="portable")
    upsample.max_unpool2d(values, indices, 2, output_size=(9, 10), engine="cpu")
    x, out = values, np.ones_like(want)
    if layout == "strided":
        x, out = values.repeat(2, -1)[..., ::2], np.ones_like(want).repeat(2, -1)[..., ::2]
    elif layout == "unaligned":
        x, out = (np.empty(a.nbytes + 1, np.uint8)[1:].view(dtype).reshape(a.shape) for a in (values, want))
        x[...] = values
    again = upsample.max_unpool2d(x, indices, 2, output_size=(9, 10), engine="cpu")
    assert again.tobytes() == want.tobytes()
    assert upsample.max_unpool2d(x, indices, 2, output_size=(9, 10), out=out, engine="cpu") is out
    assert out.tobytes() == want.tobytes()
    with pytest.raises(IndexError, match="indices"):
        upsample.max_unpool2d(x, indices + 90, 2, output_size=(9, 10), engine="cpu")


@st.composite
def two_apart(draw: st.DrawFn) -> UnpoolPlan:
    """Windows two apart along rows of many cells, whose positions ask the cells around them; any windows above."""
    made = []
    for _ in range(draw(st.integers(0, 2))):
        small, kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, kernel // 2))
        large = max((small - 1) * stride - 2 * padding + kernel, 1) + draw(st.integers(0, 2))
        made.append(WindowAxis(large, small, kernel, stride, padding, 1))
    small, kernel = draw(st.integers(1, 45)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, kernel // 2))
    large = max(2 * (small - 1) - 2 * padding + kernel, 1) + draw(st.integers(0, 3))
    rule, checked = draw(st.sampled_from(["last", "sum", "error"])), draw(st.booleans())
    return UnpoolPlan((*made, WindowAxis(large, small, kernel, 2, padding, 1)), False, rule, checked, True)


@settings(deadline=None, max_examples=150)
@given(
    two_apart(),
    st.sampled_from(["float32", "float64", "int32", "complex64"]),
    st.sampled_from(["own", "planted", "legal", "beyond"]),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_positions_that_ask(plan: UnpoolPlan, dtype: str, kind: str, seed: int, small: bool, trusted: bool) -> None:
    """Whatever one index says, or all, and at every end of rows, planes and blocks."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 90, (3, *plan.small_shape)).astype(dtype)
    indices = indices_of("own" if kind == "planted" else kind, plan, rng, 3)
    if kind == "planted":
        indices.reshape(-1)[rng.integers(indices.size)] = rng.integers(-2, np.prod(plan.large_shape) + 2)
    if kind == "own" and trusted:
        plan = replace(plan, trusted=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather_simd, "_SHORT", 0)
        patch.setattr(compiled, "_BLOCK", 16)
        compiled.geometry.cache_clear()
        if small:
            patch.setattr(compiled, "_SPLIT", 7 * plan.large_shape[-1])
        got = outcome(compiled.run, plan, x, indices, None, NAMES)
    compiled.geometry.cache_clear()
    assert got == outcome(portable.run, plan, x, indices, None, NAMES)


@pytest.mark.skipif(not machine.HAS_AVX2, reason="this processor masks no vectors")
@pytest.mark.parametrize("rule", ["last", "sum"])
@pytest.mark.parametrize(
    ("kernel", "shape"), [(2, (2, 3, 40, 70)), (3, (2, 3, 41, 67)), (3, (3, 7, 9, 65)), (4, (5, 64))]
)
def test_usual_windows_are_asked(
    monkeypatch: pytest.MonkeyPatch, rule: str, kernel: int, shape: tuple[int, ...]
) -> None:
    """No cell is scattered, and nothing is looked at twice."""
    x = noise(1, *shape)
    pool, unpool = (getattr(upsample, name + "pool" + f"{len(shape) - 1}d") for name in ("max_", "max_un"))
    values, indices = pool(x, kernel, 2, kernel // 3, return_indices=True)
    arguments = values, indices, kernel, 2, kernel // 3, shape[1:]
    want = unpool(*arguments, duplicates=rule, engine="portable")
    for name, value in (("make_planes", None), ("make_bands", None), ("_BLOCK", 16)):
        monkeypatch.setattr(compiled, name, value)
    np.testing.assert_array_equal(unpool(*arguments, duplicates=rule, engine="cpu"), want)


def test_an_index_just_behind_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the first position of the next row: in the window by its number, not by its place."""
    monkeypatch.setattr(compiled, "_BLOCK", 16)
    x = noise(1, 2, 21, 61)
    values, indices = upsample.max_pool2d(x, 3, 2, 1, return_indices=True)
    indices[..., -1] = np.arange(1, 22, 2).clip(max=20) * 61
    arguments = values, indices, 3, 2, 1, (21, 61)
    want = upsample.max_unpool2d(*arguments, engine="portable")
    np.testing.assert_array_equal(upsample.max_unpool2d(*arguments, engine="cpu"), want)
