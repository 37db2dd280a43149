"""Blocks of cells, which fix the order of a sum over the cells of a batch.

The gradient of a weight or a bias is a sum over the cells of all images. Engines sum each block of cells, and then add
the sums of the blocks in row-major order. Blocks depend on the plan alone, not on threads, channels, or the chunks of
an array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["CellBlocks", "sums_of_bias", "sums_of_weights"]

_Range: TypeAlias = tuple[int, int]

_CELLS = 1 << 13
"""Most cells per block of the gradient of a weight."""
_POSITIONS = 1 << 16
"""Most positions per block of the gradient of a bias; NumPy sums them pairwise."""


@dataclass(frozen=True, slots=True)
class CellBlocks:
    """Boxes of cells ``[N, *small]``: they span the axes after `axis`, and have one index on the axes before it.

    Attributes
    ----------
    axis : int
        The axis that is divided; 0 is the batch.
    step : int
        Extent of a box along that axis; the last box of the axis may be shorter.
    """

    axis: int
    step: int

    @classmethod
    def of(cls, small: tuple[int, ...], cells: int) -> CellBlocks:
        """Return the largest boxes of at most `cells` cells; small images share a box."""
        inner = 1
        for axis in range(len(small), 0, -1):
            if inner * small[axis - 1] > cells:
                return cls(axis, max(1, cells // inner))
            inner *= small[axis - 1]
        return cls(0, max(1, cells // max(inner, 1)))

    def cells(self, shape: tuple[int, ...]) -> int:
        """Return the number of cells of the largest box, for cells of this shape."""
        return min(self.step, shape[self.axis]) * math.prod(shape[self.axis + 1 :])

    def pieces(self, shape: tuple[int, ...]) -> int:
        """Return the number of boxes along the axis, for cells of this shape."""
        return -(-shape[self.axis] // self.step)

    def count(self, shape: tuple[int, ...]) -> int:
        """Return the number of boxes, for cells of this shape."""
        return math.prod(shape[: self.axis]) * self.pieces(shape)

    def box(self, shape: tuple[int, ...], number: int) -> tuple[_Range, ...]:
        """Return the ranges of a box, by its number in row-major order."""
        before, piece = divmod(number, self.pieces(shape))
        begin = piece * self.step
        ranges: list[_Range] = [(begin, min(begin + self.step, shape[self.axis]))]
        for n in reversed(shape[: self.axis]):
            before, place = divmod(before, n)
            ranges.insert(0, (place, place + 1))
        return (*ranges, *((0, n) for n in shape[self.axis + 1 :]))


def sums_of_weights(small: tuple[int, ...]) -> CellBlocks:
    """Return the blocks of cells for the gradient of the weight."""
    return CellBlocks.of(small, _CELLS)


def sums_of_bias(large: tuple[int, ...]) -> CellBlocks:
    """Return the blocks of positions for the gradient of the bias."""
    return CellBlocks.of(large, _POSITIONS)
