"""Inputs of the demo and the gallery: a photograph, and the weight of a transposed convolution.

The photograph ``astronaut.jpg`` is NASA's portrait of Eileen Collins (S93-43839, 1993, https://flic.kr/p/r9qvLn), which
is in the public domain: no copyright restrictions are known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bilinear_weight", "photograph"]

Pixels = NDArray[Any]


def photograph() -> Pixels:
    """Return the photograph: ``[512, 512, 3]``, uint8."""
    from PIL import Image

    with Image.open(Path(__file__).with_name("astronaut.jpg")) as opened:
        return np.asarray(opened)


def bilinear_weight(channels: int, spatial: int) -> Pixels:
    """Return the weight with which a transposed convolution of stride 2 and padding 1 interpolates linearly.

    Parameters
    ----------
    channels : int
        The channels, which are also the groups.
    spatial : int
        Number of spatial axes.

    Returns
    -------
    array
        ``[channels, 1, 4, ...]``, float32: outer products of 1/4, 3/4, 3/4, 1/4.
    """
    side = np.asarray([0.25, 0.75, 0.75, 0.25], dtype=np.float32)
    window = np.ones((), dtype=np.float32)
    for _ in range(spatial):
        window = window[..., None] * side
    return np.ascontiguousarray(np.broadcast_to(window, (channels, 1, *window.shape)))
