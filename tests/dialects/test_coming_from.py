"""What docs/differences/index.md says of other libraries: equal results where it says so, and other ones elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import upsample
from upsample import opencv, pillow

DRAWN = 150
"""Sizes of a comparison."""
SIZES = [(34, 46), (25, 30), (9, 11), (51, 23)]
PHOTO = np.random.default_rng(0).random((17, 23, 3), dtype=np.float32)
BYTES = np.random.default_rng(1).integers(0, 256, (17, 23, 3), dtype=np.uint8)
WHOLE = np.random.default_rng(2).random((16, 24, 3))
ROUNDING = 1e-6


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed, and this test compares with it")


def resized(image: np.ndarray, size: tuple[int, int], **options: Any) -> np.ndarray:
    return upsample.resize(image, size, axes=(0, 1), **options)


def off(got: np.ndarray, want: np.ndarray) -> float:
    assert got.shape == want.shape
    return float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max())


def sizes(seed: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Draw sizes before and after, many of them tall or wide."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWN):
        before, after = rng.integers(2, 70, 2), rng.integers(2, 70, 2)
        if rng.random() < 0.5:
            before[rng.integers(2)] *= 4
        drawn.append((tuple(map(int, before)), tuple(map(int, after))))
    return drawn


def image(size: tuple[int, int], dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(size)
    return (
        rng.integers(0, 256, (*size, 3), dtype=np.uint8) if dtype == "uint8" else rng.random((*size, 3)).astype(dtype)
    )


@pytest.fixture
def cv2() -> Any:
    module = library("cv2")
    used = module.ipp.useIPP()
    module.ipp.setUseIPP(False)
    yield module
    module.ipp.setUseIPP(used)


def test_opencv_dialect(cv2: Any) -> None:
    exact = (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR_EXACT, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4)
    for before, after in sizes(0):
        for how in (*exact, cv2.INTER_CUBIC, cv2.INTER_AREA):
            theirs = cv2.resize(image(before), after[::-1], interpolation=how)
            got = opencv.resize(image(before), after[::-1], interpolation=how, version=cv2.__version__)
            assert off(got, theirs) <= (0 if how in exact else 1), (before, after, how)


def test_opencv_natively(cv2: Any) -> None:
    other = {"nearest": 0, "nearest-exact": 0}
    for before, after in sizes(1):
        x = image(before, "float32")
        assert off(resized(x, after), cv2.resize(x, after[::-1])) <= 1e-4  # its coordinates are float32
        assert off(resized(image(before), after), cv2.resize(image(before), after[::-1])) <= 1 or is_half(before, after)
        for mode, how in (("nearest", cv2.INTER_NEAREST), ("nearest-exact", cv2.INTER_NEAREST_EXACT)):
            theirs = cv2.resize(image(before), after[::-1], interpolation=how)
            other[mode] += off(resized(image(before), after, mode=mode), theirs) > 0
    assert 0 < other["nearest"] <= DRAWN // 8
    assert DRAWN // 8 < other["nearest-exact"] < DRAWN // 2


def is_half(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether OpenCV takes means instead."""
    return before == (2 * after[0], 2 * after[1])


def test_opencv_area_and_lanczos(cv2: Any) -> None:
    whole = WHOLE.astype(np.float32)
    assert off(resized(whole, (8, 8), mode="area"), cv2.resize(whole, (8, 8), interpolation=cv2.INTER_AREA)) <= ROUNDING
    assert off(resized(PHOTO, (9, 11), mode="area"), cv2.resize(PHOTO, (11, 9), interpolation=cv2.INTER_AREA)) > 0.1
    theirs = cv2.resize(PHOTO, (30, 25), interpolation=cv2.INTER_LANCZOS4)
    assert off(resized(PHOTO, (25, 30), mode="lanczos"), theirs) > 0.01


