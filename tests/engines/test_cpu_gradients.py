"""The compiled gradients: the product they are made of, the same bits whatever the blocks, no block that is long."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample.plans import cell_blocks
from upsample.plans.window import ConvTransposePlan, UnpoolPlan, WindowAxis

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose import gemm, input_grad, weight_grad, weight_grad_dots, weight_grad_gemm
from upsample.engines.cpu.conv_transpose.grad_kernels import copy
from upsample.engines.cpu.runtime.compile import frozen, kernel
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS, add_tiles
from upsample.engines.cpu.runtime.simd_copy import transpose
from upsample.engines.cpu.unpool import backward as gather
from upsample.engines.cpu.unpool import driver as unpool

LONGEST = 1 << 29
"""Products, or cells looked at, that a block may take: some hundredths of a second at 2^34 and more a second."""


@kernel
def copy_strided(source: np.ndarray, stride: int, made: np.ndarray, count: int) -> None:
    copy(source, 1, stride, made, 1, count)


@kernel
def tiles(data: Any, numbers: Any, scattered: Any, vectors: int, apart: int) -> None:
    add_tiles(data, numbers, scattered, vectors, apart)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("vectors", range(8))
@pytest.mark.parametrize(("channels", "block"), [(0, 1), (1, 1), (33, 33), (33, 8)])
def test_tiles(dtype: str, vectors: int, channels: int, block: int) -> None:
    """Integers, so that every order and rounding gives the same."""
    lanes, offsets = BITS // (8 * np.dtype(dtype).itemsize), np.array([9, 3, 5])
    columns, step, line = vectors * lanes, vectors * lanes + 11, vectors * lanes + 3
    rng = np.random.default_rng(channels)
    weights, cells, made = (
        rng.integers(-9, 9, shape).astype(dtype) for shape in ((2, channels, ROWS), (channels, step), (ROWS, line))
    )
    want = made.copy()
    begins = range(0, channels, block)
    parts = [weights[tap, begin : begin + block] for begin in begins for tap in range(2)]
    factors = np.concatenate([np.zeros((1, ROWS), dtype=dtype), *parts])
    for tap, offset in enumerate(offsets[1:]):
        want[:, :columns] += weights[tap].T @ cells[:, offset : offset + columns]
    data = (frozen(factors.reshape(-1)), frozen(cells.reshape(-1)), frozen(offsets), made.reshape(-1))
    tiles(data, (ROWS, 0, 1, 3, channels, block, step, 0, line), (), vectors, lanes)
    np.testing.assert_array_equal(made, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("vectors", range(8))
@pytest.mark.parametrize("channels", [0, 1, 33])
def test_tiles_of_scattered_factors(dtype: str, vectors: int, channels: int) -> None:
    """Integers; every other number is a factor, and rows are added to in the other order."""
    lanes, size = BITS // (8 * np.dtype(dtype).itemsize), 2 * channels + 1
    columns, step, line = vectors * lanes, vectors * lanes + 11, vectors * lanes + 3
    rng = np.random.default_rng(channels)
    factors, cells, made = (
        rng.integers(-9, 9, shape).astype(dtype) for shape in ((ROWS, 2, size), (2, channels, step), (ROWS, line))
    )
    want = made.copy()
    want[::-1, :columns] += np.einsum("mtc,tcv->mv", factors[:, :, : 2 * channels : 2], cells[:, :, :columns])
    rows = [(2 * m * size, (ROWS - 1 - m) * line) for m in range(ROWS)]
    lists = np.array([(7, 7), *rows, *((tap * channels * step, tap * size) for tap in range(2))]).reshape(-1)
    data = (frozen(factors.reshape(-1)), frozen(cells.reshape(-1)), frozen(lists), made.reshape(-1))
    tiles(data, (0, 0, 1 + ROWS, 3 + ROWS, channels, channels + 1, step, 0, 0), (2, 2), vectors, lanes)
    np.testing.assert_array_equal(made, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(0, 5), (1, 1), (16, 16), (17, 40), (35, 7), (7, 35)])
def test_turn(dtype: str, rows: int, columns: int) -> None:
    source = np.random.default_rng(0).random((rows, columns + 3)).astype(dtype)
    made = np.zeros((columns, rows + 2), dtype=dtype)
    transpose(frozen(source.reshape(-1)), 2, columns + 3, rows, columns, made.reshape(-1), 1, rows + 2)
    want = np.zeros_like(made)
    for j in range(columns):
        want.reshape(-1)[1 + j * (rows + 2) : 1 + j * (rows + 2) + rows] = source[:, 2 + j]
    np.testing.assert_array_equal(made, want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_copies_of_every_other_value(dtype: str, count: int, stride: int) -> None:
    source, made = np.arange(2 + max(0, count - 1) * stride).astype(dtype), np.full(count + 2, -1, dtype=dtype)
    copy_strided(frozen(source), stride, made, count)
    np.testing.assert_array_equal(made, [-1, *source[1::stride][:count], -1])


SPREADS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((3, 24, 9, 7), (24, 5, 4, 4), dict(stride=2, padding=1)),
    ((2, 12, 5, 40), (12, 3, 3, 3), dict(stride=2, padding=1, output_padding=1, groups=2)),
    ((5, 12, 6, 9), (12, 3, 4, 4), dict(stride=2, padding=1, groups=2)),
    ((2, 6, 9, 9), (6, 1, 4, 4), dict(stride=2, padding=1, groups=6)),
    ((2, 9, 300), (9, 4, 5), dict(stride=3, dilation=2)),
    ((1, 2, 30, 31), (2, 3, 5, 5), {}),
    ((2, 8, 3, 4, 5), (8, 6, 2, 2, 2), dict(stride=2)),
    ((3, 5, 4, 3, 6), (5, 9, 3, 3, 3), dict(stride=2, padding=1)),
    ((1, 20, 3, 150), (20, 3, 2, 2), dict(stride=5)),
    ((2, 33, 9, 11), (33, 2, 3, 4), dict(stride=(1, 3), dilation=(3, 1), padding=2)),
]


def gradients(x: np.ndarray, weight: np.ndarray, options: dict[str, Any], engine: str) -> list[np.ndarray]:
    function = {3: upsample.conv_transpose1d, 4: upsample.conv_transpose2d, 5: upsample.conv_transpose3d}[x.ndim]
    y, pullback = upsample.vjp(function, x, weight, **options, engine=engine)
    return list(pullback(np.random.default_rng(1).integers(-9, 9, y.shape).astype(y.dtype)))


@pytest.mark.parametrize(("shape", "weight", "options"), SPREADS, ids=repr)
def test_blocks_and_threads_do_not_show(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of integers, bit for bit, in tiny blocks, too; of others, on one thread and on two."""
    rng = np.random.default_rng(0)
    whole = [rng.integers(-9, 9, s).astype(np.float32) for s in (shape, weight)]
    want = gradients(*whole, options, "portable")
    some = noise(*shape).astype(np.float32), noise(*weight, seed=1).astype(np.float32)
    for small in (False, True):
        if small:
            gemm._region.cache_clear()
            for module, name, count in (
                (input_grad, "_WORK", 999),
                (gemm, "_CELLS", 999),
                (gemm, "_FEW", 1),
                (cell_blocks, "_CELLS", 20),
                (weight_grad_dots, "_LAID", 1200),
                (weight_grad_dots, "_SUMS", 999),
                (weight_grad_gemm, "_CELLS", 6),
                (weight_grad_gemm, "_TAPS", 30),
                (weight_grad_gemm, "_PATCHES", 300),
                (weight_grad_gemm, "_SUMS", 999),
                (weight_grad_gemm, "_MOST_SUMS", 9999),
                (weight_grad_gemm, "_WORK", 99999),
            ):
                monkeypatch.setattr(module, name, count)
        for got, wanted in zip(gradients(*whole, options, "cpu"), want, strict=True):
            np.testing.assert_array_equal(got, wanted)
        both = []
        for count in ("1", "2"):
            monkeypatch.setenv("UPSAMPLE_NUM_THREADS", count)
            both.append([g.tobytes() for g in gradients(*some, options, "cpu")])
        assert both[0] == both[1]


