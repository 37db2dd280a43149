"""scipy.ndimage.zoom on any array, and scikit-image's resize, which is built on it.

Sums are made axis by axis in float64 (float32 if the library lacks it), so results agree with SciPy within 1e-13 of
the largest input or `cval`, and integers within 1 where a sum is close to a half. On CuPy arrays this is also
``cupyx.scipy.ndimage.zoom``, without a kernel per size. This module imports no SciPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arguments import check_dtype, flag, integer, number, numbers, one_of
from upsample.arrays import Array
from upsample.autograd.torch_compile import opaque
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName, ScipyMode
from upsample.ops.call_chains import once
from upsample.ops.integers import to_integers
from upsample.ops.spline import zoom as _run
from upsample.ops.taped_casts import convert
from upsample.plans.splines import MODES
from upsample.skimage import resize

__all__ = ["resize", "zoom"]


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]


def zoom(
    input: Any,
    zoom: float | Sequence[float],
    output: Any = None,
    order: int = 3,
    mode: ScipyMode = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Zoom an array by a B-spline, as scipy.ndimage.zoom does.

    Parameters
    ----------
    input : array
        Any shape of at least one axis. Floating, complex or integer.
    zoom : float or sequence of float
        Factor of all axes or of each; the output size is ``round(n * zoom)``, halves to even.
    output : dtype, optional
        The dtype of the result, as the library of `input` has it; None is that of `input`. Unlike in SciPy, no array.
    order : int
        Of the spline, 0 (nearest) to 5.
    mode : str
        How the input continues: ``"reflect"`` or ``"grid-mirror"`` (d c b a | a b c d | d c b a), ``"mirror"``
        (d c b | a b c d | c b a), ``"nearest"`` (a a a | a b c d | d d d), ``"grid-wrap"`` (b c d | a b c d | a b c),
        ``"wrap"``, which goes around by ``n - 1``, ``"constant"``, which has `cval` wherever a coordinate is outside,
        and ``"grid-constant"``, which has `cval` for each sample outside.
    cval : float
        The value outside.
    prefilter : bool
        Make spline coefficients of the samples first, for orders above 1; False says that `input` holds them.
    grid_mode : bool
        Let the outer edges of both arrays meet instead of the centers of their corner samples.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library and device of `input`; integers are rounded, halves away from zero, and saturated.

    Raises
    ------
    ValueError
        An array without axes or with an empty one, an order, mode or factor that does not exist, or a result without
        samples.
    TypeError
        Another dtype or type.

    Notes
    -----
    The recursive filter of SciPy is a table here: its impulse response, cut below 1e-17 and folded at the borders. For
    "reflect" and "grid-mirror", SciPy up to 1.17 starts the recursion with a slip that shows on axes of fewer than 20
    samples; so does this function. The first and the last coordinate can miss the array by a rounding, which
    "constant" shows as `cval`; that is SciPy's behavior, too.

    References
    ----------
    https://docs.scipy.org/doc/scipy/reference/generated/scipy.ndimage.zoom.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.scipy
    >>> upsample.scipy.zoom(np.asarray([0.0, 10.0]), 2, order=1).round(2)
    array([ 0.  ,  3.33,  6.67, 10.  ])
    >>> upsample.scipy.zoom(np.asarray([0, 10, 0]), 2, mode="mirror")
    array([0, 4, 9, 9, 4, 0])
    """
    return once(_zoom, input, zoom, output, order, mode, cval, prefilter, grid_mode, engine)


def _zoom(
    input: Any,
    zoom: float | Sequence[float],
    output: Any,
    order: int,
    mode: ScipyMode,
    cval: float,
    prefilter: bool,
    grid_mode: bool,
    engine: EngineName | None,
) -> Any:
    op = "zoom"
    xp = arrays.namespace(op, {"input": input})
    if input.ndim < 1 or 0 in input.shape:
        shape = Raw(f"<shape {tuple(input.shape)}>")
        raise bad_value(op, "input", shape, "it has no samples", "pass at least one axis, none of them empty")
    degree = integer(op, "order", order, least=0)
    if degree > 5:
        raise bad_value(op, "order", order, "it is at most 5", "pass 0 to 5")
    border, filters = one_of(op, "mode", mode, MODES, "SciPy does not have it"), flag(op, "prefilter", prefilter)
    factors = numbers(op, "zoom", zoom, input.ndim)
    sizes = tuple(round(n * factor) for n, factor in zip(input.shape, factors, strict=True))
    if min(sizes) < 1:
        raise bad_value(op, "zoom", zoom, f"the result would have the shape {sizes}", "pass larger factors")
    source = _computed(op, xp, input, degree)
    result = _run(
        source,
        op=op,
        arguments=("input", "zoom"),
        xp=xp,
        sizes=tuple(input.shape) if filters and set(factors) == {1.0} else sizes,
        order=0 if filters and set(factors) == {1.0} else degree,
        mode=border,
        cval=_value(input, number(op, "cval", cval), degree),
        is_grid=flag(op, "grid_mode", grid_mode),
        filters=filters,
        engine=engine,
    )
    return _finished(op, xp, result, input.dtype if output is None else output)


def _computed(op: str, xp: ModuleType, x: Array, order: int) -> Array:
    """Return the input in the dtype of the sums; samples that are only moved keep theirs."""
    allowed = arrays.MOVABLE if order == 0 else arrays.FLOATING | arrays.COMPLEX | arrays.INTEGER
    name = check_dtype(op, "input", x, allowed, "convert it")
    if order == 0:
        return x
    real = arrays.double(xp)
    if name in arrays.COMPLEX:
        real = xp.complex128 if real == xp.float64 else xp.complex64
    result: Array = convert(xp, x, real)
    return result


def _value(x: Array, cval: float, order: int) -> float:
    """Return the value outside as the dtype of a moved sample has it: rounded and saturated."""
    name = arrays.dtype_name(x)
    if order or name not in arrays.INTEGER:
        return cval
    limits = np.iinfo(name)
    return float(min(max(np.sign(cval) * np.floor(abs(cval) + 0.5), limits.min), limits.max))


def _finished(op: str, xp: ModuleType, result: Array, dtype: Any) -> Any:
    if result.dtype == dtype:
        return result
    name = arrays.dtype_name(xp.empty(0, dtype=dtype))
    made = arrays.dtype_name(result)
    if name in arrays.INTEGER and made in ("float32", "float64"):
        return to_integers(xp, result, dtype, name, "half away")
    if name not in arrays.FLOATING | arrays.COMPLEX | arrays.INTEGER or (
        made in arrays.COMPLEX and name not in arrays.COMPLEX
    ):
        raise bad_type(op, "output", Raw(f"<dtype {name}>"), f"the result is {made}", "pass another dtype")
    return convert(xp, result, dtype)


for _name in ("zoom",):
    opaque(globals()[_name], open_sizes=False)
