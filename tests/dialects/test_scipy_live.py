"""upsample.scipy and upsample.skimage against the installed SciPy and scikit-image, on random calls."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest

import upsample.scipy
import upsample.skimage

ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is not installed, and this test compares with it")
transform = pytest.importorskip("skimage.transform", reason="skimage is not installed, and this test compares with it")

DRAWS = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES", "150"))
MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap", "wrap")


def image(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    x = rng.random(shape)
    return (x * 2 - 0.7).astype(dtype) if dtype.startswith("f") else (x * 300 - 150).astype(dtype)


def theirs(function: Any, *args: Any, **options: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(function(*args, **options))


def check(made: np.ndarray, wanted: np.ndarray, scale: float) -> None:
    assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
    if made.dtype.kind in "iu":
        assert np.abs(made.astype(np.int64) - wanted.astype(np.int64)).max() <= 1
    else:
        off = np.abs(made.astype(np.float64) - wanted.astype(np.float64)).max()
        assert off <= (5e-7 if made.dtype == np.float32 else 2e-13) * max(scale, 1.0)


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("mode", MODES)
def test_zoom(order: int, mode: str) -> None:
    rng = np.random.default_rng([order, MODES.index(mode)])
    for _ in range(max(DRAWS // 10, 1)):
        ndim = int(rng.integers(1, 4))
        shape = tuple(int(n) for n in rng.integers(1, (90, 30, 12)[ndim - 1], ndim))
        x = image(rng, str(rng.choice(["float64", "float32", "uint8", "int16"])), shape)
        factors = tuple(float(f) for f in rng.uniform(0.6, 3.0, ndim))
        options = dict(
            order=order,
            mode=mode,
            cval=float(rng.choice([0.0, 1.5])),
            prefilter=bool(rng.random() < 0.8),
            grid_mode=bool(rng.random() < 0.5),
        )
        wanted = theirs(ndimage.zoom, x, factors, **options)
        if wanted.size:
            check(upsample.scipy.zoom(x, factors, **options), wanted, float(np.abs(x.astype(float)).max()))


@pytest.mark.parametrize("engine", ["portable", None])
def test_zeros_within_a_value_to_the_bit(engine: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(max(DRAWS // 2, 1)):
        x = np.zeros(tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 4))))
        options = dict(
            order=int(rng.integers(0, 6)),
            mode="grid-constant",
            cval=float(rng.choice([1.5, -2.0, 0.3])),
            prefilter=bool(rng.random() < 0.8),
            grid_mode=bool(rng.random() < 0.5),
        )
        factor = float(rng.uniform(0.6, 3.0))
        wanted = theirs(ndimage.zoom, x, factor, **options)
        if wanted.size:
            np.testing.assert_array_equal(upsample.scipy.zoom(x, factor, **options, engine=engine), wanted)


def test_a_large_array_within_a_value() -> None:
    x = np.random.default_rng(6).random((180, 150))
    options = dict(order=3, mode="grid-constant", cval=1.5)
    check(upsample.scipy.zoom(x, 1.3, **options), theirs(ndimage.zoom, x, 1.3, **options), 1.5)


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "constant", "wrap"])
def test_resize(mode: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(max(DRAWS // 4, 1)):
        shape = tuple(int(n) for n in rng.integers(1, 40, 2))
        dtype = str(rng.choice(["float64", "float32", "uint8", "int16", "uint16"]))
        x = image(rng, dtype, (*shape, *([3] if rng.random() < 0.3 else [])))
        size = tuple(int(n) for n in rng.integers(1, 40, 2))
        options = dict(
            order=int(rng.integers(0, 4)),
            mode=mode,
            cval=float(rng.choice([0.0, 0.4])) if dtype.startswith("f") else 0.0,
            clip=bool(rng.random() < 0.7),
            preserve_range=bool(rng.random() < 0.4),
            anti_aliasing=None if rng.random() < 0.6 else bool(rng.random() < 0.5),
        )
        wanted = theirs(transform.resize, x, size, **options)
        check(upsample.skimage.resize(x, size, **options), wanted, float(np.abs(x.astype(float)).max()))


@pytest.mark.parametrize("name", ["pyramid_reduce", "pyramid_expand", "rescale"])
@pytest.mark.parametrize("mode", ["reflect", "constant", "wrap"])
def test_pyramids_and_rescale(name: str, mode: str) -> None:
    rng = np.random.default_rng(9)
    for dtype in ("float64", "float32", "uint8", "int16"):
        x = image(rng, dtype, (17, 14, 3))
        for channels in (None, -1):
            options = dict(mode=mode, channel_axis=channels, order=int(rng.integers(0 if name == "rescale" else 1, 4)))
            factor = 1.7 if name != "rescale" else 0.6
            wanted = theirs(getattr(transform, name), x, factor, **options)
            made = getattr(upsample.skimage, name)(x, factor, **options)
            check(made, wanted, float(np.abs(x.astype(float)).max()))


def test_sizes_may_be_an_array() -> None:
    x = np.random.default_rng(2).random((5, 4))
    size = np.asarray([3, 7])
    np.testing.assert_allclose(upsample.skimage.resize(x, size), theirs(transform.resize, x, size), atol=1e-13)


def test_the_identity_is_the_input() -> None:
    x = np.random.default_rng(3).random((5, 4))
    np.testing.assert_array_equal(upsample.scipy.zoom(x, 1, mode="reflect"), x)
    complex_x = x + 1j * x[::-1]
    wanted = ndimage.zoom(complex_x, 1.7, mode="mirror")
    np.testing.assert_allclose(upsample.scipy.zoom(complex_x, 1.7, mode="mirror"), wanted, atol=1e-13)
    as_bytes = upsample.scipy.zoom(x * 200, 2, output=np.uint8)
    assert np.abs(as_bytes.astype(int) - ndimage.zoom(x * 200, 2, output=np.uint8)).max() <= 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: upsample.scipy.zoom(x, 2, order=6), ValueError, "zoom: order=6"),
        (lambda x: upsample.scipy.zoom(x, 2, mode="edge"), ValueError, "mode='edge'"),
        (lambda x: upsample.scipy.zoom(x, (2, 2, 2)), ValueError, "zoom=(2, 2, 2)"),
        (lambda x: upsample.scipy.zoom(x, 0.01), ValueError, "zoom=0.01"),
        (lambda x: upsample.scipy.zoom(x[:0], 2), ValueError, "input="),
        (lambda x: upsample.scipy.zoom(x > 0, 2), TypeError, "bool"),
        (lambda x: upsample.skimage.resize(x, (3,) * 0), ValueError, "output_shape=()"),
        (lambda x: upsample.skimage.resize(x, (3, 0)), ValueError, "output_shape[1]=0"),
        (lambda x: upsample.skimage.resize(x, (3, 3), mode="nearest"), ValueError, "mode='nearest'"),
        (lambda x: upsample.skimage.resize(x > 0, (3, 3), order=1), TypeError, "image=<dtype bool>"),
        (lambda x: upsample.skimage.resize(x, (3, 3), anti_aliasing_sigma=-1), ValueError, "anti_aliasing_sigma=-1"),
        (lambda x: upsample.skimage.pyramid_reduce(x, 1), ValueError, "downscale=1"),
        (lambda x: upsample.skimage.pyramid_expand(x, mode="edge"), ValueError, "mode='edge'"),
        (lambda x: upsample.skimage.rescale(x, 2, channel_axis=2), ValueError, "channel_axis=2"),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call(np.ones((4, 5)))
    assert words in str(caught.value)
