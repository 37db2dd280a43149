"""``upsample info``: versions, devices and engines, in plain text and with nothing but NumPy installed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

import upsample
from upsample import caches
from upsample.engines import cores, result_pool
from upsample.engines.cpu import support
from upsample.engines.dispatch import ENGINES
from upsample.engines.thread_count import get_num_threads

__all__ = [
    "SPOILERS",
    "blas",
    "cpu",
    "cuda",
    "engines",
    "info",
    "kernels",
    "numpy_pool",
    "sums",
    "version_of",
    "versions",
]

_NEEDED = ("numpy", "array-api-compat")
_OPTIONAL = ("torch", "jax", "dask", "array-api-strict", "ml_dtypes", "numba")
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy-rocm-7-0", "cupy-rocm-5-0", "cupy")
"""CuPy's wheels, and its source distribution."""
SPOILERS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Environment variables that can halve the speed of NumPy's matrix product."""
_AVX512 = frozenset({"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"})
_AVX2 = frozenset({"HASWELL", "ZEN"})
"""OpenBLAS's names for its kernels on x86-64; the others are older."""


def versions() -> list[tuple[str, str]]:
    """Return the versions of installed packages from their metadata, without importing them.

    Returns
    -------
    list of (str, str)
        Name and version; optional packages only if they are installed.
    """
    found = [(name, version_of(name)) for name in (*_NEEDED, *_CUPY, *_OPTIONAL)]
    rows = [("upsample", upsample.__version__), ("Python", f"{platform.python_version()}, {platform.platform()}")]
    return rows + [(name, version or "not installed") for name, version in found if version or name in _NEEDED]


