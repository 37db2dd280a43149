"""Gradients on the CUDA engine: the same kernels with transposed tables, and pooling's as an unpooling that sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulator.device import EmulatedDevice

import upsample
from upsample import chainer

RESIZES: list[dict[str, Any]] = [
    dict(shape=(2, 3, 7, 10), size=(9, 17), mode="nearest"),
    dict(shape=(2, 3, 9, 10), size=(4, 3), mode="nearest-exact"),
    dict(shape=(2, 3, 7, 5), size=(14, 10), mode="bilinear"),
    dict(shape=(2, 3, 7, 5), size=(10, 13), mode="bilinear", align_corners=True),
    dict(shape=(1, 2, 30, 11), size=(7, 3), mode="bilinear"),
    dict(shape=(2, 3, 6, 7), size=(12, 14), mode="bicubic"),
    dict(shape=(1, 2, 40, 33), size=(9, 5), mode="bicubic", antialias=True),
    dict(shape=(2, 2, 9, 8), size=(4, 3), mode="area"),
    dict(shape=(2, 3, 12), size=31, mode="linear"),
    dict(shape=(1, 2, 4, 5, 6), size=(8, 10, 12), mode="trilinear"),
    dict(shape=(1, 1, 3, 2), size=(300, 700), mode="bilinear"),
]


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", RESIZES, ids=lambda c: f"{c['mode']}-{c['shape']}-{c['size']}")
def test_resize(case: dict[str, Any], dtype: str, gpu: EmulatedDevice) -> None:
    options = {k: v for k, v in case.items() if k != "shape"}
    x = values(*case["shape"]).astype(dtype)
    y, pullback = upsample.vjp(upsample.interpolate, x, engine="cuda", **options)
    _, twin = upsample.vjp(upsample.interpolate, x, engine="portable", **options)
    grad = values(*y.shape).astype(dtype)
    before = len(gpu.launches)
    (got,) = pullback(grad)
    assert len(gpu.launches) > before
    (wanted,) = twin(grad)
    assert got.dtype == x.dtype
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=scale * np.finfo(dtype).eps * 64)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("window", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2)], ids=str)
def test_pool(window: tuple[int, int, int, int], dtype: str, gpu: EmulatedDevice) -> None:
    x = values(2, 3, 11, 9).astype(dtype)
    pulled = []
    for engine in ("cuda", "portable"):
        y, pullback = upsample.vjp(upsample.max_pool2d, x, *window, engine=engine)
        pulled.append(pullback(values(*y.shape).astype(dtype))[0])
    np.testing.assert_allclose(*pulled, rtol=1e-2 if dtype == "float16" else 1e-6)


def test_pool_with_chainers_indices(gpu: EmulatedDevice) -> None:
    x = values(2, 3, 11, 9)
    pulled = []
    for engine in ("cuda", "portable"):
        y, pullback = upsample.vjp(chainer.max_pooling_2d, x, 3, stride=2, pad=1, engine=engine)
        pulled.append(pullback(values(*y.shape))[0])
    np.testing.assert_allclose(*pulled, rtol=1e-12)


@pytest.mark.parametrize("size", [(4, 5), (11, 3), (1, 9)], ids=str)
def test_adaptive_pool(size: tuple[int, int], gpu: EmulatedDevice) -> None:
    x = values(2, 3, 11, 9)
    pulled = []
    for engine in ("cuda", "portable"):
        y, pullback = upsample.vjp(upsample.adaptive_max_pool2d, x, size, engine=engine)
        gpu.launches.clear()
        pulled.append(pullback(values(*y.shape))[0])
        assert len(gpu.launches) == (engine == "cuda")
    np.testing.assert_allclose(*pulled, rtol=1e-12)