FILTERS = {"BILINEAR": {}, "BICUBIC": {"mode": "cubic", "cubic_coeff": -0.5}, "LANCZOS": {"mode": "lanczos"}}


def test_pillow_dialect() -> None:
    pil = library("PIL.Image")
    version = library("PIL").__version__
    for before, after in sizes(2):
        for how in ("NEAREST", "BOX", *FILTERS, "HAMMING"):
            theirs = np.asarray(pil.fromarray(image(before)).resize(after[::-1], pil.Resampling[how]))
            got = pillow.resize(image(before), after[::-1], pillow.Resampling[how], version=version)
            assert off(got, theirs) == 0, (before, after, how)


def test_pillow_natively() -> None:
    pil = library("PIL.Image")
    other, largest = 0, 0.0
    for before, after in sizes(3):
        x = image(before)
        for how, options in FILTERS.items():
            theirs = np.asarray(pil.fromarray(x).resize(after[::-1], pil.Resampling[how]))
            found = off(resized(x, after, antialias=True, **options), theirs)
            assert found <= (2 if how == "BILINEAR" else 60), (before, after, how)
            largest = max(largest, found)
        theirs = np.asarray(pil.fromarray(x).resize(after[::-1], pil.Resampling.NEAREST))
        other += off(resized(x, after, mode="nearest-exact"), theirs) > 0
    assert DRAWN // 8 < other < DRAWN // 2
    assert largest > 3
    plane = np.ascontiguousarray(PHOTO[..., 0])
    theirs = np.asarray(pil.fromarray(plane).resize((46, 34), pil.Resampling.BICUBIC))
    assert off(resized(plane, (34, 46), antialias=True, **FILTERS["BICUBIC"]), theirs) <= ROUNDING


@pytest.mark.parametrize("size", SIZES)
def test_scikit_image(size: tuple[int, int]) -> None:
    transform = library("skimage.transform")

    def theirs(order: int, **more: Any) -> np.ndarray:
        return transform.resize(PHOTO, size, order=order, mode="edge", **{"anti_aliasing": False, **more})

    assert off(resized(PHOTO, size), theirs(1)) <= ROUNDING
    assert off(resized(PHOTO, size, mode="nearest-exact"), theirs(0)) == 0
    assert off(resized(PHOTO, size, mode="cubic"), theirs(3)) > 0.05
    if size < PHOTO.shape[:2]:
        assert off(resized(PHOTO, size, antialias=True), theirs(1, anti_aliasing=True)) > 0.05
    assert transform.resize(BYTES, size).dtype == np.float64
    assert resized(BYTES, size).dtype == np.uint8


def test_scikit_image_local_mean() -> None:
    theirs = library("skimage.transform").downscale_local_mean(WHOLE, (2, 3, 1))
    assert off(resized(WHOLE, (16 // 2, 24 // 3), mode="area"), theirs) <= 1e-15


@pytest.mark.parametrize("factor", [2, 1.5, 3, 0.5])
def test_ndimage_zoom(factor: float) -> None:
    """scipy's; CuPy's is made after it."""
    zoom, x = library("scipy.ndimage").zoom, PHOTO[..., 0].astype(np.float64)
    plain = zoom(x, factor, order=1)
    assert plain.shape == tuple(round(n * factor) for n in x.shape)
    assert off(upsample.resize(x, plain.shape, align_corners=True), plain) <= 1e-14
    grid = {"mode": "nearest", "grid_mode": True}
    assert off(upsample.resize(x, plain.shape), zoom(x, factor, order=1, **grid)) <= 1e-14
    assert off(upsample.resize(x, plain.shape, mode="nearest-exact"), zoom(x, factor, order=0, **grid)) == 0
    assert off(upsample.resize(x, plain.shape, mode="cubic"), zoom(x, factor, order=3, **grid)) > 0.05
    assert upsample.resize(x, scale=factor).shape == tuple(int(n * factor) for n in x.shape)
