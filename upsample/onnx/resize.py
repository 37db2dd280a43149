"""ONNX Resize and Upsample."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.arguments import as_tuple, axes_of, check_dtype, integers, number, numbers
from upsample.arrays import Array, ArrayT
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName, OnnxCoordinates, OnnxMode, OnnxPolicy, OnnxRounding, OnnxUpsampleMode
from upsample.onnx.attributes import choice, flag_of, numbers_of
from upsample.ops.call_chains import once
from upsample.ops.integers import to_integers
from upsample.ops.resize import resize as _run
from upsample.ops.taped_casts import convert, fill
from upsample.plans.makers.onnx import COORDINATES, NEAREST, centres
from upsample.plans.plan_cache import planned_for_sizes
from upsample.plans.resize import AxisRule, ResizePlan, identity, tabled

__all__ = ["resize", "resize_of_opset_10", "upsample"]

_Ints = tuple[int, ...]
_MODES = ("nearest", "linear", "cubic")
_COORDINATES = tuple(name for name in COORDINATES if " " not in name)
_POLICIES = ("stretch", "not_larger", "not_smaller")
_CROP = "tf_crop_and_resize"


class _Options(NamedTuple):
    """What all axes have in common; the names are those of the attributes."""

    mode: str
    coordinates: str
    nearest_mode: str
    cubic_coeff_a: float
    antialias: bool
    exclude_outside: bool


class _Axis(NamedTuple):
    """One axis: its number, sizes, scale, and region."""

    axis: int
    in_size: int
    out_size: int
    scale: float
    begin: float
    end: float


def resize(
    X: ArrayT,
    roi: Sequence[float] | Array | None = None,
    scales: Sequence[float] | Array | None = None,
    sizes: Sequence[int] | Array | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: OnnxCoordinates = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: OnnxPolicy = "stretch",
    mode: OnnxMode = "nearest",
    nearest_mode: OnnxRounding = "round_prefer_floor",
    engine: EngineName | None = None,
) -> ArrayT:
    """Resize a tensor, as ONNX Resize does.

    Parameters
    ----------
    X : array
        Any shape. Floating, complex or integer; any dtype for "nearest".
    roi : sequence or array of float, optional
        The region for "tf_crop_and_resize": the begins of all `axes`, then the ends, from 0 to 1.
    scales : sequence or array of float, optional
        Factor of each of `axes`; the output size is ``floor(n * scale)``.
    sizes : sequence or array of int, optional
        Output size of each of `axes`. Exactly one of `scales` and `sizes` must be given; an empty one is none.
    antialias : {0, 1}
        Widen the filter of "linear" and "cubic" when shrinking.
    axes : sequence of int, optional
        The axes; None is all of them.
    coordinate_transformation_mode : str
        ``"half_pixel"``, ``"half_pixel_symmetric"``, ``"pytorch_half_pixel"``, ``"align_corners"``, ``"asymmetric"``,
        ``"tf_crop_and_resize"``, or ``"tf_half_pixel_for_nn"`` of opset 11.
    cubic_coeff_a : float
        Keys' a.
    exclude_outside : {0, 1}
        Drop taps outside and normalise the weights, instead of repeating the edge.
    extrapolation_value : float
        What "tf_crop_and_resize" has where a coordinate is outside the tensor.
    keep_aspect_ratio_policy : {"stretch", "not_larger", "not_smaller"}
        Take one scale for all `axes`, the smallest or the largest that `sizes` mean.
    mode : {"nearest", "linear", "cubic"}
        How samples are made.
    nearest_mode : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        Which sample "nearest" takes.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `X`. Integers are cut towards zero and saturated.

    Raises
    ------
    ValueError
        Attributes that do not match, an empty axis to resize, or a result without samples.
    TypeError
        Another dtype or type.

    Notes
    -----
    A scale and the size it makes are kept apart: ``n * scale`` need not be an integer, and "align_corners",
    "half_pixel_symmetric" and "tf_crop_and_resize" use it as it is. Antialiased weights are normalised before taps
    outside are moved onto the edge; Pillow and torch cut the filter instead.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__Resize.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> x = np.asarray([[[1.0, 2.0]]])
    >>> upsample.onnx.resize(x, scales=[1.0, 1.0, 2.0], mode="linear")
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    >>> upsample.onnx.resize(x, sizes=[3], axes=[2])
    array([[[1., 1., 2.]]])
    """
    result: ArrayT = once(
        _resize,
        X,
        roi,
        scales,
        sizes,
        antialias,
        axes,
        coordinate_transformation_mode,
        cubic_coeff_a,
        exclude_outside,
        extrapolation_value,
        keep_aspect_ratio_policy,
        mode,
        nearest_mode,
        engine,
    )
    return result


def _resize(
    X: ArrayT,
    roi: Sequence[float] | Array | None,
    scales: Sequence[float] | Array | None,
    sizes: Sequence[int] | Array | None,
    antialias: int,
    axes: Sequence[int] | None,
    coordinate_transformation_mode: OnnxCoordinates,
    cubic_coeff_a: float,
    exclude_outside: int,
    extrapolation_value: float,
    keep_aspect_ratio_policy: OnnxPolicy,
    mode: OnnxMode,
    nearest_mode: OnnxRounding,
    engine: EngineName | None,
) -> ArrayT:
    op = "resize"
    options = _Options(
        choice(op, "mode", mode, _MODES),
        choice(op, "coordinate_transformation_mode", coordinate_transformation_mode, _COORDINATES),
        choice(op, "nearest_mode", nearest_mode, tuple(NEAREST)),
        number(op, "cubic_coeff_a", cubic_coeff_a),
        flag_of(op, "antialias", antialias),
        flag_of(op, "exclude_outside", exclude_outside),
    )
    if options.antialias and mode == "nearest":
        raise bad_value(op, "antialias", antialias, "nearest has none", "omit it, or pass another mode")
    outside = number(op, "extrapolation_value", extrapolation_value)
    policy = choice(op, "keep_aspect_ratio_policy", keep_aspect_ratio_policy, _POLICIES)
    xp = arrays.namespace(op, {"X": X})
    places = _places(op, axes, X.ndim)
    region = _region(op, roi if options.coordinates == _CROP else None, len(places), options.coordinates)
    in_sizes = tuple(int(X.shape[axis]) for axis in places)
    out_sizes, factors = _sizes(op, in_sizes, scales, sizes, policy)
    rows = tuple(_Axis(*row) for row in zip(places, in_sizes, out_sizes, factors, *region, strict=True))
    result: ArrayT = _resized(op, xp, X, tuple(sorted(rows)), options, outside, engine)
    return result


def upsample(
    X: ArrayT, scales: Sequence[float] | Array, *, mode: OnnxUpsampleMode = "nearest", engine: EngineName | None = None
) -> ArrayT:
    """Enlarge a tensor, as ONNX Upsample of opsets 7 and 9 does; opset 10 replaced it by Resize.

    Parameters
    ----------
    X : array
        Any shape. Floating, complex or integer; any dtype for "nearest".
    scales : sequence or array of float
        Factor of each axis, at least 1.
    mode : {"nearest", "linear"}
        How samples are made.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `X`.

    Raises
    ------
    ValueError
        Not one scale per axis, a scale below 1, an empty axis, or another mode.
    TypeError
        Another dtype or type.

    Notes
    -----
    Output ``i`` is at ``i / scale``. Sizes and coordinates are products and quotients in float32, as in onnxruntime;
    onnx's reference evaluator takes whole scales only.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__Upsample.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> upsample.onnx.upsample(np.asarray([[1.0, 2.0]]), [1.0, 2.0])
    array([[1., 1., 2., 2.]])
    """
    op = "upsample"
    xp = arrays.namespace(op, {"X": X})
    kind = choice(op, "mode", mode, _MODES[:2])
    factors = _factors(op, scales, X.ndim)
    if min(factors, default=1.0) < 1.0:
        raise bad_value(op, "scales", factors, "Upsample only enlarges", "pass scales of at least 1, or call resize")
    options = _Options(kind, "asymmetric float32", "floor", 0.0, antialias=False, exclude_outside=False)
    sizes = [int(np.floor(np.float32(n) * np.float32(f))) for n, f in zip(X.shape, factors, strict=True)]
    rows = (_Axis(a, int(X.shape[a]), sizes[a], f, 0.0, 1.0) for a, f in enumerate(factors))
    result: ArrayT = _resized(op, xp, X, tuple(rows), options, 0.0, engine)
    return result


def resize_of_opset_10(
    X: ArrayT, scales: Any, *, mode: OnnxUpsampleMode = "nearest", engine: EngineName | None = None
) -> ArrayT:
    """Run Resize of opset 10: asymmetric, and nearest takes the sample above where the axis shrinks."""
    op = "resize"
    xp = arrays.namespace(op, {"X": X})
    kind = choice(op, "mode", mode, _MODES[:2])
    options = _Options(kind, "asymmetric", "by scale", 0.0, antialias=False, exclude_outside=False)
    in_sizes = tuple(int(n) for n in X.shape)
    out_sizes, factors = _sizes(op, in_sizes, scales, None, "stretch")
    rows = (_Axis(a, n, o, f, 0.0, 1.0) for a, (n, o, f) in enumerate(zip(in_sizes, out_sizes, factors, strict=True)))
    result: ArrayT = _resized(op, xp, X, tuple(rows), options, 0.0, engine)
    return result


def _places(op: str, axes: object, ndim: int) -> _Ints:
    if axes is None:
        return tuple(range(ndim))
    several = as_tuple(axes)
    return axes_of(op, "axes", several if isinstance(several, tuple) else (axes,), "X", ndim)


def _region(op: str, roi: Any, count: int, coordinates: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the begin and the end of the region on each axis; only "tf_crop_and_resize" has one."""
    if coordinates != _CROP:
        return (0.0,) * count, (1.0,) * count
    if roi is None:
        raise bad_value(op, "roi", None, f"{_CROP!r} needs it", f"pass {2 * count} numbers")
    region = numbers(op, "roi", numbers_of(op, "roi", roi), 2 * count)
    return region[:count], region[count:]


