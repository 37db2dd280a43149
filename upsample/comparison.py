"""The same resize as two libraries do it, and where the results differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from upsample.arguments import integers
from upsample.errors import Raw, bad_type, bad_value

__all__ = ["Comparison", "compare", "resized", "ways"]

_Pixels: TypeAlias = NDArray[Any]
_Way: TypeAlias = Callable[[_Pixels, tuple[int, int]], Any]
"""``way(image, (height, width))``."""


_PILLOW = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming", "mks2013", "mks2021")
_OPENCV = ("nearest", "linear", "cubic", "area", "lanczos4", "linear_exact", "nearest_exact")
"""Methods by the numbers that the libraries give them."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How two ways to resize one image differ; prints as text.

    Attributes
    ----------
    a, b : str
        The ways.
    first, second : ndarray
        What each makes of the image.
    difference : ndarray of float64
        The first minus the second, in the units of the image: levels, for bytes.
    largest, mean : float
        The largest and the mean magnitude of the difference.
    share : float
        The part of all values that differ.
    where : tuple of int
        The place of the largest difference: row, column and, for colours, channel.
    """

    a: str
    b: str
    first: _Pixels
    second: _Pixels
    difference: _Pixels
    largest: float
    mean: float
    share: float
    where: tuple[int, ...]

    def __str__(self) -> str:
        height, width = self.first.shape[:2]
        lines = [f"{self.a} and {self.b}, {width} × {height}"]
        if self.largest == 0:
            return "\n".join([*lines, "  no value differs"])
        first, second = (np.asarray(x[self.where]).item() for x in (self.first, self.second))
        place = ", ".join(f"{name} {n}" for name, n in zip(("row", "column", "channel"), self.where, strict=False))
        return "\n".join(
            [
                *lines,
                f"  {self.share:.1%} of the values differ, by {self.mean:.3g} in the mean of all",
                f"  the largest difference is {self.largest:.4g}: {first:.5g} and {second:.5g} at {place}",
            ]
        )

    def picture(self) -> _Pixels:
        """Return the magnitude of the difference as bytes, the largest as 255."""
        scale = 255.0 / self.largest if self.largest else 0.0
        return np.rint(np.abs(self.difference) * scale).astype(np.uint8)


def _native(options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    from upsample.native import resize

    return resize(image, size, axes=(0, 1), **options)


def _torch(options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    from upsample.functional import interpolate

    planes = image.reshape(*image.shape[:2], -1).transpose(2, 0, 1)[None]
    x = planes.astype(np.float32) if options["mode"] == "area" else np.ascontiguousarray(planes)
    return interpolate(x, size, **options)[0].transpose(1, 2, 0).reshape(*size, *image.shape[2:])


def _sized(module: str, function: str, options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    """Call a dialect whose sizes are (width, height)."""
    return getattr(import_module(f"upsample.{module}"), function)(image, size[::-1], **options)


def _tensorflow(name: str, options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    from upsample import tensorflow

    x = image if image.ndim == 3 else image[..., None]
    return getattr(tensorflow, name)(x, size, **options).reshape(*size, *image.shape[2:])


def _jax(options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    from upsample.jax import resize

    return resize(image, (*size, *image.shape[2:]), **options)


def _skimage(options: Mapping[str, Any], image: _Pixels, size: tuple[int, int]) -> Any:
    from upsample.skimage import resize

    return resize(image, size, preserve_range=True, **options)


def _float_ways() -> Iterator[tuple[str, _Way]]:
    """List the libraries that return floating numbers of bytes."""
    for method in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
        yield f"tensorflow:{method}", partial(_tensorflow, "resize", {"method": method})
        if method in ("bilinear", "bicubic"):
            yield (
                f"tensorflow:{method}+antialias",
                partial(_tensorflow, "resize", {"method": method, "antialias": True}),
            )
    for method in ("nearest", "bilinear", "bicubic", "area"):
        yield f"tensorflow@1:{method}", partial(_tensorflow, "resize_v1", {"method": method})
    for method in ("nearest", "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5", "area"):
        yield f"jax:{method}", partial(_jax, {"method": method, "antialias": False})
        if method not in ("nearest", "area"):
            yield f"jax:{method}+antialias", partial(_jax, {"method": method, "antialias": True})
    for order in range(6):
        yield f"skimage:{order}", partial(_skimage, {"order": order, "anti_aliasing": False})
        yield f"skimage:{order}+antialias", partial(_skimage, {"order": order, "anti_aliasing": True})


def _all_ways() -> Iterator[tuple[str, _Way]]:
    for mode in ("nearest", "nearest-exact", "linear", "cubic", "lanczos", "area"):
        yield f"upsample:{mode}", partial(_native, {"mode": mode})
        if mode in ("linear", "cubic", "lanczos"):
            yield f"upsample:{mode}+antialias", partial(_native, {"mode": mode, "antialias": True})
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
        yield f"torch:{mode}", partial(_torch, {"mode": mode})
        if mode in ("bilinear", "bicubic"):
            yield f"torch:{mode}+antialias", partial(_torch, {"mode": mode, "antialias": True})
    for version in ("", "@12"):
        for number, name in enumerate(_PILLOW):
            options = {"resample": number, "version": version[1:] or "13"}
            yield f"pillow{version}:{name}", partial(_sized, "pillow", "resize", options)
    for version in ("", "@4"):
        for number, name in enumerate(_OPENCV):
            options = {"interpolation": number, "version": version[1:] or "5"}
            yield f"opencv{version}:{name}", partial(_sized, "opencv", "resize", options)
    yield from _float_ways()


_WAYS: Mapping[str, _Way] = MappingProxyType(dict(_all_ways()))


def ways() -> tuple[str, ...]:
    """Return the names of all ways to resize that `compare` knows.

    Returns
    -------
    tuple of str
        ``library:method``; ``library@version:method`` for an earlier version of the library.

    Examples
    --------
    >>> from upsample.comparison import ways
    >>> "pillow:bicubic" in ways()
    True
    """
    return tuple(_WAYS)


def resized(way: str, image: _Pixels, size: Sequence[int]) -> _Pixels:
    """Resize an image in one of the `ways`.

    Parameters
    ----------
    way : str
        A name of `ways`.
    image : ndarray
        ``[H, W]`` or ``[H, W, C]``.
    size : pair of int
        Width and height of the result.

    Returns
    -------
    ndarray
        The result, in the dtype that the library gives it.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample.comparison import resized
    >>> resized("opencv:linear", np.asarray([[0, 100]], dtype=np.uint8), (4, 1))
    array([[  0,  25,  75, 100]], dtype=uint8)
    """
    return _resized("resized", "way", way, image, size)


def _resized(op: str, argument: str, way: str, image: _Pixels, size: Sequence[int]) -> _Pixels:
    if not isinstance(way, str):
        raise bad_type(op, argument, way, "the name of a way must be text", "pass one such as 'pillow:bicubic'")
    if way not in _WAYS:
        raise bad_value(op, argument, way, "it is unknown", "pass one of upsample.comparison.ways()")
    width, height = integers(op, "size", size, 2, least=1, one_for_all=False)
    return np.asarray(_WAYS[way](image, (height, width)))


def compare(a: str, b: str, image: _Pixels, size: Sequence[int] = (224, 224)) -> Comparison:
    """Resize an image as two libraries do, and say how the results differ.

    Neither library is needed: the dialects of this package make the results.

    Parameters
    ----------
    a, b : str
        Names of `upsample.comparison.ways`, such as ``"pillow:bicubic"`` and ``"opencv:linear"``.
    image : ndarray
        ``[H, W]`` or ``[H, W, C]``; bytes, as images are, or another dtype that both libraries take.
    size : pair of int
        Width and height of the results.

    Returns
    -------
    Comparison
        Both results, their difference, its largest and mean magnitude, and where the largest is.

    Raises
    ------
    ValueError
        A way that is unknown, a size below 1.
    TypeError
        An image that is no array; a dtype that a library does not take.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    >>> print(upsample.compare("pillow:bilinear", "opencv:linear", image, (24, 32)))
    pillow:bilinear and opencv:linear, 24 × 32
      97.9% of the values differ, by 15.1 in the mean of all
      the largest difference is 60: 135 and 195 at row 5, column 9, channel 2
    """
    op = "compare"
    if not isinstance(image, np.ndarray):
        raise bad_type(op, "image", Raw(f"<{type(image).__name__}>"), "it must be a NumPy array", "convert it")
    if image.ndim not in (2, 3) or 0 in image.shape:
        rule = "an image must be [H, W] or [H, W, C], and not empty"
        raise bad_value(op, "image", Raw(f"<shape {image.shape}>"), rule, "pass one image")
    first, second = (_resized(op, name, way, image, size) for name, way in (("a", a), ("b", b)))
    difference = first.astype(np.float64) - second.astype(np.float64)
    magnitude = np.abs(difference)
    place = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
    where = tuple(int(n) for n in place)
    largest, mean, share = float(magnitude[where]), float(magnitude.mean()), float((magnitude > 0).mean())
    return Comparison(a, b, first, second, difference, largest, mean, share, where)
