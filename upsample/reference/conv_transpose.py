"""Transposed convolution, as torch and as Chainer size it."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pool import per_axis

Array = NDArray[Any]


def _spread(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    outputs: Sequence[int],
    groups: int,
) -> Array:
    """y[n, o, stride*h - padding + dilation*t] += x[n, c, h] * weight[c, o, t]; c runs over o's group."""
    sizes, kernel = x.shape[2:], weight.shape[2:]
    if x.shape[1] != weight.shape[0] or groups < 1 or x.shape[1] % groups:
        raise ValueError(f"{x.shape[1]} channels, a weight for {weight.shape[0]} and {groups} groups do not fit")
    if min(outputs) < 0:
        raise ValueError(f"the output would have the size {tuple(outputs)}")
    arrays = (x, weight) if bias is None else (x, weight, bias)
    dtype = np.complex128 if any(a.dtype.kind == "c" for a in arrays) else np.float64
    x, weight = x.astype(dtype), weight.astype(dtype)
    inputs_each, outputs_each = x.shape[1] // groups, weight.shape[1]
    full = [
        max(s * (n - 1) + d * (k - 1) + 1, p + o)
        for n, k, s, p, d, o in zip(sizes, kernel, stride, padding, dilation, outputs, strict=True)
    ]
    y = np.zeros((x.shape[0], groups * outputs_each, *full), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for tap in itertools.product(*map(range, kernel)):
            where = tuple(
                slice(d * t, d * t + s * (n - 1) + 1, s)
                for t, n, s, d in zip(tap, sizes, stride, dilation, strict=True)
            )
            for group in range(groups):
                ins = slice(group * inputs_each, (group + 1) * inputs_each)
                outs = slice(group * outputs_each, (group + 1) * outputs_each)
                here: tuple[Any, ...] = (ins, slice(None), *tap)
                y[:, outs, *where] += np.einsum("nc...,co->no...", x[:, ins], weight[here])
        inside = tuple(slice(p, p + o) for p, o in zip(padding, outputs, strict=True))
        y = y[:, :, *inside]
        if bias is not None:
            y = y + bias.astype(dtype).reshape(1, -1, *(1,) * len(sizes))
    return y


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Transposed convolution, as torch.nn.functional.conv_transpose1d, 2d and 3d.

    y[n, o, stride*h - padding + dilation*t] += x[n, c, h] * weight[c, o, t]; an output axis has the size
    (n - 1)*stride - 2*padding + dilation*(k - 1) + output_padding + 1 (torch.nn.ConvTranspose2d's "Shape").

    Parameters
    ----------
    x : (N, C, *plane) array
    weight : (C, outputs per group, *kernel) array
    bias : (outputs,) array, optional
    stride, padding, output_padding, dilation : int or one int per spatial axis
    groups : int

    Returns
    -------
    (N, outputs, *sizes) float64 or complex128 array

    Examples
    --------
    >>> conv_transpose(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0, 100.0]]]), stride=2).tolist()
    [[[1.0, 10.0, 102.0, 20.0, 200.0]]]
    """
    spatial = x.ndim - 2
    step, pads, spread = per_axis(stride, spatial), per_axis(padding, spatial), per_axis(dilation, spatial)
    outputs = [
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, k, s, p, d, extra in zip(
            x.shape[2:], weight.shape[2:], step, pads, spread, per_axis(output_padding, spatial), strict=True
        )
    ]
    return _spread(x, weight, bias, step, pads, spread, outputs, groups)


def chainer_deconvolution(
    x: Array,
    W: Array,
    b: Array | None = None,
    stride: int | Sequence[int] = 1,
    pad: int | Sequence[int] = 0,
    outsize: Sequence[int | None] | None = None,
    dilate: int | Sequence[int] = 1,
    groups: int = 1,
) -> Array:
    """Transposed convolution, as chainer.functions.deconvolution_nd.

    The same sum as `conv_transpose`; there is no output_padding, but the output size may be given.

    Parameters
    ----------
    x : (N, C, *plane) array
    W : (C, outputs per group, *kernel) array
    b : (outputs,) or (1,) array, optional
    stride, pad, dilate : int or one int per spatial axis
    outsize : sequence of int, optional
        The output plane; None stands for stride*(h - 1) + dilate*(k - 1) + 1 - 2*pad.
    groups : int

    Returns
    -------
    (N, outputs, *outsize) float64 or complex128 array

    Examples
    --------
    >>> x, W = np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0]]])
    >>> chainer_deconvolution(x, W, stride=2, outsize=(5,)).tolist()
    [[[1.0, 10.0, 2.0, 20.0, 0.0]]]
    """
    spatial = x.ndim - 2
    step, pads, spread = per_axis(stride, spatial), per_axis(pad, spatial), per_axis(dilate, spatial)
    wanted = (None,) * spatial if outsize is None else outsize
    outputs = [
        s * (h - 1) + d * (k - 1) + 1 - 2 * p if o is None else o
        for h, k, s, p, d, o in zip(x.shape[2:], W.shape[2:], step, pads, spread, wanted, strict=True)
    ]
    return _spread(x, W, b, step, pads, spread, outputs, groups)
