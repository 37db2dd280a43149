"""Max-pooling with indices of NumPy arrays of up to 32 bits: a 64-bit key packs a value and its index.

The value fills the high bits, and the place, which counts downwards, the low bits. The largest key has the maximum, and
of equal maxima the first. So a tap is one `maximum`; separate values and places take six passes.
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
"""Which half of a key is which."""
_LAST = (1 << 32) - 1
"""Largest index in the low half of a key; indices are counted down from it, so that the first of equal values wins."""
_LOWEST = -(1 << 63)
"""The key of padding: below every value's."""
_ROOMS = 3
"""Kinds of parts whose keys are kept: with padding in front, without padding, and with padding behind."""


class PoolKeys:
    """Pools parts of ``[planes, *large]``; the keys of a part are room for the next one's.

    Parameters
    ----------
    weights : sequence of int
        What a step along each axis adds to a place.
    start : int
        The place of the first position.
    """

    def __init__(self, weights: Sequence[int], start: int) -> None:
        self._weights, self._start = weights, start
        self._spare: list[dict[Any, NDArray]] = []

    @staticmethod
    def suits(plan: PoolPlan, name: str, shared: bool) -> bool:
        """Whether values of a dtype, and places, fit into keys, and these are faster: not with two taps on threads."""
        windows = [axis for axis in plan.axes if isinstance(axis, WindowAxis)]
        if name not in _DTYPES or plan.local_indices or len(windows) < len(plan.axes):
            return False
        few = all(axis.kernel <= 2 for axis in windows)
        return not (few and shared) and plan.index_bound <= _LAST

    def pool(self, values: NDArray, part: Part, maxima: NDArray, places: NDArray) -> bool:
        """Write maxima and places of a part; False, and nothing is written, where values have another order as keys."""
        margins = [_margins(axis) for axis in part.axes]
        numbers, least = _numbers(values)
        if None in margins or numbers is None:
            return False
        flips = values.dtype.kind == "f" and least < 0
        try:
            rooms = self._spare.pop()  # which no other thread has meanwhile
        except IndexError:
            rooms = {}
        keys = self._room(rooms, values.shape, margins)
        _halves(keys)[..., _VALUE][_inside(values.shape, margins)] = _flipped(numbers) if flips else numbers
        best = keys
        for axis, geometry in enumerate(part.axes, start=1):
            best = _reduced(geometry, axis, best)
        halves = _halves(best)
        found = _flipped(halves[..., _VALUE]) if flips else halves[..., _VALUE]
        maxima[...] = found.view(np.float32) if values.dtype.kind == "f" else found
        start = self._start + sum(c.start * weight for c, weight in zip(part.positions, self._weights, strict=True))
        np.subtract(np.int64(_LAST + start), halves.view(np.uint32)[..., _PLACE], out=places)
        self._spare.append(rooms)
        return True

    def _room(self, rooms: dict[Any, NDArray], shape: tuple[int, ...], margins: list[Any]) -> NDArray:
        """Return keys of some planes: places are there, amid padding."""
        sizes = tuple(sum(margin) + n for n, margin in zip(shape[1:], margins, strict=True))
        room = rooms.get((sizes, *margins))
        if room is None or len(room) < shape[0]:
            if len(rooms) >= _ROOMS:
                rooms.clear()
            place = np.full((1,) * len(shape), _LAST)
            for axis, weight in enumerate(self._weights, start=1):
                place = place - weight * np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
            room = rooms[(sizes, *margins)] = np.full((shape[0], *sizes), _LOWEST)
            _halves(room).view(np.uint32)[..., _PLACE][_inside(shape, margins)] = place
        return room[: shape[0]]


def _inside(shape: tuple[int, ...], margins: list[Any]) -> tuple[slice, ...]:
    """Where the values are, amid padding."""
    return slice(None), *(slice(before, before + n) for n, (before, _) in zip(shape[1:], margins, strict=True))


def _margins(axis: WindowAxis) -> tuple[int, int] | None:
    """How far windows reach before and behind the values; None where that is further than keys have room for."""
    before, after = axis.padding, max(0, (axis.small - 1) * axis.stride + axis.reach - axis.padding - axis.large)
    return (before, after) if before >= 0 and before + after <= axis.large else None


def _numbers(values: NDArray) -> tuple[NDArray | None, int]:
    """View or convert values as whole numbers of 32 bits, and find the least; None with NaN, or a negative zero."""
    if values.dtype.kind != "f":
        return values.astype(np.int32, copy=False), 0
    values = values.astype(np.float32, copy=False)
    least = int(values.view(np.int32).min())
    bad = least == np.iinfo(np.int32).min or math.isnan(values.min())
    return None if bad else values.view(np.int32), least


def _flipped(numbers: NDArray) -> NDArray:
    """Turn the bits of floats into numbers of the same order, and back: those below zero count downwards."""
    sign = numbers >> 31
    sign &= np.iinfo(np.int32).max
    sign ^= numbers
    return sign


def _halves(keys: NDArray) -> NDArray:
    """View keys as pairs of values and places."""
    return keys.view(np.int32).reshape(*keys.shape, 2)


def _reduced(axis: WindowAxis, number: int, keys: NDArray) -> NDArray:
    """Find the largest key of each window along one axis."""

    def tap(k: int) -> NDArray:
        begin = k * axis.dilation
        return keys[(slice(None),) * number + (slice(begin, begin + (axis.small - 1) * axis.stride + 1, axis.stride),)]

    if axis.kernel == 1:
        return np.ascontiguousarray(tap(0))
    best = np.maximum(tap(0), tap(1))
    for k in range(2, axis.kernel):
        np.maximum(best, tap(k), out=best)
    return best
