"""Larger than memory, in processes of their own: Zarr to Zarr, limited by the system, each block read once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zarr", reason="zarr is not installed")
pytest.importorskip("dask.array", reason="dask is not installed")

HALVE = """
import resource, sys, threading
import dask, dask.array as da, numpy as np, zarr
import upsample

side, folder = int(sys.argv[1]), sys.argv[2]
reads, lock = {}, threading.Lock()

def block(block_info=None):
    place = block_info[None]["chunk-location"]
    with lock:
        reads[place] = reads.get(place, 0) + 1
    shape = block_info[None]["chunk-shape"]
    return (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) + 7 * place[0] + place[1]).astype(np.float32)

with dask.config.set(scheduler="threads", num_workers=2):
    warm = upsample.resize(da.ones((2000, 2000), chunks=1000, dtype=np.float32), scale=0.5, mode="area")
    warm.to_zarr(folder + "/warm.zarr")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunks = ((1000,) * (side // 1000),) * 2
    source = da.map_blocks(block, chunks=chunks, dtype="f4", meta=np.empty((0, 0), "f4"))
    half = upsample.resize(source, scale=0.5, mode="area")
    made = dict(shape=half.shape, chunks=(1000, 1000), dtype="f4", compressors=None)
    target = zarr.create_array(folder + "/half.zarr", **made)
    half.to_zarr(target)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert set(reads.values()) == {1}, "a block was made twice"
corner = np.concatenate([np.concatenate([block({None: {"chunk-location": (i, j), "chunk-shape": (1000, 1000)}})
                                         for j in (0, 1)], axis=1) for i in (0, 1)])
assert target[:1000, :1000].tobytes() == upsample.resize(corner, scale=0.5, mode="area").tobytes()
print(peak - before >> 10)
"""


def test_four_gigabytes_take_less_than_half_of_one(tmp_path: Path) -> None:
    run = [sys.executable, "-c", HALVE, "32000", str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500, f"{done.stdout} MiB more than before"
