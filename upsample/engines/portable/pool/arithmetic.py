"""Max-pooling of planes without NaN, zeros of both signs, or values as low as padding: by arithmetic alone.

There a maximum is `maximum` and its place a sum of products. A choice between two arrays (`where`) takes ten times as
long, since the processor cannot foresee which is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.array_api import has_order
from upsample.engines.portable.output import empty, scalar
from upsample.plans.window import PoolPlan, WindowAxis

__all__ = ["pool_plain"]


def pool_plain(
    xp: ModuleType,
    plan: PoolPlan,
    axes: Sequence[Any],
    weights: Sequence[int],
    values: Any,
    lowest: Any,
    integer: Any,
    indexed: bool,
) -> Any:
    """Pool ``[planes, *large]``; return the maxima and their places (or None), or None where this way is not exact.

    Parameters
    ----------
    xp : module
        Namespace of `values`, which can be looked at and written into.
    plan : PoolPlan
        What indices mean.
    axes : sequence
        Windows, those of the plan or of a part.
    weights : sequence of int
        What a step along each axis adds to a place.
    values : array
        Real numbers.
    lowest : array
        Value of the padding, of no dimensions.
    integer : dtype
        Dtype of places.
    indexed : bool
        Whether to return places, too.
    """
    if not all(isinstance(axis, WindowAxis) for axis in axes) or not has_order(xp) or not hasattr(xp, "signbit"):
        return None
    margins = [(a.padding, max(0, (a.small - 1) * a.stride + a.reach - a.padding - a.large)) for a in axes]
    if any(before < 0 or before + after > axis.large for (before, after), axis in zip(margins, axes, strict=True)):
        return None  # a window behind all values, or more padding than values
    padded = any(map(any, margins))
    least = xp.min(values)
    if not arrays.all_true(least > lowest if padded else least == least):
        return None
    best, place = _padded(xp, values, margins, lowest) if padded else values, None
    for number, (axis, weight) in reversed(list(enumerate(zip(axes, weights, strict=True), start=1))):
        unit = weight if plan.local_indices else weight * axis.dilation
        best, place = _reduced(xp, axis, number, best, place, unit, integer if indexed else None)
    if arrays.dtype_name(values) in arrays.FLOATING and not _one_zero(xp, values, best):
        return None
    if place is not None and not plan.local_indices:
        place = place + arrays.from_table(xp, _starts(axes, weights), values, integer)
    return best, place


def _padded(xp: ModuleType, values: Any, margins: list[tuple[int, int]], lowest: Any) -> Any:
    """Surround each plane by padding, as far as windows reach."""
    sizes = [before + n + after for n, (before, after) in zip(values.shape[1:], margins, strict=True)]
    result = empty(xp, (values.shape[0], *sizes), values)
    for axis, (before, after) in enumerate(margins, start=1):
        for cut in (slice(0, before), slice(sizes[axis - 1] - after, sizes[axis - 1])):
            result[(slice(None),) * axis + (cut, ...)] = lowest
    inside = (slice(before, before + n) for n, (before, _) in zip(values.shape[1:], margins, strict=True))
    result[(slice(None), *inside)] = values
    return result


def _reduced(xp: ModuleType, axis: WindowAxis, number: int, values: Any, places: Any, unit: int, integer: Any) -> Any:
    """Reduce one axis; a step along it adds `unit` to a place."""

    def tap(x: Any, k: int) -> Any:
        begin = k * axis.dilation
        cut = slice(begin, begin + (axis.small - 1) * axis.stride + 1, axis.stride)
        return x[(slice(None),) * number + (cut, ...)]

    best = tap(values, 0)
    place = None if places is None else tap(places, 0)
    for k in range(1, axis.kernel):
        candidate = tap(values, k)
        if integer is not None:
            wins = xp.astype(candidate > best, integer)
            offset = scalar(xp, k * unit, wins)
            if places is not None:
                offset = tap(places, k) + offset
            if place is None:
                place = wins * offset
            else:  # one temporary array, for a plane may be large
                step = offset - place
                step *= wins
                step += place
                place = step
        best = xp.maximum(candidate, best)
    if integer is not None and place is None:  # a kernel of one
        place = xp.zeros(best.shape, dtype=integer, device=arrays.device_of(best))
    return best, place


def _one_zero(xp: ModuleType, values: Any, best: Any) -> bool:
    """Whether the order of +0 and -0 cannot change the maxima: no maximum is zero, or all zeros are positive."""
    if not arrays.all_true(xp.any(best == scalar(xp, 0, best))):
        return True
    return not arrays.all_true(xp.any(xp.logical_and(values == scalar(xp, 0, values), xp.signbit(values))))


def _starts(axes: Sequence[WindowAxis], weights: Sequence[int]) -> Any:
    """The place at which the window of each cell starts, were there no padding in front."""
    result = np.zeros((1,) * len(axes), dtype=np.int64)
    for number, (axis, weight) in enumerate(zip(axes, weights, strict=True)):
        column = (-1,) + (1,) * (len(axes) - number - 1)
        result = result + axis.positions(0).reshape(column) * weight
    return result
