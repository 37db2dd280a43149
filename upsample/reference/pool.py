"""Max pooling with the positions of the maxima, as torch and as Chainer number them."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def per_axis(value: int | Sequence[int], spatial: int) -> tuple[int, ...]:
    """One number for every spatial axis: an int repeats.

    Examples
    --------
    >>> per_axis(2, 3), per_axis((1, 2), 2)
    ((2, 2, 2), (1, 2))
    """
    numbers = (int(value),) * spatial if isinstance(value, (int, np.integer)) else tuple(value)
    if len(numbers) != spatial:
        raise ValueError(f"{spatial} spatial axes need {spatial} numbers, not {value!r}")
    return numbers


def _lowest(dtype: np.dtype[Any]) -> Any:
    """What every element of `dtype` is at least."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return False if dtype.kind == "b" else -np.inf


def _max_over_windows(x: Array, windows: Sequence[Array]) -> tuple[Array, Array]:
    """Take the maximum over windows of the trailing axes, visiting each window in row-major order.

    windows[d][o] lists the input positions of output o along spatial axis d; -1 stands for no element.  An
    element replaces the maximum when there is none yet, when it is greater, and when it is NaN.
    """
    spatial = len(windows)
    plane = x.shape[-spatial:]
    flat_x = x.reshape(-1, math.prod(plane))  # [batch, plane]
    shape = (flat_x.shape[0], *(len(window) for window in windows))
    values = np.full(shape, _lowest(x.dtype), x.dtype)
    indices = np.full(shape, -1, np.int64)
    for tap in itertools.product(*(range(window.shape[1]) for window in windows)):
        flat, there = np.zeros((1,) * spatial, np.int64), np.ones((1,) * spatial, bool)
        for d in range(spatial):
            positions = windows[d][:, tap[d]].reshape([-1 if e == d else 1 for e in range(spatial)])
            flat = flat * plane[d] + positions
            there = there & (positions >= 0)
        candidate = flat_x[:, np.where(there, flat, 0)]
        with np.errstate(invalid="ignore"):
            wins = there & ((indices < 0) | (candidate > values) | (candidate != candidate))
        values = np.where(wins, candidate, values)
        indices = np.where(wins, flat, indices)
    full = x.shape[:-spatial] + shape[1:]
    return values.reshape(full), indices.reshape(full)


