"""chainer.functions' deconvolution: transposed convolution whose output size may be given."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arguments import IntOrInts, check_dtype, check_rank, integer, integers
from upsample.arrays import Array, ArrayT
from upsample.chainer.windows import Holed, Window, check_filled, default_size, large_size, outsize_of, spatial_axes
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName, Precision
from upsample.ops.conv_transpose import conv_transpose
from upsample.ops.taped_casts import convert, repeat
from upsample.plans.plan_cache import planned
from upsample.plans.window import ConvTransposePlan, WindowAxis
from upsample.precision import precision_of

__all__ = ["deconvolution_1d", "deconvolution_2d", "deconvolution_3d", "deconvolution_nd"]


def deconvolution_2d(
    x: ArrayT,
    W: Array,
    b: Array | None = None,
    stride: IntOrInts = 1,
    pad: IntOrInts = 0,
    outsize: Sequence[int | None] | None = None,
    *,
    dilate: IntOrInts = 1,
    groups: int = 1,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
    **removed: object,
) -> ArrayT:
    """Spread every value over a window of weights on two spatial axes and add: transposed convolution.

    Parameters
    ----------
    x : array
        ``[N, C, h, w]``, floating; only N may be 0.
    W : array
        ``[C, M / groups, kh, kw]``, floating, not flipped.
    b : array, optional
        ``[M]`` or ``[1]``, of the dtype of `x`.
    stride : int or pair of int
        Distance of the windows in the result.
    pad : int or pair of int
        Positions cut off the result on both sides.
    outsize : pair of int or None, optional
        Height and width of the result, less than one stride from the default; None, for both or for one, is the
        default. There is no output_padding.
    dilate : int or pair of int
        Distance of the elements of a window.
    groups : int
        Blocks of channels that do not mix.
    precision : {"float32", "tf32x3", "tf32"}, optional
        How a GPU multiplies float32 factors; see `upsample.conv_transpose2d`.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.
    **removed : object
        Nothing: ``deterministic``, an argument of Chainer 1, is a ValueError as in Chainer, any other a TypeError.

    Returns
    -------
    array
        ``[N, M, *outsize]``, of the library, dtype and device of `x`, whatever the dtype of `W`.

    Raises
    ------
    ValueError
        Wrong rank, channels, groups or bias that do not fit, an empty axis other than the batch, a stride, dilation or
        group count below 1, negative padding, a sequence of the wrong length, an `outsize` that no convolution with
        this window makes ``h`` by ``w`` of, or a result without positions.
    TypeError
        No floating dtype, a bias of another dtype than `x`, an `outsize` that is no sequence, an unknown keyword,
        another type, or mixed libraries.

    Notes
    -----
    ``y[n, m, stride * i - pad + dilate * t] += x[n, c, i] * W[c, m, t]`` on every axis, and `b` once. The default size
    is ``stride * (h - 1) + dilate * (k - 1) + 1 - 2 * pad``::

        h = 2, k = 3, stride 2      outsize 4      [a0 a1 a2+b0 b1]
                                            5      [a0 a1 a2+b0 b1 b2]          default
                                            6      [a0 a1 a2+b0 b1 b2 0]

    Sums are made in one fixed order, in float32 for float16 and bfloat16, and in the wider of the dtypes of `x` and
    `W`. Chainer's results are never non-deterministic here, and need no cuDNN setting.

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.deconvolution_2d.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x, W = np.asarray([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 3))
    >>> chainer.deconvolution_2d(x, W, stride=(1, 2))
    array([[[[1., 1., 3., 2., 2.]]]])
    >>> chainer.deconvolution_2d(x, W, stride=(1, 2), outsize=(1, 6))
    array([[[[1., 1., 3., 2., 2., 0.]]]])
    """
    op = "deconvolution_2d"
    _refuse(op, removed)
    return _spread(op, 2, x, W, b, (stride, pad, dilate), outsize, groups, precision, out, engine)


@documented_like(deconvolution_2d)
def deconvolution_1d(
    x: ArrayT,
    W: Array,
    b: Array | None = None,
    stride: IntOrInts = 1,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    dilate: IntOrInts = 1,
    groups: int = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on one spatial axis and add; see `deconvolution_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, l]``, floating; only N may be 0.
    W : array
        ``[C, M / groups, k]``, floating, not flipped.
    b : array, optional
        ``[M]`` or ``[1]``, floating.
    stride, pad : int or sequence of one int
    outsize : sequence of one int, optional
        Size of the result.
    dilate : int or sequence of int

    Returns
    -------
    array
        ``[N, M, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x, W = np.asarray([[[1.0, 2.0]]]), np.asarray([[[1.0, 10.0]]])
    >>> chainer.deconvolution_1d(x, W, stride=2, outsize=(5,))
    array([[[ 1., 10.,  2., 20.,  0.]]])
    """
    return _spread("deconvolution_1d", 1, x, W, b, (stride, pad, dilate), outsize, groups, precision, out, engine)


