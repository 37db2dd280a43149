"""Compiled tables of antialiased axes, means, gradients and bytes have the bits of those that NumPy makes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.taps import fixed_point, taps

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.resize import driver
from upsample.engines.cpu.resize import taps as cpu_taps
from upsample.engines.cpu.resize.run_tables import can_make, integers_of, paired, run_table


def drawn_rule(rng: random.Random) -> AxisRule:
    most = 900 if rng.random() < 0.1 else 60
    n, o = rng.randint(1, most), rng.randint(1, most)
    method, ratio = rng.choice(("linear", "cubic", "area")), n / o
    step = rng.choice(
        ((float(n), float(o)), (ratio, 1.0), (float(np.float32(ratio)), 1.0), (ratio * rng.random(), 1.0))
    )
    rule = AxisRule(
        n,
        o,
        method,
        (float(n), float(o)) if method == "area" else step,
        False,
        method != "area" and rng.random() < 0.8,
        rng.choice((-0.5, -0.75)),
        rng.choice(list(Rounding)),
        bits=rng.choice((0, 0, 11)),
        places=rng.choice((None, (0, 6), (6, 0), (0, 0))),
        skips_zeros=rng.random() < 0.5,
    )
    return rule.transpose() if rng.random() < 0.5 else rule


def same_within(a: np.ndarray, b: np.ndarray, count: np.ndarray) -> bool:
    """Compare the bytes of the weights that count, and hold that the others are zero."""
    width = min(a.shape[1], b.shape[1])
    inside = np.arange(width) < count[:, None]
    rest = (np.where(inside, 0, x[:, :width]).any() or x[:, width:].any() for x in (a, b))
    return a[:, :width][inside].tobytes() == b[:, :width][inside].tobytes() and not any(rest)


def test_tables_have_the_bits_of_the_plans() -> None:
    rng, made = random.Random(3), 0
    for _ in range(1500):
        rule = drawn_rule(rng)
        if not can_make(rule):
            continue
        table, wanted = run_table(rule), taps(rule)
        assert table is not None
        used = wanted.count > 0
        np.testing.assert_array_equal(table.count, wanted.count, err_msg=str(rule))
        np.testing.assert_array_equal(table.first[used], wanted.first[used], err_msg=str(rule))
        assert same_within(table.weight, wanted.weight, wanted.count), rule
        made += 1
        if rule.transposed:  # no op on bytes has a gradient
            continue
        integers, fixed = integers_of(rule, table), fixed_point(rule)
        assert (integers.shift, integers.sums) == (fixed.shift, fixed.sums), rule
        whole = np.rint(fixed.table.weight * 2.0**fixed.shift)
        assert same_within(integers.weight + 0.0, whole + 0.0, wanted.count), rule
    assert made > 1000


def test_inputs_past_the_end_are_never_read() -> None:
    """A step that does not suit the sizes may lie: the last outputs would be beyond the last input."""
    rule = AxisRule(5, 9, "cubic", (40.0, 1.0), False, True, -0.5, Rounding.FLOAT64)
    for each in (rule, rule.transpose()):
        table = run_table(each)
        assert table is not None
        assert (table.first >= 0).all()
        assert (table.first + table.count <= each.in_size).all()


@pytest.mark.parametrize("low_bits", [None, 11])
def test_pairs(low_bits: int | None) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        size, width = rng.integers(1, 30), rng.integers(1, 9)
        count = rng.integers(1, width + 1, size).astype(np.int32)
        index = rng.integers(0, 99, (size, width)).astype(np.int32)
        most = 2**15 if low_bits is None else 2**23
        weight = rng.integers(-most, most, (size, width)).astype(np.int32)
        pairs, places, packed = paired((count, index, weight), low_bits)
        np.testing.assert_array_equal(pairs, (count + 1) // 2)
        np.testing.assert_array_equal(places[:, :width], index)
        if width % 2:
            np.testing.assert_array_equal(places[:, width], index[np.arange(size), count - 1])
        shares = [((part << 16) >> 16, part >> 16) for part in packed]  # the halves, with their signs
        first, second = shares[0]
        if low_bits is not None:
            first, second = ((a << low_bits) + b for a, b in zip(shares[0], shares[1], strict=True))
        both = np.stack([first, second], axis=2).reshape(size, -1)
        np.testing.assert_array_equal(both[:, :width], weight)
        assert not both[:, width:].any()


def test_a_repeated_call_without_caches_makes_each_table_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips share the tables of their axes, also if a table is too large for the caches."""
    made: list[AxisRule] = []

    def counted(rule: AxisRule) -> object:
        made.append(rule)
        return run_table(rule)

    monkeypatch.setattr(cpu_taps, "run_table", counted)
    monkeypatch.setenv("UPSAMPLE_CACHE_MIB", "0")
    rules = tuple(
        AxisRule(n, n // 2, "area", (float(n), n / 2.0), False, False, 0.0, Rounding.FLOAT64) for n in (2048, 2052)
    )
    x = np.ones((2048, 2052), np.float32)
    made_of_it = driver.run(np, ResizePlan((0, 1), rules), x, None)
    assert made_of_it.shape == (1024, 1026)
    assert sorted(made, key=lambda rule: rule.in_size) == list(rules)
