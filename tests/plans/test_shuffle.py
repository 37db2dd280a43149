"""Which element of the coarse side a pixel shuffle puts where, in both channel orders."""

from __future__ import annotations

import math

import pytest
from drawn import repeatable
from hypothesis import given
from hypothesis import strategies as st

from upsample.plans.shuffle import ShufflePlan, shuffle, unshuffle

deterministic = repeatable(150)

leads = st.lists(st.integers(0, 3), max_size=3).map(tuple)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
factors = st.integers(1, 4)
orders = pytest.mark.parametrize("channel_first", [True, False], ids=["CRD", "DCR"])


def flat(place: tuple[int, ...], shape: tuple[int, ...]) -> int:
    result = 0
    for p, n in zip(place, shape, strict=True):
        assert 0 <= p < n
        result = result * n + p
    return result


def unflat(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    place = []
    for n in reversed(shape):
        number, p = divmod(number, n)
        place.append(p)
    return tuple(reversed(place))


def source(plan: ShufflePlan, place: tuple[int, ...]) -> int:
    """The flat number of the element that the plan puts at `place` of its result."""
    permuted = unflat(flat(place, plan.shape), tuple(plan.split[axis] for axis in plan.order))
    split = [0] * len(permuted)
    for axis, p in zip(plan.order, permuted, strict=True):
        split[axis] = p
    return flat(tuple(split), plan.split)


def channel(c: int, i: int, j: int, channels: int, factor: int, channel_first: bool) -> int:
    """The coarse channel that holds place (i, j) of the blocks of fine channel c."""
    return c * factor**2 + i * factor + j if channel_first else (i * factor + j) * channels + c


@orders
@deterministic
@given(lead=leads, size=sizes, factor=factors)
def test_shuffle(lead: tuple[int, ...], size: tuple[int, int, int], factor: int, channel_first: bool) -> None:
    channels, height, width = size
    coarse = (*lead, channels * factor**2, height, width)
    plan = shuffle(coarse, factor, channel_first)
    assert plan.shape == (*lead, channels, height * factor, width * factor)
    assert math.prod(plan.split) == math.prod(plan.shape) == math.prod(coarse)
    assert sorted(plan.order) == list(range(len(plan.split)))
    for number in range(math.prod(plan.shape)):
        *batch, c, y, x = unflat(number, plan.shape)
        (h, i), (w, j) = divmod(y, factor), divmod(x, factor)
        wanted = flat((*batch, channel(c, i, j, channels, factor, channel_first), h, w), coarse)
        assert source(plan, (*batch, c, y, x)) == wanted


@orders
@deterministic
@given(lead=leads, size=sizes, factor=factors)
def test_unshuffle_undoes_it(
    lead: tuple[int, ...], size: tuple[int, int, int], factor: int, channel_first: bool
) -> None:
    channels, height, width = size
    coarse = (*lead, channels * factor**2, height, width)
    there = shuffle(coarse, factor, channel_first)
    back = unshuffle(there.shape, factor, channel_first)
    assert back.shape == coarse
    for number in range(math.prod(coarse)):
        assert source(there, unflat(source(back, unflat(number, coarse)), there.shape)) == number


def test_by_hand() -> None:
    assert shuffle((2, 12, 5, 7), 2, True) == ShufflePlan((2, 3, 2, 2, 5, 7), (0, 1, 4, 2, 5, 3), (2, 3, 10, 14))
    assert shuffle((2, 12, 5, 7), 2, False) == ShufflePlan((2, 2, 2, 3, 5, 7), (0, 3, 4, 1, 5, 2), (2, 3, 10, 14))
    assert unshuffle((2, 3, 10, 14), 2, True) == ShufflePlan((2, 3, 5, 2, 7, 2), (0, 1, 3, 5, 2, 4), (2, 12, 5, 7))
    assert unshuffle((2, 3, 10, 14), 2, False) == ShufflePlan((2, 3, 5, 2, 7, 2), (0, 3, 5, 1, 2, 4), (2, 12, 5, 7))
    # with one fine channel the orders agree in what they do
    assert [source(shuffle((4, 1, 1), 2, first), (0, y, x)) for first in (True, False) for y in (0, 1) for x in (0, 1)]
    # eight channels of one sample: pixel_shuffle takes 0 1 2 3 for the first channel, depth2space 0 2 4 6
    places = [(0, y, x) for y in (0, 1) for x in (0, 1)]
    assert [source(shuffle((8, 1, 1), 2, True), place) for place in places] == [0, 1, 2, 3]
    assert [source(shuffle((8, 1, 1), 2, False), place) for place in places] == [0, 2, 4, 6]
