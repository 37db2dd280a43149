"""The CUDA engine's resize, its kernels emulated, against the portable engine and the reference."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import tolerances
from cases import CASES, Case, noise
from dtypes import dtype_of
from emulator.device import EmulatedDevice
from emulator.trials import entries

import upsample
from upsample.engines.cuda.resize import copy as resize_move
from upsample.engines.cuda.resize import driver, one_axis, packed_bytes
from upsample.engines.cuda.resize import fused as resize_fused
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.portable import resize as portable
from upsample.plans.resize import AxisRule, ResizePlan, Rounding

RESIZES = [case for case in CASES if case.id.startswith(("interpolate", "resize"))]
DTYPES = ["float16", "bfloat16", "float32", "float64", "uint8", "complex64", "complex128"]
MOVED = ["bool", "int8", "uint16", "float16", "bfloat16", "int32", "float32", "int64", "float64", "complex128"]


def values(dtype: str, *shape: int) -> np.ndarray:
    """Noise of any dtype."""
    if dtype.startswith("complex"):
        return (noise(*shape) + 1j * noise(*shape, seed=1)).astype(dtype)
    if "float" in dtype:
        return noise(*shape).astype(dtype_of(dtype))
    if dtype == "bool":
        return noise(*shape) > 0
    return noise(*shape, np.dtype(dtype).itemsize, dtype="uint8").view(dtype)[..., 0]


def check(
    device: EmulatedDevice, x: np.ndarray, *args: Any, ran: list[str] | None = None, **options: Any
) -> np.ndarray:
    """Assert that the engines agree, NaN and infinity included, and that these kernels ran.

    The compiled engine's results have the same bits, whatever the sign and the payload of a NaN.
    """
    x.flags.writeable = False
    with np.errstate(all="ignore"):
        wanted = upsample.resize(x, *args, **options, engine="portable")
    got = upsample.resize(x, *args, **options, engine="cuda")
    assert got.dtype == x.dtype
    modes = {options["mode"]} if isinstance(options["mode"], str) else set(options["mode"])
    exact = x.dtype == np.uint8 or modes <= {"nearest", "nearest-exact"}
    numbers = [a.view(a.real.dtype) if a.dtype.kind == "c" else a for a in (got, wanted)]
    tolerances.assert_close(numbers[0], numbers[1], exact, margin=2.0)
    if ran is not None:
        assert entries(device) == ran
    if find_spec("numba"):
        assert bits(got) == bits(upsample.resize(x, *args, **options, engine="cpu"))
    return got


def bits(x: np.ndarray) -> bytes:
    """The bytes of an array, all NaN made one."""
    numbers = x.view(x.real.dtype) if x.dtype.kind == "c" else x
    return np.where(numbers != numbers, np.zeros((), numbers.dtype), numbers).tobytes() + (numbers != numbers).tobytes()


@pytest.mark.parametrize("case", RESIZES, ids=repr)
def test_cases(gpu: EmulatedDevice, case: Case) -> None:
    (x,) = case.arrays
    before = x.copy()
    got = case.function(x, **case.options, engine="cuda")
    tolerances.assert_close(got, np.asarray(case.expected(x)), case.exact, case.margin)
    np.testing.assert_array_equal(x, before)
    out = np.full(got.shape, 99, dtype=x.dtype)
    assert case.function(x, **case.options, engine="cuda", out=out) is out
    np.testing.assert_array_equal(out, got)


TWO = ["columns"]
LAST = ["packets"]
LAST_DOWN = ["packets"]  # of float64, a packet would be one value: "columns"
DOWN, ALONG = "along_columns", "along_rows"
FUSED = [
    # channels-first: shape, size, axes, mode, antialias, kernels
    ((3, 13, 17), (26, 34), (1, 2), "linear", False, TWO),
    ((3, 13, 17), (19, 12), (1, 2), "linear", False, TWO),
    ((3, 60, 50), (7, 5), (1, 2), "linear", False, TWO),
    ((3, 13, 17), (26, 36), (1, 2), "cubic", False, TWO),
    ((3, 13, 17), (26, 16), (1, 2), "cubic", False, TWO),
    ((2, 16, 24), (8, 12), (1, 2), "linear", True, TWO),
    ((2, 16, 24), (8, 12), (1, 2), "cubic", True, [DOWN, ALONG]),  # too many taps to filter columns first
    ((2, 16, 24), (20, 31), (1, 2), "lanczos", False, TWO),
    ((1, 300, 5), (611, 7), (1, 2), "linear", False, TWO),
    ((2, 13, 17), (19, 16), (1, 2), ("nearest", "cubic"), False, TWO),
    ((2, 3, 4, 170), (5, 411), (2, 3), "cubic", False, TWO),
    ((1, 3, 2), (5, 7), (1, 2), "cubic", False, TWO),
    ((2, 1, 1), (4, 3), (1, 2), "linear", False, TWO),
    # channels-last: packets where the channels fill them
    ((2, 9, 7, 3), (18, 13), (1, 2), "cubic", False, TWO),
    ((2, 9, 7, 16), (18, 13), (1, 2), "linear", False, LAST),
    ((2, 9, 7, 16), (18, 13), (1, 2), "cubic", False, LAST_DOWN),
    ((1, 16, 12, 16), (8, 6), (1, 2), "cubic", True, [DOWN, DOWN]),
    ((1, 16, 12, 16), (8, 6), (1, 2), "linear", True, LAST_DOWN),
    ((1, 8, 20, 16), (16, 40), (1, 2), "cubic", False, LAST),
    # three axes
    ((2, 4, 5, 7), (8, 10, 14), (1, 2, 3), "linear", False, TWO),
    ((2, 4, 5, 7), (3, 9, 12), (1, 2, 3), "linear", False, TWO),
    ((2, 4, 5, 17), (8, 10, 34), (1, 2, 3), "linear", False, TWO),
    ((4, 5, 3, 16), (9, 8, 7), (0, 1, 2), "linear", False, LAST),
    ((4, 5, 3, 16), (9, 3, 7), (0, 1, 2), "linear", False, [DOWN, DOWN, DOWN]),  # the second axis first
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fused(gpu: EmulatedDevice, dtype: str) -> None:
    for shape, size, axes, mode, antialias, ran in FUSED:
        x = values(dtype, *shape)
        if dtype == "float64" and ran is LAST_DOWN:
            ran = TWO
        floats = x.dtype.kind in "fV"  # of bytes: tests/kernels/test_resize_bytes.py
        check(gpu, x, size, axes=axes, mode=mode, antialias=antialias, ran=ran if floats else None)


BY_AXIS = [
    ((3, 4, 200), (77,), (2,), "cubic", True, ["along_rows"]),
    ((3, 37), (81,), (1,), "linear", False, ["along_rows"]),
    ((5, 1), (4,), (1,), "cubic", False, ["along_rows"]),
    ((2, 900), (3,), (1,), "area", False, ["along_rows"]),
    ((300, 5), (700,), (1,), "lanczos", False, ["along_rows"]),
    ((2, 40, 9), (11,), (1,), "lanczos", True, ["along_columns"]),
    ((2, 40, 150), (11,), (1,), "cubic", True, ["along_columns"]),
    ((30, 3, 20), (7, 41), (0, 2), "linear", False, [DOWN, ALONG]),
    ((2, 64, 70), (5, 6), (1, 2), "lanczos", True, [DOWN, ALONG]),
    ((6, 7, 5), (3, 9, 7), (0, 1, 2), "cubic", False, [DOWN, DOWN, ALONG]),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_axis_by_axis(gpu: EmulatedDevice, dtype: str) -> None:
    for shape, size, axes, mode, antialias, ran in BY_AXIS:
        if dtype.startswith("complex"):  # a number more to each place
            ran = [DOWN] * len(ran)
        check(gpu, values(dtype, *shape), size, axes=axes, mode=mode, antialias=antialias, ran=ran)


def test_runs_longer_than_shared_memory(gpu: EmulatedDevice) -> None:
    for size, mode in ((2, "area"), (7, "cubic"), (400, "linear")):
        x = noise(2, 50_001)
        check(gpu, x, (size,), axes=(1,), mode=mode, antialias=mode != "area")
        assert 0 < gpu.launches[-1].shared <= 40 << 10
    check(gpu, noise(2000, 3), (1,), axes=(0,), mode="area")


MOVES = [
    ((3, 13, 17), (27, 31), (1, 2)),
    ((3, 13, 16), (26, 32), (1, 2)),
    ((3, 13, 16), (26, 7), (1, 2)),
    ((9, 7, 3), (18, 14), (0, 1)),
    ((9, 7, 16), (18, 14), (0, 1)),
    ((2, 7, 5, 600), (9, 9), (1, 2)),
    ((2, 4, 5, 16), (7, 9, 32), (1, 2, 3)),
    ((2, 3, 4, 5, 6), (3, 5, 3, 2), (0, 2, 3, 4)),
    ((2, 3, 4, 5, 6), (5, 4, 3, 9, 8), (0, 1, 2, 3, 4)),
    ((5, 160), (320,), (1,)),
    ((5, 7, 6), (3,), (0,)),
    ((5, 7, 6), (3, 9), (0, 2)),
    ((70, 16), (177, 32), (0, 1)),
]


@pytest.mark.parametrize("dtype", MOVED)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_moves(gpu: EmulatedDevice, dtype: str, mode: str) -> None:
    for shape, size, axes in MOVES:
        x = values(dtype, *shape)
        got = check(gpu, x, size, axes=axes, mode=mode)
        assert set(entries(gpu)) == {"move"}
        if x.dtype.kind == "f":
            assert got.tobytes() == upsample.resize(x, size, axes=axes, mode=mode, engine="portable").tobytes()


def test_moves_by_fewer_threads_than_a_row_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a result has more rows times pieces than 32 bits count."""
    monkeypatch.setattr(resize_move, "_MOST_THREADS", 4)
    device = EmulatedDevice(processors=5, order=7)  # no other test has five: plans are cached
    with emulating(device):
        for shape, size, axes in MOVES:
            for dtype in ("uint8", "complex128"):
                check(device, values(dtype, *shape), size, axes=axes, mode="nearest")
    assert any(launch.scalars[0]["out_row"] > 16 * launch.scalars[0]["across"] for launch in device.launches)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
