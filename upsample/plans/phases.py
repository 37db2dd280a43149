"""Polyphase decomposition: positions of the large side with equal remainders modulo the stride have equal taps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from upsample.caches import cached
from upsample.plans.window import WindowAxis

__all__ = ["Phase", "phases"]


@dataclass(frozen=True, slots=True)
class Phase:
    """The positions of the large side that have one remainder modulo the stride.

    For each ``t``, position ``start + stride * j`` of the output, for ``j`` in ``[0, count)``, receives tap ``taps[t]``
    of cell ``j + cells[t]``. Cells outside ``[0, small)`` do not exist. Cells ascend, so that the last existing one is
    the last in row-major order.
    """

    start: int
    count: int
    taps: tuple[int, ...]
    cells: tuple[int, ...]


@cached
def phases(axis: WindowAxis) -> tuple[Phase, ...]:
    """Return the phases of an axis, one for each remainder modulo the stride."""
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
