"""The GPU, or the reason in words why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backends
import pytest

_DELAY = r"""
extern "C" __global__ void delay(const long long nanoseconds) {
  long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)); while (now - begin < nanoseconds);
}
"""


@pytest.fixture(autouse=True)
def cupy() -> Iterator[Any]:
    backends.get("cupy")
    import cupy

    yield cupy
    cupy.cuda.Device().synchronize()


@pytest.fixture(params=["cupy", "torch-cuda"])
def backend(request: pytest.FixtureRequest) -> backends.Backend:
    return backends.get(request.param)


@pytest.fixture
def delay(cupy: Any) -> Any:
    """``delay(seconds)`` keeps the current stream busy for so long."""
    kernel = cupy.RawKernel(_DELAY, "delay")
    return lambda seconds: kernel((1,), (1,), (cupy.int64(seconds * 1e9),))
