"""Max-pooling with indices of NumPy arrays of up to 32 bits: pack each value and its index into a 64-bit key.

The high bits are the value, and the low bits are the index, counted down from its largest value. The largest key has
the maximum, and of equal maxima the first. Hence each tap needs one `maximum`; separate values and indices need six
passes over the arrays.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.portable.blocks import Part
from upsample.plans.window import PoolPlan, WindowAxis

__all__ = ["PoolKeys"]


_DTYPES = ("float32", "float16", "int32", "int16", "int8", "uint16", "uint8")
_VALUE, _PLACE = (1, 0) if sys.byteorder == "little" else (0, 1)
"""Numbers of the halves of a key in memory: value and index."""
_LAST = (1 << 32) - 1
"""Largest index in a key; indices are counted down from it, so that the first of equal values wins."""
_LOWEST = -(1 << 63)
"""The key of padding, which is lower than the key of every value."""
_BUFFERS = 3
"""Most buffers of keys that a thread reuses: for parts with padding before, without padding, and with padding after."""


class PoolKeys:
    """Pools parts of ``[planes, *large]``, and reuses the buffers of keys of earlier parts.

    Parameters
    ----------
    weights : sequence of int
        What a step along each axis adds to an index.
    start : int
        The index of the first position.
    """

    def __init__(self, weights: Sequence[int], start: int) -> None:
        self._weights, self._start = weights, start
        self._spare: list[dict[Any, NDArray]] = []

    @staticmethod
    def suits(plan: PoolPlan, name: str, shared: bool) -> bool:
        """Tell whether values and indices fit into keys, and keys are faster: not with two taps on several threads."""
        windows = [axis for axis in plan.axes if isinstance(axis, WindowAxis)]
        if name not in _DTYPES or plan.local_indices or len(windows) < len(plan.axes):
            return False
        are_small = all(axis.kernel <= 2 for axis in windows)
        return not (are_small and shared) and plan.index_bound <= _LAST

    def pool(self, values: NDArray, part: Part, maxima: NDArray, places: NDArray) -> bool:
        """Write maxima and indices of a part; if the keys of its values are not in their order, only return False."""
        margins = [_margins(axis) for axis in part.axes]
        numbers, least = _numbers(values)
        if None in margins or numbers is None:
            return False
        flips = values.dtype.kind == "f" and least < 0
        try:
            buffers = self._spare.pop()  # `pop` never returns one entry to two threads
        except IndexError:
            buffers = {}
        keys = self._buffer(buffers, values.shape, margins)
        _halves(keys)[..., _VALUE][_inside(values.shape, margins)] = _flipped(numbers) if flips else numbers
        best = keys
        for axis, geometry in enumerate(part.axes, start=1):
            best = _reduced(geometry, axis, best)
        halves = _halves(best)
        best_numbers = _flipped(halves[..., _VALUE]) if flips else halves[..., _VALUE]
        maxima[...] = best_numbers.view(np.float32) if values.dtype.kind == "f" else best_numbers
        start = self._start + sum(c.start * weight for c, weight in zip(part.positions, self._weights, strict=True))
        np.subtract(np.int64(_LAST + start), halves.view(np.uint32)[..., _PLACE], out=places)
        self._spare.append(buffers)
        return True

    def _buffer(self, buffers: dict[Any, NDArray], shape: tuple[int, ...], margins: list[Any]) -> NDArray:
        """Return a buffer of keys for planes of `shape`, with margins of padding; it contains the indices already."""
        sizes = tuple(sum(margin) + n for n, margin in zip(shape[1:], margins, strict=True))
        buffer = buffers.get((sizes, *margins))
        if buffer is None or len(buffer) < shape[0]:
            if len(buffers) >= _BUFFERS:
                buffers.clear()
            place = np.full((1,) * len(shape), _LAST)
            for axis, weight in enumerate(self._weights, start=1):
                place = place - weight * np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
            buffer = buffers[(sizes, *margins)] = np.full((shape[0], *sizes), _LOWEST)
            _halves(buffer).view(np.uint32)[..., _PLACE][_inside(shape, margins)] = place
        return buffer[: shape[0]]


def _inside(shape: tuple[int, ...], margins: list[Any]) -> tuple[slice, ...]:
    """Return the slices of the values, without the margins of padding."""
    return slice(None), *(slice(before, before + n) for n, (before, _) in zip(shape[1:], margins, strict=True))


def _margins(axis: WindowAxis) -> tuple[int, int] | None:
    """Return how far windows extend before and after the values; None if that is more than the axis is long."""
    before, after = axis.padding, max(0, (axis.small - 1) * axis.stride + axis.reach - axis.padding - axis.large)
    return (before, after) if before >= 0 and before + after <= axis.large else None


def _numbers(values: NDArray) -> tuple[NDArray | None, int]:
    """View or convert values as 32-bit integers, and find the least; None if there is NaN or a negative zero."""
    if values.dtype.kind != "f":
        return values.astype(np.int32, copy=False), 0
    values = values.astype(np.float32, copy=False)
    least = int(values.view(np.int32).min())
    bad = least == np.iinfo(np.int32).min or math.isnan(values.min())
    return None if bad else values.view(np.int32), least


def _flipped(numbers: NDArray) -> NDArray:
    """Convert the bits of floats to integers with the order of the floats, and back: flip the bits of negative ones."""
    sign = numbers >> 31
    sign &= np.iinfo(np.int32).max
    sign ^= numbers
    return sign


def _halves(keys: NDArray) -> NDArray:
    """View keys as pairs of values and indices."""
    return keys.view(np.int32).reshape(*keys.shape, 2)


def _reduced(axis: WindowAxis, number: int, keys: NDArray) -> NDArray:
    """Return the largest key of each window along one axis."""

    def tap(k: int) -> NDArray:
        begin = k * axis.dilation
        return keys[(slice(None),) * number + (slice(begin, begin + (axis.small - 1) * axis.stride + 1, axis.stride),)]

    if axis.kernel == 1:
        return np.ascontiguousarray(tap(0))
    best = np.maximum(tap(0), tap(1))
    for k in range(2, axis.kernel):
        np.maximum(best, tap(k), out=best)
    return best
