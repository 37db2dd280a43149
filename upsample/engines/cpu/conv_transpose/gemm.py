"""Convolutions with many channels as GEMMs: each phase of the result is one product of weights and cells.

Cells are laid out once a region, a few rows of a plane that stay in the second-level cache, with zeros around them;
every phase and every output channel reads them from there, and nothing is made but the result.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose.gemm_index import Lists, Side
from upsample.engines.cpu.conv_transpose.gemm_kernels import SLAB, Planes, Product, Strides, lay_out, multiply, pack
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS
from upsample.engines.cpu.runtime.machine import L2_BYTES
from upsample.plans.phases import Phase

__all__ = ["products"]


_CELLS = L2_BYTES
"""Cells of a region, in bytes: they fill the L2 cache."""
_MOST_CELLS = 8 * L2_BYTES
"""Cells of the smallest region, in bytes; from here on the direct kernel runs."""
_MOST_WASTE = 4
"""Cells of a line per position from which the direct kernel runs."""
_SUMS = 1 << 10
"""Sums per row of a tile, all phases of a line together."""
_BLOCK = 1 << 29
"""Most products per block: about 10 ms."""
_WEIGHTS = L2_BYTES // 2
"""Weights that are used in turn, in bytes; they stay in the L2 cache beside the cells in use."""
_FEW = 1 << 20
"""Products up to which one thread runs alone."""
_LEAST_BLOCKS = 8
"""Least blocks of a large call, so that several threads find work."""


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Part of a plane: positions of the phases of the first and of the last axis.

    Attributes
    ----------
    shape : tuple of int
        Of the cells of a grid, with the zeros around them.
    step : int
        Cells from channel to channel.
    rows : array
        The cells that there are of all grids: where a row begins in the plane and in the region, and how many.
    reads : slice
        Of the first axis of the plane.
    target : tuple of slice
        Positions of the first axis and of the last.
    offsets, slabs : array
        As `gemm_kernels` says.
    most, line : int
        Lines that are made at once, and sums for each row of a tile.
    work : int
        Products for each input channel and tile.
    """

    shape: tuple[int, ...]
    step: int
    rows: NDArray
    reads: slice
    target: tuple[slice, slice]
    offsets: NDArray
    slabs: NDArray
    most: int
    line: int
    work: int


