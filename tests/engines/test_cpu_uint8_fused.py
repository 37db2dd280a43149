"""The fused kernel of bytes against the portable engine, which shares only the tables with it: bit for bit."""

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
fused = import_module("upsample.engines.cpu.resize.uint8_fused")
cells = import_module("upsample.engines.cpu.resize.cells")
tables = import_module("upsample.engines.cpu.resize.uint8_fused_tables")
call_cache = import_module("upsample.ops.call_cache")
machine = import_module("upsample.engines.cpu.runtime.machine")

MODES = [opencv.INTER_LINEAR, opencv.INTER_LINEAR_EXACT, opencv.INTER_CUBIC, opencv.INTER_LANCZOS4]
SHAPES = [
    ((9, 70), (200, 33)),
    ((40, 33, 3), (20, 90)),
    ((33, 40, 4), (90, 20)),
    ((30, 200), (20, 61)),  # factors past those that one load of 16 bytes spans
    ((30, 200, 3), (20, 61)),
    ((20, 150, 2), (14, 40)),
    ((20, 150, 5), (14, 40)),  # loads are too narrow for five channels
    ((3, 3), (50, 50)),  # rows shorter than a load
    ((50, 50), (3, 3)),  # results shorter than a vector
    ((2, 3, 30, 41, 3), (55, 17)),
]


