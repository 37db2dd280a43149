"""Weight gradient as a GEMM: broadcast a value of the output gradient, times a vector of input channels.

The cells of a block are turned, so that a cell's values lie side by side; what the taps meet is copied as it lies, with
zeros beside it, and read with the stride.

A weight's sum has one order, whatever the threads, the processor and the other channels. Cells are cut into units,
which depend on the sizes of the last two axes alone. A unit's sum begins with +0 and adds its cells in row-major order,
by `runtime.fma`. Unit number n, counted over all images, is added to sum ``n % 8`` of eight, and these are
added up in order. A batch is one sum: units of small images go over from one image to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from upsample.arrays import NDArray
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose.grad_kernels import correlate_units
from upsample.engines.cpu.conv_transpose.input_grad import Rows
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS
from upsample.engines.cpu.runtime.machine import L2_BYTES
from upsample.engines.cpu.runtime.simd_copy import turn
from upsample.engines.cpu.runtime.window_grid import AXIS

__all__ = ["correlate"]


_CELLS = 1 << 7
"""Cells per unit."""
_TAPS = 1 << 9
"""Least taps of all channels of a part, because each part transposes the cells again."""
_MET = 1 << 18
"""Elements of the output gradient that are copied at once (im2col)."""
_SUMS = L2_BYTES // 4
"""Sums of a part, of 4 bytes mostly; they stay in the L2 cache."""
_MOST_SUMS = 1 << 23
"""Sums of all parts, in elements, that are accumulated in one round."""
_SPLITS = 8
"""Accumulators per part, so that eight threads find work if there are few parts."""
_WORK = 1 << 29
"""Most products per block: about 10 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """How a call is cut; a unit is a part of some sheets' cells, a sheet the last two axes of an image.

    Attributes
    ----------
    cuts : array
        Of a sheet: rows from and to, and cells of each from and to.
    sheets : int
        Of a unit.
    cells : int
        Of a unit.
    columns, pitch : int
        Inputs in whole vectors, and the distance from cell to cell where they are turned.
    channels, taps : int
        Of a part, and taps of the last axis but one whose values are copied at once.
    line, met : int
        Values of a row that is copied, with what lies between rows, and of all of a unit.
    """

    cuts: NDArray
    sheets: int
    cells: int
    columns: int
    pitch: int
    channels: int
    taps: int
    line: int
    met: int


