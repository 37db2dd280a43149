"""``upsample demo``: every operation on a photograph, timed, and compared with the float64 reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import upsample
from upsample import chainer, gallery, reference
from upsample.engines.dispatch import ENGINES

__all__ = ["Case", "DemoError", "Row", "cases", "demo", "load", "measure", "table"]

Pixels = NDArray[Any]

LARGEST = 512
"""Side of the crop that the demo works on, so that the reference's loops stay within seconds."""
SMALLEST = 32
WIDE = 124
"""Columns of a terminal on which every row of the table fits on one line."""


class DemoError(Exception):
    """What the user can mend, in one line."""


# The image.


def load(path: str | Path | None) -> tuple[Pixels, tuple[int, int] | None]:
    """Return the image to work on, cut to its centre, and where its most telling detail is.

    Parameters
    ----------
    path : str or Path, optional
        Any image file that Pillow opens; None is scikit-image's photograph of Eileen Collins.

    Returns
    -------
    image : array
        ``[H, W, 3]``, uint8; sides that 4 divides, at most 512.
    detail : (int, int), optional
        Row and column of the middle of an eye, of scikit-image's photograph only.

    Raises
    ------
    DemoError
        No such file, no image, or one of fewer than 32 by 32 pixels.
    """
    if path is None:
        from skimage import data

        return np.asarray(data.astronaut()), (102, 203)
    try:
        with Image.open(path) as opened:
            pixels = _rgb(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = getattr(error, "strerror", None) or "Pillow finds no image in it"
        raise DemoError(f"cannot read {str(path)!r}: {why}") from error
    height, width = (min(side // 4 * 4, LARGEST) for side in pixels.shape[:2])
    if min(height, width) < SMALLEST:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise DemoError(f"{str(path)!r} has {size} pixels; the demo needs at least {SMALLEST}x{SMALLEST}")
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width]), None


def _rgb(image: Image.Image) -> Pixels:
    """Convert any mode: over white where it is transparent, stretched to 0..255 where its samples are wider."""
    if image.mode == "F" or image.mode.startswith("I"):
        wide = np.nan_to_num(np.asarray(image).astype(np.float64))
        low, high = float(wide.min()), float(wide.max())
        grey = np.rint((wide - low) * (255 / (high - low or 1.0))).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.asarray(image.convert("RGB"))


# What is run.


@dataclass(frozen=True, slots=True)
class Case:
    """One call, and what it should give.

    Attributes
    ----------
    function : callable
        The operation.
    label : str
        Its options, for people.
    arrays : tuple of array
        What is passed by position.
    options : dict
        What is passed by name.
    want : callable
        Computes the reference's result; a tuple where the operation returns one.
    allowed : callable
        ``allowed(x, want)``: the tolerance, from the input and the reference's result.
    """

    function: Callable[..., Any]
    label: str
    arrays: tuple[Pixels, ...]
    options: dict[str, Any]
    want: Callable[[], Any]
    allowed: Callable[[Pixels, Pixels], float]

    @property
    def name(self) -> str:
        """The operation, with its dialect where that is Chainer's."""
        dialect = "chainer." if self.function.__module__.startswith("upsample.chainer") else ""
        return dialect + self.function.__name__


def exact(_x: Pixels, _want: Pixels) -> float:
    """Allow nothing: values and indices only move."""
    return 0.0


def sums(x: Pixels, want: Pixels) -> float:
    """Allow 64 roundings of the largest value: a sum of some dozen products, each rounded a few times.

    float16 is summed in float32 and rounded once: half an ulp, and one for the tie.
    """
    largest = max(1.0, float(np.abs(want).max()))
    return float(np.finfo(x.dtype).eps) * largest * (1 if x.dtype == np.float16 else 64)


def coordinates(x: Pixels, want: Pixels) -> float:
    """Allow for the float32 coordinates that torch has, on top of `sums`.

    On n samples a coordinate is rounded by up to n * 2^-24, and so is the step that it is a multiple of: n * 2^-23 in
    all, on each axis. Neighbours differ by no more than the largest value, so that the result moves by no more than
    that share of it.
    """
    n, axes = max(x.shape[2:]), x.ndim - 2
    return sums(x, want) + axes * n * float(np.finfo(np.float32).eps) * float(np.abs(x).max())


def levels(_x: Pixels, _want: Pixels) -> float:
    """Allow one level: uint8 rounds after each axis, and a tie falls either way."""
    return 1.0


LEGEND = (
    "tolerance: 0 where values only move; 64 roundings of the largest value where they are summed;",
    "n·2⁻²³ more on each axis where torch rounds its coordinates to float32; one level in uint8.",
)


def cases(image: Pixels) -> list[Case]:
    """Return every operation, with options, on an image.

    Parameters
    ----------
    image : array
        ``[H, W, 3]``, uint8, as `load` returns it.

    Returns
    -------
    list of Case
        In the order of the table.
    """
    x = np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))  # [1, 3, H, W]
    signals = np.ascontiguousarray(x[0, :, ::16])  # [3, H / 16, W]: every sixteenth row of the photograph
    size, room = min(image.shape[:2]) // 4, min(image.shape[:2]) * 3 // 4
    crops = [x[0, :, d : d + size, d : d + size] for d in np.linspace(0, room, 8).astype(int)]
    volume = np.ascontiguousarray(np.stack(crops, axis=1)[None])  # [1, 3, 8, size, size]
    whole = [*_interpolated(x, signals, volume), *_resized(image), *_pooled(x, signals, volume)]
    return [*whole, *_spread(x, signals, volume), *_shuffled(x), *_chainer(x)]


