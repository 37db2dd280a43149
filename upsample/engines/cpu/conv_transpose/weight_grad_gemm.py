"""Weight gradient as a GEMM: broadcast a value of the output gradient, times a vector of input channels.

The cells of a unit are transposed, so that a cell's values are contiguous; the output gradient is copied row by row,
with zeros in the padding, and read with the stride. `conv_transpose.weight_grad` has the order of the sums. If there
are few weights, threads sum several blocks at once, each into a separate array; the order of the sums does not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from upsample.arrays import NDArray
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose.grad_kernels import correlate_units
from upsample.engines.cpu.conv_transpose.input_grad import Rows
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS
from upsample.engines.cpu.runtime.machine import L2_BYTES
from upsample.engines.cpu.runtime.simd_copy import transpose
from upsample.engines.cpu.runtime.window_grid import AXIS
from upsample.plans.cell_blocks import CellBlocks

__all__ = ["Gemm"]

_CELLS = 1 << 7
"""Most cells per unit."""
_TAPS = 1 << 9
"""Least taps of all channels of a part, because each part transposes the cells again."""
_PATCHES = 1 << 18
"""Elements of the output gradient that are copied at once (im2col)."""
_SUMS = L2_BYTES // 4
"""Sums of a part, of 4 bytes mostly; they stay in the L2 cache."""
_MOST_SUMS = 1 << 23
"""Sums of all parts, in elements, that are accumulated in one round."""
_LANES = 8
"""Sums of parts and blocks that threads make at once, so that eight threads find work if there are few parts."""
_WORK = 1 << 29
"""Most products between two looks whether the call was stopped: about 10 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sizes:
    """Sizes of the scratch arrays. A sheet is the last two axes of an image.

    Attributes
    ----------
    sheets, down, across : int
        Most sheets, rows of a sheet and cells of a row per unit.
    columns, pitch : int
        Inputs in whole vectors, and the distance from cell to cell when they are transposed.
    channels, taps : int
        Output channels of a part, and taps of the last axis but one whose values are copied at once.
    line, patches : int
        Values of a copied row, with the gap between rows, and of all rows of a unit.
    """

    sheets: int
    down: int
    across: int
    columns: int
    pitch: int
    channels: int
    taps: int
    line: int
    patches: int

    @property
    def cells(self) -> int:
        """Most cells of a unit."""
        return self.sheets * self.down * self.across

    def sums(self, taps: int) -> int:
        """Elements of a part's sums, and a row that spare rows of tiles add to."""
        return (self.channels * taps + 1) * self.pitch


