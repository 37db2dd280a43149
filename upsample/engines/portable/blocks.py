"""Cut planes into parts of bounded size: ranges of cells, and the positions that they read.

How a plane is cut follows from sizes alone, so that results do not hang on the machine. Between two calls of NumPy
Python handles Ctrl-C; it does not during one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["Part", "Spans", "cut_cells", "cut_planes", "cut_positions"]

_LARGEST = 4
"""How many times a part may be larger than asked for, rather than have its neighbours' positions for the most part."""

_Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Adaptive windows of some cells of an axis: as `SpanAxis`, but anywhere.

    Attributes
    ----------
    large, small : int
        Positions, and cells.
    begins, counts : ndarray
        The first position of each cell, and how many it covers.
    """

    large: int
    small: int
    begins: _Ints
    counts: _Ints

    def first(self) -> _Ints:
        """The first position of each cell."""
        return self.begins

    def count(self) -> _Ints:
        """How many positions each cell covers."""
        return self.counts


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some planes, and some cells of each axis.

    Attributes
    ----------
    planes : slice
        Which planes.
    cells, positions : tuple of slice
        Of each axis: the cells, and the positions that they read (or those that are made of them).
    axes : tuple
        The geometry of each axis, as if it were all.
    """

    planes: slice
    cells: tuple[slice, ...]
    positions: tuple[slice, ...]
    axes: tuple[Any, ...]


def cut_planes(axes: Sequence[Any], planes: int, item: int, most: int, sharing: int) -> list[Part]:
    """Cut planes into parts of about `most` bytes, though into two at least where they have over `sharing` values.

    Parameters
    ----------
    axes : sequence of WindowAxis or SpanAxis
        Of a plane.
    planes : int
        How many.
    item : int
        Bytes a value.
    most : int
        Bytes a part, of positions or of cells, whichever are more.
    sharing : int
        Values from which on two threads work.
    """
    sizes = [max(axis.large, axis.small) for axis in axes]
    bytes_each = math.prod(sizes) * item
    if bytes_each <= most:
        together = max(1, most // max(1, bytes_each))
        if together >= planes and planes * math.prod(sizes) > sharing:
            together = -(-planes // 2)
        of_axes = [[(slice(0, axis.small), slice(0, axis.large), axis)] for axis in axes]
    else:
        together = 1
        of_axes = [list(_cuts(axis, step)) for axis, step in zip(axes, _steps(axes, sizes, item, most), strict=True)]
    parts = []
    for begin in range(0, planes, together):
        for chosen in itertools.product(*of_axes):
            cells, positions, geometry = zip(*chosen, strict=True)
            parts.append(Part(slice(begin, min(begin + together, planes)), cells, positions, geometry))
    return parts


def cut_cells(axes: Sequence[WindowAxis], most: int) -> list[Part]:
    """Divide the cells of a plane into parts of about `most` cells; axes of wide windows are not divided."""
    of_axes = []
    for axis, step in zip(axes, _cells(axes, most), strict=True):
        whole = (slice(0, axis.small), slice(0, axis.large), axis)
        of_axes.append([whole] if step >= axis.small else list(_cuts(axis, step)))
    return [Part(slice(None), *zip(*chosen, strict=True)) for chosen in itertools.product(*of_axes)]


def cut_positions(axes: Sequence[WindowAxis], most: int) -> list[Part]:
    """Divide the positions of a plane into parts that about `most` cells cover; do not divide axes of wide windows."""
    of_axes = [list(_bands(axis, step)) for axis, step in zip(axes, _cells(axes, most), strict=True)]
    return [Part(slice(None), *zip(*chosen, strict=True)) for chosen in itertools.product(*of_axes)]


def _cells(axes: Sequence[WindowAxis], most: int) -> list[int]:
    """Return the cells of a part along each axis: at least four times those it shares with its neighbors, or all."""
    steps, before = [], 1
    for place, axis in enumerate(axes):
        each = before * math.prod(axis.small for axis in axes[place + 1 :])
        overlap = (axis.reach - 1) // axis.stride
        step = max(most // each - overlap, 4 * overlap, 1)
        if each * axis.small <= 2 * most or 2 * (step + overlap) > axis.small:
            step = max(axis.small, -(-axis.large // axis.stride))
        steps.append(step)
        before *= min(step + overlap, axis.small)
    return steps


def _bands(axis: WindowAxis, step: int) -> Any:
    """Cut one axis where every `step` cells begin: the cells that reach the positions, these, geometry."""
    width = step * axis.stride
    if width >= axis.large:
        yield slice(0, axis.small), slice(0, axis.large), axis
        return
    for begin in range(0, axis.large, width):
        end = min(begin + width, axis.large)
        low = min(max(-((axis.reach - 1 - begin - axis.padding) // axis.stride), 0), axis.small - 1)
        high = min(max((end - 1 + axis.padding) // axis.stride + 1, low + 1), axis.small)
        padding = axis.padding + begin - low * axis.stride
        yield (
            slice(low, high),
            slice(begin, end),
            WindowAxis(end - begin, high - low, axis.kernel, axis.stride, padding, axis.dilation),
        )


def _steps(axes: Sequence[Any], sizes: list[int], item: int, most: int) -> list[int]:
    """How many cells of each axis a part has: all of the last axes, if that can be."""
    steps, before = [], item
    for place, axis in enumerate(axes):
        each = before * math.prod(sizes[place + 1 :])  # bytes a position of this axis
        if each * sizes[place] <= most:
            step = axis.small
        elif isinstance(axis, WindowAxis):
            overlap = max(0, axis.reach - axis.stride)
            step = max(
                (most // each - overlap) // axis.stride, min(overlap, _LARGEST * most // each - overlap) // axis.stride
            )
        else:
            step = most // each * axis.small // sizes[place]
        step = max(1, min(step, axis.small))
        steps.append(step)
        before *= max(step, min(axis.large, _read(axis, step)))
    return steps


def _read(axis: Any, cells: int) -> int:
    """How many positions so many cells read, about."""
    if isinstance(axis, WindowAxis):
        return (cells - 1) * axis.stride + axis.reach
    return int(-(-cells * axis.large // axis.small) + 1)


def _cuts(axis: Any, step: int) -> Any:
    """Cut one axis: cells, positions, geometry."""
    for begin in range(0, axis.small, step):
        end = min(begin + step, axis.small)
        yield slice(begin, end), *_part(axis, begin, end)


def _part(axis: Any, begin: int, end: int) -> tuple[slice, Any]:
    """The positions that cells ``[begin, end)`` read, one at least, and their geometry."""
    if isinstance(axis, WindowAxis):
        start, stop = axis.reads(begin, end)
        low = min(max(start, 0), axis.large - 1)
        high = min(max(stop, low + 1), axis.large)
        return slice(low, high), WindowAxis(
            high - low, end - begin, axis.kernel, axis.stride, low - start, axis.dilation
        )
    assert isinstance(axis, SpanAxis)
    (low, high), (first, count) = axis.reads(begin, end), axis.spans(begin, end)
    return slice(low, high), Spans(high - low, end - begin, first - low, count)
