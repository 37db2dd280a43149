"""Bias gradient of transposed convolution: sums over all axes except the channels, in an order that shapes decide.

NumPy sums each channel of each image pairwise, then the images' sums pairwise, whatever the layout of the array. Other
libraries sum in their own fixed order.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines import threads
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]

_SUMMED = 1 << 20
"""Elements per NumPy sum, about: small enough to keep Ctrl-C responsive and to share among threads."""


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, grad: Any, dtype: Any) -> Any:
    """Return the sums of ``[..., M, *large]`` for each of the M channels, as an array of `dtype`."""
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(grad)))
    channels = grad.ndim - len(plan.axes) - 1
    if xp is np:
        return arrays.astype(np, _numpy_sums(grad, channels, accumulator), dtype)
    others = tuple(axis for axis in range(grad.ndim) if axis != channels)
    return arrays.astype(xp, xp.sum(arrays.astype(xp, grad, accumulator), axis=others), dtype)


def _numpy_sums(grad: Any, channels: int, accumulator: Any) -> Any:
    """Return the sums over all axes except `channels`, by blocks of channels on all threads."""
    count = grad.shape[channels]
    step = max(1, _SUMMED * count // max(math.prod(grad.shape), 1))
    sums = np.empty(count, dtype=accumulator)

    def sum_block(number: int) -> None:
        cut = slice(number * step, (number + 1) * step)
        block = arrays.astype(np, grad[(*[slice(None)] * channels, cut, ...)], accumulator)
        images, positions = block.shape[:channels], block.shape[channels + 1 :]
        rows = np.ascontiguousarray(block).reshape(math.prod(images), len(sums[cut]), math.prod(positions))
        sums[cut] = np.ascontiguousarray(rows.sum(axis=-1).T).sum(axis=-1)

    threads.each_block(sum_block, -(-count // step))
    return sums
