"""Max-pooling by the Array API alone, one axis after the other, last axis first.

The maximum is separable, and so is its place: the first maximum in row-major order is in the first row that holds
the maximum, at that row's first place; likewise the first or the last NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from upsample import arrays
from upsample.arrays import Array, Table
from upsample.engines.portable.blocks import Part, Spans, cut_planes
from upsample.engines.portable.output import (
    WORTH_SHARING,
    Target,
    deliver,
    each_tile,
    empty,
    scalar,
    tile_bytes,
)
from upsample.engines.portable.pool.arithmetic import pool_plain
from upsample.engines.portable.pool.long_windows import are_long, pool_cells
from upsample.engines.portable.pool.numpy_packed_keys import PoolKeys
from upsample.engines.portable.pool.numpy_small import pool_small
from upsample.float_errors import quiet
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis

__all__ = ["run"]

Axis: TypeAlias = WindowAxis | SpanAxis | Spans

_KEYS_BYTES = 1 << 20
"""Bytes of a part pooled by packed keys; the keys take twice as much, and their maxima as much again."""
_ALONE_BYTES = 1 << 18
"""Bytes of a part if one thread pools all parts: its keys then fit the L2 cache."""


@quiet
def run(
    xp: ModuleType, plan: PoolPlan, x: Any, out: tuple[Array | None, Array | None], with_indices: bool
) -> tuple[Array, Array | None]:
    """Return the maxima of the windows, and their indices when they are asked for."""
    lead = x.shape[: x.ndim - len(plan.axes)]
    shape = (*lead, *plan.small_shape)
    if 0 in shape:
        nothing = xp.empty(shape, dtype=arrays.index_dtype(xp), device=arrays.device_of(x)) if with_indices else None
        return deliver(empty(xp, shape, x), out[0]), nothing if nothing is None else deliver(nothing, out[1])
    if xp is np and out[0] is None and out[1] is None:
        small = pool_small(plan, math.prod(lead), x)
        if small is not None:
            return small[0].reshape(shape), small[1].reshape(shape) if with_indices else None
    pooling = _Pooling(xp, plan, with_indices)
    source = xp.reshape(x, (math.prod(lead), *(axis.large for axis in plan.axes)))
    if arrays.dtype_name(x) == "bool":
        source = xp.astype(source, xp.uint8)
    if arrays.can_assign(xp, x):
        return _by_planes(pooling, source, x, out, shape)
    values, indices = pooling.whole(source, plan.axes)
    if indices is not None and plan.start:
        indices = indices + plan.start
    values = deliver(arrays.astype(xp, xp.reshape(values, shape), x.dtype), out[0])
    if indices is None:
        return values, None
    return values, deliver(arrays.astype(xp, xp.reshape(indices, shape), arrays.index_dtype(xp)), out[1])


def _by_planes(
    pooling: _Pooling, source: Any, x: Array, out: tuple[Array | None, Array | None], shape: tuple[int, ...]
) -> tuple[Array, Array | None]:
    """Pool a few planes, or a part of one, at a time, which bounds the temporaries."""
    xp = pooling.xp
    blocked = (source.shape[0], *pooling.plan.small_shape)
    values = Target(xp, blocked, x, out[0])
    integers = xp.empty((0,), dtype=arrays.index_dtype(xp), device=arrays.device_of(x))
    indices = Target(xp, blocked, integers, out[1]) if pooling.indexed else None
    item = arrays.itemsize(source)
    shares = math.prod(source.shape) > WORTH_SHARING
    by_keys = xp is np and pooling.indexed and not any(map(are_long, pooling.plan.axes))
    by_keys = by_keys and PoolKeys.suits(pooling.plan, arrays.dtype_name(source), shares)
    keys = PoolKeys(pooling.weights, pooling.plan.start) if by_keys else None
    most = (_KEYS_BYTES if shares else _ALONE_BYTES) if by_keys else tile_bytes(xp)
    parts = cut_planes(pooling.plan.axes, source.shape[0], item, most, WORTH_SHARING)

    def fill(number: int) -> None:
        part = parts[number]
        block = source[(part.planes, *part.positions)]
        target = (part.planes, *part.cells)
        if keys and indices and keys.pool(block, part, values.array[target], indices.array[target]):
            return
        maxima, places = pooling.part(block, part)
        values.array[target] = arrays.astype(xp, maxima, x.dtype)
        if indices is not None:
            indices.array[target] = arrays.astype(xp, places, integers.dtype)

    if shares:
        each_tile(xp, fill, len(parts))
    else:
        for number in range(len(parts)):
            fill(number)
    return values.finished(shape), None if indices is None else indices.finished(shape)


class _Pooling:
    """Pools ``[planes, *large]`` arrays: one axis after the other."""

    def __init__(self, xp: ModuleType, plan: PoolPlan, indexed: bool) -> None:
        self.xp, self.plan, self.indexed = xp, plan, indexed
        self.weights = plan.weights
        self.integer = xp.int32 if plan.index_bound < 2**31 else arrays.index_dtype(xp)  # half the traffic

    def part(self, values: Any, part: Part) -> tuple[Any, Any]:
        """Return the maxima and their places in the plane, of a part that can be looked at."""
        lowest = _lowest(self.xp, values)
        found = None
        if not any(map(are_long, part.axes)):
            found = pool_plain(self.xp, self.plan, part.axes, self.weights, values, lowest, self.integer, self.indexed)
        maxima, places = self.whole(values, part.axes) if found is None else found
        before = sum(cut.start * weight for cut, weight in zip(part.positions, self.weights, strict=True))
        before += self.plan.start
        if before and self.indexed and not self.plan.local_indices:
            places += before
        return maxima, places

    def whole(self, values: Any, axes: Sequence[Axis]) -> tuple[Any, Any]:
        """Return the maxima and their places, the last axis first; axes may be of a part."""
        places = None
        for axis, (geometry, weight) in reversed(list(enumerate(zip(axes, self.weights, strict=True), start=1))):
            values, places = self._reduce(_Window(self.xp, geometry, axis, values.ndim), values, places, weight)
        return values, places

    def _reduce(self, window: _Window, values: Any, places: Any, weight: int) -> tuple[Any, Any]:
        """Reduce one axis; `weight` is what one step along it adds to an index."""
        if are_long(window.geometry):
            return self._by_cells(window, values, places, weight)
        lowest = _lowest(self.xp, values)
        best = window.candidates(values, window.taps[0], lowest)
        place = None
        if self.indexed:  # padding never wins, not even as the first
            first = self._first_place(window, values, places, weight)
            place = self.xp.where(
                self._wins(best, lowest), self._place(window, values, places, weight, window.taps[0]), first
            )
        for tap in window.taps[1:]:
            candidate = window.candidates(values, tap, lowest)
            wins = self._wins(candidate, best)
            best = self.xp.where(wins, candidate, best)
            if self.indexed:
                place = self.xp.where(wins, self._place(window, values, places, weight, tap), place)
        return best, place

    def _by_cells(self, window: _Window, values: Any, places: Any, weight: int) -> tuple[Any, Any]:
        """Do so where windows are long."""
        step = window.geometry.dilation if isinstance(window.geometry, WindowAxis) else 1

        def place_of(tap: Any, first_tap: int, first_position: int) -> Any:
            number = tap + first_tap if self.plan.local_indices else tap * step + first_position
            return arrays.astype(self.xp, number, self.integer) * weight

        pooled = pool_cells(
            self.xp, window.geometry, window.axis, values, places, self._wins, place_of if self.indexed else None
        )
        if not (self.indexed and self.plan.local_indices):
            return pooled
        is_above = self._wins(pooled[0], _lowest(self.xp, values))  # the index of padding alone is 0
        return pooled[0], self.xp.where(is_above, pooled[1], scalar(self.xp, 0, pooled[1]))

    def _place(self, window: _Window, values: Any, places: Any, weight: int, tap: int) -> Any:
        """The index of tap `tap` of every window, given those of the axes behind this one."""
        table = np.full(window.geometry.small, tap) if self.plan.local_indices else window.positions(tap)
        place = window.along(arrays.from_table(self.xp, table * weight, values, self.integer))
        return place if places is None else place + window.candidates(places, tap, scalar(self.xp, 0, places))

    def _first_place(self, window: _Window, values: Any, places: Any, weight: int) -> Any:
        """The index of a window with nothing above the padding: its first element's (Chainer: its very start)."""
        if self.plan.local_indices:
            return self.xp.zeros_like(self._place(window, values, places, weight, window.taps[0]))
        first = window.first_inside()
        place = window.along(arrays.from_table(self.xp, first * weight, values, self.integer))
        return place if places is None else place + arrays.take(self.xp, places, first, window.axis)

    def _wins(self, candidate: Any, best: Any) -> Any:
        """Whether a candidate replaces the best so far, which came before it."""
        larger = candidate > best
        if arrays.dtype_name(candidate) not in arrays.FLOATING:
            return larger
        nan = self.xp.isnan(candidate)
        if self.plan.first_nan:
            nan = self.xp.logical_and(nan, self.xp.logical_not(self.xp.isnan(best)))
        return self.xp.logical_or(larger, nan)


def _lowest(xp: ModuleType, values: Any) -> Any:
    """What padding is: below or equal to every value."""
    name = arrays.dtype_name(values)
    if name in arrays.FLOATING:
        return scalar(xp, -float("inf"), values)
    return scalar(xp, 0 if name in arrays.UNSIGNED else xp.iinfo(values.dtype).min, values)


class _Window:
    """Reads the windows of one axis tap by tap."""

    def __init__(self, xp: ModuleType, geometry: Axis, axis: int, ndim: int) -> None:
        self.xp, self.geometry, self.axis, self.ndim = xp, geometry, axis, ndim
        if isinstance(geometry, WindowAxis):
            self.taps = geometry.useful_taps() or range(1)  # at least one, even if every cell's is padding
        else:
            self.taps = range(int(geometry.count().max(initial=1)))

    def positions(self, tap: int) -> Table:
        """Return the position of tap `tap` of each cell; a shorter window repeats its last position."""
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
