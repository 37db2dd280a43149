"""chainer.functions' inverses of pooling: copy values over their windows, or to the positions of their indices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from upsample import arrays
from upsample.arguments import IntOrInts, check_addressable, check_dtype, check_rank, flag
from upsample.arrays import Array, ArrayT
from upsample.chainer.windows import (
    Holed,
    Window,
    check_filled,
    default_size,
    large_size,
    outsize_of,
    spatial_axes,
    window_of,
)
from upsample.copies import copy
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.literals import EngineName
from upsample.ops.conv_transpose import conv_transpose
from upsample.ops.taped_casts import reshape
from upsample.ops.unpool import unpool
from upsample.plans.plan_cache import planned
from upsample.plans.window import ConvTransposePlan, UnpoolPlan, WindowAxis

__all__ = ["unpooling_1d", "unpooling_2d", "unpooling_3d", "unpooling_nd", "upsampling_2d"]


def unpooling_2d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    outsize: Sequence[int | None] | None = None,
    cover_all: bool = True,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Copy every value over the whole of its window, on two spatial axes; where windows overlap, values add.

    Parameters
    ----------
    x : array
        ``[N, C, h, w]``, floating; N and C may be 0.
    ksize : int or pair of int
        Window size.
    stride : int or pair of int, optional
        Distance of the windows in the result; None is `ksize`.
    pad : int or pair of int
        Positions cut off the result on both sides.
    outsize : pair of int or None, optional
        Height and width of the result; None, for both or for one, is the default.
    cover_all : bool
        Whether the pooling that is undone covers all of its input: with it, the default is the smallest size that
        such a pooling makes ``h`` by ``w`` of.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, C, *outsize]``, of the library, dtype and device of `x`.

    Raises
    ------
    ValueError
        Wrong rank, an empty spatial axis, a window or stride below 1, negative padding, a sequence of the wrong
        length, an `outsize` that the pooling does not make ``h`` by ``w`` of, or a result without positions.
    TypeError
        No floating dtype, an `outsize` that is no sequence, another type, or mixed libraries.

    Notes
    -----
    The value at ``i`` covers the positions from ``i * stride - pad`` to ``i * stride - pad + ksize - 1``. The default
    size is ``stride * (h - 1) + ksize - 2 * pad``, with `cover_all` less ``stride - 1``; legal are the sizes from
    there on that are less than a stride above it::

        h = 2, ksize 3, stride 2      cover_all=False      [a a ab b b]        5 (default) or 6
                                      cover_all=True       [a a ab b]          4 (default) or 5

    Chainer's own unpooling_2d divides by zero where a size is equal to `pad`, and takes a wrong shortcut for some
    windows such as ksize (2, 3) with stride (3, 2); this one does as its unpooling_nd does. Sums are made in one fixed
    order, those of float16 and bfloat16 in float32.

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.unpooling_2d.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x = np.asarray([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> chainer.unpooling_2d(x, 2)
    array([[[[1., 1., 2.],
             [1., 1., 2.],
             [3., 3., 4.]]]])
    >>> chainer.unpooling_2d(x, 2, cover_all=False)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.],
             [3., 3., 4., 4.],
             [3., 3., 4., 4.]]]])
    """
    return _spread("unpooling_2d", 2, x, (ksize, stride, pad), outsize, cover_all, out, engine)