def max_pool(
    x: Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    *,
    spatial: int | None = None,
) -> tuple[Array, Array]:
    """Max pooling over the trailing axes, as torch.nn.functional.max_pool1d, 2d and 3d with return_indices.

    Output o of an axis looks at o*stride - padding + t*dilation for t in 0..kernel_size-1, as far as they
    lie inside. There are floor((n + 2*padding - dilation*(kernel_size - 1) - 1) / stride) + 1 outputs;
    ceil_mode rounds that quotient up, but drops a last window that would start in the right padding
    (torch.nn.MaxPool2d's "Shape").

    Parameters
    ----------
    x : (..., *plane) array
    kernel_size, stride, padding, dilation : int or one int per spatial axis
        stride None means kernel_size.
    ceil_mode : bool
    spatial : int
        How many trailing axes are spatial; needed where kernel_size is one int.

    Returns
    -------
    values : (..., *outputs) array of x's dtype
        The first maximum of a window; its last NaN if it has one; -inf (the lowest number) without any
        element.
    indices : int64 array of the same shape
        Where it lies in the flattened input plane; -1 without any element.

    Examples
    --------
    >>> values, indices = max_pool(np.arange(16.0).reshape(1, 4, 4), (2, 2))
    >>> values.tolist(), indices.tolist()
    ([[[5.0, 7.0], [13.0, 15.0]]], [[[5, 7], [13, 15]]])
    """
    if spatial is None:
        if isinstance(kernel_size, (int, np.integer)):
            raise ValueError("max_pool: kernel_size is one int, so say how many axes are spatial (spatial=2)")
        spatial = len(kernel_size)
    sizes = x.shape[-spatial:]
    kernel, pad = per_axis(kernel_size, spatial), per_axis(padding, spatial)
    step, spread = per_axis(kernel_size if stride is None else stride, spatial), per_axis(dilation, spatial)
    windows = []
    for n, k, s, p, d in zip(sizes, kernel, step, pad, spread, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        outputs = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (outputs - 1) * s >= n + p:
            outputs -= 1
        if outputs < 1 or n < 1:
            raise ValueError(f"max_pool: a plane of {sizes} has no window of {kernel} (dilation {spread})")
        positions = np.array([[o * s - p + t * d for t in range(k)] for o in range(outputs)])
        windows.append(np.where((positions >= 0) & (positions < n), positions, -1))
    return _max_over_windows(x, windows)


def adaptive_max_pool(x: Array, output_size: tuple[int, ...]) -> tuple[Array, Array]:
    """Max pooling to a wanted size, as torch.nn.functional.adaptive_max_pool2d with return_indices.

    Output i of o looks at [floor(i*n/o), ceil((i + 1)*n/o)) of n inputs (ATen/native/AdaptivePooling.h).

    Parameters
    ----------
    x : (..., *plane) array
    output_size : tuple of int
        One size per trailing axis.

    Returns
    -------
    values : (..., *output_size) array of x's dtype
        The first maximum of a window; its last NaN if it has one.
    indices : int64 array of the same shape
        Where it lies in the flattened input plane.

    Examples
    --------
    >>> values, indices = adaptive_max_pool(np.array([[3.0, 1.0, 2.0]]), (2,))
    >>> values.tolist(), indices.tolist()
    ([[3.0, 2.0]], [[0, 2]])
    """
    windows = []
    for n, o in zip(x.shape[-len(output_size) :], output_size, strict=True):
        if n < 1 or o < 1:
            raise ValueError(f"adaptive_max_pool: no windows from size {n} to size {o}")
        bounds = [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]
        longest = max(end - start for start, end in bounds)
        rows = [[start + t if start + t < end else -1 for t in range(longest)] for start, end in bounds]
        windows.append(np.array(rows))
    return _max_over_windows(x, windows)


def chainer_max_pooling(
    x: Array,
    ksize: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    pad: int | Sequence[int] = 0,
    cover_all: bool = True,
) -> tuple[Array, Array]:
    """Max pooling of (N, C, *plane), as chainer.functions.max_pooling_nd with return_indices.

    The plane is padded with -inf on every side; with cover_all the right side grows until every element lies
    in a window: (n + 2*pad - ksize + stride - 1) // stride + 1 outputs
    (chainer.utils.conv.get_conv_outsize).

    Parameters
    ----------
    x : (N, C, *plane) array of floats
    ksize, stride, pad : int or one int per spatial axis
        stride None means ksize.
    cover_all : bool

    Returns
    -------
    values : (N, C, *outputs) array of x's dtype
        The first maximum of a window, or its first NaN.
    indexes : int64 array of the same shape
        Where it lies in its own flattened window, padding counted.

    Examples
    --------
    >>> values, indexes = chainer_max_pooling(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    >>> values[0, 0].tolist(), indexes[0, 0].tolist()
    ([[5.0, 7.0], [13.0, 15.0]], [[3, 3], [3, 3]])
    """
    spatial = x.ndim - 2
    kernel, pads = per_axis(ksize, spatial), per_axis(pad, spatial)
    step = per_axis(ksize if stride is None else stride, spatial)
    outputs, borders = [], []
    for n, k, s, p in zip(x.shape[2:], kernel, step, pads, strict=True):
        o = (n + 2 * p - k + (s - 1 if cover_all else 0)) // s + 1
        outputs.append(o)
        borders.append((p, max((o - 1) * s + k - n - p, 0)))
    padded = np.pad(x, [(0, 0), (0, 0), *borders], constant_values=-np.inf)
    shape = (*x.shape[:2], *outputs)
    values, indexes = np.full(shape, -np.inf, x.dtype), np.zeros(shape, np.int64)
    for number, tap in enumerate(itertools.product(*map(range, kernel))):
        where = tuple(slice(t, t + s * (o - 1) + 1, s) for t, s, o in zip(tap, step, outputs, strict=True))
        candidate = padded[:, :, *where]
        with np.errstate(invalid="ignore"):
            wins = (candidate > values) | (np.isnan(candidate) & ~np.isnan(values))
        values = np.where(wins, candidate, values)
        indexes = np.where(wins, number, indexes)
    return values, indexes
