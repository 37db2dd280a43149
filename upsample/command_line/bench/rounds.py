"""Time calls in alternation, A, B, A, B: a ratio is the median of the ratios of the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from upsample.command_line.bench.devices import Device

__all__ = ["SHORT", "Timing", "sample", "set_calls"]

SHORT = 2e-3
"""Seconds that one sample lasts at least: a shorter call is repeated."""


@dataclass(slots=True)
class Timing:
    """The call of one library: the seconds of each round, and how its result compares with ours.

    Attributes
    ----------
    same : bool
        Whether the result should equal ours except for rounding.
    off : str or None
        How the result differs, in words; then the call is not timed.
    fault : str or None
        The error that the call raised.
    once : bool
        Whether the call was timed once only, because it is slow.
    calls : int
        Calls in one sample.
    """

    call: Callable[[], Any]
    same: bool = True
    off: str | None = None
    fault: str | None = None
    once: bool = False
    calls: int = 1
    rounds: list[float] = field(default_factory=list)

    @property
    def is_timed(self) -> bool:
        """Whether there are seconds to show."""
        return self.off is None and self.fault is None

    @property
    def seconds(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)

    def ratio(self, ours: Timing) -> float:
        """Return how much longer it takes than ours: the median of the ratios of the rounds."""
        if self.once:
            return self.rounds[0] / ours.seconds
        return statistics.median(a / b for a, b in zip(self.rounds, ours.rounds, strict=True))


def set_calls(device: Device, timing: Timing) -> float:
    """Set how many calls one sample has; return the seconds of a sample."""
    device.settle()
    lasts = device.seconds(timing.call, 1)
    if lasts < SHORT:  # the first call may have made plans and tables
        lasts = device.seconds(timing.call, 3)
    timing.calls = max(1, round(SHORT / max(lasts, 1e-7)))
    return max(lasts, SHORT)


def sample(device: Device, timing: Timing, warm: int) -> None:
    """Time one sample, after at least `warm` calls that are not timed."""
    device.settle()
    device.seconds(timing.call, max(timing.calls, warm))
    timing.rounds.append(device.seconds(timing.call, timing.calls))
