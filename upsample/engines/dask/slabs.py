"""Slabs: the part of an input array that a task needs, and the blocks that it lies in.

A layout says for each axis which part of each block the slab has: ``((low, high), ...)``. The blocks of a slab are all
combinations of those of its axes, in row-major order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from dask._task_spec import Task, TaskRef

from upsample.plans.window import Range

__all__ = ["Layout", "Slab", "Source"]

Layout: TypeAlias = tuple[tuple[Range, ...], ...]
_Graph: TypeAlias = MutableMapping[Hashable, Any]

_LARGE = 1 << 23
"""Bytes of a block from which on it may be cut where it lies, instead of being sent whole."""
_SLIVER = 8
"""A block is cut there if the slab needs less than one part in so many of it."""
_MOST_SLIVERS = 8
"""Blocks that are cut for one slab, at most: each costs a task."""


class Source:
    """A Dask array, of whose blocks tasks take slabs."""

    def __init__(self, x: Any) -> None:
        self.x = x
        self._starts = [[0, *itertools.accumulate(chunks)] for chunks in x.chunks]
        self._axes: dict[tuple[int, Range], tuple[tuple[int, ...], tuple[Range, ...]]] = {}
        self._large = math.prod(max(c, default=0) for c in x.chunks) * x.dtype.itemsize >= _LARGE

    def _axis(self, axis: int, wanted: Range) -> tuple[tuple[int, ...], tuple[Range, ...]]:
        """Return the blocks that hold a range of an axis, and which part of each; remembered, as chunks share it."""
        found = self._axes.get((axis, wanted))
        if found is None:
            starts, (begin, end) = self._starts[axis], wanted
            first = np.searchsorted(starts, begin, side="right") - 1
            numbers, parts = [], []
            for number in range(int(first), len(starts) - 1):
                low, high = max(begin, starts[number]), min(end, starts[number + 1])
                if starts[number] >= end:
                    break
                if low < high:
                    numbers.append(number)
                    parts.append((low - starts[number], high - starts[number]))
            found = self._axes[axis, wanted] = tuple(numbers), tuple(parts)
        return found

    def slab(self, ranges: Sequence[Range], graph: _Graph, name: str) -> tuple[Layout, list[TaskRef]]:
        """Return the layout of a slab and references to its blocks; blocks that are cut become tasks of `graph`."""
        found = [self._axis(axis, wanted) for axis, wanted in enumerate(ranges)]
        layout = tuple(parts for _, parts in found)
        keys = [(self.x.name, *place) for place in itertools.product(*(numbers for numbers, _ in found))]
        refs = [TaskRef(key) for key in keys]
        if self._large and len(keys) > 1:
            self._cut(refs, keys, layout, graph, name)
        return layout, refs

    def _cut(self, refs: list[TaskRef], keys: list[tuple[Any, ...]], layout: Layout, graph: _Graph, name: str) -> None:
        """Let the blocks of which little is needed be cut where they lie, unless these are too many."""
        parts, small = list(itertools.product(*layout)), []
        for number, (key, part) in enumerate(zip(keys, parts, strict=True)):
            size = math.prod(self.x.chunks[axis][block] for axis, block in enumerate(key[1:]))
            if math.prod(high - low for low, high in part) * _SLIVER < size:
                small.append(number)
        for number in small if len(small) <= _MOST_SLIVERS else ():
            own = (f"{name}-cut", *keys[number][1:], *(v for r in parts[number] for v in r))
            if own not in graph:
                graph[own] = Task(own, _taken, refs[number], parts[number])
            refs[number] = TaskRef(own)


def _taken(block: Any, part: tuple[Range, ...]) -> Any:
    """Return a copy of a part of a block, which does not keep the rest in memory."""
    return block[tuple(slice(*r) for r in part)].copy()


class Slab(NamedTuple):
    """A part of an input array, and the blocks that it lies in."""

    layout: Layout
    blocks: Sequence[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(sum(high - low for low, high in parts) for parts in self.layout)

    def array(self) -> Any:
        """Return it as an array: of one block a view, of several a new array."""
        if len(self.blocks) == 1:
            return next(self.parts())[1]
        slab = np.empty_like(self.blocks[0], shape=self.shape)
        for place, part in self.parts():
            slab[tuple(slice(*r) for r in place)] = part
        return slab

    def parts(self) -> Iterator[tuple[tuple[Range, ...], Any]]:
        """Yield the part in each block: which ranges of the slab, and a view."""
        ends = [list(itertools.accumulate(high - low for low, high in parts)) for parts in self.layout]
        places = [
            [(end - (high - low), end) for end, (low, high) in zip(e, parts, strict=True)]
            for e, parts in zip(ends, self.layout, strict=True)
        ]
        for block, part, place in zip(
            self.blocks, itertools.product(*self.layout), itertools.product(*places), strict=True
        ):
            is_cut = block.shape == tuple(high - low for low, high in part)
            yield place, block if is_cut else block[tuple(slice(*r) for r in part)]
