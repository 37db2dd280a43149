"""The GEMM micro-kernel: a tile of sums of products that stays in vector registers.

LLVM does not make such a tile of plain loops, so it is written in LLVM's own vectors. Nothing is copied side by side
first: the columns of a tile are read where they stand, from a place of their own for each tap. NumPy's BLAS would not
do: it has threads of its own, which wait for each other and spin, and it cannot add to what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import part, pointers
from upsample.engines.cpu.runtime.fma import write_fma
from upsample.engines.cpu.runtime.machine import VECTOR_BITS, VECTOR_REGISTERS

__all__ = ["BITS", "ROWS", "add_tiles", "widest"]


BITS = VECTOR_BITS
"""Bits of a vector register."""
ROWS = 8 if VECTOR_REGISTERS == 32 else 4
"""Rows of a tile: with three vectors each they fill most of the 32 registers; x86 without AVX-512 has 16."""

_COUNT, _LANE = ir.IntType(64), ir.IntType(32)


class _Writer:
    """Writes the code of one tile."""

    def __init__(self, builder: Any, dtype: Any, size: int) -> None:
        self.builder, self.size, self.lanes = builder, size, BITS // (8 * size)
        self.vector = ir.VectorType(dtype, self.lanes)

    def at(self, pointer: Any, place: Any) -> Any:
        return self.builder.gep(pointer, [place])

    def columns(self, pointer: Any, apart: Any, vectors: int) -> list[Any]:
        places = [self.at(pointer, self.builder.mul(apart, _COUNT(v))) for v in range(vectors)]
        return [self.builder.bitcast(place, self.vector.as_pointer()) for place in places]

    def in_all_lanes(self, pointer: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, self.builder.load(pointer), _LANE(0))
        return self.builder.shuffle_vector(one, undefined, ir.VectorType(_LANE, self.lanes)([0] * self.lanes))

    def add_product(self, total: Any, a: Any, b: Any) -> None:
        """Add to a variable, rounded once."""
        self.builder.store(write_fma(self.builder, a, b, self.builder.load(total)), total)

    def tile(self, vectors: int, data: list[Any], numbers: list[Any], scattered: list[Any]) -> None:
        factors, cells, offsets, sums = data
        f0, c0, begin, end, channels, block, step, s0, line, apart = numbers
        builder, zero, f_step = self.builder, _COUNT(0), scattered[0] if scattered else _COUNT(ROWS)
        rows, targets = [_COUNT(m) for m in range(ROWS)], [builder.mul(line, _COUNT(m)) for m in range(ROWS)]
        if scattered:
            table = self.at(offsets, scattered[1])
            rows, targets = ([builder.load(self.at(table, _COUNT(2 * m + n))) for m in range(ROWS)] for n in range(2))
        totals = [[cgutils.alloca_once(builder, self.vector) for _ in range(vectors)] for _ in range(ROWS)]
        for total in (total for row in totals for total in row):
            builder.store(ir.Constant(self.vector, [0.0] * self.lanes), total)
        factor = cgutils.alloca_once_value(builder, self.at(factors, f0))
        column = cgutils.alloca_once(builder, cells.type)
        with cgutils.for_range_slice(builder, zero, channels, block) as (first, _):
            left = builder.sub(channels, first)
            some = builder.select(builder.icmp_signed("<", left, block), left, block)
            base = self.at(self.at(cells, c0), builder.mul(first, step))
            with cgutils.for_range_slice(builder, begin, end, _COUNT(1)) as (tap, _):
                place = builder.mul(tap, _COUNT(2)) if scattered else tap
                builder.store(self.at(base, builder.load(self.at(offsets, place))), column)
                if scattered:
                    other = builder.load(self.at(offsets, builder.add(place, _COUNT(1))))
                    builder.store(self.at(self.at(factors, f0), other), factor)
                with cgutils.for_range(builder, some):
                    f, c = builder.load(factor), builder.load(column)
                    read = [builder.load(place, align=self.size) for place in self.columns(c, apart, vectors)]
                    for row, sums_of_row in zip(rows, totals, strict=True):
                        spread = self.in_all_lanes(self.at(f, row))
                        for v, total in enumerate(sums_of_row):
                            self.add_product(total, spread, read[v])
                    builder.store(self.at(f, f_step), factor)
                    builder.store(self.at(c, step), column)
        for target, row in zip(targets, totals, strict=True):
            to = self.at(self.at(sums, s0), target)
            for total, place in zip(row, self.columns(to, apart, vectors), strict=True):
                builder.store(
                    builder.fadd(builder.load(place, align=self.size), builder.load(total)), place, align=self.size
                )


def _tile(vectors: int) -> Callable[..., None]:
    @intrinsic  # type: ignore[untyped-decorator]
    def tile(_context: Any, data: Any, numbers: Any, scattered: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found, dtype = pointers(context, builder, data, args[0]), data.types[0].dtype
            writer = _Writer(builder, context.get_value_type(dtype), dtype.bitwidth // 8)
            writer.tile(vectors, found, *(cgutils.unpack_tuple(builder, some) for some in args[1:]))
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers)), scattered), generate

    return tile  # type: ignore[no-any-return]


_tile1, _tile2, _tile3 = _tile(1), _tile(2), _tile(3)


@part
def widest(vectors: int) -> int:
    """Of a row of so many vectors, how many the next tile takes."""
    return 3 if vectors == 3 or vectors > 4 else min(vectors, 2)


@part
def add_tiles(
    data: tuple[NDArray, ...], numbers: tuple[int, ...], scattered: tuple[int, ...], vectors: int, apart: int
) -> None:
    """Add to a row of tiles: to `ROWS` rows of so many vectors, `apart` from each other among cells as among sums.

    ``data``: factors, cells, offsets, sums, flat arrays. ``numbers``: the first factor and the first cell; taps from
    and to; channels, channels of a block, the distance of a channel's cells from the last's; the first sum and the
    distance of rows of sums. To row m is added, block by block of channels, in a block tap by tap and in a tap channel
    by channel, the row's next factor times the channel's cells from ``offsets[tap]`` on. All that is summed first, in
    one order, and then added.

    The factors of all rows lie together, or they are ``scattered``: from factor to factor, and where in `offsets` the
    rows stand, of each where its factors and its sums begin. The tap's cells then begin at ``offsets[2 * tap]`` and its
    factors at ``offsets[2 * tap + 1]``, and all channels are one block.
    """
    f, c, begin, end, channels, block, step, to, line = numbers
    at = 0
    while at < vectors:
        some, place = widest(vectors - at), at * apart
        here = (f, c + place, begin, end, channels, block, step, to + place, line, apart)
        if some == 3:
            _tile3(data, here, scattered)
        elif some == 2:
            _tile2(data, here, scattered)
        else:
            _tile1(data, here, scattered)
        at += some
