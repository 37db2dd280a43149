"""Every op on a GPU, beside torch, cupyx.scipy.ndimage.zoom and a copy: ``python -m benchmarks run cuda``.

pytest-benchmark's timer is a pair of CUDA events (`cuda_device.clock`), so what it keeps is the GPU's time of a call:
of rounds of calls that follow each other in one stream, queued while the GPU is kept busy, so that no gap for the host
is in it. Inputs that would stay in the L2 cache are rotated. Before that, each result is compared with the portable
engine's. The host's own time of a call is measured apart, while the GPU is busy with something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from benchmarks import cuda_calls, cuda_device
from benchmarks.cuda_calls import WHO, Job
from benchmarks.cuda_cases import CUDA_CASES, CudaCase
from upsample.engines.cuda import support

ROUND = 4e-3
"""Seconds that a round should last at least, in MOST calls or fewer."""
MOST = 50
ROUNDS, WARM = 20, 3


@pytest.mark.benchmark(timer=cuda_device.clock)
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("case", CUDA_CASES, ids=str)
def bench_cuda(benchmark: Any, case: CudaCase, who: str, quick: bool) -> None:
    why = None if cuda_device.emulated() else support.unusable()
    if why is not None:
        pytest.skip(why)
    job = _checked(case.small() if quick else case, who)
    gpu = cuda_device.device()
    sets, call = cycle(job.inputs), job.calls[who]

    def next_call() -> object:
        return call(*next(sets))

    with gpu.active():
        calls = 1 if quick else _calls(gpu, next_call)
        host = _host_seconds(gpu, next_call, calls)
        gpu.settle()
        gpu.ahead = 0.0 if quick else 1.5 * host * calls
        benchmark.group = case.id
        benchmark.extra_info.update(
            case=case.id, who=who, volume=job.volume, host=host, sets=len(job.inputs), disturbed=0
        )
        benchmark.pedantic(
            next_call, rounds=1 if quick else ROUNDS, iterations=calls, warmup_rounds=0 if quick else WARM
        )


def _checked(case: CudaCase, who: str) -> Job:
    """The arrays and calls, once the result is what it should be."""
    try:
        job = cuda_calls.job(case)
        if who not in job.calls:
            pytest.skip(f"{who} does not do this, or is not installed")
        if who != "copy":
            cuda_calls.check(case, who)
    except NotImplementedError as error:
        pytest.skip(f"{who} does not do this: {error}")
    except Exception as error:
        if "OutOfMemory" not in type(error).__name__:
            raise
        pytest.skip(f"too little memory on the GPU: {error}")
    return job


def _calls(gpu: cuda_device.Device, call: Callable[[], object]) -> int:
    """How many calls make a round, after some to warm up (torch tries cuDNN's algorithms in them)."""
    for _ in range(3):
        call()
    gpu.settle()
    begin = gpu.now()
    call()
    lasted = gpu.now() - begin
    return max(3, min(MOST, round(ROUND / max(lasted, 1e-6))))


def _host_seconds(gpu: cuda_device.Device, call: Callable[[], object], calls: int) -> float:
    """The host's time of a call, which no GPU work makes longer: the median of a few, so many calls at a time."""
    samples = []
    for _ in range(5):
        gpu.settle()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - begin) / calls)
    gpu.settle()
    return sorted(samples)[2]
