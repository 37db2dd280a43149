"""The transpose of transposed convolution by its input: what the taps meet is laid out in rows, and multiplied.

A block of cells is made by one thread, which lays out as many channels at a time as its second-level cache holds, and
multiplies by a product of its own (`upsample.engines.cpu.product`). With few channels compiled loops weigh what the
taps meet where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv_kernels import convolve_block, weigh
from upsample.engines.cpu.product import COLUMNS
from upsample.plans.window import SpreadPlan

__all__ = ["FEW_CHANNELS", "LAID", "Rows", "apart", "cuts", "padded", "rows_of", "run"]

_A = np.ndarray[Any, Any]

FEW_CHANNELS = 4
"""Channels of a group up to which a product is not worth its laying out."""
LAID = 1 << 16
"""Elements that are laid out at once."""
_CELLS = 1 << 8
"""Cells of a block, about; more where few elements are laid out for each."""
_LEAST_BLOCKS = 8
"""Blocks that are made where there are inputs enough, for any number of threads."""
_WORK = 1 << 27
"""Products that a block adds up at most, about, however large windows are: it should be over in a few hundredths of a
second."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What depends on the plan alone.

    Attributes
    ----------
    grid : array
        As `upsample.engines.cpu.conv_kernels` says.
    taps : int
        Of a window.
    lines, width : int
        Rows of cells in a plane, and cells in a row.
    positions : int
        Of a plane of the large side.
    """

    grid: _A
    taps: int
    lines: int
    width: int
    positions: int


@lru_cache(maxsize=256)
def rows_of(plan: SpreadPlan) -> Rows:
    """Lay out the numbers of a plan for the kernels, and keep them."""
    grid = [(a.large, a.small, a.kernel, a.stride, a.padding, a.dilation) for a in plan.axes]
    small = plan.small_shape
    return Rows(
        frozen(np.asarray(grid, dtype=np.int64).reshape(-1)),
        math.prod(plan.kernel_shape),
        math.prod(small[:-1]),
        small[-1],
        math.prod(plan.large_shape),
    )


def cuts(rows: Rows, cells: int) -> _A:
    """Cut a plane's cells into blocks of about so many: rows from and to, and cells of each from and to."""
    if cells < rows.width:
        step = -(-rows.width // -(-rows.width // cells))
        columns = [(begin, min(begin + step, rows.width)) for begin in range(0, rows.width, step)]
        some = [(row, row + 1, *column) for row in range(rows.lines) for column in columns]
    else:
        step = cells // rows.width
        some = [(row, min(row + step, rows.lines), 0, rows.width) for row in range(0, rows.lines, step)]
    return frozen(np.asarray(some, dtype=np.int64).reshape(-1, 4))


def padded(size: int, itemsize: int) -> int:
    """The next size that a product takes for its columns."""
    columns = COLUMNS * 4 // itemsize
    return -(-size // columns) * columns


def apart(columns: int, itemsize: int) -> int:
    """From a row of so many columns to the next: an odd number of cache lines, so that rows do not share a set."""
    return (-(-columns * itemsize // 64) | 1) * 64 // itemsize


def run(xp: ModuleType, plan: SpreadPlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    source: Any = y
    given: Any = weight
    rows, groups = rows_of(plan), plan.groups
    inputs, each = given.shape[0] // groups, given.shape[1]
    result = np.empty((source.shape[0], given.shape[0], *plan.small_shape), dtype=source.dtype)
    if result.size == 0:
        return result
    dtype = np.dtype(arrays.accumulator(arrays.dtype_name(y)))
    with np.errstate(invalid="ignore", over="ignore"):
        factors = frozen(np.ascontiguousarray(given, dtype=dtype)).reshape(groups, inputs, each * rows.taps)
        planes = frozen(np.ascontiguousarray(source, dtype=dtype)).reshape(-1)
    made = result.reshape(-1, inputs, rows.lines, rows.width)
    work = _Work(rows, planes, factors, made, each)
    if inputs <= FEW_CHANNELS:
        work.in_blocks(cuts(rows, max(1, _WORK // (inputs * each * rows.taps))), 1, inputs, work.weigh)
    else:
        size = max(1, min(max(_CELLS, min(LAID // (each * rows.taps), 2 * _CELLS)), _WORK // (each * rows.taps)))
        some = cuts(rows, size)
        images = len(planes) // (groups * each * rows.positions)
        together = max(1, min(images, size // (rows.lines * rows.width))) if len(some) == 1 else 1
        blocks = -(-images // together) * groups * len(some)
        most = max(1, min(_WORK // (size * each * rows.taps), inputs // max(1, _LEAST_BLOCKS // blocks)))
        work.in_blocks(some, together, most, work.multiply)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call; ``made [images and groups, inputs, rows, cells]``."""

    rows: Rows
    planes: _A
    factors: _A
    made: _A
    each: int

    def in_blocks(self, some: _A, together: int, most: int, make: Callable[[slice, _A, slice], _A]) -> None:
        """Let `make` have all cuts of all images and groups: so many images, and of each so many inputs, at most."""
        (planes, inputs), groups = self.made.shape[:2], len(self.factors)
        parts = -(-inputs // most)
        firsts = [g + n for n in range(0, planes, together * groups) for g in range(groups)]

        def block(number: int) -> None:
            first, cut, part = firsts[number // parts // len(some)], some[number // parts % len(some)], number % parts
            images = slice(first, min(first + (together - 1) * groups + 1, planes), groups)
            which = slice(part * most, min((part + 1) * most, inputs))
            target = self.made[images, which, cut[0] : cut[1], cut[2] : cut[3]].swapaxes(0, 1)
            with np.errstate(over="ignore"):
                target[...] = make(images, cut, which).reshape(target.shape)

        threads.each_block(block, len(firsts) * len(some) * parts)

    def weigh(self, images: slice, cut: _A, which: slice) -> _A:
        """Make a block of one image by compiled loops; of all inputs, which are few."""
        factor = self.factors[images.start % len(self.factors)].reshape(-1)
        sums = np.empty(self.made.shape[1] * int((cut[1] - cut[0]) * (cut[3] - cut[2])), dtype=self.planes.dtype)
        place = images.start * self.each * self.rows.positions
        weigh(self.planes, place, self.rows.positions, self.each, self.rows.grid, cut, factor, sums)
        return sums

    def multiply(self, images: slice, cut: _A, which: slice) -> _A:
        """Make a block by products."""
        groups, taps, number = len(self.factors), self.rows.taps, len(range(images.start, images.stop, images.step))
        factor = self.factors[images.start % groups].reshape(-1)
        inputs, size = which.stop - which.start, number * int((cut[1] - cut[0]) * (cut[3] - cut[2]))
        columns = padded(size, factor.itemsize)
        step = apart(columns, factor.itemsize)
        some = min(self.each, max(1, LAID // (taps * step)))
        met = np.zeros(some * taps * step, dtype=factor.dtype)
        sums = np.zeros((inputs, step), dtype=factor.dtype)
        pitch = self.each * self.rows.positions
        place, begin = images.start * pitch, which.start * self.each * taps
        sizes = (self.rows.positions, self.each, taps, inputs, columns, step, number, groups * pitch)
        convolve_block(self.planes, place, sizes, self.rows.grid, cut, factor, begin, met, sums.reshape(-1))
        return sums[:, :size]
