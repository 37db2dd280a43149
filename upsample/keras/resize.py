"""Keras' UpSampling layers and image resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arguments import check_dtype, check_rank, flag, integers
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.keras.layout import choice, is_channels_last
from upsample.literals import DataFormat, EngineName, KerasBackend, KerasMethod
from upsample.ops.call_chains import once
from upsample.ops.integers import to_integers
from upsample.ops.resize import resize as _run
from upsample.ops.taped_casts import convert
from upsample.plans.plan_cache import Resized, planned_later
from upsample.plans.resize import AxisRule, ResizePlan, Rounding, tabled

__all__ = ["resize", "up_sampling_1d", "up_sampling_2d", "up_sampling_3d"]

_METHODS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
_BACKENDS = ("tensorflow", "jax", "torch")
_Ints = tuple[int, ...]


def up_sampling_1d(inputs: ArrayT, size: int = 2, *, engine: EngineName | None = None) -> ArrayT:
    """Repeat every step of a sequence, as keras.layers.UpSampling1D does.

    Parameters
    ----------
    inputs : array
        ``[N, steps, C]`` of any dtype.
    size : int
        How often each step is repeated.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, steps * size, C]``, of the library, dtype and device of `inputs`.

    Raises
    ------
    ValueError
        Another rank, an empty axis, or a size below 1.
    TypeError
        A size that is no integer.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.keras
    >>> upsample.keras.up_sampling_1d(np.asarray([[[1], [2]]])).ravel()
    array([1, 1, 2, 2])
    """
    result: ArrayT = once(_up_sampling_1d, inputs, size, engine)
    return result


def _up_sampling_1d(inputs: ArrayT, size: int, engine: EngineName | None) -> ArrayT:
    return _repeated("up_sampling_1d", inputs, size, 1, "channels_last", engine)


def up_sampling_2d(
    inputs: ArrayT,
    size: int | Sequence[int] = (2, 2),
    interpolation: KerasMethod = "nearest",
    data_format: DataFormat | None = None,
    *,
    engine: EngineName | None = None,
) -> Any:
    """Enlarge images by whole factors, as keras.layers.UpSampling2D does.

    Parameters
    ----------
    inputs : array
        ``[N, H, W, C]``, or ``[N, C, H, W]`` with "channels_first".
    size : int or pair of int
        The factors of height and width.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        "nearest" repeats samples and takes any dtype; the others are those of `resize`.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are; None is "channels_last".
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, H * size[0], W * size[1], C]``, or channels first, of the dtype of `inputs`: integers are rounded, halves
        to even, and saturated.

    Raises
    ------
    ValueError
        Another rank, an empty axis, a size below 1, or another interpolation.
    TypeError
        Another dtype or type.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.keras
    >>> x = np.asarray([0.0, 10.0]).reshape(1, 1, 2, 1)
    >>> upsample.keras.up_sampling_2d(x, (1, 2)).ravel()
    array([ 0.,  0., 10., 10.])
    >>> upsample.keras.up_sampling_2d(x, (1, 2), "bilinear").ravel()
    array([ 0. ,  2.5,  7.5, 10. ])
    """
    return once(_up_sampling_2d, inputs, size, interpolation, data_format, engine)


def _up_sampling_2d(
    inputs: ArrayT,
    size: int | Sequence[int],
    interpolation: KerasMethod,
    data_format: DataFormat | None,
    engine: EngineName | None,
) -> Any:
    op = "up_sampling_2d"
    kind = choice(op, "interpolation", interpolation, _METHODS)
    if kind == "nearest":
        return _repeated(op, inputs, size, 2, data_format, engine)
    arrays.namespace(op, {"inputs": inputs})
    axes = _axes(op, inputs, 2, data_format, (4,))
    factors = integers(op, "size", size, 2, least=1)
    sizes = tuple(inputs.shape[axis] * factor for axis, factor in zip(axes, factors, strict=True))
    return _resized(op, inputs, axes, sizes, kind, False, "tensorflow", engine)


@documented_like(up_sampling_2d)
def up_sampling_3d(
    inputs: ArrayT,
    size: int | Sequence[int] = (2, 2, 2),
    data_format: DataFormat | None = None,
    *,
    engine: EngineName | None = None,
) -> ArrayT:
    """Repeat every sample of volumes, as keras.layers.UpSampling3D does.

    Parameters
    ----------
    inputs : array
        ``[N, D, H, W, C]``, or ``[N, C, D, H, W]`` with "channels_first", of any dtype.
    size : int or sequence of three int
        The factors of depth, height and width.

    Returns
    -------
    array
        ``[N, D * size[0], H * size[1], W * size[2], C]``, or channels first, of the dtype of `inputs`.

    Raises
    ------
    ValueError
        Another rank, an empty axis, or a size below 1.
    TypeError
        A size that is no integer.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.keras
    >>> upsample.keras.up_sampling_3d(np.ones((1, 2, 3, 4, 1)), (1, 2, 3)).shape
    (1, 2, 6, 12, 1)
    """
    result: ArrayT = once(_up_sampling_3d, inputs, size, data_format, engine)
    return result


def _up_sampling_3d(
    inputs: ArrayT, size: int | Sequence[int], data_format: DataFormat | None, engine: EngineName | None
) -> ArrayT:
    return _repeated("up_sampling_3d", inputs, size, 3, data_format, engine)


def resize(
    images: Any,
    size: Sequence[int],
    interpolation: KerasMethod = "bilinear",
    antialias: bool = False,
    *,
    data_format: DataFormat | None = None,
    backend: KerasBackend = "tensorflow",
    engine: EngineName | None = None,
) -> Any:
    """Resize images, as keras.ops.image.resize does.

    Parameters
    ----------
    images : array
        ``[N, H, W, C]`` or ``[H, W, C]``, or channels first; real numbers or integers.
    size : pair of int
        Height and width of the result.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"}
        The method.
    antialias : bool
        Widen the filter when shrinking.
    data_format : {"channels_last", "channels_first"}, optional
        Where the channels are; None is "channels_last".
    backend : {"tensorflow", "jax", "torch"}
        The backend of Keras whose results are wanted.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `images`: integers are rounded, halves to even, and saturated.

    Raises
    ------
    ValueError
        Another rank, an empty image, a size below 1, another method or backend, or a method that the backend lacks.
    TypeError
        Another dtype or type.

    Notes
    -----
    The backends differ: "tensorflow" tabulates bicubic weights, has a = -1/2 and drops taps outside the image; "jax"
    has the same a without a table and computes "nearest" in other rounding; "torch" has a = -3/4 without `antialias`,
    repeats edges, and lacks Lanczos. "tensorflow" computes all but "nearest" in float32. Keras' options that crop or
    pad to the aspect ratio are not here: slice or pad the images.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.keras
    >>> upsample.keras.resize(np.asarray([0.0, 10.0]).reshape(1, 2, 1), (1, 4)).ravel()
    array([ 0. ,  2.5,  7.5, 10. ])
    """
    return once(_resize, images, size, interpolation, antialias, data_format, backend, engine)


def _resize(
    images: Any,
    size: Sequence[int],
    interpolation: KerasMethod,
    antialias: bool,
    data_format: DataFormat | None,
    backend: KerasBackend,
    engine: EngineName | None,
) -> Any:
    op = "resize"
    arrays.namespace(op, {"images": images})
    axes = _axes(op, images, 2, data_format, (3, 4))
    kind = choice(op, "interpolation", interpolation, _METHODS)
    sizes = integers(op, "size", size, 2, least=1)
    name = choice(op, "backend", backend, _BACKENDS)
    return _resized(op, images, axes, sizes, kind, flag(op, "antialias", antialias), name, engine)


def _axes(op: str, x: Array, spatial: int, data_format: object, ranks: _Ints) -> _Ints:
    """Return the spatial axes."""
    argument = "images" if op == "resize" else "inputs"
    check_rank(op, argument, x, ranks, "images with channels last or first")
    begin = x.ndim - spatial - (1 if is_channels_last(op, data_format) else 0)
    if 0 in x.shape[x.ndim - spatial - 1 :]:
        shape = Raw(f"<shape {tuple(x.shape)}>")
        raise bad_value(op, argument, shape, "only the batch may be empty", "pass samples")
    return tuple(range(begin, begin + spatial))


def _repeated(op: str, x: ArrayT, size: object, spatial: int, data_format: object, engine: str | None) -> ArrayT:
    xp = arrays.namespace(op, {"inputs": x})
    axes = _axes(op, x, spatial, data_format, (spatial + 2,))
    check_dtype(op, "inputs", x, arrays.MOVABLE, "convert it")
    factors = integers(op, "size", size, spatial, least=1)
    plan = _repeating(axes, tuple(x.shape[axis] for axis in axes), factors)
    return _run(x, op=op, arguments=("inputs", "size"), xp=xp, plan=plan, out=None, engine=engine)


@planned_later(
    lambda axes, in_sizes, factors: Resized(
        axes, in_sizes, tuple(n * f for n, f in zip(in_sizes, factors, strict=True))
    )
)
def _repeating(axes: _Ints, in_sizes: _Ints, factors: _Ints) -> ResizePlan:
    rules = (
        AxisRule(n, n * f, "nearest", (1.0, float(f)), False, False, 0.0, Rounding.FLOAT64)
        for n, f in zip(in_sizes, factors, strict=True)
    )
    return ResizePlan(axes, tuple(rules))


def _resized(
    op: str, x: Array, axes: _Ints, sizes: _Ints, kind: str, antialias: bool, backend: str, engine: str | None
) -> Any:
    xp = arrays.namespace(op, {"images": x})
    name = check_dtype(op, "images", x, arrays.FLOATING | arrays.INTEGER, "convert it")
    plan = _plan(op, axes, tuple(x.shape[axis] for axis in axes), sizes, kind, antialias, backend)
    own = kind == "nearest" or (name in arrays.FLOATING and backend != "tensorflow")
    source = x if own else convert(xp, x, xp.float32)
    result = _run(source, op=op, arguments=("images", "size"), xp=xp, plan=plan, out=None, engine=engine)
    if name in arrays.INTEGER and not own:
        return to_integers(xp, result, x.dtype, name, "half even")
    return convert(xp, result, x.dtype)


@planned_later(lambda _op, axes, in_sizes, sizes, *_: Resized(axes, in_sizes, sizes))
def _plan(op: str, axes: _Ints, in_sizes: _Ints, sizes: _Ints, kind: str, antialias: bool, backend: str) -> ResizePlan:
    rule = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]
    pairs = zip(in_sizes, sizes, strict=True)
    return ResizePlan(axes, tuple(rule(op, n, o, kind, antialias) for n, o in pairs))


def _tensorflow(_op: str, n: int, o: int, kind: str, antialias: bool) -> AxisRule:
    kernel = {"bilinear": "triangle", "bicubic": "keyscubic"}.get(kind, kind)
    if kind.startswith("lanczos") or (antialias and kind != "nearest"):
        scale = float(np.float32(o) / np.float32(n))
        return tabled(n, o, "tensorflow kernel", scale, 0.0, kernel, antialias, bits=0)
    return tabled(n, o, f"tensorflow {kind}", "half", bits=0)


def _jax(_op: str, n: int, o: int, kind: str, antialias: bool) -> AxisRule:
    if kind == "nearest":
        return tabled(n, o, "jax nearest", bits=0)
    kernel = {"bilinear": "linear", "bicubic": "cubic"}.get(kind, kind)
    return tabled(n, o, "jax kernel", float(np.float32(o / n)), 0.0, kernel, antialias, "float32", bits=0)


def _torch(op: str, n: int, o: int, kind: str, antialias: bool) -> AxisRule:
    if kind.startswith("lanczos"):
        raise bad_value(op, "interpolation", kind, "Keras lacks it with torch", "pass another backend or method")
    method = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest-exact"}[kind]
    smooth = antialias and kind != "nearest"
    step = float(np.float32(n) / np.float32(o))
    return AxisRule(n, o, method, (step, 1.0), False, smooth, -0.5 if smooth else -0.75, Rounding.FLOAT32)
