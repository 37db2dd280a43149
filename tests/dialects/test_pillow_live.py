"""upsample.pillow against the Pillow that is installed: random sizes, tall and wide, of every kind."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from upsample import pillow

PIL = pytest.importorskip("PIL", reason="PIL is not installed")
from PIL import Image  # noqa: E402

VERSION = str(min(int(PIL.__version__.partition(".")[0]), 13))
HAVE = [f.value for f in pillow.Resampling if f.name in Image.Resampling.__members__]
CALLS = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES", 1500))
KINDS = ["uint8", "uint8x3", "uint8x3", "uint8x4", "uint8x2", "uint16", "int32", "float32", "bool"]


def image_of(rng: np.random.Generator, kind: str, height: int, width: int) -> np.ndarray:
    dtype, _, bands = kind.partition("x")
    shape = (height, width, int(bands)) if bands else (height, width)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "float32":
        return rng.normal(0, 100, shape).astype(np.float32)
    most = {"uint8": 255, "uint16": 65535, "int32": 10**6}[dtype]
    if rng.random() < 0.3:  # few levels far apart: rounding, clamping
        return (rng.integers(0, 2, shape) * most).astype(dtype)
    return rng.integers(-most if dtype == "int32" else 0, most + 1, shape).astype(dtype)


def sizes(rng: np.random.Generator) -> tuple[int, int]:
    """Often much taller than wide, or the other way round."""
    small, large = rng.integers(1, 12), rng.integers(1, 60)
    return tuple(int(n) for n in ((small, large), (large, small), (large, large))[rng.integers(3)])


def draw(rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int], dict[str, Any]]:
    kind = KINDS[rng.integers(len(KINDS))]
    (width, height), size = sizes(rng), sizes(rng)
    options: dict[str, Any] = {"resample": int(HAVE[rng.integers(len(HAVE))])}
    if rng.random() < 0.3:
        left, upper = rng.uniform(0, width), rng.uniform(0, height)
        options["box"] = (left, upper, rng.uniform(left + 1e-3, width), rng.uniform(upper + 1e-3, height))
        options["box"] = tuple(float(min(v, width if i % 2 == 0 else height)) for i, v in enumerate(options["box"]))
        if rng.random() < 0.4:
            options["box"] = (int(left), int(upper), width, height)
    if rng.random() < 0.2 and kind != "uint16":
        options["reducing_gap"] = float(rng.choice([1.0, 1.5, 2.0, 3.0]))
    return image_of(rng, kind, height, width), size, options


def test_resize() -> None:
    rng = np.random.default_rng(20)
    for _ in range(CALLS):
        x, size, options = draw(rng)
        wanted = np.asarray(Image.fromarray(x).resize(size, **options))
        got = pillow.resize(x, size, **options, version=VERSION)
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted, err_msg=f"{x.dtype}{x.shape} to {size}, {options}")


def test_reduce() -> None:
    rng = np.random.default_rng(21)
    for _ in range(CALLS // 10):
        x, factor, _ = draw(rng)
        if x.dtype in ("uint16", "bool"):
            continue
        factor = tuple(min(f, 7) for f in factor)
        wanted = np.asarray(Image.fromarray(x).reduce(factor))
        got = pillow.reduce(x, factor, version=VERSION)
        np.testing.assert_array_equal(got, wanted, err_msg=f"{x.dtype}{x.shape} by {factor}")


def test_default_is_bicubic() -> None:
    x = np.random.default_rng(22).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        pillow.resize(x, (11, 17), version=VERSION), np.asarray(Image.fromarray(x).resize((11, 17)))
    )
