"""Transposed convolution: matrix products on BLAS, whose shares compiled loops add up; direct loops for few channels.

The product gives every tap of every cell its share, for so many images, output channels and rows of cells at a time
that the shares stay in the cache of the thread that makes them; `gather` sums them into rows of the result. With few
input channels a product is not worth its shares, and `gather` weighs the cells as it sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.conv_transpose_kernels import AXIS, gather
from upsample.plans.window import SpreadPlan, WindowAxis, phases

__all__ = ["run"]

_A = np.ndarray[Any, Any]

_SHARES = 1 << 20
"""Bytes of shares that a thread makes at once: they stay in its second-level cache."""
_MOST_SHARES = 1 << 24
"""Bytes of shares of the fewest cells, from which on they are not made at all."""
_FEW_CHANNELS = 4
"""Input channels of a group up to which no product is made."""
_PRODUCT_ROWS = 64
"""Rows of a product that keep BLAS busy."""
_SMALL_PRODUCT = 1 << 18
"""Multiplications of a product that OpenBLAS makes in the thread that asks: its own threads wait for each other, which
takes long where the cores are busy, and spin afterwards at the cost of all others."""
_WORK = 1 << 17
"""Sums that a task makes, about."""
_STAGED = 1 << 22
"""Elements of halves that are converted at once, about."""


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """What depends on the plan alone.

    Attributes
    ----------
    grid : array
        As `upsample.engines.cpu.conv_transpose_kernels` says.
    axes : tuple of WindowAxis
        Two or more.
    rows : int
        Rows of the result for each position on the first axis.
    lines : int
        Rows of cells for each cell on the first axis.
    taps : int
        Of a window.
    sums : float
        Products that a position adds up, for each input channel.
    phase : int
        Positions of the first phase of the last axis.
    """

    grid: _A
    axes: tuple[WindowAxis, ...]
    rows: int
    lines: int
    taps: int
    sums: float
    phase: int

    def cells(self, axis: int, begin: int, end: int) -> tuple[int, int]:
        """Bounds of the cells that cover the positions `begin` to `end` of an axis."""
        a = self.axes[axis]
        low = -((a.dilation * (a.kernel - 1) - begin - a.padding) // a.stride)
        return min(max(low, 0), a.small), min(max((end - 1 + a.padding) // a.stride + 1, 0), a.small)


@lru_cache(maxsize=256)
def _geometry(plan: SpreadPlan) -> _Geometry:
    axes = plan.axes if len(plan.axes) > 1 else (WindowAxis(1, 1, 1, 1, 0, 1), *plan.axes)
    last = axes[-1]
    numbers: list[int] = []
    tables: list[_A] = []
    place = AXIS * len(axes)
    for at, axis in enumerate(axes, 1):
        ends, pairs = _pairs(axis) if at < len(axes) else _phase_pairs(axis)
        numbers += [axis.large, axis.small, axis.kernel, axis.stride, place, place + ends.size]
        tables += [ends, pairs]
        place += ends.size + pairs.size
    taps = math.prod(axis.kernel for axis in axes)
    return _Geometry(
        frozen(np.concatenate([np.asarray(numbers, dtype=np.int64), *tables])),
        axes,
        math.prod(axis.large for axis in axes[1:-1]),
        math.prod(axis.small for axis in axes[1:-1]),
        taps,
        taps / math.prod(axis.stride for axis in axes),
        -(-last.large // last.stride),
    )


def _phase_pairs(axis: WindowAxis) -> tuple[_A, _A]:
    """For each phase, its taps and the cells that they bring to the phase's position 0: where they end, and pairs."""
    split = phases(axis)
    ends = np.cumsum([0, *(len(phase.taps) for phase in split)], dtype=np.int64)
    pairs = [pair for phase in split for pair in zip(phase.taps, phase.cells, strict=True)]
    return ends, np.asarray(pairs, dtype=np.int64).reshape(-1)


