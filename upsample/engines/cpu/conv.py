"""The transpose of transposed convolution by its input: what the taps meet is laid out in rows, and weighed by BLAS.

Rows of cells go some at a time, so that what is laid out stays in the second-level cache; the product's own threads
share it. With few channels compiled loops weigh what the taps meet where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv_kernels import lay_out, weigh
from upsample.plans.window import SpreadPlan

__all__ = ["FEW_CHANNELS", "Rows", "blocks", "rows_of", "run"]

_A = np.ndarray[Any, Any]

FEW_CHANNELS = 4
"""Channels of a group up to which compiled loops are faster than BLAS."""
_BYTES = 1 << 20
"""Of what is laid out at once."""


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


def blocks(rows: Rows, channels: int, itemsize: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of cells so that what so many channels meet stays bounded."""
    step = max(1, _BYTES // (channels * rows.taps * rows.width * itemsize))
    for begin in range(0, rows.lines, step):
        yield begin, min(begin + step, rows.lines)


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
    made = result.reshape(-1, inputs, rows.lines * rows.width)
    work = _Work(rows, planes, factors, made, dtype, each)
    if inputs <= FEW_CHANNELS:
        threads.each_block(work.weigh, len(made))
    else:
        work.multiply()
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call; ``made [images and groups, inputs, cells]``."""

    rows: Rows
    planes: _A
    factors: _A
    made: _A
    dtype: np.dtype[Any]
    each: int

    def weigh(self, number: int) -> None:
        """Make one group of one image by compiled loops."""
        factor = self.factors[number % len(self.factors)].reshape(-1)
        own = self.made.dtype == self.dtype
        sums = self.made[number].reshape(-1) if own else np.empty(self.made[number].size, dtype=self.dtype)
        place, rows = number * self.each * self.rows.positions, self.rows
        weigh(self.planes, place, rows.positions, self.each, rows.grid, rows.lines, factor, sums)
        if not own:
            with np.errstate(over="ignore"):
                self.made[number] = sums.reshape(self.made.shape[1:])

    def multiply(self) -> None:
        """Make all by products."""
        for number in range(len(self.made)):
            factor = self.factors[number % len(self.factors)]
            for cut in blocks(self.rows, self.each, self.dtype.itemsize):
                size = (cut[1] - cut[0]) * self.rows.width
                met = np.empty((self.each * self.rows.taps, size), dtype=self.dtype)
                self._lay_out_all(number, cut, met.reshape(self.each, -1))
                with np.errstate(invalid="ignore", over="ignore"):
                    self.made[number, :, cut[0] * self.rows.width : cut[1] * self.rows.width] = factor @ met

    def _lay_out_all(self, number: int, cut: tuple[int, int], met: _A) -> None:
        """Lay out the channels of a group, several threads some each."""
        step = -(-self.each // max(1, min(threads.number(), met.size >> 16)))

        def part(place: int) -> None:
            begin, end = place * step, min((place + 1) * step, self.each)
            self._lay_out(number, begin, end, cut, met[begin:end].reshape(-1))

        threads.each_block(part, -(-self.each // step))

    def _lay_out(self, number: int, begin: int, end: int, cut: tuple[int, int], met: _A) -> None:
        place = (number * self.each + begin) * self.rows.positions
        lay_out(self.planes, place, self.rows.positions, end - begin, self.rows.grid, *cut, met)
