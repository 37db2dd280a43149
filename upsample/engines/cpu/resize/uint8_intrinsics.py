"""The insides of the byte filters, in vectors of 32 bytes: LLVM makes no pairs of products of plain loops.

One instruction multiplies 16-bit numbers and adds the products two by two, so taps go in pairs: the weights of two taps
are halves of one 32-bit number, and the bytes of their inputs are brought side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.engines.cpu.resize.taps import LOW_BITS
from upsample.engines.cpu.runtime.compile import pointers

__all__ = ["SIDE", "WIDTH", "filter_bytes", "turn"]

"""Whether the processor has these instructions; without them nothing of this file may be compiled."""
WIDTH = 32
"""Bytes that `filter_bytes` makes."""
SIDE = 16
"""Rows and columns that `turn` turns."""

_COUNT, _HALF, _LANE, _BYTE = ir.IntType(64), ir.IntType(16), ir.IntType(32), ir.IntType(8)
_BYTES, _HALVES, _LANES = (
    ir.VectorType(_BYTE, WIDTH),
    ir.VectorType(_HALF, WIDTH // 2),
    ir.VectorType(_LANE, WIDTH // 4),
)


def _shuffled(builder: Any, a: Any, b: Any, places: Iterable[int]) -> Any:
    numbers = list(places)
    return builder.shuffle_vector(a, b, ir.VectorType(_LANE, len(numbers))(numbers))


def _beside(builder: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Bring the bytes of two vectors side by side: those of the lower, and of the upper halves of each 16 bytes."""
    size = a.type.count
    low, high = (
        [place for lane in range(0, size, 16) for k in range(lane + at, lane + at + 8) for place in (k, size + k)]
        for at in (0, 8)
    )
    return _shuffled(builder, a, b, low), _shuffled(builder, a, b, high)


def _named(builder: Any, name: str, result: Any, a: Any, b: Any) -> Any:
    kind = ir.FunctionType(result, (a.type, b.type))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx2.{name}"), (a, b))


def _in_all_lanes(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_LANES, ir.Undefined)
    return _shuffled(builder, builder.insert_element(undefined, value, _LANE(0)), undefined, [0] * _LANES.count)


def _read(builder: Any, pointer: Any, place: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(pointer, [place]), kind.as_pointer()), align=1)


def _write(builder: Any, value: Any, pointer: Any, place: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(pointer, [place]), value.type.as_pointer()), align=1)


def _filter(builder: Any, data: list[Any], numbers: list[Any]) -> None:
    src, dst, index, *weights = data
    s0, step, d0, first, pairs, shift = numbers
    shift = builder.trunc(shift, _LANE)
    half = builder.lshr(builder.shl(_LANE(1), shift), _LANE(1))
    sums = [[cgutils.alloca_once(builder, _LANES) for _ in range(4)] for _ in weights]
    for totals in sums:
        start = _in_all_lanes(builder, half) if totals is sums[-1] else ir.Constant(_LANES, None)
        for total in totals:
            builder.store(start, total)
    zero = ir.Constant(_BYTES, None)
    with cgutils.for_range(builder, pairs) as loop:
        pair = builder.add(first, loop.index)
        twice, read = builder.shl(pair, _COUNT(1)), []
        for k in (0, 1):
            number = builder.sext(builder.load(builder.gep(index, [builder.add(twice, _COUNT(k))])), _COUNT)
            read.append(_read(builder, src, builder.add(s0, builder.mul(number, step)), _BYTES))
        fours = [four for eight in _beside(builder, *read) for four in _beside(builder, eight, zero)]
        for totals, weight in zip(sums, weights, strict=True):
            factor = builder.bitcast(_in_all_lanes(builder, builder.load(builder.gep(weight, [pair]))), _HALVES)
            for total, four in zip(totals, fours, strict=True):
                product = _named(builder, "pmadd.wd", _LANES, builder.bitcast(four, _HALVES), factor)
                builder.store(builder.add(builder.load(total), product), total)
    places = _in_all_lanes(builder, shift)
    whole = [builder.load(total) for total in sums[0]]
    for totals in sums[1:]:
        up = ir.Constant(_LANES, [LOW_BITS] * _LANES.count)
        whole = [builder.add(builder.shl(high, up), builder.load(low)) for high, low in zip(whole, totals, strict=True)]
    a, b, c, d = (builder.ashr(total, places) for total in whole)
    low, high = _named(builder, "packssdw", _HALVES, a, b), _named(builder, "packssdw", _HALVES, c, d)
    _write(builder, _named(builder, "packuswb", _BYTES, low, high), dst, d0)


def _turn(builder: Any, data: list[Any], numbers: list[Any]) -> None:
    src, dst = data
    s0, s_step, d0, d_step = numbers
    kind = ir.VectorType(_BYTE, SIDE)
    rows = [_read(builder, src, builder.add(s0, builder.mul(s_step, _COUNT(k))), kind) for k in range(SIDE)]
    for _ in range(4):  # each round halves the distance of a column's neighbours
        rows = [row for k in range(SIDE // 2) for row in _beside(builder, rows[k], rows[k + SIDE // 2])]
    for k, row in enumerate(rows):
        _write(builder, row, dst, builder.add(d0, builder.mul(d_step, _COUNT(k))))


def _inlined(write: Callable[[Any, list[Any], list[Any]], None]) -> Any:
    def inlined(_context: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            write(builder, pointers(context, builder, data, args[0]), cgutils.unpack_tuple(builder, args[1]))
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers))), generate

    return intrinsic(inlined)


filter_bytes = _inlined(_filter)
"""``filter_bytes(data, numbers)`` makes 32 bytes, rounded half up and clamped.

``data``: source and destination, bytes; index and weights, int32, flat, as `upsample.engines.cpu.resize.taps.pairs`
makes them, one array of weights or two.
``numbers``: where the source begins, the distance of its samples, where the destination begins, the first pair, how
many pairs, the binary places of the weights.
"""
turn = _inlined(_turn)
"""``turn(data, numbers)`` turns 16 rows of 16 bytes into 16 columns.

``data``: source and destination. ``numbers``: where the first row begins in each, and how far apart rows are there.
"""
