"""The compiled transposed convolution: by products, by direct loops, in blocks of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tolerances
from backends import LAYOUTS, get
from cases import CASES, Case, noise
from drawn import spreads
from dtypes import dtype_of
from hypothesis import given, settings
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample import reference
from upsample.engines.portable.conv_transpose import driver as portable
from upsample.plans.window import ConvTransposePlan, WindowAxis

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.conv_transpose import direct as conv_transpose_kernels
from upsample.engines.cpu.conv_transpose import driver as compiled
from upsample.engines.cpu.conv_transpose import gemm, gemm_kernels

SPREADS = [case for case in CASES if "conv_transpose" in case.id]


@pytest.fixture(autouse=True, scope="module")
def _products_of_few_numbers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_FEW_PRODUCTS", 0)
        yield


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", SPREADS, ids=repr)
@pytest.mark.parametrize("few", [0, 99])
def test_agrees_with_reference_and_portable(monkeypatch: pytest.MonkeyPatch, case: Case, kind: str, few: int) -> None:
    monkeypatch.setattr(compiled, "_FEW_CHANNELS", few)
    args = tuple(get(kind).make(a) for a in case.arrays)
    before = [a.copy() for a in args]
    got = case.function(*args, **case.options, engine="cpu")
    assert got.dtype == args[0].dtype
    tolerances.assert_close(got, case.expected(*case.arrays), exact=False)
    tolerances.assert_close(got, case.function(*args, **case.options, engine="portable"), exact=False)
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)
    x, weight, _ = args
    tolerances.assert_close(
        case.function(x, weight, **case.options, engine="cpu"),
        case.function(x, weight, **case.options, engine="portable"),
        exact=False,
    )


@settings(deadline=None, max_examples=200)
@given(
    spreads(axes=4),
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 4)),
    st.sampled_from([None, 64, 512, 4096]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_equals_portable(
    plan: ConvTransposePlan, dtype: str, counts: tuple[int, int, int], cells: int | None, odd: bool, seed: int
) -> None:
    batch, inputs, each = counts
    rng = np.random.default_rng(seed)
    kind = dtype_of(dtype)
    x = rng.standard_normal((batch, plan.groups * inputs, *(a.small for a in plan.axes))).astype(kind)
    if odd:
        x.reshape(-1)[rng.integers(0, x.size)] = np.nan
        x.reshape(-1)[rng.integers(0, x.size)] = -np.inf
    weight = rng.standard_normal((plan.groups * inputs, each, *(a.kernel for a in plan.axes))).astype(kind)
    bias = rng.standard_normal(plan.groups * each).astype(kind) if seed % 2 else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_FEW_CHANNELS", seed % 3)
        if cells is not None:  # regions and blocks of every size
            patch.setattr(compiled, "_WORK", 7)
            patch.setattr(compiled, "_STAGED", 20)
            patch.setattr(compiled, "_LONGEST", 7)
            few = {"_CELLS": cells, "_SUMS": 8, "_WEIGHTS": cells, "_BLOCK": 50 * cells, "_FEW": 1}
            for name, value in few.items():
                patch.setattr(gemm, name, value)
        gemm._region.cache_clear()
        got = compiled.run(np, plan, x, weight, bias, None)
        out = np.full_like(got, 7)
        assert compiled.run(np, plan, x, weight, bias, out) is out
    gemm._region.cache_clear()
    want = portable.run(np, plan, x, weight, bias, None)
    assert got.dtype == want.dtype
    tolerances.assert_close(got, want.astype(np.float64), exact=False)
    assert out.tobytes() == got.tobytes()


CUTS = [
    ("k2s2", (2, 16, 40, 50), (16, 8, 2, 2), dict(stride=2)),
    ("k4s2", (2, 16, 40, 50), (16, 8, 4, 4), dict(stride=2, padding=1)),
    ("depthwise", (2, 16, 40, 50), (16, 1, 4, 4), dict(stride=2, padding=1, groups=16)),
    ("rows", (1, 8, 600, 300), (8, 3, 3, 3), dict(stride=2, padding=1)),
    ("long", (1, 8, 70_000), (8, 2, 5), dict(stride=3)),
    ("volume", (1, 8, 12, 40, 40), (8, 4, 2, 2, 2), dict(stride=2)),
]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("name", "shape", "weight", "options"), CUTS, ids=[c[0] for c in CUTS])
def test_one_and_two_threads(
    monkeypatch: pytest.MonkeyPatch, name: str, shape: Any, weight: Any, options: Any, dtype: str
) -> None:
    monkeypatch.setattr(gemm, "_CELLS", 1 << 19)
    x, w = noise(*shape).astype(dtype), noise(*weight, seed=1).astype(dtype)
    function = getattr(upsample, f"conv_transpose{len(shape) - 2}d")
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("UPSAMPLE_NUM_THREADS", threads)
        results.append(function(x, w, **options, engine="cpu"))
    assert results[0].tobytes() == results[1].tobytes()
    tolerances.assert_close(results[0], function(x, w, **options, engine="portable"), exact=False, margin=2.0)


def test_nan_and_infinity_stay_in_their_windows() -> None:
    for channels in (1, 8):
        x = np.zeros((1, channels, 5, 5), dtype=np.float32)
        x[0, 0, 1, 1], x[0, 0, 3, 3] = np.nan, np.inf
        weight = np.ones((channels, 2, 2, 2), dtype=np.float32)
        got = upsample.conv_transpose2d(x, weight, stride=2, engine="cpu")
        want = np.zeros((1, 2, 10, 10), dtype=np.float32)
        want[..., 2:4, 2:4], want[..., 6:8, 6:8] = np.nan, np.inf
        np.testing.assert_array_equal(got, want)


def test_weights_that_are_not_finite_reach_no_cell_outside() -> None:
    """A tap in the padding brings nothing, not zero times infinity."""
    x, weight = noise(1, 8, 5, 6), noise(8, 2, 4, 4)
    weight[1, 0, 0, 1], weight[2, 1, 3, 3] = np.inf, np.nan
    got = upsample.conv_transpose2d(x, weight, stride=2, padding=1, engine="cpu")
    want = reference.conv_transpose(x, weight, stride=2, padding=1)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    assert np.isfinite(want).any()
    tolerances.assert_close(got, want, exact=False)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_weights_that_are_not_finite_reach_no_output_padding(bad: float) -> None:
    """No tap shifts cells, and yet there are positions behind the last one."""
    x, weight = noise(2, 16, 9, 9), noise(16, 16, 1, 1)
    weight[3, 4] = bad
    got = upsample.conv_transpose2d(x, weight, output_padding=2, dilation=3, engine="cpu")
    want = np.zeros((2, 16, 11, 11))
    want[..., :9, :9] = np.einsum("nchw,cm->nmhw", x, weight[..., 0, 0])
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    assert not np.isfinite(want).all()


WIDTHS = st.integers(1, 70)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["float32", "float64"]), WIDTHS, st.integers(1, 40), st.integers(1, 20), st.booleans())
def test_tiles_of_every_width(dtype: str, width: int, inputs: int, each: int, tall: bool) -> None:
    """Lines that fill vectors and lines that do not; channels that fill tiles and those that do not."""
    first = WindowAxis(15, 7, 3, 2, 0, 1) if tall else WindowAxis(3, 1, 3, 1, 0, 1)
    plan = ConvTransposePlan((first, WindowAxis(2 * width, width, 4, 2, 1, 1)), 1, precision="float32")
    x, weight = noise(2, inputs, first.small, width).astype(dtype), noise(inputs, each, 3, 4).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_FEW_CHANNELS", 0)
        got = compiled.run(np, plan, x, weight, None, None)
    tolerances.assert_close(got, portable.run(np, plan, x, weight, None, None).astype(np.float64), exact=False)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ">f4"])
@pytest.mark.parametrize("layout", ["plain", "fortran", "reversed"])
@pytest.mark.parametrize("channels", [2, 8])
def test_out(dtype: str, layout: str, channels: int) -> None:
    x, weight = noise(2, channels, 4, 5).astype(dtype), noise(channels, 3, 3, 3).astype(dtype)
    want = upsample.conv_transpose2d(x, weight, stride=2, engine="cpu")
    change = {"plain": np.ascontiguousarray, "fortran": np.asfortranarray, "reversed": lambda a: a[..., ::-1]}[layout]
    out = change(np.full(want.shape, 1, x.dtype))
    assert upsample.conv_transpose2d(x, weight, stride=2, engine="cpu", out=out) is out
    np.testing.assert_array_equal(out, want)


def test_unpooling_sums_windows() -> None:
    x = noise(2, 3, 5, 4)
    got = upsample.chainer.unpooling_2d(x, 3, 2, 1, engine="cpu")
    tolerances.assert_close(got, reference.chainer_unpooling(x, 3, 2, 1), exact=False)


def test_one_signature() -> None:
    """Read-only, strided and writeable inputs of any size share one compiled signature."""

    def call(kind: str, channels: int, *shape: int) -> None:
        make = get(kind).make
        x, weight = make(noise(2, channels, *shape)), make(noise(channels, 2, *(3 for _ in shape)))
        bias = make(noise(2))
        function = getattr(upsample, f"conv_transpose{len(shape)}d")
        function(x, weight, bias, stride=2, engine="cpu")
        function(x, weight, stride=3, engine="cpu")

    for channels, kernel in ((1, conv_transpose_kernels.sum_products), (8, gemm_kernels.multiply)):
        call("numpy", channels, 4, 5)
        before = len(kernel.signatures)
        for kind in LAYOUTS:
            call(kind, channels, 3)
            call(kind, channels, 4, 3)
            call(kind, channels, 2, 3, 4)
        assert len(kernel.signatures) == before


def test_axes_that_are_one_object() -> None:
    axis = WindowAxis(8, 4, 2, 2, 0, 1)
    for channels in (1, 8):
        x, weight = noise(1, channels, 4, 4), noise(channels, 2, 2, 2)
        got = compiled.run(np, ConvTransposePlan((axis, axis), 1, precision="float32"), x, weight, None, None)
        tolerances.assert_close(got, reference.conv_transpose(x, weight, stride=2), exact=False)


def test_long_lists_of_taps_are_made_some_channels_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "products", lambda *_: False)
    x, weight, bias = noise(40, 4096), noise(40, 4096), noise(1)
    assert x.size > conv_transpose_kernels._LISTED
    single = (a.astype(np.float32) for a in (x[None, :, None], weight[:, None, None], bias))
    got = upsample.conv_transpose2d(*single, padding=(0, 4080), engine="cpu")
    want = sum(np.convolve(a, b)[4080:4111] for a, b in zip(x, weight, strict=True)) + bias
    np.testing.assert_allclose(got[0, 0, 0], want, rtol=1e-3, atol=1e-2)
