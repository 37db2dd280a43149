"""The GEMM micro-kernel: a tile of sums of products that stays in vector registers.

LLVM does not keep such a tile in registers if it compiles plain loops, so this module writes LLVM vector code. The
kernel does not pack the columns of a tile: it reads them in place, and each tap has its own offset. NumPy's BLAS would
not do, because its threads wait for each other and spin, and its product cannot be added to an array.
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
from upsample.engines.cpu.runtime.llvm_values import splat
from upsample.engines.cpu.runtime.machine import VECTOR_BITS, VECTOR_REGISTERS

__all__ = ["BITS", "ROWS", "add_tiles", "widest"]


BITS = VECTOR_BITS
"""Bits of a vector register."""
ROWS = 8 if VECTOR_REGISTERS == 32 else 4
"""Rows of a tile: with three vectors each they fill most of the 32 registers; x86 without AVX-512 has 16."""

_COUNT = ir.IntType(64)


class _Writer:
    """Writes the LLVM code of one tile."""

    def __init__(self, builder: Any, dtype: Any, size: int) -> None:
        self.builder, self.size, self.lanes = builder, size, BITS // (8 * size)
        self.vector = ir.VectorType(dtype, self.lanes)

    def at(self, pointer: Any, place: Any) -> Any:
        return self.builder.gep(pointer, [place])

    def columns(self, pointer: Any, apart: Any, vectors: int) -> list[Any]:
        places = [self.at(pointer, self.builder.mul(apart, _COUNT(v))) for v in range(vectors)]
        return [self.builder.bitcast(place, self.vector.as_pointer()) for place in places]

    def add_product(self, total: Any, a: Any, b: Any) -> None:
        """Add ``a * b`` to a variable by a fused multiply-add."""
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
            block_channels = builder.select(builder.icmp_signed("<", left, block), left, block)
            base = self.at(self.at(cells, c0), builder.mul(first, step))
            with cgutils.for_range_slice(builder, begin, end, _COUNT(1)) as (tap, _):
                place = builder.mul(tap, _COUNT(2)) if scattered else tap
                builder.store(self.at(base, builder.load(self.at(offsets, place))), column)
                if scattered:
                    other = builder.load(self.at(offsets, builder.add(place, _COUNT(1))))
                    builder.store(self.at(self.at(factors, f0), other), factor)
                with cgutils.for_range(builder, block_channels):
                    f, c = builder.load(factor), builder.load(column)
                    values = [builder.load(place, align=self.size) for place in self.columns(c, apart, vectors)]
                    for row, row_totals in zip(rows, totals, strict=True):
                        row_factor = splat(builder, builder.load(self.at(f, row)), self.lanes)
                        for value, total in zip(values, row_totals, strict=True):
                            self.add_product(total, row_factor, value)
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
            arrays, dtype = pointers(context, builder, data, args[0]), data.types[0].dtype
            writer = _Writer(builder, context.get_value_type(dtype), dtype.bitwidth // 8)
            writer.tile(vectors, arrays, *(cgutils.unpack_tuple(builder, numbers) for numbers in args[1:]))
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers)), scattered), generate

    return tile  # type: ignore[no-any-return]


_tile1, _tile2, _tile3 = _tile(1), _tile(2), _tile(3)


@part
def widest(vectors: int) -> int:
    """Return the vectors of the next tile, if so many vectors of the row remain."""
    return 3 if vectors == 3 or vectors > 4 else min(vectors, 2)


@part
def add_tiles(
    data: tuple[NDArray, ...], numbers: tuple[int, ...], scattered: tuple[int, ...], vectors: int, apart: int
) -> None:
    """Add products to a row of tiles: `ROWS` rows of `vectors` vectors, which are `apart` values from each other.

    ``data``: factors, cells, offsets and sums, flat arrays. ``numbers``: places of the first factor and of the first
    cell; first tap, and one past the last; channels, channels of a block, and the distance between channels in the
    cells; place of the first sum, and the distance between rows of sums.

    For each block of channels, each tap and each channel of the block, in this order, the kernel multiplies row m's
    next factor by the channel's cells from ``offsets[tap]`` on. It sums these products in registers and then adds them
    to row m of the sums.

    If `scattered` is empty, factors are packed: those of the `ROWS` rows are neighbors. Otherwise it has two numbers:
    the distance from a row's factor to the next, and the place in `offsets` of a pair for each row, where its factors
    and its sums begin. Then the tap's cells begin at ``offsets[2 * tap]`` and its factors at ``offsets[2 * tap + 1]``,
    and all channels are one block.
    """
    f, c, begin, end, channels, block, step, to, line = numbers
    at = 0
    while at < vectors:
        width, place = widest(vectors - at), at * apart
        tile = (f, c + place, begin, end, channels, block, step, to + place, line, apart)
        if width == 3:
            _tile3(data, tile, scattered)
        elif width == 2:
            _tile2(data, tile, scattered)
        else:
            _tile1(data, tile, scattered)
        at += width
