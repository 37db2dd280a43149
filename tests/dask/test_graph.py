"""The graph: nothing computed while it is built, few tasks, even chunks, small pickles, names that do not change."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import upsample

da = pytest.importorskip("dask.array", reason="dask is not installed")
dask = pytest.importorskip("dask", reason="dask is not installed")

X = np.arange(2 * 3 * 64 * 96, dtype=np.float32).reshape(2, 3, 64, 96)
CHUNKS = (1, 3, 16, 32)


@pytest.fixture
def lazy() -> Any:
    """An array whose blocks raise, so that nothing may be computed."""

    def refuse(block: np.ndarray, computed: bool = False) -> np.ndarray:
        raise AssertionError("a block was computed while the graph was built")

    return da.from_array(X, chunks=CHUNKS).map_blocks(refuse, dtype=X.dtype, meta=X[:0, :0, :0, :0])


WEIGHT = np.ones((3, 2, 4, 4), np.float32)
CALLS = {
    "resize": lambda x: upsample.resize(x, scale=2, axes=(2, 3), mode="cubic"),
    "interpolate": lambda x: upsample.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
    "pool": lambda x: upsample.max_pool2d(x, 3, 2, 1),
    "indices": lambda x: upsample.max_pool2d_with_indices(x, 2)[1],
    "unpool": lambda x: upsample.max_unpool2d(*upsample.max_pool2d_with_indices(x, 2), 2),
    "conv_transpose": lambda x: upsample.conv_transpose2d(x, WEIGHT, stride=2, padding=1),
    "shuffle": lambda x: upsample.pixel_unshuffle(x, 2),
    "gradient": lambda x: upsample.vjp(upsample.interpolate, x, scale_factor=2, mode="bicubic")[1](
        np.ones((2, 3, 128, 192), np.float32)
    )[0],
    "weights": lambda x: upsample.vjp(upsample.conv_transpose2d, x, WEIGHT, stride=2)[1](
        np.ones((2, 2, 130, 194), np.float32)
    )[1],
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_computed(name: str, lazy: Any) -> None:
    made = CALLS[name](lazy)
    assert isinstance(made, da.Array)
    if name == "gradient":  # of a linear function: the values are not needed
        return
    with pytest.raises(AssertionError, match="was computed"):
        made.compute(scheduler="synchronous")


@pytest.mark.parametrize("name", CALLS)
def test_equal_calls_have_equal_names(name: str) -> None:
    x = da.from_array(X, chunks=CHUNKS, name="x")
    first, second = CALLS[name](x), CALLS[name](da.from_array(X, chunks=CHUNKS, name="x"))
    if name not in ("gradient", "weights", "conv_transpose"):  # whose NumPy arrays are named by their values
        assert first.name == second.name
    assert first.dtype == first.compute(scheduler="synchronous").dtype
    assert type(first._meta) is np.ndarray


def test_names_are_equal_in_every_process() -> None:
    code = (
        "import dask.array as da, numpy as np, upsample\n"
        "x = da.zeros((8, 8), chunks=4, name='x')\n"
        "print(upsample.resize(x, (5, 16), mode='cubic').name)"
    )
    run = [sys.executable, "-c", code]
    environments = [os.environ | {"PYTHONHASHSEED": seed} for seed in "12"]
    names = {subprocess.run(run, capture_output=True, check=True, env=each).stdout for each in environments}
    assert len(names) == 1


def own_tasks(made: Any, x: Any) -> dict[Any, Any]:
    before = dict(x.__dask_graph__())
    return {key: task for key, task in dict(made.__dask_graph__()).items() if key not in before}


def test_a_chunk_is_about_one_task() -> None:
    x = da.zeros((1, 1, 4096, 4096), chunks=(1, 1, 256, 256), dtype=np.float32)
    for made in (
        upsample.interpolate(x, scale_factor=2, mode="bicubic"),
        upsample.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
        upsample.max_pool2d(x, 2),
        upsample.conv_transpose2d(x, np.ones((1, 1, 2, 2), np.float32), stride=2),
    ):
        assert len(own_tasks(made, x)) <= 1.3 * made.npartitions


def test_a_chunk_is_at_most_twelve_tasks() -> None:
    x = da.zeros((8 * 160, 8 * 160, 4 * 160), chunks=160, dtype=np.float32)  # blocks of 16 MB
    for scale in (2, 1.01, 0.99, 0.37):
        made = upsample.resize(x, scale=scale, mode="cubic")
        assert len(own_tasks(made, x)) <= 12 * made.npartitions
    flat = da.zeros((20_000, 20_000), chunks=4000, dtype=np.float32)
    made = upsample.resize(flat, scale=1.3, mode="linear")
    cuts = [key for key in own_tasks(made, flat) if "-cut" in key[0]]
    assert cuts, "slivers of large blocks are cut where the blocks lie"
    assert len(own_tasks(made, flat)) <= 12 * made.npartitions


def test_slivers_of_blocks_make_the_same_values() -> None:
    values = np.random.default_rng(0).standard_normal((1600, 4100)).astype(np.float32)
    x = da.from_array(values, chunks=(1500, 1450))
    made = upsample.resize(x, (1700, 4200), mode="cubic")
    assert [key for key in own_tasks(made, x) if "-cut" in key[0]]
    assert made.compute().tobytes() == upsample.resize(values, (1700, 4200), mode="cubic").tobytes()


def test_chunks_are_even_and_of_the_size_of_the_inputs() -> None:
    x = da.zeros((3, 100, 90), chunks=((1, 2), (40, 40, 20), (90,)))
    made = upsample.resize(x, (200, 45), axes=(1, 2))
    assert made.chunks == ((1, 2), (40,) * 5, (45,))
    assert upsample.resize(x, (30,), axes=(1,)).chunks == ((1, 2), (30,), (90,))
    with dask.config.set({"array.chunk-size": "20KiB"}):
        made = upsample.resize(x, (200, 900), axes=(1, 2))
    assert max(map(max, made.chunks[1:])) < 900
    assert max(made.chunks[0]) * max(made.chunks[1]) * max(made.chunks[2]) * 8 <= 20 << 10


def test_chunks_that_shrink_are_made_of_few_blocks() -> None:
    x = da.zeros((64 * 100, 64 * 100), chunks=100)
    made = upsample.resize(x, (64, 64), mode="area")
    deepest = max(len(task.dependencies) for task in own_tasks(made, x).values())
    assert deepest <= 16


def test_pickled_tasks_are_small() -> None:
    """At most a KiB each, a rule of each kind of axis included."""
    x = da.from_array(np.zeros((1, 4, 500, 600), np.float32), chunks=(1, 4, 125, 150), name="x")
    deep = da.from_array(np.zeros((40, 90, 80), np.float32), chunks=(20, 30, 40), name="deep")
    grad = da.from_array(np.zeros((1, 2, 1000, 1200), np.float32), chunks=(1, 2, 250, 300), name="grad")
    weight = da.from_array(np.ones((4, 2, 4, 4), np.float32), name="weight")
    options = {"stride": 2, "padding": 1}
    made = {name: CALLS[name](x) for name in ("resize", "interpolate", "pool", "indices", "unpool", "shuffle")}
    made["adaptive"] = upsample.adaptive_max_pool2d(x, (130, 170))
    made["conv_transpose"] = upsample.conv_transpose2d(x, weight, **options)
    pull = upsample.vjp(upsample.conv_transpose2d, x, weight, da.zeros(2, dtype="f4", name="bias"), **options)[1]
    made |= dict(zip(("input", "weight", "bias"), pull(grad), strict=True))
    for mode in ("linear", "lanczos", "area", "nearest"):
        made[mode] = upsample.resize(deep, (50, 80, 200), mode=mode)
    made["antialias"] = upsample.resize(deep, (30, 80, 70), mode="cubic", antialias=True)
    for name, result in made.items():
        sizes = [len(pickle.dumps(task)) for key, task in dict(result.__dask_graph__()).items() if is_own(key)]
        assert sizes, name
        assert max(sizes) <= 1024, (name, max(sizes))


def is_own(key: tuple[Any, ...]) -> bool:
    return str(key[0]).rpartition("-")[0].partition("-")[0] not in ("x", "deep", "grad", "weight", "bias", "array", "")


def test_a_hundred_thousand_chunks() -> None:
    """In a process of its own, because its peak of memory is compared; benchmarks/dask_rows.py reports the time."""
    code = (
        "import resource, dask.array as da, upsample\n"
        "x = da.zeros((316 * 1000, 317 * 1000), chunks=1000, dtype='f4')\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "made = upsample.resize(x, scale=1.0001, mode='linear')\n"
        "print(made.npartitions, len(made.dask.layers[made.name]), peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    chunks, tasks, kib = map(int, done.stdout.split())
    assert chunks >= 100_000
    assert tasks <= 1.01 * chunks
    assert kib < 300 << 10


@pytest.mark.parametrize("shape", [(80, 20), (20, 82), (13, 17), (90, 60)])
def test_the_order_of_axes_is_that_of_the_whole_array(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((40, 41)).astype(np.float32)
    for mode in ("linear", "cubic", "lanczos"):
        made = upsample.resize(da.from_array(x, chunks=(7, 9)), shape, mode=mode)
        assert made.compute(scheduler="synchronous").tobytes() == upsample.resize(x, shape, mode=mode).tobytes()


def test_unknown_sizes_are_an_error() -> None:
    x = da.from_array(np.arange(40.0).reshape(10, 4), chunks=5)
    cut = x[x[:, 0] > 10]
    with pytest.raises(ValueError, match=r"resize: x=<shape \(nan, 4\)>, but the sizes of its chunks are not known"):
        upsample.resize(cut, scale=2)
    cut.compute_chunk_sizes()
    assert upsample.resize(cut, scale=2).shape == (14, 8)


def test_explain_names_the_engine() -> None:
    choice = upsample.explain(upsample.resize, da.zeros((4, 4)), scale=2)
    assert choice.engine == "dask"
    assert choice.reasons["cpu"].startswith("it takes NumPy arrays")
    assert "Dask arrays only" in upsample.explain(upsample.resize, np.zeros((4, 4)), scale=2).reasons["dask"]


def test_a_task_beside_others_uses_one_thread() -> None:
    seen = []

    def look(block: np.ndarray) -> np.ndarray:
        seen.append((threading.current_thread() is threading.main_thread(), upsample.get_num_threads()))
        return block

    from upsample.engines.dask import graph

    layouts = (((0, 2),), ((0, 2),))
    graph._run_chunk((look,), (layouts,), np.zeros((2, 2)))
    thread = threading.Thread(target=graph._run_chunk, args=((look,), (layouts,), np.zeros((2, 2))))
    thread.start()
    thread.join()
    assert seen[0] == (True, upsample.get_num_threads())
    assert seen[1] == (False, 1)


def test_errors_in_tasks_name_the_place_in_the_whole_array() -> None:
    values, indices = upsample.max_pool2d_with_indices(X, 2)
    bad = indices.copy()
    bad[1, 2, 20, 30] = 64 * 96
    lazily = da.from_array(bad, chunks=(1, 1, 10, 10))
    made = upsample.max_unpool2d(da.from_array(values, chunks=(1, 1, 10, 10)), lazily, 2)
    with pytest.raises(
        IndexError, match=r"max_unpool2d: indices\[1, 2, 20, 30\]=6144, but the output plane \(64, 96\)"
    ):
        made.compute()
    whole = upsample.max_unpool2d(da.from_array(values, chunks=(1, 1, -1, -1)), bad, 2)
    with pytest.raises(IndexError, match=r"max_unpool2d: indices\[1, 2, 20, 30\]=6144"):
        whole.compute()


def test_query_planning() -> None:
    code = (
        "import dask; dask.config.set({'array.query-planning': True})\n"
        "import dask.array as da, numpy as np, upsample\n"
        "assert da.ARRAY_EXPR_ENABLED\n"
        "x = np.random.default_rng(0).standard_normal((2, 3, 40, 50)).astype('f4')\n"
        "d = da.from_array(x, chunks=(1, 3, 15, 20))\n"
        "w = np.ones((3, 2, 4, 4), 'f4')\n"
        "for f in (lambda a: upsample.interpolate(a, scale_factor=2, mode='bicubic'),\n"
        "          lambda a: upsample.max_unpool2d(*upsample.max_pool2d_with_indices(a, 2), 2),\n"
        "          lambda a: upsample.conv_transpose2d(a, w, stride=2),\n"
        "          lambda a: upsample.pixel_unshuffle(a, 2)):\n"
        "    assert f(d).compute().tobytes() == f(x).tobytes()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
