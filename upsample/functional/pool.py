"""torch.nn.functional's max-pooling, with and without indices."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal, overload

from upsample import arrays
from upsample.arguments import IntOrInts, check_dtype, check_known, check_rank, flag, integers, is_empty
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_value
from upsample.literals import EngineName
from upsample.ops import call_cache
from upsample.ops.pool import pool
from upsample.ops.torch_autocast import in_float32
from upsample.plans.plan_cache import planned
from upsample.plans.window import PoolPlan, WindowAxis, window_count

__all__ = [
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]


@overload
def max_pool2d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pool2d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
def max_pool2d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over two spatial axes.

    Parameters
    ----------
    input : array
        ``[N, C, H, W]`` or ``[C, H, W]``; only N may be 0. Real floating, integer or bool.
    kernel_size : int or sequence of int
        Window size.
    stride : int or sequence of int, optional
        Distance of the windows; None is `kernel_size`.
    padding : int or sequence of int
        Positions that never win, on both sides; at most half the window's reach.
    dilation : int or sequence of int
        Distance of the elements of a window.
    ceil_mode : bool
        Round the number of windows up, so that the last may reach past the padding, if it starts before it.
    return_indices : bool
        Also return the index of each maximum in its input plane.
    out : array or tuple of two arrays, optional
        Receives the maxima, or with indices the maxima and the indices.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    maxima : array
        ``[..., H_out, W_out]``, of the library, dtype and device of `input`. NaN wins.
    indices : array of int64 (int32 where the library has no int64), only with `return_indices`
        Flat index of each maximum in its input plane: the first of equal ones, the last of NaNs.

    Raises
    ------
    ValueError
        Wrong rank, an empty axis other than the batch, a window, stride or dilation below 1, padding over half the
        window, no window that fits, or a window without an element.
    TypeError
        A complex dtype, another type, or mixed libraries.

    Notes
    -----
    On one axis of five, ``kernel_size=3, stride=2, padding=1``; padding never wins::

        -  0  1  2  3  4  -
        [-----]                  window 0
              [-----]            window 1
                    [-----]      window 2

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> upsample.max_pool2d(x, 2, return_indices=True)
    (array([[[ 5.,  7.],
            [13., 15.]]]), array([[[ 5,  7],
            [13, 15]]]))
    """
    return one_or_both(
        _pooled("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, out, engine)
    )


@documented_like(max_pool2d)
def max_pool2d_with_indices(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over two spatial axes, whatever `return_indices` says; see `max_pool2d`.

    Parameters
    ----------
    return_indices : bool
        Ignored; the parameter exists in torch.

    Returns
    -------
    maxima : array
        ``[..., H_out, W_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> upsample.max_pool2d_with_indices(x, 2)
    (array([[[ 5.,  7.],
            [13., 15.]]]), array([[[ 5,  7],
            [13, 15]]]))
    """
    flag("max_pool2d_with_indices", "return_indices", return_indices)
    return both(
        _pooled(
            "max_pool2d_with_indices", 2, input, kernel_size, stride, padding, dilation, ceil_mode, True, out, engine
        )
    )


@overload
def max_pool1d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pool1d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(max_pool2d)
def max_pool1d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over one spatial axis; see `max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Real floating, integer or bool.

    Returns
    -------
    maxima : array
        ``[..., L_out]``.
    indices : array, only with `return_indices`
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[1.0, 3.0, 2.0, 4.0]])
    >>> upsample.max_pool1d(x, 2)
    array([[3., 4.]])
    """
    return one_or_both(
        _pooled("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, out, engine)
    )


@documented_like(max_pool2d)
def max_pool1d_with_indices(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over one spatial axis, whatever `return_indices` says; see `max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Real floating, integer or bool.
    return_indices : bool
        Ignored; the parameter exists in torch.

    Returns
    -------
    maxima : array
        ``[..., L_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[1.0, 3.0, 2.0, 4.0]])
    >>> upsample.max_pool1d_with_indices(x, 2)
    (array([[3., 4.]]), array([[1, 3]]))
    """
    flag("max_pool1d_with_indices", "return_indices", return_indices)
    return both(
        _pooled(
            "max_pool1d_with_indices", 1, input, kernel_size, stride, padding, dilation, ceil_mode, True, out, engine
        )
    )


@overload
def max_pool3d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pool3d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
@documented_like(max_pool2d)
def max_pool3d(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: Array | tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window over three spatial axes; see `max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Real floating, integer or bool.

    Returns
    -------
    maxima : array
        ``[..., D_out, H_out, W_out]``.
    indices : array, only with `return_indices`
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> upsample.max_pool3d(x, 2)
    array([[[[7.]]]])
    """
    return one_or_both(
        _pooled("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, out, engine)
    )


@documented_like(max_pool2d)
def max_pool3d_with_indices(
    input: ArrayT,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    out: tuple[Array, Array] | None = None,
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]:
    """Return maxima and indices over three spatial axes, whatever `return_indices` says; see `max_pool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Real floating, integer or bool.
    return_indices : bool
        Ignored; the parameter exists in torch.

    Returns
    -------
    maxima : array
        ``[..., D_out, H_out, W_out]``.
    indices : array
        Flat indices in the input plane.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> upsample.max_pool3d_with_indices(x, 2)
    (array([[[[7.]]]]), array([[[[7]]]]))
    """
    flag("max_pool3d_with_indices", "return_indices", return_indices)
    return both(
        _pooled(
            "max_pool3d_with_indices", 3, input, kernel_size, stride, padding, dilation, ceil_mode, True, out, engine
        )
    )


def _pooled(
    op: str,
    spatial: int,
    x: ArrayT,
    kernel_size: object,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    return_indices: object,
    out: object,
    engine: str | None,
) -> tuple[ArrayT, ArrayT | None]:
    arguments = (kernel_size, stride, padding, dilation, ceil_mode, return_indices, engine)
    key, known = call_cache.lookup(op, arguments, (x,), out)
    if known is not None:
        pair = out if return_indices and out is not None else (out, None)
        made: tuple[ArrayT, ArrayT | None] = known.run(x, pair, return_indices)
        return made
    xp = checked(op, spatial, x)
    kernel = integers(op, "kernel_size", kernel_size, spatial, least=1)
    plan = _plan(
        op,
        tuple(x.shape[-spatial:]),
        kernel,
        kernel if stride is None or is_empty(stride) else integers(op, "stride", stride, spatial, least=1),
        integers(op, "padding", padding, spatial, least=0),
        integers(op, "dilation", dilation, spatial, least=1),
        flag(op, "ceil_mode", ceil_mode),
    )
    wanted = flag(op, "return_indices", return_indices)
    x = x if wanted else in_float32(xp, op, x)
    result = pool(x, op=op, argument="input", xp=xp, plan=plan, with_indices=wanted, out=out, engine=engine)
    call_cache.store(key, "pool", plan, (x,), result, engine)
    return result


def one_or_both(pair: tuple[ArrayT, ArrayT | None]) -> ArrayT | tuple[ArrayT, Any]:
    """Return the maxima, with the indices if there are any."""
    values, indices = pair
    return values if indices is None else (values, indices)


def both(pair: tuple[ArrayT, ArrayT | None]) -> tuple[ArrayT, Any]:
    """Return the maxima and the indices."""
    values, indices = pair
    assert indices is not None
    return values, indices


def checked(op: str, spatial: int, x: Array) -> ModuleType:
    """Check the input of a pooling, and return its namespace."""
    xp = arrays.namespace(op, {"input": x})
    check_rank(op, "input", x, (spatial + 1, spatial + 2), "[N, C, *spatial] or [C, *spatial]")
    check_known(op, "input", x, range(x.ndim - spatial, x.ndim))
    check_dtype(op, "input", x, arrays.MOVABLE - arrays.COMPLEX, "pass real numbers, integers or bools")
    if 0 in x.shape[x.ndim - spatial - 1 :]:
        raise bad_value(op, "input", Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    return xp


@planned
def _plan(
    op: str,
    large: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> PoolPlan:
    """Work out torch's number of windows."""
    axes = []
    for n, k, s, p, d in zip(large, kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        if p > reach // 2:
            raise bad_value(op, "padding", padding, f"it is over half the window's reach of {reach}", "pass less")
        small = window_count(n, p, p, reach, s, ceil_mode)
        if small < 1:
            rule = f"a window reaches over {reach} positions and there are {n} and {p} of padding on both sides"
            raise bad_value(op, "kernel_size", kernel, rule, "pass a smaller window or a larger input")
        axis = WindowAxis(n, small, k, s, p, d)
        if not axis.every_window_has_an_element():
            rule = f"with padding {p}, dilation {d} and {n} positions, some window has no element"
            raise bad_value(op, "dilation", dilation, rule, "pass less padding or dilation")
        axes.append(axis)
    return PoolPlan(tuple(axes), local_indices=False, first_nan=False)