def random_bytes(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(shape)
    return rng.integers(0, 256, shape, np.uint8) if len(shape) % 2 else rng.choice(np.uint8([0, 255]), shape)


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Earlier calls do not decide; later ones do not see what a test changes."""
    monkeypatch.setattr(call_cache, "_known", Cache())
    for cache in (fused.plan_fused, cells.plan_cells):
        cache.cache_clear()
    yield
    for cache in (fused.plan_fused, cells.plan_cells):
        cache.cache_clear()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of calls that the driver prepares for the fused kernel."""
    found: list[Any] = []

    def noted(*given: Any) -> Any:
        found.append(fused.plan_fused(*given))
        return found[-1]

    monkeypatch.setattr(driver, "plan_fused", noted)
    return found


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_equals_the_portable_engine(
    mode: int, shape: tuple[int, ...], size: tuple[int, int], vectors: bool, used: list[Any], monkeypatch: Any
) -> None:
    if not vectors:
        monkeypatch.setattr(tables, "SHUFFLES", False)
    x = random_bytes(shape)
    result = opencv.resize(x, size, interpolation=mode, engine="cpu")
    assert used
    assert None not in used
    np.testing.assert_array_equal(result, opencv.resize(x, size, interpolation=mode, engine="portable"))


@pytest.mark.parametrize("function", [opencv.pyrDown, opencv.pyrUp])
def test_pyramids_equal_the_portable_engine(function: Any, used: list[Any]) -> None:
    x = random_bytes((41, 52, 3))
    np.testing.assert_array_equal(function(x, engine="cpu"), function(x, engine="portable"))
    assert None not in used


@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (4, 4), (2, 5), (5, 2), (7, 3)])
def test_cells_equal_the_portable_engine(
    factors: tuple[int, int], channels: int, vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not vectors:
        monkeypatch.setattr(cells, "SHUFFLES", False)
    for height, width in ((7, 41), (13, 9), (5, 1), (3, 2)):
        x = random_bytes((2, height * factors[0], width * factors[1], channels))
        result = opencv.resize(x, (width, height), interpolation=opencv.INTER_AREA, engine="cpu")
        expected = opencv.resize(x, (width, height), interpolation=opencv.INTER_AREA, engine="portable")
        np.testing.assert_array_equal(result, expected)
        used = [plan for plan in cells.plan_cells._cache.values() if plan is not None and plan.shape == result.shape]
        assert bool(used) == ((vectors and machine.HAS_AVX2) or channels in (2, 5) or factors != (2, 2))


@pytest.mark.parametrize("threads", [1, 3])
def test_jobs_do_not_show(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_JOBS", (1, 1))
    monkeypatch.setattr(fused, "_ROWS", 5)
    x = random_bytes((47, 60, 3))
    with upsample.num_threads(threads):
        result = opencv.resize(x, (90, 121), engine="cpu")
        np.testing.assert_array_equal(result, opencv.resize(x, (90, 121), engine="portable"))


def test_parts_keep_taps_that_the_border_would_merge() -> None:
    """Two parts whose merged tables are equal have taps of their own, whose products are cut one by one."""
    from upsample.plans.resize import tabled
    from upsample.plans.resize_parts import part
    from upsample.plans.taps import listed_apart

    rule = tabled(5, 40, "opencv linear", 5 / 40, False, 11, bits=11)
    _, weight = listed_apart(rule)
    for output in range(4):  # each is the first sample alone
        np.testing.assert_array_equal(listed_apart(part(rule, output, output + 1))[1], weight[output : output + 1])


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos", "area"])
@pytest.mark.parametrize("shape", [(30, 41), (30, 41, 3), (30, 41, 4), (2, 3, 30, 41), (41, 30, 5)])
def test_bytes_that_grow_natively(shape: tuple[int, ...], mode: str, used: list[Any], monkeypatch: Any) -> None:
    """Rows are 16-bit numbers, and one rounding follows: the same bits as by two passes and by the portable engine."""
    axes = (2, 3) if len(shape) == 4 else (0, 1)
    height, width = shape[axes[0]], shape[axes[1]]
    for size in [
        (2 * height, 2 * width),
        (height + 9, 3 * width + 1),
        (height + 1, width - 6),
        (5 * height, width + 2),
    ]:
        x = random_bytes(shape)
        used.clear()
        made = upsample.resize(x, size, axes=axes, mode=mode, engine="cpu")
        assert any(job is not None for job in used) == machine.HAS_AVX2
        np.testing.assert_array_equal(made, upsample.resize(x, size, axes=axes, mode=mode, engine="portable"))
        with monkeypatch.context() as patch:
            patch.setattr(driver, "plan_fused", lambda *_: None)
            patch.setattr(call_cache, "_known", Cache())
            np.testing.assert_array_equal(made, upsample.resize(x, size, axes=axes, mode=mode, engine="cpu"))


def test_one_job_and_several(used: list[Any]) -> None:
    """Repeated calls, with and without `out`, of a result that is one job and of one that is several."""
    for size in ((40, 60), (600, 900)):
        x = random_bytes((30, 50, 3))
        made = [upsample.resize(x, size, axes=(0, 1), engine="cpu") for _ in range(3)]
        out = np.empty((*size, 3), np.uint8)
        assert all(upsample.resize(x, size, axes=(0, 1), engine="cpu", out=out) is out for _ in range(3))
        turned = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
        for again in (*made, out, upsample.resize(turned, size, axes=(0, 1), engine="cpu")):
            np.testing.assert_array_equal(again, upsample.resize(x, size, axes=(0, 1), engine="portable"))


def test_dask_chunks_have_the_bits_of_the_whole() -> None:
    da = pytest.importorskip("dask.array", reason="dask is not installed")
    x = random_bytes((60, 50, 3))
    chunked = opencv.resize(da.from_array(x, chunks=(7, 11, 3)), (190, 200)).compute()
    np.testing.assert_array_equal(chunked, opencv.resize(x, (190, 200)))


@pytest.mark.skipif(not machine.HAS_AVX2, reason="this processor has no AVX2")
@pytest.mark.parametrize("mode", [opencv.INTER_LINEAR, opencv.INTER_CUBIC])
def test_machine_code_has_vectors(mode: int) -> None:
    """Both passes are made of vectors; a kernel out of the cache on disk has no text, so it is compiled anew."""
    import numba

    compile_ = import_module("upsample.engines.cpu.runtime.compile")
    opencv.resize(random_bytes((40, 40)), (60, 60), interpolation=mode, engine="cpu")
    ring = "int16" if mode == opencv.INTER_LINEAR else "int32"
    signature = next(s for s in fused.fused_bytes.signatures if str(s[4].dtype) == ring)
    again = numba.njit(nogil=True, pipeline_class=compile_._NoAlias, **compile_._OPTIONS)(fused.fused_bytes.py_func)
    again.compile(signature)
    code = again.inspect_asm(signature)
    assert "vpshufb" in code
    assert "vpmaddwd" in code or "vpdpwssd" in code
    assert ("vpmulhw" if mode == opencv.INTER_LINEAR else "vpmulld") in code
