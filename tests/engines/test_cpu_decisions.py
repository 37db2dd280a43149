"""The tables of choices in the docstrings of the compiled engine's ops, each row held to the code."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample.caches import Cache

needs_numba()
resize = import_module("upsample.engines.cpu.resize.driver")
choose = import_module("upsample.engines.cpu.resize.choose")
pool = import_module("upsample.engines.cpu.pool.driver")
unpool = import_module("upsample.engines.cpu.unpool.driver")
conv_transpose = import_module("upsample.engines.cpu.conv_transpose.driver")
machine = import_module("upsample.engines.cpu.runtime.machine")
call_cache = import_module("upsample.ops.call_cache")


def named(op: str) -> list[str]:
    """Return the last column of the table in an op's docstring."""
    text = import_module(f"upsample.engines.cpu.{op}").__doc__
    rows = re.findall(r"^    \S.*?  (\S+)$", text, re.MULTILINE)
    assert rows[0] == "kernel"
    return rows[1:]


def name_of(kernel: Any) -> str:
    return f"{kernel.__module__.rpartition('.')[2]}.{kernel.__name__}"


RESIZES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("nearest._copy_rows", "uint8 40 300", dict(shape=80, axes=0, mode="nearest"), True),
    ("nearest._double", "float32 40 50", dict(shape=100, axes=1, mode="nearest"), True),
    ("nearest._double_rgb", "float32 40 50 3", dict(shape=100, axes=1, mode="nearest"), True),
    ("nearest._gather_values", "float32 40 50", dict(shape=70, axes=1, mode="nearest"), True),
    ("nearest._gather_samples", "float32 40 50 5", dict(shape=70, axes=1, mode="nearest"), True),
    ("uint8_simd.columns", "uint8 40 50", dict(shape=70, axes=0), True),
    ("uint8_simd.short_columns", "uint8 40 20", dict(shape=70, axes=0), True),
    ("uint8_simd.rows", "uint8 40 50", dict(shape=70, axes=1), True),
    ("uint8_kernels.columns", "uint8 40 20", dict(shape=70, axes=0), False),
    ("uint8_kernels.rows_double2", "uint8 40 50", dict(shape=100, axes=1), False),
    ("uint8_kernels.rows_double4", "uint8 40 50", dict(shape=100, axes=1, mode="cubic"), False),
    ("uint8_kernels.rows", "uint8 40 50", dict(shape=70, axes=1), False),
    ("float_2x_fused.doubled", "float32 40 50", dict(shape=(80, 100), axes=(0, 1)), True),
    ("float_formula.rows_by_formula", "float32 5000", dict(shape=9000, axes=0), True),
    ("float_kernels.columns", "float32 40 50", dict(shape=70, axes=0), True),
    ("float_simd.rows", "float32 40 14", dict(shape=28, axes=1), True),
    ("float_kernels.rows_double2", "float32 40 50", dict(shape=100, axes=1), True),
    ("float_kernels.rows_double4", "float32 40 50", dict(shape=100, axes=1, mode="cubic"), True),
    ("float_rgb.rows_double2", "float32 40 50 3", dict(shape=100, axes=1), True),
    ("float_rgb.rows_double4", "float32 40 50 3", dict(shape=100, axes=1, mode="cubic"), True),
    ("float_kernels.rows_halved", "float32 40 50", dict(shape=25, axes=1), True),
    ("float_kernels.rows_quartered", "float32 40 100", dict(shape=25, axes=1, mode="cubic"), True),
    ("float_simd.rows", "float32 40 50", dict(shape=70, axes=1), True),
    ("float_kernels.rows", "float32 40 50", dict(shape=70, axes=1), False),
]
"""Kernel, the array's dtype and shape, the call, and whether the processor has vectors for it."""


def test_the_table_of_resize_has_these_rows() -> None:
    assert named("resize") == [kernel for kernel, *_ in RESIZES]


