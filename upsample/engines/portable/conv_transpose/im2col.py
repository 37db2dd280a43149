"""Im2col: copy the values at the taps of a convolution into the columns of matrix products.

The taps of all axes but the first are laid out beside each other. Of the first axis there is one copy for each
remainder of a position by the stride: the tap that meets a row further on reads the same copy from a row further on.
Images go one at a time, and large planes in parts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from upsample.engines.portable.blocks import cut_cells
from upsample.engines.portable.phases import shifted
from upsample.plans.window import ConvTransposePlan

__all__ = ["Columns"]

_LAID_BYTES = 1 << 24
"""Bytes of gathered cells (im2col) from which planes are cut, to keep Ctrl-C responsive."""
_MULTIPLICATIONS = 1 << 31
"""Most multiplications of one NumPy call, to keep Ctrl-C responsive."""
_FEW_CELLS = 64
"""Cells of a part at least: fewer wait for the weight."""

_Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The layout of a plan.

    Attributes
    ----------
    plan : ConvTransposePlan
        With a cell and a useful tap on each axis.
    useful : tuple of range
        For each axis the taps that meet a position.
    """

    plan: ConvTransposePlan
    useful: tuple[range, ...]

    @classmethod
    def of(cls, plan: ConvTransposePlan) -> Columns | None:
        """Lay a plan out; None where no tap meets anything."""
        useful = tuple(axis.useful_taps() for axis in plan.axes)
        return cls(plan, useful) if all(useful) else None

    @property
    def copies(self) -> int:
        """How many times a position is laid out, at most."""
        first, others = self.plan.axes[0], math.prod(map(len, self.useful[1:]))
        remainders = min(len(self.useful[0]), first.stride // math.gcd(first.stride, first.dilation))
        return max(others * remainders, math.prod(axis.stride for axis in self.plan.axes))

    def blocks(self, batch: int, channels: int, outputs: int) -> Iterator[tuple[_Key, _Key, Columns]]:
        """Cut images of `channels` on the small side and `outputs` on the large one, which bounds the temporaries.

        Each block has its cells of the small side, the positions of the large side that they read, and their layout.
        All keep the same useful taps, so that they meet the same factors.
        """
        laid, others = outputs * self.copies, math.prod(map(len, self.useful[1:]))
        product = channels * others * outputs // self.plan.groups
        most = max(min(_LAID_BYTES // max(1, 4 * laid), _MULTIPLICATIONS // max(1, product)), _FEW_CELLS)
        parts = [
            (part.cells, part.positions, Columns(replace(self.plan, axes=part.axes), self.useful))
            for part in cut_cells(self.plan.axes, most)
        ]
        for n, (cells, positions, columns) in itertools.product(range(batch), parts):
            image = (slice(n, n + 1), slice(None))
            yield (*image, *cells), (*image, *positions), columns

    def taps(self, xp: ModuleType, y: Any) -> Iterator[tuple[int, Any]]:
        """For ``y [N, M, *large]`` yield each useful tap of the first axis, and what it meets.

        That is ``[N, groups, other taps × M / groups, cells]``, a view of what is laid out where the library has views.
        """
        first, *rest = self.plan.axes
        places = [divmod(tap * first.dilation - first.padding, first.stride) for tap in self.useful[0]]
        low, high = places[0][0], places[-1][0]
        remainders = sorted({remainder for _, remainder in places})
        moves = [(low * first.stride, (high - low + first.small) * first.stride)]
        keys = [[slice(remainder, None, first.stride) for remainder in remainders]]
        for axis, useful in zip(rest, self.useful[1:], strict=True):
            begin = useful.start * axis.dilation - axis.padding
            extent = (axis.small - 1) * axis.stride + 1
            moves.append((begin, extent + (len(useful) - 1) * axis.dilation))
            starts = (place * axis.dilation for place in range(len(useful)))
            keys.append([slice(start, start + extent, axis.stride) for start in starts])
        padded = shifted(xp, xp.reshape(y, (y.shape[0], self.plan.groups, -1, *y.shape[2:])), moves)
        stacked = xp.stack([padded[(..., *key)] for key in itertools.product(*keys)], axis=2)
        cells = math.prod(axis.small for axis in rest)
        others = math.prod(map(len, self.useful[1:]))
        split = xp.reshape(
            stacked, (*stacked.shape[:2], len(remainders), others, *stacked.shape[3:])
        )  # as Dask needs it
        lead, last = split.shape[:3], (high - low + first.small) * cells
        laid = xp.reshape(split, (*lead, others * split.shape[4], last))
        for tap, (row, remainder) in zip(self.useful[0], places, strict=True):
            begin = (row - low) * cells
            yield tap, laid[:, :, remainders.index(remainder), :, begin : begin + first.small * cells]
