"""Pooling, unpooling and their gradients on a part of a plane: the bytes of that part of the whole result."""

from __future__ import annotations

import itertools
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from drawn import indices_of, pools, repeatable, unpools
from dtypes import dtype_of
from hypothesis import assume, given
from hypothesis import strategies as st

from upsample.engines import dispatch
from upsample.plans.window import PlanePart, PoolPlan, SpanAxis, UnpoolPlan, WindowAxis

_NUMBA = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed: no compiled engine")
each_engine = pytest.mark.parametrize("engine", [pytest.param("cpu", marks=_NUMBA), "portable"])
NAMES = ("unpool", "indices")
DTYPES = st.sampled_from(["float32", "float64", "float16", "uint8", "int64"])
Box = tuple[tuple[int, int], ...]


def run(task: str, plan: Any, engine: str, x: np.ndarray, *rest: Any) -> Any:
    return dispatch.choose(task, task, plan, x, engine)(np, plan, x, *rest)


def cut(x: np.ndarray, box: Box) -> np.ndarray:
    return np.ascontiguousarray(x[(..., *(slice(*r) for r in box))])


def boxes(shape: tuple[int, ...], rng: np.random.Generator) -> list[Box]:
    """Some boxes of a few cuts along each axis."""
    edges = [sorted({0, n, *rng.integers(0, n + 1, 2).tolist()}) for n in shape]
    every = list(itertools.product(*(itertools.pairwise(e) for e in edges)))
    return [every[i] for i in rng.permutation(len(every))[:5]]


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = dtype_of(dtype)
    if kind.kind in "iub":
        return rng.integers(0, 4, shape).astype(kind)
    odd = np.asarray([np.nan, -np.inf, np.inf, -0.0, 0.0, 1.0, 1.0, 2.0, -1.5])
    return odd[rng.integers(0, len(odd), shape)].astype(kind)


def part_of(plan: Any, cells: Box, positions: Box, lead: tuple[int, ...]) -> Any:
    axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
    plane = tuple(axis.large for axis in plan.axes)
    within = PlanePart(plane, tuple(p[0] for p in positions), (*lead, *(c[0] for c in cells)))
    return replace(plan, axes=axes, within=within)


