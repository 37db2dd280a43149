"""Arrays of tasks: keys, names, chunks, and what a task runs."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import dask.array as da
import numpy as np
from dask._task_spec import Task, TaskRef
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from upsample import arrays
from upsample.engines import dispatch, result_pool
from upsample.engines.dask.chunks import Chunks, bounds
from upsample.engines.dask.slabs import Layout, Slab, Source
from upsample.engines.thread_count import num_threads
from upsample.plans.window import Range

__all__ = [
    "Ranges",
    "chunked",
    "everything",
    "lazily",
    "run_op",
]

Ranges: TypeAlias = tuple[Range, ...]
_PlanChunk: TypeAlias = Callable[[Ranges], tuple[tuple[Any, ...], tuple[Ranges, ...] | None]]


def everything(x: Any) -> Ranges:
    """Return the ranges that are all of an array."""
    return tuple((0, n) for n in x.shape)


def chunked(
    op: str, inputs: Sequence[Any], chunks: Chunks, dtype: Any, plan_chunk: _PlanChunk, token: object, outputs: int
) -> Any:
    """Return the array whose chunks are made by one task each; several such arrays for several `outputs`.

    Parameters
    ----------
    op : str
        Names the tasks.
    inputs : sequence of Dask arrays
        What slabs are taken of.
    chunks : tuple
        Of the result.
    dtype : dtype
        Of the first result; others are indices.
    plan_chunk : callable
        Takes the ranges of a chunk; returns what the task runs (a function and its first arguments; a `Slab` of each
        input follows them), and the ranges of each input, or None if it needs none, and is zero.
    token : object
        What else the result depends on; its text must be the same in each process.
    outputs : int
        Arrays that a task makes.
    """
    if getattr(da, "ARRAY_EXPR_ENABLED", False):
        inputs = [x.optimize() for x in inputs]  # whose keys are final
    sources = [Source(x) for x in inputs]
    name = f"{op}-{tokenize(op, [x.name for x in inputs], chunks, repr(token), str(dtype), outputs)}"
    like = meta_from_array(inputs[0], ndim=len(chunks), dtype=dtype)
    graph: dict[Hashable, Any] = {}
    for place in itertools.product(*(list(enumerate(bounds(c))) for c in chunks)):
        key, ranges = (name, *(p[0] for p in place)), tuple(p[1] for p in place)
        shape = tuple(end - begin for begin, end in ranges)
        job, needed = ((), None) if 0 in shape else plan_chunk(ranges)
        if needed is None:
            graph[key] = Task(key, _zeros, shape, np.dtype(dtype).str if outputs == 1 else dtype, like, outputs)
            continue
        layouts, refs = [], []
        for source, wanted in zip(sources, needed, strict=True):
            layout, blocks = source.slab(wanted, graph, name)
            layouts.append(layout)
            refs += blocks
        graph[key] = Task(key, _run_chunk, job, tuple(layouts), *refs)
    made = lazily(graph, name, chunks, like, inputs)
    if outputs == 1:
        return made
    kinds = (like, meta_from_array(like, dtype=np.int64))
    return tuple(_picked(made, name, number, chunks, kind) for number, kind in enumerate(kinds))


def _picked(made: Any, of: str, number: int, chunks: Chunks, like: Any) -> Any:
    """Return one of several results that the same tasks make."""
    name = f"{of}-{number}"
    places = itertools.product(*(range(len(c)) for c in chunks))
    graph: dict[Hashable, Any] = {(name, *at): Task((name, *at), _pick, TaskRef((of, *at)), number) for at in places}
    return lazily(graph, name, chunks, like, [made])


def lazily(graph: dict[Hashable, Any], name: str, chunks: Chunks, like: Any, inputs: Sequence[Any]) -> Any:
    """Return the array of a graph, in either system of Dask's.

    Under ``array.query-planning`` the graphs of all inputs become part of one expression.
    """
    if not getattr(da, "ARRAY_EXPR_ENABLED", False):
        return da.Array(HighLevelGraph.from_collections(name, graph, dependencies=inputs), name, chunks, meta=like)
    from dask._collections import new_collection
    from dask.array._array_expr._io import FromGraph

    layer = {key: task for x in inputs for key, task in dict(x.__dask_graph__()).items()} | graph
    keys = [(name, *at) for at in itertools.product(*(range(len(c)) for c in chunks))]
    return new_collection(FromGraph(layer, like, chunks, keys, name))


def _zeros(shape: tuple[int, ...], dtype: Any, like: Any, outputs: int) -> Any:
    zeros = np.zeros_like(like, shape=shape, dtype=dtype)
    return zeros if outputs == 1 else (zeros, np.zeros_like(like, shape=shape, dtype=np.int64))


def _pick(results: tuple[Any, ...], number: int) -> Any:
    return results[number]


def _run_chunk(job: tuple[Any, ...], layouts: tuple[Layout, ...], *blocks: Any) -> Any:
    """Run the job of a chunk on its slabs: what a task does.

    Beside other tasks it uses one thread. On a worker of a cluster it uses no memory that is kept for the next result,
    because the scheduler measures what tasks leave behind.
    """
    slabs, at = [], 0
    for layout in layouts:
        count = math.prod(map(len, layout))
        slabs.append(Slab(layout, blocks[at : at + count]))
        at += count
    make, *given = job
    with ExitStack() as stack:
        if threading.current_thread() is not threading.main_thread():
            stack.enter_context(num_threads(1))
        if _is_on_worker():
            stack.enter_context(result_pool.unused())
        return make(*given, *slabs)


def _is_on_worker() -> bool:
    """Say whether a worker of a cluster runs this."""
    worker = sys.modules.get("distributed.worker")
    return worker is not None and hasattr(worker.thread_state, "key")


def run_op(task: str, plan: Any, x: Any, *rest: Any) -> Any:
    """Run an op on a block or a slab by the fastest engine that can; slabs become arrays."""
    x, *given = (value.array() if isinstance(value, Slab) else value for value in (x, *rest))
    xp = np if isinstance(x, np.ndarray) else arrays.namespace(task, {"block": x})
    return dispatch.choose(task, task, plan, x, None)(xp, plan, x, *given)
