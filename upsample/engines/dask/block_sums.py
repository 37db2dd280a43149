"""Sums over all cells of Dask arrays, with the bits of the same sums in memory.

A task makes the sums of some whole blocks (`plans.cell_blocks`) from the chunks that contain them. A chain of small
tasks adds them to the total, in the order of the blocks; it waits for nothing else, so few sums are in memory at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from dask._task_spec import Task, TaskRef
from dask.array.utils import meta_from_array

from upsample.engines.dask.chunks import Chunks, even
from upsample.engines.dask.graph import lazily
from upsample.float_errors import quiet
from upsample.plans.cell_blocks import CellBlocks

__all__ = ["of_blocks", "summed"]


def of_blocks(x: Any, blocks: CellBlocks) -> Chunks:
    """Return chunks of ``x [N, C, *cells]`` of whole blocks and all channels, about as large as those of `x`."""
    shape, chunks = (x.shape[0], *x.shape[2:]), (x.chunks[0], *x.chunks[2:])
    parts = CellBlocks.of(shape[1:], max(1, math.prod(max(c, default=1) for c in chunks)))
    if parts.axis > blocks.axis:
        parts = blocks
    elif parts.axis == blocks.axis:
        parts = CellBlocks(blocks.axis, max(1, parts.step // blocks.step) * blocks.step)
    before = tuple((1,) * n or (0,) for n in shape[: parts.axis])
    cut: Chunks = (*before, even(shape[parts.axis], parts.step), *((n,) for n in shape[parts.axis + 1 :]))
    return (cut[0], (x.shape[1],), *cut[1:])


def summed(made: Any, shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
    """Return the total of the blocks' sums, each of this shape, which the chunks of `made` have."""
    name = f"sum-{made.name}"
    key: tuple[Any, ...] | None = None
    graph: dict[Hashable, Any] = {}
    for number, at in enumerate(itertools.product(*(range(len(c)) for c in made.chunks))):
        before = () if key is None else (TaskRef(key),)
        key = (f"{name}-total", number)
        graph[key] = Task(key, _added, shape, TaskRef((made.name, *at)), *before)
    last = (name, *(0,) * len(shape))
    graph[last] = Task(last, _finished, shape, dtype, *(() if key is None else (TaskRef(key),)))
    meta = meta_from_array(like, ndim=len(shape), dtype=dtype)
    return lazily(graph, name, tuple((n,) for n in shape), meta, [made])


@quiet
def _added(shape: tuple[int, ...], sums: Any, before: Any = None) -> Any:
    """Add the sums of some blocks to a total, one by one; a chunk without cells has none."""
    total = before
    for one in sums if sums.shape[1:] == shape else ():
        total = one if total is None else total + one
    return total


@quiet
def _finished(shape: tuple[int, ...], dtype: np.dtype[Any], total: Any = None) -> Any:
    return np.zeros(shape, dtype) if total is None else total.astype(dtype, copy=False)
