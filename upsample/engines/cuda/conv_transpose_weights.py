"""Weights in the order of the matrix products: launches of kernels/conv_transpose_weights.cu."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from upsample.engines.cuda.device import Device
from upsample.engines.cuda.launch import BITS, Kernel, Launch, ceil_div, kernel, struct

__all__ = ["arranged", "kernels"]

_THREADS = 128
_MOST = 65535


def _kernel(itemsize: int, channels: int) -> Kernel:
    return kernel("conv_transpose_weights", "arrange", SCALAR=BITS[itemsize], CHANNELS=channels)


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `arranged` can launch."""
    for itemsize, channels in ((2, 2), (4, 1), (8, 1)):
        yield _kernel(itemsize, channels)


def arranged(gpu: Device, weight: Any, *, groups: int, taps: int, channels: int, words: int, padded: int) -> Any:
    """Return ``[groups, taps, words, padded, channels]`` of a contiguous ``[C, M / groups, *kernel]``.

    `channels` input channels lie side by side in a word; there are `words` of them and `padded` outputs, with zeros
    where the weights have fewer.
    """
    size = weight.dtype.itemsize
    shape = (groups, weight.shape[0] // groups, weight.shape[1], taps)
    made = gpu.empty((groups * taps * words * padded * channels,), np.dtype(f"u{size}"))
    gpu.launch(_launch(size, channels, shape, words, padded), weight, made)
    return made


@lru_cache(maxsize=1024)
def _launch(itemsize: int, channels: int, shape: tuple[int, int, int, int], words: int, padded: int) -> Launch:
    names = ("groups", "channels", "outputs", "taps", "words", "padded")
    geometry = struct({name: np.int32(n) for name, n in zip(names, (*shape, words, padded), strict=True)})
    grid = (ceil_div(padded, _THREADS), min(words, _MOST), min(shape[0], _MOST))
    return Launch(_kernel(itemsize, channels), grid, (_THREADS, 1, 1), 0, (geometry,))
