"""Check the results of a case, then time it beside its rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import upsample
from upsample.command_line.bench.cases import Case
from upsample.command_line.bench.devices import Device
from upsample.command_line.bench.difference import difference
from upsample.command_line.bench.rivals import Rival, rivals
from upsample.command_line.bench.rounds import Timing, sample, set_calls

__all__ = ["Row", "measure"]

PATIENCE = 1.6
"""Seconds that the rounds of one case take together."""
SLOW = 0.4
"""Seconds after which a rival is timed once only, in the call whose result is compared."""
FEWEST, MOST = 3, 15
"""Numbers of rounds."""
LEVELS = 2.0
"""Largest difference of uint8 results: both axes round, and the weights of OpenCV have 11 bits."""
ROUNDINGS = 256
"""Rounding errors of float results, in units of float32: sums of some thousand products, and torch's coordinates."""


@dataclass(frozen=True, slots=True)
class Row:
    """The measurements of a case.

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
        """The rivals whose results differ, and how."""
        found = {name: t.off for name, t in self.rivals.items() if t.off is not None}
        return found if self.off is None else {"the portable engine": self.off, **found}


def measure(case: Case, device: Device, size: str, engine: str | None) -> Row | None:
    """Measure a case.

    Parameters
    ----------
    case : Case
        The case to run.
    device : Device
        The device.
    size : str
        A key of `upsample.command_line.bench.cases.SIZES`; "quick" is one round.
    engine : str or None
        Forces an engine.

    Returns
    -------
    Row or None
        None if the forced engine cannot run this case.
    """
    host, options = case.arrays(size), case.given(size)
    inputs = tuple(map(device.array, host))
    try:
        chosen = upsample.explain(case.ours, *inputs, **options, engine=engine).engine
    except ValueError:  # only the engine can be wrong
        return None
    call = _ours(case, inputs, options, engine)
    results = [device.numpy(y) for y in _arrays(call())]
    wanted = [device.numpy(y) for y in _arrays(_ours(case, inputs, options, "portable")())]
    off = difference(results, wanted, "close", _allowed)
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
    """Compare the result of a rival with ours; that call also shows whether the rival is slow."""
    got: list[Any] = []
    timing = Timing(rival.call, rival.likeness != "family")
    try:
        lasted = device.seconds(lambda: got.append(rival.call()), 1)
        theirs = [device.numpy(y) for y in rival.read(got[0])]
        timing.off = difference(ours, theirs, rival.likeness, _allowed)
    except Exception as error:  # another library may lack a kernel, or memory
        timing.fault = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        return timing
    if lasted > SLOW and rival.name != "torch":
        timing.once, timing.rounds = True, [lasted]
    return timing


def _allowed(dtype: np.dtype[Any], scale: float) -> float:
    return LEVELS if dtype == np.uint8 else ROUNDINGS * float(np.finfo(np.float32).eps) * scale


def _rounds(device: Device, ours: Timing, others: list[Timing], quick: bool) -> None:
    everyone, count = [*others, ours], 1
    if not quick:
        whole = sum(set_calls(device, timing) for timing in everyone)
        count = max(FEWEST, min(MOST, round(PATIENCE / (2 * whole))))
    for _ in range(count):
        for timing in everyone:
            sample(device, timing, 1)
