"""A part of a plan makes the bytes of that part of the whole result, on each engine."""

from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from drawn import repeatable
from hypothesis import given
from hypothesis import strategies as st

from upsample.engines import dispatch
from upsample.plans import resize_parts as parts
from upsample.plans.filters import FILTERS, Weighted
from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.taps import fixed_point, taps
from upsample.plans.window import SpanAxis, WindowAxis

MOVES = ("nearest", "nearest-exact")


_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed: no compiled engine")
each_engine = pytest.mark.parametrize("engine", [pytest.param("cpu", marks=_NUMBA), "portable"])


@st.composite
def rules(draw: st.DrawFn, methods: tuple[str, ...]) -> AxisRule:
    """The rule of one axis, as some dialect makes it, or that of its gradient."""
    in_size = draw(st.one_of(st.integers(1, 20), st.integers(30, 130)))
    factor = draw(st.sampled_from([0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 2.0, 3.0]))
    out_size = max(1, int(in_size * factor))
    name = draw(st.sampled_from(methods))
    method = FILTERS[name]
    weighted = isinstance(method, Weighted)
    corners = weighted and method.knows_corners and draw(st.booleans())
    antialias = weighted and not corners and draw(st.booleans())
    kinds = [Rounding.FLOAT64, Rounding.FLOAT32] if antialias or not weighted else list(Rounding)
    rounding = draw(st.sampled_from(kinds))
    step = (float(in_size), float(out_size))
    if corners:
        step = (float(in_size - 1), float(max(out_size - 1, 1)))
    if rounding is not Rounding.FLOAT64:
        step = (float(np.float32(step[0] / step[1])), 1.0)
    rule = AxisRule(in_size, out_size, name, step, corners, antialias, draw(st.sampled_from([-0.5, -0.75])), rounding)
    return rule.transpose() if methods != MOVES and draw(st.integers(0, 3)) == 0 else rule


@st.composite
def calls(draw: st.DrawFn, moves: bool) -> tuple[ResizePlan, tuple[int, ...], int, list[list[tuple[int, int]]]]:
    """A plan, the shape of its input, a seed, and the ranges into which each axis of the result is cut."""
    count = draw(st.integers(1, 3))
    axes = tuple(sorted(draw(st.permutations(range(count + draw(st.integers(0, 1)))))[:count]))
    chosen = tuple(draw(rules(MOVES if moves else tuple(FILTERS))) for _ in axes)
    plan = ResizePlan(axes, chosen)
    inner = draw(st.sampled_from([1, 3, 5]))
    shape = [inner] * (max(axes) + draw(st.integers(1, 2)))
    for axis, rule in zip(axes, chosen, strict=True):
        shape[axis] = rule.in_size
    seed = draw(st.integers(0, 2**16))
    cuts = [sorted({0, n, *(draw(st.integers(0, n)) for _ in range(2))}) for n in plan.out_shape(tuple(shape))]
    return plan, tuple(shape), seed, [list(itertools.pairwise(c)) for c in cuts]


def values(shape: tuple[int, ...], seed: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    x = rng.standard_normal(shape).astype(dtype)
    if seed % 3 == 0:
        x[tuple(int(rng.integers(n)) for n in shape)] = rng.choice([np.nan, np.inf])
    return x


def run(plan: ResizePlan, x: np.ndarray, engine: str) -> np.ndarray:
    return np.asarray(dispatch.choose("resize", "resize", plan, x, engine)(np, plan, x, None))


def check(call: Any, dtype: str, engine: str) -> None:
    plan, shape, seed, cuts = call
    if math.prod(shape) > 200_000 or math.prod(plan.out_shape(shape)) > 200_000:
        return
    x = values(shape, seed, dtype)
    whole = run(plan, x, engine)
    order = plan.filter_order(dtype == "uint8")
    rng = np.random.default_rng(seed)
    for _ in range(4):
        ranges = [list(c)[int(rng.integers(len(c)))] for c in cuts]
        part = parts.part_of_plan(plan, dict(enumerate(ranges)), order)
        assert pickle.loads(pickle.dumps(part)) == part
        assert hash(pickle.loads(pickle.dumps(part))) == hash(part)
        slab = [slice(*r) for r in ranges]
        for axis, rule in zip(plan.axes, plan.rules, strict=True):
            slab[axis] = slice(*parts.needs(rule, *ranges[axis]))
        made = run(part, np.ascontiguousarray(x[tuple(slab)]), engine)
        assert made.tobytes() == whole[tuple(slice(*r) for r in ranges)].tobytes(), (plan, shape, ranges)


@each_engine
@repeatable(150)
@given(call=calls(moves=False))
def test_parts_of_bytes_are_those_of_the_whole(engine: str, call: Any) -> None:
    check(call, "uint8", engine)


@each_engine
@repeatable(100)
@given(call=calls(moves=True), dtype=st.sampled_from(["int64", "float16", "uint16"]))
def test_parts_of_nearest_are_those_of_the_whole(engine: str, call: Any, dtype: str) -> None:
    check(call, dtype, engine)


# -------------------------------------------------------------------------------------------------- tables


@repeatable(300)
@given(rule=rules(tuple(FILTERS)), data=st.data())
def test_a_part_is_a_slice_of_the_whole_table(rule: AxisRule, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, rule.out_size - 1))
    end = data.draw(st.integers(begin + 1, rule.out_size))
    part, (low, high) = parts.part(rule, begin, end), parts.needs(rule, begin, end)
    assert 0 <= low < high <= rule.in_size
    assert (part.in_size, part.out_size) == (high - low, end - begin)
    whole, table = taps(rule).rows(begin, end), taps(part)
    np.testing.assert_array_equal(table.first, whole.first - low)
    for mine, other in zip(table.arrays[1:], whole.arrays[1:], strict=True):
        np.testing.assert_array_equal(mine, other)
    used = np.maximum(table.count, 1)
    assert table.first.min() >= 0
    assert (table.first + used).max() <= part.in_size
    if not part.is_identity:
        fixed, of_whole = fixed_point(part), fixed_point(rule)
        assert (fixed.shift, fixed.sums) == (of_whole.shift, of_whole.sums)
        np.testing.assert_array_equal(fixed.table.weight, of_whole.table.weight[begin:end])


