"""Taps by formula: results have the bits of those that tables make, for every rounding, part and place of an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample.caches import Cache
from upsample.ops import call_cache
from upsample.plans.resize import AxisRule, Rounding
from upsample.plans.taps import taps_between

needs_numba()

from upsample.engines.cpu.resize import choose, driver, formulas, taps  # noqa: E402
from upsample.engines.cpu.resize.float_formula import rows_by_formula  # noqa: E402

TRIALS = 240


def by(length: int, call: Callable[[], np.ndarray], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Make a call whose rows of at least `length` outputs go by formula."""
    with monkeypatch.context() as patch:
        patch.setattr(taps, "LONG", length)
        patch.setattr(choose, "LONG", length)
        patch.setattr(driver, "_works", Cache())
        patch.setattr(call_cache, "_known", Cache())
        return call()


def drawn(rng: np.random.Generator, trial: int) -> Callable[[], np.ndarray]:
    """Draw a call along one axis, some with NaN or infinity."""
    dtype, mode = ("float32", "float64", "complex64")[trial % 3], ("linear", "cubic")[trial // 2 % 2]
    n, o = (int(rng.integers(1, most)) for most in ((60, 120) if trial % 2 else (3000, 5000)))
    o = {0: 2 * n, 1: 4 * n, 2: max(n // 2, 1)}.get(trial % 9, o)
    x = rng.normal(size=(int(rng.integers(1, 4)), n, int(rng.choice([1, 1, 2, 3, 7])))).astype(dtype)
    if trial % 4 == 0:
        x[0, rng.integers(n)] = rng.choice([np.nan, np.inf, -np.inf])
    if trial % 5 < 2:
        return lambda: upsample.resize(x, o, axes=1, mode=mode, align_corners=trial % 5 == 1, engine="cpu")
    x = x[:, None, :, 0] if mode == "linear" else x[:, None, None, :, 0]
    name, lead = ("linear", ()) if mode == "linear" else ("bicubic", (1,))
    if trial % 5 == 2:
        corners = trial % 2 == 0
        return lambda: upsample.interpolate(x, size=(*lead, o), mode=name, align_corners=corners, engine="cpu")
    scale = (*map(float, lead), max(float(rng.uniform(0.3, 3.3)), 1.0 / n))
    return lambda: upsample.interpolate(x, scale_factor=scale, mode=name, engine="cpu")


@pytest.mark.parametrize("part", range(4))
def test_formulas_have_the_bits_of_tables(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(part)
    for trial in range(part, TRIALS, 4):
        call = drawn(rng, trial)
        wanted, got = by(1 << 60, call, monkeypatch), by(1, call, monkeypatch)
        np.testing.assert_array_equal(got, wanted, err_msg=f"trial {trial}")


def some_rule(rng: np.random.Generator, trial: int) -> AxisRule:
    n, o = (int(rng.integers(1, 200)) for _ in range(2))
    o = {0: 2 * n, 1: 4 * n, 2: max(n // 2, 1)}.get(trial % 5, o)
    rounding, method = tuple(Rounding)[trial % 3], ("linear", "cubic")[trial // 3 % 2]
    corners = trial % 7 == 0
    sizes = (n - 1, max(o - 1, 1)) if corners else (n, o)
    if rounding is Rounding.FLOAT64:
        step = (float(sizes[0]), float(sizes[1]))
    else:
        step = (float(np.float32(sizes[0] / sizes[1])), 1.0)
    coefficient = (-0.75, -0.5, 0.0)[trial % 11 % 3]
    return AxisRule(n, o, method, step, corners, False, coefficient, rounding, skips_zeros=trial % 13 < 6)


def rules_with_formula(rng: np.random.Generator, trials: int) -> Iterator[tuple[int, AxisRule]]:
    for trial in range(trials):
        rule = some_rule(rng, trial)
        if formulas.has_formula(rule):
            yield trial, rule


def test_tables_by_formula_are_those_of_the_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, compared = np.random.default_rng(0), 0
    for trial, rule in rules_with_formula(rng, 2400):
        dtype = ("float32", "float64")[trial % 2]
        made = taps.listed.__wrapped__(rule, dtype)
        again = {key: taps.steady.__wrapped__(rule, dtype, *key) for key in ((2, 1), (1, 2), (1, 4))}
        with monkeypatch.context() as patch:
            patch.setattr(taps, "has_formula", lambda rule: False)
            wanted = taps.listed.__wrapped__(rule, dtype)
            for key, steady in again.items():
                other = taps.steady.__wrapped__(rule, dtype, *key)
                if steady is not None and other is not None:
                    assert steady.start == other.start
                    assert other.low <= steady.low < steady.high <= other.high
                    assert steady.weight.tobytes() == other.weight.tobytes()
                    compared += 1
        np.testing.assert_array_equal(made.count, wanted.count)
        used = np.arange(made.index.shape[1]) < made.count[:, None]
        for name in ("index", "weight"):
            one, two = getattr(made, name), getattr(wanted, name)
            narrow = min(one.shape[1], two.shape[1])
            assert not used[:, narrow:].any()
            one, two = (a[:, :narrow][used[:, :narrow]] for a in (one, two))
            assert one.tobytes() == two.tobytes(), (trial, rule)
    assert compared > 100


def test_spans_are_those_of_the_tables() -> None:
    """A span that is too wide makes strips smaller, and so slower."""
    rng, exact = np.random.default_rng(1), 0
    for _, rule in rules_with_formula(rng, 2000):
        begin = int(rng.integers(0, rule.out_size))
        end = int(rng.integers(begin + 1, rule.out_size + 1))
        (low, high), table = formulas.span_of(rule, begin, end), taps_between(rule, begin, end).span
        if rule.skips_zeros:
            assert low <= table[0]
            assert table[1] <= high
        else:
            assert (low, high) == table, rule
            exact += 1
    assert exact > 500


def test_runs_have_no_input_outside_of_the_span() -> None:
    """A strip has the inputs of its span only, and looks for NaN there only."""
    rng, compared = np.random.default_rng(2), 0
    for _, rule in rules_with_formula(rng, 2000):
        begin = int(rng.integers(0, rule.out_size))
        end = int(rng.integers(begin + 1, min(begin + 6, rule.out_size) + 1))
        runs, (low, high) = taps.runs.__wrapped__(rule, "float64", 1, begin, end), taps.reach(rule, begin, end)
        assert low <= runs.first.min(), rule
        assert runs.first.max() + len(runs.weight) <= high, rule
        compared += 1
    assert compared > 1000


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("factor", [2, 4, 0.5, 1.7])
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_far_along_a_long_axis(method: str, factor: float, rounding: Rounding) -> None:
    """Around the outputs from which float32 no longer represents the coordinates."""
    n = 1 << 24
    o = int(n * factor)
    step = (float(n), float(o)) if rounding is Rounding.FLOAT64 else (float(np.float32(1 / factor)), 1.0)
    rule = AxisRule(n, o, method, step, False, False, -0.75, rounding)
    numbers, rng = formulas.numbers(rule), np.random.default_rng(0)
    for place in (0, int(2**20 * factor), int(2**21 * factor), int(2**22 * factor), int(2**23 * factor), o - 3000):
        begin, end = max(place - 1500, 0), min(place + 2500, o)
        table = taps_between(rule, begin, end)
        low, high = formulas.span_of(rule, begin, end)
        assert low <= table.span[0] < table.span[1] <= high
        x = rng.normal(size=high - low).astype("float32")
        index = np.minimum(table.first[:, None] - low + np.arange(table.longest), len(x) - 1)
        wanted = (x[index].astype("float64") * table.weight).sum(axis=1)
        got = np.full(end - begin, np.nan, dtype="float32")
        frozen = x.view()
        frozen.flags.writeable = False
        steps = np.asarray([len(x), 0, 1, len(got), 0, 1, 1, 1])
        rows_by_formula(frozen, -low, got, 0, 1, steps, numbers, begin, end)
        np.testing.assert_allclose(got, wanted, rtol=3e-7, atol=1e-6)


def test_a_long_row_needs_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_works", Cache())
    x = np.random.default_rng(0).normal(size=(1, 1, 300_000)).astype("float32")
    upsample.interpolate(x, scale_factor=2.0, mode="linear", engine="cpu")
    upsample.interpolate(x, scale_factor=1.7, mode="nearest", engine="cpu")
    for work in driver._works.values():
        assert sum(a.nbytes for a in held(work)) < 20_000


def held(value: object) -> list[np.ndarray]:
    """Return the arrays of an object."""
    from upsample import caches

    buffers: dict[int, np.ndarray] = {}
    caches._measure(value, buffers)
    return list(buffers.values())
