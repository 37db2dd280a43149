"""Transposed convolution on the CUDA engine: by products on both kinds of cores, and the choice of the kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from backends import get
from cases import CASES, Case, noise
from drawn import spreads
from dtypes import dtype_of
from emulator.device import EmulatedDevice
from emulator.listing import listed
from emulator.preloaded import SANITIZED
from emulator.spreads import DTYPES, whole
from emulator.trials import ORDERS, Faulty, examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample.engines.cuda.conv_transpose import driver as cuda
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.portable.conv_transpose import driver as portable
from upsample.plans.window import ConvTransposePlan, WindowAxis

SPREADS = [case for case in CASES if "conv_transpose" in case.id]
KINDS = ["strided"] if SANITIZED else ["readonly", "strided"]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_is_direct", lambda *_: False)


def assert_agrees(plan: ConvTransposePlan, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    got = cuda.run(np, plan, x, weight, bias, None)
    want = portable.run(np, plan, x, weight, bias, None)
    assert got.dtype == want.dtype
    tolerances.assert_close(got, want.astype(np.float64), exact=False)
    return got


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", SPREADS, ids=repr)
def test_agrees_with_reference_and_portable(gpu: EmulatedDevice, road: str, case: Case, kind: str) -> None:
    args = tuple(get(kind).make(a) for a in case.arrays)
    before = [a.copy() for a in args]
    got = case.function(*args, **case.options, engine="cuda")
    assert got.dtype == args[0].dtype
    tolerances.assert_close(got, case.expected(*case.arrays), exact=False)
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)
    x, weight, _ = args
    want = case.function(x, weight, **case.options, engine="portable")
    tolerances.assert_close(case.function(x, weight, **case.options, engine="cuda"), want, exact=False)
    file = "conv_transpose" if road == "products" else "conv_transpose_direct"
    assert all(launch.kernel.file in (file, "conv_transpose_weights") for launch in gpu.launches)


@examples(20)
@given(
    spreads(axes=3),
    st.sampled_from(DTYPES),
    st.tuples(st.integers(1, 3), st.integers(1, 21), st.integers(1, 5)),
    st.sampled_from(["finite", "values", "weights", "bias"]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_equals_portable(
    gpu: EmulatedDevice,
    road: str,
    plan: ConvTransposePlan,
    dtype: str,
    counts: tuple[int, int, int],
    odd: str,
    small_limit: bool,
    seed: int,
) -> None:
    """NaN and infinity anywhere."""
    batch, inputs, each = counts
    rng = np.random.default_rng(seed)
    x = whole(rng, dtype, batch, plan.groups * inputs, *(axis.small for axis in plan.axes))
    weight = whole(rng, dtype, plan.groups * inputs, each, *plan.kernel_shape)
    bias = whole(rng, dtype, plan.groups * each) if seed % 2 or odd == "bias" else None
    if odd != "finite":
        spoilt = {"values": x, "weights": weight, "bias": bias}[odd].reshape(-1)
        spoilt[rng.integers(0, spoilt.size)] = np.nan
        spoilt[rng.integers(0, spoilt.size)] = -np.inf
    gpu.index_limit = 20 if small_limit else 2**31
    assert_agrees(plan, x, weight, bias)
    assert dict(gpu.launches[-1].kernel.macros)["INDEX"] == ("int64" if small_limit else "int")


def tiles() -> list[Any]:
    keys = [key for key in cuda._TILES if key[0] in DTYPES]
    found = [(*key, index, tile) for key in keys for index in ("int", "int64") for tile in cuda._tiles(*key, index)]
    return [pytest.param(*f, id=f"{f[0]}{'-tensor' * f[1]}-{f[2]}-{f[3].outputs}x{f[3].cells}") for f in found]


@pytest.mark.parametrize(("dtype", "tensor", "index", "tile"), tiles())
def test_every_tile(
    products: None, monkeypatch: pytest.MonkeyPatch, dtype: str, tensor: int, index: str, tile: Any
) -> None:
    """More outputs, positions and channels than one tile and slice hold, in two groups."""
    assert cuda._kernel(dtype, tensor, tile, index, 0) in listed("conv_transpose")  # which is asked for once
    monkeypatch.setattr(cuda, "_tiles", lambda *_: (tile,))
    gpu = EmulatedDevice(order=7)
    gpu.index_limit, gpu.processors = 2**31 if index == "int" else 20, 1000 + tile.outputs  # plans are cached
    rng = np.random.default_rng(1)
    axis, other = WindowAxis(9, 5, 3, 2, 1, 1), WindowAxis(11, 6, 2, 2, 0, 1)
    batch = -(-(tile.cells + 9) // 30)
    plan = ConvTransposePlan((axis, other), 2, precision={0: "float32", 1: "tf32", 3: "tf32x3"}[tensor])
    x = whole(rng, dtype, batch, 2 * 17, 5, 6)
    weight = whole(rng, dtype, 2 * 17, tile.outputs + 3, 3, 2)
    bias = whole(rng, dtype, 2 * (tile.outputs + 3))
    with emulating(gpu):
        assert_agrees(plan, x, weight, bias)
    assert gpu.launches[-1].kernel == cuda._kernel(dtype, tensor, tile, index, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 4, 13, 16])
def test_rows_of_any_length(road: str, dtype: str, width: int) -> None:
    """Rows that begin at multiples of 16 bytes and others; so the result, and x, as a whole."""
    with emulating(EmulatedDevice(order=7)):
        for stride, kernel, padding in ((1, 1, 0), (1, 3, 1), (2, 2, 0), (2, 4, 1), (3, 3, 0), (3, 5, 1)):
            rows_are_right(dtype_of(dtype), width, stride, kernel, padding)


def rows_are_right(kind: np.dtype, width: int, stride: int, kernel: int, padding: int) -> None:
    axis = WindowAxis((width - 1) * stride - 2 * padding + kernel, width, kernel, stride, padding, 1)
    plan = ConvTransposePlan((WindowAxis(3, 3, 1, 1, 0, 1), axis), 1, precision="float32")
    x, weight = noise(2, 3, 3, width).astype(kind), noise(3, 2, 1, kernel, seed=1).astype(kind)
    want = assert_agrees(plan, x, weight, None)
    out = np.zeros(want.size + 1, kind)[1:].reshape(want.shape)
    moved = np.zeros(x.size + 1, kind)[1:].reshape(x.shape)
    moved[...] = x
    np.testing.assert_array_equal(cuda.run(np, plan, moved, weight, None, out), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_count_where_they_meet_a_cell(
    gpu: EmulatedDevice, road: str, dtype: str, value: float
) -> None:
    """A tap that reaches no cell adds nothing, whatever its weight is; zeros among the cells are cells."""
    kind = dtype_of(dtype)
    plan = ConvTransposePlan((WindowAxis(5, 3, 3, 2, 1, 1), WindowAxis(8, 4, 4, 2, 1, 1)), 1, precision="tf32")
    for tap in range(12):
        x, weight = np.ones((1, 2, 3, 4), kind), np.ones((2, 3, 3, 4), kind)
        x[0, 1, 1, 1] = 0
        weight.reshape(2, 3, -1)[1, 2, tap] = value
        got = assert_agrees(plan, x, weight, np.ones(3, kind))
        assert np.isfinite(got[:, :2].astype(float)).all()


def test_overflow_is_infinite(gpu: EmulatedDevice, road: str) -> None:
    x, weight = np.full((1, 2, 3), 60000, np.float16), np.full((2, 1, 3), 60000, np.float16)
    with np.errstate(over="ignore"):
        want = upsample.conv_transpose1d(x, weight, stride=2, padding=1, engine="portable")
    np.testing.assert_array_equal(upsample.conv_transpose1d(x, weight, stride=2, padding=1, engine="cuda"), want)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["plain", "fortran", "reversed"])
def test_out(gpu: EmulatedDevice, road: str, dtype: str, layout: str) -> None:
    x, weight = noise(2, 5, 4, 5).astype(dtype), noise(5, 3, 3, 3).astype(dtype)
    want = upsample.conv_transpose2d(x, weight, stride=2, engine="cuda")
    change = {"plain": np.ascontiguousarray, "fortran": np.asfortranarray, "reversed": lambda a: a[..., ::-1]}[layout]
    out = change(np.full(want.shape, 1, x.dtype))
    assert upsample.conv_transpose2d(x, weight, stride=2, engine="cuda", out=out) is out
    np.testing.assert_array_equal(out, want)


def test_unpooling_sums_windows(gpu: EmulatedDevice, road: str) -> None:
    x = noise(2, 3, 5, 4)
    want = upsample.chainer.unpooling_2d(x, 3, 2, 1, engine="portable")
    tolerances.assert_close(upsample.chainer.unpooling_2d(x, 3, 2, 1, engine="cuda"), want, exact=False)


def test_nothing_is_launched_for_nothing(gpu: EmulatedDevice, road: str) -> None:
    assert upsample.conv_transpose2d(noise(0, 3, 4, 4), noise(3, 2, 2, 2), engine="cuda").shape == (0, 2, 5, 5)
    assert not gpu.launches


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_are_the_same_in_every_order(road: str, dtype: str) -> None:
    x, weight = noise(2, 9, 5, 7).astype(dtype_of(dtype)), noise(9, 4, 4, 4).astype(dtype_of(dtype))
    results = []
    for order in (0, 1, 7, 8):
        with emulating(EmulatedDevice(order=order)):
            results.append(upsample.conv_transpose2d(x, weight, stride=2, engine="cuda").tobytes())
    assert len(set(results)) == 1


def test_tf32_by_permission_alone(gpu: EmulatedDevice, products: None) -> None:
    """1 + 2^-12 is 1 in TF32, and 1 + 3 * 2^-12 is 1 + 2^-10: factors are rounded, to the nearest."""
    x = np.asarray([[[1 + 2.0**-12, 1 + 3 * 2.0**-12]]], dtype=np.float32)
    weight = np.ones((1, 1, 1), dtype=np.float32)
    np.testing.assert_array_equal(upsample.conv_transpose1d(x, weight, engine="cuda"), x)
    got = upsample.conv_transpose1d(x, weight, precision="tf32", engine="cuda")
    np.testing.assert_array_equal(got, [[[1.0, 1 + 2.0**-10]]])
    layer = upsample.nn.ConvTranspose1d(1, 1, 1, bias=False, precision="tf32", engine="cuda")
    layer.weight = weight
    np.testing.assert_array_equal(layer(x), got)
    wide = upsample.conv_transpose1d(x.astype(np.float64), weight.astype(np.float64), precision="tf32", engine="cuda")
    np.testing.assert_array_equal(wide, x)


def test_tf32_is_ignored_by_the_other_engines() -> None:
    x, weight = noise(1, 8, 9).astype(np.float32), noise(8, 3, 4).astype(np.float32)
    want = upsample.conv_transpose1d(x, weight, stride=2)
    np.testing.assert_array_equal(upsample.conv_transpose1d(x, weight, stride=2, precision="tf32"), want)
    for call in (lambda v: upsample.conv_transpose1d(x, weight, precision=v), lambda v: layer_with(v)):
        with pytest.raises(TypeError, match="precision=1"):
            call(1)


def layer_with(precision: Any) -> object:
    return upsample.nn.ConvTranspose1d(8, 3, 4, precision=precision)


@pytest.mark.parametrize(
    ("dtype", "channels", "outputs", "direct"),
    [
        *(("float32", 1, 1, True), ("float32", 64, 3, True), ("float32", 1, 64, True), ("float32", 32, 32, False)),
        *(("float16", 1, 1, True), ("float16", 64, 3, False), ("float64", 1, 1, True), ("float64", 64, 64, False)),
    ],
)
def test_the_kernel_that_is_chosen(dtype: str, channels: int, outputs: int, direct: bool) -> None:
    plan = ConvTransposePlan((WindowAxis(8, 4, 2, 2, 0, 1),), 1, precision="float32")
    assert cuda._is_direct(plan, "conv_transpose", dtype, channels, outputs) == direct
    many = ConvTransposePlan((WindowAxis(400, 100, 50, 4, 0, 1),), 1, precision="float32")
    assert cuda._is_direct(many, "conv_transpose", dtype, channels, outputs) == (
        direct and cuda.direct.fits(many, "conv_transpose")
    )


def test_shared_memory_keeps_to_the_limit() -> None:
    plan = ConvTransposePlan(
        (WindowAxis(64, 16, 4, 4, 0, 1), WindowAxis(1024, 16, 64, 64, 0, 1)), 1, precision="float32"
    )
    for key in cuda._TILES:
        for limit in (64 << 10, 99 << 10, 227 << 10):
            launches, *_ = cuda._launch(plan, "conv_transpose", key[0], (9, 256, 256), (2**31, 64, limit))
            assert all(launch.shared <= limit for launch in launches)


CORES, TENSOR = "float32", "float16"
FAULTS = [
    (CORES, "place = place * g.source[axis] + cell;", "place = place * g.source[axis] + cell + 1;"),
    (CORES, "cell >= 0 && cell < g.source[axis]", "cell >= 0 && cell <= g.source[axis]"),
    (CORES, "const INDEX cell = c.cell[axis] + tap.cell[axis];",
     "const INDEX cell = c.cell[axis] + tap.cell[2 - axis];"),
    (CORES, "c.at[axis] = column % g.count[axis];\n    column /= g.count[axis];",
     "c.at[axis] = column % g.count[2 - axis];\n    column /= g.count[2 - axis];"),
    (CORES, "channel < left ?", "channel <= left ?"),
    (CORES, "inside = inside && at < g.result[axis];", ""),
    (CORES, "fused(a[i / WIDE].at[i % WIDE], b[j / WIDE].at[j % WIDE], sum[i][j])",
     "fused(a[i / WIDE].at[i % WIDE], b[j / WIDE].at[i % WIDE], sum[i][j])"),
    (TENSOR, "weights[(word + k / 2 * 4) * WEIGHT_STEP + i * 16 + k % 2 * 8]",
     "weights[(word + k % 2 * 4) * WEIGHT_STEP + i * 16 + k / 2 * 8]"),
    (TENSOR, "cells[(word + k * 4) * CELL_STEP + j * 8]", "cells[(word + k * 4) * CELL_STEP + j * 8 + 1]"),
    (TENSOR, "j / 2 * 8 + threadIdx.x % 4 * 2 + j % 2", "j / 2 * 8 + threadIdx.x % 4 * 2 + 1 - j % 2"),
    (TENSOR, "const int channel = i * ROWS * CHANNELS + c;", "const int channel = i * ROWS + c * DEPTH / CHANNELS;"),
    (CORES, "    mover.put(slices);\n  }\n#endif\n  __syncthreads();", "    mover.put(slices);\n  }\n#endif"),
    (CORES, "SLICE);\n        __syncthreads();", "SLICE);"),
    (TENSOR, "SLICE);\n        __syncthreads();", "SLICE);"),
    (CORES, "__syncthreads();\n  const bool aligned", "const bool aligned"),
]  # fmt: skip


def wrong_in_some_order(dtype: str, file: str, fault: tuple[str, str], weight: np.ndarray) -> bool:
    x = noise(2, weight.shape[0], 5, 7).astype(dtype)
    x[1, 0, 2, 3] = np.nan  # it may not reach the first image
    want = upsample.conv_transpose2d(x, weight, stride=2, padding=1, engine="portable")
    memory = np.full(want.size + 4096, 7.0, want.dtype)  # what a write past the end spoils
    out = memory[: want.size].reshape(want.shape)
    for order in ORDERS:
        with emulating(Faulty(file, fault, order)):
            upsample.conv_transpose2d(x, weight, stride=2, padding=1, engine="cuda", out=out)
        try:
            tolerances.assert_close(out, want, exact=False)
        except AssertionError:
            return True
        if (memory[want.size :] != 7.0).any():
            return True
    return False


@faults_are_planted
@pytest.mark.parametrize(("dtype", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(products: None, dtype: str, old: str, new: str) -> None:
    assert wrong_in_some_order(dtype, "conv_transpose", (old, new), noise(21, 5, 3, 4, seed=1).astype(dtype))


WEIGHT_FAULTS = [
    ("word * CHANNELS + c < g.channels", "word * CHANNELS + c <= g.channels"),
    ("int64(output) * g.output_step", "int64(output + 1) * g.output_step"),
    ("g.channel_step + int64(output) * g.output_step", "g.output_step + int64(output) * g.channel_step"),
    ("to[int64(tap) * g.words", "to[int64(g.taps - 1 - tap) * g.words"),
]


@faults_are_planted
@pytest.mark.parametrize("fault", WEIGHT_FAULTS, ids=range(len(WEIGHT_FAULTS)))
def test_planted_faults_in_the_arrangement_are_caught(products: None, fault: tuple[str, str]) -> None:
    """A weight that is taken for padding, NaN behind the last, meets a cell that is zero."""
    weight = np.pad(
        noise(21, 5, 3, 4, seed=1).astype("float32"), ((0, 1), (0, 0), (0, 0), (0, 0)), constant_values=np.nan
    )
    assert wrong_in_some_order("float32", "conv_transpose_weights", fault, weight[:21])
