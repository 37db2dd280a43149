"""A cluster of two processes: the same bits, with memory limits, spilling, and a worker that is killed midway."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample

distributed = pytest.importorskip("distributed", reason="distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask is not installed")
dask = pytest.importorskip("dask", reason="dask is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # of distributed, about ports, spilling and lost workers


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("spilled")
    options = {
        "temporary-directory": str(folder),
        "distributed.worker.memory.spill": 0.5,
        "distributed.worker.memory.target": 0.4,
        "distributed.scheduler.allowed-failures": 5,
        "distributed.comm.timeouts.connect": "20s",
    }
    with (
        dask.config.set(options),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="600MiB", dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def made_of(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_every_op_has_the_bits_of_numpy(client: Any) -> None:
    x, weight = made_of(0, 2, 3, 90, 70), made_of(1, 3, 2, 4, 4)
    lazy = da.from_array(x, chunks=(1, 3, 40, 30))
    pooled = upsample.max_pool2d_with_indices(x, 2)
    lazily = upsample.max_pool2d_with_indices(lazy, 2)
    pairs = [
        (
            upsample.interpolate(lazy, scale_factor=2, mode="bicubic"),
            upsample.interpolate(x, scale_factor=2, mode="bicubic"),
        ),
        (
            upsample.resize(lazy, (31, 29), axes=(2, 3), mode="area"),
            upsample.resize(x, (31, 29), axes=(2, 3), mode="area"),
        ),
        (lazily[1], pooled[1]),
        (upsample.max_unpool2d(*lazily, 2), upsample.max_unpool2d(*pooled, 2)),
        (upsample.conv_transpose2d(lazy, weight, stride=2), upsample.conv_transpose2d(x, weight, stride=2)),
        (upsample.pixel_unshuffle(lazy, 10), upsample.pixel_unshuffle(x, 10)),
    ]
    for made, want in zip(client.gather(client.compute([p[0] for p in pairs])), [p[1] for p in pairs], strict=True):
        assert made.tobytes() == want.tobytes()


def test_an_error_comes_back_in_words(client: Any) -> None:
    values, indices = upsample.max_pool2d_with_indices(made_of(0, 1, 1, 40, 40), 2)
    indices[0, 0, 19, 19] = 1600
    lazy = [da.from_array(a, chunks=(1, 1, 10, 10)) for a in (values, indices)]
    with pytest.raises(IndexError, match=r"indices\[0, 0, 19, 19\]=1600, but the output plane \(40, 40\)"):
        upsample.max_unpool2d(*lazy, 2).compute()


def test_a_worker_uses_one_thread(client: Any) -> None:
    x = da.from_array(made_of(0, 64, 64), chunks=32)
    upsample.resize(x, scale=2).compute()
    assert set(client.run(upsample.get_num_threads).values()) == {1}


def test_more_than_the_memory_of_the_workers_with_a_worker_killed(client: Any) -> None:
    """1.4 GB pass through two workers of 600 MiB, one of which dies on the way."""
    block = made_of(0, 1000, 1000)
    x = da.concatenate(
        [da.concatenate([da.from_array(block + j + 4 * i, chunks=1000) for j in range(4)], axis=1) for i in range(4)]
    )
    large = da.random.default_rng(0).random((10_000, 12_000), chunks=1000, dtype=np.float32)
    total = upsample.resize(large, scale=1.4, mode="linear").sum(dtype=np.float64)
    future, exact = client.compute([total, upsample.resize(x, scale=2, mode="cubic")[3000:5000, 100:1100]])

    def kill() -> None:
        time.sleep(3)
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = future.result(timeout=240)
    killer.join()
    want = np.concatenate([np.concatenate([block + j + 4 * i for j in range(4)], axis=1) for i in range(4)])
    assert (
        exact.result(timeout=60).tobytes()
        == upsample.resize(want, scale=2, mode="cubic")[3000:5000, 100:1100].tobytes()
    )
    assert abs(found / (14_000 * 16_800) - 0.5) < 1e-3


def test_zarr_to_zarr(client: Any, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    values = np.random.default_rng(0).integers(0, 2**16, (700, 900), dtype=np.uint16)
    zarr.create_array(str(tmp_path / "in.zarr"), data=values, chunks=(200, 200))
    half = upsample.resize(da.from_zarr(str(tmp_path / "in.zarr")), scale=0.5, mode="area")
    half.to_zarr(str(tmp_path / "out.zarr"))
    made = zarr.open_array(str(tmp_path / "out.zarr"))
    assert made.chunks == (200, 200)
    assert made[:].tobytes() == upsample.resize(values, scale=0.5, mode="area").tobytes()
