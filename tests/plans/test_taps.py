"""The tables of taps: exact ones written out by hand, and what holds for every table."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from drawn import repeatable
from hypothesis import example, given
from hypothesis import strategies as st

from upsample.plans.filters import FILTERS, Weighted, sine_of_pi
from upsample.plans.resize import AxisRule, ResizePlan, Rounding, identity
from upsample.plans.taps import Taps, fixed_point, taps, taps_between

deterministic = repeatable(300)

WEIGHTED = tuple(name for name, method in FILTERS.items() if isinstance(method, Weighted))
WITH_CORNERS = tuple(name for name in WEIGHTED if FILTERS[name].knows_corners)


def rule(
    n: int,
    o: int,
    method: str,
    *,
    step: tuple[float, float] | None = None,
    corners: bool = False,
    antialias: bool = False,
    a: float = -0.75,
    rounding: Rounding = Rounding.FLOAT64,
) -> AxisRule:
    """A rule of `n` samples to `o`; the step is n / o unless it is given."""
    return AxisRule(n, o, method, step or (float(n), float(o)), corners, antialias, a, rounding)


def corners(n: int, o: int, method: str, **options: Any) -> AxisRule:
    return rule(n, o, method, step=(n - 1.0, o - 1.0) if o > 1 else (0.0, 1.0), corners=True, **options)


def rows(table: Taps) -> list[dict[int, float]]:
    """Each output as {input: weight}."""
    return [
        {int(f) + k: float(w[k]) for k in range(c)}
        for f, c, w in zip(table.first, table.count, table.weight, strict=True)
    ]


# ------------------------------------------------------------------------------------- written out by hand

A, B, C = -0.09375, 0.59375, 0.5  # Keys' weights half-way between samples, a = -0.75: A B B A; C = A + B

BY_HAND = [
    # half-pixel: outputs lie at -1/4, 1/4, 3/4, 5/4; the first moves onto sample 0, the last repeats sample 1
    ("linear", rule(2, 4, "linear"), [{0: 1.0, 1: 0.0}, {0: 0.75, 1: 0.25}, {0: 0.25, 1: 0.75}, {1: 1.0}]),
    # corners: 0, 1/2, 1, 3/2, 2
    (
        "linear, corners",
        corners(3, 5, "linear"),
        [{0: 1.0, 1: 0.0}, {0: 0.5, 1: 0.5}, {1: 1.0, 2: 0.0}, {1: 0.5, 2: 0.5}, {2: 1.0}],
    ),
    ("linear, corners, to one", corners(4, 1, "linear"), [{0: 1.0, 1: 0.0}]),
    ("linear, of one", rule(1, 3, "linear"), [{0: 1.0}] * 3),
    # half-pixel, half-way everywhere: 1/2, 5/2, 9/2, 13/2
    (
        "cubic",
        rule(8, 4, "cubic"),
        [{0: C, 1: B, 2: A}, {1: A, 2: B, 3: B, 4: A}, {3: A, 4: B, 5: B, 6: A}, {5: A, 6: B, 7: C}],
    ),
    # a = -1/2 has -1/16 and 9/16 half-way
    ("cubic, Catmull and Rom", rule(8, 4, "cubic", a=-0.5), {1: {1: -0.0625, 2: 0.5625, 3: 0.5625, 4: -0.0625}}),
    # corners: every second output is a sample, its neighbours have weight zero
    (
        "cubic, corners",
        corners(3, 5, "cubic"),
        {0: {0: 1.0, 1: 0.0, 2: 0.0}, 1: {0: C, 1: B, 2: A}, 2: {0: 0.0, 1: 1.0, 2: 0.0}, 3: {0: A, 1: B, 2: C}},
    ),
    # [0, 5/3) [5/3, 10/3) [10/3, 5): whole samples only
    ("area", rule(5, 3, "area"), [{0: 1 / 2, 1: 1 / 2}, {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}, {3: 1 / 2, 4: 1 / 2}]),
    ("area, up", rule(2, 3, "area"), [{0: 1.0}, {0: 0.5, 1: 0.5}, {1: 1.0}]),
    # triangles four samples wide about 1/2 and 5/2: weights 1/4 (outside) 3/4 3/4 1/4, cut off and normalised
    (
        "linear, antialias",
        rule(4, 2, "linear", antialias=True),
        [{0: 3 / 7, 1: 3 / 7, 2: 1 / 7}, {1: 1 / 7, 2: 3 / 7, 3: 3 / 7}],
    ),
    # 8 to 2: eight samples wide about 3/2; weights 5/8 7/8 7/8 5/8 3/8 1/8, of which the sum is 7/2
    (
        "linear, antialias, by four",
        rule(8, 2, "linear", antialias=True),
        [
            {0: 5 / 28, 1: 7 / 28, 2: 7 / 28, 3: 5 / 28, 4: 3 / 28, 5: 1 / 28},
            {2: 1 / 28, 3: 3 / 28, 4: 5 / 28, 5: 7 / 28, 6: 7 / 28, 7: 5 / 28},
        ],
    ),
    # floor(i * 2/3) and floor((i + 1/2) * 2/3)
    ("nearest", rule(4, 6, "nearest"), [{0: 1.0}, {0: 1.0}, {1: 1.0}, {2: 1.0}, {2: 1.0}, {3: 1.0}]),
    ("nearest-exact", rule(4, 6, "nearest-exact"), [{0: 1.0}, {1: 1.0}, {1: 1.0}, {2: 1.0}, {3: 1.0}, {3: 1.0}]),
    ("nearest, down", rule(5, 2, "nearest"), [{0: 1.0}, {2: 1.0}]),
    ("nearest-exact, down", rule(5, 2, "nearest-exact"), [{1: 1.0}, {3: 1.0}]),
    # a step of 1 / 1.5: (i * 2/3) of a factor that is not the ratio of the sizes (5 * 1.5 is 7, not 7.5)
    ("nearest, factor", rule(5, 7, "nearest", step=(1.0, 1.5)), [{i: 1.0} for i in (0, 0, 1, 2, 2, 3, 4)]),
    # past the last sample the last sample repeats
    ("nearest, past the end", rule(2, 4, "nearest", step=(1.0, 1.0)), [{0: 1.0}, {1: 1.0}, {1: 1.0}, {1: 1.0}]),
]


@pytest.mark.parametrize(("table", "wanted"), [row[1:] for row in BY_HAND], ids=[row[0] for row in BY_HAND])
def test_by_hand(table: AxisRule, wanted: Any) -> None:
    got = rows(taps(table))
    pairs = wanted.items() if isinstance(wanted, dict) else enumerate(wanted)
    if not isinstance(wanted, dict):
        assert len(got) == len(wanted)
    for place, row in pairs:
        assert got[place].keys() == row.keys(), f"output {place} is made of {list(got[place])}, not of {list(row)}"
        for source, weight in row.items():
            assert math.isclose(got[place][source], weight, rel_tol=1e-15, abs_tol=1e-16), (place, source)


def test_lanczos_by_its_formula() -> None:
    """Half-way, distances are 1/2, 3/2 and 5/2: sinc(x) sinc(x / 3), normalised."""

    def weight(x: float) -> float:
        return 3.0 * math.sin(math.pi * x) * math.sin(math.pi * x / 3.0) / (math.pi * x) ** 2

    total = 2.0 * sum(weight(x) for x in (0.5, 1.5, 2.5))
    wanted = [weight(x) / total for x in (2.5, 1.5, 0.5, 0.5, 1.5, 2.5)]
    table = taps(rule(12, 6, "lanczos"))
    assert int(table.first[2]) == 2
    assert int(table.count[2]) == 6
    np.testing.assert_allclose(table.weight[2], wanted, rtol=0, atol=1e-15)


def test_the_sine_has_the_same_bits_everywhere() -> None:
    """Within three units in the last place of the C library's, and as recorded, which no processor may change."""
    x = np.arange(-3500, 3501) / 1000.0
    got, want = sine_of_pi(x), np.array([math.sin(math.pi * (v - round(v))) * (-1) ** round(v) for v in x])
    assert (np.abs(got - want) <= 4 * np.spacing(np.abs(want))).all()
    assert hashlib.sha256(got.tobytes()).hexdigest()[:16] == "d3c383faebc13213"


