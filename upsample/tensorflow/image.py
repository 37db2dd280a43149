"""tf.image.resize of TensorFlow 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arguments import check_dtype, flag, integers
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.literals import EngineName, TensorflowMethod, TensorflowV1Method
from upsample.ops.call_chains import once
from upsample.tensorflow.calls import (
    REAL,
    centres_of,
    checked,
    in_size_of,
    kernel_plan,
    known,
    pair,
    resized,
    run_float32,
)

__all__ = ["resize", "resize_v1"]

_KERNEL_METHODS = {name: name for name in ("lanczos3", "lanczos5", "gaussian", "mitchellcubic")}
_ANTIALIASED = {"bilinear": "triangle", "bicubic": "keyscubic"}
_METHODS = ("bilinear", "nearest", "bicubic", "area", *_KERNEL_METHODS)
_METHODS_V1 = ("bilinear", "nearest", "bicubic", "area")
"""In the order of their numbers in TensorFlow 1."""


def resize(
    images: ArrayT,
    size: Sequence[int],
    method: TensorflowMethod = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    *,
    exact: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Resize images, as tf.image.resize of TensorFlow 2 does: with half-pixel centers.

    Parameters
    ----------
    images : array
        ``[N, H, W, C]`` or ``[H, W, C]``, real numbers or integers; any dtype for "nearest".
    size : pair of int
        Height and width of the result.
    method : str
        ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"area"``, ``"lanczos3"``, ``"lanczos5"``, ``"gaussian"`` or
        ``"mitchellcubic"``.
    preserve_aspect_ratio : bool
        Scale both axes by the smaller of the two factors, so that the result fits into `size`.
    antialias : bool
        Widen the filter when shrinking. It counts for bilinear and bicubic; Lanczos, Gaussian and Mitchell's filter
        pass it on; nearest and area ignore it.
    exact : bool
        Keep TensorFlow's order of sums, and so its bits; slower, and no GPU kernel does it. "bilinear" without
        `antialias` cannot. Lanczos has other last bits of the sine.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        float32, or the dtype of `images` for "nearest"; of the library and device of `images`.

    Raises
    ------
    ValueError
        Another rank, an empty image, a size below 1, another method, or `exact` for one that cannot.
    TypeError
        Another dtype or type.

    Notes
    -----
    Bicubic weights come from a table of 1025 entries, with a = -1/2; taps outside the image are dropped and the rest is
    normalised. The antialiased bicubic filter has no table.

    References
    ----------
    https://www.tensorflow.org/api_docs/python/tf/image/resize

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> image = np.asarray([[[0], [10]]], dtype=np.uint8)
    >>> upsample.tensorflow.resize(image, (1, 4))[0, :, 0]
    array([ 0. ,  2.5,  7.5, 10. ], dtype=float32)
    """
    return once(_resize, images, size, method, preserve_aspect_ratio, antialias, exact, engine)


def _resize(
    images: ArrayT,
    size: Sequence[int],
    method: TensorflowMethod,
    preserve_aspect_ratio: bool,
    antialias: bool,
    exact: bool,
    engine: EngineName | None,
) -> Any:
    op = "resize"
    xp, axes = checked(op, images)
    kind = known(op, "method", method, _METHODS)
    in_size = in_size_of(images, axes)
    out_size = _out_size(op, in_size, size, preserve_aspect_ratio)
    smooth = flag(op, "antialias", antialias)
    kernel = _KERNEL_METHODS.get(kind) or (_ANTIALIASED.get(kind) if smooth else None)
    if kernel is None:
        return resized(op, xp, images, axes, out_size, kind, "legacy" if kind == "area" else "half", exact, engine)
    factors = tuple(float(np.float32(o) / np.float32(n)) for n, o in zip(in_size, out_size, strict=True))
    plan = kernel_plan(axes, in_size, out_size, factors, (0.0, 0.0), kernel, smooth, flag(op, "exact", exact))
    return run_float32(op, xp, images, plan, engine)


@documented_like(resize)
def resize_v1(
    images: ArrayT,
    size: Sequence[int],
    method: TensorflowV1Method | int = "bilinear",
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    *,
    exact: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Resize images, as tf.image.resize of TensorFlow 1 does: without half-pixel centers.

    Parameters
    ----------
    method : str or int
        ``"bilinear"`` (0), ``"nearest"`` (1), ``"bicubic"`` (2) or ``"area"`` (3).
    align_corners : bool
        Let the centers of the corner samples of both images meet.
    exact : bool
        Keep TensorFlow's order of sums, and so its bits; slower, and no GPU kernel does it. Of the methods that sum,
        only "area" without `align_corners` can.

    Returns
    -------
    array
        float32, or the dtype of `images` for "nearest". If the size stays, `images` itself, whatever its dtype.

    References
    ----------
    https://www.tensorflow.org/api_docs/python/tf/compat/v1/image/resize

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> image = np.asarray([[[0], [10]]], dtype=np.uint8)
    >>> upsample.tensorflow.resize_v1(image, (1, 4))[0, :, 0]
    array([ 0.,  5., 10., 10.], dtype=float32)
    """
    return once(_resize_v1, images, size, method, align_corners, preserve_aspect_ratio, exact, engine)


def _resize_v1(
    images: ArrayT,
    size: Sequence[int],
    method: TensorflowV1Method | int,
    align_corners: bool,
    preserve_aspect_ratio: bool,
    exact: bool,
    engine: EngineName | None,
) -> Any:
    op = "resize_v1"
    xp, axes = checked(op, images)
    is_number = type(method) is int and 0 <= method < len(_METHODS_V1)
    kind = known(op, "method", _METHODS_V1[cast(int, method)] if is_number else method, _METHODS_V1)
    in_size = in_size_of(images, axes)
    out_size = _out_size(op, in_size, size, preserve_aspect_ratio)
    centres = centres_of(op, align_corners, False)
    if out_size == in_size:
        check_dtype(op, "images", images, arrays.MOVABLE if kind == "nearest" else REAL, "convert it")
        return images
    return resized(op, xp, images, axes, out_size, kind, centres, exact, engine)


def _out_size(op: str, in_size: tuple[int, int], size: object, preserve_aspect_ratio: object) -> tuple[int, ...]:
    given = integers(op, "size", pair(op, "size", size), 2, least=1, one_for_all=False)
    if not flag(op, "preserve_aspect_ratio", preserve_aspect_ratio):
        return given
    factor = min(np.float32(o) / np.float32(n) for n, o in zip(in_size, given, strict=True))
    sizes = tuple(int(np.rint(factor * np.float32(n))) for n in in_size)
    if min(sizes) < 1:
        rule = f"the aspect ratio of {in_size} makes it {sizes}"
        raise bad_value(op, "size", size, rule, "pass a larger size, or preserve_aspect_ratio=False")
    return sizes
