"""jax.grad and jax.jit go through the portable engine by themselves, and find the gradients that upsample.vjp finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample import chainer

jax = pytest.importorskip("jax", reason="jax is not installed")
jax.config.update("jax_enable_x64", True)

TIES = np.asarray([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0], [0.0, 3.0, -1.0, -1.0], [3.0, 3.0, -1.0, -1.0]]]])
DOUBLE = np.asarray([[[[5, 5], [10, 15]]]])

CALLS = {
    "bilinear": (upsample.interpolate, (noise(1, 2, 3, 4),), dict(scale_factor=2, mode="bilinear")),
    "bicubic-antialias": (
        upsample.interpolate,
        (noise(1, 1, 7, 5),),
        dict(size=(3, 6), mode="bicubic", antialias=True),
    ),
    "nearest-down": (upsample.interpolate, (noise(1, 2, 9),), dict(size=4)),
    "nearest-exact-3d": (upsample.interpolate, (noise(1, 1, 3, 2, 4),), dict(size=(4, 5, 3), mode="nearest-exact")),
    "trilinear-corners": (
        upsample.interpolate,
        (noise(1, 1, 2, 3, 2),),
        dict(size=(3, 4, 5), mode="trilinear", align_corners=True),
    ),
    "outer-axes": (upsample.resize, (noise(4, 2, 5),), dict(shape=(7, 3), axes=(0, 2), mode=("lanczos", "nearest"))),
    "area": (upsample.resize, (noise(6, 5, 2),), dict(shape=(4, 2), axes=(0, 1), mode="area")),
    "pool-ties": (upsample.max_pool2d, (TIES,), dict(kernel_size=3, stride=1, padding=1)),
    "adaptive-ties": (upsample.adaptive_max_pool2d, (TIES,), dict(output_size=3)),
    "unpool": (upsample.max_unpool2d, (noise(1, 1, 2, 2), DOUBLE), dict(kernel_size=2)),
    "unpool-sum": (upsample.max_unpool2d, (noise(1, 1, 2, 2), DOUBLE), dict(kernel_size=2, duplicates="sum")),
    "conv": (upsample.conv_transpose1d, (noise(1, 2, 3), noise(2, 2, 3), noise(2)), dict(stride=2, padding=1)),
    "conv-groups-dilated": (
        upsample.conv_transpose2d,
        (noise(2, 4, 3, 4), noise(4, 2, 3, 2), noise(4)),
        dict(stride=(2, 1), groups=2, dilation=(1, 2)),
    ),
    "conv-gaps": (upsample.conv_transpose2d, (noise(1, 2, 3, 2), noise(2, 2, 2, 1)), dict(stride=3, output_padding=2)),
    "unshuffle": (upsample.pixel_unshuffle, (noise(1, 1, 4, 6),), dict(downscale_factor=2)),
    "shuffle": (upsample.pixel_shuffle, (noise(1, 4, 2, 2),), dict(upscale_factor=2)),
    "chainers-pool-ties": (chainer.max_pooling_2d, (TIES,), dict(ksize=3, stride=2, pad=1)),
    "chainers-unpool": (chainer.unpooling_2d, (noise(1, 2, 2, 3),), dict(ksize=3, stride=2)),
}


@pytest.mark.parametrize(("name", "jit"), [*((name, True) for name in CALLS), ("unpool", False), ("shuffle", False)])
def test_grad_agrees(name: str, jit: bool) -> None:
    function, inputs, options = CALLS[name]
    inputs = tuple(x if x.dtype.kind in "iu" else x.astype(np.float64) for x in inputs)
    output, pullback = upsample.vjp(function, *inputs, **options)
    weights = np.random.default_rng(1).standard_normal(output.shape)
    floating = tuple(place for place, x in enumerate(inputs) if x.dtype.kind == "f")

    def loss(*given: Any) -> Any:
        return (function(*given, **options) * weights).sum()

    grad = jax.grad(loss, floating)
    got = (jax.jit(grad) if jit else grad)(*map(jax.numpy.asarray, inputs))
    wanted = [g for g in pullback(weights) if g is not None]
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(g), w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["bilinear", "unpool", "conv"])
def test_vjp_works_under_jit(name: str) -> None:
    function, inputs, options = CALLS[name]

    @jax.jit
    def both(grad: Any, *given: Any) -> Any:
        output, pullback = upsample.vjp(function, *given, **options)
        return output, pullback(grad)

    output, pullback = upsample.vjp(function, *inputs, **options)
    made, grads = both(output, *inputs)
    np.testing.assert_allclose(np.asarray(made), output, rtol=1e-6)
    for g, w in zip(grads, pullback(output), strict=True):
        assert (g is None) == (w is None)
        if w is not None:
            np.testing.assert_allclose(np.asarray(g), w, rtol=1e-5, atol=1e-5)