def test_infinity_and_nan_reach_only_their_outputs(gpu: EmulatedDevice, dtype: str) -> None:
    for shape, size, axes, mode, antialias, _ in FUSED + BY_AXIS:
        for places in ((0,), (5, 11), (-1, 3)):
            x = values(dtype, *shape)
            for place, value in zip(places, (np.inf, np.nan), strict=False):
                x.reshape(-1)[place % x.size] = value
            check(gpu, x, size, axes=axes, mode=mode, antialias=antialias)
    check(gpu, np.array([[np.inf, 1, 2, -0.0]], dtype), (4,), axes=(1,), mode="linear")
    check(gpu, np.array([[np.inf, 1], [2, 3], [4, -np.inf]], dtype), (3, 4), axes=(0, 1), mode="linear")


@pytest.mark.parametrize(("mode", "antialias"), [("nearest", False), ("linear", False), ("cubic", True)])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_memory_of_every_kind(gpu: EmulatedDevice, mode: str, antialias: bool, dtype: str) -> None:
    options: dict[str, Any] = dict(axes=(1, 2), mode=mode, antialias=antialias)
    base = values(dtype, 2, 12, 20, 8)
    for x in (base[:, ::2], base[:, ::-1], base.swapaxes(1, 3), base[..., 1::2], base[1:, :, :, 3:6]):
        check(gpu, x, (9, 21), **options)
    for shift in (1, 2, 3, 5):  # contiguous, but not where wide loads could begin
        flat = base.reshape(-1)[shift : shift + 12 * 20 * 4]
        for shape in ((1, 12, 80), (1, 12, 20, 4), (1, 6, 10, 16)):
            check(gpu, flat.reshape(shape), (24, shape[2] * 2), **options)
            wanted = upsample.resize(flat.reshape(shape), (24, shape[2] * 2), **options, engine="cuda")
            memory = np.zeros(wanted.size + 8, dtype=wanted.dtype)
            out = memory[shift : shift + wanted.size].reshape(wanted.shape)
            upsample.resize(flat.reshape(shape), (24, shape[2] * 2), **options, engine="cuda", out=out)
            np.testing.assert_array_equal(out, wanted)
            assert not memory[:shift].any()
            assert not memory[shift + wanted.size :].any()
    out = np.zeros((2, 9, 21, 16), dtype=base.dtype)[..., ::2]
    assert upsample.resize(base, (9, 21), **options, engine="cuda", out=out) is out
    np.testing.assert_array_equal(out, upsample.resize(base, (9, 21), **options, engine="cuda"))


