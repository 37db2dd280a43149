"""A kernel that keeps a GPU busy, so that what comes behind it can be seen to wait, or to have been queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["TEXT", "delaying"]

TEXT = r"""
extern "C" __global__ void delay(const long long nanoseconds) {
  long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)); while (now - begin < nanoseconds);
}
"""


def delaying(cupy: Any) -> Callable[[float], None]:
    """Return a function that keeps CuPy's current stream busy for so many seconds."""
    kernel = cupy.RawKernel(TEXT, "delay")

    def delay(seconds: float) -> None:
        kernel((1,), (1,), (np.int64(seconds * 1e9),))

    return delay
