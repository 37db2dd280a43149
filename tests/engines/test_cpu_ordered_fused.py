"""The fused kernel of ordered sums against the loop that filters one axis at a time: bit for bit, NaN included."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample import opencv
from upsample.caches import Cache

needs_numba()
driver = import_module("upsample.engines.cpu.resize.driver")
fused = import_module("upsample.engines.cpu.resize.ordered_fused")
call_cache = import_module("upsample.ops.call_cache")

DTYPES = ["uint8", "int16", "uint16", "float32", "float64"]
MODES = [opencv.INTER_LINEAR, opencv.INTER_CUBIC, opencv.INTER_AREA, opencv.INTER_LANCZOS4]
SHAPES = [
    ((9, 70), (200, 33)),
    ((40, 33, 3), (20, 90)),
    ((41, 90, 4), (29, 20)),
    ((31, 200), (61, 20)),
    ((30, 200, 2), (61, 20)),
    ((20, 150, 6), (40, 14)),
    ((3, 3), (50, 50)),
    ((50, 50, 3), (3, 3)),
    ((2, 30, 41, 1), (55, 17)),
]


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Earlier calls do not decide; later ones do not see what a test changes."""
    monkeypatch.setattr(call_cache, "_known", Cache())
    fused.plan_ordered.cache_clear()
    yield
    fused.plan_ordered.cache_clear()


def image(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(shape)
    if "int" in dtype:
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape, dtype)
    x = rng.normal(0, 100, shape).astype(dtype)
    for value in (np.inf, -np.inf, np.nan, -0.0):
        x[rng.random(shape) < 0.01] = value
    return x


def bits(x: np.ndarray) -> np.ndarray:
    """Return the bits of an array, of each NaN the same ones."""
    return x if "int" in x.dtype.name else np.where(np.isnan(x), np.nan, x).view(f"u{x.itemsize}")


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_equals_one_axis_at_a_time(mode: int, dtype: str, vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not vectors:
        monkeypatch.setattr(fused, "PERMUTES", False)
    found: list[Any] = []

    def noted(*given: Any) -> Any:
        found.append(fused.plan_ordered(*given))
        return found[-1]

    for shape, size in SHAPES:
        x = image(shape, dtype)
        call = {"dsize": size, "interpolation": mode, "engine": "cpu"}
        with monkeypatch.context() as patch:
            patch.setattr(driver, "plan_ordered", noted)
            result = opencv.resize(x, **call)
        with monkeypatch.context() as patch:
            patch.setattr(driver, "plan_ordered", lambda *given: None)
            patch.setattr(call_cache, "_known", Cache())
            expected = opencv.resize(x, **call)
        np.testing.assert_array_equal(bits(result), bits(expected))
    assert None not in found
    assert bool(found) == (dtype != "uint8" or mode == opencv.INTER_AREA)


@pytest.mark.parametrize("mode", MODES)
def test_rows_in_place_are_read_no_further_than_their_end(mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fused.PERMUTES:
        pytest.skip("no permutations on this processor")
    made: list[tuple[int, Any]] = []
    vectors = fused._vectors
    monkeypatch.setattr(fused, "_vectors", lambda *given: made.append((given[2], vectors(*given))) or made[-1][1])
    for shape, size in SHAPES:
        opencv.resize(image(shape, "float32"), size, interpolation=mode, engine="cpu")
    in_place = [(n_in, found) for n_in, found in made if found.in_place]
    for n_in, found in in_place:
        assert found.begins.max() + (4 if found.how in (3, 4) else fused.ACROSS // found.how) <= n_in
    assert len(in_place) >= len(SHAPES) - 3
    assert {found.how for _, found in made} >= {1, 3, 4, 8}


@pytest.mark.parametrize("threads", [1, 3])
def test_jobs_do_not_show(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_JOBS", (1, 1))
    monkeypatch.setattr(fused, "_ROWS", 5)
    x = image((47, 60, 3), "uint16")
    with upsample.num_threads(threads):
        result = opencv.resize(x, (90, 121), engine="cpu")
    np.testing.assert_array_equal(result, opencv.resize(x, (90, 121), engine="portable"))


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_halves_equal_the_portable_engine(channels: int, dtype: str) -> None:
    cells = import_module("upsample.engines.cpu.resize.cells")
    cells.plan_cells.cache_clear()
    for height, width in ((7, 41), (13, 9), (5, 1), (3, 2)):
        x = image((2, 2 * height, 2 * width, channels), dtype)
        call = {"dsize": (width, height), "interpolation": opencv.INTER_AREA}
        result = opencv.resize(x, **call, engine="cpu")
        with np.errstate(all="ignore"):
            expected = opencv.resize(x, **call, engine="portable")
        np.testing.assert_array_equal(bits(result), bits(expected))
    assert None not in cells.plan_cells._cache.values()


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16"])
def test_exact_sums_have_no_order(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, size in SHAPES:
        x = image(shape, dtype)
        for call in (
            lambda engine, x=x, size=size: opencv.resize(
                x, size, interpolation=opencv.INTER_LINEAR_EXACT, engine=engine
            ),
            lambda engine, x=x: opencv.pyrDown(x, engine=engine),
            lambda engine, x=x: opencv.pyrUp(x, engine=engine),
        ):
            np.testing.assert_array_equal(call("cpu"), call("portable"))
    assert None not in fused.plan_ordered._cache.values()
    assert len(fused.plan_ordered) == 3 * len(SHAPES)


@pytest.mark.parametrize("factor", [2, 3])
def test_gradient_of_means_has_their_scale(factor: int) -> None:
    x = np.arange(72.0).reshape(6, 12)
    _, pullback = upsample.vjp(opencv.resize, x, (12 // factor, 6 // factor), interpolation=opencv.INTER_AREA)
    np.testing.assert_allclose(pullback(np.ones((6 // factor, 12 // factor)))[0], 1 / factor**2, rtol=1e-7)


def test_means_on_jax_have_their_scale() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    x = np.arange(96, dtype=np.float32).reshape(8, 12)
    result = opencv.resize(jax.numpy.asarray(x), (4, 2), interpolation=opencv.INTER_AREA)
    np.testing.assert_array_equal(result, opencv.resize(x, (4, 2), interpolation=opencv.INTER_AREA))
    gradient = jax.grad(lambda x: opencv.resize(x, (4, 2), interpolation=opencv.INTER_AREA).sum())(jax.numpy.asarray(x))
    np.testing.assert_allclose(gradient, 1 / 12, rtol=1e-6)
