"""chainer.functions' image resizing."""

from __future__ import annotations

from collections.abc import Sequence

from upsample import arrays
from upsample.arguments import as_tuple, check_dtype, check_rank, flag, integers, one_of
from upsample.arrays import Array, ArrayT
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import ChainerMode, EngineName
from upsample.ops.resize import resize
from upsample.plans.plan_cache import Resized, planned_later
from upsample.plans.resize import AxisRule, ResizePlan, Rounding

__all__ = ["resize_images"]

_METHODS = {"bilinear": "linear", "nearest": "nearest"}


def resize_images(
    x: ArrayT,
    output_shape: Sequence[int],
    *,
    mode: ChainerMode = "bilinear",
    align_corners: bool = True,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Resize images, with the corners aligned unless it is said otherwise.

    Parameters
    ----------
    x : array of float32
        ``[N, C, h, w]``; only N may be 0.
    output_shape : pair of int
        Height and width of the result, in this order.
    mode : {"bilinear", "nearest"}
        How samples are made; there is no antialiasing.
    align_corners : bool
        Let the corner samples of both images meet, instead of their outer edges; ignored by nearest.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array of float32
        ``[N, C, *output_shape]``, of the library and device of `x`.

    Raises
    ------
    ValueError
        Not four axes, an empty axis other than the batch, a size below 1, not two of them, or another mode.
    TypeError
        Another dtype, sizes that are no integers, another type.

    Notes
    -----
    Sample ``i`` of ``o`` lies at ``c`` of ``n``, in float64::

        bilinear, align_corners=True      c = i * (n - 1) / (o - 1), and 0 where o is 1
        bilinear, align_corners=False     c = max((i + 1/2) * n / o - 1/2, 0)
        nearest                           c = min(floor(i * (n / o)), n - 1)

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.resize_images.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x = np.asarray([[[[0.0, 10.0]]]], dtype="float32")
    >>> chainer.resize_images(x, (1, 4)).round(2)
    array([[[[ 0.  ,  3.33,  6.67, 10.  ]]]], dtype=float32)
    >>> chainer.resize_images(x, (1, 4), align_corners=False)
    array([[[[ 0. ,  2.5,  7.5, 10. ]]]], dtype=float32)
    >>> chainer.resize_images(x, (1, 4), mode="nearest")
    array([[[[ 0.,  0., 10., 10.]]]], dtype=float32)
    """
    op = "resize_images"
    xp = arrays.namespace(op, {"x": x})
    check_rank(op, "x", x, (4,), "[N, C, H, W]")
    check_dtype(op, "x", x, ("float32",), "convert it to float32, or call upsample.resize or upsample.interpolate")
    if 0 in x.shape[1:]:
        raise bad_value(op, "x", Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    if not isinstance(as_tuple(output_shape), tuple):
        raise bad_type(op, "output_shape", output_shape, "it must be a sequence", "pass a tuple (height, width)")
    large = integers(op, "output_shape", output_shape, 2, least=1, one_for_all=False)
    plan = _plan(tuple(x.shape[2:]), large, _method(op, mode), flag(op, "align_corners", align_corners))
    return resize(x, op=op, arguments=("x", "output_shape"), xp=xp, plan=plan, out=out, engine=engine)


def _method(op: str, mode: object) -> str:
    return _METHODS[one_of(op, "mode", mode, _METHODS, "this mode is unknown")]


@planned_later(lambda small, large, *_: Resized((2, 3), small, large))
def _plan(small: tuple[int, ...], large: tuple[int, ...], method: str, align_corners: bool) -> ResizePlan:
    corners = align_corners and method == "linear"
    rules = [
        AxisRule(n, o, method, _step(n, o, corners), corners, False, 0.0, Rounding.FLOAT64)
        for n, o in zip(small, large, strict=True)
    ]
    return ResizePlan((2, 3), tuple(rules))


def _step(n: int, o: int, corners: bool) -> tuple[float, float]:
    if corners:
        return (float(n - 1), float(o - 1)) if o > 1 else (0.0, 1.0)
    return (n / o, 1.0)
