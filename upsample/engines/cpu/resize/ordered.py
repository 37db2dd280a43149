"""Resampling whose sums keep another library's order: each product and each sum is rounded by itself, taps ascending.

The other kernels fuse products and sums, and choose the order of the axes. Here each axis is one pass over the whole
array, in the plan's order, and the result of a pass is the array's dtype where `Arithmetic.each_axis` says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from upsample.caches import cached
from upsample.copies import contiguous, copy
from upsample.engines import threads
from upsample.engines.cpu.resize.taps import listed
from upsample.engines.cpu.runtime.compile import frozen, kernel
from upsample.float_errors import quiet
from upsample.plans.arithmetic import Arithmetic, Ties, bounds
from upsample.plans.resize import AxisRule, ResizePlan

__all__ = ["run_ordered"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_PLAIN, _EVEN, _AWAY, _UP, _CUT = range(5)
_TIES: Mapping[Ties, int] = MappingProxyType({Ties.EVEN: _EVEN, Ties.AWAY: _AWAY, Ties.UP: _UP, Ties.CUT: _CUT})
"""How the kernel rounds; `_PLAIN` for floats, which are converted as they are."""
_BLOCK = 1 << 16
"""Products of a block at least: some hundred microseconds."""
_CHUNK = 1 << 10
"""Values that are summed side by side; they stay in the first-level cache."""


_taps = cached(listed)
"""Calls of this kernel keep no other work."""


@kernel
def _weighed(
    src: _Array,
    dst: _Array,
    begin: int,
    end: int,
    sizes: _Array,
    count: _Array,
    index: _Array,
    weight: _Array,
    ties: int,
    limits: _Array,
) -> None:
    """Make the samples ``[begin, end)`` of an axis, each of `inner` values, counted through all outer ones."""
    n, o, inner = sizes
    kind, low, high, scale = weight.dtype.type, limits[0], limits[1], limits[2]
    sums = np.empty(min(inner, _CHUNK), dtype=weight.dtype)
    for place in range(begin, end):
        output = place % o
        s, d = place // o * n * inner, place * inner
        for chunk in range(0, inner, _CHUNK):
            size = min(_CHUNK, inner - chunk)
            for j in range(size):
                sums[_U(j)] = kind(0)
            for t in range(count[output]):
                w, a = weight[output, t], _U(s + index[output, t] * inner + chunk)
                for j in range(size):
                    sums[_U(j)] += kind(src[a + _U(j)]) * w
            to = _U(d + chunk)
            if ties == _PLAIN:
                for j in range(size):
                    dst[to + _U(j)] = sums[_U(j)] * scale
            else:
                for j in range(size):
                    v = sums[_U(j)] * scale
                    if ties == _EVEN:
                        v = np.rint(v)
                    elif ties == _AWAY:
                        v = np.trunc(v + np.copysign(kind(0.5), v))
                    elif ties == _UP:
                        v = np.floor(v + kind(0.5))
                    else:
                        v = np.trunc(v)
                    dst[to + _U(j)] = dst.dtype.type(min(max(v, low), high))


@quiet
def run_ordered(plan: ResizePlan, x: _Array, out: _Array | None) -> _Array:
    """Resample `x` axis by axis; fills and returns `out` where it is given."""
    made, turns = contiguous(x), plan.active_rules()
    for place, (axis, rule) in enumerate(turns, 1):
        made = _pass(plan.arithmetic, made, axis, rule, x.dtype, last=place == len(turns))
    if out is None:
        return made if turns else made.copy()
    copy(made, out)
    return out


def _pass(arithmetic: Arithmetic, x: _Array, axis: int, rule: AxisRule, dtype: np.dtype[Any], *, last: bool) -> _Array:
    """Resample one axis of a contiguous array."""
    settled = last or arithmetic.each_axis
    shape = (*x.shape[:axis], rule.out_size, *x.shape[axis + 1 :])
    result = np.empty(shape, dtype if settled else arithmetic.sums)
    each = _taps(rule, arithmetic.sums)
    inner = math.prod(shape[axis + 1 :])
    whole = settled and dtype.kind in "iu"
    scale = arithmetic.scale if last else 1.0
    limits = np.asarray((*bounds(dtype.name), scale) if whole else (0.0, 0.0, scale), arithmetic.sums)
    ties = _TIES[arithmetic.ties] if whole else _PLAIN
    sizes = np.asarray([rule.in_size, rule.out_size, inner])
    src, dst = frozen(x.reshape(-1)), result.reshape(-1)
    places = math.prod(shape[: axis + 1])
    step = max(1, _BLOCK // max(1, inner * each.index.shape[1]))

    def block(number: int) -> None:
        begin = number * step
        end = min(begin + step, places)
        _weighed(src, dst, begin, end, sizes, each.count, each.index, each.weight, ties, limits)

    threads.each_block(block, -(-places // step))
    return result
