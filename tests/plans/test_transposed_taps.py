"""The table of a gradient is the transpose of the forward table, whole or in parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from methods import Method, every_method

from upsample.plans import taps as module
from upsample.plans.resize import AxisRule, ResizePlan, Rounding, identity
from upsample.plans.taps import taps, taps_between

SIZES = [(1, 1), (1, 9), (9, 1), (5, 13), (13, 5), (16, 32), (32, 16), (40, 41), (3, 300), (300, 3), (7, 7)]


def rule(method: str, antialias: bool, corners: bool, n: int, o: int, rounding: Rounding) -> AxisRule:
    step = (float(n - 1), float(o - 1)) if corners and o > 1 else (float(n), float(o))
    if corners and o == 1:
        step = (0.0, 1.0)
    if rounding is not Rounding.FLOAT64:
        step = (float(np.float32(step[0] / step[1])), 1.0)
    return AxisRule(n, o, method, step, corners, antialias, -0.75, rounding)


def dense(table: module.Taps, inputs: int) -> np.ndarray:
    matrix = np.zeros((len(table.first), inputs))
    for row, (first, count) in enumerate(zip(table.first, table.count, strict=True)):
        assert 0 <= first < inputs
        matrix[row, first : first + count] = table.weight[row, :count]
        assert not table.weight[row, count:].any()
    return matrix


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("n", "o"), SIZES)
@every_method
def test_it_is_the_transpose(
    method: Method, n: int, o: int, rounding: Rounding, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = rule(*method, n, o, rounding)
    back = forward.transpose()
    assert (back.in_size, back.out_size) == (o, n)
    assert back.transpose() == forward
    wanted = dense(taps(forward), n).T
    table = taps(back)
    np.testing.assert_array_equal(dense(table, o), wanted)
    assert not table.mixed_first.any()
    assert not table.mixed_last.any()
    monkeypatch.setattr(module, "_KEPT", 2)  # as of an axis that is too long to be kept
    for begin in range(0, n, 4):
        end = min(begin + 4, n)
        part = taps_between(back, begin, end)
        np.testing.assert_allclose(dense(part, o), wanted[begin:end], rtol=0, atol=1e-14)


def test_runs_are_as_short_as_can_be() -> None:
    """A tap of weight zero at the border of the forward table makes no run longer."""
    table = taps(rule("linear", False, False, 10, 20, Rounding.FLOAT64).transpose())
    assert table.longest == 4
    assert table.count.tolist() == [3, 4, 4, 4, 4, 4, 4, 4, 4, 3]
    assert table.weight[4].tolist() == [0.25, 0.75, 0.75, 0.25]


def test_samples_that_fed_none_have_no_run() -> None:
    table = taps(rule("nearest", False, False, 6, 2, Rounding.FLOAT64).transpose())
    assert table.count.tolist() == [1, 0, 0, 1, 0, 0]


def test_long_axes_cost_what_they_need() -> None:
    """A long run of a few samples, or short runs of many: no square of either."""
    few = taps(rule("linear", False, False, 4, 100_000, Rounding.FLOAT64).transpose())
    assert few.weight.size <= 4 * 60_000
    many = rule("linear", True, False, 300_000, 30, Rounding.FLOAT64).transpose()
    assert taps_between(many, 1000, 1100).weight.shape[1] <= 3


def test_only_a_forward_move_moves() -> None:
    forward = rule("nearest", False, False, 4, 8, Rounding.FLOAT64)
    assert forward.moves
    assert not forward.transpose().moves
    assert identity(4).transpose().moves
    plan = ResizePlan((2,), (forward,))
    assert plan.only_moves
    assert not plan.transpose().only_moves
    assert plan.transpose() is dataclasses.replace(plan).transpose()
    assert plan.transpose().transpose() == plan
