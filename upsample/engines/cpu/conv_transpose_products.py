"""Transposed convolution with many channels: each phase of the result is one product of its taps' weights and cells.

Cells are laid out once a region, a few rows of a plane that stay in the second-level cache, with zeros around them;
every phase and every output channel reads them from there, and nothing is made but the result.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv_transpose_tiles import SLAB, pack, spread
from upsample.engines.cpu.tile import BITS, ROWS
from upsample.plans.window import Phase, SpreadPlan, WindowAxis, phases

__all__ = ["products"]

_A = np.ndarray[Any, Any]

_CELLS = 1 << 20
"""Bytes of a region's cells, about: half of a second-level cache."""
_MOST_CELLS = 1 << 23
"""Bytes of the smallest region's cells, from which on no products are made."""
_MOST_WASTE = 4
"""Cells of a line that are looked at for each of its positions, from which on no products are made."""
_SUMS = 1 << 10
"""Sums that are made at once for each row of a tile, all phases of a line together, about."""
_BLOCK = 1 << 29
"""Products that a block adds up at most: ten milliseconds."""
_WEIGHTS = 1 << 19
"""Bytes of weights that are used in turn: they stay in the second-level cache beside the cells."""
_FEW = 1 << 20
"""Products that one thread makes alone."""
_LEAST_BLOCKS = 8
"""Blocks that are made where there is enough to do, for any number of threads."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lists:
    """The taps of the phases of a plan.

    Attributes
    ----------
    axes : tuple of WindowAxis
        Two or more.
    begins : array
        Where the list of each phase of the plane begins, those of the last axis side by side.
    order : array
        Taps of all lists.
    shifts : array
        ``[taps of all lists, axes]``: the cells that they bring to position 0 of their phase.
    low, high : tuple of int
        The least and the greatest shift of each axis, 0 between them.
    """

    axes: tuple[WindowAxis, ...]
    begins: _A
    order: _A
    shifts: _A
    low: tuple[int, ...]
    high: tuple[int, ...]


@lru_cache(maxsize=256)
def _lists(plan: SpreadPlan) -> _Lists:
    axes = plan.axes if len(plan.axes) > 1 else (WindowAxis(1, 1, 1, 1, 0, 1), *plan.axes)
    order, shifts, begins = [], [], [0]
    for corner in itertools.product(*map(phases, axes)):
        for chosen in itertools.product(*(range(len(phase.taps)) for phase in corner)):
            tap = 0
            for axis, phase, t in zip(axes, corner, chosen, strict=True):
                tap = tap * axis.kernel + phase.taps[t]
            order.append(tap)
            shifts.append([phase.cells[t] for phase, t in zip(corner, chosen, strict=True)])
        begins.append(len(order))
    found = np.asarray(shifts, dtype=np.int64).reshape(-1, len(axes))
    low, high = found.min(axis=0, initial=0), found.max(axis=0, initial=0)
    ends, taps = (frozen(np.asarray(table, dtype=np.int64)) for table in (begins, order))
    return _Lists(axes, ends, taps, found, tuple(map(int, low)), tuple(map(int, high)))


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Part of a plane: positions of the phases of the first and of the last axis.

    Attributes
    ----------
    shape : tuple of int
        Of its cells, with the zeros around them.
    step : int
        Cells from channel to channel.
    source, inside : tuple of slice
        The cells that there are, in the plane and in the region.
    target : tuple of slice
        Positions of the first axis and of the last.
    offsets, slabs : array
        As `upsample.engines.cpu.conv_transpose_tiles` says.
    most, line : int
        Lines that are made at once, and sums for each row of a tile.
    work : int
        Products for each input channel and tile.
    """

    shape: tuple[int, ...]
    step: int
    source: tuple[slice, ...]
    inside: tuple[slice, ...]
    target: tuple[slice, slice]
    offsets: _A
    slabs: _A
    most: int
    line: int
    work: int


