"""Max-pooling of rows of at most 16 cells: AVX-512 permutes select taps from two vectors of input.

Two rows of up to eight cells go together, or one of up to sixteen: a tap of all their cells is one permutation, where
gathering it takes ten times as long. LLVM makes no such code of plain loops.
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
from upsample.engines.cpu.runtime.machine import HAS_AVX512

__all__ = ["Lanes", "lanes_of", "pool_lanes"]


_LANES = 16
"""Lanes of float32 in a vector of AVX-512."""
_HALF = _LANES // 2
_LEAST = 0.6
"""Share of the lanes that have cells: with as many as half of them gathering was quicker."""
_PERMUTE = "llvm.x86.avx512.vpermi2var.ps.512"

_COUNT, _LANE, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_PLACES, _VALUES = ir.VectorType(_LANE, _LANES), ir.VectorType(_FLOAT, _LANES)
_FLAGS, _WIDE = ir.VectorType(ir.IntType(1), _LANES), ir.VectorType(_COUNT, _LANES)


class _Writer:
    """Writes the code that pools the cells of a vector."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def splat(self, value: Any, of: Any) -> Any:
        one = self.builder.insert_element(ir.Constant(of, ir.Undefined), value, _LANE(0))
        return self.builder.shuffle_vector(one, ir.Constant(of, ir.Undefined), ir.Constant(_PLACES, [0] * _LANES))

    def among(self, begin: int, count: Any) -> Any:
        """Flags of `count` lanes from `begin` on."""
        lanes = ir.Constant(_WIDE, [lane - begin for lane in range(_LANES)])  # those before wrap around
        return self.builder.icmp_unsigned("<", lanes, self.splat(count, _WIDE))

    def at(self, data: Any, place: Any, of: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [place]), of.as_pointer())

    def called(self, name: str, returned: Any, *given: Any) -> Any:
        kind = ir.FunctionType(returned, [value.type for value in given])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), given)

    def row(self, x: Any, place: Any, flags: Any) -> Any:
        """Sixteen values of an input row, as far as there are so many."""
        zero = ir.Constant(_VALUES, None)
        return self.called("llvm.masked.load.v16f32.p0", _VALUES, self.at(x, place, _VALUES), _LANE(4), flags, zero)

    def put(self, made: Any, data: Any, place: Any, flags: Any) -> None:
        size = 4 if made.type is _VALUES else 8
        name = f"llvm.masked.store.v16{'f32' if size == 4 else 'i64'}.p0"
        self.called(name, ir.VoidType(), made, self.at(data, place, made.type), _LANE(size), flags)

    def cells(self, data: list[Any], numbers: list[Any]) -> None:
        """Pool up to sixteen cells: see `_pooled`."""
        *taken, values, indices = data
        low, high, shift, to, at, indexed, last_nan = numbers[9:]
        builder = self.builder
        best, place = (cgutils.alloca_once(builder, kind) for kind in (_VALUES, _PLACES))
        builder.store(ir.Constant(_VALUES, [float("-inf")] * _LANES), best)  # the first tap stays where all are so
        last = builder.icmp_signed("!=", last_nan, _COUNT(0))
        with builder.if_else(last) as (then, otherwise):
            for branch, last_wins in ((then, True), (otherwise, False)):
                with branch:
                    self.taps(taken, numbers[:9], last_wins, best, place)
        made, where = builder.load(best), builder.zext(builder.load(place), _WIDE)
        behind = builder.sub(shift, _COUNT(_HALF))
        for flags, moved in ((self.among(0, low), _COUNT(0)), (self.among(_HALF, high), behind)):
            self.put(made, values, builder.add(to, moved), flags)
            wanted = builder.and_(flags, self.splat(builder.trunc(indexed, ir.IntType(1)), _FLAGS))
            self.put(where, indices, builder.add(at, moved), wanted)

    def taps(self, data: list[Any], numbers: list[Any], last_nan: bool, best: Any, place: Any) -> None:
        """Let every tap of the cells win or not."""
        x, lead, lanes, columns = data
        rows0, rows1, leads, across, entry0, entry1, length, apart, rest = numbers
        builder = self.builder
        flags = self.among(0, length), self.among(0, rest)
        halves = ir.Constant(_PLACES, [lane // _HALF for lane in range(_LANES)])
        with cgutils.for_range(builder, leads) as turn:
            lines = [builder.load(self.at(lead, builder.add(e, turn.index), _COUNT)) for e in (entry0, entry1)]
            starts = [builder.mul(builder.add(r, ln), length) for r, ln in zip((rows0, rows1), lines, strict=True)]
            first = self.row(x, starts[0], flags[0])
            second = self.row(x, builder.add(starts[1], apart), flags[1])
            two = ir.Constant(ir.VectorType(_LANE, 2), ir.Undefined)
            for lane, line in enumerate(lines):
                two = builder.insert_element(two, builder.trunc(builder.mul(line, length), _LANE), _LANE(lane))
            origin = builder.shuffle_vector(two, two, halves)
            with builder.if_then(builder.icmp_signed("==", turn.index, _COUNT(0))):
                builder.store(builder.add(origin, builder.load(self.at(columns, _COUNT(0), _PLACES), align=4)), place)
            with cgutils.for_range(builder, across) as tap:
                table = builder.mul(tap.index, _COUNT(_LANES))
                lane, column = (builder.load(self.at(d, table, _PLACES), align=4) for d in (lanes, columns))
                value, before = self.called(_PERMUTE, _VALUES, first, lane, second), builder.load(best)
                nan = builder.fcmp_unordered("uno", value, value)
                if not last_nan:
                    nan = builder.and_(nan, builder.fcmp_ordered("ord", before, before))
                wins = builder.or_(builder.fcmp_ordered(">", value, before), nan)
                builder.store(builder.select(wins, value, before), best)
                builder.store(builder.select(wins, builder.add(origin, column), builder.load(place)), place)


@intrinsic  # type: ignore[untyped-decorator]
def _pooled(_context: Any, data: Any, numbers: Any) -> Any:
    """Pool up to sixteen cells: eight and eight, of two rows of cells or of one.

    ``data``: input, rows of the taps, their lanes and columns, values, indices, flat. ``numbers``: the first input row
    of both planes, taps along the leading axes and the last, where the rows of the taps of both stand, positions of a
    row, how far into its row the second vector begins and how many it has there; cells in the first eight lanes and in
    the others, and how far apart these lie; where they go in values and in indices, whether there are indices, whether
    the last NaN wins.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = pointers(context, builder, data, args[0])
        _Writer(builder).cells(found, cgutils.unpack_tuple(builder, args[1]))
        return context.get_dummy_value()

    return types.void(data, types.UniTuple(types.int64, len(numbers))), generate


@kernel
def pool_lanes(
    x: NDArray,
    _place: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: tuple[int, int, int],
    sizes: tuple[int, ...],
    lead: NDArray,
    lanes: NDArray,
    columns: NDArray,
    last_nan: bool,
) -> None:
    """Pool small planes: `values` begins at the piece, `indices` is whole.

    ``piece``: where the first plane lies in `x`, its number, how many planes. ``sizes``: rows of the input and of cells
    a plane, positions and cells of a row, taps along the leading axes and the last, rows of cells that go together.
    ``lead [rows of cells, taps]`` are rows of the input; ``columns [taps, lanes]`` is where in its row the tap of each
    lane's cell lies, `lanes` where in both vectors.
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
        plane, behind = row // rows, other // rows
        entry, after = (row - plane * rows) * leads, (other - behind * rows) * leads
        bases = base + plane * in_rows, base + behind * in_rows
        to = row * cells
        numbers = (leads, across, entry, after, length, apart, rest, low, high, shift, to, to + plane0 * rows * cells)
        _pooled(data, (*bases, *numbers, indexed, nan))


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The tables of `pool_lanes`."""

    sizes: tuple[int, ...]
    lead: NDArray
    lanes: NDArray
    columns: NDArray

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the kernel takes behind the piece."""
        return self.sizes, self.lead, self.lanes, self.columns


def lanes_of(large: tuple[int, ...], lead: NDArray, columns: NDArray) -> Lanes | None:
    """Lay out the rows ``[rows of cells, taps]`` and columns ``[cells, taps]`` of taps; None where rows are long."""
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