def test_linear_weights_of_a_factor() -> None:
    """5 samples by 1.5 are 7; the step is 2/3, not 5/7."""
    table = taps(rule(5, 7, "linear", step=(1.0, 1.5)))
    for i, row in enumerate(rows(table)):
        c = max((i + 0.5) / 1.5 - 0.5, 0.0)
        j = min(int(c), 4)
        if j < 4:
            assert row == pytest.approx({j: 1 - (c - j), j + 1: c - j}, abs=1e-14)
        else:
            assert row == pytest.approx({4: 1.0})


# -------------------------------------------------------------------------------------- merged at the border


def flags(table: Taps) -> tuple[list[int], list[int]]:
    return np.flatnonzero(table.mixed_first).tolist(), np.flatnonzero(table.mixed_last).tolist()


MIXED = [
    # linear lies right of its last sample: 3/4 and 1/4 of the same sample have one sign
    ("linear up", rule(2, 4, "linear"), [], []),
    # linear lies on its last sample: 1 and 0 of it are merged, and 0 times infinity is NaN
    ("linear, corners", corners(2, 4, "linear"), [3], []),
    ("linear that stays", rule(3, 3, "linear", step=(1.0, 1.0)), [0, 1, 2], []),
    # cubic repeats the border under weights of both signs
    ("cubic down", rule(8, 4, "cubic"), [0], [3]),
    ("cubic up", rule(4, 8, "cubic"), [0, 1, 2], [5, 6, 7]),
    ("cubic of one", rule(1, 2, "cubic"), [0, 1], []),
    # the second sample of output 0 merges two zeros: they agree
    ("cubic of two", rule(2, 2, "cubic"), [0], [1]),
    # nothing is merged
    ("nearest", rule(2, 5, "nearest"), [], []),
    ("area", rule(5, 3, "area"), [], []),
    ("cubic, antialias", rule(8, 4, "cubic", antialias=True), [], []),
    ("cubic inside", rule(64, 8, "cubic"), [], []),
]