def _interpolated(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    half, byte = x.astype(np.float16), np.rint(x * 255).astype(np.uint8)
    smooth: dict[str, Any] = {"antialias": True}
    corners: dict[str, Any] = {"align_corners": True}
    table: list[tuple[Pixels, str, tuple[float, ...], dict[str, Any]]] = [
        (x, "nearest", (2, 1.37, 0.5), {}),
        (x, "nearest-exact", (1.37, 0.5), {}),
        (x, "bilinear", (2, 1.37, 0.5), {}),
        (x, "bilinear", (2,), corners),
        (x, "bilinear", (0.5,), smooth),
        (x, "bicubic", (2, 1.37, 0.5), {}),
        (x, "bicubic", (2,), corners),
        (x, "bicubic", (0.5,), smooth),
        (x, "lanczos", (2, 1.37, 0.5), smooth),
        (x, "area", (1.37, 0.5, 0.137), {}),
        (half, "bilinear", (2,), {}),
        (half, "bicubic", (0.5,), smooth),
        (byte, "nearest", (2,), {}),
        (byte, "bilinear", (1.37,), {}),
        (byte, "bicubic", (2,), {}),
        (byte, "bicubic", (0.5,), smooth),
        (signals, "linear", (1.37,), {}),
        (volume, "trilinear", (1.37,), {}),
    ]
    for a, mode, factors, more in table:
        for factor in factors:
            options = {"scale_factor": factor, "mode": mode, **more}
            label = ", ".join([f"{mode} ×{factor}", *more])
            allowed = exact if mode.startswith("nearest") else sums if mode == "area" else coordinates
            allowed = levels if a is byte and allowed is coordinates else allowed
            yield Case(
                upsample.interpolate, label, (a,), options, partial(reference.interpolate, a, **options), allowed
            )


def _resized(image: Pixels) -> Iterator[Case]:
    real = image.astype(np.float32) / np.float32(255)
    height, width = image.shape[:2]
    small = (height * 3 // 8, width * 3 // 8)
    for a, label, options in (
        (image, "linear ×1.5", {"scale": 1.5, "mode": "linear"}),
        (image, "cubic ×3/8, antialias", {"shape": small, "mode": "cubic", "antialias": True, "cubic_coeff": -0.5}),
        (real, "nearest ×1.5", {"scale": 1.5, "mode": "nearest"}),
        (real, "cubic ×1.5", {"scale": 1.5, "mode": "cubic"}),
        (real, "lanczos ×3/8, antialias", {"shape": small, "mode": "lanczos", "antialias": True}),
        (real, "area and linear", {"shape": small, "mode": ("area", "linear")}),
    ):
        given: dict[str, Any] = {"shape": None, **options, "axes": (0, 1)}
        allowed = levels if a is image else exact if options["mode"] == "nearest" else sums
        yield Case(upsample.resize, f"HWC, {label}", (a,), given, partial(reference.resize, a, **given), allowed)


def _pooled(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    half, byte = x.astype(np.float16), np.rint(x * 255).astype(np.uint8)
    pools = (upsample.max_pool1d, upsample.max_pool2d, upsample.max_pool3d)
    unpools = (upsample.max_unpool1d, upsample.max_unpool2d, upsample.max_unpool3d)
    adaptive = (upsample.adaptive_max_pool1d, upsample.adaptive_max_pool2d, upsample.adaptive_max_pool3d)
    again: list[Case] = []
    for a, window, label in (
        (x, (2, 2, 0), "2/2"),
        (x, (3, 2, 1), "3/2/1"),
        (half, (3, 2, 1), "3/2/1"),
        (byte, (2, 2, 0), "2/2"),
        (signals, (3, 2, 1), "3/2/1"),
        (volume, (2, 2, 0), "2/2"),
    ):
        spatial = a.ndim - 2
        options: dict[str, Any] = dict(zip(("kernel_size", "stride", "padding"), window, strict=True))
        want = partial(reference.max_pool, a, **options, spatial=spatial)
        yield Case(
            pools[spatial - 1], f"{label}, indices", (a,), {**options, "return_indices": True}, want, exact
        )
        values, indices = reference.max_pool(a, **options, spatial=spatial)
        size = a.shape[2:]
        for rule in ("last", "sum") if window == (3, 2, 1) and a is x else ("last",):
            more = {**options, "output_size": size, "duplicates": rule}
            back = partial(reference.max_unpool, values, indices, size, "sum" if rule == "sum" else "last")
            rules = sums if rule == "sum" else exact
            again.append(Case(unpools[spatial - 1], f"{label}, {rule}", (values, indices), more, back, rules))
    for a in (x, signals, volume):
        size = tuple(n * 2 // 7 for n in a.shape[2:])
        options = {"output_size": size, "return_indices": True}
        yield Case(
            adaptive[a.ndim - 3], "×2/7, indices", (a,), options, partial(reference.adaptive_max_pool, a, size), exact
        )
    yield from again


def bilinear_weight(channels: int, spatial: int) -> Pixels:
    """Return the weight with which a transposed convolution of stride 2 and padding 1 interpolates linearly.

    Parameters
    ----------
    channels : int
        As many groups are needed.
    spatial : int
        Number of spatial axes.

    Returns
    -------
    array
        ``[channels, 1, 4, ...]``, float32: outer products of 1/4, 3/4, 3/4, 1/4.
    """
    side = np.asarray([0.25, 0.75, 0.75, 0.25], dtype=np.float32)
    window = np.ones((), dtype=np.float32)
    for _ in range(spatial):
        window = window[..., None] * side
    return np.ascontiguousarray(np.broadcast_to(window, (channels, 1, *window.shape)))


def _spread(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    functions = (upsample.conv_transpose1d, upsample.conv_transpose2d, upsample.conv_transpose3d)
    for a in (x, x.astype(np.float16), signals, volume):
        weight = bilinear_weight(a.shape[1], a.ndim - 2).astype(a.dtype)
        options = {"stride": 2, "padding": 1, "groups": a.shape[1]}
        want = partial(reference.conv_transpose, a, weight, **options)
        yield Case(functions[a.ndim - 3], "bilinear 4/2/1, groups", (a, weight), options, want, sums)
    small = np.ascontiguousarray(x[:, :, ::4, ::4])
    random = np.random.default_rng(0)
    weight, bias = (random.standard_normal(s).astype(np.float32) for s in ((3, 8, 3, 3), (8,)))
    options = {"stride": 2, "padding": 1, "output_padding": 1, "dilation": 2}
    want = partial(reference.conv_transpose, small, weight, bias, **options)
    yield Case(upsample.conv_transpose2d, "3 to 8 channels 3/2/1", (small, weight, bias), options, want, sums)


def _shuffled(x: Pixels) -> Iterator[Case]:
    for a in (x, np.rint(x * 255).astype(np.uint8)):
        deep = reference.pixel_unshuffle(a, 2)
        down, up = partial(reference.pixel_unshuffle, a, 2), partial(reference.pixel_shuffle, deep, 2)
        yield Case(upsample.pixel_unshuffle, "2", (a,), {"downscale_factor": 2}, down, exact)
        yield Case(upsample.pixel_shuffle, "2", (deep,), {"upscale_factor": 2}, up, exact)


def _chainer(x: Pixels) -> Iterator[Case]:
    for window, label in (((2, 2, 0), "2/2"), ((3, 2, 1), "3/2/1")):
        options: dict[str, Any] = dict(zip(("ksize", "stride", "pad"), window, strict=True))
        want = partial(reference.chainer_max_pooling, x, **options)
        indices = {**options, "return_indices": True}
        yield Case(chainer.max_pooling_2d, f"{label}, indices", (x,), indices, want, exact)
        values, local = reference.chainer_max_pooling(x, **options)
        options |= {"outsize": x.shape[2:]}
        allowed = exact if window == (2, 2, 0) else sums
        back = partial(reference.chainer_upsampling, values, local, **options)
        yield Case(chainer.upsampling_2d, label, (values, local), options, back, allowed)
        fill = partial(reference.chainer_unpooling, values, **options)
        yield Case(chainer.unpooling_2d, label, (values,), options, fill, allowed)
    weight = bilinear_weight(3, 2)
    options = {"stride": 2, "pad": 1, "groups": 3}
    want = partial(reference.chainer_deconvolution, x, weight, **options)
    yield Case(chainer.deconvolution_2d, "bilinear 4/2/1, groups", (x, weight), options, want, sums)
    size = tuple(int(n * 1.37) for n in x.shape[2:])
    for mode, corners in (("bilinear", True), ("bilinear", False), ("nearest", False)):
        options = {"output_shape": size, "mode": mode, "align_corners": corners}
        label = f"{mode} ×1.37" + (", align_corners" if corners else "")
        want = partial(reference.chainer_resize_images, x, **options)
        yield Case(chainer.resize_images, label, (x,), options, want, exact if mode == "nearest" else coordinates)
    deep = reference.space2depth(x, 2)
    yield Case(chainer.space2depth, "2", (x,), {"r": 2}, partial(reference.space2depth, x, 2), exact)
    yield Case(chainer.depth2space, "2", (deep,), {"r": 2}, partial(reference.depth2space, deep, 2), exact)
