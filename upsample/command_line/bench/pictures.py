"""Resize one picture by another library: OpenCV, Pillow, scikit-image, and the zoom of scipy and CuPy.

Each function returns a call on a picture with the likeness of its result to ours, or None if the library cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from upsample.command_line.bench.difference import Likeness

__all__ = ["ORDERS", "Picture", "Resizing", "opencv", "pillow", "scikit_image", "zoomed"]

Picture: TypeAlias = tuple[Callable[[Any], Any], Likeness]

ORDERS = {"linear": 1, "cubic": 3}
"""Orders of the splines of scikit-image and scipy. Their cubic has a prefilter, so it is another kernel than ours."""


@dataclass(frozen=True, slots=True)
class Resizing:
    """How a picture is resized.

    Attributes
    ----------
    mode : str
        As `upsample.resize` names it.
    scale : float
        The factor of both axes.
    shape, size : tuple of int
        Height and width before and after.
    antialias : bool
        Whether shrinking widens the filter.
    cubic_coeff : float
        The coefficient of a cubic filter; OpenCV and torch use -0.75, Pillow -0.5.
    """

    mode: str
    scale: float
    shape: tuple[int, ...]
    size: tuple[int, ...]
    antialias: bool
    cubic_coeff: float


def opencv(how: Resizing) -> Picture | None:
    """Return ``cv2.resize``; if its size allows, by factors, because then its coordinates are ours."""
    names = {
        "nearest": "NEAREST",
        "nearest-exact": "NEAREST_EXACT",
        "linear": "LINEAR",
        "cubic": "CUBIC",
        "area": "AREA",
    }
    if how.antialias or how.mode not in names:
        return None
    cv2 = import_module("cv2")
    by_factor = how.size == tuple(round(n * how.scale) for n in how.shape)
    keys = {"fx": how.scale, "fy": how.scale} if by_factor else {}
    size, flag = None if by_factor else how.size[::-1], getattr(cv2, f"INTER_{names[how.mode]}")
    likeness: Likeness = "exact" if how.mode.startswith("nearest") else "close" if by_factor else "family"
    return lambda picture: cv2.resize(picture, size, interpolation=flag, **keys), likeness


def pillow(how: Resizing) -> Picture | None:
    """Return ``Image.resize`` of a Pillow image, which always antialiases."""
    names = {"nearest": "NEAREST", "linear": "BILINEAR", "cubic": "BICUBIC", "lanczos": "LANCZOS"}
    if how.mode not in names or (how.scale < 1 and not how.antialias):
        return None
    flag = getattr(import_module("PIL.Image").Resampling, names[how.mode])
    is_same = how.mode != "cubic" or how.cubic_coeff == -0.5
    likeness: Likeness = "exact" if how.mode == "nearest" else "close" if is_same else "family"
    return lambda picture: picture.resize(how.size[::-1], flag), likeness


def scikit_image(how: Resizing) -> Picture | None:
    """Return ``skimage.transform.resize``, without its Gaussian filter."""
    order = ORDERS.get(how.mode)
    if order is None:
        return None
    resize = import_module("skimage.transform").resize
    keys = {"order": order, "mode": "edge", "anti_aliasing": False, "preserve_range": True}
    return lambda picture: resize(picture, how.size, **keys), "close" if order == 1 else "family"


def zoomed(module: str, mode: str, factors: Sequence[float]) -> Picture | None:
    """Return ``zoom`` of ``scipy.ndimage`` or ``cupyx.scipy.ndimage``, which does not antialias."""
    order = ORDERS.get(mode)
    if order is None or min(factors) < 1:
        return None
    zoom = import_module(module).zoom
    call = lambda x: zoom(x, factors, order=order, mode="nearest", grid_mode=True)  # noqa: E731
    return call, "close" if order == 1 else "family"