def test_nothing_to_do(gpu: EmulatedDevice) -> None:
    assert upsample.resize(np.zeros((0, 4, 5)), (8, 3), axes=(1, 2), mode="cubic", engine="cuda").shape == (0, 8, 3)
    assert upsample.resize(np.zeros((3, 4, 0), np.uint8), (8,), axes=(1,), mode="nearest", engine="cuda").shape == (
        3,
        8,
        0,
    )
    x = noise(3, 4)
    np.testing.assert_array_equal(upsample.resize(x, (3, 4), mode="nearest", engine="cuda"), x)
    assert not gpu.launches


@pytest.mark.parametrize("limit", [1 << 6, 1 << 12])
def test_a_low_index_limit(limit: int) -> None:
    device = EmulatedDevice(index_limit=limit, order=7)
    with emulating(device):
        for shape, size, axes, mode, antialias, _ in FUSED + BY_AXIS:
            for dtype in ("float32", "float16", "uint8"):
                check(device, values(dtype, *shape), size, axes=axes, mode=mode, antialias=antialias)
        assert ("columns" in entries(device)) == (limit > 1 << 6)
        for dtype in ("uint8", "float32", "complex128"):
            for move, size, axes in MOVES:
                check(device, values(dtype, *move), size, axes=axes, mode="nearest")


