"""upsample.opencv against the OpenCV that is installed, without IPP: random sizes, tall and wide, of every dtype."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from upsample import opencv

cv2 = pytest.importorskip("cv2", reason="cv2 is not installed")

VERSION = cv2.__version__.partition(".")[0]
CALLS = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES", 1500))
DTYPES = ["uint8", "uint8", "uint8", "uint16", "int16", "float32", "float64"]


@pytest.fixture(autouse=True)
def _plain() -> Iterator[None]:
    before = cv2.ipp.useIPP(), cv2.getNumThreads()
    cv2.ipp.setUseIPP(False)
    cv2.setNumThreads(1)
    yield
    cv2.ipp.setUseIPP(before[0])
    cv2.setNumThreads(before[1])


def image_of(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    if dtype.startswith("float"):
        return rng.normal(0, 100, shape).astype(dtype)
    info = np.iinfo(dtype)
    if rng.random() < 0.3:  # few levels far apart: rounding, clamping
        return rng.choice([info.min, info.max], shape).astype(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def sizes(rng: np.random.Generator) -> tuple[int, int]:
    small, large = rng.integers(1, 12), rng.integers(1, 60)
    return tuple(int(n) for n in ((small, large), (large, small), (large, large))[rng.integers(3)])


def draw(rng: np.random.Generator) -> tuple[np.ndarray, tuple[Any, ...], dict[str, Any]]:
    width, height = sizes(rng)
    channels = [(), (1,), (2,), (3,), (3,), (4,)][rng.integers(6)]
    x = image_of(rng, DTYPES[rng.integers(len(DTYPES))], height, width, *channels)
    options: dict[str, Any] = {"interpolation": int(rng.integers(7))}
    kind = rng.random()
    if kind < 0.15 and min(width, height) > 3:  # whole factors, and some that leave a rest
        factor = rng.choice([0.5, 0.25, 1 / 3, 2.0])
        return x, (None,), {**options, "fx": factor, "fy": factor}
    if kind < 0.3:
        fx, fy = rng.uniform(1 / width, 4, 1)[0], rng.uniform(1 / height, 4, 1)[0]
        return x, (None,), {**options, "fx": float(fx), "fy": float(fy)}
    if kind < 0.4:
        factor = int(rng.integers(1, 5))
        return x.repeat(factor, 0).repeat(factor, 1), ((width, height),), options
    return x, (sizes(rng),), options


def tolerance(x: np.ndarray, mode: int) -> float:
    """What the original's own builds differ by: one level, or 4e-6 of the largest sample."""
    points = mode in (opencv.INTER_NEAREST, opencv.INTER_NEAREST_EXACT)
    if points:
        return 0.0
    if x.dtype.kind == "f":
        return 4e-6 * float(np.abs(x).max())
    exact = mode in (opencv.INTER_LINEAR_EXACT,) or (x.dtype == np.uint8 and mode in (1, opencv.INTER_LANCZOS4))
    return 0.0 if exact else 1.0


def test_resize() -> None:
    rng = np.random.default_rng(30)
    for _ in range(CALLS):
        x, size, options = draw(rng)
        if size[0] is None and min(round(options["fx"] * x.shape[1]), round(options["fy"] * x.shape[0])) < 1:
            continue
        wanted = cv2.resize(x, *size, **options).reshape(-1)
        got = opencv.resize(x, *size, **options, version=VERSION)
        assert got.dtype == wanted.dtype
        off = np.abs(got.reshape(-1).astype(np.float64) - wanted.astype(np.float64)).max()
        message = f"{x.dtype}{x.shape} to {size}, {options}"
        assert off <= tolerance(x, options["interpolation"]), message
        if x.dtype == np.uint8:  # of bytes, next to none differ
            assert (got.reshape(-1) != wanted).mean() <= 0.02, message


def test_pyramids() -> None:
    rng = np.random.default_rng(31)
    for _ in range(CALLS // 10):
        x, _, _ = draw(rng)
        border = int(rng.choice(list(opencv.Border)))
        for name, options in (("pyrDown", {"borderType": border}), ("pyrUp", {})):
            wanted = getattr(cv2, name)(x, **options)
            got = getattr(opencv, name)(x, **options).reshape(wanted.shape)
            off = np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max()
            assert off <= (4e-6 * np.abs(x).max() if x.dtype.kind == "f" else 0), f"{name} {x.dtype}{x.shape} {options}"


@pytest.mark.parametrize("more", [(0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1)])
def test_pyramid_of_an_odd_size(more: tuple[int, int]) -> None:
    x = np.random.default_rng(32).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    size = (18 + more[0], 14 + more[1])
    np.testing.assert_array_equal(opencv.pyrUp(x, size), cv2.pyrUp(x, dstsize=size))
