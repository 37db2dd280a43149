"""The transpose of transposed convolution by its weight: what the taps meet is laid out in rows, times the cells.

The sums run over images and blocks of cells in one order, whatever the number of threads: each block has taps of its
own, or, where taps are few, images and cells of its own, whose sums are added at last. Cells go in rounds, so that a
thread is never long at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.copies import converted
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv import FEW_CHANNELS, Rows, cuts, rows_of
from upsample.engines.cpu.conv_kernels import correlate_rows, correlate_units, lay_out, turn
from upsample.engines.cpu.tile import BITS, ROWS
from upsample.plans.window import SpreadPlan

__all__ = ["run"]

_A = np.ndarray[Any, Any]

_LAID = 1 << 16
"""Elements that are laid out at once."""
_CELLS = 1 << 8
"""Cells that are laid out at once, about."""
_TURNED = 1 << 21
"""Elements of the cells of a round, which lie in memory by cells, not by channels."""
_LEAST_BLOCKS = 8
"""Blocks that are made in a round for any number of threads, which add to sums of their own where taps are few."""
_SUMS = 1 << 20
"""Elements of such sums at most, about."""
_WORK = 1 << 27
"""Products that a thread adds up in a round at most, about."""


def _padded(size: int, itemsize: int) -> int:
    """The next size that makes whole vectors."""
    lanes = BITS // (8 * itemsize)
    return -(-size // lanes) * lanes


def _apart(columns: int, itemsize: int) -> int:
    """From a row of so many columns to the next: an odd number of cache lines, so that rows do not share a set."""
    return (-(-columns * itemsize // 64) | 1) * 64 // itemsize


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
            flat = frozen(converted(cells, dtype)).reshape(-1, groups, inputs, rows.lines, rows.width)
            planes = frozen(converted(source, dtype)).reshape(-1)
        few = inputs <= FEW_CHANNELS
        products = _WORK // (rows.taps * _padded(inputs, made.itemsize))
        size = (
            4 * _LAID // (each * rows.taps)
            if few
            else min(max(_CELLS, _LAID // (rows.taps * min(each, 8))), products, 16 * _LAID // rows.taps)
        )
        work = _Work(rows, flat, planes, made, each, cuts(rows, max(1, size)))
        if few:
            work.dot()
        else:
            work.multiply()
    with np.errstate(over="ignore"):
        return made.reshape(groups * inputs, each, *plan.kernel_shape).astype(cells.dtype, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call: ``cells [images, groups, inputs, rows, width]``, ``made [groups, inputs, channels * taps]``."""

    rows: Rows
    cells: _A
    planes: _A
    made: _A
    each: int
    some: _A

    def rounds(self, each: int) -> Iterator[_A]:
        """Yield so many units at a time, in one order: of each the image and its cut."""
        units = [(image, *cut) for image in range(len(self.cells)) for cut in self.some]
        for begin in range(0, len(units), each):
            yield np.asarray(units[begin : begin + each], dtype=np.int64)

    def of(self, unit: _A, group: int) -> _A:
        """The cells of a unit: ``[inputs, cells]``."""
        return self.cells[unit[0], group, :, unit[1] : unit[2], unit[3] : unit[4]].reshape(self.made.shape[1], -1)

    def dot(self) -> None:
        """Make all by compiled loops."""
        rows, (groups, inputs, taps) = self.rows, self.made.shape
        longest = int(((self.some[:, 1] - self.some[:, 0]) * (self.some[:, 3] - self.some[:, 2])).max())
        for units in self.rounds(max(1, _WORK // (inputs * taps * longest))):

            def group_of(group: int, units: _A = units) -> None:
                for unit in units:
                    part = np.ascontiguousarray(self.of(unit, group))
                    size = part.shape[1]
                    met = np.empty(taps * size, dtype=self.made.dtype)
                    first = (unit[0] * groups + group) * self.each * rows.positions
                    lay_out(self.planes, first, rows.positions, self.each, rows.grid, frozen(unit[1:]), size, met)
                    sums = self.made[group].reshape(-1)
                    correlate_rows(frozen(part).reshape(-1), frozen(met), taps, size, sums)

            threads.each_block(group_of, groups)

    def multiply(self) -> None:
        """Make all by products."""
        rows, (groups, inputs, taps) = self.rows, self.made.shape
        longest = int(((self.some[:, 1] - self.some[:, 0]) * (self.some[:, 3] - self.some[:, 2])).max())
        columns = _padded(inputs, self.made.itemsize)
        pitch = _apart(columns, self.made.itemsize)
        most = min(_LAID // longest, 2 * _LAID // columns)  # rows that stay in the cache, laid out and summed
        channels = max(1, min(most // rows.taps, self.each))
        parts = -(-self.each // channels)
        splits = max(1, min(_LEAST_BLOCKS // (groups * parts), _SUMS // (groups * taps * pitch)))
        tiled = -(-channels * rows.taps // ROWS) * ROWS
        sums = np.zeros((splits, groups, parts, tiled, pitch), dtype=self.made.dtype)
        most = min(_TURNED // (longest * pitch * groups), splits * _WORK // (longest * columns * channels * rows.taps))
        flat = self.cells.reshape(-1)
        for units in self.rounds(max(1, most)):
            turned = np.zeros((groups, len(units), longest, pitch), dtype=self.made.dtype)
            plane = units.copy()
            plane[:, 0] *= groups * self.each * rows.positions
            placed, given = frozen(plane), frozen(turned)

            def lay(number: int, units: _A = units, turned: _A = turned) -> None:
                image, cut = units[number, 0], frozen(units[number, 1:])
                positions = rows.lines * rows.width
                for group in range(groups):
                    place = (image * groups + group) * inputs * positions
                    turn(flat, place, positions, inputs, cut, rows.width, pitch, turned[group, number].reshape(-1))

            def add(number: int, units: _A = placed, turned: _A = given) -> None:
                split, group, part = number // parts // groups, number // parts % groups, number % parts
                some = slice(split * len(units) // splits, (split + 1) * len(units) // splits)
                begin = part * channels
                place = (group * self.each + begin) * rows.positions
                sizes = (rows.positions, min(channels, self.each - begin), rows.taps, columns, pitch, longest)
                target = sums[split, group, part].reshape(-1)
                met = np.zeros(tiled * longest, dtype=sums.dtype)
                cells = turned[group, some].reshape(-1)
                correlate_units(self.planes, place, sizes, rows.grid, units[some], cells, met, target)

            threads.each_block(lay, len(units))
            threads.each_block(add, splits * groups * parts)
        self.gather(sums, channels * rows.taps)

    def gather(self, sums: _A, most: int) -> None:
        """Add the sums of all splits up, and turn them, a part of so many rows at a time."""
        groups, inputs, taps = self.made.shape
        parts, pitch, cut = sums.shape[2], sums.shape[-1], frozen(np.array([0, 1, 0, inputs]))

        def part(number: int) -> None:
            group, begin = number // parts, number % parts * most
            some = sums[:, group, number % parts, : min(most, taps - begin)]
            with np.errstate(invalid="ignore", over="ignore"):
                for more in some[1:]:
                    some[0] += more
            target = self.made[group].reshape(-1)[begin:]
            turn(frozen(some[0]).reshape(-1), 0, pitch, len(some[0]), cut, inputs, taps, target)

        threads.each_block(part, groups * parts)
