"""torch.nn.functional.interpolate and its deprecated forerunners."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np

from upsample import arrays
from upsample.arguments import (
    as_tuple,
    check_dtype,
    check_known,
    check_no_factor,
    check_rank,
    flag,
    integers,
    numbers,
    one_of,
    sizes_after,
)
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName, InterpolateMode, UpsampleMode
from upsample.ops import call_cache
from upsample.ops.resize import resize
from upsample.ops.torch_autocast import in_float32
from upsample.plans.plan_cache import Resized, planned_later
from upsample.plans.resize import AxisRule, ResizePlan, Rounding, identity

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

_LINEAR = arrays.FLOATING | arrays.COMPLEX
_OTHER_LAYOUTS = "upsample.resize takes other layouts"


@dataclass(frozen=True, slots=True)
class _Mode:
    """What torch allows for a mode, and the method behind it."""

    method: str
    ranks: tuple[int, ...]
    dtypes: frozenset[str]
    corners: bool = False
    antialias: bool = False


MODES: Mapping[str, _Mode] = MappingProxyType(
    {
        "nearest": _Mode("nearest", (3, 4, 5), arrays.MOVABLE),
        "nearest-exact": _Mode("nearest-exact", (3, 4, 5), arrays.MOVABLE),
        "area": _Mode("area", (3, 4, 5), _LINEAR),
        "linear": _Mode("linear", (3,), _LINEAR, corners=True),
        "bilinear": _Mode("linear", (4,), _LINEAR | {"uint8"}, corners=True, antialias=True),
        "trilinear": _Mode("linear", (5,), _LINEAR, corners=True),
        "bicubic": _Mode("cubic", (4,), _LINEAR | {"uint8"}, corners=True, antialias=True),
        "lanczos": _Mode("lanczos", (4,), _LINEAR | {"uint8"}, antialias=True),
    }
)


def interpolate(
    input: ArrayT,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: InterpolateMode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    r"""Resample the spatial axes to a size or by a factor, as ``torch.nn.functional.interpolate`` does.

    Parameters
    ----------
    input : array
        ``[N, C, W]``, ``[N, C, H, W]`` or ``[N, C, D, H, W]``; only N may be 0. Real floating or complex; uint8 for
        bilinear, bicubic and lanczos; any dtype for nearest and nearest-exact.
    size : int or sequence of int, optional
        Output size: one for all spatial axes, or one each.
    scale_factor : float or sequence of float, optional
        Output size over input size; the output size is ``floor(n * scale_factor)``. Exactly one of `size` and
        `scale_factor` must be given.
    mode : str
        ``"nearest"``, ``"nearest-exact"``, ``"area"``; ``"linear"`` (3-D input), ``"bilinear"``, ``"bicubic"``,
        ``"lanczos"`` (4-D), ``"trilinear"`` (5-D).
    align_corners : bool, optional
        For linear, bilinear, bicubic and trilinear: whether the centres of the corner samples of both grids meet,
        instead of the corners of their cells. None is False.
    recompute_scale_factor : bool, optional
        Whether coordinates use the ratio of the sizes instead of `scale_factor` itself, which differ where
        ``n * scale_factor`` is no integer.
    antialias : bool
        Widen the filter when shrinking, as Pillow does (bilinear, bicubic and lanczos; lanczos needs it).
    out : array, optional
        Receives the result: its shape and dtype, no memory shared with `input`.
    engine : str, optional
        Forces an engine: ``"cuda"``, ``"cpu"``, ``"dask"``, ``"jax"`` or ``"portable"``.

    Returns
    -------
    array
        ``[N, C, *size]``, of the library, dtype and device of `input`. uint8 rounds and clamps after each axis, the
        last axis first.

    Raises
    ------
    ValueError
        Wrong rank for the mode, both or neither of `size` and `scale_factor`, a size below 1, a scale that is not
        finite, `align_corners` or `antialias` with a mode that has none, a result past what memory can address.
    TypeError
        Another dtype or type, or mixed libraries.

    Notes
    -----
    With :math:`s` the input samples an output sample (1 / `scale_factor`, or the ratio of the sizes), output
    :math:`i` lies at :math:`c = s (i + 1/2) - 1/2`, with aligned corners at :math:`c = i (n - 1) / (o - 1)`. Linear
    weighs the two nearest samples by :math:`1 - |c - j|`, bicubic the four nearest by Keys' kernel with a = -0.75 (-0.5
    when antialiased). nearest takes sample :math:`\lfloor s i \rfloor`, nearest-exact :math:`\lfloor s (i + 1/2)
    \rfloor`. Coordinates are rounded as torch rounds them (float32 for everything but float64). Where torch
    contradicts itself (2-D nearest and nearest-exact have shortcuts that 1-D ones lack), its 1-D result holds.

    Four samples become eight, with half-pixel centres and with aligned corners::

        |   0   |   1   |   2   |   3   |        0       1       2       3
        | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |        0  1   2  3  4  5   6   7

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[[0.0, 10.0]]])
    >>> upsample.interpolate(x, size=4, mode="linear")
    array([[[ 0. ,  2.5,  7.5, 10. ]]])
    >>> upsample.interpolate(x, scale_factor=2)
    array([[[ 0.,  0., 10., 10.]]])
    """
    return _interpolate(
        "interpolate", input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, out, engine
    )


@documented_like(interpolate)
def upsample(
    input: ArrayT,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: UpsampleMode = "nearest",
    align_corners: bool | None = None,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Do as `interpolate` does, under the name that torch has deprecated.

    Warns
    -----
    DeprecationWarning
        Always, as torch does.

    Examples
    --------
    >>> import warnings, numpy as np, upsample
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     upsample.upsample(np.asarray([[[1, 2]]]), scale_factor=2)
    array([[[1, 1, 2, 2]]])
    """
    _deprecated("upsample")
    return _interpolate("upsample", input, size, scale_factor, mode, align_corners, None, False, out, engine)


