"""What the README says of other libraries: the same result where it says so, and another where it says that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import upsample

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


@pytest.mark.parametrize("size", SIZES)
def test_opencv(size: tuple[int, int]) -> None:
    cv2 = library("cv2")

    def theirs(image: np.ndarray, how: int) -> np.ndarray:
        return cv2.resize(image, size[::-1], interpolation=how)

    assert off(resized(PHOTO, size), theirs(PHOTO, cv2.INTER_LINEAR)) <= ROUNDING
    assert off(resized(BYTES, size), theirs(BYTES, cv2.INTER_LINEAR)) <= 1
    assert off(resized(PHOTO, size, mode="cubic"), theirs(PHOTO, cv2.INTER_CUBIC)) <= ROUNDING
    calm = BYTES // 4 + 96  # nothing is clamped
    assert off(resized(calm, size, mode="cubic"), theirs(calm, cv2.INTER_CUBIC)) <= 2
    for mode, how in (("nearest", cv2.INTER_NEAREST), ("nearest-exact", cv2.INTER_NEAREST_EXACT)):
        for image in (PHOTO, BYTES):
            assert off(resized(image, size, mode=mode), theirs(image, how)) == 0
    assert off(resized(PHOTO, size, mode="lanczos"), theirs(PHOTO, cv2.INTER_LANCZOS4)) > 0.01


def test_opencv_area_and_clamping() -> None:
    cv2 = library("cv2")
    whole = WHOLE.astype(np.float32)
    assert off(resized(whole, (8, 8), mode="area"), cv2.resize(whole, (8, 8), interpolation=cv2.INTER_AREA)) <= ROUNDING
    assert off(resized(PHOTO, (9, 11), mode="area"), cv2.resize(PHOTO, (11, 9), interpolation=cv2.INTER_AREA)) > 0.1
    assert off(resized(BYTES, (34, 46), mode="cubic"), cv2.resize(BYTES, (46, 34), interpolation=cv2.INTER_CUBIC)) > 4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("BILINEAR", {}),
        ("BICUBIC", {"mode": "cubic", "cubic_coeff": -0.5}),
        ("LANCZOS", {"mode": "lanczos"}),
    ],
)
def test_pillow(size: tuple[int, int], name: str, options: dict[str, Any]) -> None:
    image = library("PIL.Image")
    how, plane = image.Resampling[name], np.ascontiguousarray(PHOTO[..., 0])
    for x, allowed in ((BYTES, 1), (plane, ROUNDING)):
        theirs = np.asarray(image.fromarray(x).resize(size[::-1], how))
        assert off(resized(x, size, antialias=True, **options), theirs) <= allowed


@pytest.mark.parametrize("size", SIZES)
def test_pillow_nearest(size: tuple[int, int]) -> None:
    image = library("PIL.Image")
    theirs = np.asarray(image.fromarray(BYTES).resize(size[::-1], image.Resampling.NEAREST))
    assert off(resized(BYTES, size, mode="nearest-exact"), theirs) == 0


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