@each_engine
@repeatable(150)
@given(plan=pools(axes=3, longest=24), dtype=DTYPES, seed=st.integers(0, 2**16), indexed=st.booleans())
def test_pooling(engine: str, plan: PoolPlan, dtype: str, seed: int, indexed: bool) -> None:
    rng = np.random.default_rng(seed)
    x = values(rng, (2, *(axis.large for axis in plan.axes)), dtype)
    whole = run("pool", plan, engine, x, (None, None), indexed)
    for cells in boxes(plan.small_shape, rng):
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        part = part_of(plan, cells, positions, (0,))
        made = run("pool", part, engine, cut(x, positions), (None, None), indexed)
        assert made[0].tobytes() == cut(whole[0], cells).tobytes(), (cells, positions)
        if indexed:
            assert made[1].tobytes() == cut(whole[1], cells).tobytes(), (cells, positions)


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed: no compiled engine")
@pytest.mark.parametrize("large", [(300, 150), (40, 33), (2000, 9), (9, 2000)])
@pytest.mark.parametrize("kernel", [2, 3, 9])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pooling_by_every_kernel(large: tuple[int, int], kernel: int, dtype: str) -> None:
    rng = np.random.default_rng(kernel)
    axes = tuple(WindowAxis(n, (n - kernel) // 2 + 1, kernel, 2, 0, 1) for n in large)
    plan, x = PoolPlan(axes, False, False), values(rng, (2, *large), dtype)
    whole = run("pool", plan, "portable", x, (None, None), True)
    for cells in boxes(plan.small_shape, rng):
        positions = tuple(axis.needs(*c) for axis, c in zip(axes, cells, strict=True))
        made = run("pool", part_of(plan, cells, positions, (0,)), "cpu", cut(x, positions), (None, None), True)
        assert made[1].tobytes() == cut(whole[1], cells).tobytes()


def _cells(plan: Any, positions: Box) -> Box:
    return tuple(axis.covering_cells(*p) for axis, p in zip(plan.axes, positions, strict=True))


@each_engine
@repeatable(150)
@given(plan=unpools(axes=3), dtype=DTYPES, seed=st.integers(0, 2**16))
def test_unpooling(engine: str, plan: UnpoolPlan, dtype: str, seed: int) -> None:
    assume(plan.local_indices or all(axis.every_window_has_an_element() for axis in plan.windows))
    rng = np.random.default_rng(seed)
    where = indices_of("own" if plan.check_indices else "legal", plan, rng, 2)
    if not plan.check_indices:
        where = np.where(rng.random(where.shape) < 0.5, where, indices_of("own", plan, rng, 2))
    if plan.duplicates == "error":
        plan = replace(plan, duplicates="last")
    x = values(rng, where.shape, dtype)
    whole = run("unpool", plan, engine, x, where, None, NAMES)
    for positions in boxes(plan.large_shape, rng):
        cells = _cells(plan, positions)
        if any(b == e for b, e in cells):
            assert not cut(whole, positions).view(np.uint8).any()
            continue
        part = part_of(plan, cells, positions, (0,))
        made = run("unpool", part, engine, cut(x, cells), cut(where, cells), None, NAMES)
        assert made.tobytes() == cut(whole, positions).tobytes(), (cells, positions)


@each_engine
@repeatable(150)
@given(plan=unpools(axes=3), dtype=DTYPES, seed=st.integers(0, 2**16))
def test_gradient_of_unpooling(engine: str, plan: UnpoolPlan, dtype: str, seed: int) -> None:
    assume(plan.local_indices or all(axis.every_window_has_an_element() for axis in plan.windows))
    rng = np.random.default_rng(seed)
    where = indices_of("own", plan, rng, 2)
    y = values(rng, (2, *plan.large_shape), dtype)
    whole = run("unpool.backward", plan, engine, y, where)
    for cells in boxes(plan.small_shape, rng):
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        meeting = _cells(plan, positions)
        wider = tuple((min(c[0], m[0]), max(c[1], m[1])) for c, m in zip(cells, meeting, strict=True))
        part = part_of(plan, wider, positions, (0,))
        made = run("unpool.backward", part, engine, cut(y, positions), cut(where, wider))
        inner = tuple((c[0] - w[0], c[1] - w[0]) for c, w in zip(cells, wider, strict=True))
        assert cut(made, inner).tobytes() == cut(whole, cells).tobytes(), (cells, wider, positions)


@each_engine
@repeatable(100)
@given(large=st.integers(1, 40), small=st.integers(1, 40), seed=st.integers(0, 2**16))
def test_gradient_of_adaptive_pooling(engine: str, large: int, small: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = PoolPlan((SpanAxis(large, small), SpanAxis(small, large)), False, False)
    x = values(rng, (2, large, small), "float32")
    _, where = run("pool", plan, engine, x, (None, None), True)
    grad, back = rng.standard_normal(where.shape).astype("float32"), plan.transpose()
    whole = run("unpool", back, engine, grad, where, None, NAMES)
    for positions in boxes(back.large_shape, rng):
        cells = _cells(back, positions)
        part = part_of(back, cells, positions, (0,))
        made = run("unpool", part, engine, cut(grad, cells), cut(where, cells), None, NAMES)
        assert made.tobytes() == cut(whole, positions).tobytes()


# -------------------------------------------------------------------------------------------------- errors


PLAN = UnpoolPlan((WindowAxis(8, 4, 2, 2, 0, 1),) * 2, False, "last", True, True)


def failing(engine: str, plan: UnpoolPlan, changed: dict[tuple[int, int, int], int]) -> Exception:
    where = np.arange(4)[:, None] * 16 + np.arange(4) * 2
    where = np.stack([where, where]) * (not plan.local_indices)
    for place, value in changed.items():
        where[place] = value
    positions = ((4, 8), (2, 8))
    cells = _cells(plan, positions)
    part = part_of(plan, cells, positions, (30,))
    with pytest.raises((IndexError, ValueError)) as caught:
        run("unpool", part, engine, np.ones((2, 2, 3)), cut(where, cells), None, NAMES)
    return caught.value


@each_engine
def test_errors_name_the_place_in_the_whole_array(engine: str) -> None:
    error = failing(engine, PLAN, {(1, 2, 3): 64, (1, 3, 3): -9})
    assert isinstance(error, IndexError)
    assert str(error).startswith("unpool: indices[31, 2, 3]=64, but the output plane (8, 8) has indices 0 to 63;")
    error = failing(engine, PLAN, {(0, 3, 1): 1})
    assert isinstance(error, ValueError)
    assert str(error).startswith("unpool: indices[30, 3, 1]=1, but it lies outside of its own window")
    overlapping = replace(PLAN, axes=(WindowAxis(8, 4, 3, 2, 1, 1),) * 2, duplicates="error")
    error = failing(engine, overlapping, {(1, 2, 2): 37, (1, 2, 3): 37})
    assert isinstance(error, ValueError)
    assert str(error).startswith("unpool: indices[31, 2, 3]=37, but an earlier cell of the same plane names")
    error = failing(engine, replace(PLAN, local_indices=True), {(0, 2, 1): 4})
    assert isinstance(error, IndexError)
    assert str(error).startswith("unpool: indices[30, 2, 1]=4, but the window (2, 2) has indices -4 to 3;")
