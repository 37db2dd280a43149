"""``python -m benchmarks.dask_rows``: Dask arrays beside NumPy and what else resizes them, a process for each figure.

Two threads, blocks of 1024 x 1024 (or `--block`), the result stored into memory that is there, or from a Zarr array on
disk into another. One row builds the graph of 100,000 chunks alone. It writes ``benchmarks/results/dask.json`` and
``dask.md``, in which rows of other blocks name them. Rivals are measured where they are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import upsample

RESULTS = Path(__file__).resolve().parent / "results"
LIMIT = 240
"""Seconds that a figure may take."""


def halve(x: Any) -> Any:
    return upsample.resize(x, scale=0.5, mode="area")


def double(mode: str) -> Callable[[Any], Any]:
    return lambda x: upsample.resize(x, scale=2, mode=mode)


def pick(x: Any) -> Any:
    return upsample.resize(x, scale=0.5, mode="nearest")


WEIGHT = np.full((16, 8, 4, 4), 0.01, np.float32)


def spread(x: Any) -> Any:
    return upsample.conv_transpose2d(x, WEIGHT, stride=2, padding=1)


def coarsen(x: Any) -> Any:
    import dask.array as da

    return da.coarsen(np.mean, x, {0: 2, 1: 2}).astype(x.dtype)


def dask_image(factor: float, order: int) -> Callable[[Any], Any]:
    def make(x: Any) -> Any:
        from dask_image.ndinterp import affine_transform

        shape = tuple(int(n * factor) for n in x.shape)
        return affine_transform(x, np.eye(2) / factor, output_shape=shape, output_chunks=x.chunksize, order=order)

    return make


def ome_zarr(name: str, factor: float, **options: Any) -> Callable[[Any], Any]:
    def make(x: Any) -> Any:
        from ome_zarr import dask_utils

        return getattr(dask_utils, name)(x, tuple(int(n * factor) for n in x.shape), **options)

    return make


def skimage_overlap(x: Any) -> Any:
    from skimage.transform import resize

    half = tuple(tuple(n // 2 for n in c) for c in x.chunks)

    def one(block: np.ndarray) -> np.ndarray:
        small = resize(block, tuple(n // 2 for n in block.shape), anti_aliasing=True, preserve_range=True)
        return small[4:-4, 4:-4].astype(block.dtype)

    return x.map_overlap(one, depth=8, boundary="reflect", trim=False, chunks=half, dtype=x.dtype)


LARGE, MIDDLE = (16384, 16384), (8192, 8192)
CASES: dict[str, tuple[tuple[int, ...], str, Callable[[Any], Any], dict[str, Callable[[Any], Any]]]] = {
    "16384² float32, halved (area)": (
        LARGE,
        "float32",
        halve,
        {
            "dask.array.coarsen": coarsen,
            "ome-zarr local_mean": ome_zarr("local_mean", 0.5),
            "ome-zarr resize": ome_zarr("resize", 0.5, preserve_range=True, anti_aliasing=False),
            "dask-image": dask_image(0.5, 1),
            "skimage, map_overlap": skimage_overlap,
        },
    ),
    "16384² uint8, halved (area)": (LARGE, "uint8", halve, {}),
    "16384² uint16, halved (area)": (
        LARGE,
        "uint16",
        halve,
        {"dask.array.coarsen": coarsen, "ome-zarr local_mean": ome_zarr("local_mean", 0.5)},
    ),
    "8192² float32 ×2 linear": (
        MIDDLE,
        "float32",
        double("linear"),
        {"dask-image": dask_image(2, 1), "ome-zarr resize": ome_zarr("resize", 2, preserve_range=True)},
    ),
    "8192² float32 ×2 cubic": (
        MIDDLE,
        "float32",
        double("cubic"),
        {"dask-image": dask_image(2, 3), "ome-zarr resize": ome_zarr("resize", 2, order=3, preserve_range=True)},
    ),
    "16384² uint16, nearest ÷2": (
        LARGE,
        "uint16",
        pick,
        {"ome-zarr resize": ome_zarr("resize", 0.5, order=0, preserve_range=True, anti_aliasing=False)},
    ),
    "transposed convolution 16→8, k4 s2, 1024²": ((1, 16, 1024, 1024), "float32", spread, {}),
}


STORED: dict[str, tuple[tuple[int, ...], str, Callable[[Any], Any], dict[str, Callable[[Any], Any]]]] = {
    "Zarr to Zarr, 1 GiB uint8, halved (area)": (
        (32768, 32768),
        "uint8",
        halve,
        {
            "copy alone": lambda x: x,
            "dask.array.coarsen": coarsen,
            "ome-zarr local_mean": ome_zarr("local_mean", 0.5),
        },
    ),
    "Zarr to Zarr, 1 to 1.9 GiB float32, ×1.37 linear": (
        LARGE,
        "float32",
        lambda x: upsample.resize(x, scale=1.37, mode="linear"),
        {"copy alone": lambda x: x},
    ),
}
BUILT = "100,000 chunks, graph alone"


def build(shrink: int) -> dict[str, Any]:
    """Time how long a thread takes to build the graph of many chunks, whatever other processes do."""
    import dask.array as da

    x = da.zeros((316_000 // shrink, 317_000 // shrink), chunks=1000, dtype="f4")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    made = upsample.resize(x, scale=1.0001, mode="linear")
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "tasks": len(made.dask.layers[made.name]), "MiB": peak >> 10}


def measure_stored(case: str, way: str, block: int, shrink: int, folder: Path) -> dict[str, Any]:
    """Time one way from a Zarr array to another; the first way of a case writes the source."""
    import dask
    import dask.array as da
    import zarr

    shape, dtype, ours, rivals = STORED[case]
    shape = tuple(n // shrink for n in shape)
    source = folder / "source.zarr"
    if not source.exists():
        new = zarr.create_array(str(source), shape=shape, chunks=(block, block), dtype=dtype)
        rng = np.random.default_rng(0)
        for row in range(0, shape[0], block):
            new[row : row + block] = rng.integers(0, 200, new[row : row + block].shape, dtype=np.uint8)
    function = rivals.get(way, ours)
    with dask.config.set(scheduler="threads", num_workers=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(da.zeros((256, 256), chunks=256, dtype=dtype)).compute()  # what is imported and compiled once
        made = function(da.from_zarr(str(source)))
        store = zarr.create_array(
            str(folder / f"{way}.zarr"), shape=made.shape, chunks=(block, block), dtype=made.dtype, overwrite=True
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = _timed(lambda: da.store(made.rechunk(store.chunks), store, lock=False))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "tasks": len(made.__dask_graph__()), "MiB": peak >> 10}


def measure(case: str, way: str, block: int, shrink: int) -> dict[str, Any]:
    """Time one way of a case: the quickest of a few, and the most memory that it took beyond its input and result."""
    shape, dtype, ours, rivals = CASES[case]
    shape = (*shape[:-2], *(n // shrink for n in shape[-2:]))
    made = np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8).astype(dtype)
    if way == "in memory":
        out = ours(made)
        times = [_timed(lambda: ours(made)) for _ in range(5)]
        return {"seconds": min(times), "bytes": out.nbytes}
    import dask
    import dask.array as da

    chunks = (*shape[:-2], *(block // (4 if len(shape) > 2 else 1),) * 2)
    function = rivals.get(way, ours)
    with dask.config.set(scheduler="threads", num_workers=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = tuple(min(n, 256) for n in shape)
        function(da.zeros(small, chunks=small, dtype=dtype)).compute()  # what is imported and compiled once
        x = da.from_array(made, chunks=chunks, name=False)  # without a hash of its values
        lazy = function(x)
        out = np.full(lazy.shape, 1, lazy.dtype)  # memory that is there
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times = [_timed(lambda: da.store(function(x), out, lock=False))]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        while sum(times) < 5 and len(times) < 5:
            times.append(_timed(lambda: da.store(function(x), out, lock=False)))
    return {"seconds": min(times), "tasks": len(lazy.__dask_graph__()), "chunks": lazy.npartitions, "MiB": peak >> 10}


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _row(case: str, found: dict[str, dict[str, Any]]) -> str:
    def text(one: dict[str, Any]) -> str:
        if "seconds" not in one:
            return str(one["error"])
        more = f", {one['tasks']} tasks, +{one['MiB']} MiB" if "tasks" in one else ""
        return f"{one['seconds']:.2f} s{more}"

    others = "; ".join(f"{way} {text(one)}" for way, one in found.items() if way not in ("in memory", "upsample"))
    in_memory = text(found["in memory"]) if "in memory" in found else "–"
    return f"| {case} | {in_memory} | {text(found['upsample'])} | {others or '–'} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_rows", description=__doc__)
    parser.add_argument("-k", default="", metavar="WORDS", help="only cases with these words")
    parser.add_argument("--block", type=int, default=1024, metavar="N", help="blocks of N x N (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a sixty-fourth of the data, to see that all works")
    parser.add_argument("--one", nargs=3, metavar=("CASE", "WAY", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    shrink = 8 if given.quick else 1
    if given.one:
        print(json.dumps(_one(*given.one, given.block // shrink, shrink)))
        return 0
    path = RESULTS / "dask.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() and not given.quick else {}
    for case in (*CASES, *STORED, BUILT):
        if any(word not in case for word in given.k.split()):
            continue
        name = case if given.block == 1024 or case == BUILT else f"{case}, blocks of {given.block}²"
        found = results.setdefault(name, {})
        with tempfile.TemporaryDirectory() as folder:
            for way in _ways(case):
                found[way] = _in_a_process(case, way, folder, given.block, given.quick)
                print(name, way, found[way], flush=True)
    if not given.quick:
        results["machine"] = {"load": os.getloadavg()[0], "cores": os.cpu_count()}
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        head = "| case | in memory | upsample on Dask | others |\n|---|---|---|---|\n"
        rows = "\n".join(_row(case, found) for case, found in results.items() if case != "machine")
        (RESULTS / "dask.md").write_text(f"{head}{rows}\n", encoding="utf-8")
    return 0


def _ways(case: str) -> tuple[str, ...]:
    if case == BUILT:
        return ("upsample",)
    return ("in memory", "upsample", *CASES[case][3]) if case in CASES else ("upsample", *STORED[case][3])


def _one(case: str, way: str, folder: str, block: int, shrink: int) -> dict[str, Any]:
    if case == BUILT:
        return build(shrink)
    return (
        measure(case, way, block, shrink) if case in CASES else measure_stored(case, way, block, shrink, Path(folder))
    )


def _in_a_process(case: str, way: str, folder: str, block: int, is_quick: bool) -> dict[str, Any]:
    run = [sys.executable, "-m", "benchmarks.dask_rows", "--one", case, way, folder, "--block", str(block)]
    try:
        done = subprocess.run(run + ["--quick"] * is_quick, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"error": f"over {LIMIT} s"}
    if done.returncode != 0:
        return {"error": _last(done.stderr)}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _last(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no result"


if __name__ == "__main__":
    sys.exit(main())
