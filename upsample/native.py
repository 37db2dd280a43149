"""The native dialect: resampling any axes of any array."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from upsample import arrays
from upsample.arguments import (
    as_tuple,
    axes_of,
    check_dtype,
    check_no_factor,
    flag,
    integers,
    number,
    numbers,
    one_of,
    sizes_after,
)
from upsample.arrays import Array, ArrayT
from upsample.autograd.torch_compile import opaque
from upsample.borders import Request, borders_of, plan_bordered
from upsample.copies import copy
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import Boundary, EngineName, MissingValues, ResizeMode
from upsample.ops import call_cache
from upsample.ops.resize import resize as _run
from upsample.plans.arithmetic import BYTES, NEAREST, TORCH_BYTES
from upsample.plans.filters import FILTERS, Weighted, keeps_samples
from upsample.plans.plan_cache import Resized, planned_later
from upsample.plans.resize import AxisRule, ResizePlan, Rounding, identity
from upsample.tensors import has_symbols

__all__ = ["resize"]

_ONE_AXIS = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
"""Names for several axes at once, by which others call what each axis does here."""
_LARGEST_COEFFICIENT = 100.0
_MOST_CHANNELS = 4
"""Samples of an axis up to which it looks like an image's channels."""
_POINTS = ("nearest", "nearest-exact")
_MEANS = (*_POINTS, "linear", "area")
"""Modes without negative weights: results lie between the least and the largest sample."""
_PLACES = 7
"""Binary places of the 16-bit numbers between the axes of bytes; one less where numbers leave 0 to 255."""
_MOST_BLURS, _LARGEST_IN_BYTES = 3, 1.0
"""Axes, and Keys' a, of modes with negative weights for which 6 places are few enough: numbers stay below 512."""
_MOST_SHRINKING = 256
"""Input samples for each output sample up to which weights of 15 binary places err by less than half a level."""
_WIDE = frozenset({"int64", "uint64"})
_INTEGERS = arrays.INTEGER - _WIDE
_DTYPES = arrays.FLOATING | arrays.COMPLEX | _INTEGERS


