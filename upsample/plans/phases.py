"""Phases: positions of the large side with the same taps, because they have one remainder modulo the stride."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from upsample.caches import cached
from upsample.plans.window import WindowAxis

__all__ = ["Phase", "phases"]


@dataclass(frozen=True, slots=True)
class Phase:
    """The positions of the large side that leave one rest when divided by the stride.

    Position ``start + stride * j`` of the output, for ``j`` in ``[0, count)``, receives tap ``taps[t]`` of cell
    ``j + cells[t]``, for each ``t``; outside ``[0, small)``, the cell does not exist. Cells ascend, so
    that the last one that fits is the last in row-major order.
    """

    start: int
    count: int
    taps: tuple[int, ...]
    cells: tuple[int, ...]


@cached
def phases(axis: WindowAxis) -> tuple[Phase, ...]:
    """Split the large side by the rest modulo the stride: within a phase, every position has the same taps."""
    return tuple(_phases(axis))


def _phases(axis: WindowAxis) -> Iterator[Phase]:
    common = math.gcd(axis.dilation, axis.stride)
    apart = axis.stride // common  # between the taps of one phase
    useful = axis.useful_taps()
    for start in range(min(axis.stride, axis.large)):
        count = -(-(axis.large - start) // axis.stride)
        # start + stride * j = stride * i - padding + tap * dilation, solved for tap (modulo the stride) and i - j
        offset = start + axis.padding
        taps: tuple[int, ...] = ()
        if offset % common == 0:
            one = offset // common * pow(axis.dilation // common, -1, apart) % apart if apart > 1 else 0
            begin = useful.start + (one - useful.start) % apart
            taps = tuple(reversed(range(begin, useful.stop, apart)))
        yield Phase(start, count, taps, tuple((offset - tap * axis.dilation) // axis.stride for tap in taps))
