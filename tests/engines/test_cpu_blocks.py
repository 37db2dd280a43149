"""Resize does not copy a large array whole that is not contiguous, and results have the bits of a contiguous copy."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from backends import needs_numba
from cases import noise

import upsample

needs_numba()

from upsample.engines.cpu.resize import blocks as resize_blocks  # noqa: E402
from upsample.engines.cpu.runtime import blocks  # noqa: E402

LAYOUTS = {
    "crop": lambda x: x[1:-1, 2:-3],
    "strided": lambda x: x[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1],
    "transposed": lambda x: x.swapaxes(0, 1),
}
CALLS: list[dict[str, Any]] = [
    {"shape": (13, 7), "mode": "nearest"},
    {"shape": (5, 400), "mode": "nearest-exact"},
    {"scale": (0.9, 1.0), "mode": "nearest"},
    {"shape": (41, 300), "mode": "linear"},
    {"scale": 2, "mode": "cubic"},
    {"shape": (1, 11), "mode": "linear", "antialias": True},
    {"shape": (17, 1), "mode": "area"},
    {"scale": 1.37, "mode": "lanczos"},
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MIN_BYTES", 1 << 10)
    monkeypatch.setattr(resize_blocks, "_BLOCK_BYTES", 1 << 11)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int16", "complex64"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_bits(call: dict[str, Any], dtype: str, layout: str) -> None:
    x = LAYOUTS[layout]((noise(90, 120, 3) * 40).astype(dtype))
    assert blocks.is_copied(x)
    wanted = upsample.resize(np.ascontiguousarray(x), axes=(0, 1), engine="cpu", **call)
    out = np.empty((3, *wanted.shape[:2]), dtype).transpose(1, 2, 0)
    for _ in range(2):
        np.testing.assert_array_equal(upsample.resize(x, axes=(0, 1), engine="cpu", **call), wanted)
        assert upsample.resize(x, axes=(0, 1), engine="cpu", out=out, **call) is out
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("call", [CALLS[0], CALLS[3], CALLS[6]], ids=str)
def test_leading_axes(call: dict[str, Any]) -> None:
    x = noise(6, 40, 50)[:, 1:-1, 1:-1]
    wanted = upsample.resize(np.ascontiguousarray(x), axes=(1, 2), engine="cpu", **call)
    np.testing.assert_array_equal(upsample.resize(x, axes=(1, 2), engine="cpu", **call), wanted)


@pytest.mark.parametrize(("mode", "most"), [("nearest", 1 << 17), ("linear", 1 << 19), ("area", 1 << 19)])
def test_memory(mode: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MIN_BYTES", 1 << 20)
    monkeypatch.setattr(resize_blocks, "_BLOCK_BYTES", 1 << 16)
    x = noise(1200, 1300)[8:-8, 8:-8]
    upsample.resize(x, (60, 64), mode=mode, engine="cpu")
    tracemalloc.start()
    try:
        upsample.resize(x, (60, 64), mode=mode, engine="cpu")
        assert tracemalloc.get_traced_memory()[1] < most  # a copy has 6 MB
    finally:
        tracemalloc.stop()
