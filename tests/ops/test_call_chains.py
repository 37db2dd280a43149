"""Calls of dialects that are plans and functions of arrays are remembered; all others are made anew."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import upsample
import upsample.jax
import upsample.keras
import upsample.onnx
import upsample.scipy
import upsample.skimage
import upsample.tensorflow
from upsample import opencv, pillow
from upsample.caches import Cache

call_cache = import_module("upsample.ops.call_cache")
once = import_module("upsample.ops.call_chains")

BYTES = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
REALS = BYTES.astype(np.float32)
ALPHA = np.random.default_rng(0).integers(0, 256, (8, 9, 4), dtype=np.uint8)
CALLS: dict[str, tuple[Callable[..., Any], Any]] = {
    "opencv": (lambda x: opencv.resize(x, (5, 6)), BYTES),
    "opencv, list": (lambda x: opencv.resize(x, [5, 6], interpolation=opencv.INTER_AREA), BYTES),
    "opencv, floats": (lambda x: opencv.resize(x, (5, 6), interpolation=opencv.INTER_CUBIC), REALS),
    "pyrDown": (opencv.pyrDown, BYTES),
    "pyrUp": (opencv.pyrUp, BYTES),
    "pillow": (lambda x: pillow.resize(x, (5, 6)), BYTES),
    "pillow, nearest": (lambda x: pillow.resize(x, (5, 6), pillow.Resampling.NEAREST), BYTES),
    "jax": (lambda x: upsample.jax.resize(x, (6, 5, 3), "linear"), REALS),
    "jax, moved": (
        lambda x: upsample.jax.scale_and_translate(x, (6, 5, 3), (0, 1), (0.7, 0.5), (0.0, 1.0), "cubic"),
        REALS,
    ),
    "tensorflow": (lambda x: upsample.tensorflow.image.resize(x, (6, 5)), REALS),
    "keras": (lambda x: upsample.keras.resize(x, (6, 5)), REALS[None]),
    "keras, repeated": (lambda x: upsample.keras.up_sampling_2d(x, 2), REALS[None]),
    "tensorflow, converted": (lambda x: upsample.tensorflow.image.resize(x, (6, 5)), BYTES),
    "scipy": (lambda x: upsample.scipy.zoom(x, (2, 0.7, 1), order=1, mode="nearest"), REALS.astype(np.float64)),
    "scipy, filtered and converted": (lambda x: upsample.scipy.zoom(x, (2, 2, 1)), REALS),
    "scipy, rounded": (lambda x: upsample.scipy.zoom(x, 2), BYTES),
    "scipy, a value outside": (lambda x: upsample.scipy.zoom(x, 2, mode="grid-constant", cval=1.0), REALS),
    "scipy, a value beyond": (
        lambda x: upsample.scipy.zoom(x, 2.1, mode="constant", cval=1.0, grid_mode=True),
        REALS,
    ),
    "skimage": (lambda x: upsample.skimage.resize(x, (9, 5)), REALS),
    "skimage, clipped with a value": (
        lambda x: upsample.skimage.resize(x, (9, 5), order=3, mode="constant", cval=500.0),
        REALS,
    ),
    "skimage, bytes": (lambda x: upsample.skimage.resize(x, (9, 5), order=0), BYTES),
    "skimage, pyramid": (lambda x: upsample.skimage.pyramid_reduce(x, channel_axis=-1), REALS),
    "skimage, pyramid of bytes": (lambda x: upsample.skimage.pyramid_expand(x, sigma=0.8), BYTES),
    "pillow, alpha": (lambda x: pillow.resize(x, (5, 6)), ALPHA),
    "pillow, reduced": (lambda x: pillow.reduce(x, (2, 3), (1, 0, 9, 7)), BYTES),
    "pillow, gap": (lambda x: pillow.resize(x, (2, 2), reducing_gap=1.0), ALPHA),
    "onnx": (lambda x: upsample.onnx.resize(x, scales=[0.7, 2.0, 1.0], mode="linear"), REALS),
    "onnx, nearest": (lambda x: upsample.onnx.resize(x, sizes=(5, 6), axes=[0, 1]), BYTES),
}


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_cache, "_known", Cache())
    monkeypatch.setattr(call_cache, "_CALLS_BEFORE", 0)  # the first call is remembered, not only the second


@pytest.mark.parametrize("name", CALLS)
def test_a_repeated_call_is_known_and_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, x = CALLS[name]
    first = call(x)
    assert len(call_cache._known) == 1
    again = call(x + 0)
    assert len(call_cache._known) == 1
    np.testing.assert_array_equal(first, again)
    assert not np.shares_memory(first, again)
    y = (x[..., ::-1, :] / 2).astype(x.dtype)
    other = call(y)
    assert len(call_cache._known) == 1
    monkeypatch.setenv("UPSAMPLE_CACHE_MIB", "0")
    call_cache._known.clear()
    np.testing.assert_array_equal(other, call(y))  # nothing of the first call's elements was remembered
    assert not np.array_equal(first, other)


def test_equal_numbers_of_other_types_are_other_calls() -> None:
    opencv.resize(BYTES, (5, 6), 0, 0, 1)
    opencv.resize(BYTES, (5, 6), 0.0, 0, 1)
    with pytest.raises(TypeError, match="interpolation"):
        opencv.resize(BYTES, (5, 6), 0, 0, True)
    assert len(call_cache._known) == 2


def test_other_calls_are_made_anew() -> None:
    opencv.resize(BYTES[:, :7].copy(), None, 0.5, 0.5, opencv.INTER_AREA)  # a column of cells is cut
    upsample.onnx.resize(REALS, scales=np.asarray([2.0, 2.0, 1.0]))  # the scales are an array
    assert len(call_cache._known) == 0


def test_a_chain_warns_of_nothing_and_shares_no_memory() -> None:
    x = np.asarray([0.0, 3.4e38, 3.4e38, 0.0], dtype=np.float32)  # the spline exceeds float32 between the samples
    made = []
    for _ in range(3):
        with np.errstate(all="raise"):
            made.append(upsample.scipy.zoom(x, 3))
    assert len(call_cache._known) == 1
    assert np.isinf(made[2]).any()
    np.testing.assert_array_equal(made[0], made[2])
    assert not np.shares_memory(made[1], made[2])


def test_gradients_see_known_calls() -> None:
    opencv.resize(REALS, (5, 6))
    result, pullback = upsample.vjp(opencv.resize, REALS, (5, 6))
    assert pullback(np.ones_like(result))[0].sum() == pytest.approx(result.size, rel=1e-5)


def test_a_call_within_a_call_is_no_run_of_its_own() -> None:
    def _outer(x: Any, size: Any, engine: Any) -> Any:
        return opencv.resize(x, size, engine=engine)

    for _ in range(2):
        once.once(_outer, BYTES, (5, 6), None)
    assert len(call_cache._known) == 1


def test_an_error_leaves_no_trace() -> None:
    with pytest.raises(ValueError, match="interpolation"):
        opencv.resize(BYTES, (5, 6), interpolation=99)
    assert once._recording.runs is None
