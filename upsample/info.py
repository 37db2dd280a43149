"""``upsample info``: versions, devices and engines, in plain text and with nothing but NumPy installed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import upsample
from upsample.engines.dispatch import ENGINES

__all__ = ["cpu", "cuda", "engines", "info", "versions"]

_NEEDED = ("numpy", "array-api-compat")
_OPTIONAL = ("torch", "jax", "dask", "array-api-strict", "ml_dtypes", "numba")
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-rocm-7-0", "cupy-rocm-5-0", "cupy")
"""CuPy's wheels, and its source distribution."""


def versions() -> list[tuple[str, str]]:
    """Return what is installed, from the packages' metadata: nothing is imported for it.

    Returns
    -------
    list of (str, str)
        Name and version; of what this package only works with, those that are there.
    """
    found = [(name, _version(name)) for name in (*_NEEDED, *_CUPY, *_OPTIONAL)]
    rows = [("upsample", upsample.__version__), ("Python", f"{platform.python_version()}, {platform.platform()}")]
    return rows + [(name, version or "not installed") for name, version in found if version or name in _NEEDED]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu() -> str:
    """Return the processor's model, and how many of its cores this process may use.

    Returns
    -------
    str
        Such as ``"AMD EPYC 7B13, 2 of 8 cores"``.
    """
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    cores = f"{usable} of {total} cores" if usable < total else f"{total} core" + "s" * (total > 1)
    return f"{_model()}, {cores}"


def _model() -> str:
    """The name that Linux has for the processor; elsewhere that of its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for key in ("model name", "Model", "cpu"):
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def cuda() -> list[str]:
    """Return the CUDA devices that CuPy sees, or in words why there is none.

    Returns
    -------
    list of str
        A line each; CuPy is imported only where it is installed.
    """
    if not any(_version(name) for name in _CUPY):
        return ["none: CuPy is not installed"]
    try:
        runtime: Any = import_module("cupy").cuda.runtime
        devices = []
        for number in range(runtime.getDeviceCount()):
            about = runtime.getDeviceProperties(number)
            memory, compute = about["totalGlobalMem"] / 2**30, f"{about['major']}.{about['minor']}"
            devices.append(f"{about['name'].decode()}, {memory:.0f} GiB, compute capability {compute}")
        return devices or ["none: CuPy finds no device"]
    except Exception as error:  # whatever a driver that is absent or too old makes of it
        text = str(error).strip() or type(error).__name__
        return [f"none: CuPy does not answer ({text.splitlines()[0]})"]


def engines() -> list[tuple[str, str]]:
    """Return every engine, in the order in which they are asked, and whether it can be used.

    Returns
    -------
    list of (str, str)
        Its name, and "usable" or the reason why it is not.
    """
    reasons = ((engine.name, engine.unusable()) for engine in ENGINES)
    return [(name, "usable" if why is None else f"not usable: {why}") for name, why in reasons]


def info() -> int:
    """Print all of it.

    Returns
    -------
    int
        0.
    """
    devices: Sequence[tuple[str, str]] = [("CPU", cpu()), *(("CUDA", line) for line in cuda())]
    parts = (("Versions", versions()), ("Devices", devices), ("Engines", engines()))
    print("\n\n".join("\n".join([title, *_aligned(rows)]) for title, rows in parts))
    return 0


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]
