"""Channels to pixels and back, in both channel orders."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixel_shuffle(x: NDArray[Any], r: int) -> NDArray[Any]:
    """Move groups of r*r neighbouring channels into r by r pixels (CRD order).

    Pixel (y*r + i, x*r + j) of output channel c comes from input channel c*r*r + i*r + j:
    torch.nn.PixelShuffle; Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution", eq. 4.

    Parameters
    ----------
    x : (..., C*r*r, H, W) array
    r : int
        The factor by which height and width grow.

    Returns
    -------
    (..., C, H*r, W*r) array of x's dtype

    Examples
    --------
    >>> pixel_shuffle(np.arange(8).reshape(8, 1, 1), 2).tolist()
    [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    """
    *outer, channels, height, width = x.shape
    if r < 1 or channels % (r * r):
        raise ValueError(f"pixel_shuffle: {channels} channels are not a multiple of r*r with r={r}")
    y = np.empty((*outer, channels // (r * r), height * r, width * r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[..., :, i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return y


def pixel_unshuffle(x: NDArray[Any], r: int) -> NDArray[Any]:
    """Move r by r pixels into r*r neighbouring channels: the inverse of `pixel_shuffle`.

    Parameters
    ----------
    x : (..., C, H*r, W*r) array
    r : int
        The factor by which height and width shrink.

    Returns
    -------
    (..., C*r*r, H, W) array of x's dtype

    Examples
    --------
    >>> pixel_unshuffle(np.array([[[0, 1], [2, 3]]]), 2).ravel().tolist()
    [0, 1, 2, 3]
    """
    *outer, channels, height, width = x.shape
    if r < 1 or height % r or width % r:
        raise ValueError(f"pixel_unshuffle: height {height} and width {width} are not multiples of r={r}")
    y = np.empty((*outer, channels * r * r, height // r, width // r), x.dtype)
    for i in range(r):
        for j in range(r):
            y[..., i * r + j :: r * r, :, :] = x[..., :, i::r, j::r]
    return y


def depth2space(X: NDArray[Any], r: int) -> NDArray[Any]:
    """Move channels that lie C apart into r by r pixels (DCR order), as chainer.functions.depth2space does.

    Pixel (y*r + i, x*r + j) of output channel c comes from input channel (i*r + j)*C + c.

    Parameters
    ----------
    X : (N, C*r*r, H, W) array
    r : int
        The factor by which height and width grow.

    Returns
    -------
    (N, C, H*r, W*r) array of X's dtype

    Examples
    --------
    >>> depth2space(np.arange(8).reshape(1, 8, 1, 1), 2).tolist()
    [[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]
    """
    batch, channels, height, width = X.shape
    if r < 1 or channels % (r * r):
        raise ValueError(f"depth2space: {channels} channels are not a multiple of r*r with r={r}")
    depth = channels // (r * r)
    y = np.empty((batch, depth, height * r, width * r), X.dtype)
    for i in range(r):
        for j in range(r):
            first = (i * r + j) * depth
            y[:, :, i::r, j::r] = X[:, first : first + depth]
    return y


def space2depth(X: NDArray[Any], r: int) -> NDArray[Any]:
    """Move r by r pixels into channels that lie C apart: the inverse of `depth2space`.

    Parameters
    ----------
    X : (N, C, H*r, W*r) array
    r : int
        The factor by which height and width shrink.

    Returns
    -------
    (N, C*r*r, H, W) array of X's dtype

    Examples
    --------
    >>> space2depth(np.array([[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]), 2).ravel().tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    batch, depth, height, width = X.shape
    if r < 1 or height % r or width % r:
        raise ValueError(f"space2depth: height {height} and width {width} are not multiples of r={r}")
    y = np.empty((batch, depth * r * r, height // r, width // r), X.dtype)
    for i in range(r):
        for j in range(r):
            first = (i * r + j) * depth
            y[:, first : first + depth] = X[:, :, i::r, j::r]
    return y
