"""Where it was measured: processor, BLAS, threads, versions, load."""

from __future__ import annotations

import os
import platform
from typing import Any

from upsample.command_line import info
from upsample.command_line.bench.calm import Others
from upsample.engines.thread_count import get_num_threads

PACKAGES = ("numpy", "numba", "torch", "opencv-python-headless", "opencv-python", "pillow", "scikit-image", "scipy")

__all__ = ["CALM", "Others", "about", "described"]

CALM = 0.05
"""A share of the processor that other processes may have while a case is measured."""


def about() -> dict[str, Any]:
    """Processor, cores, threads, BLAS, versions and the load when asked."""
    import numpy  # noqa: F401  # loads its BLAS, which threadpoolctl then sees
    from threadpoolctl import threadpool_info

    return {
        "cpu": info.cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "threads": get_num_threads(),
        "blas": _blas(info.numpy_pool(threadpool_info())),
        "versions": {name: found for name in PACKAGES if (found := info.version_of(name))},
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def described(machine: dict[str, Any]) -> tuple[str, str]:
    """Return two lines of a page: processor and versions, and the load before."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['system']}; Python {machine['python']}, {versions}.",
        f"Load before, over 1, 5 and 15 minutes: {machine['load']}",
    )


def _blas(pool: dict[str, Any] | None) -> str:
    if pool is None:
        return "unknown"
    kernel = pool.get("architecture") or "unknown kernel"
    return f"{pool['internal_api']} {pool['version']}, {kernel}, {pool['num_threads']} threads"
