"""Long tables are made in pieces: the same numbers, and no piece is long."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from methods import Method, every_method

from upsample.engines.cpu.resize.taps import listed, pairs, runs, steady
from upsample.plans import long_tables, taps
from upsample.plans.long_tables import in_pieces
from upsample.plans.resize import AxisRule, Rounding
from upsample.plans.window import SpanAxis, WindowAxis

SIZES = [(1, 9), (9, 1), (5, 13), (16, 32), (40, 41), (3, 300), (300, 3), (301, 87)]


@pytest.mark.parametrize("step", [1, 2, 3, 9, 10])
def test_pieces_make_the_whole(step: int) -> None:
    """Rows become wider and narrower again."""
    counts = np.array([1, 2, 1, 4, 4, 3, 1, 2, 5, 1])
    asked: list[int] = []

    def make(begin: int, end: int) -> tuple[np.ndarray, ...]:
        asked.append(end - begin)
        count = counts[begin:end]
        place = np.arange(count.max())
        return count, np.where(place < count[:, None], place + 1.0, 0.0)

    wanted = make(2, 10)
    asked.clear()
    for one, other in zip(in_pieces(make, 2, 10, step), wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert sum(asked) == 8
    assert max(asked) <= step


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize(("n", "o"), SIZES)
@every_method
def test_tables_of_taps(method: Method, n: int, o: int, rounding: Rounding, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits, turned round or not, in weights and in what sums are made of."""
    step = (float(n - 1), float(o - 1)) if method.corners and o > 1 else (float(n), float(o))
    if rounding is not Rounding.FLOAT64:
        step = (float(np.float32(step[0] / step[1])), 1.0)
    forward = AxisRule(n, o, method.mode, step, method.corners, method.antialias, -0.75, rounding)
    for rule in (forward, forward.transpose()):
        wanted = taps.expanded(rule, 0, rule.out_size)
        sums, names = taps.scaled(rule, "float32")[1], listed.__wrapped__(rule, "float32")
        for size in (1, 7, 40):
            with monkeypatch.context() as patch:
                patch.setattr(long_tables, "PIECE", size)
                made = taps.expanded(rule, 0, rule.out_size)
                again, named = taps.scaled(rule, "float32")[1], listed.__wrapped__(rule, "float32")
            for one, other in zip(made.arrays, wanted.arrays, strict=True):
                assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
                assert not one.flags.writeable
            assert again.tobytes() == sums.tobytes()
            for field in ("count", "index", "weight"):
                np.testing.assert_array_equal(getattr(named, field), getattr(names, field), strict=True)


def _arrays(table: object) -> list[tuple[object, ...]]:
    """What a table is, for a comparison."""
    if table is None:
        return []
    fields = [getattr(table, field.name) for field in dataclasses.fields(table)]
    fields = [f for field in fields for f in (field if isinstance(field, tuple) else (field,))]
    return [(f.dtype, f.shape, f.tobytes()) if isinstance(f, np.ndarray) else (f,) for f in fields]


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos"])
@pytest.mark.parametrize(("n", "o"), [(40, 80), (80, 20), (41, 97), (300, 7)])
def test_tables_of_the_compiled_engine(n: int, o: int, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = AxisRule(n, o, method, (float(n), float(o)), False, n > 200, -0.75, Rounding.FLOAT64)
    makes = [
        lambda: pairs.__wrapped__(rule),
        lambda: runs.__wrapped__(rule, "float32", 3, 2, o),
        lambda: runs.__wrapped__(rule, "int32", 1, 0, o),
        lambda: steady.__wrapped__(rule, "float32", *((2, 1) if o > n else (1, n // o))),
        lambda: taps.fixed_point.__wrapped__(rule),
    ]
    wanted = [_arrays(make()) for make in makes[:-1]]
    fixed = makes[-1]()
    assert all(wanted[:3])
    for size in (1, 7, 40):
        with monkeypatch.context() as patch:
            patch.setattr(long_tables, "PIECE", size)
            assert [_arrays(make()) for make in makes[:-1]] == wanted
            again = makes[-1]()
        assert again.table.weight.tobytes() == fixed.table.weight.tobytes()
        assert (again.shift, again.fits_float32, again.sums) == (fixed.shift, fixed.fits_float32, fixed.sums)


@pytest.mark.parametrize("large", range(1, 30))
def test_spans(large: int) -> None:
    for small in range(1, 40):
        axis = SpanAxis(large, small)
        assert axis.longest == axis.count().max()
        parts = [axis.spans(begin, min(begin + 7, small)) for begin in range(0, small, 7)]
        for whole, some in zip((axis.first(), axis.count()), zip(*parts, strict=True), strict=True):
            assert np.concatenate(some).tolist() == whole.tolist()


def test_windows_of_some_cells() -> None:
    axis = WindowAxis(100, 31, 5, 3, 2, 2)
    some = [axis.cells(begin, min(begin + 7, 31)) for begin in range(0, 31, 7)]
    for tap in range(5):
        assert np.concatenate([part.positions(tap) for part in some]).tolist() == axis.positions(tap).tolist()
    assert np.concatenate([part.first_inside() for part in some]).tolist() == axis.first_inside().tolist()
