"""Max-pooling along an axis with few cells and long windows: reduce cell by cell instead of tap by tap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.portable.blocks import Spans
from upsample.engines.portable.output import scalar
from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["are_long", "pool_cells"]

_TAPS = 64
"""Least taps per cell for which a call per cell takes less time than a call per tap."""
_PIECE = 1 << 18
"""Most elements per call: with its temporary arrays, about the size of a tile."""


def are_long(axis: WindowAxis | SpanAxis | Spans) -> bool:
    """Tell whether the windows of an axis have many more taps than the axis has cells, and each has an element."""
    if isinstance(axis, WindowAxis):
        return len(axis.useful_taps()) > _TAPS * axis.small and axis.every_window_has_an_element()
    return axis.large > _TAPS * axis.small**2


def pool_cells(
    xp: ModuleType,
    geometry: WindowAxis | SpanAxis | Spans,
    axis: int,
    values: Any,
    places: Any,
    replaces: Callable[[Any, Any], Any],
    place_of: Callable[[Any, int, int], Any] | None,
) -> tuple[Any, Any]:
    """Reduce one axis.

    Parameters
    ----------
    xp : module
        Namespace of `values`.
    geometry : WindowAxis, SpanAxis or Spans
        Windows, each of which has an element.
    axis : int
        The axis.
    values, places : array
        The values to pool, and their indices along the axes that are pooled already, or None.
    replaces : callable
        ``replaces(candidate, best)``: whether a candidate wins over the best one before it.
    place_of : callable or None
        ``place_of(tap, first_tap, first_position)``: the indices of taps, counted from the first that is no
        padding; None to return no indices.
    """
    cells = [_pool_cell(xp, values, places, axis, window, replaces, place_of) for window in _windows(geometry)]
    maxima = xp.concat([best for best, _ in cells], axis=axis)
    return maxima, None if place_of is None else xp.concat([place for _, place in cells], axis=axis)


def _windows(geometry: WindowAxis | SpanAxis | Spans) -> Iterator[tuple[int, int, int, int]]:
    """Yield for each cell the first position inside, the step, the number of positions, and the first one's tap."""
    if not isinstance(geometry, WindowAxis):
        for first, count in zip(geometry.first().tolist(), geometry.count().tolist(), strict=True):
            yield first, 1, count, 0
        return
    for start in geometry.positions(0).tolist():
        tap = -(min(start, 0) // geometry.dilation)
        first = start + tap * geometry.dilation
        count = min(geometry.kernel - tap, (geometry.large - 1 - first) // geometry.dilation + 1)
        yield first, geometry.dilation, count, tap


def _pool_cell(
    xp: ModuleType, values: Any, places: Any, axis: int, window: tuple[int, int, int, int], replaces: Any, place_of: Any
) -> tuple[Any, Any]:
    """Pool one cell in pieces; both results keep the axis, with size 1."""
    first, step, count, skipped = window
    size = max(1, _PIECE // max(1, math.prod(values.shape) // values.shape[axis]))
    best = place = None
    for begin in range(0, count, size):
        start, length = first + begin * step, min(size, count - begin)
        cut = (slice(None),) * axis + (slice(start, start + (length - 1) * step + 1, step), ...)
        block = values[cut]
        tap = _winner(xp, block, axis, replaces)
        candidate = _taken(xp, block, tap, axis)
        index = None
        if place_of is not None:
            index = place_of(tap + begin, skipped, first)
            index = index if places is None else index + _taken(xp, places[cut], tap, axis)
        if best is None:
            best, place = candidate, index
            continue
        wins = replaces(candidate, best)
        best = xp.where(wins, candidate, best)
        place = None if index is None else xp.where(wins, index, place)
    return best, place


def _winner(xp: ModuleType, block: Any, axis: int, replaces: Any) -> Any:
    """Return the number of the winner along an axis: the first maximum, or the first or last NaN, by `replaces`."""
    if arrays.dtype_name(block) not in arrays.FLOATING:
        return xp.argmax(block, axis=axis, keepdims=True)
    nan = block != block
    numbers = xp.where(nan, scalar(xp, -float("inf"), block), block)
    tap = xp.argmax(numbers, axis=axis, keepdims=True)
    one = scalar(xp, float("nan"), block)
    is_last = arrays.all_true(xp.any(replaces(xp.reshape(one, (1,)), xp.reshape(one, (1,)))))
    marks = arrays.astype(xp, nan, xp.uint8)
    other = xp.argmax(xp.flip(marks, axis=axis) if is_last else marks, axis=axis, keepdims=True)
    other = block.shape[axis] - 1 - other if is_last else other
    return xp.where(xp.any(nan, axis=axis, keepdims=True), other, tap)


def _taken(xp: ModuleType, block: Any, tap: Any, axis: int) -> Any:
    """Take the element `tap` along an axis, as ``numpy.take_along_axis`` does."""
    outer, size, inner = math.prod(block.shape[:axis]), block.shape[axis], math.prod(block.shape[axis + 1 :])
    start = np.arange(outer)[:, None] * (size * inner) + np.arange(inner)
    flat = xp.reshape(tap, (outer, inner)) * inner + arrays.from_table(xp, start, tap, tap.dtype)
    return xp.reshape(xp.take(xp.reshape(block, (-1,)), xp.reshape(flat, (-1,)), axis=0), tap.shape)
