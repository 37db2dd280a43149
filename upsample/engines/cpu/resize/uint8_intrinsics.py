"""Vector code of the byte filters, 32 bytes at a time: LLVM does not use paired products for plain loops.

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
from upsample.engines.cpu.runtime.llvm_values import load, store

__all__ = ["SIDE", "WIDTH", "filter_bytes", "turn"]

WIDTH = 32
"""Values that `filter_bytes` makes."""
SIDE = 16
"""Rows and columns that `turn` turns."""

_AHEAD = 256
"""Bytes by which rows that are turned are prefetched."""

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
    """Bring the values of two vectors side by side: those of the lower, and of the upper halves of each 16 bytes."""
    size, lane = a.type.count, 128 // a.type.element.width
    low, high = (
        [k for begin in range(0, size, lane) for i in range(begin + at, begin + at + lane // 2) for k in (i, size + i)]
        for at in (0, lane // 2)
    )
    return _shuffled(builder, a, b, low), _shuffled(builder, a, b, high)


def _named(builder: Any, name: str, result: Any, a: Any, b: Any) -> Any:
    kind = ir.FunctionType(result, (a.type, b.type))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx2.{name}"), (a, b))


def _in_all_lanes(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_LANES, ir.Undefined)
    return _shuffled(builder, builder.insert_element(undefined, value, _LANE(0)), undefined, [0] * _LANES.count)


def _filter(builder: Any, data: list[Any], numbers: list[Any]) -> None:
    src, dst, index, *weights = data
    s0, step, d0, first, pairs, how = numbers
    shift = builder.trunc(builder.and_(how, _COUNT(255)), _LANE)
    ties_to_even = builder.icmp_signed("==", builder.lshr(how, _COUNT(8)), _COUNT(2))
    half = builder.lshr(builder.shl(_LANE(1), shift), _LANE(1))
    start = _in_all_lanes(builder, builder.select(ties_to_even, _LANE(0), half))
    sums = [[cgutils.alloca_once(builder, _LANES) for _ in range(4)] for _ in weights]
    for totals in sums:
        for total in totals:
            builder.store(start if totals is sums[-1] else ir.Constant(_LANES, None), total)
    with cgutils.for_range(builder, pairs) as loop:
        pair = builder.add(first, loop.index)
        twice, read = builder.shl(pair, _COUNT(1)), []
        for k in (0, 1):
            number = builder.sext(builder.load(builder.gep(index, [builder.add(twice, _COUNT(k))])), _COUNT)
            read.append(builder.add(s0, builder.mul(number, step)))
        fours = _paired(builder, src, read)
        for totals, weight in zip(sums, weights, strict=True):
            factor = builder.bitcast(_in_all_lanes(builder, builder.load(builder.gep(weight, [pair]))), _HALVES)
            for total, four in zip(totals, fours, strict=True):
                product = _named(builder, "pmadd.wd", _LANES, builder.bitcast(four, _HALVES), factor)
                builder.store(builder.add(builder.load(total), product), total)
    if len(sums) == 2:
        _join(builder, *sums)
    places = _in_all_lanes(builder, shift)
    if dst.type.pointee == _BYTE:
        with builder.if_then(ties_to_even, likely=src.type.pointee != _BYTE):
            unit, halves = (_in_all_lanes(builder, value) for value in (builder.shl(_LANE(1), shift), half))
            for total in sums[-1]:
                made = builder.load(total)
                is_even = builder.icmp_signed("==", builder.and_(made, unit), ir.Constant(_LANES, None))
                builder.store(builder.add(builder.add(made, halves), builder.sext(is_even, _LANES)), total)
    ended = [builder.ashr(builder.load(total), places) for total in sums[-1]]
    _write_ended(builder, ended, in_order=src.type.pointee != _BYTE, dst=dst, d0=d0)


def _join(builder: Any, high: list[Any], low: list[Any]) -> None:
    """Add to the sums of the weights' last bits those of the rest."""
    up = ir.Constant(_LANES, [LOW_BITS] * _LANES.count)
    for total, rest in zip(low, high, strict=True):
        builder.store(builder.add(builder.shl(builder.load(rest), up), builder.load(total)), total)


