"""Max-unpooling as a gather: compare each position with the indices of the cells that cover it.

The stride along rows is 2, so eight neighbouring cells cover sixteen neighbouring positions. One vector comparison
finds which of eight positions their cells name. The kernel zeroes nothing first and writes no position twice. It
compares each position with each cell at most once and counts the matches. If there are as many matches as cells, every
index is in its own window; if there are fewer, the caller discards the result. LLVM does not vectorize plain loops in
this way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import frozen, kernel, pointers
from upsample.engines.cpu.runtime.machine import HAS_AVX2
from upsample.plans.phases import phases
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["GatherTable", "gather_kernel", "gather_table"]

_U: Any = np.uint64

_LANES = 8
"""Cells per vector."""
_OFFSETS = (-1, 0, 1)
"""Offsets of the cells that may cover a position, from the cell whose number is half the position."""
_TOGETHER = 1 << 5
"""Rows whose inner vectors are made before the vectors at their ends."""
_SHORT = 24
"""Cells of a row up to which the scatter is faster."""
_LONGEST = 1 << 17
"""Most positions of a row: threads share whole rows."""
_ROWS = 1 << 16
"""Most entries of a table of rows."""
_COUNT, _LANE = ir.IntType(64), ir.IntType(32)
_FLAGS, _PLACES = ir.VectorType(ir.IntType(1), _LANES), ir.VectorType(_COUNT, _LANES)


class _Writer:
    """Emit the code that computes sixteen positions of a row at a time and counts the cells that name one of them.

    The lowest bits of `code` select the `_OFFSETS` of the cells that even positions read, the next bits those of odd
    positions; the highest bit is set if values add. If `masked`, cells and positions may be outside of the row.
    """

    def __init__(self, builder: Any, width: int, code: int, masked: bool) -> None:
        self.builder, self.masked, self.width = builder, masked, width
        many = len(_OFFSETS)
        self.offsets = [[d for at, d in enumerate(_OFFSETS) if code >> (at + many * odd) & 1] for odd in (0, 1)]
        kind = ir.IntType(width)
        self.vector, self.pair = ir.VectorType(kind, _LANES), ir.VectorType(kind, 2 * _LANES)
        number: Any = ir.FloatType() if width == 32 else ir.DoubleType()
        self.sum = ir.VectorType(number, _LANES) if code >> 2 * many else None

    def ramp(self, first: Any, step: int, lanes: int) -> Any:
        """``first + step * lane``."""
        kind = ir.VectorType(_COUNT, lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), first, _LANE(0))
        zeros = ir.Constant(ir.VectorType(_LANE, lanes), [0] * lanes)
        every = self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)
        return self.builder.add(every, ir.Constant(kind, [step * lane for lane in range(lanes)]))

    def inside(self, first: Any, size: Any, lanes: int, step: int) -> Any:
        """Return the mask of the numbers from `first` on, `step` apart, that are in ``[0, size)``; None if all are."""
        if not self.masked:
            return None
        return self.builder.icmp_unsigned("<", self.ramp(first, step, lanes), self.ramp(size, 0, lanes))

    def at(self, data: Any, place: Any, of: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [place]), of.as_pointer())

    def masked_call(self, name: str, returned: Any, of: Any, *given: Any) -> Any:
        kind = ir.FunctionType(returned, [value.type for value in given])
        name = f"llvm.masked.{name}.v{of.count}i{of.element.width}.p0"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), given)

    def load(self, data: Any, place: Any, of: Any, flags: Any, otherwise: int) -> Any:
        pointer, size = self.at(data, place, of), of.element.width // 8
        if flags is None:
            return self.builder.load(pointer, align=size)
        rest = ir.Constant(of, [otherwise] * of.count)
        return self.masked_call("load", of, of, pointer, _LANE(size), flags, rest)

    def store(self, made: Any, data: Any, place: Any, flags: Any) -> None:
        pointer, size = self.at(data, place, made.type), self.width // 8
        if flags is None:
            self.builder.store(made, pointer, align=size)
        else:
            self.masked_call("store", ir.VoidType(), made.type, made, pointer, _LANE(size), flags)

    def taken(self, hit: Any, value: Any, total: Any) -> Any:
        if self.sum is None:
            return self.builder.select(hit, value, total)
        before, more = self.builder.bitcast(total, self.sum), self.builder.bitcast(value, self.sum)
        return self.builder.select(hit, self.builder.bitcast(self.builder.fadd(before, more), self.vector), total)

    def lines(self, data: list[Any], numbers: list[Any]) -> Any:
        """Write the turns of some rows, where `masked` one of each; returns how many cells named a position."""
        first, past, to, begin, end, rows, of_plane, columns, cells, length = numbers
        builder = self.builder
        hits, line, plane = (cgutils.alloca_once(builder, kind) for kind in (_PLACES, _COUNT, _COUNT))
        builder.store(ir.Constant(_PLACES, None), hits)
        builder.store(builder.urem(first, rows), line)
        builder.store(builder.mul(builder.udiv(first, rows), of_plane), plane)
        with cgutils.for_range_slice(builder, first, past, _COUNT(1)) as (row, _):
            here, base = builder.load(line), builder.load(plane)
            place = builder.add(to, builder.mul(builder.sub(row, first), length))
            turns = builder.mul(here, length), place, builder.mul(here, columns), base, cells, length
            if self.masked:
                self.turn(data, begin, turns, hits)
            else:
                with cgutils.for_range_slice(builder, begin, end, _COUNT(_LANES)) as (turn, _):
                    self.turn(data, turn, turns, hits)
            behind = builder.add(here, _COUNT(1))
            over = builder.icmp_signed("==", behind, rows)
            builder.store(builder.select(over, _COUNT(0), behind), line)
            builder.store(builder.select(over, builder.add(base, of_plane), base), plane)
        kind = ir.FunctionType(_COUNT, [_PLACES])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{_LANES}i64")
        return builder.call(add, [builder.load(hits)])

    def turn(self, data: list[Any], turn: Any, row: tuple[Any, ...], hits: Any) -> None:
        """Write sixteen positions of a row, whose first ones' cells begin at `turn`."""
        values, where, table, made = data
        position, to, entry, plane, cells, length = row
        builder = self.builder
        twice = builder.mul(turn, _COUNT(2))
        goals = [self.ramp(builder.add(builder.add(position, twice), _COUNT(odd)), 2, _LANES) for odd in (0, 1)]
        real = [self.inside(builder.add(twice, _COUNT(odd)), length, _LANES, 2) for odd in (0, 1)]
        totals = [cgutils.alloca_once(builder, self.vector) for _ in self.offsets]
        for total in totals:
            builder.store(ir.Constant(self.vector, None), total)
        with cgutils.for_range(builder, builder.load(builder.gep(table, [entry]))) as loop:
            there = builder.load(builder.gep(table, [builder.add(builder.add(entry, loop.index), _COUNT(1))]))
            cell = builder.add(builder.add(plane, there), turn)
            for offset in sorted({d for some in self.offsets for d in some}):
                place = builder.add(cell, _COUNT(offset))
                flags = self.inside(builder.add(turn, _COUNT(offset)), cells, _LANES, 1)
                index = self.load(where, place, _PLACES, flags, -1)
                value = self.load(values, place, self.vector, flags, 0)
                found = None
                for goal, total, inside, some in zip(goals, totals, real, self.offsets, strict=True):
                    if offset in some:
                        hit = builder.icmp_signed("==", index, goal)
                        hit = hit if inside is None else builder.and_(hit, inside)
                        builder.store(self.taken(hit, value, builder.load(total)), total)
                        found = hit if found is None else builder.or_(found, hit)
                builder.store(builder.add(builder.load(hits), builder.zext(found, _PLACES)), hits)
        mixed = [lane // 2 + lane % 2 * _LANES for lane in range(2 * _LANES)]
        both = builder.shuffle_vector(*map(builder.load, totals), ir.Constant(ir.VectorType(_LANE, 2 * _LANES), mixed))
        self.store(both, made, builder.add(to, twice), self.inside(twice, length, 2 * _LANES, 1))


def _inlined(masked: bool) -> Callable[..., Any]:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def inlined(_context: Any, code: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = pointers(context, builder, data, args[1])
            writer = _Writer(builder, data.types[0].dtype.bitwidth, code.literal_value, masked)
            return writer.lines(found, cgutils.unpack_tuple(builder, args[2]))

        return types.int64(code, data, types.UniTuple(types.int64, len(numbers))), generate

    return inlined  # type: ignore[no-any-return]


_inside, _anywhere = _inlined(False), _inlined(True)
"""``_inside(code, data, numbers)`` computes turns whose cells are all inside of the row, `_anywhere` any single turn.

``data``: values, indices, table and result, flat. ``numbers``: rows from and to, counted over all planes; the offset of
the first row in the result; turns from and to, by their cells; rows and cells of a plane, columns of the table, cells
and positions of a row.
"""


@lru_cache(maxsize=64)
def gather_kernel(code: int) -> Callable[..., Any]:
    """Return the kernel for positions that read the cells in `code` (see `_Writer`)."""

    @kernel
    def select(
        values: NDArray, where: NDArray, table: NDArray, piece: tuple[int, int], sizes: tuple[int, ...], result: NDArray
    ) -> Any:
        """Compute the rows of a piece, counted over all planes, and count the cells that name one of their positions.

        ``table`` has for each row of a plane how many rows of cells cover it, and where these begin. ``sizes``: turns
        from and to that are inside, rows and cells of a plane, columns of the table, cells and positions of a row. Each
        piece has one thread.
        """
        low, high, length = sizes[0], sizes[1], sizes[6]
        data, named, sides = (values, where, table, result), 0, sizes[2:]
        for row in range(piece[0], piece[1], _TOGETHER):
            block = (row, min(row + _TOGETHER, piece[1]), (row - piece[0]) * length)
            named += _inside(code, data, (*block, low, high, *sides))
            if low > 0:
                named += _anywhere(code, data, (*block, 0, low, *sides))
            for turn in range(high, (length + 1) // 2, _LANES):
                named += _anywhere(code, data, (*block, turn, turn + _LANES, *sides))
        return named

    return select


@dataclass(frozen=True, slots=True, eq=False)
class GatherTable:
    """The numbers of a plan that the kernel needs."""

    code: int
    table: NDArray
    sizes: tuple[int, ...]


def gather_table(plan: UnpoolPlan) -> GatherTable | None:
    """List the cells that cover each position; None if there are many, or if they are not neighbours."""
    *lead, last = plan.axes
    if not HAS_AVX2 or plan.local_indices or not isinstance(last, WindowAxis) or last.stride != 2:
        return None
    found = phases(last)
    offsets = [d for phase in found for d in phase.cells]
    if last.dilation != 1 or last.small <= _SHORT or last.large > _LONGEST or not offsets or {*offsets} - {*_OFFSETS}:
        return None
    table = np.zeros((1, 1), dtype=np.int64)
    size = 1
    for axis in lead:
        own = _covering(axis) if isinstance(axis, WindowAxis) else None
        if own is None or table.size * own.size > _ROWS:
            return None
        both = table[:, None, :, None] * axis.small + own[None, :, None, :]
        missing = (table < 0)[:, None, :, None] | (own < 0)[None, :, None, :]
        size *= axis.large
        table = np.where(missing, -1, both).reshape(size, -1)
    order = np.argsort(table < 0, axis=1, kind="stable")  # those that there are first, in row-major order
    rows = np.take_along_axis(table, order, axis=1) * last.small
    lines = np.concatenate([(table >= 0).sum(axis=1)[:, None], rows], axis=1)
    low = _LANES if min(offsets) < 0 else 0
    high = min((last.small - max(offsets)) // _LANES, last.large // (2 * _LANES)) * _LANES
    code = sum(1 << (_OFFSETS.index(d) + len(_OFFSETS) * odd) for odd, phase in enumerate(found) for d in phase.cells)
    code += (plan.duplicates == "sum") << 2 * len(_OFFSETS)
    sizes = (low, max(high, low), size, math.prod(plan.small_shape), lines.shape[1], last.small, last.large)
    return GatherTable(code, frozen(np.ascontiguousarray(lines.reshape(-1))), sizes)


def _covering(axis: WindowAxis) -> NDArray | None:
    """Which cells cover each position of an axis, ascending; -1 where there are fewer than elsewhere."""
    if axis.dilation != 1 or axis.large > _ROWS:
        return None
    position = np.arange(axis.large) + axis.padding
    first = np.maximum(-((axis.kernel - 1 - position) // axis.stride), 0)
    past = np.minimum(position // axis.stride + 1, axis.small)
    cell = first[:, None] + np.arange(max(int((past - first).max()), 0))
    return np.where(cell < past[:, None], cell, -1)
