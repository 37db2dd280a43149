"""B-spline interpolation and Gaussian blur with the borders of scipy.ndimage: chains of resize plans."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.float_errors import quiet
from upsample.ops.resize import resize
from upsample.ops.taped_casts import add, fill
from upsample.plans.resize import AxisRule, ResizePlan, identity
from upsample.plans.spline_borders import along, share_outside
from upsample.plans.splines import applied, blur_rules, outside, zoom_rules

__all__ = ["blur", "zoom"]

_Names = tuple[str, str]


@quiet
def zoom(
    x: Array,
    *,
    op: str,
    arguments: _Names,
    xp: ModuleType,
    sizes: tuple[int, ...],
    order: int,
    mode: str,
    cval: float,
    is_grid: bool,
    filters: bool,
    engine: str | None,
) -> Any:
    """Interpolate all axes by a B-spline.

    Parameters
    ----------
    x : array
        A floating or complex array; any dtype for order 0.
    op : str
        The dialect's name of the operation, for errors.
    arguments : tuple of two str
        The dialect's names of `x` and of the size of the result.
    xp : module
        Namespace of `x`.
    sizes : tuple of int
        Shape of the result.
    order : int
        Order of the spline, 0 to 5.
    mode : str
        One of `upsample.plans.splines.MODES`.
    cval : float
        The value outside, for "constant" and "grid-constant".
    is_grid : bool
        Whether outer edges are aligned, not the centers of the corner samples.
    filters : bool
        Whether to filter samples into coefficients first; otherwise `x` contains coefficients.
    engine : str or None
        Forces an engine.
    """
    shape = tuple(x.shape)
    pairs = tuple(zip(shape, sizes, strict=True))
    rules = [zoom_rules(n, o, order, mode, is_grid, filters) for n, o in pairs]
    result = _chain(x, rules, op, arguments, xp, engine)
    if mode == "grid-constant" and order and cval:
        return _added(xp, result, share_outside(shape, sizes, order, is_grid, filters, cval))
    if "constant" in mode:
        masks = [outside(n, o, order, mode, is_grid) for n, o in pairs]
        return _filled(xp, result, masks, cval)
    return result


@quiet
def blur(
    x: Array,
    *,
    op: str,
    arguments: _Names,
    xp: ModuleType,
    sigmas: tuple[float, ...],
    mode: str,
    cval: float,
    engine: str | None,
) -> Any:
    """Blur all axes by a Gaussian that is cut after four standard deviations; see `zoom`."""
    rules = [blur_rules(n, sigma, mode) for n, sigma in zip(x.shape, sigmas, strict=True)]
    result = _chain(x, rules, op, arguments, xp, engine)
    if "constant" not in mode or not cval:
        return result
    inside: Any = np.ones((1,) * x.ndim)
    for axis, (n, own) in enumerate(zip(x.shape, rules, strict=True)):
        inside = inside * along(applied(own, np.ones(n)), axis, x.ndim)
    return _added(xp, result, cval * (1.0 - inside))


def _chain(
    x: Any, rules: list[tuple[AxisRule, ...]], op: str, arguments: _Names, xp: ModuleType, engine: str | None
) -> Any:
    """Run the first rule of all axes, then the second, and so on."""
    longest = max((len(own) for own in rules), default=1)
    aligned = [(*[identity(own[0].in_size)] * (longest - len(own)), *own) for own in rules]
    for step in zip(*aligned, strict=True):
        plan = ResizePlan(tuple(range(x.ndim)), tuple(step))
        x = resize(x, op=op, arguments=arguments, xp=xp, plan=plan, out=None, engine=engine)
    return x


def _added(xp: ModuleType, x: Any, table: Any) -> Any:
    return add(xp, x, arrays.astype(xp, arrays.from_table(xp, table, x), x.dtype))


def _filled(xp: ModuleType, x: Any, masks: list[Any], value: float) -> Any:
    """Return the value at positions that are outside on any axis."""
    whole: Any = np.zeros((1,) * x.ndim, dtype=bool)
    for axis, mask in enumerate(masks):
        if mask.any():
            whole = whole | along(mask, axis, x.ndim)
    if not whole.any():
        return x
    filler = arrays.astype(xp, arrays.from_table(xp, np.full((1,) * x.ndim, value), x), x.dtype)
    return fill(xp, x, arrays.from_table(xp, whole, x), filler)
