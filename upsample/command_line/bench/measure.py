"""Check, then time: every rival and then we, A, B, A, B, in rounds; a ratio is the median of the rounds' ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import upsample
from upsample.command_line.bench.cases import Case
from upsample.command_line.bench.devices import Device
from upsample.command_line.bench.rivals import Rival, rivals

__all__ = ["Row", "Timing", "measure"]

SHORT = 2e-3
"""A timed sample lasts at least so many seconds; a call that takes less is repeated."""
PATIENCE = 1.6
"""Seconds that the rounds of a case may take together."""
SLOW = 0.4
"""A rival that takes longer is timed once, in the call that its result is checked with."""
FEWEST, MOST = 3, 15
"""Rounds."""
LEVELS = 2.0
"""By how much results in uint8 may differ: both axes round, and OpenCV's weights have 11 bits."""
ROUNDINGS = 256
"""Sums of up to some thousand products, and coordinates that torch rounds to float32."""


@dataclass(slots=True)
class Timing:
    """Somebody's call: seconds of each round, and how the result compares with ours.

    Attributes
    ----------
    same : bool
        Whether it should be the same, but for rounding.
    off : str or None
        How it is not, in words; then nothing was timed.
    fault : str or None
        What the call raised instead.
    once : bool
        Timed once, since it takes long.
    """

    call: Callable[[], Any]
    same: bool
    off: str | None = None
    fault: str | None = None
    once: bool = False
    calls: int = 1
    rounds: list[float] = field(default_factory=list)

    @property
    def is_timed(self) -> bool:
        """Whether there is something to show."""
        return self.off is None and self.fault is None

    @property
    def seconds(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)

    def ratio(self, ours: Timing) -> float:
        """How much longer it takes than ours: the median of the rounds' ratios."""
        if self.once:
            return self.rounds[0] / ours.seconds
        return statistics.median(a / b for a, b in zip(self.rounds, ours.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """A case that was measured.

    Attributes
    ----------
    engine : str
        The engine that ran it.
    moved : int
        Bytes of input and output.
    off : str or None
        How our result differs from the portable engine's.
    ours, rivals : Timing, mapping of str to Timing
        The times; a copy of `moved` bytes is among the rivals.
    """

    case: Case
    engine: str
    moved: int
    off: str | None
    ours: Timing
    rivals: Mapping[str, Timing]

    @property
    def wrong(self) -> dict[str, str]:
        """Whose result differs, and how."""
        found = {name: t.off for name, t in self.rivals.items() if t.off is not None}
        return found if self.off is None else {"the portable engine": self.off, **found}


def measure(case: Case, device: Device, size: str, engine: str | None) -> Row | None:
    """Measure a case.

    Parameters
    ----------
    case : Case
        What to run.
    device : Device
        Where.
    size : str
        Which of `upsample.command_line.bench.cases.SIZES`; with "quick" there is one round.
    engine : str or None
        Forces an engine.

    Returns
    -------
    Row or None
        None where the engine asked for cannot run this case.
    """
    host, options = case.arrays(size), case.given(size)
    inputs = tuple(map(device.array, host))
    try:
        chosen = upsample.explain(case.ours, *inputs, **options, engine=engine).engine
    except ValueError:  # only the engine can be at fault
        return None
    call = _ours(case, inputs, options, engine)
    results = [device.numpy(y) for y in _arrays(call())]
    wanted = [device.numpy(y) for y in _arrays(_ours(case, inputs, options, "portable")())]
    off = _difference(results, wanted, True)
    others = {r.name: _checked(r, device, results) for r in rivals(case, device, inputs, options)}
    moved = sum(x.nbytes for x in (*host, *results))
    others["copy"] = Timing(device.copying(moved), True)
    ours = Timing(call, True)
    _rounds(device, ours, [t for t in others.values() if t.is_timed and not t.once], size == "quick")
    return Row(case, chosen, moved, off, ours, others)


def _ours(case: Case, inputs: tuple[Any, ...], options: dict[str, Any], engine: str | None) -> Callable[[], Any]:
    if not case.gradient:
        return partial(case.ours, *inputs, **options, engine=engine)
    output, pullback = upsample.vjp(case.ours, *inputs, **options, engine=engine)
    result = output[0] if isinstance(output, tuple) else output
    return partial(pullback, result * 0 + 1)


def _arrays(result: Any) -> list[Any]:
    return [part for part in (result if isinstance(result, tuple) else (result,)) if part is not None]


def _checked(rival: Rival, device: Device, ours: list[NDArray[Any]]) -> Timing:
    """Compare a rival's result with ours, in the call that also tells whether it is slow."""
    got: list[Any] = []
    timing = Timing(rival.call, rival.same)
    try:
        lasted = device.seconds(lambda: got.append(rival.call()), 1)
        timing.off = _difference(ours, [device.numpy(y) for y in rival.read(got[0])], rival.same)
    except Exception as error:  # another library may lack a kernel, or memory
        timing.fault = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return timing
    if lasted > SLOW and rival.name != "torch":
        timing.once, timing.rounds = True, [lasted]
    return timing


def _difference(ours: list[NDArray[Any]], theirs: list[NDArray[Any]], same: bool) -> str | None:
    """None, or in words how results differ by more than roundings; other kernels of one name agree on average."""
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return f"its shape is {b.shape}, ours {a.shape}"
        off = np.abs(a.astype(np.float32) - b.astype(np.float32))
        scale = max(1.0, float(np.abs(a).max()))
        limit = LEVELS if a.dtype == np.uint8 else ROUNDINGS * float(np.finfo(np.float32).eps) * scale
        worst, limit = (float(off.max()), limit) if same else (float(off.mean()), 0.2 * scale)
        if not worst <= limit:
            return f"off by {worst:.3g}, allowed {limit:.3g}"
    return None


def _rounds(device: Device, ours: Timing, others: list[Timing], quick: bool) -> None:
    everyone = [*others, ours]
    whole = 0.0
    for timing in everyone:
        device.settle()
        lasts = device.seconds(timing.call, 1)
        timing.calls = 1 if quick else max(1, round(SHORT / max(lasts, 1e-7)))
        whole += max(lasts, SHORT)
    count = 1 if quick else max(FEWEST, min(MOST, round(PATIENCE / (2 * whole))))
    for _ in range(count):
        for timing in everyone:
            device.settle()
            device.seconds(timing.call, timing.calls)
            timing.rounds.append(device.seconds(timing.call, timing.calls))
