"""The transpose of transposed convolution by its input: tap by tap, a matrix product of a strided cut.

The taps add in one fixed order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.phases import shifted
from upsample.engines.portable.results import quiet
from upsample.plans.window import SpreadPlan

__all__ = ["cuts", "run"]


@quiet
def run(xp: ModuleType, plan: SpreadPlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    groups, each = plan.groups, weight.shape[1]
    batch, inputs = y.shape[0], weight.shape[0] // groups
    shape = (batch, weight.shape[0], *plan.small_shape)
    if 0 in shape:
        return _zeros(xp, shape, y)
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(y)))
    taps = xp.reshape(arrays.astype(xp, weight, accumulator), (groups, inputs, each, -1))
    total = None
    for tap, cut in cuts(xp, plan, arrays.astype(xp, y, accumulator)):
        factor = taps[:, :, :, tap]
        share = factor * cut if each == 1 else xp.matmul(factor, cut)
        total = share if total is None else total + share
    if total is None:
        return _zeros(xp, shape, y)
    result: Array = xp.reshape(arrays.astype(xp, total, y.dtype), shape)
    return result


def cuts(xp: ModuleType, plan: SpreadPlan, y: Any) -> Iterator[tuple[int, Any]]:
    """Yield the number of each tap that meets a position, and what it meets: ``[N, groups, M / groups, cells]``."""
    moves, starts, useful = [], [], []
    for axis in plan.axes:
        taps = axis.useful_taps()
        low = min(taps.start * axis.dilation - axis.padding, 0)
        high = max((axis.small - 1) * axis.stride - axis.padding + (taps.stop - 1) * axis.dilation + 1, axis.large)
        moves.append((low, high - low))
        starts.append([tap * axis.dilation - axis.padding - low for tap in taps])
        useful.append(taps)
    if not all(useful):
        return
    padded = shifted(xp, y, moves)
    for places in itertools.product(*(range(len(taps)) for taps in useful)):
        number, key = 0, []
        for axis, taps, start, place in zip(plan.axes, useful, starts, places, strict=True):
            number = number * axis.kernel + taps[place]
            key.append(slice(start[place], start[place] + (axis.small - 1) * axis.stride + 1, axis.stride))
        cut = padded[(..., *key)]
        yield number, xp.reshape(cut, (y.shape[0], plan.groups, -1, math.prod(plan.small_shape)))


def _zeros(xp: ModuleType, shape: tuple[int, ...], like: Array) -> Array:
    result: Array = xp.zeros(shape, dtype=like.dtype, device=arrays.device_of(like))
    return result