def _factors(op: str, scales: Any, count: int) -> tuple[float, ...]:
    factors = numbers(op, "scales", numbers_of(op, "scales", scales), count)
    for factor in factors:
        if factor <= 0.0:
            raise bad_value(op, "scales", factors, "a scale must be positive", "pass positive numbers")
    return factors


def _is_given(value: Any) -> bool:
    """Whether an input is there; opset 11 has empty tensors for those that are not."""
    if isinstance(value, (list, tuple)):
        return len(value) > 0
    return value is not None and tuple(getattr(value, "shape", ())) != (0,)


def _sizes(op: str, in_sizes: _Ints, scales: Any, sizes: Any, policy: str) -> tuple[_Ints, tuple[float, ...]]:
    """Return the output sizes and the scales."""
    count = len(in_sizes)
    if count and _is_given(scales) == _is_given(sizes):
        rule = "sizes are given, too" if _is_given(scales) else "neither scales nor sizes are given"
        raise bad_value(op, "scales", Raw("<array>") if _is_given(scales) else None, rule, "pass one of them")
    if not _is_given(sizes):
        factors = _factors(op, scales, count) if count else ()
        return tuple(int(np.floor(n * f)) for n, f in zip(in_sizes, factors, strict=True)), factors
    wanted = integers(op, "sizes", numbers_of(op, "sizes", sizes), count, least=1, one_for_all=False)
    _check_samples(op, in_sizes)
    factors = tuple(o / n for n, o in zip(in_sizes, wanted, strict=True))
    if policy == "stretch":
        return wanted, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return tuple(int(factor * n + 0.5) for n in in_sizes), (factor,) * count


