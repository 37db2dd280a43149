"""skimage.transform's pyramid_reduce and pyramid_expand."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arguments import check_dtype, flag, number
from upsample.arrays import Array
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName, SkimageBlurMode
from upsample.ops.call_chains import once
from upsample.skimage.calls import Options, as_float, axis_of, blurred, options_of, resized

__all__ = ["pyramid_expand", "pyramid_reduce"]

_BLUR_MODES = ("reflect", "constant", "nearest", "mirror", "wrap")


def pyramid_reduce(
    image: Any,
    downscale: float = 2,
    sigma: float | None = None,
    order: int = 1,
    mode: SkimageBlurMode = "reflect",
    cval: float = 0,
    preserve_range: bool = False,
    *,
    channel_axis: int | None = None,
    engine: EngineName | None = None,
) -> Any:
    """Blur an image and shrink it, as skimage.transform.pyramid_reduce does.

    Parameters
    ----------
    image : array
        Any shape; real numbers or integers.
    downscale : float
        Factor above 1; sizes are rounded up.
    sigma : float, optional
        Standard deviation of the blur; None is ``downscale / 3``.
    order : int
        Of the spline, 0 to 5.
    mode : {"reflect", "constant", "wrap"}
        How the image continues. The blur takes "reflect" for what `resize` calls "symmetric", as in scikit-image.
    cval : float
        The value outside, for "constant".
    preserve_range : bool
        Keep the range of integers.
    channel_axis : int, optional
        The axis of channels, which is neither blurred nor shrunk.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        float32 of float16 and float32, otherwise float64 (float32 if the library lacks it).

    Raises
    ------
    ValueError
        A factor of at most 1, an empty image, or an order or mode that does not exist.
    TypeError
        Another dtype or type.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.skimage
    >>> upsample.skimage.pyramid_reduce(np.ones((5, 4, 3)), channel_axis=-1).shape
    (3, 2, 3)
    """
    return once(_pyramid_reduce, image, downscale, sigma, order, mode, cval, preserve_range, channel_axis, engine)


def _pyramid_reduce(
    image: Any,
    downscale: float,
    sigma: float | None,
    order: int,
    mode: SkimageBlurMode,
    cval: float,
    preserve_range: bool,
    channel_axis: int | None,
    engine: EngineName | None,
) -> Any:
    op = "pyramid_reduce"
    xp, image, options, channels = _pyramid(op, image, order, mode, cval, preserve_range, channel_axis, engine)
    factor = _factor(op, "downscale", downscale)
    sizes = _kept(image, [math.ceil(n / factor) for n in image.shape], channels)
    smoothed = _smoothed(xp, image, 2 * factor / 6.0 if sigma is None else sigma, channels, mode, options)
    return resized(xp, smoothed, sizes, (0.0,) * image.ndim, options)


@documented_like(pyramid_reduce)
def pyramid_expand(
    image: Any,
    upscale: float = 2,
    sigma: float | None = None,
    order: int = 1,
    mode: SkimageBlurMode = "reflect",
    cval: float = 0,
    preserve_range: bool = False,
    *,
    channel_axis: int | None = None,
    engine: EngineName | None = None,
) -> Any:
    """Enlarge an image and blur it, as skimage.transform.pyramid_expand does.

    Parameters
    ----------
    upscale : float
        Factor above 1; sizes are rounded up.
    sigma : float, optional
        Standard deviation of the blur; None is ``upscale / 3``.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.skimage
    >>> upsample.skimage.pyramid_expand(np.ones((5, 4, 3)), channel_axis=-1).shape
    (10, 8, 3)
    """
    return once(_pyramid_expand, image, upscale, sigma, order, mode, cval, preserve_range, channel_axis, engine)


def _pyramid_expand(
    image: Any,
    upscale: float,
    sigma: float | None,
    order: int,
    mode: SkimageBlurMode,
    cval: float,
    preserve_range: bool,
    channel_axis: int | None,
    engine: EngineName | None,
) -> Any:
    op = "pyramid_expand"
    xp, image, options, channels = _pyramid(op, image, order, mode, cval, preserve_range, channel_axis, engine)
    factor = _factor(op, "upscale", upscale)
    sizes = _kept(image, [math.ceil(factor * n) for n in image.shape], channels)
    enlarged = resized(xp, image, sizes, (0.0,) * image.ndim, options)
    return _smoothed(xp, enlarged, 2 * factor / 6.0 if sigma is None else sigma, channels, mode, options)


def _pyramid(
    op: str,
    image: Any,
    order: object,
    mode: object,
    cval: object,
    preserve_range: object,
    channel_axis: object,
    engine: str | None,
) -> tuple[ModuleType, Any, Options, int | None]:
    xp = arrays.namespace(op, {"image": image})
    check_dtype(op, "image", image, arrays.FLOATING | arrays.INTEGER, "convert it")
    if 0 in image.shape:
        raise bad_value(op, "image", Raw(f"<shape {tuple(image.shape)}>"), "it has no samples", "pass samples")
    options = options_of(op, order, mode, cval, True, engine)
    if mode not in _BLUR_MODES:
        rule = "the blur does not have it"
        raise bad_value(op, "mode", mode, rule, "pass one of reflect, constant, wrap")
    channels = None if channel_axis is None else axis_of(op, channel_axis, image.ndim)
    return xp, as_float(xp, image, flag(op, "preserve_range", preserve_range)), options, channels


def _kept(image: Array, sizes: list[int], channels: int | None) -> tuple[int, ...]:
    return tuple(image.shape[axis] if axis == channels else size for axis, size in enumerate(sizes))


def _factor(op: str, argument: str, value: object) -> float:
    factor = number(op, argument, value)
    if factor <= 1.0:
        raise bad_value(op, argument, value, "it must be greater than 1", "pass a larger factor")
    return factor


def _smoothed(xp: ModuleType, image: Any, sigma: object, channels: int | None, mode: str, options: Options) -> Any:
    deviation = number(options.op, "sigma", sigma)
    if deviation < 0.0:
        raise bad_value(options.op, "sigma", sigma, "it must be at least 0", "pass a larger deviation")
    sigmas = tuple(0.0 if axis == channels else deviation for axis in range(image.ndim))
    return blurred(xp, image, sigmas, options._replace(mode=mode))