@lru_cache(maxsize=256)
def _region(plan: SpreadPlan, lanes: int, y: tuple[int, int], j: tuple[int, int]) -> _Region:
    lists = _lists(plan)
    axes, last = lists.axes, lists.axes[-1]
    counts = [-(-axis.large // axis.stride) for axis in axes]
    begins, ends = [y[0], *[0] * (len(axes) - 2), j[0]], [y[1], *counts[1:-1], j[1]]
    shape, source, inside = [], [], []
    for n, axis in enumerate(axes):
        low, high = begins[n] + lists.low[n], ends[n] + lists.high[n]
        if n == len(axes) - 1 and (begins[n], ends[n]) == (0, counts[n]):  # the zeros behind are the next line's before
            extent = max(ends[n] + lists.high[n], min(axis.small, ends[n] + lists.high[n]) - low)
        else:
            extent = high - low
        first, past = min(max(low, 0), axis.small), max(min(high, axis.small), 0)
        past = max(past, first)
        shape.append(extent)
        source.append(slice(first, past))
        inside.append(slice(first - low, past - low))
    steps = [math.prod(shape[n + 1 :]) for n in range(len(axes))]
    offsets = (lists.shifts - lists.low) @ np.asarray(steps, dtype=np.int64)
    width = min(j[1] * last.stride, last.large) - j[0] * last.stride
    most = max(1, min(_SUMS // (last.stride * shape[-1]), ends[-2] - begins[-2]))
    slack = lanes + int(offsets.max(initial=0))  # what the last tile reads beyond the last line
    return _Region(
        tuple(shape),
        (math.prod(shape) + slack) // 16 * 16 + 16 + 16 * ((math.prod(shape) + slack) // 16 % 2),
        tuple(source),
        tuple(inside),
        (
            slice(y[0] * axes[0].stride, min(y[1] * axes[0].stride, axes[0].large)),
            slice(j[0] * last.stride, j[0] * last.stride + width),
        ),
        frozen(offsets),
        frozen(_slabs(axes, y, steps)),
        most,
        most * shape[-1] + lanes,
        math.prod(shape) * len(lists.order) * ROWS,
    )


def _slabs(axes: tuple[WindowAxis, ...], y: tuple[int, int], steps: list[int]) -> _A:
    found = []
    bounds = [y] + [(0, axis.large) for axis in axes[1:-1]]
    of_last = len(phases(axes[-1]))
    for number, corner in enumerate(itertools.product(*map(phases, axes[:-1]))):
        ranges = [_inside(phase, *bound) for phase, bound in zip(corner, bounds, strict=True)]
        for place in itertools.product(*ranges[:-1]):
            row = base = 0
            for n, axis in enumerate(axes[:-1]):
                at = (*place, ranges[-1].start)[n]
                base += (at - (y[0] if n == 0 else 0)) * steps[n]
                row = row * axis.large + corner[n].start + at * axis.stride - (y[0] * axis.stride if n == 0 else 0)
            found.append((number * of_last, base, row, len(ranges[-1]), axes[-2].stride))
    return np.asarray(found, dtype=np.int64).reshape(-1, len(SLAB))


def _inside(phase: Phase, begin: int, end: int) -> range:
    return range(begin, max(begin, min(end, phase.count)))


def products(plan: SpreadPlan, x: _A, weight: _A, bias: _A | None, result: _A) -> bool:
    """Fill ``result [planes, each, *large]`` from ``x [planes, inputs, *small]``, or return False.

    That is where regions would have too many cells, and where a weight is not finite: it would meet the zeros around
    the cells. ``weight [groups, inputs, each, kernel]`` and ``bias [groups, each]`` are of the dtype of sums.
    """
    lists, lanes = _lists(plan), BITS // (8 * weight.itemsize)
    cuts = _cuts(plan, lists, lanes, x.shape[1], weight.itemsize)
    if cuts is None:
        return False
    groups, inputs, each, _ = weight.shape
    tiles = -(-each // ROWS)
    packed = np.empty((groups, tiles, len(lists.order) * inputs * ROWS), dtype=weight.dtype)
    odd = []

    def lay_out(number: int) -> None:
        group, tile = divmod(number, tiles)
        sizes = (inputs, each, weight.shape[3], tile * ROWS)
        value = pack(frozen(weight[group]).reshape(-1), lists.order, sizes, packed[group, tile])
        if value != value:
            odd.append(number)

    threads.each_block(lay_out, groups * tiles, None if packed.size > 1 << 15 else 1)
    if odd:
        return False
    added = np.zeros((groups, tiles * ROWS), dtype=weight.dtype)
    if bias is not None:
        added[:, :each] = bias
    regions = [_region(plan, lanes, y, j) for y in cuts[0] for j in cuts[1]]
    together = max(1, _CELLS // (max(region.step for region in regions) * inputs * weight.itemsize))
    images = len(x) // groups
    together = -(-images // -(-images // together))
    planes = [
        slice(g + n * groups, min(n + together, images) * groups, groups)
        for g in range(groups)
        for n in range(0, images, together)
    ]
    work = _Work(lists, x, frozen(packed).reshape(-1), frozen(added).reshape(-1), result, (groups, inputs, each))
    largest, count = max(region.work for region in regions) * inputs * together, len(planes) * len(regions)
    few = largest * count * tiles < _FEW
    some = tiles if few else max(1, min(tiles, _BLOCK // largest, tiles * count // _LEAST_BLOCKS))
    parts = [range(t, min(t + some, tiles)) for t in range(0, tiles, some)]
    blocks = list(itertools.product(planes, regions, parts))
    threads.each_block(lambda number: work.make(*blocks[number]), len(blocks), 1 if few else None)
    return True


def _cuts(
    plan: SpreadPlan, lists: _Lists, lanes: int, inputs: int, itemsize: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
    """Cut the positions of the first and of the last axis; None where regions would have too many cells."""
    ys, js = (-(-axis.large // axis.stride) for axis in (lists.axes[0], lists.axes[-1]))
    first, last, stride = ys, js, lists.axes[-1].stride

    def fits(ys: int, js: int) -> bool:
        region = _region(plan, lanes, (0, ys), (0, js))
        return region.step * inputs * itemsize <= _CELLS and region.work * inputs <= _BLOCK

    while js > 512 and js * stride > 8 * _SUMS:
        js = -(-js // 2)
    while ys > 1 and not fits(ys, js):
        ys = -(-ys // 2)
    while js > 16 and not fits(ys, js):
        js = -(-js // 2)
    region = _region(plan, lanes, (0, ys), (0, js))
    if region.step * inputs * itemsize > _MOST_CELLS or region.shape[-1] > _MOST_WASTE * js + 16:
        return None
    return (
        [(y, min(y + ys, first)) for y in range(0, first, ys)],
        [(j, min(j + js, last)) for j in range(0, last, js)],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call."""

    lists: _Lists
    x: _A
    packed: _A
    bias: _A
    result: _A
    counts: tuple[int, int, int]

    def make(self, planes: slice, region: _Region, tiles: range) -> None:
        """Make some tiles' channels of a region of some planes of one group."""
        groups, inputs, each = self.counts
        dtype, axes, taps = self.packed.dtype, self.lists.axes, len(self.lists.order)
        cells = self._cells(planes, region)
        sums = np.empty(len(phases(axes[-1])) * ROWS * region.line, dtype=dtype)
        channels = range(tiles.start * ROWS, min(tiles.stop * ROWS, each))
        y, j = region.target
        box = self.result[planes, channels.start : channels.stop, y, ..., j]
        lines, direct = math.prod(axis.large for axis in axes[1:-1]), self.result.dtype == dtype
        if direct:
            made, row_pitch = self.result, axes[-1].large
            pitch = axes[0].large * lines * row_pitch
            origin = planes.start * each * pitch + y.start * lines * row_pitch + j.start
            plane_pitch = groups * each * pitch
        else:
            made, row_pitch = np.empty(box.shape, dtype=dtype), box.shape[-1]
            pitch = box.shape[2] * lines * row_pitch
            origin, plane_pitch = -channels.start * pitch, box.shape[1] * pitch
        first = planes.start % groups * -(-each // ROWS) * ROWS
        turn = max(1, _WEIGHTS // max(1, taps * inputs * ROWS * dtype.itemsize))
        numbers = (
            *(tiles.start, tiles.stop, turn, each, first * taps * inputs, first),
            *(box.shape[0], inputs, region.step, region.shape[-1], axes[-1].stride, box.shape[-1]),
            *(region.most, region.line, origin, plane_pitch, pitch, row_pitch),
        )
        tables = (region.offsets, self.lists.begins, region.slabs)
        spread(cells, self.packed, *tables, self.bias, sums, made.reshape(-1), numbers)
        if not direct:
            with np.errstate(over="ignore"):
                box[...] = made

    def _cells(self, planes: slice, region: _Region) -> _A:
        """Lay a region's cells out, zeros around them."""
        found = self.x[(planes, slice(None), *region.source)]
        cells = np.zeros((*found.shape[:2], region.step), dtype=self.packed.dtype)
        grid = cells[..., : math.prod(region.shape)].reshape(*found.shape[:2], *region.shape)
        with np.errstate(invalid="ignore"):
            grid[(slice(None), slice(None), *region.inside)] = found
        return frozen(cells.reshape(-1))
