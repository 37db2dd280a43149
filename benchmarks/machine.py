"""Where it was measured: processor, BLAS, threads, versions, load."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from typing import Any

import numpy  # noqa: F401  # loads its BLAS, which threadpoolctl then sees
from threadpoolctl import threadpool_info

from upsample import info
from upsample.engines.cpu import threads

PACKAGES = ("numpy", "numba", "torch", "opencv-python-headless", "opencv-python", "pillow", "scikit-image", "scipy")

CALM = 0.05
"""A share of the processor that other processes may have while a case is measured."""


def about() -> dict[str, Any]:
    """Processor, cores, threads, BLAS, versions and the load when asked."""
    return {
        "cpu": info.cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "threads": threads.number(),
        "blas": _blas(info.numpy_pool(threadpool_info())),
        "versions": {name: found for name in PACKAGES if (found := version(name))},
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


class Others:
    """What other processes, and other guests of the same host, take of the processor."""

    def __init__(self) -> None:
        self.begin = self._now()

    def share(self) -> float:
        """Of all cores, from 0 to 1, since this object was made; 0 where Linux does not tell."""
        busy, own, wall = (now - then for now, then in zip(self._now(), self.begin, strict=True))
        return min(1.0, max(0.0, (busy - own) / (wall * (os.cpu_count() or 1))))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            with open("/proc/stat", encoding="ascii") as file:
                user, nice, system, _idle, _iowait, *more = map(int, file.readline().split()[1:9])
            busy = (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError):
            busy = 0.0
        return busy, time.process_time(), time.perf_counter()


def _blas(pool: dict[str, Any] | None) -> str:
    if pool is None:
        return "unknown"
    kernel = pool.get("architecture") or "unknown kernel"
    return f"{pool['internal_api']} {pool['version']}, {kernel}, {pool['num_threads']} threads"


def version(name: str) -> str | None:
    """Of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
