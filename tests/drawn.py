"""Plans of every kind, as hypothesis draws them, and indices for unpoolings: what tests of several engines share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from upsample.plans.window import ConvTransposePlan, PoolPlan, SpanAxis, UnpoolPlan, WindowAxis
from upsample.precision import PRECISIONS

__all__ = ["bits", "indices_of", "outcome", "pools", "repeatable", "same_bits", "spreads", "unpools"]


def repeatable(count: int) -> settings:
    """So many drawn examples, the same ones in every run."""
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(derandomize=True, database=None, deadline=None, max_examples=count, suppress_health_check=slow)


@st.composite
def pools(draw: st.DrawFn, *, axes: int, longest: int) -> PoolPlan:
    """Poolings of up to so many axes of up to so many positions: torch's windows and adaptive ones, or Chainer's."""
    local = draw(st.booleans())
    made: list[WindowAxis | SpanAxis] = []
    for _ in range(draw(st.integers(1, axes))):
        kind = draw(st.sampled_from(["span", "two", "three", "any", "any"]))
        if not local and kind == "span":
            made.append(SpanAxis(draw(st.integers(1, 9)), draw(st.integers(1, 9))))
            continue
        large, kernel, stride = draw(st.integers(1, longest)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 3))
        reach = dilation * (kernel - 1) + 1
        padding = draw(st.integers(0, reach if local else reach // 2))
        if kind in ("two", "three"):
            kernel, stride, dilation = (2 if kind == "two" else 3), 2, 1
            reach, padding = kernel, kernel - 2
        small = max((large + 2 * padding - reach) // stride + 1, 1) + draw(st.integers(0, 1))
        axis = WindowAxis(large, small, kernel, stride, padding, dilation)
        if not local and not axis.every_window_has_an_element():
            axis = WindowAxis(large, large, 1, 1, 0, 1)
        made.append(axis)
    return PoolPlan(tuple(made), local_indices=local, first_nan=local)


@st.composite
def unpools(draw: st.DrawFn, *, axes: int) -> UnpoolPlan:
    """Unpoolings of up to so many axes: windows that tile, or any; torch's indices or Chainer's."""
    made = []
    tiles = draw(st.booleans())
    for left in reversed(range(draw(st.integers(1, axes)))):
        if tiles:
            small = draw(st.integers(1, 5)) * (1 if left else 4)
            kernel = draw(st.integers(1, 3)) if left else 2
            large = small * kernel + (draw(st.integers(-1, 1)) if left else 0)
            made.append(WindowAxis(max(large, 1), small, kernel, kernel, 0, 1))
            continue
        small, kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
        padding, dilation = draw(st.integers(0, 3)), draw(st.integers(1, 3))
        large = (small - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
        made.append(WindowAxis(max(large + draw(st.integers(0, 4)), 1), small, kernel, stride, padding, dilation))
    local = draw(st.booleans())
    duplicates = draw(st.sampled_from(["last", "sum"] if local else ["last", "sum", "error"]))
    return UnpoolPlan(tuple(made), local, duplicates, draw(st.booleans()), deterministic=True)


@st.composite
def spreads(draw: st.DrawFn, *, axes: int) -> ConvTransposePlan:
    """Transposed convolutions of up to so many axes."""
    made = []
    for _ in range(draw(st.integers(1, axes))):
        small, kernel, stride = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
        padding, dilation = draw(st.integers(0, 3)), draw(st.integers(1, 3))
        large = (small - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
        more = draw(st.integers(0, max(stride, dilation) - 1))
        made.append(WindowAxis(max(large + more, 1), small, kernel, stride, padding, dilation))
    return ConvTransposePlan(tuple(made), draw(st.integers(1, 3)), precision=draw(st.sampled_from(PRECISIONS)))


def indices_of(kind: str, plan: UnpoolPlan, rng: np.random.Generator, planes: int) -> np.ndarray:
    """Indices ``[planes, *small]``.

    "own" are in their windows, as a pooling makes them; "legal" anywhere in the plane or the window, "distinct" each
    another one there, where there are so many; some of "beyond" lie past the ends; "anywhere" is any number.
    """
    shape = (planes, *plan.small_shape)
    size = math.prod(axis.kernel for axis in plan.windows) if plan.local_indices else math.prod(plan.large_shape)
    low = -size if plan.local_indices else 0
    cells = math.prod(plan.small_shape)
    if kind == "own":
        return _own(plan, rng, shape)
    if kind == "distinct" and cells <= size:
        return np.stack([rng.permutation(size)[:cells] for _ in range(planes)]).reshape(shape)
    low, high = {"beyond": (low - 1, size + 1), "anywhere": (-(2**63), 2**63)}.get(kind, (low, size))
    return rng.integers(low, high, shape)


def _own(plan: UnpoolPlan, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.zeros(shape, dtype=np.int64)
    for place, axis in enumerate(plan.windows):
        cells = np.arange(axis.small).reshape((-1,) + (1,) * (len(plan.axes) - place - 1))
        tap = rng.integers(0, axis.kernel, shape)
        if plan.local_indices:
            flat = flat * axis.kernel + tap
            continue
        position = cells * axis.stride - axis.padding + tap * axis.dilation
        first = cells * axis.stride - axis.padding + axis.first_inside()[cells] * axis.dilation
        position = np.where((position >= 0) & (position < axis.large), position, np.minimum(first, axis.large - 1))
        flat = flat * axis.large + position
    return flat


def bits(a: np.ndarray) -> tuple[Any, ...]:
    """Return what two arrays of the same bits have in common."""
    return a.dtype, a.shape, a.tobytes()


def outcome(run: Any, *given: Any) -> Any:
    """Return the bits of an engine's result, or the type and the words of its error."""
    try:
        return bits(run(np, *given))
    except (IndexError, ValueError) as error:
        return type(error), str(error)


def same_bits(got: Any, want: Any) -> None:
    """Assert that arrays, or None, are the same bit for bit, pair by pair."""
    for g, w in zip(got, want, strict=True):
        assert (g is None) == (w is None)
        assert w is None or bits(g) == bits(w)
