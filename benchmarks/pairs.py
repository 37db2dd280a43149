"""How a case is measured: A, B, A, B in one process.

A round is: every rival in turn, then our call, each after warm calls of its own; then the next round. pytest-benchmark
times our call, freeing of the result included; the rivals are timed in its setup hook, in the same way. The ratio to a
rival is the median of the rounds' ratios, over 9 rounds or more. Before anything is timed, our result is compared with
every rival's.

Pools of threads disturb each other: after a matrix product NumPy's OpenBLAS workers spin for an eighth of a second and
would slow whatever torch does meanwhile (threadpoolctl's limits do not end that; they hold for the next product). So
before each rival, and before our own call, we wait until no thread of this process runs any more (`quiet`).

Other processes disturb more. After a round in which they took some of the processor we wait until they are done, three
minutes a run at most (``--patience``). `disturbed`, their share while a case was measured, stays beside its figures,
and ``--again FILE`` measures anew where it is above a twentieth.

"fresh" makes a new result in each call, on both sides; a large one of ours lies in the pages of the one before it
(`upsample.engines.result_pool`), as it does for everyone who calls twice. "out" writes into an array that was written
before: torch by the ``out=`` of its ATen operators; rivals without such a thing make a fresh result.

Beside the time of a fresh result stands the peak of memory that such a call needs, in a process of its own (`memory`).

The yardstick is a copy by all threads, with ``numpy.copyto`` between arrays that were written before, that reads and
writes as many bytes as the case's input and output have together.
"""

from __future__ import annotations

import os
import statistics
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
from upsample.command_line.bench.calm import quiet, thread_count
from upsample.command_line.bench.devices import Cpu
from upsample.engines.dispatch import ENGINES

CPU = Cpu()
"""The clock, and the yardstick: as `upsample bench` has them."""
ENGINE_NAMES = ("cpu", "portable")
PAIRS = [pytest.param(*pair, id="-".join(pair)) for pair in (("cpu", "fresh"), ("cpu", "out"), ("portable", "fresh"))]

SHORT = 2e-3
"""A timed sample lasts at least so many seconds; a call that takes less is repeated."""
PATIENCE = [float(os.environ.get("UPSAMPLE_BENCHMARK_PATIENCE", "180"))]
"""Seconds that this run may still wait for other processes."""
WARM = 3
"""Calls before the timed one, on every side. A call's result lies in the pages that the result before it gave back; the
first ones after another library's call lie elsewhere: out of the caches, and on a virtual machine that returns free
memory to its host perhaps where no memory is yet: twice the time for 100 MB, and in enough rounds to move a median."""
SLOW = 0.25
"""A rival that takes longer is timed once, in the call that its result is checked with."""


@dataclass(frozen=True)
class Rival:
    """Another library's call that does the same job.

    `equal` says how its result compares with ours: "exact", "close" (the tests' tolerances), "family" (another kernel
    of the same name: only the shape and the rough picture agree). `into` is its way to reuse an output.
    """

    name: str
    fresh: Callable[[], Any]
    into: Callable[[], Any] | None = None
    equal: str = "close"
    read: Callable[[Any], tuple[np.ndarray, ...]] = lambda result: (np.asarray(result),)


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


@dataclass
class _Timed:
    """A rival's rounds."""

    call: Callable[[], Any]
    seconds: list[float]
    calls: int = 1
    once: bool = False


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
        rivals["copy"] = _Timed(CPU.copying(job.volume), [])
        del result
        calls, rounds = _settle(ours, rivals, quick)
        others = Others()
        before = _alternate(ours, rivals, calls)
        try:
            benchmark.pedantic(_repeat(ours, calls), setup=before if quick else _patient(before), rounds=rounds)
        except KeyboardInterrupt:
            benchmark.has_error = True  # the others are written, this one is not
            raise
        share = round(others.share(), 3)
    benchmark.extra_info.update(case=case.id, engine=engine, how=how, threads=number, calls=calls, disturbed=share)
    if how == "fresh" and not quick and case not in TINY_CASES:
        benchmark.extra_info["peak"] = memory.peak(case, engine)
    if benchmark.stats is not None:  # None under --benchmark-disable
        benchmark.extra_info.update(_figures([t / calls for t in benchmark.stats.stats.data], rivals))