def test_bytes_whose_sums_pass_32_bits(gpu: EmulatedDevice) -> None:
    """By torch's rules for images with a coefficient that torch does not have."""
    for shape in ((2, 4000, 3), (2, 3, 4000)):
        rule = AxisRule(4000, 3, "cubic", (4000, 3), False, True, -9.0, Rounding.FLOAT32)
        plan, x = ResizePlan((shape.index(4000),), (rule,)), values("uint8", *shape)
        got = driver.run(np, plan, x, None)
        assert dict(gpu.launches[-1].kernel.macros)["ACC"] == "int64"
        np.testing.assert_array_equal(got, portable.run(np, plan, x, None))


def test_strips_and_planes() -> None:
    """Every number of strips and every width of threads gives the same."""
    x, results = noise(3, 150, 70), []
    for processors in (1, 4, 132):
        device = EmulatedDevice(processors=processors)
        with emulating(device):
            for mode in ("nearest", "cubic"):
                results.append(check(device, x, (333, 150), axes=(1, 2), mode=mode))
    for again in results[2:]:
        assert any(np.array_equal(again, first) for first in results[:2])


def test_every_specialisation_is_named_once() -> None:
    modules = one_axis, resize_fused, packed_bytes, resize_move
    listed = list(itertools.chain.from_iterable(module.kernels() for module in modules))
    assert len(listed) == len(set(listed)) <= 122
