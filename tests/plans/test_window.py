"""Which windows cover which positions, against double loops over cells and taps."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from drawn import repeatable
from hypothesis import example, given
from hypothesis import strategies as st

from upsample.plans.phases import Phase, phases
from upsample.plans.window import ConvTransposePlan, PoolPlan, SpanAxis, UnpoolPlan, WindowAxis

deterministic = repeatable(500)

windows = st.builds(
    WindowAxis,
    large=st.integers(1, 24),
    small=st.integers(1, 9),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 7),
    padding=st.integers(0, 9),
    dilation=st.integers(1, 5),
)
spans = st.builds(SpanAxis, large=st.integers(1, 60), small=st.integers(1, 60))


def covering(axis: WindowAxis) -> dict[int, list[tuple[int, int]]]:
    """For each position, the (cell, tap) that lie there, cells ascending."""
    found: dict[int, list[tuple[int, int]]] = {y: [] for y in range(axis.large)}
    for cell in range(axis.small):
        for tap in range(axis.kernel):
            y = cell * axis.stride - axis.padding + tap * axis.dilation
            if y in found:
                found[y].append((cell, tap))
    return found


# -------------------------------------------------------------------------------------------------- phases


@deterministic
@given(windows)
@example(WindowAxis(large=5, small=2, kernel=3, stride=2, padding=0, dilation=1))
@example(WindowAxis(large=2, small=1, kernel=1, stride=7, padding=0, dilation=1))
@example(WindowAxis(large=3, small=4, kernel=6, stride=1, padding=9, dilation=5))
def test_phases_are_what_the_loops_find(axis: WindowAxis) -> None:
    found: dict[int, list[tuple[int, int]]] = {}
    for phase in phases(axis):
        assert len(phase.taps) == len(phase.cells)
        for j in range(phase.count):
            y = phase.start + axis.stride * j
            assert y not in found, f"position {y} is in two phases"
            found[y] = [
                (j + cell, tap) for tap, cell in zip(phase.taps, phase.cells, strict=True) if 0 <= j + cell < axis.small
            ]
    assert found == covering(axis)


@deterministic
@given(windows)
def test_phases_come_in_order_and_their_cells_ascend(axis: WindowAxis) -> None:
    split = phases(axis)
    assert [phase.start for phase in split] == list(range(min(axis.stride, axis.large)))
    assert sum(phase.count for phase in split) == axis.large
    for phase in split:
        assert list(phase.cells) == sorted(phase.cells)
        assert len(set(phase.cells)) == len(phase.cells)
        assert list(phase.taps) == sorted(phase.taps, reverse=True)


PHASES = [
    # apart: every position has one tap of one cell
    ("k2 s2", WindowAxis(6, 3, 2, 2, 0, 1), (Phase(0, 3, (0,), (0,)), Phase(1, 3, (1,), (0,)))),
    # even positions lie in the last tap of the cell before and in the first of their own
    ("k3 s2", WindowAxis(5, 2, 3, 2, 0, 1), (Phase(0, 3, (2, 0), (-1, 0)), Phase(1, 2, (1,), (0,)))),
    # the usual upsampler: two taps everywhere
    ("k4 s2 p1", WindowAxis(8, 4, 4, 2, 1, 1), (Phase(0, 4, (3, 1), (-1, 0)), Phase(1, 4, (2, 0), (0, 1)))),
    # gaps: nothing lands on every third position
    ("k2 s3", WindowAxis(5, 2, 2, 3, 0, 1), (Phase(0, 2, (0,), (0,)), Phase(1, 2, (1,), (0,)), Phase(2, 1, (), ()))),
    # a dilated window skips a phase as well
    ("k2 s2 d2", WindowAxis(5, 2, 2, 2, 0, 2), (Phase(0, 3, (1, 0), (-1, 0)), Phase(1, 2, (), ()))),
    ("s1", WindowAxis(4, 4, 3, 1, 1, 1), (Phase(0, 4, (2, 1, 0), (-1, 0, 1)),)),
    ("stride over the large side", WindowAxis(2, 1, 3, 9, 1, 1), (Phase(0, 1, (1,), (0,)), Phase(1, 1, (2,), (0,)))),
]


@pytest.mark.parametrize(("axis", "wanted"), [row[1:] for row in PHASES], ids=[row[0] for row in PHASES])
def test_phases_by_hand(axis: WindowAxis, wanted: tuple[Phase, ...]) -> None:
    assert phases(axis) == wanted


# ------------------------------------------------------------------------------------------------- windows


@deterministic
@given(windows)
def test_positions_and_what_is_inside(axis: WindowAxis) -> None:
    assert axis.reach == (axis.kernel - 1) * axis.dilation + 1
    firsts = axis.first_inside()
    for cell in range(axis.small):
        places = [int(axis.positions(tap)[cell]) for tap in range(axis.kernel)]
        assert places == [cell * axis.stride - axis.padding + tap * axis.dilation for tap in range(axis.kernel)]
        inside = [tap for tap, y in enumerate(places) if y >= 0]
        if inside:
            assert firsts[cell] == inside[0]
        else:
            assert firsts[cell] >= axis.kernel


@deterministic
@given(windows)
@example(WindowAxis(large=1, small=2, kernel=2, stride=1, padding=1, dilation=2))
@example(WindowAxis(large=3, small=2, kernel=2, stride=2, padding=1, dilation=4))
def test_every_window_has_an_element(axis: WindowAxis) -> None:
    wanted = all(
        any(0 <= cell * axis.stride - axis.padding + tap * axis.dilation < axis.large for tap in range(axis.kernel))
        for cell in range(axis.small)
    )
    assert axis.every_window_has_an_element() is wanted


def test_a_dilated_window_can_step_over_the_input() -> None:
    assert not WindowAxis(large=1, small=1, kernel=2, stride=1, padding=1, dilation=2).every_window_has_an_element()
    assert WindowAxis(large=2, small=1, kernel=2, stride=1, padding=1, dilation=2).every_window_has_an_element()


# --------------------------------------------------------------------------------------------------- spans


@deterministic
@given(spans)
def test_spans(axis: SpanAxis) -> None:
    first, count = axis.first(), axis.count()
    assert first.dtype == count.dtype == np.int64
    for cell in range(axis.small):
        begin = math.floor(Fraction(cell * axis.large, axis.small))
        end = math.ceil(Fraction((cell + 1) * axis.large, axis.small))
        assert (first[cell], first[cell] + count[cell]) == (begin, end)
    assert {y for f, c in zip(first, count, strict=True) for y in range(f, f + c)} == set(range(axis.large))


def test_spans_by_hand() -> None:
    assert SpanAxis(7, 3).first().tolist() == [0, 2, 4]
    assert SpanAxis(7, 3).count().tolist() == [3, 3, 3]
    assert SpanAxis(3, 5).first().tolist() == [0, 0, 1, 1, 2]
    assert SpanAxis(3, 5).count().tolist() == [1, 2, 1, 2, 1]
    assert SpanAxis(3, 0).first().tolist() == []


# --------------------------------------------------------------------------------------------------- plans


def test_shapes() -> None:
    axes = (WindowAxis(5, 2, 3, 2, 0, 1), WindowAxis(8, 4, 4, 2, 1, 1))
    assert PoolPlan((*axes, SpanAxis(7, 3)), local_indices=False, first_nan=False).small_shape == (2, 4, 3)
    plan = UnpoolPlan(axes, local_indices=True, duplicates="sum", check_indices=True, deterministic=True)
    assert (plan.small_shape, plan.large_shape) == ((2, 4), (5, 8))
    assert ConvTransposePlan(axes, groups=3, precision="float32").large_shape == (5, 8)


def test_plans_are_keys() -> None:
    one, two = (ConvTransposePlan((WindowAxis(5, 2, 3, 2, 0, 1),), groups=3, precision="float32") for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert phases(one.axes[0]) is phases(two.axes[0])
