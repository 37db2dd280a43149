"""Gradients of every differentiable function of the dialects, against differences of the function itself."""

from __future__ import annotations

from collections.abc import Callable
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

RNG = np.random.default_rng(3)
GREY = RNG.random((12, 14))
COLOR = RNG.random((12, 14, 3))
BATCH = COLOR[None]
FIRST = np.ascontiguousarray(np.moveaxis(BATCH, 3, 1))

tf, keras, sk, onnx = upsample.tensorflow.image, upsample.keras, upsample.skimage, upsample.onnx

CALLS: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    **{
        f"opencv {mode.name}": (lambda x, mode=mode: opencv.resize(x, (7, 5), interpolation=mode), COLOR)
        for mode in opencv.Interpolation
    },
    "opencv halves": (lambda x: opencv.resize(x, (7, 6), interpolation=opencv.INTER_AREA), COLOR),
    "opencv cut cells": (lambda x: opencv.resize(x, None, 0.5, 0.5, opencv.INTER_AREA), COLOR[:11]),
    "opencv pyrUp": (opencv.pyrUp, COLOR),
    "opencv pyrDown": (opencv.pyrDown, COLOR),
    **{
        f"pillow {mode.name}": (lambda x, mode=mode: pillow.resize(x, (7, 5), mode), GREY) for mode in pillow.Resampling
    },
    "pillow box": (lambda x: pillow.resize(x, (7, 5), box=(1, 1.5, 9, 9)), GREY),
    "pillow reducing_gap": (lambda x: pillow.resize(x, (3, 3), reducing_gap=2.0), GREY),
    "pillow reduce": (lambda x: pillow.reduce(x, 2), GREY),
    "pillow reduce, ragged": (lambda x: pillow.reduce(x, (3, 5)), GREY),
    "pillow reduce a box": (lambda x: pillow.reduce(x, (2, 3), box=(1, 1, 10, 9)), GREY),
    "pillow reduce by one": (lambda x: pillow.reduce(x, 1, box=(1, 1, 10, 9)), GREY),
    **{
        f"jax {method}": (lambda x, method=method: upsample.jax.resize(x, (5, 7, 3), method), COLOR)
        for method in ("nearest", "linear", "cubic", "lanczos3", "lanczos5", "cubic-pytorch")
    },
    "jax moved": (
        lambda x: upsample.jax.scale_and_translate(x, (5, 7, 3), (0, 1), (0.5, 0.6), (1.0, 0.0), "linear"),
        COLOR,
    ),
    **{
        f"tensorflow {method}": (lambda x, method=method: tf.resize(x, (5, 7), method), BATCH)
        for method in ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
    },
    **{
        f"tensorflow 1 {method}": (lambda x, method=method: tf.resize_v1(x, (5, 7), method), BATCH)
        for method in ("bilinear", "nearest", "bicubic", "area")
    },
    "keras resize": (lambda x: keras.resize(x, (5, 7)), BATCH),
    "keras repeated": (lambda x: keras.up_sampling_2d(x, 2), BATCH),
    "keras bilinear": (lambda x: keras.up_sampling_2d(x, 2, interpolation="bilinear"), BATCH),
    **{f"scipy {order}": (lambda x, order=order: upsample.scipy.zoom(x, 0.6, order=order), GREY) for order in range(6)},
    "scipy constant": (lambda x: upsample.scipy.zoom(x, 1.5, order=1, mode="constant", cval=3.0), GREY),
    **{f"skimage {order}": (lambda x, order=order: sk.resize(x, (5, 7), order=order), GREY) for order in (0, 1, 3)},
    "skimage rescale": (lambda x: sk.rescale(x, 0.5), GREY),
    "skimage pyramid_reduce": (sk.pyramid_reduce, GREY),
    "skimage pyramid_expand": (sk.pyramid_expand, GREY),
    **{
        f"onnx {mode}": (lambda x, mode=mode: onnx.resize(x, sizes=(1, 3, 5, 7), mode=mode), FIRST)
        for mode in ("nearest", "linear", "cubic")
    },
    "onnx depth_to_space": (lambda x: onnx.depth_to_space(x, blocksize=2), RNG.random((1, 4, 3, 3))),
    "onnx space_to_depth": (lambda x: onnx.space_to_depth(x, blocksize=2), FIRST),
}
SINGLE = ("pillow", "tensorflow", "keras")
"""Dialects that take or return float32 only."""


@pytest.mark.parametrize("name", CALLS)
def test_gradient_is_that_of_differences(name: str) -> None:
    function, x = CALLS[name]
    if name.startswith(SINGLE):
        x = x.astype(np.float32)
    result, pullback = upsample.vjp(function, x)
    grad = RNG.standard_normal(result.shape).astype(result.dtype)
    direction = RNG.standard_normal(x.shape).astype(x.dtype)
    step = x.dtype.type(2.0**-7)
    change = np.asarray(function(x + step * direction), float) - np.asarray(function(x - step * direction), float)
    expected = float((change * grad).sum()) / (2 * float(step))
    scale = float(np.abs(change * grad).sum()) / (2 * float(step))
    # all are linear, so differences are exact up to rounding: 2**7 units in the last place of float32
    units = 2.0**-24 * 2**10 if x.dtype == np.float32 or "jax" in name else 2.0**-24 * 2**4
    assert float((pullback(grad)[0].astype(float) * direction).sum()) == pytest.approx(expected, abs=units * scale)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: opencv.resize(x, (3, 3)),
        lambda x: pillow.resize(x, (3, 3)),
        lambda x: pillow.reduce(x, 2),
        lambda x: keras.resize(x, (3, 3)),
    ],
)
def test_integers_have_no_gradient(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="there is no gradient by integers or bools; convert it to floating"):
        upsample.vjp(function, np.zeros((8, 8, 3), np.uint8))
