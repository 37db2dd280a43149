"""Resize axes so long that their tables of weights would exceed the arrays.

Two ways, and an engine's own `run` for all else. If outputs have few taps, blocks of outputs are parts of the plan. If
outputs have millions of taps, their weights are made piece by piece, and the engine adds the products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import NDArray
from upsample.caches import cached, during_call
from upsample.engines import result_pool, threads
from upsample.plans.filter_weights import Run, longest_run
from upsample.plans.long_runs import PIECE, has_long_runs, long_run, long_weights
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.plans.resize_parts import needs, new_part

__all__ = ["LongResize", "long_axis"]

_TABLE = 1 << 22
"""Taps of an axis from which its table is not made whole: some 30 bytes each in all layouts."""
_SHORT = 1 << 15
"""Samples of an axis up to which no table is that long: no filter's support is over 36."""
_BLOCK = 1 << 18
"""Taps of a block of outputs."""
_BLOCK_BYTES = 1 << 23
"""Bytes of input of a block, about; its copy stays in the third-level cache."""
_TOGETHER = 16
"""Pieces of weights that threads make at once; then their products are added in order."""

_Run = Callable[[ResizePlan, NDArray, NDArray | None], NDArray]
_Add = Callable[[NDArray, NDArray, NDArray], None]


def long_axis(plan: ResizePlan) -> int | None:
    """Return the axis of a plan that is to be resized piece by piece, or None."""
    full = (rule if rule.cut is None else rule.cut.full for rule in plan.rules)
    return None if all(max(rule.in_size, rule.out_size) <= _SHORT for rule in full) else _long_axis(plan)


@cached
def _long_axis(plan: ResizePlan) -> int | None:
    arithmetic = plan.arithmetic
    if plan.only_moves or arithmetic.ordered or arithmetic.sums == "high":
        return None
    for axis, rule in plan.active_rules():
        if has_long_runs(rule):  # also a part, as the plan that it is a part of: the order of sums differs
            return axis
    taps = [(rule.out_size * longest_run(rule), axis) for axis, rule in plan.active_rules() if rule.out_size > 1]
    most, axis = max(taps, default=(0, 0))
    return axis if most > _TABLE else None


