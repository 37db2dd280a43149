"""Run as a script: hash results of the portable engine on 1, 2, 3, 5 and 8 threads, and print them as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import upsample

THREADS = (1, 2, 3, 5, 8)


def noise(dtype: str, *shape: int) -> np.ndarray:
    rng = np.random.default_rng([*shape])
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if dtype.startswith("complex") else x.astype(dtype)


def hashed(*results: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in results)).hexdigest()[:16]


def resized(**options: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: upsample.interpolate(x, **options, engine="portable")


def convolved(**options: Any) -> Callable[..., np.ndarray]:
    return lambda x, weight: upsample.conv_transpose2d(x, weight, **options, engine="portable")


def calls() -> Iterator[tuple[str, Callable[..., np.ndarray], tuple[np.ndarray, ...]]]:
    """Yield calls whose products are large, thin, deep, or vectors."""
    image = noise("float32", 1, 3, 700, 700)
    yield "bilinear to 37", resized(size=37, mode="bilinear"), (image,)
    yield "bicubic to 300", resized(size=(300, 37), mode="bicubic"), (image,)
    yield "area of a long row", resized(size=2, mode="area"), (noise("float32", 1, 5, 50_000),)
    yield (
        "antialiased column",
        resized(size=(1, 3), mode="bilinear", antialias=True),
        (noise("float32", 1, 1, 5000, 5),),
    )
    shapes = [(2, 8, 9, 17, 1), (1, 200, 70, 9, 1), (3, 300, 1, 9, 1), (2, 1, 5, 96, 1)]
    for dtype in ("float32", "complex64"):
        for batch, channels, outputs, size, groups in shapes:
            function = convolved(stride=2, padding=1, groups=groups)
            given = noise(dtype, batch, channels, size, size), noise(dtype, channels, outputs, 4, 4)
            yield f"{dtype} {given[0].shape} {given[1].shape}", function, given


def hashes() -> dict[str, str]:
    """Return the hash of each result and of its gradients; raise where a number of threads changes one."""
    found: dict[str, str] = {}
    for name, function, given in calls():
        for count in THREADS:
            with upsample.num_threads(count):
                result, pullback = upsample.vjp(function, *given)
                made = hashed(result, *pullback(noise(str(result.dtype), *result.shape)))
            if found.setdefault(name, made) != made:
                raise AssertionError(f"{name}: {count} threads change the result")
    return found


if __name__ == "__main__":
    print(json.dumps(hashes()))