def version_of(name: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu() -> str:
    """Return the model of the processor, and how many of its cores this process may use.

    Returns
    -------
    str
        Such as ``"AMD EPYC 7B13, 2 of 8 cores"``.
    """
    total = os.cpu_count() or 1
    usable = cores.usable()
    words = f"{usable} of {total} cores" if usable < total else f"{total} core" + "s" * (total > 1)
    return f"{_model()}, {words}"


def _model() -> str:
    """Return the processor name that Linux reports; on other systems the architecture."""
    named = _cpuinfo("model name", "Model", "cpu")
    return named or platform.processor() or platform.machine() or "unknown"


def _cpuinfo(*keys: str) -> str:
    """Return the first value in /proc/cpuinfo for one of the keys, in their order; None on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for key in keys:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return value.strip()
    return ""


def blas() -> list[str]:
    """Return NumPy's BLAS, and warnings about settings that slow it down.

    Returns
    -------
    list of str
        Library, version, kernels and threads, if threadpoolctl is installed; then the warnings.
    """
    warnings = [
        f"warning: {name}={os.environ[name]} is set, which can halve the speed of matrix products: unset it"
        for name in SPOILERS
        if name in os.environ
    ]
    built: Any = np.show_config(mode="dicts")
    library = built.get("Build Dependencies", {}).get("blas", {})
    name, version = library.get("name", "unknown"), library.get("version", "")
    try:
        pools = import_module("threadpoolctl").threadpool_info()
    except ImportError:
        return [f"{name} {version} (pip install threadpoolctl to see its kernels and threads)", *warnings]
    pool = numpy_pool(pools)
    if pool is None:
        return [f"{name} {version}", *warnings]
    kernel = str(pool.get("architecture") or "")
    words = [
        f"{pool['internal_api']} {pool['version']}",
        kernel and f"{kernel} kernels",
        f"{pool['num_threads']} threads",
    ]
    below = _below(kernel) if pool["internal_api"] == "openblas" else None
    return [", ".join(filter(None, words)), *([below] if below else []), *warnings]


def numpy_pool(pools: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return NumPy's BLAS among threadpoolctl's pools: SciPy's and OpenCV's wheels bring their own, some much older."""
    found = [("/".join(Path(p["filepath"]).parts[-3:-1]), p) for p in pools if p["user_api"] == "blas"]
    own = [pool for folder, pool in found if "numpy" in folder]
    shared = [pool for folder, pool in found if not any(name in folder for name in ("scipy", "opencv", "cv2"))]
    return next(iter(own + shared), None)


def _below(kernel: str) -> str | None:
    """Return a warning if the kernels of OpenBLAS are older than the processor, otherwise None."""
    flags = frozenset(_cpuinfo("flags").split())
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags and kernel.upper() not in _AVX512:
        has = "AVX-512"
    elif {"avx2", "fma"} <= flags and kernel.upper() not in _AVX512 | _AVX2:
        has = "AVX2"
    else:
        return None
    return f"warning: {kernel or 'unknown'} kernels on a processor with {has}: matrix products run below its speed"


def kernels() -> list[str]:
    """Return how many kernels of the cpu engine are on disk, their folder, and any problem with it.

    Returns
    -------
    list of str
        One line each; no lines without a compiled engine.
    """
    if support.unusable() is not None:
        return []
    cache: Any = import_module("upsample.engines.cpu.runtime.kernel_cache")
    lines, damaged = [], 0
    for folder in cache.folders():
        usable, broken = cache.contents(folder)
        damaged += broken
        if usable:
            lines.append(f"{usable} on disk, in {folder}")
    if not lines:
        lines = ["none on disk: the first call of each op compiles for 1 to 3 s, later processes load them from disk"]
    if damaged:
        lines.append(f"{damaged} damaged on disk: they are compiled anew when they are needed")
    if not cache.has_room():
        lines.append("no folder can be written, so each process compiles anew: set UPSAMPLE_CACHE_DIR to one that can")
    return [*lines, *cache.problems()]


def cuda() -> list[str]:
    """Return the CUDA devices that CuPy finds, or the reason why there is none.

    Returns
    -------
    list of str
        One line each; CuPy is imported only if it is installed.
    """
    if not any(version_of(name) for name in _CUPY):
        return ["none: CuPy is not installed"]
    try:
        runtime: Any = import_module("cupy").cuda.runtime
        devices = []
        for number in range(runtime.getDeviceCount()):
            about = runtime.getDeviceProperties(number)
            memory, compute = about["totalGlobalMem"] / 2**30, f"{about['major']}.{about['minor']}"
            devices.append(f"{about['name'].decode()}, {memory:.0f} GiB, compute capability {compute}")
        return devices or ["none: CuPy finds no device"]
    except Exception as error:  # an absent or old driver raises several types of errors
        text = str(error).strip() or type(error).__name__
        return [f"none: CuPy does not answer ({text.splitlines()[0]})"]


def engines() -> list[tuple[str, str]]:
    """Return every engine in order of preference, and whether it can be used.

    Returns
    -------
    list of (str, str)
        The name, and "usable" or the reason against it.
    """
    reasons = ((engine.name, engine.unusable()) for engine in ENGINES)
    return [(name, "usable" if why is None else f"not usable: {why}") for name, why in reasons]


def sums() -> str:
    """Return whether sums of floats have the same bits as on other processors.

    Returns
    -------
    str
        One line; they have if the processor has fused multiply-adds.
    """
    machine: Any = import_module("upsample.engines.cpu.runtime.machine")
    if machine.HAS_FMA:
        return "the same bits as on every processor with fused multiply-adds"
    return "other bits than on other processors: this one has no fused multiply-adds, so each tap is rounded twice"


def info() -> int:
    """Print versions, devices and engines.

    Returns
    -------
    int
        0.
    """
    number = f"{get_num_threads()} a call (see upsample.get_num_threads for what sets it)"
    kept = (
        f"up to {result_pool.capacity() >> 20} MiB of results that are gone are kept for new ones (UPSAMPLE_KEEP_MIB)"
    )
    used = caches.held()
    tables = (
        f"up to {caches.capacity() >> 20} MiB of tables and plans are kept for sizes seen before (UPSAMPLE_CACHE_MIB);"
        f" {used.entries} entries of {used.bytes / 2**20:.1f} MiB now"
    )
    devices: Sequence[tuple[str, str]] = [
        ("CPU", cpu()),
        ("threads", number),
        ("memory", kept),
        ("caches", tables),
        *(("BLAS", line) for line in blas()),
        *(("CUDA", line) for line in cuda()),
    ]
    compiled = [("kernels", line) for line in kernels()]
    compiled += [("sums", sums())] if compiled else []
    parts = (("Versions", versions()), ("Devices", devices), *([("Compiled", compiled)] if compiled else []))
    parts = (*parts, ("Engines", engines()))
    print("\n\n".join("\n".join([title, *_aligned(rows)]) for title, rows in parts))
    return 0


def _aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]