class Longest:
    """Stands in for kernels, computes nothing, and keeps the most work that a block asked for between two looks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.most, self.blocks, self.here, self.patch = 0, 0, 0, patch
        for module in (input_grad, weight_grad_dots, weight_grad_gemm, gemm, gather, unpool):
            patch.setattr(module, "threads", self)

    def number(self) -> int:
        return 2

    def each_block(self, function: Callable[[int], object], blocks: int, threads: int | None = None) -> None:
        for block in range(blocks) if blocks < 50 else (0, 1, blocks // 2, blocks - 1):
            self.here = 0
            function(block)
            self.blocks += 1
            self.most = max(self.most, 0 if threads == 1 else self.here)

    def check_cancelled(self) -> None:
        self.most = max(self.most, self.here)
        self.here = 0

    def count(self, module: Any, name: str, work: Callable[..., int]) -> None:
        def stand_in(*args: Any) -> bool:
            self.here += work(*args)
            assert work(*args) <= LONGEST
            return False

        self.patch.setattr(module, name, stand_in)


def test_pool_is_stood_in_for() -> None:
    assert all(
        module.threads is threads for module in (input_grad, weight_grad_dots, weight_grad_gemm, gemm, gather, unpool)
    )


def cells_of(cut: np.ndarray) -> int:
    return int((cut[1] - cut[0]) * (cut[3] - cut[2]))


def cells_of_units(units: np.ndarray) -> int:
    return sum(int(unit[1] - unit[0]) * cells_of(unit[2:]) for unit in units)


def products_of(*given: Any) -> int:
    """Products that `multiply` adds up: of tiles, planes, inputs, lines and taps."""
    offsets, slabs, numbers = given[2], given[4], given[8]
    lines = int(slabs[:, 3].sum()) * numbers[9]
    return (numbers[1] - numbers[0]) * ROWS * numbers[6] * numbers[7] * lines * len(offsets)


@pytest.mark.parametrize(
    ("channels", "outputs", "groups", "small", "kernel"),
    [
        (1, 1, 1, (2986, 2986), 15),
        (4, 2, 2, (1500, 1500), 31),
        (64, 16, 1, (250, 251), 15),
        (8, 1, 1, (4, 100_000), 9),
        (8, 8, 1, (40, 40), 501),
    ],
)
def test_no_block_of_a_convolution_is_long(
    channels: int, outputs: int, groups: int, small: tuple[int, int], kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = tuple(WindowAxis(n + kernel - 1, n, kernel, 1, 0, 1) for n in small)
    plan = ConvTransposePlan(axes, groups, "float32")
    longest, taps, inputs, each = Longest(monkeypatch), kernel**2, channels // groups, outputs
    x = np.zeros((1, channels, *small), dtype=np.float32)
    y = np.zeros((1, outputs * groups, *plan.large_shape), dtype=np.float32)
    weight = np.zeros((channels, outputs, kernel, kernel), dtype=np.float32)
    longest.count(input_grad, "weigh", lambda *a: cells_of(a[5]) * taps * inputs * each)
    longest.count(gemm, "multiply", products_of)
    longest.count(weight_grad_dots, "lay_out", lambda *a: cells_of(a[5]) * taps * each)
    longest.count(weight_grad_dots, "correlate_rows", lambda *a: a[2] * a[3] * inputs)
    longest.count(weight_grad_gemm, "correlate_units", lambda *a: taps * a[3][0] * a[3][2] * cells_of_units(a[5]))
    input_grad.run(np, plan, y, weight)
    weight_grad.run(np, plan, x, y)
    assert longest.blocks > 3
    assert 0 < longest.most <= LONGEST


@pytest.mark.parametrize("rule", ["last", "sum"])
@pytest.mark.parametrize("axes", [((6000, 3000, 2, 2), (6000, 3000, 2, 2)), ((1 << 24, 1 << 23, 2, 2),)], ids=repr)
def test_no_block_of_a_gather_is_long(
    rule: str, axes: tuple[tuple[int, int, int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One plane of many cells: its block looks what became of the call between two cuts."""
    plan = UnpoolPlan(tuple(WindowAxis(*axis, 0, 1) for axis in axes), False, rule, True, True)
    longest = Longest(monkeypatch)
    longest.count(gather, "take", lambda *a: a[1].size)
    longest.count(gather, "take_last", lambda *a: a[1].size)
    longest.count(gather, "take_bands", lambda *a: a[1].size)
    y = np.zeros((1, *plan.large_shape), dtype=np.int8)
    gather.run(np, plan, y, np.zeros((1, *plan.small_shape), dtype=np.int64))
    assert longest.blocks
    assert longest.most <= 1 << 18
    assert math.prod(plan.small_shape) > 1 << 22