@repeatable(200)
@given(rule=rules(tuple(FILTERS)), data=st.data())
def test_a_part_of_a_part_is_a_part_of_the_whole(rule: AxisRule, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, rule.out_size - 1))
    end = data.draw(st.integers(begin + 1, rule.out_size))
    low = data.draw(st.integers(begin, end - 1))
    high = data.draw(st.integers(low + 1, end))
    inner = parts.part(parts.part(rule, begin, end), low - begin, high - begin)
    assert inner is parts.part(rule, low, high) or inner == parts.part(rule, low, high)


@repeatable(200)
@given(rule=rules(tuple(FILTERS)), data=st.data())
def test_outputs_are_parted_where_no_part_needs_inputs_of_two_sides(rule: AxisRule, data: st.DataObject) -> None:
    border = data.draw(st.integers(0, rule.in_size))
    cuts = parts.parted(rule, (0, border, rule.in_size))
    before = [o for o in range(rule.out_size) if parts.needs(rule, o, o + 1)[1] <= border]
    behind = [o for o in range(rule.out_size) if parts.needs(rule, o, o + 1)[0] >= border]
    if cuts is None:
        assert len(before) + len(behind) < rule.out_size
    else:
        assert set(range(cuts[0], cuts[1])) <= set(before)
        assert set(range(cuts[1], cuts[2])) <= set(behind)


def test_single_outputs_of_a_long_axis_have_the_weights_of_the_whole() -> None:
    rule = AxisRule(3 * 10**5, 10**5, "cubic", (3e5, 1e5), False, True, -0.5, Rounding.FLOAT64)
    whole = taps(rule)
    for output in (*range(40), *np.random.default_rng(0).integers(0, 10**5, 60).tolist()):
        one = taps(parts.part(rule, output, output + 1))
        count = int(one.count[0])
        assert one.weight[0, :count].tobytes() == whole.weight[output, :count].tobytes()


def test_equal_parts_are_one_object() -> None:
    rule = AxisRule(10_000, 20_000, "linear", (1e4, 2e4), False, False, 0.0, Rounding.FLOAT64)
    found = {id(parts.part(rule, b, b + 100)) for b in range(0, 20_000, 100)}
    assert len(found) <= 3  # both borders and the middle


def test_the_order_of_axes_is_that_of_the_whole() -> None:
    grow, shrink = (AxisRule(8, n, "linear", (8.0, float(n)), False, False, 0.0, Rounding.FLOAT64) for n in (16, 4))
    plan = ResizePlan((0, 1), (grow, shrink))
    assert plan.filter_order(False) == (1, 0)
    assert plan.filter_order(True) == (1, 0)
    assert ResizePlan((0, 1), (shrink, grow)).filter_order(False) == (0, 1)
    slab = parts.part_of_plan(plan, {0: (0, 2), 1: (0, 4)}, plan.filter_order(False))
    assert slab.filter_order(False) == (1, 0)
    assert plan.transpose().transpose() == plan


# -------------------------------------------------------------------------------------------------- windows


windows = st.builds(
    WindowAxis,
    large=st.integers(1, 24),
    small=st.integers(1, 9),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 7),
    padding=st.integers(0, 9),
    dilation=st.integers(1, 3),
)
spans = st.builds(SpanAxis, large=st.integers(1, 60), small=st.integers(1, 60))


def covered(axis: WindowAxis | SpanAxis, cell: int) -> set[int]:
    if isinstance(axis, SpanAxis):
        return set(range(*axis.reads(cell, cell + 1)))
    first = cell * axis.stride - axis.padding
    return {y for y in range(first, first + axis.reach, axis.dilation) if 0 <= y < axis.large}


@repeatable(400)
@given(axis=st.one_of(windows, spans), data=st.data())
def test_parts_of_windows_cover_what_the_whole_covers(axis: WindowAxis | SpanAxis, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, axis.small - 1))
    end = data.draw(st.integers(begin + 1, axis.small))
    low, high = axis.needs(begin, end)
    assert 0 <= low < high <= axis.large
    part = axis.part((begin, end), (low, high))
    for cell in range(begin, end):
        assert {y - low for y in covered(axis, cell)} == covered(part, cell - begin)
    if isinstance(part, SpanAxis):
        assert part.longest == max(len(covered(part, cell)) for cell in range(part.small))
    p = data.draw(st.integers(0, axis.large - 1))
    q = data.draw(st.integers(p + 1, axis.large))
    first, last = axis.covering_cells(p, q)
    meeting = {cell for cell in range(axis.small) if covered(axis, cell) & set(range(p, q))}
    assert meeting <= set(range(first, last))
    if first < last:
        part = axis.part((first, last), (p, q))
        for cell in range(first, last):
            inside = {y - p for y in covered(axis, cell) if p <= y < q}
            mine = covered(part, cell - first)
            assert {y for y in mine if 0 <= y < q - p} == inside


def test_a_part_keeps_every_other_field() -> None:
    rule = AxisRule(8, 16, "cubic", (8.0, 16.0), False, False, -0.5, Rounding.FLOAT32)
    part = parts.part(rule, 3, 9)
    assert replace(part, in_size=8, out_size=16, cut=None) == rule