@dataclass(frozen=True, slots=True)
class LongResize:
    """A call whose axis `axis` is long.

    Attributes
    ----------
    plan : ResizePlan
        The plan of the call.
    axis : int
        The long axis.
    run : callable
        ``run(plan, x, out)`` resamples an array by a plan; `out` may be None.
    add : callable
        ``add(inputs, weights, sums)`` adds products of inputs ``[planes, taps, inner]`` and of as many weights to sums
        ``[planes, inner]``. Weights and sums are float64: in float32 a sum of many 2e-8 stops at 0.5.
    """

    plan: ResizePlan
    axis: int
    run: _Run
    add: _Add

    def __call__(self, x: NDArray, out: NDArray | None) -> NDArray | None:
        """Resample `x`, into `out` if it is given; return None if the call needs the whole table, or no value."""
        if 0 in x.shape:
            return None
        arithmetic, is_integer = self.plan.arithmetic, arrays.dtype_name(x) in arrays.INTEGER
        order = self.plan.filter_order(is_integer and arithmetic.each_axis)
        if is_integer and (arithmetic.sums == "fixed" or (arithmetic.each_axis and len(order) > 1)):
            return None
        return self._by_taps(order, x, out) if has_long_runs(self._rule) else self._by_outputs(order, x, out)

    @property
    def _rule(self) -> AxisRule:
        return self.plan.rules[self.plan.axes.index(self.axis)]

    def _by_outputs(self, order: tuple[int, ...], x: NDArray, out: NDArray | None) -> NDArray:
        """Resample blocks of outputs, each a part of the plan."""
        plan, rule, lead = self.plan, self._rule, (slice(None),) * self.axis
        shape = plan.out_shape(x.shape)
        result = result_pool.empty(shape, x.dtype) if out is None else out
        bytes_each = max(x.nbytes, math.prod(shape) * x.itemsize) // rule.out_size + 1
        step = max(1, min(_BLOCK // longest_run(rule), _BLOCK_BYTES // bytes_each))
        for begin in range(0, rule.out_size, step):
            end = min(begin + step, rule.out_size)
            with during_call(apart=True):
                part = new_part(rule, begin, end)
                rules = tuple(part if axis == self.axis else r for axis, r in zip(plan.axes, plan.rules, strict=True))
                low, high = needs(rule, begin, end)
                source = np.ascontiguousarray(x[(*lead, slice(low, high))])
                self.run(replace(plan, rules=rules, order=order), source, result[(*lead, slice(begin, end))])
        return result

    def _by_taps(self, order: tuple[int, ...], x: NDArray, out: NDArray | None) -> NDArray | None:
        """Add the products of outputs with very many taps piece by piece, axis by axis."""
        name, place = arrays.dtype_name(x), order.index(self.axis)
        is_integer = name in arrays.INTEGER
        sums = np.dtype(self.plan.arithmetic.sums if is_integer else arrays.accumulator(name))
        before, after = self._only(order[:place]), self._only(order[place + 1 :])
        if before is not None and x.dtype != sums:  # a copy of the whole in the dtype of sums would be larger
            return None
        made = x if before is None else self.run(before, x, None)
        made = self._summed(made, sums)
        made = made if after is None else self.run(after, made, None)
        if is_integer:
            made = self.plan.arithmetic.rounded(np, made, name)
        if out is None and made.dtype == x.dtype:
            return made
        result = result_pool.empty(made.shape, x.dtype) if out is None else out
        np.copyto(result, made, casting="unsafe")
        return result

    def _only(self, order: tuple[int, ...]) -> ResizePlan | None:
        """Return the plan of some of the axes, or None if there are none."""
        if not order:
            return None
        rules, axes = dict(zip(self.plan.axes, self.plan.rules, strict=True)), tuple(sorted(order))
        return replace(self.plan, axes=axes, rules=tuple(rules[axis] for axis in axes), order=order)

    def _summed(self, x: NDArray, sums: np.dtype[Any]) -> NDArray:
        """Return the sums of the long axis in the dtype `sums`."""
        rule, lead = self._rule, (slice(None),) * self.axis
        shape = (*x.shape[: self.axis], rule.out_size, *x.shape[self.axis + 1 :])
        result, real = np.empty(shape, sums), np.empty(0, sums).real.dtype
        planes = math.prod(x.shape[: self.axis])
        inner = math.prod(x.shape[self.axis + 1 :]) * sums.itemsize // real.itemsize
        step = max(1, _BLOCK_BYTES // max(planes * inner * real.itemsize, 1))
        for output in range(rule.out_size):
            run = long_run(rule, output)
            total = np.zeros((planes, inner), np.float64)
            for begin, weight in self._weights(rule, run):
                for low in range(0, len(weight), step):
                    some, first = weight[low : low + step], run.first + begin + low
                    source = np.ascontiguousarray(x[(*lead, slice(first, first + len(some)))], sums)
                    self.add(source.view(real).reshape(planes, len(some), inner), some, total)
            total += 0.0  # -0 becomes +0, as in all kernels
            target: NDArray = result[(*lead, slice(output, output + 1))]
            target[...] = total.astype(real).view(sums).reshape(target.shape)
        return result

    def _weights(self, rule: AxisRule, run: Run) -> Iterator[tuple[int, NDArray]]:
        """Yield the first tap of each piece, in order, and its weights."""
        for begin in range(0, run.count, PIECE * _TOGETHER):
            starts = range(begin, min(begin + PIECE * _TOGETHER, run.count), PIECE)
            made: list[Any] = [None] * len(starts)

            def make(number: int, starts: range = starts, made: list[Any] = made) -> None:
                made[number] = long_weights(rule, run, starts[number], min(starts[number] + PIECE, run.count))

            threads.each_block(make, len(starts))
            yield from zip(starts, made, strict=True)