@cached
def _region(lists: Lists, lanes: int, y: tuple[int, int], j: tuple[int, int]) -> _Region:
    sides, last = lists.sides, lists.sides[-1]
    counts = [-(-side.positions // side.stride) for side in sides]
    begins, ends = [y[0], *[0] * (len(sides) - 2), j[0]], [y[1], *counts[1:-1], j[1]]
    lows = [begin + low for begin, low in zip(begins, lists.low, strict=True)]
    highs = [end + high for end, high in zip(ends, lists.high, strict=True)]
    shape = [high - low for low, high in zip(lows, highs, strict=True)]
    if (begins[-1], ends[-1]) == (0, counts[-1]):  # the zeros behind a line are the next line's before
        shape[-1] = max(highs[-1], min(-(-last.cells // last.step), highs[-1]) - lows[-1])
    steps = [math.prod(shape[n + 1 :]) for n in range(len(sides))]
    offsets = (lists.shifts - lists.low) @ np.asarray(steps, dtype=np.int64) + lists.grids * math.prod(shape)
    width = min(j[1] * last.stride, last.positions) - j[0] * last.stride
    most = max(1, min(_SUMS // (last.stride * shape[-1]), ends[-2] - begins[-2]))
    grids = max(len(lists.firsts) * math.prod(shape), math.prod(shape) + int(offsets.max(initial=0)))
    size = grids + lanes  # with what the last tile reads beyond the last line
    return _Region(
        tuple(shape),
        size // 16 * 16 + 16 + 16 * (size // 16 % 2),
        frozen(_rows(lists, lows, highs, steps, math.prod(shape))),
        slice(max(lists.firsts[0][0] + lows[0] * sides[0].step, 0), lists.firsts[-1][0] + highs[0] * sides[0].step),
        (
            slice(y[0] * sides[0].stride, min(y[1] * sides[0].stride, sides[0].positions)),
            slice(j[0] * last.stride, j[0] * last.stride + width),
        ),
        frozen(offsets),
        frozen(_slabs(sides, y, steps)),
        most,
        most * shape[-1] + lanes,
        math.prod(shape) * len(lists.order) * ROWS,
    )


def _rows(lists: Lists, lows: list[int], highs: list[int], steps: list[int], size: int) -> NDArray:
    found = [np.empty((0, 3), dtype=np.int64)]
    for number, firsts in enumerate(lists.firsts):
        source, target, count = np.zeros(1, dtype=np.int64), np.full(1, number * size), 1
        for side, first, low, high, step in zip(lists.sides, firsts, lows, highs, steps, strict=True):
            cells = np.arange(max(low, -(first // side.step)), min(high, -((first - side.cells) // side.step)))
            if side is lists.sides[-1]:
                count, cells = len(cells), cells[:1]
            source = np.add.outer(source * side.cells, first + cells * side.step).reshape(-1)
            target = np.add.outer(target, (cells - low) * step).reshape(-1)
        found.append(np.stack([source, target, np.full(len(source), count)], axis=1))
    return np.concatenate(found)


def _slabs(sides: tuple[Side, ...], y: tuple[int, int], steps: list[int]) -> NDArray:
    found = []
    bounds = [y] + [(0, side.positions) for side in sides[1:-1]]
    of_last = len(sides[-1].phases)
    for number, corner in enumerate(itertools.product(*(side.phases for side in sides[:-1]))):
        ranges = [_inside(phase, *bound) for phase, bound in zip(corner, bounds, strict=True)]
        for place in itertools.product(*ranges[:-1]):
            row = base = 0
            for n, side in enumerate(sides[:-1]):
                at = (*place, ranges[-1].start)[n]
                base += (at - (y[0] if n == 0 else 0)) * steps[n]
                row = row * side.positions + corner[n].start + (at - (y[0] if n == 0 else 0)) * side.stride
            found.append((number * of_last, base, row, len(ranges[-1]), sides[-2].stride))
    return np.asarray(found, dtype=np.int64).reshape(-1, len(SLAB))


def _inside(phase: Phase, begin: int, end: int) -> range:
    return range(begin, max(begin, min(end, phase.count)))


def products(lists: Lists, x: NDArray, weight: NDArray, bias: NDArray | None, result: NDArray) -> bool:
    """Fill ``result [planes, outputs, *positions]`` from ``x [planes, inputs, *cells]``, or return False.

    That is where regions would have too many cells, and where a weight is not finite: it would meet the zeros around
    the cells. ``weight [groups, inputs, outputs, kernel]`` and ``bias [groups, outputs]`` are of the dtype of sums;
    there are two spatial axes or more.
    """
    lanes = BITS // (8 * weight.itemsize)
    cuts = _cuts(lists, lanes, x.shape[1], weight.itemsize)
    if cuts is None:
        return False
    groups, inputs, outputs, _ = weight.shape
    tiles = -(-outputs // ROWS)
    packed = np.empty((groups, tiles, len(lists.order) * inputs * ROWS), dtype=weight.dtype)
    strides = (weight.strides[1] // weight.itemsize, weight.strides[2] // weight.itemsize)
    odd = []

    def lay_out(number: int) -> None:
        group, tile = divmod(number, tiles)
        of = Strides(inputs, outputs, tile * ROWS, *strides)
        if pack(frozen(weight[group].ravel(order="K")), lists.begins, lists.order, of, packed[group, tile]):
            odd.append(number)

    threads.each_block(lay_out, groups * tiles, None if packed.size > 1 << 15 else 1)
    if odd:
        return False
    added = np.zeros((groups, tiles * ROWS), dtype=weight.dtype)
    if bias is not None:
        added[:, :outputs] = bias + 0  # no bias of -0, see `runtime.fma`
    regions = [_region(lists, lanes, y, j) for y in cuts[0] for j in cuts[1]]
    together = max(1, _CELLS // (max(region.step for region in regions) * inputs * weight.itemsize))
    images = len(x) // groups
    together = -(-images // -(-images // together))
    planes = [
        slice(g + n * groups, min(n + together, images) * groups, groups)
        for g in range(groups)
        for n in range(0, images, together)
    ]
    work = _Work(lists, x, frozen(packed).reshape(-1), frozen(added).reshape(-1), result, (groups, inputs, outputs))
    largest, count = max(region.work for region in regions) * inputs * together, len(planes) * len(regions)
    few = largest * count * tiles < _FEW
    some = tiles if few else max(1, min(tiles, _BLOCK // largest, tiles * count // _LEAST_BLOCKS))
    parts = [range(t, min(t + some, tiles)) for t in range(0, tiles, some)]
    blocks = list(itertools.product(planes, regions, parts))
    threads.each_block(lambda number: work.make(*blocks[number]), len(blocks), 1 if few else None)
    return True


def _cuts(
    lists: Lists, lanes: int, inputs: int, itemsize: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
    """Cut the positions of the first and of the last axis; None where regions would have too many cells."""
    ys, js = (-(-side.positions // side.stride) for side in (lists.sides[0], lists.sides[-1]))
    first, last, stride = ys, js, lists.sides[-1].stride

    def fits(ys: int, js: int) -> bool:
        if ys * js * inputs * itemsize > _CELLS:  # a region has no fewer cells: its table, which is long, is not needed
            return False
        region = _region(lists, lanes, (0, ys), (0, js))
        return region.step * inputs * itemsize <= _CELLS and region.work * inputs <= _BLOCK

    while js > 512 and js * stride > 8 * _SUMS:
        js = -(-js // 2)
    while ys > 1 and not fits(ys, js):
        ys = -(-ys // 2)
    while js > 16 and not fits(ys, js):
        js = -(-js // 2)
    region = _region(lists, lanes, (0, ys), (0, js))
    if region.step * inputs * itemsize > _MOST_CELLS or region.shape[-1] > _MOST_WASTE * js + 16:
        return None
    return (
        [(y, min(y + ys, first)) for y in range(0, first, ys)],
        [(j, min(j + js, last)) for j in range(0, last, js)],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call."""

    lists: Lists
    x: NDArray
    packed: NDArray
    bias: NDArray
    result: NDArray
    counts: tuple[int, int, int]

    def make(self, planes: slice, region: _Region, tiles: range) -> None:
        """Make some tiles' channels of a region of some planes of one group."""
        groups, inputs, outputs = self.counts
        dtype, sides, taps = self.packed.dtype, self.lists.sides, len(self.lists.order)
        cells = self._cells(planes, region)
        sums = np.empty(len(sides[-1].phases) * ROWS * region.line, dtype=dtype)
        channels = range(tiles.start * ROWS, min(tiles.stop * ROWS, outputs))
        y, j = region.target
        box = self.result[planes, channels.start : channels.stop, y, ..., j]
        lines, direct = math.prod(side.positions for side in sides[1:-1]), self.result.dtype == dtype
        if direct:
            made, row_pitch = self.result, sides[-1].positions
            pitch = sides[0].positions * lines * row_pitch
            origin = planes.start * outputs * pitch + y.start * lines * row_pitch + j.start
            plane_pitch = groups * outputs * pitch
        else:
            made, row_pitch = np.empty(box.shape, dtype=dtype), box.shape[-1]
            pitch = box.shape[2] * lines * row_pitch
            origin, plane_pitch = -channels.start * pitch, box.shape[1] * pitch
        first = planes.start % groups * -(-outputs // ROWS) * ROWS
        turn = max(1, _WEIGHTS // max(1, taps * inputs * ROWS * dtype.itemsize))
        product = Product(
            tile_begin=tiles.start,
            tile_end=tiles.stop,
            turn=turn,
            outputs=outputs,
            first_weight=first * taps * inputs,
            first_bias=first,
            planes=box.shape[0],
            inputs=inputs,
            step=region.step,
            extent=region.shape[-1],
            stride=sides[-1].stride,
            width=box.shape[-1],
            lines=region.most,
            sums=region.line,
            origin=origin,
            of_plane=plane_pitch,
            of_output=pitch,
            of_row=row_pitch,
        )
        tables = (region.offsets, self.lists.begins, region.slabs)
        multiply(cells, self.packed, *tables, self.bias, sums, made.reshape(-1), product)
        if not direct:
            box[...] = made

    def _cells(self, planes: slice, region: _Region) -> NDArray:
        """Lay a region's cells out, zeros around them."""
        inputs, dtype = self.counts[1], self.packed.dtype
        line = math.prod(side.cells for side in self.lists.sides[1:])
        if self.x.dtype == dtype and self.x.flags.c_contiguous:
            size = self.lists.sides[0].cells * line
            source, begin, apart = self.x, planes.start * inputs * size, planes.step * inputs * size
        else:
            source = np.ascontiguousarray(self.x[planes, :, region.reads], dtype=dtype)
            size = source.shape[2] * line
            begin, apart = -region.reads.start * line, inputs * size
        count = len(range(*planes.indices(len(self.x))))
        cells = np.empty(count * inputs * region.step + BITS // (8 * dtype.itemsize), dtype=dtype)
        of = Planes(count, inputs, begin, apart, size, self.lists.sides[-1].step, region.step)
        lay_out(frozen(source).reshape(-1), region.rows, of, cells)
        return frozen(cells)
