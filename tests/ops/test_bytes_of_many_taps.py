"""Bytes that shrink to few samples: weights of 15 binary places would be zero for most of an output's taps."""

from __future__ import annotations

import numpy as np
import pytest

import upsample


@pytest.mark.parametrize("engine", [None, "portable"])
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("mode", ["linear", "area", "lanczos"])
def test_bytes_of_many_taps(mode: str, size: int, engine: str | None) -> None:
    x = np.zeros(60_000, np.uint8)
    x[: len(x) // 3] = 255
    options = {"mode": mode, "antialias": mode != "area", "engine": engine}
    exact = upsample.resize(x.astype(np.float64), size, **options)
    assert np.abs(upsample.resize(x, size, **options) - np.clip(exact, 0, 255)).max() <= 0.5 + 2**-17
