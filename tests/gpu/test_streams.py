"""A call takes its place in the current stream, and waits for nothing; the host's time is reported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import backends
import numpy as np
import pytest

import upsample
from gpu.calls import CALLS, Call

pytestmark = pytest.mark.gpu

BUSY = 0.2
"""Seconds that a stream is kept busy; a call that waited for it would show."""


def unchecked(call: Call) -> dict[str, Any]:
    """What makes a call free of its documented wait for the check of its indices."""
    return {"check_indices": False} if call.id.startswith("unpool") else {}


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_nothing_waits_for_the_gpu(call: Call, cupy: Any, delay: Any) -> None:
    arrays = tuple(map(cupy.asarray, call.arrays))
    call.function(*arrays, engine="cuda", **unchecked(call))
    cupy.cuda.Device().synchronize()  # a stream that does not block would not wait for the copies
    with cupy.cuda.Stream(non_blocking=True) as stream:
        call.function(*arrays, engine="cuda", **unchecked(call))  # the stream's memory pool is filled
        stream.synchronize()
        delay(BUSY)
        result = call.function(*arrays, engine="cuda", **unchecked(call))
        assert not stream.done, "the call waited for its stream"
        stream.synchronize()
    del result


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_cupys_current_stream_orders_the_call(call: Call, cupy: Any, delay: Any) -> None:
    arrays = tuple(map(cupy.asarray, call.arrays))
    wanted = [cupy.asnumpy(r) for r in call.on(arrays, "cuda")]
    late = tuple(cupy.zeros_like(a) for a in arrays)
    cupy.cuda.Device().synchronize()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        delay(BUSY / 4)
        for target, source in zip(late, arrays, strict=True):
            target[...] = source
        results = call.on(late, "cuda")
        stream.synchronize()
        for got, want in zip(results, wanted, strict=True):
            np.testing.assert_array_equal(cupy.asnumpy(got), want)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_torchs_current_stream_orders_the_call(call: Call) -> None:
    made = backends.get("torch-cuda")
    import torch

    arrays = tuple(map(made.make, call.arrays))
    wanted = [made.back(r) for r in call.on(arrays, "cuda")]
    late = tuple(torch.zeros_like(a) for a in arrays)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)
        for target, source in zip(late, arrays, strict=True):
            target.copy_(source)
        results = call.on(late, "cuda")
        stream.synchronize()
        for got, want in zip(results, wanted, strict=True):
            np.testing.assert_array_equal(made.back(got), want)


@pytest.mark.parametrize("name", ["cupy", "torch-cuda"])
def test_the_hosts_time_is_reported(name: str, cupy: Any, record_property: Any) -> None:
    """On 1×3×8×8, where it is all there is; the GPU's own time is hidden behind it."""
    made = backends.get(name)
    x = made.make(np.zeros((1, 3, 8, 8), dtype=np.float32))
    for mode in ("nearest", "bilinear", "bicubic"):
        samples = []
        for _ in range(5):
            upsample.interpolate(x, scale_factor=2, mode=mode)
            cupy.cuda.Device().synchronize()
            begin = time.perf_counter()
            for _ in range(200):
                upsample.interpolate(x, scale_factor=2, mode=mode)
            samples.append((time.perf_counter() - begin) / 200)
        took = sorted(samples)[2] * 1e6
        record_property(f"{name} {mode}, microseconds a call", round(took, 1))
        print(f"{name} {mode}: {took:.1f} microseconds a call")


def test_the_first_calls_time_is_reported(tmp_path: Path, record_property: Any) -> None:
    """In new processes: the first compiles, the second finds the kernel on disk."""
    code = """
import time, cupy, upsample
x = cupy.zeros((1, 3, 8, 8), dtype="float32"); (x + 1).sum().item()
begin = time.perf_counter()
upsample.interpolate(x, scale_factor=2, mode="bicubic", engine="cuda"); cupy.cuda.Device().synchronize()
print(time.perf_counter() - begin)
"""
    environment = dict(os.environ, CUPY_CACHE_DIR=str(tmp_path))
    for what in ("compiled", "from disk"):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        record_property(f"first call, {what}, seconds", float(done.stdout))
        print(f"first call, {what}: {float(done.stdout) * 1e3:.0f} ms")
