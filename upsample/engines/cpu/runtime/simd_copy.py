"""Vectorized copies: transpose a matrix, copy every other value of a row, clear values."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import inlined, kernel
from upsample.engines.cpu.runtime.gemm_tile import BITS

__all__ = ["clear", "copy_every_other", "transpose"]


_SINGLES, _DOUBLES = BITS // 32, BITS // 64  # lanes; a division by `itemsize` would take longer than a short row
_COUNT, _LANE = ir.IntType(64), ir.IntType(32)


def _vectors(context: Any, builder: Any, array: Any, value: Any) -> tuple[int, Any]:
    """Return the lanes of a vector of an array's values, and a function that writes a pointer to such a vector."""
    data, size = context.make_array(array)(context, builder, value).data, array.dtype.bitwidth
    pointer = ir.VectorType(context.get_value_type(array.dtype), BITS // size).as_pointer()
    return BITS // size, lambda place: builder.bitcast(builder.gep(data, [place]), pointer)


@intrinsic  # type: ignore[untyped-decorator]
def _transpose_square(_context: Any, source: Any, target: Any, numbers: Any) -> Any:
    """Transpose a square of one vector's lanes; `numbers`: its place and row pitch in `source`, then in `target`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (lanes, read), (_, written) = (
            _vectors(context, builder, *pair) for pair in zip(signature.args[:2], args, strict=False)
        )
        size, half = signature.args[0].dtype.bitwidth // 8, lanes // 2
        at, apart, to, pitch = cgutils.unpack_tuple(builder, args[2])
        places = [builder.add(at, builder.mul(apart, _COUNT(n))) for n in range(lanes)]
        rows = [builder.load(read(place), align=size) for place in places]
        low = [n // 2 + n % 2 * lanes for n in range(lanes)]
        orders = [ir.VectorType(_LANE, lanes)([n + more for n in low]) for more in (0, half)]
        for _ in range(half.bit_length()):  # each pass interleaves pairs: one bit of the row moves to the column
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [builder.shuffle_vector(*pair, order) for pair in pairs for order in orders]
        for n, values in enumerate(rows):
            builder.store(values, written(builder.add(to, builder.mul(pitch, _COUNT(n)))), align=size)
        return context.get_dummy_value()

    return types.void(source, target, types.UniTuple(types.int64, 4)), generate


@intrinsic  # type: ignore[untyped-decorator]
def _copy_every_other(_context: Any, source: Any, target: Any, numbers: Any) -> Any:
    """Copy every other value to one vector; `numbers`: places in `source` and `target`. No value after them is read."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (lanes, read), (_, written) = (
            _vectors(context, builder, *pair) for pair in zip(signature.args[:2], args, strict=False)
        )
        at, to = cgutils.unpack_tuple(builder, args[2])
        size, places = signature.args[0].dtype.bitwidth // 8, (at, builder.add(at, _COUNT(lanes - 1)))
        low, high = (builder.load(read(place), align=size) for place in places)
        order = [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)]
        every_other = builder.shuffle_vector(low, high, ir.VectorType(_LANE, lanes)(order))
        builder.store(every_other, written(to), align=size)
        return context.get_dummy_value()

    return types.void(source, target, types.UniTuple(types.int64, 2)), generate


@intrinsic  # type: ignore[untyped-decorator]
def _clear(_context: Any, array: Any, place: Any) -> Any:
    """Fill a vector with zeros."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, written = _vectors(context, builder, signature.args[0], args[0])
        target = written(args[1])
        builder.store(
            ir.Constant(target.type.pointee, [0.0] * lanes), target, align=signature.args[0].dtype.bitwidth // 8
        )
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@inlined
def clear(array: NDArray, begin: int, count: int) -> None:
    """Set values from ``array[begin]`` on to zero: `count`, rounded up to full vectors.

    LLVM replaces an exact loop by a call of `memset`, which takes longer than a short row.
    """
    lanes = _SINGLES if array.itemsize == 4 else _DOUBLES
    if count > 0:
        _clear(array, begin)
    for j in range(lanes, count, lanes):
        _clear(array, begin + j)


@inlined
def copy_every_other(source: NDArray, at: int, target: NDArray, to: int, count: int) -> None:
    """Set ``target[to + j]`` to ``source[at + 2 * j]`` for `count` values of `j`."""
    lanes = _SINGLES if target.itemsize == 4 else _DOUBLES
    if count < lanes:
        begin, first, two = np.uint64(at), np.uint64(to), np.uint64(2)
        for j in range(np.uint64(count)):
            target[first + j] = source[begin + two * j]
        return
    for j in range(0, count - lanes, lanes):
        _copy_every_other(source, target, (at + 2 * j, to + j))
    last = count - lanes  # the last vectors may overlap
    _copy_every_other(source, target, (at + 2 * last, to + last))


@kernel
def transpose(
    source: NDArray, at: int, apart: int, rows: int, columns: int, target: NDArray, to: int, pitch: int
) -> None:
    """Set ``target[to + j * pitch + i]`` to ``source[at + i * apart + j]`` for all rows `i` and columns `j`."""
    lanes = _SINGLES if target.itemsize == 4 else _DOUBLES
    square_rows, square_columns = rows // lanes * lanes, columns // lanes * lanes
    for i in range(0, square_rows, lanes):
        for j in range(0, square_columns, lanes):
            _transpose_square(source, target, (at + i * apart + j, apart, to + j * pitch + i, pitch))
    for i in range(rows):
        first, column, step = np.uint64(at + i * apart), np.uint64(to + i), np.uint64(pitch)
        for j in range(np.uint64(square_columns if i < square_rows else 0), np.uint64(columns)):
            target[column + step * j] = source[first + j]
