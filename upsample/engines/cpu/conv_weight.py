"""The transpose of transposed convolution by its weight: what the taps meet is laid out in rows, times the cells.

The sums run over images and blocks of rows of cells in one order, whatever the number of threads: a block's product is
made whole, and added to those before.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv import FEW_CHANNELS, Rows, blocks, rows_of
from upsample.engines.cpu.conv_kernels import correlate_rows, lay_out
from upsample.plans.window import SpreadPlan

__all__ = ["run"]

_A = np.ndarray[Any, Any]


def run(xp: ModuleType, plan: SpreadPlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    cells: Any = x
    source: Any = y
    rows, groups = rows_of(plan), plan.groups
    inputs, each = cells.shape[1] // groups, source.shape[1] // groups
    dtype = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    made = np.zeros((groups, inputs, each * rows.taps), dtype=dtype)
    if cells.size:
        with np.errstate(invalid="ignore", over="ignore"):
            flat = frozen(np.ascontiguousarray(cells, dtype=dtype)).reshape(-1, groups, inputs, rows.lines * rows.width)
            planes = frozen(np.ascontiguousarray(source, dtype=dtype)).reshape(-1)
        if inputs <= FEW_CHANNELS:
            threads.each_block(lambda group: _dot(rows, flat[:, group], planes, each, (group, groups), made), groups)
        else:
            _multiply(rows, flat, planes, each, made)
    with np.errstate(over="ignore"):
        return made.reshape(groups * inputs, each, *plan.kernel_shape).astype(cells.dtype, copy=False)


def _dot(rows: Rows, cells: _A, planes: _A, each: int, place: tuple[int, int], made: _A) -> None:
    """Make one group's sums by compiled loops; ``cells [images, inputs, cells of a plane]``."""
    group, groups = place
    sums = made[group].reshape(-1)
    for image in range(len(cells)):
        for begin, end in blocks(rows, each, made.itemsize):
            size = (end - begin) * rows.width
            met = np.empty(each * rows.taps * size, dtype=made.dtype)
            first = (image * groups + group) * each * rows.positions
            lay_out(planes, first, rows.positions, each, rows.grid, begin, end, met)
            part = np.ascontiguousarray(cells[image, :, begin * rows.width : end * rows.width])
            correlate_rows(frozen(part).reshape(-1), frozen(met), each * rows.taps, size, sums)


def _multiply(rows: Rows, cells: _A, planes: _A, each: int, made: _A) -> None:
    """Make all by products of BLAS; ``cells [images, groups, inputs, cells of a plane]``."""
    images, groups = cells.shape[:2]
    for image in range(images):
        for group in range(groups):
            for begin, end in blocks(rows, each, made.itemsize):
                size = (end - begin) * rows.width
                met = np.empty((each, rows.taps * size), dtype=made.dtype)
                step = -(-each // max(1, min(threads.number(), met.size >> 16)))
                first = (image * groups + group) * each

                def part(
                    place: int, met: _A = met, step: int = step, first: int = first, cut: tuple[int, int] = (begin, end)
                ) -> None:
                    some = range(place * step, min((place + 1) * step, each))
                    at = (first + some.start) * rows.positions
                    target = met[some.start : some.stop].reshape(-1)
                    lay_out(planes, at, rows.positions, len(some), rows.grid, *cut, target)

                threads.each_block(part, -(-each // step))
                left = cells[image, group, :, begin * rows.width : end * rows.width]
                with np.errstate(invalid="ignore", over="ignore"):
                    made[group] += left @ met.reshape(-1, size).T
