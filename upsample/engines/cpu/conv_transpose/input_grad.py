"""Input gradient of transposed convolution: a GEMM, or direct loops for few channels.

The direct loops read the output gradient in place; the GEMM copies it first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.copies import converted
from upsample.engines import result_pool, threads
from upsample.engines.cpu.conv_transpose.columns import as_rows
from upsample.engines.cpu.conv_transpose.gemm import products
from upsample.engines.cpu.conv_transpose.gemm_index import meet_lists
from upsample.engines.cpu.conv_transpose.grad_kernels import weigh
from upsample.engines.cpu.runtime.blocks import plane_blocks
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.runtime.gemm_tile import BITS
from upsample.engines.cpu.runtime.window_grid import grid_of
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["FEW_CHANNELS", "Rows", "cuts", "rows_of", "run"]


FEW_CHANNELS = 4
"""Most input channels of a group for direct loops."""
_WORK = 1 << 26
"""Products that a block adds up at most, about, however large windows are: it should be over in a few hundredths of a
second."""
_NARROW = 1 << 20
"""Most rows of cells times taps per block, because a narrow row takes as long as a wider one."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What depends on the plan alone.

    Attributes
    ----------
    grid : array
        As `runtime.window_grid` says, of two axes or more.
    taps : int
        Of a window.
    lines, width : int
        Rows of cells in a plane, and cells in a row.
    positions : int
        Of a plane of the large side.
    """

    grid: NDArray
    taps: int
    lines: int
    width: int
    positions: int


@cached
def rows_of(plan: ConvTransposePlan) -> Rows:
    """Lay out the numbers of a plan for the kernels, and keep them."""
    small = plan.small_shape
    line = (WindowAxis(1, 1, 1, 1, 0, 1),) if len(small) == 1 else ()
    return Rows(
        grid_of((*line, *plan.axes)),
        math.prod(plan.kernel_shape),
        math.prod(small[:-1]),
        small[-1],
        math.prod(plan.large_shape),
    )


def cuts(rows: Rows, cells: int) -> NDArray:
    """Cut a plane's cells into blocks of about so many: rows from and to, and cells of each from and to."""
    if cells < rows.width:
        step = -(-rows.width // -(-rows.width // cells))
        columns = [(begin, min(begin + step, rows.width)) for begin in range(0, rows.width, step)]
        some = [(row, row + 1, *column) for row in range(rows.lines) for column in columns]
    else:
        step = cells // rows.width
        some = [(row, min(row + step, rows.lines), 0, rows.width) for row in range(0, rows.lines, step)]
    return frozen(np.asarray(some, dtype=np.int64).reshape(-1, 4))


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    source: Any = y
    given: Any = weight
    groups = plan.groups
    inputs, outputs = given.shape[0] // groups, given.shape[1]
    result = result_pool.empty((source.shape[0], given.shape[0], *plan.small_shape), source.dtype)
    if result.size:
        dtype = np.dtype(arrays.accumulator(arrays.dtype_name(y)))
        factors = converted(given, dtype).reshape(groups, inputs, outputs, -1)
        of_rows, (planes, made) = as_rows(plan, source, result)
        for place in plane_blocks(1, planes):
            some, target = planes[place], made[place]
            if inputs <= FEW_CHANNELS or not _multiply(of_rows, some, factors, target):
                _weigh(rows_of(of_rows), converted(some, dtype), factors, target)
    return result


def _multiply(plan: ConvTransposePlan, y: NDArray, weight: NDArray, result: NDArray) -> bool:
    """Make all by products, or return False where that is no use."""
    inputs, outputs = weight.shape[1:3]
    line = (1,) if len(plan.axes) == 1 else ()
    planes = y.reshape(-1, outputs, *line, *plan.large_shape)
    made = result.reshape(-1, inputs, *line, *plan.small_shape)
    return products(meet_lists(plan, BITS // (8 * weight.itemsize)), planes, weight.swapaxes(1, 2), None, made)


def _weigh(rows: Rows, y: NDArray, weight: NDArray, result: NDArray) -> None:
    """Make all by loops; a block makes some inputs of some cells of an image and group."""
    groups, inputs, outputs, taps = weight.shape
    planes, made = frozen(y).reshape(-1), result.reshape(-1, inputs, rows.lines, rows.width)
    most = max(1, min(inputs, _WORK // max(outputs * taps, 1)))
    cells = min(_WORK // max(most * outputs * taps, 1), max(1, _NARROW // max(outputs * taps, 1)) * rows.width)
    some, parts = cuts(rows, max(1, cells)), -(-inputs // most)

    def block(number: int) -> None:
        plane, cut, first = number // parts // len(some), some[number // parts % len(some)], number % parts * most
        target = made[plane, first : first + most, cut[0] : cut[1], cut[2] : cut[3]]
        sums = np.empty(target.size, dtype=weight.dtype)
        factors = frozen(weight[plane % groups, first : first + most]).reshape(-1)
        weigh(planes, plane * outputs * rows.positions, rows.positions, outputs, rows.grid, cut, factors, sums)
        target[...] = sums.reshape(target.shape)

    threads.each_block(block, len(made) * len(some) * parts)
