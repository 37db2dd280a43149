"""The plan of a pixel shuffle: a reshape that splits axes, a permutation, and a reshape that joins axes.

The fine side has r times as many rows and columns as the coarse side. A coarse channel contains one element (i, j) of
the r × r block of a fine channel c. Libraries use two orders::

    CRD (torch)      coarse channel = (c * r + i) * r + j
    DCR (Chainer)    coarse channel = (i * r + j) * C + c
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ShufflePlan", "shuffle", "unshuffle"]


@dataclass(frozen=True, slots=True)
class ShufflePlan:
    """Reshape to `split`, permute by `order`, reshape to `shape`."""

    split: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def transpose(self, shape: tuple[int, ...]) -> ShufflePlan:
        """Return the inverse plan, whose result has the shape `shape`."""
        moved = tuple(self.split[axis] for axis in self.order)
        back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return ShufflePlan(moved, back, shape)

    def over(self, count: int) -> ShufflePlan:
        """Return the plan for `count` arrays that are stacked along a new leading axis."""
        return ShufflePlan((count * self.split[0], *self.split[1:]), self.order, (count, *self.shape))

    @property
    def is_reshape(self) -> bool:
        """Whether the permutation keeps the row-major order of elements."""
        long_axes = [axis for axis in self.order if self.split[axis] != 1]
        return long_axes == sorted(long_axes) or 0 in self.split


def shuffle(shape: tuple[int, ...], factor: int, channel_first: bool) -> ShufflePlan:
    """Plan depth to space for ``[*, C r², H, W]``; `channel_first` is the order CRD, else DCR."""
    *lead, depth, height, width = shape
    batch, channels = math.prod(lead), depth // factor**2
    fine = (*lead, channels, height * factor, width * factor)
    if channel_first:
        return ShufflePlan((batch, channels, factor, factor, height, width), (0, 1, 4, 2, 5, 3), fine)
    return ShufflePlan((batch, factor, factor, channels, height, width), (0, 3, 4, 1, 5, 2), fine)


def unshuffle(shape: tuple[int, ...], factor: int, channel_first: bool) -> ShufflePlan:
    """Plan space to depth for ``[*, C, H r, W r]``; `channel_first` is the order CRD, else DCR."""
    *lead, channels, height, width = shape
    split = (math.prod(lead), channels, height // factor, factor, width // factor, factor)
    order = (0, 1, 3, 5, 2, 4) if channel_first else (0, 3, 5, 1, 2, 4)
    return ShufflePlan(split, order, (*lead, channels * factor**2, height // factor, width // factor))
