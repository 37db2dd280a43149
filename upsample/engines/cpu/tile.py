"""A tile of sums of products that stays in vector registers: the inside of a matrix product.

LLVM does not make such a tile of plain loops, so it is written in LLVM's own vectors. Nothing is copied side by side
first: the columns of a tile are read where they stand, from a place of their own for each tap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["BITS", "ROWS", "tile1", "tile2", "tile3"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
BITS = 512 if _WIDE else 256 if _FEATURES.get("avx") else 128
"""Of a vector register."""
ROWS = 8 if _WIDE or not _FEATURES.get("sse2") else 4
"""Of a tile: with three vectors each they fill most of the 32 registers; x86 without AVX-512 has 16."""

_COUNT, _LANE = ir.IntType(64), ir.IntType(32)


class _Writer:
    """Writes the code of one tile."""

    def __init__(self, builder: Any, dtype: Any, size: int) -> None:
        self.builder, self.size, self.lanes = builder, size, BITS // (8 * size)
        self.vector = ir.VectorType(dtype, self.lanes)

    def at(self, pointer: Any, place: Any) -> Any:
        return self.builder.gep(pointer, [_COUNT(place) if isinstance(place, int) else place])

    def columns(self, pointer: Any, apart: Any, vectors: int) -> list[Any]:
        places = (self.builder.mul(apart, _COUNT(v)) for v in range(vectors))
        return [self.builder.bitcast(self.at(pointer, place), self.vector.as_pointer()) for place in places]

    def in_all_lanes(self, pointer: Any) -> Any:
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(undefined, self.builder.load(pointer), _LANE(0))
        return self.builder.shuffle_vector(one, undefined, ir.VectorType(_LANE, self.lanes)([0] * self.lanes))

    def add_product(self, total: Any, a: Any, b: Any) -> None:
        """Add to a variable, in one rounding where the processor has that."""
        product = self.builder.fmul(a, b, flags=("contract",))
        self.builder.store(self.builder.fadd(self.builder.load(total), product, flags=("contract",)), total)

    def tile(self, vectors: int, data: list[Any], numbers: list[Any]) -> None:
        weights, cells, offsets, bias, sums = data
        w0, c0, begin, end, channels, step, b0, s0, line, apart = numbers
        builder = self.builder
        totals = [[cgutils.alloca_once(builder, self.vector) for _ in range(vectors)] for _ in range(ROWS)]
        for m, row in enumerate(totals):
            first = self.in_all_lanes(self.at(self.at(bias, b0), m))
            for total in row:
                builder.store(first, total)
        factors = cgutils.alloca_once_value(builder, self.at(weights, w0))
        columns = cgutils.alloca_once(builder, cells.type)
        with cgutils.for_range_slice(builder, begin, end, _COUNT(1)) as (tap, _):
            builder.store(self.at(self.at(cells, c0), builder.load(self.at(offsets, tap))), columns)
            with cgutils.for_range(builder, channels):
                w, c = builder.load(factors), builder.load(columns)
                read = [builder.load(column, align=self.size) for column in self.columns(c, apart, vectors)]
                for m, row in enumerate(totals):
                    factor = self.in_all_lanes(self.at(w, m))
                    for v, total in enumerate(row):
                        self.add_product(total, factor, read[v])
                builder.store(self.at(w, ROWS), factors)
                builder.store(self.at(c, step), columns)
        for m, row in enumerate(totals):
            to = self.at(sums, builder.add(s0, builder.mul(line, _COUNT(m))))
            for total, column in zip(row, self.columns(to, apart, vectors), strict=True):
                builder.store(builder.load(total), column, align=self.size)


def _tile(vectors: int) -> Callable[..., None]:
    @intrinsic  # type: ignore[untyped-decorator]
    def tile(_context: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args[0].types
            parts = cgutils.unpack_tuple(builder, args[0])
            found = [
                context.make_array(kind)(context, builder, part).data for kind, part in zip(kinds, parts, strict=True)
            ]
            dtype = kinds[0].dtype
            writer = _Writer(builder, context.get_value_type(dtype), dtype.bitwidth // 8)
            writer.tile(vectors, found, cgutils.unpack_tuple(builder, args[1]))
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers))), generate

    tile.__doc__ = f"Make a tile of {vectors} vectors a row."
    return tile  # type: ignore[no-any-return]


tile1, tile2, tile3 = _tile(1), _tile(2), _tile(3)
"""``tile(data, numbers)`` for tiles of one, two or three vectors a row.

``data``: weights, cells, offsets, bias, sums, flat arrays. ``numbers``: the first weight, the first cell, taps from and
to, channels, the distance of a channel's cells from the last's, the first bias, the first sum, the distances of rows of
sums and of vectors, among the cells as among the sums. Row m of the tile becomes ``bias[m]`` plus, tap by tap and in a
tap channel by channel, the next weight times the channel's cells from ``offsets[tap]`` on; weights lie in the order in
which they are used, those of all rows together.
"""