def _pairs(axis: WindowAxis) -> tuple[_A, _A]:
    """The same for each position, where its phase's cells exist."""
    ends, pairs = _phase_pairs(axis)
    position = np.arange(axis.large)
    step = ends.size - 1
    number = ends[position % step][:, None] + np.arange(np.diff(ends).max())
    there = number < ends[position % step + 1][:, None]
    pair = np.resize(pairs, (max(pairs.size // 2, 1), 2))[np.where(there, number, 0)]
    cell = pair[..., 1] + (position // step)[:, None]
    there &= (cell >= 0) & (cell < axis.small)
    found = np.stack([pair[..., 0], cell], axis=-1)[there]
    return np.concatenate([[0], np.cumsum(there.sum(axis=1))]), found.reshape(-1)


def run(xp: ModuleType, plan: SpreadPlan, x: Array, weight: Array, bias: Array | None, out: Array | None) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    source: Any = x
    given: Any = out
    each = weight.shape[1]
    shape = (source.shape[0], plan.groups * each, *plan.large_shape)
    direct = given is not None and given.flags.c_contiguous and given.dtype.isnative
    result = given if direct else np.empty(shape, source.dtype)
    if result.size:
        with np.errstate(invalid="ignore", over="ignore"):
            _convolve(plan, source, np.asarray(weight), None if bias is None else np.asarray(bias), result)
    if given is not None and not direct:
        given[...] = result
    return result if given is None else given


def _convolve(plan: SpreadPlan, x: _A, weight: _A, bias: _A | None, result: _A) -> None:
    g, groups = _geometry(plan), plan.groups
    accumulator = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    inputs, each = weight.shape[0] // groups, weight.shape[1]
    work = _Work(
        g,
        np.ascontiguousarray(x).reshape(-1, inputs, g.axes[0].small, g.lines, g.axes[-1].small),
        _ready(weight, accumulator).reshape(groups, inputs, each * g.taps),
        _nothing(accumulator) if bias is None else _ready(bias, accumulator),
        result.reshape(-1),
        accumulator,
        (each, inputs, groups),
    )
    if inputs <= _FEW_CHANNELS or not _worth(work):
        work.direct()
    else:
        work.by_products()


def _multiply(rows: _A, columns: _A, made: _A) -> None:
    """Multiply matrices in this thread: as many small products, which one call of NumPy makes.

    Blocks of columns are packed, so that BLAS finds all of one side by side.
    """
    inner, width = columns.shape
    column_step = 32 if 128 < inner <= 256 else 64
    row_step = max(1, min(_SMALL_PRODUCT // (inner * column_step), rows.shape[0]))
    for c0, c1, wide in _steps(width, column_step):
        right = np.ascontiguousarray(columns[:, c0:c1].reshape(inner, -1, wide).swapaxes(0, 1))
        for r0, r1, high in _steps(rows.shape[0], row_step):
            left = rows[r0:r1].reshape(-1, 1, high, inner)
            np.matmul(left, right, out=made[r0:r1, c0:c1].reshape(-1, high, right.shape[0], wide).swapaxes(1, 2))


def _steps(size: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Whole steps, from, to and of which size; then the rest as one."""
    whole = size // step * step
    if whole:
        yield 0, whole, step
    if whole < size:
        yield whole, size, size - whole


def _ready(x: _A, dtype: np.dtype[Any]) -> _A:
    return frozen(np.ascontiguousarray(x, dtype=dtype))


@lru_cache(maxsize=8)
def _nothing(dtype: np.dtype[Any]) -> _A:
    return frozen(np.empty(0, dtype=dtype))


def _worth(work: _Work) -> bool:
    """Whether the shares of one channel and the fewest cells fit."""
    return work.shares(1, *work.fewest()) <= _MOST_SHARES


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Part of the result: planes, channels of a group, positions of the first axis, and of a phase of the last."""

    planes: range
    channels: range
    y: range
    j: range


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call: ``x [planes, inputs, cells of the first axis, lines, cells of the last axis]``, and all else."""

    g: _Geometry
    x: _A
    weight: _A
    bias: _A
    result: _A
    dtype: np.dtype[Any]
    counts: tuple[int, int, int]

    def shares(self, channels: int, positions: int, columns: int) -> int:
        """Bytes of the shares for some positions of the first axis and of a phase of the last."""
        first, last = self.g.axes[0], self.g.axes[-1]
        cells = min(first.small, (positions - 1 + first.dilation * (first.kernel - 1)) // first.stride + 1)
        width = min(last.small, columns + last.dilation * (last.kernel - 1) // last.stride + 1)
        return channels * self.g.taps * cells * self.g.lines * width * self.dtype.itemsize

    def fewest(self) -> tuple[int, int]:
        """The least that a block makes: positions of the first axis, of a phase of the last."""
        return (1, self.g.phase) if len(self.g.axes) > 2 or self.g.axes[0].large > 1 else (1, min(self.g.phase, 1024))

    def block(self) -> tuple[int, int, int, int]:
        """How many planes, channels, positions of the first axis and of a phase of the last a block makes."""
        each, large, phase = self.counts[0], self.g.axes[0].large, self.g.phase
        one = self.shares(1, large, phase)
        room = min(_SHARES, max(one * each * self.x.shape[0] // 4, 1 << 17))  # the same for any number of threads
        if one * min(each, -(-_PRODUCT_ROWS // self.g.taps)) <= room:
            channels = min(each, max(1, room // one))
            return (max(1, room // (one * each)) if channels == each else 1), channels, large, phase
        channels = min(each, -(-_PRODUCT_ROWS // self.g.taps))
        ys, js = (large, phase) if large > 1 else (1, phase)
        while self.shares(channels, ys, js) > room and ys > 1:
            ys = -(-ys // 2)
        if large == 1 and len(self.g.axes) == 2:
            while self.shares(channels, ys, js) > room and js > 1024:
                js = -(-js // 2)
        while self.shares(channels, ys, js) > _MOST_SHARES and channels > 1:
            channels = -(-channels // 2)
        return 1, channels, ys, js

    def by_products(self) -> None:
        """Make blocks of shares and add each up, in one thread."""
        planes, channels, ys, js = self.block()
        each, count = self.counts[0], self.x.shape[0]
        regions = [
            _Region(range(plane, min(plane + planes, count)), range(m, min(m + channels, each)), y, j)
            for plane in range(0, count, planes)
            for y, j in self._cuts(ys, js)
            for m in range(0, each, channels)
        ]
        weight = np.ascontiguousarray(self.weight.swapaxes(1, 2))
        threads.each_block(lambda number: self._make(regions[number], weight), len(regions))

    def _make(self, region: _Region, weight: _A) -> None:
        with np.errstate(invalid="ignore", over="ignore"):  # each thread has its own
            source = frozen(self._shares(region, weight)).reshape(-1)

        def make(rows: range, own: bool, result: _A) -> None:
            piece = self._piece(region, rows, own)
            gather(source, _nothing(self.dtype), self.g.grid, len(self.g.axes) - 1, piece, self.bias, result)

        rows = range(len(region.planes) * len(region.channels) * len(region.y) * self.g.rows)
        if self.result.dtype != self.dtype:
            self._round(make, region, rows)
        else:
            make(rows, False, self.result)

    def _shares(self, region: _Region, weight: _A) -> _A:
        """The products of cells and taps, ``[planes, channels, taps, cells]``."""
        cells, taps = self._cells(region), self.g.taps
        made = np.empty((cells.shape[0], len(region.channels) * taps, cells.shape[2]), dtype=self.dtype)
        cut = slice(region.channels.start * taps, region.channels.stop * taps)
        for place, plane in enumerate(region.planes):
            _multiply(weight[plane % self.counts[2], cut], cells[place], made[place])
        return made

    def direct(self) -> None:
        """Weigh and add without shares; halves are converted some planes, or some rows of one, at a time."""
        large, size = self.g.axes[0].large, math.prod(self.x.shape[1:])
        half = self.x.dtype != self.dtype
        planes = max(1, _STAGED // size) if half else self.x.shape[0]
        ys = max(1, large // -(-size // _STAGED)) if half else large
        weight = self.weight.reshape(-1)
        for plane in range(0, self.x.shape[0], planes):
            some = range(plane, min(plane + planes, self.x.shape[0]))
            for y, j in self._cuts(ys, self.g.phase):
                region = _Region(some, range(self.counts[0]), y, j)
                source = frozen(self._cells(region)).reshape(-1)

                def make(rows: range, own: bool, result: _A, region: _Region = region, source: _A = source) -> None:
                    piece = self._piece(region, rows, own)
                    gather(source, weight, self.g.grid, len(self.g.axes) - 1, piece, self.bias, result)

                self._each(make, region, self.counts[1])

    def _cuts(self, ys: int, js: int) -> Iterator[tuple[range, range]]:
        for y in range(0, self.g.axes[0].large, ys):
            for j in range(0, self.g.phase, js):
                yield range(y, min(y + ys, self.g.axes[0].large)), range(j, min(j + js, self.g.phase))

    def _bounds(self, region: _Region) -> tuple[int, int, int, int]:
        """Bounds of the cells on the first and on the last axis that a region is made of."""
        first, last, y, j = self.g.axes[0], self.g.axes[-1], region.y, region.j
        low, high = (0, first.small) if len(y) == first.large else self.g.cells(0, y.start, y.stop)
        if len(j) == self.g.phase:
            return low, high, 0, last.small
        return low, high, *self.g.cells(len(self.g.axes) - 1, j.start * last.stride, j.stop * last.stride)

    def _cells(self, region: _Region) -> _A:
        """The cells that a region is made of, ``[planes, inputs, cells]``, in the dtype of sums."""
        low, high, left, right = self._bounds(region)
        part = self.x[region.planes.start : region.planes.stop, :, low:high, :, left:right]
        return np.asarray(part, dtype=self.dtype).reshape(part.shape[0], part.shape[1], -1)

    def _piece(self, region: _Region, rows: range, own: bool) -> tuple[int, ...]:
        low, high, left, right = self._bounds(region)
        channels, y, j = region.channels, region.y, region.j
        return (
            *(rows.start, rows.stop, region.planes.start, channels.start, len(channels), *self.counts),
            *(y.start, len(y), low, high - low, left, right - left, j.start, j.stop, int(own)),
        )

    def _each(self, make: Callable[[range, bool, _A], None], region: _Region, inputs: int) -> None:
        """Let threads make the rows of a region, some at a time."""
        rows = len(region.planes) * len(region.channels) * len(region.y) * self.g.rows
        step = max(1, int(_WORK // max(self.g.sums * inputs * len(region.j) * self.g.axes[-1].stride, 1)))
        half = self.result.dtype != self.dtype
        if rows <= step and not half:
            make(range(rows), False, self.result)
            return

        def task(number: int) -> None:
            some = range(number * step, min((number + 1) * step, rows))
            if half:
                self._round(make, region, some)
            else:
                make(some, False, self.result)

        threads.each_block(task, -(-rows // step))

    def _round(self, make: Callable[[range, bool, _A], None], region: _Region, rows: range) -> None:
        """Make rows of halves in float32 and round them once."""
        last = self.g.axes[-1]
        made = np.empty((len(rows), last.large), dtype=self.dtype)
        make(rows, True, made.reshape(-1))
        number, of_channel = np.arange(rows.start, rows.stop), len(region.y) * self.g.rows
        channels = region.channels
        plane = region.planes.start + number // (of_channel * len(channels))
        channel = plane * self.counts[0] + channels.start + number // of_channel % len(channels)
        place = (channel * self.g.axes[0].large + region.y.start) * self.g.rows + number % of_channel
        cut = slice(region.j.start * last.stride, region.j.stop * last.stride)
        with np.errstate(over="ignore"):
            self.result.reshape(-1, last.large)[place, cut] = made[:, cut]
