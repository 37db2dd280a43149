"""Run transposed convolution: as a GEMM if several channels are summed, otherwise row by row.

`direct` takes every plan, and `direct_small` those with few products, whose lists it keeps. `gemm` packs cells and
weights first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.copies import contiguous, converted, copy, joined
from upsample.engines import result_pool, threads
from upsample.engines.cpu.conv_transpose.columns import as_rows
from upsample.engines.cpu.conv_transpose.direct import AXIS, Piece, Scratch, scratch, sum_products
from upsample.engines.cpu.conv_transpose.direct_small import Sizes, products_of_rows, sum_listed
from upsample.engines.cpu.conv_transpose.gemm import products
from upsample.engines.cpu.conv_transpose.gemm_index import spread_lists
from upsample.engines.cpu.runtime.blocks import plane_blocks
from upsample.engines.cpu.runtime.compile import bound, frozen
from upsample.engines.cpu.runtime.gemm_tile import BITS
from upsample.float_errors import quiet
from upsample.plans.long_tables import PIECE
from upsample.plans.phases import phases
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["bind", "run"]


_FEW_CHANNELS = 1
"""Most input channels of a group for the direct kernel."""
_FEW_PRODUCTS = 1 << 14
"""Products of a call up to which setting up a GEMM takes longer than the direct kernel."""
_LISTED = 1 << 14
"""Most products that are listed and cached for a plan, and most sums of a plane."""
_WORK = 1 << 17
"""Sums per task."""
_LONGEST = 1 << 28
"""Most products per task: about 20 ms, so that Ctrl-C is handled in time."""
_STAGED = 1 << 22
"""Half-precision elements that are converted at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """What depends on the plan alone.

    Attributes
    ----------
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
    of_phase : int
        Taps of a phase of the last axis, at most.
    """

    axes: tuple[WindowAxis, ...]
    rows: int
    lines: int
    taps: int
    sums: float
    phase: int
    of_phase: int

    def cells(self, begin: int, end: int) -> tuple[int, int]:
        """Bounds of the cells that cover the positions `begin` to `end` of the first axis."""
        a = self.axes[0]
        low = -((a.dilation * (a.kernel - 1) - begin - a.padding) // a.stride)
        return min(max(low, 0), a.small), min(max((end - 1 + a.padding) // a.stride + 1, 0), a.small)


@cached
def _geometry(plan: ConvTransposePlan) -> _Geometry:
    axes = plan.axes if len(plan.axes) > 1 else (WindowAxis(1, 1, 1, 1, 0, 1), *plan.axes)
    last = axes[-1]
    taps = math.prod(axis.kernel for axis in axes)
    return _Geometry(
        axes,
        math.prod(axis.large for axis in axes[1:-1]),
        math.prod(axis.small for axis in axes[1:-1]),
        taps,
        taps / math.prod(axis.stride for axis in axes),
        -(-last.large // last.stride),
        max(1, *(len(phase.taps) for phase in phases(last))),
    )


@cached
def _grid(axes: tuple[WindowAxis, ...]) -> NDArray:
    """Return the numbers and tables of two axes or more, as `direct` says; products of matrices do not need them."""
    numbers: list[int] = []
    tables: list[NDArray] = []
    place = AXIS * len(axes)
    for at, axis in enumerate(axes, 1):
        ends, *pairs = _pairs(axis) if at < len(axes) else _phase_pairs(axis)
        numbers += [axis.large, axis.small, axis.kernel, axis.stride, place, place + ends.size]
        tables += [ends, *pairs]
        place += ends.size + sum(part.size for part in pairs)
    return frozen(joined([np.asarray(numbers, dtype=np.int64), *tables]))


def _phase_pairs(axis: WindowAxis) -> tuple[NDArray, NDArray]:
    """For each phase, its taps and the cells that they bring to the phase's position 0: where they end, and pairs."""
    split = phases(axis)
    ends = np.cumsum([0, *(len(phase.taps) for phase in split)], dtype=np.int64)
    pairs = [pair for phase in split for pair in zip(phase.taps, phase.cells, strict=True)]
    return ends, np.asarray(pairs, dtype=np.int64).reshape(-1)


def _pairs(axis: WindowAxis) -> list[NDArray]:
    """The same for each position, where its phase's cells exist; the pairs of some positions after the other."""
    ends, pairs = _phase_pairs(axis)
    pairs = np.resize(pairs, (max(pairs.size // 2, 1), 2))
    step, most = ends.size - 1, int(np.diff(ends).max())
    counts, found = [np.zeros(1, dtype=np.int64)], []
    piece = max(1, PIECE // max(most, 1))
    for begin in range(0, axis.large, piece):
        position = np.arange(begin, min(begin + piece, axis.large))
        number = ends[position % step][:, None] + np.arange(most)
        there = number < ends[position % step + 1][:, None]
        pair = pairs[np.where(there, number, 0)]
        cell = pair[..., 1] + (position // step)[:, None]
        there &= (cell >= 0) & (cell < axis.small)
        found.append(np.stack([pair[..., 0], cell], axis=-1)[there].reshape(-1))
        counts.append(there.sum(axis=1))
    return [np.cumsum(joined(counts)), *found]


@quiet
def run(
    xp: ModuleType, plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None, out: Array | None
) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    source: Any = x
    given: Any = out
    outputs = weight.shape[1]
    shape = (source.shape[0], plan.groups * outputs, *plan.large_shape)
    direct = given is not None and given.flags.c_contiguous and given.dtype.isnative
    result = given if direct else result_pool.empty(shape, source.dtype)
    if result.size:
        addend = None if bias is None else np.asarray(bias)
        rows, (cells, factors, made) = as_rows(plan, source, np.asarray(weight), result)
        for place in plane_blocks(1, cells):
            _convolve(rows, cells[place], factors, addend, made[place])
    if given is not None and not direct:
        copy(result, given)
    return result if given is None else given


def bind(plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None = None) -> Callable[..., Array]:
    """Return `run` for arrays like these; where there is little to do, little more than the kernel's call is left."""
    dtype = np.dtype(x.dtype)
    fixed = _little(plan, tuple(x.shape), tuple(weight.shape), arrays.dtype_name(x))
    if fixed is None:
        return partial(run, np, plan)
    planes, nothing = fixed[1][0], _nothing(dtype)
    shape = (planes // plan.groups, plan.groups * weight.shape[1], *plan.large_shape)
    kernel = bound(sum_listed, nothing, nothing, *fixed, nothing, np.empty(0, dtype))

    def spread(x: NDArray, weight: NDArray, bias: NDArray | None, out: NDArray | None) -> NDArray:
        added = nothing if bias is None else bias
        result = np.empty(shape, dtype) if out is None else out
        kernel(x.ravel(), weight.ravel(), *fixed, added.ravel(), result.ravel())
        return result

    return spread


@cached
def _little(
    plan: ConvTransposePlan, shape: tuple[int, ...], weight_shape: tuple[int, ...], dtype: str
) -> tuple[tuple[NDArray, ...], Sizes] | None:
    """Return lists of products and sizes for `sum_listed`; None where there is much to do, or nothing."""
    g = _geometry(plan)
    inputs, outputs = weight_shape[0] // plan.groups, weight_shape[1]
    batch = math.prod(shape[: len(shape) - len(plan.axes) - 1])
    size = batch * weight_shape[0] * math.prod(plan.small_shape)
    rows, last, cells = g.axes[0].large * g.rows, g.axes[-1], inputs * math.prod(plan.small_shape)
    much = size * outputs * g.taps > _FEW_PRODUCTS or rows * last.stride * max(inputs * g.taps, g.phase) > _LISTED
    if much or size * outputs == 0 or dtype in ("float16", "bfloat16"):
        return None
    lists = products_of_rows(_grid(g.axes), len(g.axes) - 1, inputs, outputs)
    return lists, Sizes(
        planes=batch * plan.groups,
        groups=plan.groups,
        outputs=outputs,
        of_group=inputs * outputs * g.taps,
        of_plane=cells,
        cells=last.small,
        of_channel=g.taps,
        rows=rows,
        stride=last.stride,
        phase=g.phase,
        large=last.large,
    )


def _convolve(plan: ConvTransposePlan, x: NDArray, weight: NDArray, bias: NDArray | None, result: NDArray) -> None:
    dtype = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    groups, (inputs, outputs) = plan.groups, (weight.shape[0] // plan.groups, weight.shape[1])
    weight = _ready(weight, dtype).reshape(groups, inputs, outputs, -1)
    bias = _nothing(dtype) if bias is None else _ready(bias, dtype)
    little = _little(plan, x.shape, (groups * inputs, outputs), arrays.dtype_name(x))
    if little is not None:
        sum_listed(_ready(x, dtype).reshape(-1), weight.reshape(-1), *little, bias, result.reshape(-1))
        return
    g = _geometry(plan)
    if _is_much(g, x.size, inputs, outputs) and _by_products(plan, x, weight, bias, result):
        return
    cells = contiguous(x).reshape(-1, inputs, g.axes[0].small, g.lines, g.axes[-1].small)
    counts = outputs, inputs, groups
    _Work(g, _grid(g.axes), cells, weight.reshape(-1), bias, result.reshape(-1), dtype, counts).direct()


def _is_much(g: _Geometry, size: int, inputs: int, outputs: int) -> bool:
    """Whether there is enough to sum up for products."""
    return inputs > _FEW_CHANNELS and size * outputs * g.taps > _FEW_PRODUCTS


def _by_products(plan: ConvTransposePlan, x: NDArray, weight: NDArray, bias: NDArray, result: NDArray) -> bool:
    """Make all by products, or return False where that is no use."""
    groups, inputs, outputs = weight.shape[:3]
    line = (1,) if len(plan.axes) == 1 else ()
    return products(
        spread_lists(plan, BITS // (8 * weight.itemsize)),
        x.reshape(-1, inputs, *line, *plan.small_shape),
        weight,
        bias.reshape(groups, outputs) if bias.size else None,
        result.reshape(-1, outputs, *line, *plan.large_shape),
    )


def _ready(x: NDArray, dtype: np.dtype[Any]) -> NDArray:
    return frozen(converted(x, dtype))


@lru_cache(maxsize=8)
def _nothing(dtype: np.dtype[Any]) -> NDArray:
    return frozen(np.empty(0, dtype=dtype))


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """Part of the result: planes, and positions of the first axis."""

    planes: range
    y: range


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call: ``x [planes, inputs, cells of the first axis, lines, cells of the last axis]``, and all else."""

    g: _Geometry
    grid: NDArray
    x: NDArray
    weight: NDArray
    bias: NDArray
    result: NDArray
    dtype: np.dtype[Any]
    counts: tuple[int, int, int]

    def direct(self) -> None:
        """Weigh and add; halves are converted some planes, or some rows of one, at a time."""
        large, size = self.g.axes[0].large, math.prod(self.x.shape[1:])
        half = self.x.dtype != self.dtype
        planes = max(1, _STAGED // size) if half else self.x.shape[0]
        ys = max(1, large // -(-size // _STAGED)) if half else large
        for plane in range(0, self.x.shape[0], planes):
            some = range(plane, min(plane + planes, self.x.shape[0]))
            for y in range(0, large, ys):
                region = _Region(some, range(y, min(y + ys, large)))
                source = frozen(self._cells(region)).reshape(-1)
                self._each(partial(self._make, region, source, []), region, self.counts[1])

    def _make(
        self, region: _Region, source: NDArray, spare: list[Scratch], rows: range, part: range, result: NDArray
    ) -> None:
        """Let one thread make some rows of a region, or parts of them; `spare` has the scratch of those that did so."""
        g, last = self.g, self.g.axes[-1]
        try:
            room = spare.pop()
        except IndexError:
            leads, of_channel = g.taps // last.kernel, len(region.y) * g.rows
            room = scratch(of_channel, g.phase, self.counts[1], last.stride, leads, g.of_phase, self.dtype)
        at_once, pairs, lists, sums = room
        piece = self._piece(region, rows, part, result is not self.result)
        sum_products(
            source,
            self.weight,
            self.grid,
            len(g.axes) - 1,
            tuple(piece),
            tuple(at_once),
            self.bias,
            pairs,
            lists,
            sums,
            result,
        )
        spare.append(room)

    def _bounds(self, region: _Region) -> tuple[int, int]:
        """Bounds of the cells on the first axis that a region is made of."""
        whole = len(region.y) == self.g.axes[0].large
        return (0, self.g.axes[0].small) if whole else self.g.cells(region.y.start, region.y.stop)

    def _cells(self, region: _Region) -> NDArray:
        """The cells that a region is made of, ``[planes, inputs, cells]``, in the dtype of sums."""
        low, high = self._bounds(region)
        part = self.x[region.planes.start : region.planes.stop, :, low:high]
        return np.asarray(part, dtype=self.dtype).reshape(part.shape[0], part.shape[1], -1)

    def _piece(self, region: _Region, rows: range, part: range, is_compact: bool) -> Piece:
        (low, high), y, (outputs, inputs, groups) = self._bounds(region), region.y, self.counts
        return Piece(
            row_begin=rows.start,
            row_end=rows.stop,
            first_plane=region.planes.start,
            outputs=outputs,
            inputs=inputs,
            groups=groups,
            first_position=y.start,
            positions=len(y),
            first_cell=low,
            phase_begin=part.start,
            phase_end=part.stop,
            is_compact=int(is_compact),
            rows=self.g.rows,
            lines=(high - low) * self.g.lines,
            taps=self.g.taps,
        )

    def _each(self, make: Callable[[range, range, NDArray], None], region: _Region, inputs: int) -> None:
        """Let threads make the rows of a region, some at a time, or parts of one row that would take too long."""
        rows, row = len(region.planes) * self.counts[0] * len(region.y) * self.g.rows, self.g.axes[-1].large
        sums = max(self.g.sums * inputs * row, 1)
        step = max(1, int(_WORK // sums))
        js = max(1, min(self.g.phase, int(self.g.phase * _LONGEST // sums)))
        half = self.result.dtype != self.dtype
        if rows <= step and js == self.g.phase and not half:
            make(range(rows), range(js), self.result)
            return
        cuts = -(-self.g.phase // js)

        def task(number: int) -> None:
            begin, j = number // cuts * step, number % cuts * js
            some, part = range(begin, min(begin + step, rows)), range(j, min(j + js, self.g.phase))
            if half:
                self._round(make, region, some, part)
            else:
                make(some, part, self.result)

        threads.each_block(task, -(-rows // step) * cuts)

    def _round(self, make: Callable[[range, range, NDArray], None], region: _Region, rows: range, part: range) -> None:
        """Make rows of halves in float32 and round them once."""
        last = self.g.axes[-1]
        made = np.empty((len(rows), last.large), dtype=self.dtype)
        make(rows, part, made.reshape(-1))
        number, of_channel = np.arange(rows.start, rows.stop), len(region.y) * self.g.rows
        channel = region.planes.start * self.counts[0] + number // of_channel
        place = (channel * self.g.axes[0].large + region.y.start) * self.g.rows + number % of_channel
        cut = slice(part.start * last.stride, part.stop * last.stride)
        self.result.reshape(-1, last.large)[place, cut] = made[:, cut]
