"""ONNX MaxPool and MaxUnpool."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, overload

import numpy as np

from upsample import arrays
from upsample.arguments import check_dtype, flag, integers
from upsample.arrays import Array, ArrayT
from upsample.errors import Raw, bad_value
from upsample.literals import AutoPad, EngineName
from upsample.onnx.attributes import (
    AUTO_PADS,
    check_spatial,
    choice,
    flag_of,
    numbers_of,
    pads_of,
    same_sizes,
    window_ints,
)
from upsample.ops.pool import pool
from upsample.ops.unpool import unpool
from upsample.plans.plan_cache import planned
from upsample.plans.window import PoolPlan, UnpoolPlan, WindowAxis, window_count

__all__ = ["max_pool", "max_unpool"]

_Ints = tuple[int, ...]


@overload
def max_pool(
    X: ArrayT,
    *,
    kernel_shape: Sequence[int],
    auto_pad: AutoPad = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    return_indices: Literal[False] = False,
    engine: EngineName | None = None,
) -> ArrayT: ...
@overload
def max_pool(
    X: ArrayT,
    *,
    kernel_shape: Sequence[int],
    auto_pad: AutoPad = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    return_indices: Literal[True],
    engine: EngineName | None = None,
) -> tuple[ArrayT, Any]: ...
def max_pool(
    X: ArrayT,
    *,
    kernel_shape: Sequence[int],
    auto_pad: AutoPad = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
    return_indices: bool = False,
    engine: EngineName | None = None,
) -> ArrayT | tuple[ArrayT, Any]:
    """Take the maximum of each window, as ONNX MaxPool does.

    Parameters
    ----------
    X : array
        ``[N, C, *spatial]``, real numbers or integers.
    kernel_shape : sequence of int
        Window size, one per spatial axis.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        "SAME_UPPER" and "SAME_LOWER" make ``ceil(n / stride)`` windows and split the padding evenly; an odd position
        is at the end, or at the begin. "VALID" pads nothing.
    ceil_mode : {0, 1}
        Round the number of windows up. A window must begin before the padding at the end.
    dilations, strides : sequence of int, optional
        One per spatial axis; None is all 1.
    pads : sequence of int, optional
        Padding: the begins of all spatial axes, then the ends.
    storage_order : {0, 1}
        Whether indices count a plane in row-major or in column-major order.
    return_indices : bool
        Also return ``Indices``.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    Y : array
        ``[N, C, *windows]``. NaN wins.
    Indices : array of int64 (int32 if the library has no int64), only with `return_indices`
        Where each maximum is in the flattened `X`; batch and channels count too.

    Raises
    ------
    ValueError
        Wrong shapes or attributes, or no window that fits.
    TypeError
        Another dtype or type.

    Notes
    -----
    ``Indices`` and `storage_order` exist since opset 8, `dilations` and `ceil_mode` since opset 10; what older opsets
    compute has not changed. Of equal maxima the first one has the index.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__MaxPool.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> x = np.asarray([[[3.0, 1.0, 4.0]], [[1.0, 5.0, 9.0]]])
    >>> upsample.onnx.max_pool(x, kernel_shape=[2], return_indices=True)
    (array([[[3., 4.]],
           [[5., 9.]]]), array([[[0, 2]],
           [[4, 5]]]))
    """
    op = "max_pool"
    xp = arrays.namespace(op, {"X": X})
    count = check_spatial(op, "X", X)
    check_dtype(op, "X", X, arrays.FLOATING | arrays.INTEGER, "pass real numbers")
    plan = _pool_plan(
        op,
        tuple(X.shape[2:]),
        window_ints(op, "kernel_shape", kernel_shape, count, least=1, default=None),
        window_ints(op, "strides", strides, count, least=1, default=1),
        window_ints(op, "dilations", dilations, count, least=1, default=1),
        pads_of(op, pads, count),
        choice(op, "auto_pad", auto_pad, AUTO_PADS),
        flag_of(op, "ceil_mode", ceil_mode),
    )
    is_column_major = flag_of(op, "storage_order", storage_order)
    with_indices = flag(op, "return_indices", return_indices)
    values, places = pool(X, op=op, argument="X", xp=xp, plan=plan, with_indices=with_indices, out=None, engine=engine)
    if places is None:
        return values
    return values, _whole_tensor_indices(xp, places, tuple(X.shape), is_column_major)


@planned
def _pool_plan(
    op: str,
    large: _Ints,
    kernel: _Ints,
    strides: _Ints,
    dilations: _Ints,
    pads: tuple[_Ints, _Ints],
    auto_pad: str,
    is_ceil: bool,
) -> PoolPlan:
    same = same_sizes(large, strides)
    axes = []
    for place, (n, k, s, d) in enumerate(zip(large, kernel, strides, dilations, strict=True)):
        reach = d * (k - 1) + 1
        begin, end = (pads[0][place], pads[1][place]) if auto_pad == "NOTSET" else (0, 0)
        if auto_pad.startswith("SAME"):
            small = same[place]
            total = (small - 1) * s + reach - n
            begin = int((total if auto_pad == "SAME_UPPER" else total + 1) / 2)  # a negative one is cut towards zero
        else:
            small = window_count(n, begin, end, reach, s, is_ceil and auto_pad == "NOTSET")
        if small < 1:
            rule = f"a window reaches over {reach} positions and there are {n} and the padding {begin} and {end}"
            raise bad_value(op, "kernel_shape", kernel, rule, "pass a smaller window or a larger input")
        axis = WindowAxis(n, small, k, s, begin, d)
        if not axis.every_window_has_an_element():
            rule = f"with the padding {begin} and {end}, some window of spatial axis {place} has no element"
            raise bad_value(op, "pads", (*pads[0], *pads[1]), rule, "pass less padding")
        axes.append(axis)
    return PoolPlan(tuple(axes), local_indices=False, first_nan=False)


def _whole_tensor_indices(xp: ModuleType, places: Any, shape: _Ints, is_column_major: bool) -> Any:
    """Count over the whole tensor instead of over each plane."""
    spatial = shape[2:]
    if is_column_major:
        rest, column_major, step = places, xp.zeros_like(places), 1
        parts = []
        for n in reversed(spatial):
            parts.append(rest % n)
            rest = rest // n
        for part, n in zip(reversed(parts), spatial, strict=True):
            column_major = column_major + part * step
            step *= n
        places = column_major
    return places + _plane_starts(xp, places, shape[:2], math.prod(spatial))


def _plane_starts(xp: ModuleType, indices: Any, planes: tuple[int, ...], size: int) -> Any:
    """Return the index of the first element of each plane, in the dtype and rank of `indices`."""
    starts = np.arange(math.prod(planes), dtype=np.int64) * size
    table = starts.reshape(*planes, *[1] * (indices.ndim - 2))
    return arrays.from_table(xp, table, indices, indices.dtype)


def max_unpool(
    X: ArrayT,
    I: Array,  # noqa: E741 – ONNX calls it so
    output_shape: Sequence[int] | Array | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Put pooled values back, zeros elsewhere, as ONNX MaxUnpool does.

    Parameters
    ----------
    X : array
        ``[N, C, *spatial]`` of any dtype.
    I : array of an integer dtype
        The shape of `X`: where each value goes, as an index into the flattened result of the inferred shape.
    output_shape : sequence of int, or array of integers, optional
        Whole shape of the result, no axis smaller than the inferred one, ``(n - 1) * stride - pads + kernel``. Indices
        count in the inferred shape; the rest is filled up with zeros at the ends.
    kernel_shape : sequence of int
        Window size of the pooling, one per spatial axis.
    pads : sequence of int, optional
        Padding of the pooling: the begins of all spatial axes, then the ends.
    strides : sequence of int, optional
        Of the pooling; None is all 1, unlike in torch.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `X`. If several values have one index, the last one wins.

    Raises
    ------
    IndexError
        An index that is not in the plane of its value; the error counts from the begin of that plane.
    ValueError
        Wrong shapes or attributes.
    TypeError
        Indices of no integer dtype, another type, or mixed libraries.

    Notes
    -----
    Opsets 9, 11 and 22 compute the same. onnxruntime counts indices in `output_shape` instead; the specification,
    its test cases and this function do not.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__MaxUnpool.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> x, i = np.asarray([[[5.0, 7.0]]]), np.asarray([[[1, 3]]])
    >>> upsample.onnx.max_unpool(x, i, kernel_shape=[2], strides=[2])
    array([[[0., 5., 0., 7.]]])
    >>> upsample.onnx.max_unpool(x, i, [1, 1, 6], kernel_shape=[2], strides=[2])
    array([[[0., 5., 0., 7., 0., 0.]]])
    """
    op = "max_unpool"
    xp = arrays.namespace(op, {"X": X, "I": I})
    count = check_spatial(op, "X", X)
    check_dtype(op, "X", X, arrays.MOVABLE, "convert it")
    check_dtype(op, "I", I, arrays.INTEGER, "pass the indices that max_pool returns")
    if tuple(I.shape) != tuple(X.shape):
        rule = f"X has the shape {tuple(X.shape)}"
        raise bad_value(op, "I", Raw(f"<shape {tuple(I.shape)}>"), rule, "pass one index for each element")
    wanted = None if output_shape is None else _output_shape(op, output_shape, tuple(X.shape[:2]), count)
    plan, inferred = _unpool_plan(
        op,
        tuple(X.shape[2:]),
        window_ints(op, "kernel_shape", kernel_shape, count, least=1, default=None),
        window_ints(op, "strides", strides, count, least=1, default=1),
        pads_of(op, pads, count),
        wanted,
    )
    return unpool(
        X,
        _plane_indices(xp, I, inferred, plan.large_shape),
        op=op,
        arguments=("X", "I", "output_shape"),
        xp=xp,
        plan=plan,
        duplicate_grad="winner",
        out=None,
        engine=engine,
    )


