"""chainer.functions' max-pooling."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

from upsample import arrays
from upsample.arguments import IntOrInts, check_dtype, flag
from upsample.arrays import Array, ArrayT
from upsample.chainer.windows import Window, pooled_size, spatial_axes, window_of
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName
from upsample.ops.pool import pool
from upsample.plans.plan_cache import planned
from upsample.plans.window import PoolPlan, WindowAxis

__all__ = ["max_pooling_1d", "max_pooling_2d", "max_pooling_3d", "max_pooling_nd"]


@overload
def max_pooling_2d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pooling_2d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
def max_pooling_2d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over two spatial axes.

    Parameters
    ----------
    x : array
        ``[N, C, H, W]``, floating, no axis empty.
    ksize : int or pair of int
        Window size ``(kh, kw)``.
    stride : int or pair of int, optional
        Distance of the windows; None is `ksize`.
    pad : int or pair of int
        Positions that never win, on both sides.
    cover_all : bool
        Make windows until every element lies in one, so that the last may reach past the padding. Where the padding is
        as wide as the window, a window may hold padding only.
    return_indices : bool
        Also return where in its window each maximum lies.
    out : array or tuple of two arrays, optional
        Receives the maxima, or with indices the maxima and the indices.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    y : array
        ``[N, C, H_out, W_out]``, of the library, dtype and device of `x`. NaN wins; a window of padding only gives
        -inf.
    indexes : array of int64 (int32 where the library has no int64), only with `return_indices`
        ``ky * kw + kx``, the place of each maximum in its own window, padding counted: the first of equal ones, the
        first NaN, 0 for a window of padding only. What `upsampling_2d` takes; not the indices of torch.

    Raises
    ------
    ValueError
        Wrong rank, an empty axis, a window or stride below 1, negative padding, a sequence of the wrong length, or no
        window that fits.
    TypeError
        No floating dtype, another type, or mixed libraries.

    Notes
    -----
    The size of an axis of the result is ``(n + 2 * pad - ksize) // stride + 1``, or with `cover_all`
    ``(n + 2 * pad - ksize + stride - 1) // stride + 1``::

        n = 5, ksize 2, stride 2      cover_all=False      [0 1][2 3] 4          2 windows
                                      cover_all=True       [0 1][2 3][4  ]       3 windows

    References
    ----------
    https://docs.chainer.org/en/v7.8.1/reference/generated/chainer.functions.max_pooling_2d.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> chainer.max_pooling_2d(x, 2, return_indices=True)
    (array([[[[ 5.,  7.],
              [13., 15.]]]]), array([[[[3, 3],
              [3, 3]]]]))
    """
    return _pooled("max_pooling_2d", 2, x, ksize, stride, pad, cover_all, return_indices, out, engine)


@overload
def max_pooling_1d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pooling_1d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(max_pooling_2d)
def max_pooling_1d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over one spatial axis; see `max_pooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, L]``, floating, no axis empty.
    ksize, stride, pad : int or sequence of one int

    Returns
    -------
    y : array
        ``[N, C, L_out]``.
    indexes : array, only with `return_indices`
        Places in the windows.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.max_pooling_1d(np.asarray([[[3.0, 1.0, 4.0, 1.0, 5.0]]]), 2)
    array([[[3., 4., 5.]]])
    """
    return _pooled("max_pooling_1d", 1, x, ksize, stride, pad, cover_all, return_indices, out, engine)


@overload
def max_pooling_3d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pooling_3d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(max_pooling_2d)
def max_pooling_3d(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over three spatial axes; see `max_pooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, D, H, W]``, floating, no axis empty.
    ksize, stride, pad : int or sequence of three int

    Returns
    -------
    y : array
        ``[N, C, D_out, H_out, W_out]``.
    indexes : array, only with `return_indices`
        Places in the windows, ``(kz * kh + ky) * kw + kx``.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.max_pooling_3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 2, return_indices=True)
    (array([[[[[7.]]]]]), array([[[[[7]]]]]))
    """
    return _pooled("max_pooling_3d", 3, x, ksize, stride, pad, cover_all, return_indices, out, engine)


@overload
def max_pooling_nd(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pooling_nd(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(max_pooling_2d)
def max_pooling_nd(
    x: ArrayT,
    ksize: IntOrInts,
    stride: IntOrInts | None = None,
    pad: IntOrInts = 0,
    cover_all: bool = True,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over all axes but the first two; see `max_pooling_2d`.

    Parameters
    ----------
    x : array
        ``[N, C, *spatial]``, one or more spatial axes, floating, no axis empty.
    ksize, stride, pad : int or sequence of int

    Returns
    -------
    y : array
        ``[N, C, *pooled]``.
    indexes : array, only with `return_indices`
        Places in the windows, row-major.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import chainer
    >>> chainer.max_pooling_nd(np.ones((2, 3, 4, 5, 6, 7)), 2).shape
    (2, 3, 2, 3, 3, 4)
    """
    return _pooled("max_pooling_nd", None, x, ksize, stride, pad, cover_all, return_indices, out, engine)


def _pooled(
    op: str,
    rank: int | None,
    x: ArrayT,
    ksize: object,
    stride: object,
    pad: object,
    cover_all: object,
    return_indices: object,
    out: object,
    engine: str | None,
) -> ArrayT | tuple[ArrayT, Any]:
    xp = arrays.namespace(op, {"x": x})
    spatial = spatial_axes(op, x, rank)
    check_dtype(op, "x", x, arrays.FLOATING, "pass floating numbers")
    if 0 in x.shape:
        raise bad_value(op, "x", Raw(f"<shape {tuple(x.shape)}>"), "no axis may be empty", "pass samples")
    with_indices = flag(op, "return_indices", return_indices)
    window = window_of(op, spatial, ksize, stride, pad)
    plan = _plan(op, tuple(x.shape[2:]), window, flag(op, "cover_all", cover_all))
    if with_indices and math.prod(window.ksize) >= 2**63:
        raise bad_value(op, "ksize", ksize, "its places do not fit a 64-bit index", "pass a smaller window")
    values, indices = pool(x, op=op, argument="x", xp=xp, plan=plan, with_indices=with_indices, out=out, engine=engine)
    return values if indices is None else (values, indices)


@planned
def _plan(op: str, large: tuple[int, ...], window: Window, cover_all: bool) -> PoolPlan:
    axes = []
    for place, (n, k, s, p) in enumerate(zip(large, *window, strict=True)):
        small = pooled_size(n, k, s, p, cover_all)
        if small < 1:
            rule = f"no such window fits into the {n} positions of spatial axis {place} and their padding {p}"
            raise bad_value(op, "ksize", window.ksize, rule, "pass a smaller ksize, more pad, or cover_all=True")
        axes.append(WindowAxis(n, small, k, s, p, 1))
    return PoolPlan(tuple(axes), local_indices=True, first_nan=True)
