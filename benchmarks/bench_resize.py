"""`interpolate` on channels first, `resize` on channels last."""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import upsample
from benchmarks import cases, pairs
from benchmarks.cases import Case
from benchmarks.pairs import Job
from upsample.command_line.bench.pictures import Picture, Resizing, opencv, pillow, scikit_image, zoomed
from upsample.command_line.bench.rivals import Rival

NATIVE = {"bilinear": "linear", "bicubic": "cubic", "trilinear": "linear"}


@pytest.mark.parametrize(("engine", "how"), pairs.PAIRS)
@pytest.mark.parametrize("case", cases.of("resize"), ids=str)
def bench_resize(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case.small() if quick else case), engine, how, quick)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    """The arrays and calls of a case; the last one's are kept, since its engines follow each other."""
    mode, scale, antialias = case.options["mode"], case.options["scale"], case.options.get("antialias", False)
    x = noise(case)
    size = tuple(int(n * scale) for n in case.shape[2:])
    ours: Any = upsample.interpolate
    options: dict[str, Any] = dict(mode=mode, scale_factor=scale, antialias=antialias)
    shape = (*case.shape[:2], *size)
    if case.channels_last:
        ours, options = upsample.resize, dict(mode=NATIVE.get(mode, mode), scale=scale, axes=(1, 2))
        shape = (case.shape[0], *size, case.shape[1])
    makers = (_torch, _opencv, _pillow, _scikit_image, _scipy)
    rivals = tuple(r for make in makers if (r := make(case, x, size)) is not None)
    return Job(
        "resize",
        ours,
        (x,),
        options,
        lambda: np.zeros(shape, dtype=x.dtype),
        rivals,
        x.nbytes + int(np.prod(shape)) * x.itemsize,
        margin=4.0,  # 1.37: torch rounds a position to float32, and each side its own way
    )


def noise(case: Case) -> np.ndarray:
    """Random numbers in the case's layout; smooth enough that every kernel of a name draws nearly the same."""
    rng = np.random.default_rng([len(case.shape), *case.shape])
    shape = case.shape
    if case.channels_last:
        shape = (shape[0], *shape[2:], shape[1])
    if case.dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.random(shape, dtype=np.float32).astype(case.dtype, copy=False)


def _torch(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        return None
    mode, scale = case.options["mode"], case.options["scale"]
    antialias = bool(case.options.get("antialias"))
    given = torch.from_numpy(x)
    given = given.movedim(-1, 1) if case.channels_last else given
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    target = torch.zeros((*case.shape[:2], *size), dtype=given.dtype).to(memory_format=layout)

    def read(result: Any) -> tuple[np.ndarray, ...]:
        return ((result.movedim(1, -1) if case.channels_last else result).numpy(),)

    scales = (scale,) * len(size)
    nn = torch._C._nn
    into = {
        "nearest": lambda: nn.upsample_nearest2d(given, size, *scales, out=target),
        "nearest-exact": lambda: nn._upsample_nearest_exact2d(given, size, *scales, out=target),
        "bilinear": lambda: nn.upsample_bilinear2d(given, size, False, *scales, out=target),
        "bicubic": lambda: nn.upsample_bicubic2d(given, size, False, *scales, out=target),
        "trilinear": lambda: nn.upsample_trilinear3d(given, size, False, *scales, out=target),
        "area": lambda: nn.adaptive_avg_pool2d(given, size, out=target),
    }
    if antialias:
        into["bilinear"] = lambda: nn._upsample_bilinear2d_aa(given, size, False, *scales, out=target)
        into["bicubic"] = lambda: nn._upsample_bicubic2d_aa(given, size, False, *scales, out=target)
    fresh = partial(F.interpolate, given, scale_factor=scale, mode=mode, antialias=antialias)
    return Rival("torch", fresh, "exact" if "nearest" in mode else "close", read, into[mode])


def _images(case: Case, x: np.ndarray) -> list[np.ndarray]:
    """What an image library takes: pictures with channels last, or single planes."""
    return list(x) if case.channels_last else [plane for picture in x for plane in picture]


def _resizing(case: Case, size: tuple[int, ...]) -> Resizing:
    mode, scale = case.options["mode"], case.options["scale"]
    antialias = case.options.get("antialias", False)
    coeff = -0.5 if antialias else -0.75  # torch's own choice
    return Resizing(NATIVE.get(mode, mode), scale, case.shape[2:], size, antialias, coeff)


def _of_pictures(name: str, found: Picture | None, case: Case, pictures: list[Any]) -> Rival | None:
    """Return a rival that calls an image library once a picture."""
    if found is None:
        return None
    call, likeness = found

    def resize() -> list[Any]:
        return [call(picture) for picture in pictures]

    def read(results: list[Any]) -> tuple[np.ndarray, ...]:
        stack = np.stack([np.asarray(result) for result in results])
        return (stack if case.channels_last else stack.reshape(*case.shape[:2], *stack.shape[1:]),)

    return Rival(name, resize, "family" if case.dtype == "uint8" else likeness, read)


def _opencv(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    if len(size) != 2 or case.dtype == "float16" or find_spec("cv2") is None:
        return None
    return _of_pictures("OpenCV", opencv(_resizing(case, size)), case, _images(case, x))


def _pillow(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    """Pictures of one plane, or of three uint8 channels; a shape of many small planes is no job for Pillow."""
    is_picture = case.shape[:2] == (1, 3) and (not case.channels_last or case.dtype == "uint8")
    if not is_picture or case.options["scale"] == 1.37 or find_spec("PIL") is None:
        return None
    from PIL import Image

    images = [Image.fromarray(image) for image in _images(case, x)]
    return _of_pictures("Pillow", pillow(_resizing(case, size)), case, images)


def _is_one_photo_twice(case: Case) -> bool:
    """Whether scikit-image and scipy take seconds, not minutes."""
    one_photo = case.shape[:2] == (1, 3) and case.dtype == "float32" and not case.channels_last
    return one_photo and case.options["scale"] == 2


def _scikit_image(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    if not _is_one_photo_twice(case) or find_spec("skimage") is None:
        return None
    return _of_pictures("scikit-image", scikit_image(_resizing(case, size)), case, _images(case, x))


def _scipy(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    if not _is_one_photo_twice(case) or find_spec("scipy") is None:
        return None
    found = zoomed("scipy.ndimage", _resizing(case, size).mode, (2, 2))
    return _of_pictures("scipy", found, case, _images(case, x))