@documented_like(interpolate)
def upsample_nearest(
    input: ArrayT,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Do as ``interpolate(mode="nearest")`` does, under the name that torch has deprecated.

    Warns
    -----
    DeprecationWarning
        Always, as torch does.

    Examples
    --------
    >>> import warnings, numpy as np, upsample
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     upsample.upsample_nearest(np.asarray([[[1, 2]]]), size=3)
    array([[[1, 1, 2]]])
    """
    _deprecated("upsample_nearest")
    return _interpolate("upsample_nearest", input, size, scale_factor, "nearest", None, None, False, out, engine)


@documented_like(interpolate)
def upsample_bilinear(
    input: ArrayT,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Do as ``interpolate(mode="bilinear", align_corners=True)`` does, under the name that torch has deprecated.

    Warns
    -----
    DeprecationWarning
        Always, as torch does.

    Examples
    --------
    >>> import warnings, numpy as np, upsample
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     upsample.upsample_bilinear(np.asarray([[[[0.0, 10.0]]]]), size=(1, 3))
    array([[[[ 0.,  5., 10.]]]])
    """
    _deprecated("upsample_bilinear")
    return _interpolate("upsample_bilinear", input, size, scale_factor, "bilinear", True, None, False, out, engine)


def _deprecated(name: str) -> None:
    warnings.warn(f"{name} is deprecated, use interpolate instead", DeprecationWarning, stacklevel=3)


def _interpolate(
    op: str,
    x: ArrayT,
    size: object,
    scale_factor: object,
    mode: object,
    align_corners: object,
    recompute_scale_factor: object,
    antialias: object,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    arguments = (size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, engine)
    key, known = call_cache.lookup(op, arguments, (x,), out)
    if known is not None:
        result: ArrayT = known.run(x, out)
        return result
    xp = arrays.namespace(op, {"input": x})
    name = check_mode(op, mode)
    rules = MODES[name]
    check_rank(op, "input", x, rules.ranks, f"[N, C, *spatial]{_other_mode(name, x.ndim)}; {_OTHER_LAYOUTS}")
    check_known(op, "input", x, range(2, x.ndim))
    x = in_float32(xp, f"{name}{x.ndim - 2}d", x)
    dtype = check_dtype(
        op, "input", x, rules.dtypes, f"convert it; mode {name!r} takes {', '.join(sorted(rules.dtypes))}"
    )
    spatial = tuple(x.shape[2:])
    if 0 in x.shape[1:]:
        raise bad_value(op, "input", Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    corners = check_corners(op, name, rules, align_corners)
    smooth = _antialias(op, name, rules, antialias)
    recompute = recompute_scale_factor is not None and flag(op, "recompute_scale_factor", recompute_scale_factor)
    if size is None and scale_factor is None:
        raise bad_value(op, "size", None, "neither size nor scale_factor is given", "pass one of them")
    if size is not None and scale_factor is not None:
        raise bad_value(op, "size", size, "scale_factor is given too", "pass one of them")
    check_no_factor(op, "size", size, "scale_factor")
    for argument, value in (("size", size), ("scale_factor", scale_factor)):
        several = as_tuple(value)
        if isinstance(several, tuple) and len(several) != len(spatial):
            rule = f"it has {len(several)} entries, and input {tuple(x.shape)} [N, C, *spatial]"
            raise bad_value(op, argument, value, rule, f"pass one for all, or {len(spatial)}; {_OTHER_LAYOUTS}")
    sizes = scales = None
    if size is not None:
        if recompute:
            raise bad_value(op, "recompute_scale_factor", True, "there is no scale_factor", "omit it")
        sizes = integers(op, "size", size, len(spatial), least=1, one_for_all=False)
    else:
        scales = numbers(op, "scale_factor", scale_factor, len(spatial))
    plan = _plan(op, spatial, sizes, scales, rules.method, corners, recompute or name == "area", smooth, dtype)
    result = resize(x, op=op, arguments=("input", "size"), xp=xp, plan=plan, out=out, engine=engine)
    call_cache.store(key, "resize", plan, (x,), (result,), engine)
    return result


def check_mode(op: str, mode: object) -> InterpolateMode:
    """Return the name of a mode that there is."""
    return cast(InterpolateMode, one_of(op, "mode", mode, MODES, "this mode is unknown"))


def _other_mode(mode: str, rank: int) -> str:
    """A hint at the mode of the same method for the rank received."""
    method = MODES[mode].method
    others = [name for name, other in MODES.items() if other.method == method and rank in other.ranks]
    return f", or mode={others[0]!r}" if others else f" for mode {mode!r}"


def check_corners(op: str, mode: str, rules: _Mode, align_corners: object) -> bool:
    """Return whether corners are aligned; None is False, and not every mode may be asked."""
    if align_corners is None:
        return False
    value = flag(op, "align_corners", align_corners)
    if not rules.corners and (value or mode != "lanczos"):  # torch lets lanczos have False
        having = ", ".join(name for name, other in MODES.items() if other.corners)
        raise bad_value(op, "align_corners", value, f"mode {mode!r} does not support it", f"omit it, or use {having}")
    return value


def _antialias(op: str, mode: str, rules: _Mode, antialias: object) -> bool:
    value = flag(op, "antialias", antialias)
    if value and not rules.antialias:
        having = ", ".join(name for name, other in MODES.items() if other.antialias)
        raise bad_value(op, "antialias", True, f"mode {mode!r} does not support it", f"omit it, or use {having}")
    if mode == "lanczos" and not value:
        raise bad_value(op, "antialias", False, "mode 'lanczos' needs it", "pass antialias=True")
    return value


@planned_later(
    lambda op, spatial, sizes, scales, *_: Resized(
        tuple(range(2, 2 + len(spatial))), spatial, sizes_after(op, "scale_factor", spatial, sizes, scales)
    )
)
def _plan(
    op: str,
    spatial: tuple[int, ...],
    sizes: tuple[int, ...] | None,
    scales: tuple[float, ...] | None,
    method: str,
    corners: bool,
    recompute: bool,
    antialias: bool,
    dtype: str,
) -> ResizePlan:
    """Work out torch's sizes, steps and roundings."""
    sizes, scales = sizes_after(op, "scale_factor", spatial, sizes, scales), None if recompute else scales
    rounding = _rounding(method, dtype)
    rules = []
    for place, (n, o) in enumerate(zip(spatial, sizes, strict=True)):
        scale = None if scales is None else scales[place]
        if n == o and (antialias or (dtype == "uint8" and method in ("linear", "cubic"))):
            rules.append(identity(n))  # whatever the factor, as torch does
            continue
        if n == o and method == "linear":
            rules.append(AxisRule(n, o, method, (1.0, 1.0), True, False, 0.0, rounding))
            continue
        step = (float(n), float(o)) if method == "area" else (_step(n, o, scale, corners, rounding), 1.0)
        cubic_coeff = -0.5 if antialias else -0.75
        rules.append(AxisRule(n, o, method, step, corners, antialias, cubic_coeff, rounding))
    return ResizePlan(tuple(range(2, 2 + len(spatial))), tuple(rules))


def _rounding(method: str, dtype: str) -> Rounding:
    points = method in ("nearest", "nearest-exact")
    if dtype == "float64" or (dtype == "complex128" and not points):
        return Rounding.FLOAT64_FLOORF
    return Rounding.FLOAT64 if dtype == "uint8" and not points else Rounding.FLOAT32


def _step(n: int, o: int, scale: float | None, corners: bool, rounding: Rounding) -> float:
    """Input samples per output sample, in the precision in which torch has it."""
    if corners:
        n, o, scale = n - 1, o - 1, None
        if o == 0:
            return 0.0
    if rounding is Rounding.FLOAT32:
        return float(np.float32(n) / np.float32(o) if scale is None else np.float32(1.0 / scale))
    return n / o if scale is None else 1.0 / scale