@documented_like(deconvolution_2d)
def deconvolution_3d(
    x: ArrayT,
    W: Array,
    b: Array | None = None,
    stride: IntOrInts = 1,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    dilate: IntOrInts = 1,
    groups: int = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on three spatial axes and add; see `deconvolution_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, d, h, w]``, floating; only N may be 0.
    W : array
        ``[C, M / groups, kd, kh, kw]``, floating, not flipped.
    b : array, optional
        ``[M]`` or ``[1]``, floating.
    stride, pad : int or sequence of three int
    outsize : sequence of three int, optional
        Size of the result.
    dilate : int or sequence of int

    Returns
    -------
    array
        ``[N, M, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x, W = np.asarray([[[[[1.0, 2.0]]]]]), np.asarray([[[[[1.0, 10.0]]]]])
    >>> chainer.deconvolution_3d(x, W, np.asarray([0.5]))
    array([[[[[ 1.5, 12.5, 20.5]]]]])
    """
    return _spread("deconvolution_3d", 3, x, W, b, (stride, pad, dilate), outsize, groups, precision, out, engine)


@documented_like(deconvolution_2d)
def deconvolution_nd(
    x: ArrayT,
    W: Array,
    b: Array | None = None,
    stride: IntOrInts = 1,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    dilate: IntOrInts = 1,
    groups: int = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on all axes but the first two and add; see `deconvolution_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, *spatial]``, one or more spatial axes, floating; only N may be 0.
    W : array
        ``[C, M / groups, *kernel]``, floating, not flipped.
    b : array, optional
        ``[M]`` or ``[1]``, floating.
    stride, pad : int or sequence of int
    outsize : sequence of int, optional
        Size of the result on each spatial axis.
    dilate : int or sequence of int

    Returns
    -------
    array
        ``[N, M, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x, W = np.ones((10, 3, 5, 10, 15)), np.ones((3, 1, 10, 10, 10))
    >>> chainer.deconvolution_nd(x, W, stride=(2, 4, 6), pad=5, outsize=(9, 38, 87)).shape
    (10, 1, 9, 38, 87)
    """
    return _spread("deconvolution_nd", None, x, W, b, (stride, pad, dilate), outsize, groups, precision, out, engine)


def _refuse(op: str, removed: dict[str, object]) -> None:
    for name, value in removed.items():
        if name == "deterministic":
            raise bad_value(op, name, value, "it is an argument of Chainer 1", "omit it: results never vary")
        raise bad_type(op, name, value, "this argument is unknown", "omit it")


def _spread(
    op: str,
    rank: int | None,
    x: ArrayT,
    weight: Array,
    bias: Array | None,
    window: tuple[object, object, object],
    outsize: object,
    groups: object,
    precision: object,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    xp = arrays.namespace(op, {"x": x, "W": weight} | ({} if bias is None else {"b": bias}))
    spatial = spatial_axes(op, x, rank)
    check_rank(op, "W", weight, (x.ndim,), "[C, M / groups, *kernel], as many axes as x has")
    _check_dtypes(op, x, weight, bias)
    check_filled(op, x)
    if 0 in weight.shape:
        raise bad_value(op, "W", Raw(f"<shape {tuple(weight.shape)}>"), "no axis may be empty", "pass weights")
    stride, pad, dilate = window
    plan = _plan(
        op,
        tuple(x.shape[2:]),
        Window(
            tuple(weight.shape[2:]),
            integers(op, "stride", stride, spatial, least=1, one_for_all=False),
            integers(op, "pad", pad, spatial, least=0, one_for_all=False),
        ),
        integers(op, "dilate", dilate, spatial, least=1, one_for_all=False),
        outsize_of(op, spatial, outsize, may_skip=op == "deconvolution_2d"),
        integer(op, "groups", groups, least=1),
        precision_of(op, precision, x),
    )
    added = _fitting_bias(op, xp, int(x.shape[1]), weight, bias, plan.groups)
    return _in_one_dtype(op, xp, plan, x, weight, added, out, engine)


def _check_dtypes(op: str, x: Array, weight: Array, bias: Array | None) -> None:
    name = check_dtype(op, "x", x, arrays.FLOATING, "pass floating numbers")
    check_dtype(op, "W", weight, arrays.FLOATING, "pass floating numbers")
    if bias is not None:
        allowed = {name} if op == "deconvolution_2d" else arrays.FLOATING
        check_dtype(op, "b", bias, allowed, f"convert it to {name}")


def _fitting_bias(
    op: str, xp: ModuleType, channels: int, weight: Array, bias: Array | None, groups: int
) -> Array | None:
    """Check the channels, and return the bias with one element for each of them."""
    shape = tuple(weight.shape)
    if channels != shape[0]:
        rule = f"x has {channels} channels"
        raise bad_value(op, "W", Raw(f"<shape {shape}>"), rule, "pass [C, M / groups, *kernel]")
    if channels % groups:
        raise bad_value(op, "groups", groups, f"x has {channels} channels", "pass a divisor of that")
    if bias is None:
        return None
    outputs = shape[1] * groups
    if tuple(bias.shape) not in ((outputs,), (1,)):
        rule = f"the result has {outputs} channels"
        raise bad_value(op, "b", Raw(f"<shape {tuple(bias.shape)}>"), rule, "pass one element for each, or one for all")
    return cast(Array, repeat(xp, bias, outputs))


def _in_one_dtype(
    op: str,
    xp: ModuleType,
    plan: ConvTransposePlan,
    x: ArrayT,
    weight: Array,
    bias: Array | None,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run the plan in the wider of the dtypes of `x` and `weight`, and round once to that of `x`."""
    if out is not None:  # before a copy in another dtype hides what shares memory with it
        shape = (x.shape[0], weight.shape[1] * plan.groups, *plan.large_shape)
        arrays.check_out(op, out, shape, x.dtype, {"x": x, "W": weight} | ({} if bias is None else {"b": bias}))
    size, other = arrays.itemsize(x), arrays.itemsize(weight)
    wide: Any = x
    if size > other or arrays.dtype_name(x) == arrays.dtype_name(weight):
        weight = convert(xp, weight, x.dtype)
    else:
        dtype = weight.dtype if size < other else xp.float32  # float16 and bfloat16
        wide, weight = convert(xp, x, dtype), convert(xp, weight, dtype)
    rounds = wide.dtype != x.dtype
    result = conv_transpose(
        wide,
        weight,
        bias,
        op=op,
        arguments=("x", "W", "b"),
        xp=xp,
        plan=plan,
        out=None if rounds else out,
        engine=engine,
    )
    if not rounds:
        return cast(ArrayT, result)
    result = convert(xp, result, x.dtype)  # infinite where the dtype cannot hold it, as everywhere else
    if out is None:
        return cast(ArrayT, result)
    cast(Any, out)[...] = result
    return cast(ArrayT, out)


@planned
def _plan(
    op: str,
    small: tuple[int, ...],
    window: Window,
    dilate: tuple[int, ...],
    outsize: Holed | None,
    groups: int,
    precision: str,
) -> ConvTransposePlan:
    axes = []
    for place, (h, k, s, p, d) in enumerate(zip(small, *window, dilate, strict=True)):
        default = default_size(h, d * (k - 1) + 1, s, p, False)
        large = large_size(op, outsize, place, default, default - s + 1, default + s - 1)
        axes.append(WindowAxis(large, h, k, s, p, d))
    return ConvTransposePlan(tuple(axes), groups, precision)
