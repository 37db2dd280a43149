"""Weight gradient by dot products, for groups of few input channels.

Each tap's values of the output gradient are copied into a row (im2col), one for each channel, and multiplied by the
cells of each input. `conv_transpose.weight_grad` has the order of the sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from upsample.arrays import NDArray
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose.grad_kernels import correlate_rows, lay_out
from upsample.engines.cpu.conv_transpose.input_grad import Rows
from upsample.engines.cpu.runtime.compile import frozen
from upsample.plans.cell_blocks import CellBlocks

__all__ = ["Dots"]

_LAID = 1 << 18
"""Elements of the output gradient that are copied into rows (im2col) at once; a unit has no more cells for one tap."""
_SUMS = 1 << 20
"""Most sums of all blocks that are made in one round, in elements."""


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """One call.

    Attributes
    ----------
    rows : Rows
        Of the plan.
    blocks, shape : CellBlocks, tuple of int
        How cells ``[N, *small]`` are cut, and their shape.
    cells, planes : array
        The input and the output gradient, flat.
    channels : tuple of int
        Groups, input channels of a group, output channels of a group.
    """

    rows: Rows
    blocks: CellBlocks
    shape: tuple[int, ...]
    cells: NDArray
    planes: NDArray
    channels: tuple[int, int, int]

    def add(self, numbers: range, made: NDArray) -> None:
        """Add the sums of some blocks to ``made [groups, inputs, outputs * taps]``, block by block."""
        groups, _, outputs = self.channels
        step = max(1, min(outputs, _LAID // (self.rows.taps * self.unit)))
        parts = -(-outputs // step)
        at_once = max(1, min(len(numbers), _SUMS // made.size))
        for first in range(numbers.start, numbers.stop, at_once):
            some = range(first, min(first + at_once, numbers.stop))
            sums, units = np.zeros((len(some), *made.shape), dtype=made.dtype), [self.units(n) for n in some]

            def add_part(job: int, units: list[list[tuple[int, NDArray]]] = units, sums: NDArray = sums) -> None:
                number, (group, part) = job // (groups * parts), divmod(job % (groups * parts), parts)
                channels = range(part * step, min((part + 1) * step, outputs))
                self.add_block(units[number], group, channels, sums[number, group])

            threads.each_block(add_part, len(some) * groups * parts)
            for block in sums:
                made += block

    @property
    def unit(self) -> int:
        """Most cells of a unit."""
        return max(1, min(_LAID // self.rows.taps, self.blocks.cells(self.shape)))

    def units(self, number: int) -> list[tuple[int, NDArray]]:
        """Return the units of a block: the image, and rows of cells from and to, and cells of each from and to."""
        (image, end), *box = self.blocks.box(self.shape, number)
        *lead, (cell0, cell1) = box
        row0, row1 = 0, math.prod(stop - start for start, stop in lead)
        for n, (start, _) in zip(self.shape[1:-1], lead, strict=True):
            row0 = row0 * n + start
        row1 += row0
        width, most = cell1 - cell0, self.unit
        down, across = max(1, most // width), min(width, most)
        cuts = [
            (row, min(row + down, row1), cell, min(cell + across, cell1))
            for row in range(row0, row1, down)
            for cell in range(cell0, cell1, across)
        ]
        some = frozen(np.asarray(cuts, dtype=np.int64))
        return [(n, cut) for n in range(image, end) for cut in some]

    def add_block(self, units: list[tuple[int, NDArray]], group: int, channels: range, sums: NDArray) -> None:
        """Add the products of a block and some channels of a group to ``sums [inputs, outputs * taps]``, unit by
        unit.
        """
        rows, (groups, inputs, outputs), taps = self.rows, self.channels, len(channels) * self.rows.taps
        cells = self.cells.reshape(-1, groups, inputs, rows.lines, rows.width)
        patches, target = np.empty(taps * self.unit, dtype=sums.dtype), sums.reshape(-1)
        where = (channels.start * rows.taps, sums.shape[1])
        for image, cut in units:
            threads.check_cancelled()
            row0, row1, cell0, cell1 = cut.tolist()
            part = np.ascontiguousarray(cells[image, group, :, row0:row1, cell0:cell1]).reshape(-1)
            first, size = ((image * groups + group) * outputs + channels.start) * rows.positions, len(part) // inputs
            lay_out(self.planes, first, rows.positions, len(channels), rows.grid, cut, size, patches)
            correlate_rows(frozen(part), frozen(patches), taps, size, where, target)