@documented_like(unpooling_2d)
def unpooling_1d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    cover_all: bool = True,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Copy every value over the whole of its window, on one spatial axis; see `unpooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, l]``, floating; N and C may be 0.
    ksize, stride, pad : int or sequence of one int
    outsize : sequence of one int, optional
        Size of the result.

    Returns
    -------
    array
        ``[N, C, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.unpooling_1d(np.asarray([[[1.0, 2.0]]]), 3, stride=2, cover_all=False)
    array([[[1., 1., 3., 2., 2.]]])
    """
    return _spread("unpooling_1d", 1, x, (ksize, stride, pad), outsize, cover_all, out, engine)


@documented_like(unpooling_2d)
def unpooling_3d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    cover_all: bool = True,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Copy every value over the whole of its window, on three spatial axes; see `unpooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, d, h, w]``, floating; N and C may be 0.
    ksize, stride, pad : int or sequence of three int
    outsize : sequence of three int, optional
        Size of the result.

    Returns
    -------
    array
        ``[N, C, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.unpooling_3d(np.asarray([[[[[7.0]]]]]), (1, 2, 2), cover_all=False)
    array([[[[[7., 7.],
              [7., 7.]]]]])
    """
    return _spread("unpooling_3d", 3, x, (ksize, stride, pad), outsize, cover_all, out, engine)


@documented_like(unpooling_2d)
def unpooling_nd(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    outsize: Sequence[int] | None = None,
    cover_all: bool = True,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Copy every value over the whole of its window, on all axes but the first two; see `unpooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, *spatial]``, one or more spatial axes, floating; N and C may be 0.
    ksize, stride, pad : int or sequence of int
    outsize : sequence of int, optional
        Size of the result on each spatial axis.

    Returns
    -------
    array
        ``[N, C, *outsize]``, of the library, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.unpooling_nd(np.ones((1, 2, 2, 2, 2, 2)), 2, outsize=(3, 4, 3, 4)).shape
    (1, 2, 3, 4, 3, 4)
    """
    return _spread("unpooling_nd", None, x, (ksize, stride, pad), outsize, cover_all, out, engine)


def upsampling_2d(
    x: ArrayT,
    indexes: Array,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    outsize: Sequence[int | None] | None = None,
    cover_all: bool = True,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Put every value at one position of its window, on two spatial axes, zeros elsewhere.

    Parameters
    ----------
    x : array
        ``[N, C, h, w]``, floating; N and C may be 0.
    indexes : array of any integer dtype, or bool
        The shape of `x`: ``ky * kw + kx``, the place of each value in its own window, as `max_pooling_2d` gives it
        (not torch's flat position in the plane). Negative ones count from the window's end.
    ksize, stride, pad : int or pair of int
        The arguments of the pooling that returned `x`; None for `stride` is `ksize`.
    outsize : pair of int or None, optional
        Height and width of the result, the size of the input of the pooling; None, for both or for one, is the default.
    cover_all : bool
        The argument of the pooling that returned `x`.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, C, *outsize]``, of the library, dtype and device of `x`.

    Raises
    ------
    IndexError
        An index outside ``[-kh * kw, kh * kw)``.
    ValueError
        Wrong rank or shape, an empty spatial axis, a window or stride below 1, negative padding, a sequence of the
        wrong length, an `outsize` that the pooling does not make ``h`` by ``w`` of, or a result without positions.
    TypeError
        An `x` of no floating dtype, an index array of neither integers nor bools, an `outsize` that is no sequence,
        another type, or mixed libraries.

    Notes
    -----
    The value at ``(i, j)`` goes to ``(i * sy - ph + ky, j * sx - pw + kx)``, and is dropped where that is padding.
    Values that meet in one position add, in one fixed order, where those of torch's ``max_unpool2d`` overwrite::

        ksize 3, stride 2      1 at index 8      . . . . .
                               2 at index 6      . . . . .
                               3 at index 2      . . + . .      + = 1 + 2 + 3 + 4
                               4 at index 0      . . . . .
                                                 . . . . .

    Default and legal sizes are those of `unpooling_2d`. Under ``jax.jit`` a value cannot raise an error, so
    an index outside its window is dropped.

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.upsampling_2d.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    >>> y, indexes = chainer.max_pooling_2d(x, 2, return_indices=True)
    >>> chainer.upsampling_2d(y, indexes, 2, outsize=x.shape[2:])
    array([[[[ 0.,  0.,  0.,  0.],
             [ 0.,  6.,  0.,  8.],
             [ 0.,  0.,  0.,  0.],
             [ 0., 14.,  0., 16.]]]])
    """
    op = "upsampling_2d"
    xp = arrays.namespace(op, {"x": x, "indexes": indexes})
    check_rank(op, "x", x, (4,), "[N, C, H, W]")
    check_dtype(op, "x", x, arrays.FLOATING, "pass floating numbers")
    allowed = arrays.INTEGER | {"bool"}
    bools = check_dtype(op, "indexes", indexes, allowed, "pass integers, such as max_pooling_2d's indexes") == "bool"
    axes = _axes_of(op, x, 2, (ksize, stride, pad), outsize, cover_all)
    if math.prod(axis.kernel for axis in axes) >= 2**63:
        raise bad_value(op, "ksize", ksize, "its places do not fit a 64-bit index", "pass a smaller window")
    plan = UnpoolPlan(axes, local_indices=True, duplicates="sum", check_indices=True, deterministic=True)
    if bools:
        if out is not None:  # first, because the copy below no longer shares memory
            arrays.check_out(op, out, (*x.shape[:2], *plan.large_shape), x.dtype, {"x": x, "indexes": indexes})
        indexes = arrays.astype(xp, indexes, arrays.index_dtype(xp))
    return unpool(
        x,
        indexes,
        op=op,
        arguments=("x", "indexes", "outsize"),
        xp=xp,
        plan=plan,
        duplicate_grad="all",
        out=out,
        engine=engine,
    )


def _spread(
    op: str,
    rank: int | None,
    x: ArrayT,
    window: tuple[object, object, object],
    outsize: object,
    cover_all: object,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Unpool as a transposed convolution whose weights are one, each channel of each image by itself."""
    xp = arrays.namespace(op, {"x": x})
    spatial = spatial_axes(op, x, rank)
    check_dtype(op, "x", x, arrays.FLOATING, "pass floating numbers")
    axes = _axes_of(op, x, spatial, window, outsize, cover_all)
    batch, channels, *small = x.shape
    shape = (batch, channels, *(axis.large for axis in axes))
    check_addressable(op, "outsize", shape[2:], shape, arrays.itemsize(x))
    axes = tuple(axis.trimmed() for axis in axes)  # the weights are as many as the taps
    planes = (math.prod((batch, channels)), 1)
    target: Array | None = None
    if out is not None:
        arrays.check_out(op, out, shape, x.dtype, {"x": x})
        target = xp.reshape(out, (*planes, *shape[2:])) if arrays.is_contiguous(out) else None
    one = xp.ones((1,) * x.ndim, dtype=x.dtype, device=arrays.device_of(x))
    result = conv_transpose(
        reshape(xp, x, (*planes, *small)),
        xp.broadcast_to(one, (1, 1, *(axis.kernel for axis in axes))),
        None,
        op=op,
        arguments=("x", "W", "b"),
        xp=xp,
        plan=ConvTransposePlan(axes, 1, precision="float32"),
        out=target,
        engine=engine,
    )
    if out is None:
        return cast(ArrayT, reshape(xp, result, shape))
    if target is None:
        copy(xp.reshape(result, shape), out)
    return cast(ArrayT, out)


def _axes_of(
    op: str, x: Array, spatial: int, window: tuple[object, object, object], outsize: object, cover_all: object
) -> tuple[WindowAxis, ...]:
    check_filled(op, x)
    return _axes(
        op,
        tuple(x.shape[2:]),
        window_of(op, spatial, *window),
        outsize_of(op, spatial, outsize, may_skip=op in ("unpooling_2d", "upsampling_2d")),
        flag(op, "cover_all", cover_all),
    )


@planned
def _axes(
    op: str, small: tuple[int, ...], window: Window, outsize: Holed | None, cover_all: bool
) -> tuple[WindowAxis, ...]:
    axes = []
    for place, (h, k, s, p) in enumerate(zip(small, *window, strict=True)):
        default = default_size(h, k, s, p, cover_all)
        large = large_size(op, outsize, place, default, default, default + s - 1)
        axes.append(WindowAxis(large, h, k, s, p, 1))
    return tuple(axes)
