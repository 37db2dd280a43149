"""Resample a small array whose size is new: one general kernel, called once for each axis.

Choosing the fastest kernels for a size and making their tables takes longer than resampling a small array. So the first
call of a size runs this kernel, and the second one chooses. The order of sums is that of all other kernels: results do
not show which call was the first. UPSAMPLE_COMPILE=eager chooses at the first call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from upsample.engines import lazy_compile
from upsample.engines.cpu.resize.taps import listed
from upsample.engines.cpu.runtime.compile import frozen, kernel, part
from upsample.engines.cpu.runtime.fma import fma
from upsample.plans.resize import AxisRule, ResizePlan

__all__ = ["Turns", "plan_first", "resample"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Turns: TypeAlias = tuple[tuple[int, AxisRule], ...]
"""Axes and their rules, in the order in which they are filtered."""
_U: Any = np.uint64

_MOST_VALUES = 1 << 19
"""Values of the input and of the result together, above which choosing at once takes less time."""
_REAL: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"float32": ("float32", 1), "float64": ("float64", 1), "complex64": ("float32", 2), "complex128": ("float64", 2)}
)
"""For each dtype the dtype of its sums, and how many of them a value has."""


@part
def _row(
    src: _Array, s: int, dst: _Array, d: int, begin: int, end: int, count: _Array, index: _Array, weight: _Array
) -> None:
    """Make the outputs ``[begin, end)`` of a row of single values, tap by tap."""
    zero = src.dtype.type(0)
    for o in range(begin, end):
        total = src[_U(s + index[o, 0])] * weight[o, 0]
        for t in range(1, count[o]):
            total = fma(src[_U(s + index[o, t])], weight[o, t], total)
        dst[_U(d + o)] = total + zero if count[o] else zero


@part
def _inner_row(
    src: _Array, s: int, dst: _Array, d: int, begin: int, end: int, index: _Array, weight: _Array, taps: int
) -> None:
    """Make the outputs ``[begin, end)`` of a row, each of two or four consecutive values."""
    zero = src.dtype.type(0)
    if taps == 2:
        for o in range(_U(begin), _U(end)):
            a = _U(s + index[o, 0])
            dst[_U(d) + o] = fma(src[a + _U(1)], weight[o, 1], src[a] * weight[o, 0]) + zero
    else:
        for o in range(_U(begin), _U(end)):
            a = _U(s + index[o, 0])
            total = fma(src[a + _U(1)], weight[o, 1], src[a] * weight[o, 0])
            total = fma(src[a + _U(3)], weight[o, 3], fma(src[a + _U(2)], weight[o, 2], total))
            dst[_U(d) + o] = total + zero


@part
def _sample(
    src: _Array, s: int, inner: int, dst: _Array, d: int, o: int, count: _Array, index: _Array, weight: _Array
) -> None:
    """Make one output of `inner` values."""
    zero, taps = src.dtype.type(0), count[o]
    if taps == 0:
        for j in range(_U(inner)):
            dst[_U(d) + j] = zero
        return
    a, w = _U(s + index[o, 0] * inner), weight[o, 0]
    if taps == 1:
        for j in range(_U(inner)):
            dst[_U(d) + j] = src[a + j] * w + zero
        return
    b, v = _U(s + index[o, 1] * inner), weight[o, 1]
    for j in range(_U(inner)):
        dst[_U(d) + j] = fma(src[b + j], v, src[a + j] * w)
    for t in range(2, taps):
        a, w = _U(s + index[o, t] * inner), weight[o, t]
        for j in range(_U(inner)):
            dst[_U(d) + j] = fma(src[a + j], w, dst[_U(d) + j])
    for j in range(_U(inner)):
        dst[_U(d) + j] += zero


@part
def _inner(count: _Array, index: _Array, taps: int) -> tuple[int, int]:
    """Return the outputs around the middle one that all have `taps` consecutive inputs: none was folded at a border."""
    low = high = len(count) // 2
    while low > 0 and _is_run(count, index, low - 1, taps):
        low -= 1
    while high < len(count) and _is_run(count, index, high, taps):
        high += 1
    return low, high


@part
def _is_run(count: _Array, index: _Array, o: int, taps: int) -> bool:
    return bool(count[o] == taps and index[o, taps - 1] == index[o, 0] + taps - 1)


@kernel
def _axis(src: _Array, dst: _Array, sizes: _Array, count: _Array, index: _Array, weight: _Array) -> None:
    """Filter an axis of `sizes[1]` samples of `sizes[2]` values each; `sizes[0]` is the product of the axes before."""
    (outer, n, inner), m, taps = sizes, len(count), index.shape[1]
    low, high = _inner(count, index, taps) if inner == 1 and taps in (2, 4) else (m, m)
    for place in range(outer):
        s, d = place * n * inner, place * m * inner
        if inner == 1:
            _row(src, s, dst, d, 0, low, count, index, weight)
            _inner_row(src, s, dst, d, low, high, index, weight, taps)
            _row(src, s, dst, d, high, m, count, index, weight)
        else:
            for o in range(m):
                _sample(src, s, inner, dst, d + o * inner, o, count, index, weight)


def plan_first(plan: ResizePlan, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Turns | None:
    """Return the axes in the order in which they are filtered, or None if this kernel does not pay or cannot do it."""
    if dtype.name not in _REAL or plan.only_moves or lazy_compile.wish() == "eager":
        return None
    values = math.prod(shape) + math.prod(plan.out_shape(shape))
    if values > _MOST_VALUES or 0 in shape:
        return None
    rules = dict(zip(plan.axes, plan.rules, strict=True))
    return tuple((axis, rules[axis]) for axis in plan.filter_order(rounds=False))


def resample(turns: Turns, x: _Array, result: _Array) -> None:
    """Filter the axes of a contiguous array one by one, the last one into `result`."""
    name, pair = _REAL[x.dtype.name]
    shape, src, filled = list(x.shape), frozen(x.reshape(-1).view(name)), result.reshape(-1).view(name)
    for axis, rule in turns:
        table = listed(rule, name)
        sizes = np.asarray([math.prod(shape[:axis]), rule.in_size, math.prod(shape[axis + 1 :]) * pair])
        shape[axis] = rule.out_size
        dst = filled if axis == turns[-1][0] else np.empty(math.prod(shape) * pair, name)
        _axis(src, dst, sizes, table.count, table.index, table.weight)
        src = frozen(dst)
