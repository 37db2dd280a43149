"""How a case is measured: A, B, A, B in one process, with the rounds of ``upsample bench``.

In a round, each rival runs in turn and then our call, each after warm calls of its own. pytest-benchmark times our
call, including the release of its result; its setup hook times the rivals in the same way. The ratio to a rival is the
median of the ratios of 9 rounds or more. Before anything is timed, our result is compared with the result of each
rival.

Thread pools disturb each other: after a matrix product, OpenBLAS workers spin for an eighth of a second and slow down
torch (threadpoolctl's limits apply from the next product on). So each sample waits until no other thread of this
process runs (`calm.quiet`).

Other processes disturb more. After a round in which they used some of the processor, the run waits until they end,
three minutes in all at most (``--patience``). `disturbed`, their share while a case was measured, is recorded beside
its figures, and ``--again FILE`` measures the cases above a twentieth anew.

"fresh" makes a new result in each call, on both sides; a large result of ours recycles the pages of the one before
(`upsample.engines.result_pool`), as it does for every caller. "out" writes into an array that was written before: torch
by the ``out=`` of its ATen operators. A rival without such an argument makes a fresh result.

Beside the seconds of a fresh result, `memory` measures the peak of memory of such a call in a process of its own.

The yardstick is a copy by all threads, with ``numpy.copyto`` between arrays that were written before. It reads and
writes as many bytes as the input and the output of the case have together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import tolerances

import upsample
from benchmarks import memory
from benchmarks.cases import TINY_CASES, Case
from benchmarks.machine import CALM, Others
from upsample.command_line.bench.calm import thread_count
from upsample.command_line.bench.devices import Cpu
from upsample.command_line.bench.difference import difference
from upsample.command_line.bench.rivals import Rival
from upsample.command_line.bench.rounds import Timing, sample, set_calls
from upsample.engines.dispatch import ENGINES

CPU = Cpu()
"""The clock and the yardstick of `upsample bench`."""
ENGINE_NAMES = ("cpu", "portable")
PAIRS = [pytest.param(*pair, id="-".join(pair)) for pair in (("cpu", "fresh"), ("cpu", "out"), ("portable", "fresh"))]

PATIENCE = [float(os.environ.get("UPSAMPLE_BENCHMARK_PATIENCE", "180"))]
"""Seconds for which this run may still wait for other processes."""
WARM = 3
"""Calls before the timed one, on every side. A result recycles the pages of the result before it. The first results
after another library's call have other pages: out of the caches, or on a virtual machine not yet backed by memory. That
takes twice as long for 100 MB, in enough rounds to move a median."""
SLOW = 0.25
"""Seconds after which a rival is timed once only, in the call whose result is compared."""


@dataclass(frozen=True)
class Job:
    """A case with its arrays: our call, and the rivals that are installed."""

    task: str
    ours: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outs: Callable[[], Any]
    rivals: tuple[Rival, ...]
    volume: int
    margin: float = field(default=1.0)


def arrays_of(result: Any) -> tuple[np.ndarray, ...]:
    """A result as a tuple of arrays."""
    return tuple(np.asarray(part) for part in (result if isinstance(result, tuple) else (result,)))


def why_not(job: Job, engine: str) -> str | None:
    """None, or in words why an engine cannot run this job."""
    (chosen,) = [e for e in ENGINES if e.name == engine]
    try:
        upsample.explain(job.ours, *job.arguments, **job.options, engine=engine)
    except ValueError as error:
        return str(error)
    if find_spec(f"{chosen.package}.{job.task}") is None:
        return f"the {engine} engine has no {job.task} yet"
    return None


def measure(benchmark: Any, case: Case, job: Job, engine: str, how: str, quick: bool) -> None:
    """Check the results, then time: pytest-benchmark our call, its setup hook the rivals."""
    why = why_not(job, engine)
    if why is not None:
        pytest.skip(why)
    with thread_count(case.threads) as number:
        ours = partial(job.ours, *job.arguments, **job.options, engine=engine)
        if how == "out":
            ours = partial(ours, out=job.outs())
        result = arrays_of(ours())
        rivals = {r.name: _checked(r, how, result, job.margin) for r in _taking_part(job, engine, how)}
        rivals["copy"] = Timing(CPU.copying(job.volume))
        del result
        mine = Timing(ours)
        rounds = _settle(mine, rivals, quick)
        others = Others()
        before = _alternate(mine, rivals)
        try:
            benchmark.pedantic(_repeat(mine), setup=before if quick else _patient(before), rounds=rounds)
        except KeyboardInterrupt:
            benchmark.has_error = True  # the others are written, this one is not
            raise
        share = round(others.share(), 3)
    benchmark.extra_info.update(case=case.id, engine=engine, how=how, threads=number, calls=mine.calls, disturbed=share)
    if how == "fresh" and not quick and case not in TINY_CASES:
        benchmark.extra_info["peak"] = memory.peak(case, engine)
    if benchmark.stats is not None:  # None under --benchmark-disable
        mine.rounds = [t / mine.calls for t in benchmark.stats.stats.data]
        benchmark.extra_info.update(_figures(mine, rivals))


def _taking_part(job: Job, engine: str, how: str) -> list[Rival]:
    """Torch always; the others once a case, beside the fresh result of the fastest engine that can run it."""
    first = next(e for e in ENGINE_NAMES if why_not(job, e) is None)
    everyone = engine == first and how == "fresh"
    return [r for r in job.rivals if everyone or r.name == "torch"]


def _checked(rival: Rival, how: str, result: tuple[np.ndarray, ...], margin: float) -> Timing:
    """Compare the result of a rival with ours; the seconds of that call are kept if the rival is slow."""
    call = rival.into if how == "out" and rival.into is not None else rival.call
    begin = time.perf_counter()
    got = call()
    lasted = time.perf_counter() - begin
    off = difference(
        result, rival.read(got), rival.likeness, lambda dtype, scale: margin * tolerances.allowed(dtype, scale)
    )
    assert off is None, f"{rival.name}: {off}"
    is_slow = lasted > SLOW and rival.name != "torch"
    return Timing(call, once=is_slow, rounds=[lasted] if is_slow else [])


def _settle(ours: Timing, rivals: dict[str, Timing], quick: bool) -> int:
    """Set how many calls a sample of each has, and return the number of rounds: 9, or up to 15 if they are short."""
    if quick:
        return 1
    timed = [ours, *(timing for timing in rivals.values() if not timing.once)]
    whole = sum((1 + WARM) * set_calls(CPU, timing) for timing in timed)
    return min(15, max(9, round(0.7 / whole)))


def _alternate(ours: Timing, rivals: dict[str, Timing]) -> Callable[[], None]:
    """Return what precedes our timed call in each round: a sample of each rival, and our own warm calls."""

    def before() -> None:
        for timing in rivals.values():
            if not timing.once:
                sample(CPU, timing, WARM)
        CPU.settle()
        CPU.seconds(ours.call, max(ours.calls, WARM))

    return before


def _patient(before: Callable[[], None]) -> Callable[[], None]:
    """Wait before a round where the one before it was disturbed."""
    others = [Others()]

    def wait() -> None:
        while others[0].share() > CALM and PATIENCE[0] > 0:
            others[0] = Others()
            time.sleep(0.1)
            PATIENCE[0] -= 0.1
        others[0] = Others()
        before()

    return wait


def _repeat(ours: Timing) -> Callable[[], None]:
    """Return the calls of one sample; the result does not outlive the timing."""

    def calls() -> None:
        for _ in range(ours.calls):
            ours.call()

    return calls


def _figures(ours: Timing, rivals: dict[str, Timing]) -> dict[str, Any]:
    """Return seconds per call, and how much longer each rival takes."""
    return {
        "seconds": ours.seconds,
        "rivals": {name: timing.seconds for name, timing in rivals.items()},
        "ratios": {name: timing.ratio(ours) for name, timing in rivals.items()},
        "timed_once": [name for name, timing in rivals.items() if timing.once],
    }
