"""Max-pooling: for each axis a windowed reduction of pairs (value, position), the last axis first.

The maximum is separable, and so is its position. Adaptive windows of several sizes are gathered by a table instead.
Finally the op gathers the maxima from their positions, so that the gradient of a window belongs to one element.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import Array
from upsample.engines.jax.runtime.compiled import compiled
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis

__all__ = ["run"]

_UNROLLED = 8
"""Most taps of an axis that are unrolled into slices; with more taps, XLA reduces windows."""


def run(
    xp: ModuleType, plan: PoolPlan, x: Any, out: tuple[None, None], with_indices: bool
) -> tuple[Array, Array | None]:
    """Return the maximum of each window, and its index if `with_indices`."""
    values, indices = _pooled(plan, x, [_spans(axis) for axis in plan.axes])
    return values, indices if with_indices else None


def _spans(axis: WindowAxis | SpanAxis) -> Any:
    """Return the positions of adaptive windows, padded by their last one; None for windows of one size."""
    if isinstance(axis, WindowAxis) or axis.is_even:
        return None
    return (axis.first()[:, None] + np.minimum(np.arange(axis.longest), axis.count()[:, None] - 1)).astype(np.int32)


@compiled
def _pooled(plan: PoolPlan, x: Any, spans: list[Any]) -> tuple[Any, Any]:
    from jax import dtypes, lax
    from jax import numpy as jnp

    spatial, integer = len(plan.axes), dtypes.canonicalize_dtype("int64")
    lead, large = x.shape[: x.ndim - spatial], tuple(axis.large for axis in plan.axes)
    shape = (*lead, *plan.small_shape)
    if 0 in shape:
        return jnp.zeros(shape, x.dtype), jnp.zeros(shape, integer)
    places = jnp.reshape(lax.iota(integer, math.prod(large)), (1,) * len(lead) + large)
    best = lax.stop_gradient(x.astype(jnp.uint8) if x.dtype == bool else x)
    pair = best, jnp.broadcast_to(places, x.shape)
    for number, (axis, table) in reversed(list(enumerate(zip(plan.axes, spans, strict=True), start=len(lead)))):
        if table is None:
            pair = _windowed(pair, axis, number, plan.first_nan)
        else:
            pair = _spanned(pair, table, number, plan.first_nan)
    best, places = pair
    inside = jnp.clip(places, 0, math.prod(large) - 1)
    flat = jnp.reshape(x, (*lead, -1)), jnp.reshape(inside, (*lead, -1))
    values = jnp.reshape(jnp.take_along_axis(*flat, axis=-1, mode="promise_in_bounds"), shape)
    values = jnp.where(places == inside, values, best.astype(x.dtype))  # a window of padding alone has no element
    if plan.local_indices:
        is_above = jnp.logical_not(best <= _lowest(best.dtype))  # and of NaN
        inside = jnp.where(is_above, _taps(plan, inside, len(lead)), 0)
    return values, inside


def _lowest(dtype: Any) -> Any:
    """Return the value of padding: lower than, or equal to, every value."""
    from jax import numpy as jnp

    is_floating = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(-np.inf if is_floating else jnp.iinfo(dtype).min, dtype)


def _windowed(pair: tuple[Any, Any], axis: WindowAxis | SpanAxis, number: int, first_nan: bool) -> tuple[Any, Any]:
    """Reduce windows of one size."""
    from jax import lax

    if isinstance(axis, SpanAxis):
        size = axis.large // axis.small
        axis = WindowAxis(axis.large, axis.small, size, size, 0, 1)
    axis, ndim = axis.trimmed(), pair[0].ndim
    behind = (axis.small - 1) * axis.stride + axis.reach - axis.padding - axis.large
    low, high = max(0, -axis.padding), axis.large - max(0, -behind)
    if (low, high) != (0, axis.large):  # drop elements before and after all windows, because JAX's padding is >= 0
        pair = lax.slice_in_dim(pair[0], low, high, axis=number), lax.slice_in_dim(pair[1], low, high, axis=number)

    margins = max(0, axis.padding), max(0, behind)
    if axis.kernel <= _UNROLLED:
        return _tap_by_tap(pair, axis, number, margins, first_nan)

    def along(entry: Any, other: Any) -> list[Any]:
        return [entry if place == number else other for place in range(ndim)]

    window = along(axis.kernel, 1), along(axis.stride, 1), along(margins, (0, 0))
    chosen: tuple[Any, Any] = lax.reduce_window(
        pair, _padding(pair), _better(first_nan), *window, window_dilation=along(axis.dilation, 1)
    )
    return chosen


def _tap_by_tap(
    pair: tuple[Any, Any], axis: WindowAxis, number: int, margins: tuple[int, int], first_nan: bool
) -> tuple[Any, Any]:
    """Reduce small windows by a slice for each tap; a windowed reduction takes ten times as long on a CPU."""
    from jax import lax

    holes = [(0, 0, 0)] * pair[0].ndim
    holes[number] = (*margins, 0)
    padded = [lax.pad(x, nothing, holes) for x, nothing in zip(pair, _padding(pair), strict=True)]

    def tap(place: int) -> tuple[Any, ...]:
        begin = place * axis.dilation
        end = begin + (axis.small - 1) * axis.stride + 1
        return tuple(lax.slice_in_dim(x, begin, end, axis.stride, number) for x in padded)

    chosen: tuple[Any, Any] = reduce(_better(first_nan), map(tap, range(axis.kernel)))
    return chosen


def _spanned(pair: tuple[Any, Any], table: Any, number: int, first_nan: bool) -> tuple[Any, Any]:
    """Reduce adaptive windows of several sizes; `table` has their positions."""
    from jax import lax
    from jax import numpy as jnp

    values, places = (jnp.take(x, table, axis=number, mode="clip") for x in pair)
    chosen: tuple[Any, Any] = lax.reduce((values, places), _padding(pair), _better(first_nan), (number + 1,))
    return chosen


def _taps(plan: PoolPlan, places: Any, lead: int) -> Any:
    """Return the number of each position's tap, counted through its window in row-major order."""
    from jax import lax

    tap, rest = 0, places
    for number, (axis, weight) in reversed(list(enumerate(zip(plan.axes, plan.weights, strict=True), start=lead))):
        assert isinstance(axis, WindowAxis), "indices of adaptive windows count in planes"
        start = lax.broadcasted_iota(
            places.dtype, (1,) * number + (axis.small,) + (1,) * (places.ndim - number - 1), number
        )
        tap = tap + (rest % axis.large - start * axis.stride + axis.padding) // axis.dilation * weight
        rest = rest // axis.large
    return tap


def _padding(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the pair that stands for padding; every element wins against it."""
    from jax import numpy as jnp

    values, places = pair
    return _lowest(values.dtype), np.asarray(jnp.iinfo(places.dtype).max, places.dtype)


def _better(first_nan: bool) -> Callable[..., Any]:
    """Return the function that chooses one of two pairs: NaN before numbers, the larger value, the first position."""
    from jax import numpy as jnp

    def choose(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        (value, place), (other, another) = a, b
        nan, other_nan = value != value, other != other
        first = place <= another
        number = (value > other) | ((value == other) & first)
        both = first if first_nan else place >= another
        wins = jnp.where(other_nan, nan & both, nan | number)
        return jnp.where(wins, value, other), jnp.where(wins, place, another)

    return choose
