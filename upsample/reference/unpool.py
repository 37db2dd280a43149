"""The inverses of max pooling: values back to their recorded positions, or over their whole windows."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .pool import per_axis

Array = NDArray[Any]


def max_unpool(
    x: Array, indices: Array, output_size: tuple[int, ...], duplicates: Literal["last", "sum"] = "last"
) -> Array:
    """Put every value at its flat index of an output plane of zeros, as torch.nn.functional.max_unpool2d.

    Parameters
    ----------
    x : (..., *plane) array
    indices : integer array of x's shape
        Positions in the flattened output plane.
    output_size : tuple of int
        The output plane; it has as many axes as x has trailing spatial axes.
    duplicates : {"last", "sum"}
        What an index that occurs twice keeps: the last value in row-major order, or the sum.

    Returns
    -------
    (..., *output_size) array, of x's dtype for "last", float64 or complex128 for "sum"

    Examples
    --------
    >>> max_unpool(np.array([[5.0, 7.0]]), np.array([[1, 1]]), (3,)).tolist()
    [[0.0, 7.0, 0.0]]
    >>> max_unpool(np.array([[5.0, 7.0]]), np.array([[1, 1]]), (3,), duplicates="sum").tolist()
    [[0.0, 12.0, 0.0]]
    """
    if duplicates not in ("last", "sum"):
        raise ValueError(f"max_unpool: duplicates is 'last' or 'sum', not {duplicates!r}")
    outer, plane = x.shape[: x.ndim - len(output_size)], math.prod(output_size)
    if indices.size and (indices.min() < 0 or indices.max() >= plane):
        raise IndexError(f"max_unpool: an index lies outside of the output plane {output_size}")
    batch, length = math.prod(outer), math.prod(x.shape[len(outer) :])
    values, places = x.reshape(batch, length), indices.reshape(batch, length)
    dtype = x.dtype if duplicates == "last" else np.dtype(_wide(x))
    y = np.zeros((batch, plane), dtype)
    rows = np.arange(batch)
    for k in range(length):
        if duplicates == "last":
            y[rows, places[:, k]] = values[:, k]
        else:
            y[rows, places[:, k]] += values[:, k]
    return y.reshape(*outer, *output_size)


def _wide(x: Array) -> type[np.float64] | type[np.complex128]:
    """The dtype in which sums over x are taken."""
    return np.complex128 if x.dtype.kind == "c" else np.float64


def _unpooled_sizes(
    sizes: Sequence[int],
    kernel: Sequence[int],
    step: Sequence[int],
    pads: Sequence[int],
    outsize: Sequence[int | None] | None,
    cover_all: bool,
) -> tuple[int, ...]:
    """stride*(h - 1) + ksize - 2*pad, less stride - 1 with cover_all (chainer's get_deconv_outsize)."""
    wanted = (None,) * len(sizes) if outsize is None else outsize
    return tuple(
        s * (h - 1) + k - (s - 1 if cover_all else 0) - 2 * p if o is None else o
        for h, k, s, p, o in zip(sizes, kernel, step, pads, wanted, strict=True)
    )


def _add_over_windows(
    x: Array,
    indexes: Array | None,
    kernel: Sequence[int],
    step: Sequence[int],
    pads: Sequence[int],
    outputs: Sequence[int],
) -> Array:
    """Add each value to all of its window, or to the position that `indexes` names; then cut the padding."""
    full = [max(s * (h - 1) + k, p + o) for h, k, s, p, o in zip(x.shape[2:], kernel, step, pads, outputs, strict=True)]
    y = np.zeros((*x.shape[:2], *full), _wide(x))
    for number, tap in enumerate(itertools.product(*map(range, kernel))):
        where = tuple(slice(t, t + s * (h - 1) + 1, s) for t, s, h in zip(tap, step, x.shape[2:], strict=True))
        part = x if indexes is None else np.where(indexes == number, x, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            y[:, :, *where] += part
    return y[:, :, *(slice(p, p + o) for p, o in zip(pads, outputs, strict=True))]


def chainer_unpooling(
    x: Array,
    ksize: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    pad: int | Sequence[int] = 0,
    outsize: Sequence[int | None] | None = None,
    cover_all: bool = True,
) -> Array:
    """Copy every value over its whole window, as chainer.functions.unpooling_nd; overlaps add.

    The value at h covers [stride*h - pad, stride*h - pad + ksize) of each output axis.

    Parameters
    ----------
    x : (N, C, *plane) array
    ksize, stride, pad : int or one int per spatial axis
        stride None means ksize.
    outsize : sequence of int, optional
        The output plane; None stands for stride*(h - 1) + ksize - 2*pad, less stride - 1 with cover_all.
    cover_all : bool

    Returns
    -------
    (N, C, *outsize) float64 or complex128 array

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> chainer_unpooling(x, 2)[0, 0].tolist()
    [[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [3.0, 3.0, 4.0]]
    """
    spatial = x.ndim - 2
    kernel, pads = per_axis(ksize, spatial), per_axis(pad, spatial)
    step = per_axis(ksize if stride is None else stride, spatial)
    outputs = _unpooled_sizes(x.shape[2:], kernel, step, pads, outsize, cover_all)
    return _add_over_windows(x, None, kernel, step, pads, outputs)


def chainer_upsampling(
    x: Array,
    indexes: Array,
    ksize: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    pad: int | Sequence[int] = 0,
    outsize: Sequence[int | None] | None = None,
    cover_all: bool = True,
) -> Array:
    """Put every value at a position of its own window, as chainer.functions.upsampling_2d; overlaps add.

    The value at h with index t goes to stride*h - pad + t of each output axis, and is dropped if that is
    padding.

    Parameters
    ----------
    x : (N, C, *plane) array
    indexes : integer array of x's shape
        Positions in the flattened window, as `chainer_max_pooling` gives them; negative ones count from its
        end.
    ksize, stride, pad : int or one int per spatial axis
        stride None means ksize.
    outsize : sequence of int, optional
        The output plane; None stands for stride*(h - 1) + ksize - 2*pad, less stride - 1 with cover_all.
    cover_all : bool

    Returns
    -------
    (N, C, *outsize) float64 or complex128 array

    Examples
    --------
    >>> x, indexes = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([[[[8, 6], [2, 0]]]])
    >>> chainer_upsampling(x, indexes, 3, stride=2, cover_all=False)[0, 0, 2].tolist()
    [0.0, 0.0, 10.0, 0.0, 0.0]
    """
    spatial = x.ndim - 2
    kernel, pads = per_axis(ksize, spatial), per_axis(pad, spatial)
    step = per_axis(ksize if stride is None else stride, spatial)
    places, window = np.asarray(indexes).astype(np.int64), math.prod(kernel)
    if places.size and (places.min() < -window or places.max() >= window):
        raise IndexError(f"chainer_upsampling: an index lies outside of the window {kernel}")
    places = np.where(places < 0, places + window, places)
    outputs = _unpooled_sizes(x.shape[2:], kernel, step, pads, outsize, cover_all)
    return _add_over_windows(x, places, kernel, step, pads, outputs)