def _taking_part(job: Job, engine: str, how: str) -> list[Rival]:
    """Torch always; the others once a case, beside the fresh result of the fastest engine that can run it."""
    first = next(e for e in ENGINE_NAMES if why_not(job, e) is None)
    everyone = engine == first and how == "fresh"
    return [r for r in job.rivals if everyone or r.name == "torch"]


def _checked(rival: Rival, how: str, result: tuple[np.ndarray, ...], margin: float) -> _Timed:
    """Compare a rival's result with ours; the call's own time is kept where it is long."""
    call = rival.into if how == "out" and rival.into is not None else rival.fresh
    begin = time.perf_counter()
    got = call()
    lasted = time.perf_counter() - begin
    for ours, theirs in zip(result, rival.read(got), strict=True):
        assert ours.shape == theirs.shape, f"{rival.name}: shape {theirs.shape}, ours {ours.shape}"
        _compare(rival.name, rival.equal, ours, theirs, margin)
    slow = lasted > SLOW and rival.name != "torch"
    return _Timed(call, [lasted] if slow else [], once=slow)


def _compare(name: str, equal: str, ours: np.ndarray, theirs: np.ndarray, margin: float) -> None:
    if equal == "exact":
        assert np.array_equal(ours, theirs), f"{name}: other values"
        return
    a, b = (x.astype(np.float32, copy=False) for x in (ours, theirs))
    scale = max(1.0, float(np.abs(b).max()))
    if equal == "family":
        worst, limit = float(np.abs(a - b).mean()), 0.2 * scale  # of unrelated noise 0.33
    else:
        worst, limit = float(np.abs(a - b).max()), margin * tolerances.allowed(ours.dtype, scale)
    assert worst <= limit, f"{name}: off by {worst:.3g}, allowed {limit:.3g}"


def _settle(ours: Callable[[], Any], rivals: dict[str, _Timed], quick: bool) -> tuple[int, int]:
    """How often our call is repeated in one sample (the rivals' are set too), and how many rounds there are.

    9 rounds, or up to 15 where they are over soon.
    """
    if quick:
        return 1, 1
    whole = 0.0
    for timed in rivals.values():
        if not timed.once:
            quiet()
            lasts = CPU.seconds(timed.call, 1)
            timed.calls = max(1, round(SHORT / lasts))
            whole += (1 + WARM) * max(lasts, SHORT)
    quiet()
    lasts = CPU.seconds(ours, 1)
    if lasts < SHORT:  # not the first call's time: that one made plans
        lasts = CPU.seconds(ours, 3)
    whole += (1 + WARM) * max(lasts, SHORT)
    return max(1, round(SHORT / lasts)), min(15, max(9, round(0.7 / whole)))


def _alternate(ours: Callable[[], Any], rivals: dict[str, _Timed], calls: int) -> Callable[[], None]:
    """What comes before our timed call in each round."""

    def before() -> None:
        for timed in rivals.values():
            if not timed.once:
                quiet()
                CPU.seconds(timed.call, max(timed.calls, WARM))
                timed.seconds.append(CPU.seconds(timed.call, timed.calls))
        quiet()
        CPU.seconds(ours, max(calls, WARM))

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


def _repeat(ours: Callable[[], Any], calls: int) -> Callable[[], None]:
    """Our calls of one sample; the result does not outlive the timing."""

    def sample() -> None:
        for _ in range(calls):
            ours()

    return sample


def _figures(mine: list[float], rivals: dict[str, _Timed]) -> dict[str, Any]:
    """Seconds per call of everyone, and how much longer the rivals take."""
    own = statistics.median(mine)
    ratios = {}
    for name, timed in rivals.items():
        paired = [theirs / ours for theirs, ours in zip(timed.seconds, mine, strict=False)]
        ratios[name] = timed.seconds[0] / own if timed.once else statistics.median(paired)
    return {
        "seconds": own,
        "rivals": {name: statistics.median(timed.seconds) for name, timed in rivals.items()},
        "ratios": ratios,
        "timed_once": [name for name, timed in rivals.items() if timed.once],
    }
