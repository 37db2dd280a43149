"""Transposed convolution of complex numbers, by real ones of twice the channels, and of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from emulator.device import EmulatedDevice

import upsample
from upsample import reference
from upsample.engines import dispatch

CALLS: list[dict[str, Any]] = [
    dict(x=(2, 4, 5, 3), weight=(4, 3, 3, 2), stride=2, padding=1),
    dict(x=(1, 6, 4), weight=(6, 2, 5), stride=3, groups=3, dilation=2),
    dict(x=(2, 2, 3, 4, 2), weight=(2, 5, 2, 2, 2), stride=2),
    dict(x=(1, 40, 6, 7), weight=(40, 36, 4, 4), stride=2, padding=1),
]


def drawn(dtype: str, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    if dtype == "int64":
        return rng.integers(-(2**62), 2**62, shape)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", ["complex64", "complex128", "int64"])
@pytest.mark.parametrize("call", CALLS, ids=lambda c: str(c["x"]))
def test_agrees(call: dict[str, Any], dtype: str, bias: bool, gpu: EmulatedDevice) -> None:
    options = {name: value for name, value in call.items() if name not in ("x", "weight")}
    x, weight = drawn(dtype, *call["x"]), drawn(dtype, *call["weight"])
    added = drawn(dtype, weight.shape[1] * options.get("groups", 1)) if bias else None
    function = getattr(upsample, f"conv_transpose{x.ndim - 2}d")
    got = function(x, weight, added, **options, engine="cuda")
    assert gpu.launches
    assert got.dtype == x.dtype
    if dtype == "int64":  # sums wrap around
        np.testing.assert_array_equal(got, function(x, weight, added, **options, engine="portable"))
        return
    wide = [a if a is None else a.astype(np.complex128) for a in (x, weight, added)]
    tolerances.assert_close(got, reference.conv_transpose(*wide, **options), exact=False, margin=4.0)
    out = np.empty_like(got)[..., ::-1]
    assert function(x, weight, added, **options, engine="cuda", out=out) is out
    np.testing.assert_array_equal(out, got)


def test_integers_in_windows_that_are_too_large_go_elsewhere(gpu: EmulatedDevice) -> None:
    x, weight = drawn("int64", 1, 1, 3), drawn("int64", 1, 1, 400)
    choice = dispatch.explain(upsample.conv_transpose1d, x, weight, stride=2)
    assert choice.engine != "cuda"
    assert "smaller windows" in choice.reasons["cuda"]


def test_an_empty_batch(gpu: EmulatedDevice) -> None:
    x, weight = drawn("complex64", 0, 2, 3), drawn("complex64", 2, 3, 2)
    y, pullback = upsample.vjp(upsample.conv_transpose1d, x, weight, engine="cuda")
    assert y.shape == (0, 3, 4)
    by_x, by_weight = pullback(y)
    assert by_x.shape == x.shape
    assert by_weight.shape == weight.shape
    assert not by_weight.any()
