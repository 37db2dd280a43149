"""The gradient of transposed convolution by its weight, on Dask arrays.

It is a sum over all cells: each block of cells makes a partial sum, and pairs of these are added, in the order of the
blocks. Equal chunks give equal bits; NumPy's array in memory has the same sum in another order.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from dask._task_spec import Task, TaskRef
from dask.array.utils import meta_from_array

from upsample import arrays
from upsample.engines.dask.graph import Ranges, as_dask, chunked, lazily, run_op
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(_xp: ModuleType, plan: ConvTransposePlan, x: Any, y: Any) -> Any:
    """Return ``[C, M / groups, *kernel]``, the sums over cells of ``x [N, C, *small]`` times ``y [N, M, *large]``."""
    x = as_dask(x, (y.chunks[0], -1, *((n,) for n in plan.small_shape))) if isinstance(x, np.ndarray) else x
    x = x.rechunk({1: -1})
    y = as_dask(y, (x.chunks[0], -1, *((n,) for n in plan.large_shape))) if isinstance(y, np.ndarray) else y
    y = y.rechunk({1: -1})
    wide = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    shape = (x.shape[1], y.shape[1] // plan.groups, *plan.kernel_shape)

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        cells = ranges[2:]
        positions = tuple(axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True))
        axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
        slabs = (ranges[0], (0, x.shape[1]), *cells), (ranges[0], (0, y.shape[1]), *positions)
        return (_weight_grad, replace(plan, axes=axes), wide), slabs

    made = chunked("conv_transpose_weight_grad", [x, y], x.chunks, wide, chunk, plan, 1)
    return _summed(made, x.chunks, shape, x)


def _weight_grad(plan: ConvTransposePlan, wide: np.dtype[Any], x: Any, y: Any) -> Any:
    """The partial sum of a block, in the dtype of sums."""
    return run_op("conv_transpose.weight_grad", plan, x.astype(wide, copy=False), y.astype(wide, copy=False))


def _summed(made: Any, chunks: tuple[tuple[int, ...], ...], shape: tuple[int, ...], x: Any) -> Any:
    """Add the partial sums up, two neighbours at a time."""
    name = f"sum-{made.name}"
    graph: dict[Hashable, Any] = {}
    keys: list[tuple[Any, ...]] = [(made.name, *at) for at in itertools.product(*(range(len(c)) for c in chunks))]
    level = 0
    while len(keys) > 1:
        pairs = [keys[i : i + 2] for i in range(0, len(keys), 2)]
        keys = []
        for number, pair in enumerate(pairs):
            one = (f"{name}-{level}", number)
            graph[one] = Task(one, _add, shape, *map(TaskRef, pair))
            keys.append(one)
        level += 1
    key = (name, *(0,) * len(shape))
    graph[key] = Task(key, _finished, shape, x.dtype, *map(TaskRef, keys))
    like = meta_from_array(x, ndim=len(shape), dtype=x.dtype)
    return lazily(graph, name, tuple((n,) for n in shape), like, [made])


@quiet
def _add(shape: tuple[int, ...], *parts: Any) -> Any:
    """The sum of partial sums; a block without cells made none."""
    whole = [part for part in parts if part.shape == shape]
    return sum(whole[1:], start=whole[0]) if whole else parts[0]


@quiet
def _finished(shape: tuple[int, ...], dtype: np.dtype[Any], *parts: Any) -> Any:
    total = _add(shape, *parts) if parts else None
    if total is None or total.shape != shape:
        return np.zeros(shape, dtype)
    return total.astype(dtype, copy=False)