@pytest.mark.parametrize(("table", "first", "last"), [row[1:] for row in MIXED], ids=[row[0] for row in MIXED])
def test_mixed_signs(table: AxisRule, first: list[int], last: list[int]) -> None:
    assert flags(taps(table)) == (first, last)


# --------------------------------------------------------------------------------------- what plans answer


def test_copies() -> None:
    assert identity(5).copies
    assert rule(5, 5, "nearest", step=(1.0, 1.0)).copies
    assert rule(5, 5, "linear", step=(1.0, 1.0)).copies
    assert not rule(5, 5, "linear", step=(1.0, 1.05)).copies
    assert not rule(5, 5, "cubic", step=(1.0, 1.0)).copies  # its taps of weight zero spread NaN
    assert not rule(5, 4, "nearest", step=(1.0, 1.0)).copies
    assert identity(5).is_identity
    assert not rule(5, 5, "linear", step=(1.0, 1.0)).is_identity  # infinity becomes NaN, as in torch


def test_plans_say_what_they_do() -> None:
    plan = ResizePlan((1, 3), (rule(4, 6, "nearest"), rule(5, 2, "nearest-exact")))
    assert plan.out_shape((7, 4, 3, 5)) == (7, 6, 3, 2)
    assert plan.only_moves
    assert not ResizePlan((0, 1), (rule(4, 6, "nearest"), rule(5, 2, "area"))).only_moves
    assert identity(3).is_identity
    assert not rule(3, 3, "nearest", step=(1.0, 1.05)).is_identity


# ------------------------------------------------------------------------------------------ of every table


@st.composite
def rules(draw: st.DrawFn, rounding: Rounding = Rounding.FLOAT64) -> AxisRule:
    """A rule that some dialect can ask for: sizes, or a factor whose step is not their ratio."""
    method = draw(st.sampled_from(tuple(FILTERS)))
    n = draw(st.integers(1, 200))
    align = method in WITH_CORNERS and draw(st.booleans())
    antialias = method in WEIGHTED and not align and draw(st.booleans())
    factor = draw(st.none() | st.floats(1 / n, 200 / n, exclude_min=True)) if not align and method != "area" else None
    if factor is None:
        o = draw(st.integers(1, 200))
        step = (float(n), float(o))
        if align:
            step = (n - 1.0, o - 1.0) if o > 1 else (0.0, 1.0)
    else:
        o = max(1, int(n * factor))
        step = (1.0, factor)
    if rounding is Rounding.FLOAT32:
        step = (float(np.float32(step[0]) / np.float32(step[1])), 1.0)
    elif rounding is Rounding.FLOAT64_FLOORF:
        step = (step[0] / step[1], 1.0)
    a = draw(st.sampled_from((-0.75, -0.5, -1.0, 0.0))) if method == "cubic" else 0.0
    return AxisRule(n, o, method, step, align, antialias, a, rounding)