def resize(
    x: ArrayT,
    shape: int | Sequence[int] | None = None,
    *,
    scale: float | Sequence[float] | None = None,
    axes: int | Sequence[int] | None = None,
    mode: ResizeMode | Sequence[ResizeMode] = "linear",
    antialias: bool = False,
    align_corners: bool = False,
    cubic_coeff: float = -0.75,
    boundary: Boundary | None = None,
    cval: float = 0.0,
    box: Sequence[Sequence[float]] | Sequence[float] | None = None,
    offset: float | Sequence[float] = 0.0,
    nan: MissingValues = "propagate",
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Resample any axes of an array, whatever its layout.

    Parameters
    ----------
    x : array
        Any shape. Floating, complex or integers of 8 to 32 bits; any dtype when every mode is nearest or nearest-exact.
    shape : int or sequence of int, optional
        Output size of each of `axes`, in their order.
    scale : float or sequence of float, optional
        Output size over input size of each of `axes`, in their order: the output size is ``floor(n * scale)``, and
        coordinates use `scale` itself. Exactly one of `shape` and `scale` must be given.
    axes : int or sequence of int, optional
        The axes to resample, negative ones from the end; None is all of them, the channels of an image too.
    mode : str or sequence of str
        One for all axes or one each: ``"nearest"``, ``"nearest-exact"``, ``"linear"``, ``"cubic"``, ``"lanczos"``,
        ``"area"``, ``"hamming"``, ``"mitchell"``, or interpolating splines ``"spline2"``, ``"spline3"``, ``"spline4"``,
        ``"spline5"``.
    antialias : bool
        Widen the filter when shrinking, as Pillow does (all but nearest, nearest-exact and area).
    align_corners : bool
        Let the centres of the corner samples of both grids meet (linear, cubic and splines).
    cubic_coeff : float
        Keys' a: -0.75 as in OpenCV and torch; -0.5, Catmull and Rom's, as in Pillow and in torch's antialias.
    boundary : {"edge", "reflect", "mirror", "wrap", "constant"}, optional
        What lies beyond the border, by SciPy's names: the edge sample again; the samples mirrored at the border, or at
        the edge sample; the other end; or `cval`. By default the edge sample, but antialiased filters are cut off at
        the border and normalised.
    cval : float
        The constant of ``boundary="constant"``.
    box : pair of float, or one for each of `axes`, optional
        From where to where an axis is resampled, in samples; ``(0, n)`` is the whole of it. It may pass the border.
    offset : float or sequence of float
        By how many samples all outputs are moved to the right.
    nan : {"propagate", "omit"}
        What becomes of NaN: it reaches every output that has a weight on it, or counts as missing, and the weights of
        the samples that are there are made to sum to one; NaN where none is.
    out : array, optional
        Receives the result: its shape and dtype, no memory shared with `x`.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `x`. Integers are rounded to nearest, ties to even, and clamped to the
        dtype, once, after all axes.

    Raises
    ------
    ValueError
        Both or neither of `shape` and `scale`, a size below 1, an axis twice or out of range, lengths that differ
        from that of `axes`, a mode, `boundary`, `antialias` or `align_corners` that does not exist, an empty axis to
        resample, an empty box, `cval` for another boundary.
    TypeError
        Another dtype or type.

    Warns
    -----
    UserWarning
        `axes` is None, and an axis of two to four samples that is resampled looks like the channels of an image.

    See Also
    --------
    upsample.interpolate : The version of torch, channels first.

    Notes
    -----
    Coordinates are those of half-pixel centres, ``(i + 1/2) * n / o - 1/2``, in float64, with ``1 / scale`` for
    ``n / o`` where `scale` is given; nearest takes
    ``floor(i * n / o)`` and nearest-exact ``floor((i + 1/2) * n / o)``, exactly; area is the mean of the samples in
    ``[floor(i * n / o), ceil((i + 1) * n / o))``. Beyond the border the edge sample repeats; antialiased filters are
    cut off there and normalised.

    hamming is a sinc under Hamming's window, as in Pillow; mitchell is Mitchell and Netravali's cubic, which blurs a
    little; splines go through the samples, as those of scipy.ndimage.zoom with ``grid_mode=True``. An output of a
    spline depends on 17, 23, 30 or 36 samples on both sides (spline2 to spline5), with weights that fall off quickly.

    A NaN or an infinity reaches, along each axis, the outputs of nearest that copy it; of area, those whose interval
    contains it; of linear and hamming, cubic and mitchell, and lanczos those whose centre is less than 1, 2 or 3
    samples away, and of splines less than 17 to 36 (with `antialias`, times the step where that is over 1). A sample of
    weight zero does not count, so an output just at the place of a sample is that sample; in `interpolate`, as in
    torch, it counts. Two kinds do count: a weight that is zero between others, as some of an antialiased cubic, and
    weights of lanczos and splines at whole distances, about 1e-17. With
    ``nan="omit"`` an output is the weighted mean of what is there, and NaN where the weights of that sum to less than
    2**-16; weights of cubic and lanczos are negative in places, so their means may overshoot where much is missing.

    Sums of integers other than uint8 are made in float64, first rounded to multiples of 2**-16 and then to integers, so
    that a sum that is a tie is one on every engine: a result lies within ``1/2 + 2**-17`` of the exact value, and
    engines agree bit for bit. JAX without ``jax_enable_x64`` sums 8 and 16 bits in float32 and refuses 32.

    Sums of uint8 are made in integers, and engines agree bit for bit. Weights have up to 15 binary places, and axes
    hand on 16-bit numbers with 6 or 7: a result lies within 0.55 of the exact value if outputs have at most 64 taps,
    and errors average to zero, so that a picture halved again and again keeps its brightness. Splines, axes that shrink
    more than 256 times, and every mode with `boundary`, `box` or `offset`, are summed as other integers are. torch and
    Pillow round and clamp each axis to bytes, which beside edges of black and white differs by up to 60 levels in cubic
    and lanczos.

    Examples
    --------
    An image, height by width by channels, to twice its size:

    >>> import numpy as np, upsample
    >>> image = np.zeros((20, 30, 3), dtype=np.uint8)
    >>> upsample.resize(image, scale=2, axes=(0, 1), mode="cubic").shape
    (40, 60, 3)
    >>> upsample.resize(np.asarray([0.0, 10.0]), 4)
    array([ 0. ,  2.5,  7.5, 10. ])

    A 16-bit image:

    >>> upsample.resize(np.asarray([0, 60000], dtype=np.uint16), 4)
    array([    0, 15000, 45000, 60000], dtype=uint16)

    The middle of a signal, to a tenth of a sample; a ring:

    >>> upsample.resize(np.asarray([0.0, 10.0, 20.0]), 3, box=(1.0, 1.3))
    array([5.5, 6.5, 7.5])
    >>> upsample.resize(np.asarray([0.0, 10.0, 20.0]), 6, boundary="wrap")
    array([ 5. ,  2.5,  7.5, 12.5, 17.5, 15. ])
    """
    op = "resize"
    border_rules = (boundary, cval, box, offset)
    arguments = (shape, scale, axes, mode, antialias, align_corners, cubic_coeff, *border_rules, nan, engine)
    key, known = call_cache.lookup(op, arguments, (x,), out)
    if known is not None:
        result: ArrayT = known.run(x, out)
        return result
    xp = arrays.namespace(op, {"x": x})
    places = _axes(op, axes, x.ndim)
    modes = _modes(op, mode, len(places))
    points = all(m in _POINTS for m in modes)
    movable = not points and arrays.dtype_name(x) in arrays.MOVABLE
    remedy = "convert it, or use mode='nearest'" if movable else "convert it"
    dtype = check_dtype(op, "x", x, arrays.MOVABLE if points else _DTYPES | _WIDE, remedy)
    if dtype in _WIDE and not points:
        rule = "sums of 64-bit integers are exact in no dtype"
        raise bad_type(op, "x", Raw(f"<dtype {dtype}>"), rule, "convert it to int32 or float64, or use mode='nearest'")
    if shape is None and scale is None:
        raise bad_value(op, "shape", None, "neither shape nor scale is given", "pass one of them")
    if shape is not None and scale is not None:
        raise bad_value(op, "shape", shape, "scale is given too", "pass one of them")
    check_no_factor(op, "shape", shape, "scale")
    count = len(places)
    for argument, value in (("shape", shape), ("scale", scale)):
        _check_count(op, argument, value, axes, count)
    sizes = None if shape is None else integers(op, "shape", shape, count, least=1, one_for_all=False)
    scales = None if scale is None else numbers(op, "scale", scale, count)
    widens, corners = flag(op, "antialias", antialias), flag(op, "align_corners", align_corners)
    coefficient, in_sizes = _coefficient(op, cubic_coeff), tuple(x.shape[a] for a in places)
    for axis, n, name in zip(places, in_sizes, modes, strict=True):
        _check_options(op, axis, n, name, widens, corners)
    request = Request(op, in_sizes, places, sizes, scales, modes, widens, corners, coefficient)
    borders = borders_of(op, *border_rules, count, widens)
    if borders is None:
        plan = _plan(request, dtype if dtype in _INTEGERS else None)
    else:
        bordered = plan_bordered(request, borders)
        if not bordered.is_plan:
            _omits(op, nan, borders=True)
            return _delivered(op, cast(ArrayT, bordered.run(x, op, xp, engine)), x, out)
        plan = bordered.plan
    if axes is None and not has_symbols(tuple(x.shape)):
        _warn_of_channels(op, tuple(x.shape), plan)
    if _omits(op, nan, borders=False) and dtype in arrays.FLOATING | arrays.COMPLEX:
        from upsample.ops.nan_omit import resize_present

        return resize_present(x, op=op, arguments=("x", "shape"), xp=xp, plan=plan, out=out, engine=engine)
    result = _run(x, op=op, arguments=("x", "shape"), xp=xp, plan=plan, out=out, engine=engine)
    call_cache.store(key, "resize", plan, (x,), (result,), engine)
    return result


def _warn_of_channels(op: str, shape: tuple[int, ...], plan: ResizePlan) -> None:
    """Warn if the caller named no axes and an axis that looks like channels is resampled."""
    for place, others in ((-1, (-3, -2)), (-3, (-2, -1))):
        if len(shape) > 2 and 1 < shape[place] <= _MOST_CHANNELS and plan.out_shape(shape)[place] != shape[place]:
            meant = tuple(axis + len(shape) for axis in others)
            what = f"{op}: axes=None resamples all axes, and axis {place + len(shape)} of {shape} looks like channels"
            warnings.warn(f"{what}; pass axes={meant}, or name all axes", UserWarning, stacklevel=3)
            return


def _delivered(op: str, made: ArrayT, x: Array, out: Array | None) -> ArrayT:
    """Return a result, in `out` where that is given."""
    if out is None:
        return made
    arrays.check_out(op, out, tuple(made.shape), made.dtype, {"x": x})
    copy(made, out)
    return cast(ArrayT, out)


def _omits(op: str, nan: object, *, borders: bool) -> bool:
    """Return whether NaN is to be left out, which `borders` that are no plan do not allow."""
    if not isinstance(nan, str) or nan not in ("propagate", "omit"):
        error = bad_value if isinstance(nan, str) else bad_type
        raise error(op, "nan", nan, "it is the rule for NaN", "pass 'propagate' or 'omit'")
    if borders and nan == "omit":
        rule = "it cannot be combined with what lies beyond the border here"
        raise bad_value(op, "nan", nan, rule, "pass no boundary, cval, box or offset")
    return nan == "omit"


def _check_count(op: str, argument: str, value: object, axes: object, count: int) -> None:
    """Raise ValueError where there are more or fewer entries than axes, and say how to name those that are meant."""
    entries = as_tuple(value)
    if not isinstance(entries, tuple) or len(entries) == count:
        return
    rule, remedy = f"it has {len(entries)} entries for {count} axes", f"pass one for all, or {count}"
    if axes is None and 0 < len(entries) < count:
        first = min(1, count - len(entries) - 1)  # of [H, W, C], of [N, H, W, C]
        remedy = f"name the axes that are meant, such as axes={tuple(range(first, first + len(entries)))}"
    raise bad_value(op, argument, value, rule, remedy)


def _coefficient(op: str, cubic_coeff: object) -> float:
    value = number(op, "cubic_coeff", cubic_coeff)
    if abs(value) > _LARGEST_COEFFICIENT:
        rule = f"Keys' a lies between -1 and 0, and past ±{_LARGEST_COEFFICIENT} nothing of the image is left"
        raise bad_value(op, "cubic_coeff", cubic_coeff, rule, "pass -0.75 or -0.5")
    return value


def _axes(op: str, axes: object, ndim: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim))
    several = as_tuple(axes)
    return axes_of(op, "axes", several if isinstance(several, tuple) else (axes,), "x", ndim)


def _modes(op: str, mode: object, count: int) -> tuple[str, ...]:
    given = tuple(mode) if isinstance(mode, (list, tuple)) else (mode,) * count
    if len(given) != count:
        raise bad_value(op, "mode", mode, f"there are {count} axes", f"pass one mode, or {count}")
    for name in given:
        if isinstance(name, str) and name in _ONE_AXIS:
            raise bad_value(op, "mode", name, "this mode of an axis is unknown", f"pass {_ONE_AXIS[name]!r}")
        one_of(op, "mode", name, FILTERS, "this mode of an axis is unknown")
    return given  # type: ignore[return-value]


@planned_later(
    lambda of, _: Resized(of.axes, of.in_sizes, sizes_after(of.op, "scale", of.in_sizes, of.sizes, of.scales))
)
def _plan(request: Request, dtype: str | None) -> ResizePlan:
    rules = {}
    for place, (axis, n, mode) in enumerate(zip(request.axes, request.in_sizes, request.modes, strict=True)):
        o, step = request.spacing(place, n)
        is_same = n == o and step[0] == step[1] and (request.scales is None or request.scales[place] == 1.0)
        coefficient = request.coefficient(place)
        flags = (request.corners, request.antialias)
        skips = dtype is None and mode not in _POINTS  # integers are never NaN
        rules[axis] = (
            identity(n)
            if is_same and keeps_samples(FILTERS[mode], coefficient)
            else AxisRule(n, o, mode, step, *flags, coefficient, Rounding.FLOAT64, skips_zeros=skips)
        )
    order = tuple(sorted(rules))
    arithmetic = TORCH_BYTES if dtype in (None, "uint8") else NEAREST
    plan = ResizePlan(order, tuple(rules[axis] for axis in order), arithmetic=arithmetic)
    return _of_bytes(plan, request.modes, request.cubic_coeff) if dtype == "uint8" and not plan.only_moves else plan


def _of_bytes(plan: ResizePlan, modes: tuple[str, ...], cubic_coeff: float) -> ResizePlan:
    """Return the plan for uint8, whose results are rounded once."""
    blurs = sum(mode not in _MEANS for mode in modes)
    if (
        any(rule.in_size > _MOST_SHRINKING * rule.out_size for rule in plan.rules)
        or blurs > _MOST_BLURS
        or any(mode.startswith("spline") for mode in modes)
        or ("cubic" in modes and abs(cubic_coeff) > _LARGEST_IN_BYTES)
    ):
        return replace(plan, arithmetic=NEAREST)
    order, between = plan.filter_order(rounds=False), _PLACES if blurs == 0 else _PLACES - 1
    places = {axis: (between if axis != order[0] else 0, between if axis != order[-1] else 0) for axis in order}
    rules = [replace(r, places=places.get(axis)) for axis, r in zip(plan.axes, plan.rules, strict=True)]
    return replace(plan, rules=tuple(rules), order=order, arithmetic=BYTES)


def _check_options(op: str, axis: int, n: int, mode: str, antialias: bool, corners: bool) -> None:
    if n == 0:
        raise bad_value(op, "x", Raw("<an empty axis>"), f"axis {axis} has no samples", "leave it out of axes=")
    method = FILTERS[mode]
    weighted = isinstance(method, Weighted)
    if antialias and not weighted:
        having = ", ".join(name for name, m in FILTERS.items() if isinstance(m, Weighted))
        raise bad_value(op, "antialias", True, f"mode {mode!r} does not support it", f"omit it, or use {having}")
    if corners and not (isinstance(method, Weighted) and method.knows_corners):
        having = ", ".join(name for name, m in FILTERS.items() if isinstance(m, Weighted) and m.knows_corners)
        raise bad_value(op, "align_corners", True, f"mode {mode!r} does not support it", f"omit it, or use {having}")


opaque(resize, open_sizes=True)
