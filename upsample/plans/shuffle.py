"""The plan of a pixel shuffle: the axes to split, move and join.

Space is finer than depth by a factor r on both of its axes; a channel of the coarse side holds one place (i, j) of the
r × r block of each fine channel c. Two orders are in use::

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
        """Return the plan that undoes this one, for what was made of an array of `shape`."""
        moved = tuple(self.split[axis] for axis in self.order)
        back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return ShufflePlan(moved, back, shape)

    def over(self, count: int) -> ShufflePlan:
        """Return the plan that does the same to each of `count` arrays, which are one with a leading axis."""
        return ShufflePlan((count * self.split[0], *self.split[1:]), self.order, (count, *self.shape))

    @property
    def moves_nothing(self) -> bool:
        """Whether elements stay in the order in which they lie."""
        kept = [axis for axis in self.order if self.split[axis] != 1]
        return kept == sorted(kept) or 0 in self.split


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