def _sizes(rows: Rows, inputs: int, outputs: int, itemsize: int) -> _Sizes:
    y, x = (list(map(int, rows.grid[at : at + AXIS])) for at in (len(rows.grid) - 2 * AXIS, len(rows.grid) - AXIS))
    height, width, lanes = y[1], x[1], BITS // (8 * itemsize)
    columns = -(-inputs // lanes) * lanes
    pitch = (-(-columns * itemsize // 64) | 1) * 64 // itemsize  # an odd number of cache lines: rows share no set
    across, down = min(width, _CELLS), min(height, max(1, _CELLS // width))
    sheets = max(1, _CELLS // (height * width))
    parts = max(1, min(outputs, outputs * rows.taps // _TAPS))
    longest = rows.taps * columns * sheets * down * across
    channels = max(1, min(-(-outputs // parts), _SUMS // (rows.taps * pitch), _WORK // longest))
    line, taps = ((across - 1) * x[3] + (x[2] - 1) * x[5] + 1) | 1, y[2]

    def patches() -> int:
        return sheets * min((down - 1) * y[3] + (taps - 1) * y[5] + 1, down * taps) * channels * line

    while patches() > _PATCHES and taps > 1:
        taps = -(-taps // 2)
    while patches() > _PATCHES and channels > 1:
        channels = -(-channels // 2)
    return _Sizes(sheets, down, across, columns, pitch, channels, taps, line, patches())


class Gemm:
    """One call; its arguments are those of `weight_grad_dots.Dots`."""

    def __init__(
        self,
        rows: Rows,
        blocks: CellBlocks,
        shape: tuple[int, ...],
        cells: NDArray,
        planes: NDArray,
        channels: tuple[int, int, int],
    ) -> None:
        self._rows, self._blocks, self._shape = rows, blocks, shape
        self._cells, self._planes, self._channels = cells, planes, channels
        self._sizes = _sizes(rows, *channels[1:], cells.itemsize)

    def add(self, numbers: range, made: NDArray) -> None:
        """Set ``made [groups, inputs, outputs * taps]`` to the sums of some blocks, added block by block."""
        groups, _, outputs = self._channels
        every = [(group, begin) for group in range(groups) for begin in range(0, outputs, self._sizes.channels)]
        lanes = min(-(-_LANES // len(every)), len(numbers) - 1)
        some = max(1, _MOST_SUMS // ((lanes + 1) * self._sizes.sums(self._rows.taps)))
        for first in range(0, len(every), some):
            self._add_parts(every[first : first + some], numbers, lanes, made)

    def _add_parts(self, parts: list[tuple[int, int]], numbers: range, lanes: int, made: NDArray) -> None:
        """Make some parts: each a group, and its channels from one on."""
        sums = np.empty((lanes + 1, len(parts), self._sizes.sums(self._rows.taps)), dtype=made.dtype)  # first: totals
        at, begin = numbers.start, 0
        while at < numbers.stop:
            count = min(lanes + 1 - begin, numbers.stop - at)
            units = [self._units(number) for number in range(at, at + count)]

            def add(job: int, units: list[NDArray] = units, begin: int = begin) -> None:
                lane, part = divmod(job, len(parts))
                target = sums[begin + lane, part]
                target[:] = 0
                self._add_units(*parts[part], units[lane], target)

            def fold(part: int, lanes: range = range(max(begin, 1), begin + count)) -> None:
                for lane in lanes:
                    sums[0, part] += sums[lane, part]

            threads.each_block(add, count * len(parts))
            threads.each_block(fold, len(parts))
            at, begin = at + count, 1
        threads.each_block(lambda part: self._store(*parts[part], sums[0, part], made), len(parts))

    def _units(self, number: int) -> NDArray:
        """Return the units of a block: sheets from and to, rows from and to, and cells of each from and to."""
        sizes, shape, box = self._sizes, self._shape, self._blocks.box(self._shape, number)
        if len(shape) == 2:  # a row is a sheet
            shape, box = (shape[0], 1, shape[1]), (box[0], (0, 1), box[1])
        *leads, (top, bottom), (left, right) = box
        sheet0 = int(np.ravel_multi_index([begin for begin, _ in leads], shape[:-2]))
        sheet1 = sheet0 + math.prod(end - begin for begin, end in leads)
        across = -(-(right - left) // -(-(right - left) // sizes.across))  # pieces of a row are even
        units = [
            (sheet, min(sheet + sizes.sheets, sheet1), row, min(row + sizes.down, bottom), x, min(x + across, right))
            for sheet in range(sheet0, sheet1, sizes.sheets)
            for row in range(top, bottom, sizes.down)
            for x in range(left, right, across)
        ]
        return frozen(np.asarray(units, dtype=np.int64))

    def _add_units(self, group: int, begin: int, units: NDArray, sums: NDArray) -> None:
        """Add a part's products of some units."""
        rows, sizes, (groups, inputs, outputs) = self._rows, self._sizes, self._channels
        area, channels = rows.lines * rows.width, min(sizes.channels, outputs - begin)
        places = (
            *((group * outputs + begin) * rows.positions, groups * outputs * rows.positions),
            *(group * inputs * area, groups * inputs * area),
        )
        numbers = (channels, inputs, sizes.columns, sizes.pitch, sizes.line, sizes.taps)
        transposed = np.zeros(sizes.cells * sizes.pitch, dtype=sums.dtype)
        lists = np.empty(2 * (channels * int(rows.grid[-AXIS + 2]) + ROWS + sizes.cells), dtype=np.int64)
        patches = np.empty(sizes.patches, dtype=sums.dtype)
        step = max(1, _WORK // (sizes.cells * sizes.columns * channels * rows.taps))
        for first in range(0, len(units), step):
            threads.check_cancelled()
            some = units[first : first + step]
            correlate_units(
                self._planes, self._cells, places, numbers, rows.grid, some, transposed, patches, lists, sums
            )

    def _store(self, group: int, begin: int, sums: NDArray, made: NDArray) -> None:
        """Transpose the sums of a part."""
        _, inputs, outputs = self._channels
        count = min(self._sizes.channels, outputs - begin) * self._rows.taps
        target = made[group].reshape(-1)
        transpose(frozen(sums), 0, self._sizes.pitch, count, inputs, target, begin * self._rows.taps, made.shape[2])
