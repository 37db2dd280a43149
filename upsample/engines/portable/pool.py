"""Max-pooling by the Array API alone, one axis after the other, last axis first.

The maximum is separable, and so is its place: the first maximum in row-major order lies in the first row that holds
the maximum, at that row's first place; likewise the first or the last NaN.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, Table
from upsample.engines.portable.results import deliver, quiet, scalar
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis

__all__ = ["run"]


@quiet
def run(
    xp: ModuleType, plan: PoolPlan, x: Array, out: tuple[Array | None, Array | None], with_indices: bool
) -> tuple[Array, Array | None]:
    """Return the maxima of the windows, and their indices when they are asked for."""
    spatial = len(plan.axes)
    values: Any = xp.astype(x, xp.uint8) if arrays.dtype_name(x) == "bool" else x
    indices: Any = None
    for place in reversed(range(spatial)):
        geometry = plan.axes[place]
        axis = x.ndim - spatial + place
        later = plan.axes[place + 1 :]
        weight = _prod(g.kernel if isinstance(g, WindowAxis) and plan.local_indices else g.large for g in later)
        values, indices = _reduce(xp, plan, values, indices, axis, geometry, weight if with_indices else 0)
    values = deliver(arrays.astype(xp, values, x.dtype), out[0])
    return values, None if indices is None else deliver(indices, out[1])


def _prod(sizes: Any) -> int:
    return int(np.prod([1, *sizes], dtype=np.int64))


def _reduce(
    xp: ModuleType, plan: PoolPlan, values: Any, indices: Any, axis: int, geometry: WindowAxis | SpanAxis, weight: int
) -> tuple[Any, Any]:
    """Reduce one axis; `weight` is what one step along it adds to an index, 0 where no indices are wanted."""
    window = _Window(xp, geometry, axis, values.ndim)
    lowest = _lowest(xp, values)
    best = window.candidates(values, 0, lowest)
    place = None
    if weight:  # padding never wins, not even as the first
        wins = _wins(xp, best, lowest, plan.first_nan)
        first = _first_place(xp, plan, window, values, indices, weight)
        place = xp.where(wins, _place(xp, plan, window, values, indices, weight, 0), first)
    for tap in range(1, window.taps):
        candidate = window.candidates(values, tap, lowest)
        wins = _wins(xp, candidate, best, plan.first_nan)
        best = xp.where(wins, candidate, best)
        if weight:
            place = xp.where(wins, _place(xp, plan, window, values, indices, weight, tap), place)
    return best, place


def _place(xp: ModuleType, plan: PoolPlan, window: _Window, values: Any, indices: Any, weight: int, tap: int) -> Any:
    """The index of tap `tap` of every window, given those of the axes behind this one."""
    table = np.full(window.geometry.small, tap) if plan.local_indices else window.positions(tap)
    place = window.along(arrays.from_table(xp, table * weight, values, arrays.index_dtype(xp)))
    if indices is None:
        return place
    return place + window.candidates(indices, tap, scalar(xp, 0, indices))


def _first_place(xp: ModuleType, plan: PoolPlan, window: _Window, values: Any, indices: Any, weight: int) -> Any:
    """The index of a window with nothing above the padding: its first element's (Chainer: its very start)."""
    if plan.local_indices:
        return scalar(xp, 0, _place(xp, plan, window, values, indices, weight, 0))
    first = window.first_inside()
    place = window.along(arrays.from_table(xp, first * weight, values, arrays.index_dtype(xp)))
    if indices is None:
        return place
    return place + arrays.take(xp, indices, first, window.axis)


def _wins(xp: ModuleType, candidate: Any, best: Any, first_nan: bool) -> Any:
    larger = candidate > best
    if arrays.dtype_name(candidate) not in arrays.FLOATING:
        return larger
    nan = xp.isnan(candidate)
    if first_nan:
        nan = xp.logical_and(nan, xp.logical_not(xp.isnan(best)))
    return xp.logical_or(larger, nan)


def _lowest(xp: ModuleType, values: Any) -> Any:
    """What padding is: below or equal to every value."""
    name = arrays.dtype_name(values)
    if name in arrays.FLOATING:
        return scalar(xp, -float("inf"), values)
    return scalar(xp, 0 if name in arrays.UNSIGNED else xp.iinfo(values.dtype).min, values)


class _Window:
    """Reads the windows of one axis tap by tap."""

    def __init__(self, xp: ModuleType, geometry: WindowAxis | SpanAxis, axis: int, ndim: int) -> None:
        self.xp, self.geometry, self.axis, self.ndim = xp, geometry, axis, ndim
        self.taps = geometry.kernel if isinstance(geometry, WindowAxis) else int(geometry.count().max(initial=1))

    def positions(self, tap: int) -> Table:
        """Where tap `tap` of each cell lies; a shorter window repeats its last position."""
        g = self.geometry
        return g.positions(tap) if isinstance(g, WindowAxis) else g.first() + np.minimum(tap, g.count() - 1)

    def first_inside(self) -> Table:
        """The first position of each cell that is no padding."""
        g = self.geometry
        return g.positions(0) + g.first_inside() * g.dilation if isinstance(g, WindowAxis) else g.first()

    def along(self, table: Any) -> Any:
        """Shape a vector to lie along this axis."""
        return self.xp.reshape(table, (1,) * self.axis + (-1,) + (1,) * (self.ndim - self.axis - 1))

    def candidates(self, x: Any, tap: int, padding: Any) -> Any:
        """Tap `tap` of every window, `padding` outside."""
        g = self.geometry
        if not isinstance(g, WindowAxis):
            return arrays.take(self.xp, x, self.positions(tap), self.axis)
        start = tap * g.dilation - g.padding
        low = min(g.small, max(0, -(start // g.stride)))  # the first cell whose tap is inside
        high = max(low, min(g.small, (g.large - 1 - start) // g.stride + 1))
        begin = start + low * g.stride
        cut = (slice(None),) * self.axis + (slice(begin, begin + (high - low - 1) * g.stride + 1, g.stride), ...)
        parts = [x[cut]] if high > low else []
        return self._padded(x, parts, low, g.small - high, padding)

    def _padded(self, x: Any, parts: list[Any], before: int, after: int, padding: Any) -> Any:
        for count, place in ((before, 0), (after, len(parts) + 1)):
            if count:
                shape = (*x.shape[: self.axis], count, *x.shape[self.axis + 1 :])
                parts.insert(place, self.xp.broadcast_to(padding, shape))
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=self.axis)
