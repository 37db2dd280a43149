"""The same bits every time: a hundred runs, on quiet and on contended streams, from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gpu.calls import CALLS, Call

pytestmark = pytest.mark.gpu

RUNS = 100


def bits(cupy: Any, results: tuple[Any, ...]) -> list[bytes]:
    return [cupy.asnumpy(r).tobytes() for r in results]


def same(cupy: Any, results: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Compare on the GPU, bit for bit, NaN and all."""
    return all(bool((g.view(np.uint8) == w.view(np.uint8)).all()) for g, w in zip(results, wanted, strict=True))


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_a_hundred_runs(call: Call, cupy: Any) -> None:
    arrays = tuple(map(cupy.asarray, call.arrays))
    wanted = call.on(arrays, "cuda")
    assert all(same(cupy, call.on(arrays, "cuda"), wanted) for _ in range(RUNS))


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_a_hundred_runs_on_contended_streams(call: Call, cupy: Any) -> None:
    """Four streams at once, while a fifth fills the GPU's memory bus with copies."""
    arrays = tuple(map(cupy.asarray, call.arrays))
    wanted = call.on(arrays, "cuda")
    source = cupy.ones(1 << 26, dtype=np.uint8)
    cupy.cuda.Device().synchronize()
    noise, streams = cupy.cuda.Stream(non_blocking=True), [cupy.cuda.Stream(non_blocking=True) for _ in range(4)]
    made = []
    for run in range(RUNS):
        with noise:
            source.copy()
        with streams[run % 4]:
            made.append(call.on(arrays, "cuda"))
        if len(made) == 20:
            cupy.cuda.Device().synchronize()
            assert all(same(cupy, results, wanted) for results in made)
            made.clear()


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_threads_with_streams_of_their_own(call: Call, cupy: Any) -> None:
    wanted = bits(cupy, call.on(tuple(map(cupy.asarray, call.arrays)), "cuda"))

    def work(_: int) -> bool:
        with cupy.cuda.Stream(non_blocking=True) as stream:
            arrays = tuple(map(cupy.asarray, call.arrays))
            results = [call.on(arrays, "cuda") for _ in range(5)]
            stream.synchronize()
            return all(bits(cupy, r) == wanted for r in results)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))
