"""Max-pooling of rows of at most 16 cells: AVX-512 permutes select taps from two vectors of input.

A vector has two rows of at most eight cells, or one row of at most sixteen. One permutation reads a tap of all its
cells; a gather takes ten times as long. LLVM generates no permutations from plain loops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import frozen, kernel, pointers
from upsample.engines.cpu.runtime.llvm_values import splat
from upsample.engines.cpu.runtime.machine import HAS_AVX512

__all__ = ["Lanes", "lanes_of", "pool_lanes"]


_LANES = 16
"""Lanes of float32 in a vector of AVX-512."""
_HALF = _LANES // 2
_LEAST = 0.6
"""Least share of lanes that contain cells; with half of the lanes, a gather was faster."""
_PERMUTE = "llvm.x86.avx512.vpermi2var.ps.512"

_COUNT, _LANE, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_PLACES, _VALUES = ir.VectorType(_LANE, _LANES), ir.VectorType(_FLOAT, _LANES)
_WIDE = ir.VectorType(_COUNT, _LANES)


class _Writer:
    """Writes the LLVM code that pools the cells of a vector."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def mask(self, begin: int, count: Any) -> Any:
        """Return a mask of `count` lanes from `begin` on."""
        lanes = ir.Constant(_WIDE, [lane - begin for lane in range(_LANES)])  # lanes before `begin` wrap around
        return self.builder.icmp_unsigned("<", lanes, splat(self.builder, count, _LANES))

    def at(self, data: Any, place: Any, of: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [place]), of.as_pointer())

    def call(self, name: str, returned: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(returned, [value.type for value in arguments])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def load_row(self, x: Any, place: Any, mask: Any) -> Any:
        """Load the masked values of an input row; the other lanes are 0."""
        zero = ir.Constant(_VALUES, None)
        return self.call("llvm.masked.load.v16f32.p0", _VALUES, self.at(x, place, _VALUES), _LANE(4), mask, zero)

    def store(self, value: Any, data: Any, place: Any, mask: Any) -> None:
        size = 4 if value.type is _VALUES else 8
        name = f"llvm.masked.store.v16{'f32' if size == 4 else 'i64'}.p0"
        self.call(name, ir.VoidType(), value, self.at(data, place, value.type), _LANE(size), mask)

    def pool(self, data: list[Any], numbers: list[Any]) -> None:
        """Pool up to sixteen cells; `_pool_vector` explains the arguments."""
        *inputs, values, indices = data
        low, high, shift, to, at, indexed, last_nan = numbers[9:]
        builder = self.builder
        best, place = (cgutils.alloca_once(builder, kind) for kind in (_VALUES, _PLACES))
        builder.store(ir.Constant(_VALUES, [float("-inf")] * _LANES), best)  # `compare_taps` stores the first place
        last = builder.icmp_signed("!=", last_nan, _COUNT(0))
        with builder.if_else(last) as (then, otherwise):
            for branch, last_wins in ((then, True), (otherwise, False)):
                with branch:
                    self.compare_taps(inputs, numbers[:9], last_wins, best, place)
        maxima, places = builder.load(best), builder.zext(builder.load(place), _WIDE)
        offset = builder.sub(shift, _COUNT(_HALF))
        for mask, moved in ((self.mask(0, low), _COUNT(0)), (self.mask(_HALF, high), offset)):
            self.store(maxima, values, builder.add(to, moved), mask)
            index_mask = builder.and_(mask, splat(builder, builder.trunc(indexed, ir.IntType(1)), _LANES))
            self.store(places, indices, builder.add(at, moved), index_mask)

    def compare_taps(self, data: list[Any], numbers: list[Any], last_nan: bool, best: Any, place: Any) -> None:
        """Compare every tap with the maxima in `best`, and update them and their places."""
        x, lead, lanes, columns = data
        rows0, rows1, leads, across, entry0, entry1, length, apart, rest = numbers
        builder = self.builder
        masks = self.mask(0, length), self.mask(0, rest)
        halves = ir.Constant(_PLACES, [lane // _HALF for lane in range(_LANES)])
        with cgutils.for_range(builder, leads) as row:
            lines = [builder.load(self.at(lead, builder.add(e, row.index), _COUNT)) for e in (entry0, entry1)]
            starts = [builder.mul(builder.add(r, ln), length) for r, ln in zip((rows0, rows1), lines, strict=True)]
            first = self.load_row(x, starts[0], masks[0])
            second = self.load_row(x, builder.add(starts[1], apart), masks[1])
            two = ir.Constant(ir.VectorType(_LANE, 2), ir.Undefined)
            for lane, line in enumerate(lines):
                two = builder.insert_element(two, builder.trunc(builder.mul(line, length), _LANE), _LANE(lane))
            origin = builder.shuffle_vector(two, two, halves)
            with builder.if_then(builder.icmp_signed("==", row.index, _COUNT(0))):
                builder.store(builder.add(origin, builder.load(self.at(columns, _COUNT(0), _PLACES), align=4)), place)
            with cgutils.for_range(builder, across) as tap:
                table = builder.mul(tap.index, _COUNT(_LANES))
                lane, column = (builder.load(self.at(d, table, _PLACES), align=4) for d in (lanes, columns))
                value, before = self.call(_PERMUTE, _VALUES, first, lane, second), builder.load(best)
                nan = builder.fcmp_unordered("uno", value, value)
                if not last_nan:
                    nan = builder.and_(nan, builder.fcmp_ordered("ord", before, before))
                wins = builder.or_(builder.fcmp_ordered(">", value, before), nan)
                builder.store(builder.select(wins, value, before), best)
                builder.store(builder.select(wins, builder.add(origin, column), builder.load(place)), place)


@intrinsic  # type: ignore[untyped-decorator]
def _pool_vector(_context: Any, data: Any, numbers: Any) -> Any:
    """Pool up to sixteen cells, of two rows of cells or of one; each half of the vector has up to eight.

    ``data``: input, tap rows, tap lanes, tap columns, values, indices, all flat. ``numbers``, in this order: the first
    input row of each half's plane; taps along the leading axes, and along the last; the entry of each half in the tap
    rows; positions of a row; the offset at which the second input vector begins in its row, and its length; cells of
    each half, and the distance between the halves in the result; place of the first cell in values, and in indices;
    whether indices are stored; whether the last NaN wins.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = pointers(context, builder, data, args[0])
        _Writer(builder).pool(arrays, cgutils.unpack_tuple(builder, args[1]))
        return context.get_dummy_value()

    return types.void(data, types.UniTuple(types.int64, len(numbers))), generate


@kernel
def pool_lanes(
    x: NDArray,
    _scratch: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: tuple[int, int, int],
    sizes: tuple[int, ...],
    lead: NDArray,
    lanes: NDArray,
    columns: NDArray,
    last_nan: bool,
) -> None:
    """Pool small planes. `values` begins at the block's first cell, `indices` at the first cell of the result.

    ``piece``: position of the block's first plane in `x`, number of this plane, count of planes. ``sizes``: input rows
    and rows of cells of a plane; positions and cells of a row; taps along the leading axes, and along the last; rows of
    cells in a vector. ``lead [rows of cells, taps]`` has input rows. ``columns [taps, lanes]`` has the position of each
    lane's tap in its row, and `lanes` its lane in the two input vectors.
    """
    first, plane0, planes = piece
    in_rows, rows, length, cells, leads, across, together = sizes
    data, base = (x, lead, lanes, columns, values, indices), first // length
    apart, shift = (0, cells) if together == 2 else (_HALF * 2, _HALF)
    rest = max(length - apart, 0)
    low, high = min(cells, _HALF), cells if together == 2 else max(cells - _HALF, 0)
    count, indexed, nan = planes * rows, np.int64(indices.shape[0] > 0), np.int64(last_nan)
    for row in range(0, count, together):
        other = min(row + together - 1, count - 1)
        if other == row and together == 2:
            high = 0
        plane, plane1 = row // rows, other // rows
        entry, entry1 = (row - plane * rows) * leads, (other - plane1 * rows) * leads
        bases = base + plane * in_rows, base + plane1 * in_rows
        to = row * cells
        numbers = (leads, across, entry, entry1, length, apart, rest, low, high, shift, to, to + plane0 * rows * cells)
        _pool_vector(data, (*bases, *numbers, indexed, nan))


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The tables of `pool_lanes`."""

    sizes: tuple[int, ...]
    lead: NDArray
    lanes: NDArray
    columns: NDArray

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The kernel's parameters after the piece."""
        return self.sizes, self.lead, self.lanes, self.columns


def lanes_of(large: tuple[int, ...], lead: NDArray, columns: NDArray) -> Lanes | None:
    """Return the tables of taps with rows ``[rows of cells, taps]`` and columns ``[cells, taps]``, if rows fit."""
    cells, taps = columns.shape
    together = 2 if cells <= _HALF else 1
    if not HAS_AVX512 or not _LEAST * _LANES < cells * together <= _LANES or large[-1] > _LANES * (3 - together):
        return None
    sizes = (math.prod(large[:-1]), len(lead), large[-1], cells, lead.shape[1], taps, together)
    lane = np.arange(_LANES)
    column = columns[np.minimum(lane % _HALF if together == 2 else lane, cells - 1)].T
    place = column + lane // _HALF * _LANES if together == 2 else column
    flat = (
        frozen(np.ascontiguousarray(t, dtype=k).reshape(-1)) for t, k in ((lead, "i8"), (place, "i4"), (column, "i4"))
    )
    return Lanes(sizes, *flat)
