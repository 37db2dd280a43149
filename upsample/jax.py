"""jax.image's resize and scale_and_translate on any array, with the float32 weights of JAX.

JAX multiplies by dense matrices in an order that XLA chooses, so floating results agree within 1e-5 of the largest
input; nearest has the same bits as JAX on a CPU. This module imports no JAX.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arguments import as_tuple, axes_of, check_dtype, flag, integers, numbers
from upsample.arrays import Array
from upsample.autograd.torch_compile import opaque
from upsample.errors import bad_type, bad_value
from upsample.literals import EngineName, JaxMethod
from upsample.ops.call_chains import once
from upsample.ops.resize import resize as _run
from upsample.ops.taped_casts import convert
from upsample.plans.plan_cache import planned_for_sizes
from upsample.plans.resize import ResizePlan, tabled

__all__ = ["resize", "scale_and_translate"]


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]


_METHODS = {
    "nearest": "nearest",
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "linear"),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), "cubic"),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), "cubic-pytorch"),
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
    "area": "area",
}


def resize(
    image: Any,
    shape: Sequence[int],
    method: JaxMethod,
    antialias: bool = True,
    *,
    engine: EngineName | None = None,
) -> Any:
    """Resize an array to a shape, as jax.image.resize does.

    Parameters
    ----------
    image : array
        Any shape, real numbers or integers; any dtype for "nearest".
    shape : sequence of int
        The shape of the result, one size per axis. Axes whose size stays are not touched.
    method : str
        ``"nearest"``; ``"linear"``, ``"bilinear"``, ``"trilinear"`` or ``"triangle"``; ``"cubic"``, ``"bicubic"`` or
        ``"tricubic"`` (Keys' a = -1/2); ``"cubic-pytorch"`` or ``"bicubic-pytorch"`` (a = -3/4 and repeated edges
        without `antialias`, otherwise "cubic"); ``"lanczos3"``, ``"lanczos5"``; ``"area"``.
    antialias : bool
        Widen the filter when shrinking; "nearest" and "area" ignore it.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library and device of `image`, and its dtype if that is floating or the method is "nearest"; otherwise
        float32.

    Raises
    ------
    ValueError
        A shape of another length, a size below 1, an empty axis to resize, or another method.
    TypeError
        Another dtype or type.

    Notes
    -----
    Taps outside the image are dropped and the weights normalised. Weights are float32, and float64 for float64 images,
    as in JAX with x64 enabled.

    References
    ----------
    https://docs.jax.dev/en/latest/_autosummary/jax.image.resize.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.jax
    >>> upsample.jax.resize(np.asarray([0.0, 10.0]), (4,), "linear")
    array([ 0. ,  2.5,  7.5, 10. ])
    """
    return once(_resize, image, shape, method, antialias, engine)


def _resize(image: Any, shape: Sequence[int], method: JaxMethod, antialias: bool, engine: EngineName | None) -> Any:
    op = "resize"
    xp = arrays.namespace(op, {"image": image})
    if not isinstance(as_tuple(shape), tuple):
        raise bad_type(op, "shape", shape, "one size per axis is needed", "pass a tuple")
    sizes = integers(op, "shape", shape, image.ndim, least=0, one_for_all=False) if image.ndim or len(shape) else ()
    kind, smooth = _method(op, method), flag(op, "antialias", antialias)
    axes = tuple(axis for axis in range(image.ndim) if image.shape[axis] != sizes[axis])
    for axis in axes:
        if image.shape[axis] == 0 or sizes[axis] == 0:
            rule = f"axis {axis} of the image has {image.shape[axis]} samples"
            raise bad_value(op, "shape", shape, rule, "pass sizes of at least 1 for axes with samples")
    x = _floating(op, xp, image, kind)
    scale = tuple(float(np.float32(sizes[a] / image.shape[a])) for a in axes)
    if arrays.dtype_name(x) == "float64":
        scale = tuple(sizes[a] / image.shape[a] for a in axes)
    plan = _plan(
        axes,
        tuple(image.shape[a] for a in axes),
        tuple(sizes[a] for a in axes),
        scale,
        (0.0,) * len(axes),
        kind,
        smooth,
        _weights(x),
    )
    return _run(x, op=op, arguments=("image", "shape"), xp=xp, plan=plan, out=None, engine=engine)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Sequence[float],
    translation: Sequence[float],
    method: JaxMethod,
    antialias: bool = True,
    *,
    engine: EngineName | None = None,
) -> Any:
    """Scale and move an array, as jax.image.scale_and_translate does.

    Parameters
    ----------
    image : array
        Any shape, real numbers or integers.
    shape : sequence of int
        The shape of the result, one size per axis.
    spatial_dims : sequence of int
        The axes to scale and move; the others keep their size.
    scale, translation : sequence of float
        One per entry of `spatial_dims`: a point at ``x``, counted from the outer edge, is at
        ``x * scale + translation`` of the result.
    method : str
        A method of `resize`, except "nearest".
    antialias : bool
        Widen the filter when shrinking.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the dtype that `resize` returns; zero if the center of a sample is outside the image, except for
        "cubic-pytorch" without `antialias`, which repeats the edges.

    Raises
    ------
    ValueError
        Lengths that differ, an axis out of range or named twice, a scale that is not positive, or another method.
    TypeError
        Another dtype or type.

    References
    ----------
    https://docs.jax.dev/en/latest/_autosummary/jax.image.scale_and_translate.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.jax
    >>> upsample.jax.scale_and_translate(np.asarray([1.0, 2.0, 3.0]), (4,), (0,), (1.0,), (1.0,), "linear")
    array([0., 1., 2., 3.])
    """
    return once(_scale_and_translate, image, shape, spatial_dims, scale, translation, method, antialias, engine)


def _scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Sequence[float],
    translation: Sequence[float],
    method: JaxMethod,
    antialias: bool,
    engine: EngineName | None,
) -> Any:
    op = "scale_and_translate"
    xp = arrays.namespace(op, {"image": image})
    for argument, value in (("shape", shape), ("spatial_dims", spatial_dims), ("scale", scale)):
        if not isinstance(as_tuple(value), tuple):
            raise bad_type(op, argument, value, "a sequence is needed", "pass a tuple")
    sizes = integers(op, "shape", shape, image.ndim, least=0, one_for_all=False) if image.ndim or len(shape) else ()
    axes = _axes(op, spatial_dims, image, sizes)
    factors = numbers(op, "scale", scale, len(axes))
    moves = numbers(op, "translation", translation, len(axes))
    for factor in factors:
        if factor <= 0.0 or np.float32(factor) == 0.0:
            raise bad_value(op, "scale", scale, "it must be positive", "pass positive numbers")
    kind, smooth = _method(op, method), flag(op, "antialias", antialias)
    if kind == "nearest":
        raise bad_value(op, "method", method, "JAX has it for resize only", "call resize, or pass another method")
    x = _floating(op, xp, image, kind)
    order = sorted(range(len(axes)), key=lambda place: axes[place])
    in_sizes, out_sizes = (tuple(n[axes[p]] for p in order) for n in (image.shape, sizes))
    scales, shifts = (tuple(n[p] for p in order) for n in (factors, moves))
    plan = _plan(tuple(axes[p] for p in order), in_sizes, out_sizes, scales, shifts, kind, smooth, _weights(x))
    return _run(x, op=op, arguments=("image", "shape"), xp=xp, plan=plan, out=None, engine=engine)


def _axes(op: str, spatial_dims: Sequence[int], image: Array, sizes: tuple[int, ...]) -> tuple[int, ...]:
    axes = axes_of(op, "spatial_dims", spatial_dims, "image", image.ndim)
    for axis in range(image.ndim):
        if axis in axes and 0 in (image.shape[axis], sizes[axis]):
            raise bad_value(op, "shape", sizes, f"axis {axis} would have no samples", "pass sizes of at least 1")
        if axis not in axes and image.shape[axis] != sizes[axis]:
            rule = f"axis {axis} of the image has {image.shape[axis]} samples and is not in spatial_dims"
            raise bad_value(op, "shape", sizes, rule, "pass its size, or name it in spatial_dims")
    return axes


def _method(op: str, method: object) -> str:
    names = ", ".join(_METHODS)
    name = getattr(method, "name", method)  # a member of jax.image.ResizeMethod
    if not isinstance(name, str):
        raise bad_type(op, "method", method, "the name of a method is needed", f"pass one of {names}")
    if name.lower().replace("_", "-") not in _METHODS:
        raise bad_value(op, "method", method, "JAX does not have it", f"pass one of {names}")
    return _METHODS[name.lower().replace("_", "-")]


def _floating(op: str, xp: ModuleType, image: Array, kind: str) -> Array:
    """Return the image in the dtype of the result."""
    if kind == "nearest":
        check_dtype(op, "image", image, arrays.MOVABLE, "convert it")
        return image
    name = check_dtype(op, "image", image, arrays.FLOATING | arrays.INTEGER | {"bool"}, "convert it")
    return image if name in arrays.FLOATING else convert(xp, image, xp.float32)


def _weights(x: Array) -> str:
    return "float64" if arrays.dtype_name(x) == "float64" else "float32"


@planned_for_sizes
def _plan(
    axes: tuple[int, ...],
    in_sizes: tuple[int, ...],
    out_sizes: tuple[int, ...],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
    kind: str,
    antialias: bool,
    dtype: str,
) -> ResizePlan:
    if kind == "nearest":
        sizes = zip(in_sizes, out_sizes, strict=True)
        return ResizePlan(axes, tuple(tabled(n, o, "jax nearest", bits=0) for n, o in sizes))
    kernel = "cubic" if kind == "cubic-pytorch" and antialias else kind
    rows = zip(in_sizes, out_sizes, scale, translation, strict=True)
    rules = (tabled(n, o, "jax kernel", s, t, kernel, antialias, dtype, bits=0) for n, o, s, t in rows)
    return ResizePlan(axes, tuple(rules))


for _name in __all__:
    opaque(globals()[_name], open_sizes=True)
