"""Tables of the cells that each position sums, for transposed convolution and for its input gradient."""

from __future__ import annotations

from typing import NamedTuple

from upsample.caches import cached
from upsample.engines.cuda.runtime.windows import three
from upsample.plans.phases import Phase, phases
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["Axis", "axes_of"]


class Axis(NamedTuple):
    """One axis of a sum of what taps reach.

    Attributes
    ----------
    result, source : int
        Positions, and cells.
    step : int
        From a position of a phase to its next one.
    jump : int
        From a position's first cell to that of the next position of its phase.
    kernel : int
        Taps.
    phases : tuple of Phase
        Positions of the same taps; tap ``taps[t]`` of position ``j`` reaches cell ``j * jump + cells[t]``.
    """

    result: int
    source: int
    step: int
    jump: int
    kernel: int
    phases: tuple[Phase, ...]

    @property
    def reach(self) -> int:
        """How far from a position's first cell a tap reaches, at most."""
        return max((abs(cell) for phase in self.phases for cell in phase.cells), default=0)


@cached
def axes_of(plan: ConvTransposePlan, task: str) -> tuple[Axis, ...]:
    """Return the axes of a task: of "conv_transpose" from the small to the large side, of the other back."""
    return tuple(_spread(axis) if task == "conv_transpose" else _gathered(axis) for axis in three(plan.axes))


def _spread(axis: WindowAxis) -> Axis:
    return Axis(axis.large, axis.small, axis.stride, 1, axis.kernel, phases(axis))


def _gathered(axis: WindowAxis) -> Axis:
    taps = tuple(axis.useful_taps())
    only = Phase(0, axis.small, taps, tuple(tap * axis.dilation - axis.padding for tap in taps))
    return Axis(axis.small, axis.large, 1, axis.stride, axis.kernel, (only,))
