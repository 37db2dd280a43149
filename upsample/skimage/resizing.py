"""skimage.transform.resize and rescale."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arguments import as_tuple, check_dtype, flag, integers, numbers
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName, SkimageMode
from upsample.ops.call_chains import once
from upsample.ops.taped_casts import convert, reshape
from upsample.skimage.calls import as_float, axis_of, options_of, resized

__all__ = ["rescale", "resize"]

_DTYPES = arrays.FLOATING | arrays.INTEGER | {"bool"}


def resize(
    image: Any,
    output_shape: Sequence[int],
    order: int | None = None,
    mode: SkimageMode = "reflect",
    cval: float = 0,
    clip: bool = True,
    preserve_range: bool = False,
    anti_aliasing: bool | None = None,
    anti_aliasing_sigma: float | Sequence[float] | None = None,
    *,
    engine: EngineName | None = None,
) -> Any:
    """Resize an image, as skimage.transform.resize does.

    Parameters
    ----------
    image : array
        Any shape; real numbers, integers or bools.
    output_shape : sequence of int
        Size of each axis; the last axis may be left out, and further ones may be appended.
    order : int, optional
        Of the spline, 0 (nearest) to 5. None is 1, and 0 for bools.
    mode : {"reflect", "symmetric", "edge", "constant", "wrap"}
        How the image continues, with the names of numpy.pad.
    cval : float
        The value outside, for "constant".
    clip : bool
        Clip the result to the range of the image; `cval` widens it if the result contains such values.
    preserve_range : bool
        Keep the range of integers, instead of mapping it to 0 … 1 or -1 … 1.
    anti_aliasing : bool, optional
        Blur before shrinking. None does for all but bools, and integers of order 0, if an axis shrinks.
    anti_aliasing_sigma : float or sequence of float, optional
        Standard deviations of the blur; None is ``max(0, (n / o - 1) / 2)``.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        float32 of float16 and float32, otherwise float64 (float32 if the library lacks it); order 0 keeps the dtype.

    Raises
    ------
    ValueError
        Another number of sizes, a size below 1, an empty image, or an order, mode or deviation that does not exist.
    TypeError
        Another dtype or type.

    Notes
    -----
    Every axis is blurred and resized, the channels too. scikit-image warns of a deviation on an axis that does not
    shrink; this function does not.

    References
    ----------
    https://scikit-image.org/docs/stable/api/skimage.transform.html#skimage.transform.resize

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.skimage
    >>> image = np.asarray([[0, 255]], dtype=np.uint8)
    >>> upsample.skimage.resize(image, (1, 4), mode="edge")
    array([[0.  , 0.25, 0.75, 1.  ]])
    """
    return once(
        _resize,
        image,
        output_shape,
        order,
        mode,
        cval,
        clip,
        preserve_range,
        anti_aliasing,
        anti_aliasing_sigma,
        engine,
    )


def _resize(
    image: Any,
    output_shape: Sequence[int],
    order: int | None,
    mode: SkimageMode,
    cval: float,
    clip: bool,
    preserve_range: bool,
    anti_aliasing: bool | None,
    anti_aliasing_sigma: float | Sequence[float] | None,
    engine: EngineName | None,
) -> Any:
    op = "resize"
    xp = arrays.namespace(op, {"image": image})
    name = check_dtype(op, "image", image, _DTYPES, "convert it")
    image, sizes = _shaped(op, xp, image, output_shape)
    if order is None:
        order = 0 if name == "bool" else 1
    shrinks = any(o < n for n, o in zip(image.shape, sizes, strict=True))
    if anti_aliasing is None:
        smooth = name != "bool" and not (name in arrays.INTEGER and order == 0) and shrinks
    else:
        smooth = flag(op, "anti_aliasing", anti_aliasing)
    options = options_of(op, order, mode, cval, clip, engine)
    if name == "bool" and (smooth or options.order):
        rule = "bools have order 0 and no anti_aliasing"
        raise bad_type(op, "image", Raw("<dtype bool>"), rule, "convert the image, or pass those")
    sigmas = _sigmas(op, tuple(image.shape), sizes, anti_aliasing_sigma) if smooth else (0.0,) * image.ndim
    if options.order:
        image = as_float(xp, image, flag(op, "preserve_range", preserve_range))
    elif name == "float16":
        image = convert(xp, image, xp.float32)
    return resized(xp, image, sizes, sigmas, options)


@documented_like(resize)
def rescale(
    image: Any,
    scale: float | Sequence[float],
    order: int | None = None,
    mode: SkimageMode = "reflect",
    cval: float = 0,
    clip: bool = True,
    preserve_range: bool = False,
    anti_aliasing: bool | None = None,
    anti_aliasing_sigma: float | Sequence[float] | None = None,
    *,
    channel_axis: int | None = None,
    engine: EngineName | None = None,
) -> Any:
    """Resize an image by factors, as skimage.transform.rescale does.

    Parameters
    ----------
    scale : float or sequence of float
        Factor of all spatial axes, or of each; sizes are rounded, halves to even, and at least 1.
    channel_axis : int, optional
        The axis of channels, which keeps its size. None is no such axis.

    Raises
    ------
    ValueError
        Another number of factors, an empty image, or an order, mode or deviation that does not exist.
    TypeError
        Another dtype or type.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.skimage
    >>> upsample.skimage.rescale(np.ones((4, 6, 3)), 0.5, channel_axis=-1).shape
    (2, 3, 3)
    """
    op = "rescale"
    arrays.namespace(op, {"image": image})
    channels = None if channel_axis is None else axis_of(op, channel_axis, image.ndim)
    spatial = [axis for axis in range(image.ndim) if axis != channels]
    factors = numbers(op, "scale", scale, len(spatial))
    sizes = list(image.shape)
    for axis, factor in zip(spatial, factors, strict=True):
        sizes[axis] = max(round(factor * sizes[axis]), 1)
    return resize(
        image,
        sizes,
        order,
        mode,
        cval,
        clip,
        preserve_range,
        anti_aliasing,
        anti_aliasing_sigma,
        engine=engine,
    )


def _shaped(op: str, xp: ModuleType, image: Any, output_shape: object) -> tuple[Any, tuple[int, ...]]:
    """Return the image with as many axes as there are sizes, and the sizes."""
    several = as_tuple(output_shape)
    if not isinstance(several, tuple):
        raise bad_type(op, "output_shape", output_shape, "one size per axis is needed", "pass a tuple")
    sizes = integers(op, "output_shape", several, len(several), least=1, one_for_all=False)
    if 0 in image.shape:
        raise bad_value(op, "image", Raw(f"<shape {tuple(image.shape)}>"), "it has no samples", "pass samples")
    if len(sizes) > image.ndim:
        image = reshape(xp, image, (*image.shape, *[1] * (len(sizes) - image.ndim)))
    if len(sizes) == image.ndim - 1:
        sizes = (*sizes, int(image.shape[-1]))
    if len(sizes) < image.ndim or not sizes:
        rule = f"image has {image.ndim} axes"
        raise bad_value(op, "output_shape", output_shape, rule, "pass one size per axis, or all but the last")
    return image, sizes


def _sigmas(op: str, shape: tuple[int, ...], sizes: tuple[int, ...], given: object) -> tuple[float, ...]:
    if given is None:
        return tuple(max(0.0, (n / o - 1) / 2) for n, o in zip(shape, sizes, strict=True))
    sigmas = numbers(op, "anti_aliasing_sigma", given, len(shape))
    if min(sigmas) < 0.0:
        raise bad_value(op, "anti_aliasing_sigma", given, "it must be at least 0", "pass larger deviations")
    return sigmas