def _output_shape(op: str, value: object, lead: _Ints, count: int) -> _Ints:
    shape = integers(op, "output_shape", numbers_of(op, "output_shape", value), count + 2, least=0, one_for_all=False)
    if shape[:2] != lead:
        raise bad_value(op, "output_shape", shape, f"X has the batch and channels {lead}", "begin with those")
    return shape[2:]


@planned
def _unpool_plan(
    op: str, small: _Ints, kernel: _Ints, strides: _Ints, pads: tuple[_Ints, _Ints], wanted: _Ints | None
) -> tuple[UnpoolPlan, _Ints]:
    axes, inferred = [], []
    for place, (n, k, s, begin, end) in enumerate(zip(small, kernel, strides, *pads, strict=True)):
        size = (n - 1) * s - begin - end + k
        large = size if wanted is None else wanted[place]
        if size < 1:
            rule = f"the result would have size {size} on spatial axis {place}"
            raise bad_value(op, "pads", (*pads[0], *pads[1]), rule, "pass less padding")
        if large < size:
            rule = f"the windows reach over {size} positions on spatial axis {place}"
            raise bad_value(op, "output_shape", wanted, rule, "pass that size or more")
        inferred.append(size)
        axes.append(WindowAxis(large, n, k, s, begin, 1))
    plan = UnpoolPlan(tuple(axes), False, duplicates="last", check_indices=True, deterministic=True)
    return plan, tuple(inferred)


def _plane_indices(xp: ModuleType, indices: Any, inferred: _Ints, large: _Ints) -> Any:
    """Count in each plane of the result instead of over the whole tensor of the inferred shape."""
    native = arrays.astype(xp, arrays.native_order(indices), arrays.index_dtype(xp))
    size = math.prod(inferred)
    local = native - _plane_starts(xp, native, tuple(indices.shape[:2]), size)
    if inferred == large:
        return local
    rest, placed, step = local, xp.zeros_like(local), 1
    for n, wide in zip(reversed(inferred), reversed(large), strict=True):
        placed = placed + rest % n * step
        rest, step = rest // n, step * wide
    return xp.where((local >= 0) & (local < size), placed, -1)  # -1 is outside every plane