def check_shape(r: AxisRule, table: Taps) -> None:
    assert table.first.shape == table.count.shape == (r.out_size,)
    assert table.weight.shape == (r.out_size, table.longest)
    assert table.mixed_first.shape == table.mixed_last.shape == (r.out_size,)
    assert table.first.dtype == table.count.dtype == np.int64
    assert table.weight.dtype == np.float64
    assert table.mixed_first.dtype == table.mixed_last.dtype == np.bool_


def check_order(r: AxisRule, table: Taps) -> None:
    """Runs lie within the input, and neither of their ends ever steps back."""
    end = table.first + table.count
    assert table.count.min() >= 1
    assert table.first.min() >= 0
    assert end.max() <= r.in_size
    assert table.longest >= table.count.max()
    assert (np.diff(table.first) >= 0).all()
    assert (np.diff(end) >= 0).all()


def check_weights(table: Taps, allowed: float) -> None:
    np.testing.assert_allclose(table.weight.sum(axis=1), 1.0, rtol=0, atol=allowed)
    assert (table.weight[np.arange(table.longest) >= table.count[:, None]] == 0.0).all()


def check_read_only(table: Taps) -> None:
    for array in (table.first, table.count, table.weight, table.mixed_first, table.mixed_last):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@deterministic
@given(rules())
def test_tables(r: AxisRule) -> None:
    table = taps(r)
    check_shape(r, table)
    check_order(r, table)
    check_weights(table, 1e-12)
    check_read_only(table)


CUBIC_IN_FLOAT32 = 72 * 2.0**-24
"""How far the four weights of cubic, each a polynomial in float32 as in torch, may miss a sum of one for ``|a| <= 1``.

In units of 2**-24, Horner's roundings make at most 5 of each inner weight. The outer weights at x and 3 - x get
``|a| (x**3 + 2 (5 - x) x**2 + 2 |5 x - x**2 - 8| x)`` each, at most 57 together. The rounded distances add 3.
"""


@deterministic
@given(rules(Rounding.FLOAT32))
def test_tables_in_float32(r: AxisRule) -> None:
    """Other weights are exact (linear), made in float64, or divided by their sum."""
    table = taps(r)
    check_shape(r, table)
    check_order(r, table)
    check_weights(table, CUBIC_IN_FLOAT32 if r.method == "cubic" and not r.antialias else 1e-12)


def test_cubic_in_float32_stays_below_its_bound() -> None:
    """Of all fractions in 2**18 steps, the worst is within the bound, and not far below it."""
    for a in (-1.0, -0.75, -0.5):
        r = rule(4, 2**18, "cubic", step=(2.0**-18, 1.0), a=a, rounding=Rounding.FLOAT32)
        worst = np.abs(taps(r).weight.sum(axis=1) - 1.0).max()
        assert CUBIC_IN_FLOAT32 / 12 < worst < CUBIC_IN_FLOAT32


@deterministic
@given(rules(Rounding.FLOAT64_FLOORF))
def test_tables_floored_by_way_of_float32(r: AxisRule) -> None:
    table = taps(r)
    check_shape(r, table)
    check_order(r, table)
    check_weights(table, 1e-12)


@deterministic
@given(rules().filter(lambda r: not r.corners and not r.antialias and r.method != "nearest"), st.data())
def test_half_pixel_tables_are_symmetric(r: AxisRule, data: st.DataObject) -> None:
    """Output i from the left is output i from the right, where sizes alone make the step."""
    if r.step[1] != r.out_size:
        r = rule(r.in_size, data.draw(st.integers(1, 200)), r.method, a=r.cubic_coeff)
    if r.method == "nearest-exact":  # on the edge between two samples it takes the right one
        position = (2 * np.arange(r.out_size) + 1) * r.in_size
        if (position % (2 * r.out_size) == 0).any():
            return
    dense = np.zeros((r.out_size, r.in_size))
    for i, row in enumerate(rows(taps(r))):
        for j, weight in row.items():
            dense[i, j] = weight
    np.testing.assert_allclose(dense, dense[::-1, ::-1], rtol=0, atol=1e-11)


