"""Divide a resize into jobs that fit the L2 cache: cache blocking.

The array is seen as ``[planes, first resized axis, ..., last resized axis, inner]``. A strip is a range of the result's
samples on the first axis, and on the second where one sample of the first is large; its axes are filtered one by one
through scratch arrays that stay in the second-level cache. A job is a strip of some planes.

    x [p, lo1:hi1, lo2:hi2, n3]  ->  [p, lo1:hi1, lo2:hi2, o3]  ->  [p, lo1:hi1, r2, o3]  ->  out [p, r1, r2, o3]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize import float_kernels
from upsample.engines.cpu.resize.choose import choose_by_tables, choose_kernel
from upsample.engines.cpu.resize.float_2x_fused import RING_BYTES, doubled, plan_ends, plan_ring, twins
from upsample.engines.cpu.resize.taps import Listed, listed, reach
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.runtime.machine import L2_BYTES
from upsample.plans.resize import AxisRule, ResizePlan, identity

__all__ = ["Filter", "Pass", "Strip", "plan_filter"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_Between: TypeAlias = Callable[[_Array], object] | None
_Range: TypeAlias = tuple[int, int]

_JOB_BYTES = L2_BYTES
"""Working set of one job (input, scratch, result) in bytes; fits the L2 cache."""
_MOST_BYTES = 8 * L2_BYTES
"""Working set of a job whose strip would otherwise be one sample, in bytes."""
_STRIP = 16
"""Samples of a strip on the first axis: neighboring strips of fewer would filter too many samples twice."""


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One axis of one strip.

    Attributes
    ----------
    function : callable
        The kernel.
    s0, d0 : int
        Where the first plane begins in the source and in the destination.
    s_plane, d_plane : int
        How far apart planes are, there and there.
    outer : int
        Boxes a plane.
    arguments : tuple
        The kernel's others.
    """

    function: Callable[..., None]
    s0: int
    d0: int
    s_plane: int
    d_plane: int
    outer: int
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """A part of the result, in every plane.

    Attributes
    ----------
    passes : tuple of Pass
        In order.
    scratch : tuple of int
        Values a plane after each pass but the last.
    source, target : tuple of range
        The ranges on the first two axes, of the input and of the result.
    """

    passes: tuple[Pass, ...]
    scratch: tuple[int, ...]
    source: tuple[_Range, _Range]
    target: tuple[_Range, _Range]


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """Everything of a filtering resize but the arrays.

    Attributes
    ----------
    shape, out_shape : tuple of int
        ``(planes, first axis, second axis, the rest)`` of the input and of the result.
    strips : tuple of Strip
        They fill a plane.
    planes_step : int
        Planes a job.
    compact : bool
        Whether a job's input and result are arrays of their own, converted from and to the array's dtype.
    between : dtype
        Of the scratch arrays.
    """

    shape: tuple[int, int, int, int]
    out_shape: tuple[int, int, int, int]
    strips: tuple[Strip, ...]
    planes_step: int
    compact: bool
    between: np.dtype[Any]

    @property
    def jobs(self) -> int:
        """How many jobs."""
        return -(-self.shape[0] // self.planes_step) * len(self.strips)

    def streamed(self) -> Filter | None:
        """Return the same with results stored past the caches, or None where no kernel does so."""
        strips = []
        for strip in self.strips:
            *before, step = strip.passes
            if step.function is doubled:
                steps, sizes, *tables = step.arguments
                arguments = (steps, np.asarray([*sizes[:-1], 1]), *tables)
            elif step.function is float_kernels.columns:
                arguments = (*step.arguments[:-1], 1)
            else:
                return None
            strips.append(replace(strip, passes=(*before, replace(step, arguments=arguments))))
        return replace(self, strips=tuple(strips))

    def run(self, src: _Array, dst: _Array, block: int, spare: list[list[_Array]]) -> None:
        """Do one job on flat arrays; `spare` has the scratch arrays of jobs that are done."""
        strip = self.strips[block % len(self.strips)]
        begin = block // len(self.strips) * self.planes_step
        planes = min(self.planes_step, self.shape[0] - begin)
        if len(strip.passes) == 1:
            filtered(strip, src, dst, begin, planes, [], None)
            return
        try:
            scratch = spare.pop()
        except IndexError:
            most = [max(s.scratch[i] for s in self.strips) for i in range(len(strip.scratch))]
            scratch = [np.empty(n * self.planes_step, dtype=self.between) for n in most]
        filtered(strip, src, dst, begin, planes, scratch, None)
        spare.append(scratch)


def filtered(
    strip: Strip, src: _Array, dst: _Array, begin: int, planes: int, scratch: list[_Array], between: _Between
) -> None:
    """Run the passes of a strip on `planes` planes from `begin` on; `between` changes what each but the last made."""
    last = len(strip.passes) - 1
    for place, step in enumerate(strip.passes):
        s0 = step.s0 + begin * step.s_plane if place == 0 else step.s0
        source = src if place == 0 else frozen(scratch[place - 1])
        target, d0 = (dst, step.d0 + begin * step.d_plane) if place == last else (scratch[place], step.d0)
        step.function(source, s0, target, d0, planes * step.outer, *step.arguments)
        if between is not None and place < last:
            between(target[: planes * strip.scratch[place]])


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """Sizes and filters of the axes from the first resized one to the last.

    `order` is the order in which they are filtered; `rings` says whether two axes may be one pass.
    """

    rules: tuple[AxisRule, ...]
    order: tuple[int, ...]
    inner: int
    dtype: str
    compact: bool
    rings: bool

    def strip(self, target: tuple[_Range, _Range]) -> Strip:
        """Lay out the part of the result that `target` names."""
        n = len(self.rules)
        source = [_reached(rule, *t) for rule, t in zip(self.rules, target, strict=False)]
        if target[0] == (0, self.rules[0].out_size):  # whole planes, so that the rows of several are equally far apart
            source[0] = (0, self.rules[0].in_size)
        now = [high - low for low, high in source] + [rule.in_size for rule in self.rules[2:]]
        after = [high - low for low, high in target[:n]] + [rule.out_size for rule in self.rules[2:]]
        order = self.order
        passes, scratch = [], []
        double = self._double(target)
        if double is not None:
            order = order[1:]
        for place, axis in enumerate(order):
            first, last = place == 0 and not self.compact, place == len(order) - 1 and not self.compact
            old = list(now)
            now[axis] = after[axis]
            if double is not None and place == 0:
                now[axis + 1] = after[axis + 1]
            before = _steps([rule.in_size for rule in self.rules] if first else old, self.inner)
            behind = _steps([rule.out_size for rule in self.rules] if last else now, self.inner)
            s0 = sum(low * step for (low, _), step in zip(source, before[1:], strict=False)) if first else 0
            d0 = sum(low * step for (low, _), step in zip(target, behind[1:], strict=False)) if last else 0
            if axis < 2:  # taps are numbered from the axis' own beginning
                s0 -= source[axis][0] * before[axis + 1]
            span = target[axis] if axis < 2 else (0, self.rules[axis].out_size)
            reached = source[axis] if axis < 2 else (0, self.rules[axis].in_size)
            passes.append(self._pass(axis, span, s0, d0, before, behind, old, reached, double if place == 0 else None))
            scratch.append(math.prod(now) * self.inner)
        from_ = (*source, (0, 1))[:2]
        return Strip(tuple(passes), tuple(scratch[:-1]), (from_[0], from_[1]), target)

    def _pass(
        self,
        axis: int,
        span: _Range,
        s0: int,
        d0: int,
        before: list[int],
        behind: list[int],
        old: list[int],
        source: _Range,
        double: tuple[Any, ...] | None,
    ) -> Pass:
        """Choose the kernel of an axis; `before` and `behind` are the distances of planes and of each axis.

        `double` are the tables where the axis that follows is doubled by the same kernel.
        """
        outer = old[0] if axis > 0 else 1
        size_b = math.prod(old[1:axis]) if axis > 1 else 1
        inner = math.prod(old[axis + 1 :]) * self.inner
        a_step, b_step = 1 if axis > 0 else 0, axis
        steps = []
        for distances in (before, behind):
            steps += [distances[a_step], distances[b_step] if axis > 1 else 0, distances[axis + 1]]
        box, rule = np.asarray([*steps, size_b, inner]), self.rules[axis]
        if double is not None:
            return Pass(doubled, s0, d0, before[0], behind[0], outer, (box, *double))
        packed = before[axis + 1] == behind[axis + 1] == inner
        follow = size_b > 1 or (before[a_step] == before[axis] and behind[a_step] == behind[axis])
        whole = follow and span == (0, rule.out_size) and source == (0, rule.in_size)
        function, tables = choose_kernel(rule, span, self.dtype, inner, packed, source, whole)
        return Pass(function, s0, d0, before[0], behind[0], outer, (box, *tables))

    def _double(self, target: tuple[_Range, _Range]) -> tuple[Any, ...] | None:
        """Return the tables of the kernel that doubles rows and makes more of them, where it can."""
        k = len(self.rules) - 1
        if not self.rings or self.dtype == "uint8" or self.inner != 1 or k < 1 or self.order[:2] != (k, k - 1):
            return None
        across, down = self.rules[k], self.rules[k - 1]
        if across.out_size != 2 * across.in_size or (k == 1 and target[1] != (0, across.out_size)):
            return None
        if 2 * across.out_size * np.dtype(self.dtype).itemsize > RING_BYTES:
            return None
        function, rows = choose_by_tables(across, (0, across.out_size), self.dtype, 1, True, (0, across.in_size), True)
        if function not in (float_kernels.rows_double2, float_kernels.rows_double4):
            return None
        cut = slice(*(target[k - 1] if k < 3 else (0, down.out_size)))
        low, high = reach(down, cut.start, cut.stop)
        each = listed(down, self.dtype)
        table = Listed(each.count[cut], each.index[cut], each.weight[cut])
        ring = plan_ring(table, low, high, across.out_size * np.dtype(self.dtype).itemsize)
        *exact, least, most, start, phases = rows
        ends = plan_ends(Listed(*exact), 2 * least, 2 * most, phases.shape[1])
        if ring is None or ends is None:
            return None
        sizes = np.asarray([low, high, ring.group, ring.slots, least, most, start, 0])
        pairs = twins(table, phases.shape[1])
        return (sizes, table.count, ring.need, ring.slot, table.weight, pairs, tuple(phases.reshape(-1)), *ends)


def _reached(rule: AxisRule, begin: int, end: int) -> _Range:
    return (begin, end) if rule.is_identity else reach(rule, begin, end)


def _steps(sizes: list[int], inner: int) -> list[int]:
    """Distances of planes and of the samples of each axis."""
    return [math.prod(sizes[i:]) * inner for i in range(len(sizes) + 1)]


def plan_filter(
    shape: tuple[int, ...], plan: ResizePlan, dtype: str, pair: int, *, compact: bool, ordered: bool
) -> Filter:
    """Lay out a filtering resize of a contiguous array of `shape`.

    `dtype` is the dtype of sums, "uint8" for bytes; `pair` the values of an element, two for complex numbers; `compact`
    says whether the input has another dtype; `ordered` whether sums are rounded between axes, so that the order shows.
    """
    active = sorted(plan.active_rules(), key=lambda turn: turn[0])
    begin, end = active[0][0], active[-1][0]
    rules = [identity(n) for n in shape[begin : end + 1]]
    for axis, rule in active:
        rules[axis - begin] = rule
    order = tuple(axis - begin for axis in plan.filter_order(ordered))
    geometry = _Geometry(tuple(rules), order, math.prod(shape[end + 1 :]) * pair, dtype, compact, not ordered)
    planes = math.prod(shape[:begin])
    between = np.dtype("int16" if dtype == "uint8" and active[0][1].places else dtype)
    outs = [rule.out_size for rule in rules]
    first, second, step = _job(geometry, planes, between.itemsize)
    ends = outs[1] if len(outs) > 1 else 1
    targets = [
        ((r, min(r + first, outs[0])), (q, min(q + second, ends)))
        for r in range(0, outs[0], first)
        for q in range(0, ends, second)
    ]
    strips = tuple(map(geometry.strip, targets))
    if len({len(strip.passes) for strip in strips}) > 1:  # not every strip's ring is small enough; scratch is shared
        strips = tuple(map(replace(geometry, rings=False).strip, targets))
    sizes = [(rule.in_size, rule.out_size) for rule in rules] + [(1, 1)]
    rest = [math.prod(n[i] for n in sizes[2:]) * geometry.inner for i in (0, 1)]
    before, behind = ((planes, sizes[0][i], sizes[1][i], rest[i]) for i in (0, 1))
    return Filter(before, behind, strips, step, compact, between)


def _job(geometry: _Geometry, planes: int, itemsize: int) -> tuple[int, int, int]:
    """Samples on the first and the second axis a strip, planes a job."""
    rules = geometry.rules
    first, second = rules[0].out_size, rules[1].out_size if len(rules) > 1 else 1
    size, few = _bytes_of(geometry, first, second, itemsize), _STRIP
    if geometry.dtype == "uint8":  # kernels for rows of bytes transpose so many input rows, or go one by one
        few = max(few, -(-_STRIP * first // rules[0].in_size))
    if size <= _JOB_BYTES:
        return first, second, min(planes, max(1, _JOB_BYTES // size))
    for least, enough in ((few, _JOB_BYTES), (1, _MOST_BYTES)):
        while first > least and _bytes_of(geometry, first, second, itemsize) > enough:
            first = max(least, (first + 1) // 2)
    while second > 1 and _bytes_of(geometry, first, second, itemsize) > _MOST_BYTES:
        second = (second + 1) // 2
    return first, second, 1


def _bytes_of(geometry: _Geometry, first: int, second: int, itemsize: int) -> int:
    """Of the input, the scratch arrays and the result of a strip in the middle of a plane."""
    target = [_middle(rule, n) for rule, n in zip(geometry.rules, (first, second), strict=False)]
    source = [_reached(rule, *t) for rule, t in zip(geometry.rules, target, strict=False)]
    now = [high - low for low, high in source] + [rule.in_size for rule in geometry.rules[2:]]
    after = [high - low for low, high in target] + [rule.out_size for rule in geometry.rules[2:]]
    outside = 1 if geometry.dtype == "uint8" else itemsize
    total = math.prod(now) * outside
    for axis in geometry.order:
        now[axis] = after[axis]
        total += math.prod(now) * (outside if axis == geometry.order[-1] else itemsize)
    return total * geometry.inner


def _middle(rule: AxisRule, count: int) -> _Range:
    begin = (rule.out_size - count) // 2
    return begin, begin + count