def _cut(rows: Rows, inputs: int, each: int, itemsize: int) -> _Cut:
    y, x = (list(map(int, rows.grid[at : at + AXIS])) for at in (len(rows.grid) - 2 * AXIS, len(rows.grid) - AXIS))
    height, width, lanes = y[1], x[1], BITS // (8 * itemsize)
    columns = -(-inputs // lanes) * lanes
    pitch = (-(-columns * itemsize // 64) | 1) * 64 // itemsize  # an odd number of cache lines: rows share no set
    across = -(-width // -(-width // _CELLS))
    down = min(height, max(1, _CELLS // width))
    sheets = max(1, _CELLS // (height * width))
    cells = sheets * down * across
    parts = max(1, min(each, each * rows.taps // _TAPS))
    channels = max(1, min(-(-each // parts), _SUMS // (rows.taps * pitch), _WORK // (rows.taps * columns * cells)))
    line, taps = ((across - 1) * x[3] + (x[2] - 1) * x[5] + 1) | 1, y[2]

    def met() -> int:
        return sheets * min((down - 1) * y[3] + (taps - 1) * y[5] + 1, down * taps) * channels * line

    while met() > _MET and taps > 1:
        taps = -(-taps // 2)
    while met() > _MET and channels > 1:
        channels = -(-channels // 2)
    some = [
        (top, min(top + down, height), left, min(left + across, width))
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]
    return _Cut(np.asarray(some, dtype=np.int64), sheets, cells, columns, pitch, channels, taps, line, met())


def correlate(rows: Rows, cells: NDArray, source: NDArray, made: NDArray, each: int) -> None:
    """Fill ``made [groups, inputs, each * taps]``, for so many channels each; `cells` and `source` are flat."""
    groups, inputs, _ = made.shape
    cut = _cut(rows, inputs, each, made.itemsize)
    work = _Work(rows, cells, source, made, each, cut)
    every = [(group, begin) for group in range(groups) for begin in range(0, each, cut.channels)]
    splits = min(_SPLITS, work.units)
    some = max(1, _MOST_SUMS // (splits * (cut.channels * rows.taps + 1) * cut.pitch))
    for first in range(0, len(every), some):
        work.make(every[first : first + some], splits)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call."""

    rows: Rows
    cells: NDArray
    source: NDArray
    made: NDArray
    each: int
    cut: _Cut

    def make(self, parts: list[tuple[int, int]], splits: int) -> None:
        """Make some parts: a group's channels from one on."""
        cut, taps = self.cut, self.rows.taps
        sums = np.zeros((splits, len(parts), (cut.channels * taps + 1) * cut.pitch), dtype=self.made.dtype)
        longest = cut.cells * cut.columns * cut.channels * taps
        for units in self.rounds(splits * max(1, _WORK // longest)):

            def add(number: int, units: NDArray = units) -> None:
                split, part = divmod(number, len(parts))
                self.add(*parts[part], frozen(np.ascontiguousarray(units[split::splits])), sums[split, part])

            threads.each_block(add, splits * len(parts))

        def store(number: int) -> None:
            self.store(*parts[number], sums[:, number])

        threads.each_block(store, len(parts))

    @property
    def sheets(self) -> int:
        """Sheets of all images."""
        area, (height,) = self.rows.lines * self.rows.width, self.rows.grid[len(self.rows.grid) - 2 * AXIS + 1 :][:1]
        return int(self.cells.size // (self.made.shape[0] * self.made.shape[1] * area) * self.rows.lines // height)

    @property
    def units(self) -> int:
        """Units of all sheets."""
        return int(-(-self.sheets // self.cut.sheets) * len(self.cut.cuts))

    def rounds(self, each: int) -> Iterator[NDArray]:
        """Yield so many units at a time, in one order: their first sheet, the one after the last, and the cut."""
        cut, sheets, count = self.cut, self.sheets, self.units
        for begin in range(0, count, each):
            number = np.arange(begin, min(begin + each, count))
            first = number // len(cut.cuts) * cut.sheets
            bounds = first, np.minimum(first + cut.sheets, sheets)
            yield np.column_stack([*bounds, cut.cuts[number % len(cut.cuts)]])

    def add(self, group: int, begin: int, units: NDArray, sums: NDArray) -> None:
        """Add a part's products of some units."""
        rows, cut, (groups, inputs, _), dtype = self.rows, self.cut, self.made.shape, self.made.dtype
        area, channels = rows.lines * rows.width, min(cut.channels, self.each - begin)
        places = (
            *((group * self.each + begin) * rows.positions, groups * self.each * rows.positions),
            *(group * inputs * area, groups * inputs * area),
        )
        sizes = (channels, inputs, cut.columns, cut.pitch, cut.line, cut.taps)
        turned = np.zeros(cut.cells * cut.pitch, dtype=dtype)
        lists = np.empty(2 * (channels * int(rows.grid[-AXIS + 2]) + ROWS + cut.cells), dtype=np.int64)
        met = np.empty(cut.met, dtype=dtype)
        correlate_units(self.source, self.cells, places, sizes, rows.grid, units, turned, met, lists, sums)

    def store(self, group: int, begin: int, sums: NDArray) -> None:
        """Add the sums of all splits up, and turn them."""
        inputs, taps, pitch = self.made.shape[1], self.rows.taps, self.cut.pitch
        for more in sums[1:]:
            sums[0] += more
        target = self.made[group].reshape(-1)
        count = min(self.cut.channels, self.each - begin) * taps
        turn(frozen(sums[0]), 0, pitch, count, inputs, target, begin * taps, self.made.shape[2])
