"""Axes whose table of weights would exceed the array are resized piece by piece, with the bits of the whole table."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from backends import needs_numba
from cases import noise

import upsample
from upsample.engines import long_axes
from upsample.plans import filter_weights, long_runs, resize_parts, taps
from upsample.plans.filters import FILTERS
from upsample.plans.resize import AxisRule, ResizePlan, Rounding

needs_numba()

CALLS: list[dict[str, Any]] = [
    {"shape": (3, 5), "mode": "area", "axes": (0, 1)},
    {"shape": (7, 1), "mode": "linear", "antialias": True, "axes": (1, 2)},
    {"shape": 2, "mode": "cubic", "antialias": True, "axes": 0},
    {"shape": 1, "mode": "lanczos", "antialias": True, "axes": 1},
    {"shape": 4, "mode": "hamming", "antialias": True, "axes": 2},
    {"shape": (31, 17), "mode": "lanczos", "axes": (0, 1)},
    {"shape": 23, "mode": ["spline3"], "axes": 0},
    {"shape": (15, 19), "mode": "linear", "antialias": True, "axes": (0, 1)},
]
DTYPES = ["float64", "float32", "float16", "complex64", "int16"]


@pytest.fixture(params=["by outputs", "by taps"])
def long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Take short axes for long ones."""
    monkeypatch.setattr(long_axes, "_SHORT", 0)
    monkeypatch.setattr(long_axes, "_TABLE", 20)
    monkeypatch.setattr(long_axes, "_BLOCK", 20)
    monkeypatch.setattr(long_axes, "_BLOCK_BYTES", 1 << 10)
    for module in (long_axes, filter_weights):
        monkeypatch.setattr(module, "PIECE", 7)
    for module in (taps, long_runs):
        monkeypatch.setattr(module, "LONG_RUN", 1 << 30 if request.param == "by outputs" else 9)
    _forget()
    yield monkeypatch
    _forget()


def _forget() -> None:
    for cache in (long_axes._long_axis, taps._part, resize_parts.needs):  # type: ignore[attr-defined]
        cache.cache_clear()


def _calls(x: np.ndarray[Any, Any], engine: str, call: dict[str, Any]) -> list[Any]:
    made = [upsample.resize(x, engine=engine, **call)]
    if x.dtype.kind in "fc":
        made.append(upsample.vjp(lambda v: upsample.resize(v, engine=engine, **call), x)[1](made[0]))
    return made


@pytest.mark.parametrize("engine", ["cpu", "portable"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call['mode']} {call['shape']}")
def test_results(long: pytest.MonkeyPatch, call: dict[str, Any], dtype: str, engine: str) -> None:
    if "spline3" in call["mode"]:  # whose runs are never long
        for module in (taps, long_runs):
            long.setattr(module, "LONG_RUN", 1 << 30)
    x = (noise(20, 24, 11) * 40).astype(dtype)
    if dtype == "float32":
        x[3, 4, 5], x[11, 20, 10] = np.nan, np.inf
    crop = np.pad(x, ((0, 0), (1, 2), (0, 0)))[:, 1:-2]
    has_order = taps.LONG_RUN == 1 << 30  # sums of outputs with very many taps are float64
    pieces = [_calls(x, engine, call), _calls(crop, engine, call)]
    long.undo()
    _forget()
    for made in pieces:
        for one, wanted in zip(made, _calls(x, engine, call), strict=True):
            if x.dtype.kind in "iu" or (engine == "cpu" and (dtype == "float64" or has_order)):
                np.testing.assert_array_equal(one, wanted)
            else:
                unit = 1e-2 if dtype == "float16" else 1e-4 if dtype != "float64" else 1e-12
                np.testing.assert_allclose(one, wanted, rtol=unit, atol=unit * 40, equal_nan=True)


@pytest.mark.parametrize("engine", ["cpu", "portable"])
@pytest.mark.parametrize("size", [1, 600_000])
@pytest.mark.parametrize("options", [{"mode": "area"}, {"mode": "linear", "antialias": True}], ids=str)
def test_memory(engine: str, size: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One output of 50 million samples took 10 times the memory of the input."""
    x = np.ones(7_500_000, np.float32)
    upsample.resize(x[100_000:], size, engine=engine, **options)
    monkeypatch.setenv("UPSAMPLE_CACHE_MIB", "4")
    tracemalloc.start()
    try:
        y = upsample.resize(x, size, engine=engine, **options)
        assert tracemalloc.get_traced_memory()[1] - y.nbytes < x.nbytes * (0.25 if size == 1 else 2)
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(y, 1.0, rtol=1e-6)


@pytest.mark.parametrize("engine", ["cpu", "portable"])
@pytest.mark.parametrize("size", [1, 2])
def test_bytes_of_many_taps(engine: str, size: int) -> None:
    """Weights of 15 binary places vanish where an output has more taps than they have units."""
    x = np.zeros(300_000, np.uint8)
    x[: len(x) // 3] = 255
    exact = upsample.resize(x.astype(np.float64), size, mode="linear", antialias=True)
    got = upsample.resize(x, size, mode="linear", antialias=True, engine=engine)
    assert np.abs(got - exact).max() <= 0.5 + 2**-17


def test_no_short_axis_has_a_long_table() -> None:
    """So plans of short axes are not cached to know it."""
    most = long_axes._SHORT
    for method in FILTERS:
        for before, after in ((most, most), (most, 1), (1, most), (most, most // 2), (most // 2, most)):
            rule = AxisRule(before, after, method, (float(before), float(after)), False, True, -0.5, Rounding.FLOAT64)
            for each in (rule, rule.transpose()):
                assert long_axes._long_axis.__wrapped__(ResizePlan((0,), (each,))) is None
