"""Weights in the order of the matrix products: launches of kernels/conv_transpose_weights.cu."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from upsample.caches import cached
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import BITS, Kernel, Launch, ceil_div, kernel, struct

__all__ = ["arranged", "kernels"]

_THREADS = 128
"""Threads of a block; as in the .cu file."""
_MOST = 65535
"""Most blocks along the second and third axis of a grid, a limit of CUDA."""


def _kernel(itemsize: int, channels: int) -> Kernel:
    return kernel("conv_transpose_weights", "arrange", SCALAR=BITS[itemsize], CHANNELS=channels)


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `arranged` can launch."""
    for itemsize, channels in ((2, 2), (4, 1), (8, 1)):
        yield _kernel(itemsize, channels)


def arranged(
    gpu: Device,
    weight: Any,
    *,
    groups: int,
    sizes: tuple[int, int, int],
    outputs_last: bool,
    channels: int,
    words: int,
    padded: int,
) -> Any:
    """Return ``[groups, taps, words, padded, channels]`` of a contiguous ``[groups, channels, outputs, taps]``.

    `sizes` are a group's channels, outputs and taps; channels and outputs are swapped unless `outputs_last`. `channels`
    of them lie side by side in a word; there are `words` and `padded` outputs, with zeros where there is no weight.
    """
    size = weight.dtype.itemsize
    made = gpu.empty((groups * sizes[2] * words * padded * channels,), np.dtype(f"u{size}"))
    gpu.launch(_launch(size, channels, groups, sizes, outputs_last, words, padded), weight, made)
    return made


@cached
def _launch(
    itemsize: int, side: int, groups: int, sizes: tuple[int, int, int], outputs_last: bool, words: int, padded: int
) -> Launch:
    channels, outputs, taps = sizes
    steps = (outputs * taps, taps) if outputs_last else (taps, channels * taps)
    names = ("groups", "channels", "outputs", "taps", "words", "padded", "channel_step", "output_step")
    numbers = (groups, *sizes, words, padded, *steps)
    geometry = struct({name: np.int32(n) for name, n in zip(names, numbers, strict=True)})
    grid = (ceil_div(padded, _THREADS), min(words, _MOST), min(groups, _MOST))
    return Launch(_kernel(itemsize, side), grid, (_THREADS, 1, 1), 0, (geometry,))
