"""``precision=``: how far float32, tf32x3 and tf32 are from float64, by size and magnitude; faults that are found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulator.device import EmulatedDevice
from emulator.trials import Faulty, faults_are_planted

import upsample
from upsample.engines.cuda.conv_transpose import driver
from upsample.engines.cuda.runtime.device import emulating
from upsample.precision import PRECISIONS, precision_of

EPS = 2.0**-24
"""Half a unit in the last place of float32."""
LIMITS = {"float32": 4.0, "tf32x3": 9.0, "tf32": 2.0**13}
"""The largest error that is let pass, as `error` has it."""
CASES = [(16, 1.0), (64, 1.0), (256, 1.0), (64, 1e-12), (64, 1e12), (64, 1e4)]
"""Channels, and the magnitude of the input."""


@pytest.fixture(autouse=True)
def products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of matrices even where the direct kernel would be faster."""
    monkeypatch.setattr(driver, "_is_direct", lambda *_: False)


def arrays(channels: int, magnitude: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    x = (magnitude * rng.standard_normal((2, channels, 5, 6))).astype(np.float32)
    return x, rng.standard_normal((channels, 9, 4, 4)).astype(np.float32)


def call(x: np.ndarray, weight: np.ndarray, precision: str) -> np.ndarray:
    return upsample.conv_transpose2d(x, weight, stride=2, padding=1, precision=precision, engine="cuda")


def error(channels: int, magnitude: float, precision: str, device: EmulatedDevice) -> float:
    """The largest error over the sum of the products' magnitudes, in units of `EPS`."""
    x, weight = arrays(channels, magnitude)
    wide = [a.astype(np.float64) for a in (x, weight)]
    want = upsample.conv_transpose2d(*wide, stride=2, padding=1, engine="portable")
    scale = upsample.conv_transpose2d(*map(np.abs, wide), stride=2, padding=1, engine="portable")
    with emulating(device):
        got = call(x, weight, precision)
    return float((np.abs(got - want) / scale).max() / EPS)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("channels", "magnitude"), CASES)
def test_accuracy(channels: int, magnitude: float, precision: str, record_property: Any) -> None:
    found = error(channels, magnitude, precision, EmulatedDevice())
    record_property("error", found)
    assert found < LIMITS[precision]


def test_tf32_is_coarser_by_orders_of_magnitude() -> None:
    once, thrice = (error(64, 1.0, precision, EmulatedDevice()) for precision in ("tf32", "tf32x3"))
    assert once > 100 * thrice


@pytest.mark.parametrize("below", [1.0 / 5000, 1.0 / 4000])
@pytest.mark.parametrize("which", ["input", "weight"])
def test_tf32x3_near_the_largest_float32(which: str, below: float) -> None:
    """Within 1/4096 of the largest float32 TF32 rounds to infinity, and the sum is made again of exact products."""
    x, weight = arrays(16, 1.0)
    large, small = (x, weight) if which == "input" else (weight, x)
    large[...] = np.sign(large) * np.finfo(np.float32).max * np.float32(1 - below)
    small *= np.float32(1e-10)
    wide = [a.astype(np.float64) for a in (x, weight)]
    want = upsample.conv_transpose2d(*wide, stride=2, padding=1, engine="portable")
    scale = upsample.conv_transpose2d(*map(np.abs, wide), stride=2, padding=1, engine="portable")
    with emulating(EmulatedDevice()):
        got, exact = (call(x, weight, precision) for precision in ("tf32x3", "float32"))
    assert (np.abs(got - want) / scale).max() / EPS < LIMITS["tf32x3"]
    assert np.array_equal(got, exact) == (below < 1 / 4096)


@faults_are_planted
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("multiply_add<SCALAR>(sum[i][j], a_rest, b[j]);", ""),
        ("multiply_add<SCALAR>(sum[i][j], a, b_rest[j]);", ""),
        ("multiply_add<SCALAR>(sum[i][j], a, b_rest[j]);", "multiply_add<SCALAR>(sum[i][j], a_rest, b_rest[j]);"),
        ("small = tf32_bits(__uint_as_float(bits) - __uint_as_float(large));", "small = 0;"),
        ("if constexpr (TENSOR == 3) split_tf32(a[k], a[k], a_rest[k]);", "a_rest[k] = 0;"),
    ],
)
def test_planted_faults_are_found(old: str, new: str) -> None:
    assert error(64, 1.0, "tf32x3", Faulty("conv_transpose", (old, new), 0)) > 10 * LIMITS["tf32x3"]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so(value: float) -> None:
    x, weight = arrays(16, 1.0)
    x[1, 3, 2, 2] = value
    with emulating(EmulatedDevice()):
        got, want = call(x, weight, "tf32x3"), call(x, weight, "float32")
    bad = ~np.isfinite(want)
    assert bad.any()
    np.testing.assert_array_equal(got[bad], want[bad])
    assert np.isfinite(got[~bad]).all()


def test_gradients_take_it_too() -> None:
    x, weight = arrays(16, 1.0)
    made = {}
    for precision in PRECISIONS:
        gpu = EmulatedDevice()
        with emulating(gpu):
            y, back = upsample.vjp(
                upsample.conv_transpose2d, x, weight, stride=2, padding=1, precision=precision, engine="cuda"
            )
            gpu.launches.clear()
            made[precision] = back(y)
        tensor = [dict(n.kernel.macros)["TENSOR"] for n in gpu.launches if n.kernel.entry == "multiply"]
        assert tensor == [{"float32": "0", "tf32x3": "3", "tf32": "1"}[precision]]
    for exact, near, far in zip(*made.values(), strict=True):
        assert np.abs(near - exact).max() < 1e-4 * np.abs(exact).max()
        assert not np.array_equal(far, exact)


def test_torchs_setting_is_followed() -> None:
    torch = pytest.importorskip("torch")
    tensor = SimpleNamespace(is_cuda=True, device=SimpleNamespace(index=0))
    before = torch.backends.cudnn.conv.fp32_precision
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0) if device == 0 else (7, 5))
            torch.backends.cudnn.conv.fp32_precision = "tf32"
            assert precision_of("op", None, tensor) == "tf32"
            assert precision_of("op", None, SimpleNamespace(is_cuda=True, device=SimpleNamespace(index=1))) == "float32"
            assert precision_of("op", "tf32x3", tensor) == "tf32x3"
            torch.backends.cudnn.conv.fp32_precision = "ieee"
            assert precision_of("op", None, tensor) == "float32"
    finally:
        torch.backends.cudnn.conv.fp32_precision = before
        from upsample import precision

        precision._capability.cache_clear()
    assert precision_of("op", None, np.zeros(1)) == "float32"


@pytest.mark.parametrize(("value", "kind"), [("half", ValueError), (True, TypeError), (32, TypeError)])
def test_other_values_are_refused(value: Any, kind: type[Exception]) -> None:
    x, weight = arrays(16, 1.0)
    with pytest.raises(
        kind, match=r"conv_transpose2d: precision=.*pass None or one of \('float32', 'tf32x3', 'tf32'\)"
    ):
        upsample.conv_transpose2d(x, weight, precision=value)