@deterministic
@given(st.sampled_from(("nearest", "nearest-exact")), st.integers(1, 200), st.integers(1, 200))
def test_nearest_is_the_formula_in_integers(method: str, n: int, o: int) -> None:
    half = method == "nearest-exact"
    wanted = [(2 * i + half) * n // (2 * o) for i in range(o)]
    assert taps(rule(n, o, method)).first.tolist() == wanted


@deterministic
@given(st.integers(1, 200), st.integers(1, 200))
def test_area_covers_every_sample(n: int, o: int) -> None:
    table = taps(rule(n, o, "area"))
    covered = {j for row in rows(table) for j in row}
    assert covered == set(range(n))
    for i, row in enumerate(rows(table)):
        assert (min(row), max(row)) == (i * n // o, ((i + 1) * n - 1) // o)
        assert set(row.values()) == {1.0 / len(row)}


def assert_same(one: Taps, two: Taps) -> None:
    """One table, except for zeros behind the counts."""
    np.testing.assert_array_equal(one.first, two.first)
    np.testing.assert_array_equal(one.count, two.count)
    np.testing.assert_array_equal(one.mixed_first, two.mixed_first)
    np.testing.assert_array_equal(one.mixed_last, two.mixed_last)
    assert one.weight.shape[0] == two.weight.shape[0] == len(one.first)
    width = min(one.longest, two.longest)
    assert width >= one.count.max()
    # NumPy adds a row in another order where the table has another shape
    np.testing.assert_allclose(one.weight[:, :width], two.weight[:, :width], rtol=1e-13, atol=1e-16)
    assert not one.weight[:, width:].any()
    assert not two.weight[:, width:].any()


@deterministic
@given(rules(), st.data())
def test_a_part_is_a_part_of_the_whole(r: AxisRule, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, r.out_size - 1))
    end = data.draw(st.integers(begin + 1, r.out_size))
    part = taps_between(r, begin, end)
    assert_same(part, taps(r).rows(begin, end))
    assert_same(part, expanded(r, begin, end))


def expanded(r: AxisRule, begin: int, end: int) -> Taps:
    """The table of a few outputs alone, as it is made for axes too long to keep whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("upsample.plans.taps._KEPT", 0)
        return taps_between(r, begin, end)


@pytest.mark.parametrize("method", FILTERS)
def test_parts_of_a_long_axis(method: str) -> None:
    r = rule(100_000, 150_000, method)
    for begin, end in ((0, 3), (70_000, 70_100), (149_990, 150_000)):
        part = taps_between(r, begin, end)
        check_order(r, part)
        check_weights(part, 1e-12)
        assert_same(part, taps(r).rows(begin, end))
        check_read_only(part)


def test_tables_are_cached() -> None:
    assert taps(rule(7, 9, "cubic")) is taps(rule(7, 9, "cubic"))
    assert fixed_point(rule(7, 9, "cubic")) is fixed_point(rule(7, 9, "cubic"))


# ------------------------------------------------------------------------------------------- fixed point


def precision(table: Taps) -> int:
    """The bits after the point that torch's uint8 arithmetic keeps: most at which the largest weight fits int16."""
    p = 0
    while p < 22 and int(0.5 + float(table.weight.max()) * 2.0 ** (p + 1)) < 2**15:
        p += 1
    return p


@deterministic
@given(rules())
@example(rule(4, 6, "nearest"))
def test_fixed_point(r: AxisRule) -> None:
    exact, rounded = taps(r), fixed_point(r).table
    p = precision(exact)
    scaled = rounded.weight * 2.0**p
    assert (scaled == np.rint(scaled)).all()
    assert np.abs(scaled - exact.weight * 2.0**p).max() <= 0.5
    assert np.abs(scaled).max() < 2**15
    assert (rounded.first == exact.first).all()
    assert (rounded.count == exact.count).all()
    with pytest.raises(ValueError, match="read-only"):
        rounded.weight[0] = 0.0


@deterministic
@given(rules())
def test_what_fits_float32_is_exact_in_it(r: AxisRule) -> None:
    """Sums of 255 times the weights, and the half that rounds, have at most 24 bits."""
    table = fixed_point(r)
    scaled = np.abs(table.table.weight) * 2.0 ** precision(taps(r))
    most = 255 * int(scaled.sum(axis=1).max()) + 2 ** precision(taps(r)) // 2
    assert table.fits_float32 == (most < 2**24)


def test_fixed_point_by_hand() -> None:
    # 1 in 15 bits is 2**14 / 2**14; halves are 2**14 / 2**15
    assert fixed_point(rule(2, 2, "area")).table.weight.tolist() == [[1.0], [1.0]]
    # the largest of 1/3 and 1/2 is 1/2: 15 bits after the point would make it 2**14, 16 would make it 2**15
    third = fixed_point(rule(5, 3, "area")).table.weight[1]
    assert third.tolist() == [round(2**15 / 3) / 2**15] * 3
