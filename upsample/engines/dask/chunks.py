"""Chunks of Dask arrays: where they lie, and which a result has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import dask
import dask.array as da
from dask.utils import parse_bytes

from upsample.plans.window import Range

__all__ = ["Chunks", "as_dask", "bounds", "even", "one_chunk", "out_chunks"]

Chunks: TypeAlias = tuple[tuple[int, ...], ...]

_SHRUNK = 8
"""Blocks of the input that a chunk of a result which shrinks is made of, about, at most."""


def bounds(chunks: Sequence[int]) -> list[Range]:
    """Return where each chunk of an axis begins and ends."""
    return list(itertools.pairwise([0, *itertools.accumulate(chunks)]))


def even(size: int, chunk: float) -> tuple[int, ...]:
    """Cut an axis into chunks of one size, the last one the rest."""
    each = max(1, min(int(chunk), size))
    rest = size % each
    return (each,) * (size // each) + ((rest,) if rest else ()) or (0,)


def out_chunks(x: Any, shape: tuple[int, ...], changed: set[int]) -> Chunks:
    """Return the chunks of a result: along `changed` axes even and as large as the largest of `x`, elsewhere its own.

    Smaller if one would be made of many chunks of `x`, or be larger than Dask's ``array.chunk-size``.
    """
    shrunk = [axis for axis in changed if shape[axis] < x.shape[axis] and len(x.chunks[axis]) > 1]
    most = _SHRUNK ** (1 / max(len(shrunk), 1))
    sizes = {}
    for axis in changed:
        chunks, n = x.chunks[axis], shape[axis]
        ratio = min(1.0, most * n / max(x.shape[axis], 1))
        sizes[axis] = n if len(chunks) == 1 else max(1, int(max(chunks) * ratio))
    limit = parse_bytes(dask.config.get("array.chunk-size"))
    others = math.prod(max(c, default=1) for axis, c in enumerate(x.chunks) if axis not in changed)
    while others * math.prod(sizes.values()) * x.dtype.itemsize > limit and max(sizes.values(), default=1) > 1:
        largest = max(sizes, key=lambda axis: sizes[axis])
        sizes[largest] = -(-sizes[largest] // 2)
    return tuple(even(shape[a], sizes[a]) if a in changed else c for a, c in enumerate(x.chunks))


def as_dask(x: Any, chunks: Any) -> Any:
    """Return an array in these chunks, as Dask arrays take NumPy arrays along."""
    return x.rechunk(chunks) if isinstance(x, da.Array) else da.from_array(x, chunks=chunks)


def one_chunk(x: Any) -> Any:
    """Return a weight as a Dask array of one chunk, which all tasks share."""
    return as_dask(x, -1)
