"""What the functions of this dialect share: options, conversion, blur, interpolation and clipping."""

from __future__ import annotations

import math
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.arguments import flag, integer, number, one_of
from upsample.array_api import maximum
from upsample.errors import bad_value
from upsample.ops.call_chains import noted
from upsample.ops.integers import to_integers
from upsample.ops.resize import resize
from upsample.ops.spline import blur, zoom
from upsample.ops.taped_casts import clip, convert, multiply
from upsample.plans.arithmetic import Arithmetic, Ties
from upsample.plans.resize import ResizePlan
from upsample.plans.splines import blur_rules

__all__ = ["Options", "as_float", "axis_of", "blurred", "options_of", "resized"]

MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}
_NATIVE = ("uint8", "int8", "uint16", "int16", "int32")
"""Integers that an engine filters as they are."""


class Options(NamedTuple):
    """What resize takes besides sizes, checked."""

    op: str
    order: int
    mode: str
    cval: float
    clips: bool
    engine: str | None


def options_of(op: str, order: object, mode: object, cval: object, clip: object, engine: str | None) -> Options:
    """Check what all functions take, and translate the mode."""
    degree = integer(op, "order", order, least=0)
    if degree > 5:
        raise bad_value(op, "order", order, "it is at most 5", "pass 0 to 5")
    kind = MODES[one_of(op, "mode", mode, MODES, "scikit-image does not have it")]
    return Options(op, degree, kind, number(op, "cval", cval), flag(op, "clip", clip), engine)


def axis_of(op: str, value: object, ndim: int) -> int:
    """Return the axis of channels, counted from 0."""
    axis = integer(op, "channel_axis", value)
    if not -ndim <= axis < ndim:
        raise bad_value(op, "channel_axis", value, f"image has {ndim} axes", f"pass {-ndim} to {ndim - 1}")
    return axis % ndim


def as_float(xp: ModuleType, image: Any, preserves: bool) -> Any:
    """Convert as scikit-image does: integers to their share of the largest one, unless the range is preserved."""
    name = arrays.dtype_name(image)
    if name in ("float16", "bfloat16"):
        return convert(xp, image, xp.float32)
    if name in arrays.FLOATING:
        return image
    real = convert(xp, image, arrays.double(xp))
    if preserves or name == "bool":
        return real
    one = arrays.from_table(xp, np.full((1,) * image.ndim, 1.0 / np.iinfo(name).max), real)
    scaled = multiply(xp, real, arrays.astype(xp, one, real.dtype))
    return scaled if name in arrays.UNSIGNED else maximum(xp, scaled, xp.full_like(scaled, -1.0))


def resized(xp: ModuleType, image: Any, sizes: tuple[int, ...], sigmas: tuple[float, ...], options: Options) -> Any:
    """Blur, interpolate and clip."""
    filtered = blurred(xp, image, sigmas, options) if any(sigmas) else image
    source = filtered if options.order == 0 else convert(xp, filtered, arrays.double(xp))
    result = zoom(
        source,
        op=options.op,
        arguments=("image", "output_shape"),
        xp=xp,
        sizes=sizes,
        order=options.order,
        mode=options.mode,
        cval=options.cval,
        is_grid=True,
        filters=True,
        engine=options.engine,
    )
    result = convert(xp, result, image.dtype)
    if not options.clips or arrays.dtype_name(image) == "bool":
        return result
    value = options.cval if options.mode == "grid-constant" else None
    return noted(partial(_clipped, xp, value), image, result)


def blurred(xp: ModuleType, image: Any, sigmas: tuple[float, ...], options: Options) -> Any:
    """Blur in float64, and return the dtype of the image; integers are cut after each axis, as SciPy does."""
    name = arrays.dtype_name(image)
    names = ("image", "output_shape")
    if name in _NATIVE and not ("constant" in options.mode and options.cval):
        rules = [blur_rules(n, sigma, options.mode) for n, sigma in zip(image.shape, sigmas, strict=True)]
        for axis, own in enumerate(rules):
            for rule in own:
                plan = ResizePlan((axis,), (rule,), arithmetic=Arithmetic("float64", Ties.CUT, each_axis=True))
                image = resize(image, op=options.op, arguments=names, xp=xp, plan=plan, out=None, engine=options.engine)
        return image
    real = convert(xp, image, arrays.double(xp))
    result = blur(
        real,
        op=options.op,
        arguments=names,
        xp=xp,
        sigmas=sigmas,
        mode=options.mode,
        cval=options.cval,
        engine=options.engine,
    )
    if name in arrays.INTEGER:
        return to_integers(xp, result, image.dtype, name, "to zero")
    return convert(xp, result, image.dtype)


def _clipped(xp: ModuleType, outside: float | None, image: Any, result: Any) -> Any:
    """Clip to the range of the image; the value outside widens it where it is within the range of the result."""
    low, high = _range(xp, image)
    if outside is not None:
        value = arrays.astype(xp, arrays.from_table(xp, np.asarray(outside), image), image.dtype)
        least, most = _range(xp, result)
        widens = ((value < low) | (value > high)) & (least <= value) & (value <= most)
        low = xp.where(widens & (value < low), value, low)
        high = xp.where(widens & (value > high), value, high)
    return clip(xp, result, low, high)


def _range(xp: ModuleType, x: Any) -> tuple[Any, Any]:
    """Return the smallest and the largest value that is no NaN."""
    if arrays.dtype_name(x) not in arrays.FLOATING:
        return xp.min(x), xp.max(x)
    if xp is np:
        return np.fmin.reduce(x, axis=None), np.fmax.reduce(x, axis=None)
    nan = xp.isnan(x)
    infinite = xp.full_like(x, math.inf)
    return xp.min(xp.where(nan, infinite, x)), xp.max(xp.where(nan, -infinite, x))