@pytest.mark.parametrize(("kernel", "array", "call", "vectors"), RESIZES)
def test_resize(kernel: str, array: str, call: dict[str, Any], vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if "simd" in kernel and not machine.HAS_AVX2:
        pytest.skip("this processor has no AVX2")
    if not vectors:
        monkeypatch.setattr(choose.uint8_simd, "HAS_AVX2", False)
        monkeypatch.setattr(choose.float_simd, "can", lambda dtype: False)
    works: Cache[Any] = Cache()
    monkeypatch.setattr(resize, "_works", works)
    monkeypatch.setattr(call_cache, "_known", Cache())
    monkeypatch.setattr(resize, "_fill", lambda *given, **options: None)
    dtype, *sizes = array.split()
    upsample.resize(np.zeros(tuple(map(int, sizes)), dtype), engine="cpu", **{"mode": "linear"} | call)
    (work,) = works.values()
    task = work.task
    assert kernel == name_of(task.function if hasattr(task, "function") else task.strips[0].passes[-1].function)


POOLS = [
    ("direct_simd.pool_lanes", "float32", (1, 30, 30), dict(kernel_size=2)),
    ("direct.pool_cells", "float64", (1, 30, 30), dict(kernel_size=2)),
    ("direct.pool_rows", "float32", (1, 8, 400), dict(kernel_size=2)),
    ("separable.pool_values", "float32", (1, 40, 40), dict(kernel_size=9, stride=1)),
]


def test_the_table_of_pool_has_these_rows() -> None:
    assert named("pool") == [kernel for kernel, *_ in POOLS]


@pytest.mark.parametrize(("kernel", "dtype", "shape", "options"), POOLS)
def test_pool(
    kernel: str, dtype: str, shape: tuple[int, ...], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "simd" in kernel and not machine.HAS_AVX512:
        pytest.skip("this processor has no AVX-512")
    monkeypatch.setattr(call_cache, "_known", Cache())
    choices: list[str] = []
    own = pool._kernel

    def noted(*given: Any) -> Any:
        function, behind = own(*given)
        choices.append(name_of(function))
        return (lambda *arguments: None), behind

    monkeypatch.setattr(pool, "_kernel", noted)
    monkeypatch.setattr("upsample.engines.cpu.pool.bind", lambda *given: None)
    upsample.max_pool2d(np.zeros(shape, dtype), engine="cpu", **options)
    assert set(choices) == {kernel}


UNPOOLS = [
    ("gather_simd.gather_kernel", 800, True, "by_gathering"),
    ("scatter.make_bands", 200, True, "by_bands"),
    ("scatter.make_planes", 200, False, "make"),
]
"""Kernel, rows of the plane, whether every index is in its window, and the last way that is tried."""


def test_the_table_of_unpool_has_these_rows() -> None:
    assert named("unpool") == [kernel for kernel, *_ in UNPOOLS]


@pytest.mark.parametrize(("kernel", "rows", "inside", "way"), UNPOOLS)
def test_unpool(kernel: str, rows: int, inside: bool, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "simd" in kernel and not machine.HAS_AVX2:
        pytest.skip("this processor has no AVX2")
    monkeypatch.setattr(call_cache, "_known", Cache())
    tried: list[str] = []

    def noted(name: str, result: bool) -> Any:
        return lambda *given: tried.append(name) or result

    for name, result in (("by_gathering", True), ("by_bands", inside), ("make", False)):
        monkeypatch.setattr(unpool._Work, name, noted(name, result))
    x = np.zeros((1, rows, rows), np.float32)
    indices = 2 * np.arange(rows) + 4 * rows * np.arange(rows)[:, None]
    upsample.max_unpool2d(x, indices[None], 2, engine="cpu")
    assert tried[-1] == way


SPREADS = [
    ("direct_small.sum_listed", (1, 1, 8, 8), (1, 1, 2, 2)),
    ("gemm.products", (1, 8, 32, 32), (8, 8, 3, 3)),
    ("direct.sum_products", (1, 1, 64, 64), (1, 8, 3, 3)),
]


def test_the_table_of_conv_transpose_has_these_rows() -> None:
    assert named("conv_transpose") == [kernel for kernel, *_ in SPREADS]


@pytest.mark.parametrize(("kernel", "shape", "weight"), SPREADS)
def test_conv_transpose(
    kernel: str, shape: tuple[int, ...], weight: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_cache, "_known", Cache())
    monkeypatch.setattr("upsample.engines.cpu.conv_transpose.bind", lambda *given: None)
    tried: list[str] = []

    def noted(name: str) -> Any:
        return lambda *given, **options: tried.append(name) or True

    for name in ("sum_listed", "products", "sum_products"):
        monkeypatch.setattr(conv_transpose, name, noted(name))
    upsample.conv_transpose2d(np.ones(shape, np.float32), np.ones(weight, np.float32), stride=2, engine="cpu")
    assert set(tried) == {kernel.partition(".")[2]}