def _check_samples(op: str, in_sizes: _Ints) -> None:
    if 0 in in_sizes:
        raise bad_value(op, "X", Raw("<an empty axis>"), "it has no samples", "leave that axis out of axes")


def _resized(
    op: str, xp: ModuleType, x: ArrayT, rows: tuple[_Axis, ...], options: _Options, outside: float, engine: str | None
) -> Any:
    points = options.mode == "nearest"
    allowed = arrays.MOVABLE if points else arrays.FLOATING | arrays.COMPLEX | arrays.INTEGER
    name = check_dtype(op, "X", x, allowed, "convert it")
    plan = _plan(op, rows, options)
    is_integer = not points and name in arrays.INTEGER
    source = convert(xp, x, arrays.double(xp)) if is_integer else x
    result = _run(source, op=op, arguments=("X", "sizes"), xp=xp, plan=plan, out=None, engine=engine)
    if options.coordinates == _CROP:
        result = _filled(xp, result, rows, outside)
    return to_integers(xp, result, x.dtype, name, "to zero") if is_integer else result


@planned_for_sizes
def _plan(op: str, rows: tuple[_Axis, ...], options: _Options) -> ResizePlan:
    rules = []
    for row in rows:
        if row.out_size < 1:
            rule = f"it makes {row.in_size} samples of axis {row.axis} into {row.out_size}"
            raise bad_value(op, "scales", row.scale, rule, "pass a scale that leaves at least one sample")
        if not _stays(row):
            _check_samples(op, (row.in_size,))
        rules.append(identity(row.in_size) if _stays(row) else _rule(row, options))
    return ResizePlan(tuple(row.axis for row in rows), tuple(rules))


def _stays(row: _Axis) -> bool:
    """Whether the axis is not resized: every mode keeps samples at their places."""
    return row.scale == 1.0 and row.out_size == row.in_size and (row.begin, row.end) == (0.0, 1.0)


def _rule(row: _Axis, options: _Options) -> AxisRule:
    where = (options.coordinates, row.scale, row.begin, row.end)
    if options.mode == "nearest":
        rounding = options.nearest_mode
        if rounding == "by scale":
            rounding = "ceil" if row.scale < 1.0 else "floor"
        return tabled(row.in_size, row.out_size, "onnx nearest", *where, rounding, bits=0)
    filters = (options.mode, options.cubic_coeff_a, options.antialias, options.exclude_outside)
    return tabled(row.in_size, row.out_size, "onnx weighted", *where, *filters, bits=0)


def _filled(xp: ModuleType, x: Any, rows: tuple[_Axis, ...], value: float) -> Any:
    """Put the value where the coordinate of any axis is outside the tensor."""
    outside: Any = np.zeros((1,) * x.ndim, dtype=bool)
    for axis, n, o, scale, begin, end in rows:
        if (begin, end) == (0.0, 1.0) and o == n:
            continue
        place = centres(n, o, np.arange(o), _CROP, scale, begin, end)
        is_out = (place < 0.0) | (place > n - 1)
        outside = outside | is_out.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    if not outside.any():
        return x
    filler = arrays.astype(xp, arrays.from_table(xp, np.full((1,) * x.ndim, value), x), x.dtype)
    return fill(xp, x, arrays.from_table(xp, outside, x), filler)