def _paired(builder: Any, src: Any, places: list[Any]) -> list[Any]:
    """Read `WIDTH` values at each of two places, and bring them side by side as 16-bit numbers: four vectors.

    Of bytes, values 0 to 3 and 16 to 19 come first, 4 to 7 and 20 to 23 second, and so on; of 16-bit numbers, 0 to 3
    and 8 to 11, 4 to 7 and 12 to 15, and so on.
    """
    if src.type.pointee == _BYTE:
        a, b = (load(builder, src, place, _BYTES) for place in places)
        zero = ir.Constant(_BYTES, None)
        return [four for eight in _beside(builder, a, b) for four in _beside(builder, eight, zero)]
    fours: list[Any] = []
    for begin in (0, WIDTH // 2):
        a, b = (load(builder, src, builder.add(place, _COUNT(begin)), _HALVES) for place in places)
        fours += _beside(builder, a, b)
    return fours


def _write_ended(builder: Any, sums: list[Any], *, in_order: bool, dst: Any, d0: Any) -> None:
    """Clamp sums, in one of the orders of `_paired`, and write them."""
    low, high = (_named(builder, "packssdw", _HALVES, a, b) for a, b in (sums[:2], sums[2:]))
    if dst.type.pointee != _BYTE:
        if not in_order:
            low, high = (
                _shuffled(builder, low, high, [8 * k + i for k in ks for i in range(8)]) for ks in ((0, 2), (1, 3))
            )
        store(builder, low, dst, d0)
        store(builder, high, dst, builder.add(d0, _COUNT(WIDTH // 2)))
        return
    packed = _named(builder, "packuswb", _BYTES, low, high)
    if in_order:
        packed = _shuffled(builder, packed, packed, [8 * k + i for k in (0, 2, 1, 3) for i in range(8)])
    store(builder, packed, dst, d0)


def _turn(builder: Any, data: list[Any], numbers: list[Any]) -> None:
    """Turn vectors of 16 bytes; of 16-bit numbers two at once, of rows that are eight apart.

    Rows are prefetched: there are more of them than the processor follows by itself.
    """
    src, dst = data
    _prefetch(builder, src, numbers)
    s0, s_step, d0, d_step = numbers
    side = 128 // src.type.pointee.width
    kind = ir.VectorType(src.type.pointee, side)
    for left in range(0, SIDE, side):
        read = [
            load(builder, src, builder.add(s0, builder.add(builder.mul(s_step, _COUNT(k)), _COUNT(left))), kind)
            for k in range(SIDE)
        ]
        rows = read if side == SIDE else [_shuffled(builder, read[k], read[k + side], range(SIDE)) for k in range(side)]
        for _ in range(side.bit_length() - 1):  # each round halves the distance of a column's neighbours
            rows = [row for k in range(side // 2) for row in _beside(builder, rows[k], rows[k + side // 2])]
        for k, row in enumerate(rows):
            store(builder, row, dst, builder.add(d0, builder.mul(d_step, _COUNT(left + k))))


def _prefetch(builder: Any, src: Any, numbers: list[Any]) -> None:
    """Ask for the bytes of each row that are `_AHEAD` bytes ahead; an address outside of the array does no harm."""
    s0, step, *_ = numbers
    kind = ir.FunctionType(ir.VoidType(), (ir.PointerType(_BYTE), _LANE, _LANE, _LANE))
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    for k in range(SIDE):
        row = builder.bitcast(builder.gep(src, [builder.add(s0, builder.mul(step, _COUNT(k)))]), ir.PointerType(_BYTE))
        builder.call(function, (builder.gep(row, [_COUNT(_AHEAD)]), _LANE(0), _LANE(3), _LANE(1)))


def _inlined(write: Callable[[Any, list[Any], list[Any]], None]) -> Any:
    def inlined(_context: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            write(builder, pointers(context, builder, data, args[0]), cgutils.unpack_tuple(builder, args[1]))
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers))), generate

    return intrinsic(inlined)


filter_bytes = _inlined(_filter)
"""``filter_bytes(data, numbers)`` makes 32 values, rounded and clamped.

``data``: source and destination, bytes or the 16-bit numbers between two axes; index and weights, int32, flat, as
`upsample.engines.cpu.resize.taps.pairs` makes them, one array of weights or two.
``numbers``: where the source begins, the distance of its samples, where the destination begins, the first pair, how
many pairs, and how sums end (`upsample.plans.taps.settling`).
"""
turn = _inlined(_turn)
"""``turn(data, numbers)`` turns 16 rows of 16 bytes, or 16-bit numbers, into 16 columns.

``data``: source and destination. ``numbers``: where the first row begins in each, and how far apart rows are there.
"""
