"""`interpolate` on channels first, `resize` on channels last."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

import upsample
from benchmarks import cases, pairs
from benchmarks.cases import Case
from benchmarks.pairs import Job, Rival

NATIVE = {"bilinear": "linear", "bicubic": "cubic", "trilinear": "linear"}
ORDERS = {"bilinear": 1, "bicubic": 3}
"""Of scikit-image and scipy, whose cubic is a spline with a prefilter."""


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
    return Rival("torch", fresh, into[mode], "exact" if "nearest" in mode else "close", read)


def _images(case: Case, x: np.ndarray) -> list[np.ndarray]:
    """What an image library takes: pictures with channels last, or single planes."""
    return list(x) if case.channels_last else [plane for picture in x for plane in picture]


def _order(case: Case) -> int | None:
    """What scikit-image and scipy are asked for: a photo twice as large takes them seconds, not minutes, and once."""
    one_photo = case.shape[:2] == (1, 3) and case.dtype == "float32" and not case.channels_last
    return ORDERS.get(case.options["mode"]) if one_photo and case.options["scale"] == 2 else None


def _together(case: Case, results: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    stack = np.stack(results)
    if case.channels_last:
        return (stack,)
    return (stack.reshape(*case.shape[:2], *stack.shape[1:]),)


def _opencv(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    if len(size) != 2 or case.options.get("antialias") or case.dtype == "float16":
        return None
    try:
        import cv2
    except ImportError:
        return None
    names = {
        "nearest": cv2.INTER_NEAREST,
        "nearest-exact": cv2.INTER_NEAREST_EXACT,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
    }
    how, (height, width) = names[case.options["mode"]], size
    scale = case.options["scale"]
    # with fx and fy OpenCV takes the factor itself for its coordinates, as torch does
    keys = dict(fx=scale, fy=scale) if (height, width) == tuple(round(n * scale) for n in case.shape[2:]) else {}
    wanted = None if keys else (width, height)
    images = _images(case, x)

    def resize() -> list[np.ndarray]:
        return [cv2.resize(image, wanted, interpolation=how, **keys) for image in images]

    # its weights have 11 bits in uint8, and where OpenCV cannot be told the factor its coordinates differ
    equal = "exact" if how in (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT) else "close"
    equal = "family" if case.dtype == "uint8" or (not keys and scale == 1.37) else equal
    return Rival("OpenCV", resize, None, equal, partial(_together, case))


def _pillow(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    """Pictures of one plane, or of three uint8 channels; a shape of many small planes is no job for it."""
    if case.shape[:2] != (1, 3) or (case.channels_last and case.dtype != "uint8"):
        return None
    try:
        from PIL import Image
    except ImportError:
        return None
    names = {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
    }
    mode, scale = case.options["mode"], case.options["scale"]
    if mode not in names or scale == 1.37 or (scale < 1 and not case.options.get("antialias")):
        return None
    pictures, (height, width) = [Image.fromarray(image) for image in _images(case, x)], size

    def resize() -> list[Any]:
        return [picture.resize((width, height), names[mode]) for picture in pictures]

    # its bicubic has a = -0.5; so has torch's, but only where it antialiases
    equal = "family" if (mode == "bicubic" and scale > 1) or case.dtype == "uint8" else "close"
    equal = "exact" if mode == "nearest" else equal
    return Rival("Pillow", resize, None, equal, lambda r: _together(case, [np.asarray(p) for p in r]))


def _scikit_image(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    order = _order(case)
    if order is None:
        return None
    try:
        from skimage.transform import resize as skimage_resize
    except ImportError:
        return None
    keys = dict(order=order, mode="edge", anti_aliasing=False, preserve_range=True)

    def resize() -> list[np.ndarray]:
        return [skimage_resize(image, size, **keys) for image in _images(case, x)]

    equal = "close" if order == 1 else "family"
    return Rival("scikit-image", resize, None, equal, partial(_together, case))


def _scipy(case: Case, x: np.ndarray, size: tuple[int, ...]) -> Rival | None:
    order = _order(case)
    if order is None:
        return None
    try:
        from scipy.ndimage import zoom
    except ImportError:
        return None
    keys = dict(order=order, mode="nearest", grid_mode=True)

    def resize() -> list[np.ndarray]:
        return [zoom(image, 2, **keys) for image in _images(case, x)]

    equal = "close" if order == 1 else "family"
    return Rival("scipy", resize, None, equal, partial(_together, case))
