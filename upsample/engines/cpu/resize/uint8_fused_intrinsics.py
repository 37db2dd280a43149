"""Vector code of `uint8_fused`: sums along a row by shuffles, sums along a column by rows.

Along a row the taps of neighboring outputs overlap. A vector of 16 bytes is loaded once for four outputs, a shuffle
(``pshufb``) places the two bytes of each pair of taps as 16-bit numbers, and ``pmaddwd`` multiplies and adds the pair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.engines.cpu.runtime.compile import pointers
from upsample.engines.cpu.runtime.llvm_values import load, splat, store
from upsample.engines.cpu.runtime.machine import HAS_AVX2

__all__ = ["ACROSS", "DOWN", "SHUFFLES", "halve", "sum_down_high", "sum_down_settled", "sum_down_whole", "weigh_across"]

ACROSS = 16
"""Values of a block of `weigh_across`."""
DOWN = 32
"""Values of a block of `sum_down_high` and `sum_down_whole`."""
SHUFFLES = HAS_AVX2
"""Whether the processor has the shuffles that `weigh_across` needs."""

_COUNT, _LANE, _HALF, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(16), ir.IntType(8)
_LANES, _HALVES, _BYTES = ir.VectorType(_LANE, 8), ir.VectorType(_HALF, 16), ir.VectorType(_BYTE, 32)


def _constant(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _avx2(builder: Any, name: str, result: Any, a: Any, b: Any) -> Any:
    kind = ir.FunctionType(result, (a.type, b.type))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx2.{name}"), (a, b))


def _gathered(builder: Any, src: Any, row: Any, begins: Any, first: Any, pieces: int) -> Any:
    """Load 32 bytes: two groups of 16, each of `pieces` pieces with a beginning of its own."""
    piece = ir.VectorType(_BYTE, 16) if pieces == 1 else ir.IntType(128 // pieces)
    parts = []
    for k in range(2 * pieces):
        begin = builder.zext(builder.load(builder.gep(begins, [builder.add(first, _COUNT(k))])), _COUNT)
        parts.append(load(builder, src, builder.add(row, begin), piece))
    if pieces == 1:
        return builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(_LANE, 32), list(range(32))))
    value = ir.Constant(ir.VectorType(piece, 2 * pieces), ir.Undefined)
    for k, part in enumerate(parts):
        value = builder.insert_element(value, part, _LANE(k))
    return builder.bitcast(value, _BYTES)


def _weigh_across(builder: Any, data: list[Any], numbers: list[Any], pieces: int) -> None:
    """Make a whole row, block by block."""
    if not SHUFFLES:  # the kernel does not come here, and LLVM aborts at an instruction that the processor lacks
        return
    row, to, blocks, steps, shift, start = numbers
    with cgutils.for_range(builder, blocks) as loop:
        place = builder.add(to, builder.mul(loop.index, _COUNT(ACROSS)))
        _weigh_block(builder, data, (row, place, builder.mul(loop.index, steps), steps, shift, start), pieces)


def _weigh_block(builder: Any, data: list[Any], numbers: tuple[Any, ...], pieces: int) -> None:
    src, ring, begins, masks, weights = data
    row, to, first, steps, shift, start = numbers
    sums = [cgutils.alloca_once(builder, _LANES) for _ in range(2)]
    for total in sums:
        builder.store(splat(builder, builder.trunc(start, _LANE), 8), total)
    with cgutils.for_range(builder, steps) as loop:
        step = builder.add(first, loop.index)
        for half, total in enumerate(sums):
            number = builder.add(builder.shl(step, _COUNT(1)), _COUNT(half))
            place = builder.shl(number, _COUNT(5))
            bytes_ = _gathered(builder, src, row, begins, builder.mul(number, _COUNT(2 * pieces)), pieces)
            paired = _avx2(builder, "pshuf.b", _BYTES, bytes_, load(builder, masks, place, _BYTES))
            factor = load(builder, weights, builder.shl(number, _COUNT(4)), _HALVES)
            product = _avx2(builder, "pmadd.wd", _LANES, builder.bitcast(paired, _HALVES), factor)
            builder.store(builder.add(builder.load(total), product), total)
    low, high = (builder.load(total) for total in sums)
    if ring.type.pointee == _LANE:
        store(builder, low, ring, to)
        store(builder, high, ring, builder.add(to, _COUNT(8)))
        return
    places = splat(builder, builder.trunc(shift, _LANE), 8)
    low, high = builder.ashr(low, places), builder.ashr(high, places)
    store(builder, _avx2(builder, "packssdw", _HALVES, low, high), ring, to)


def _clamped(builder: Any, sums: Any) -> Any:
    """Clamp signed numbers to bytes."""
    kind = sums.type
    zero, most = ir.Constant(kind, None), _constant(kind, 255)
    sums = builder.select(builder.icmp_signed("<", sums, zero), zero, sums)
    sums = builder.select(builder.icmp_signed(">", sums, most), most, sums)
    return builder.trunc(sums, ir.VectorType(_BYTE, kind.count))


def _taps(builder: Any, places: Any, weights: Any, first: Any, tap: Any) -> tuple[Any, Any]:
    """Load where a tap's row begins, and its weight."""
    number = builder.add(first, tap)
    return builder.load(builder.gep(places, [number])), builder.load(builder.gep(weights, [number]))


def _sum_down(builder: Any, data: list[Any], numbers: list[Any], block: Callable[..., None]) -> None:
    """Make a whole row of `DOWN` values or more, block by block; the last one begins earlier if it must."""
    n, to, *rest = numbers
    count = builder.udiv(builder.add(n, _COUNT(DOWN - 1)), _COUNT(DOWN))
    with cgutils.for_range(builder, count) as loop:
        column, last = builder.mul(loop.index, _COUNT(DOWN)), builder.sub(n, _COUNT(DOWN))
        column = builder.select(builder.icmp_signed("<", column, last), column, last)
        block(builder, data, (column, builder.add(to, column), *rest))


def _high_block(builder: Any, data: list[Any], numbers: tuple[Any, ...]) -> None:
    """Add the high halves of 16-bit products, and drop two places."""
    ring, dst, places, weights = data
    column, to, first, count = numbers
    kind, wide = ir.VectorType(_HALF, DOWN), ir.VectorType(_LANE, DOWN)
    total = cgutils.alloca_once(builder, kind)
    builder.store(_constant(kind, 2), total)
    with cgutils.for_range(builder, count) as loop:
        begin, weight = _taps(builder, places, weights, first, loop.index)
        row = builder.sext(load(builder, ring, builder.add(begin, column), kind), wide)
        product = builder.mul(row, splat(builder, builder.sext(builder.trunc(weight, _HALF), _LANE), DOWN))
        high = builder.trunc(builder.ashr(product, _constant(wide, 16)), kind)
        builder.store(builder.add(builder.load(total), high), total)
    sums = builder.ashr(builder.load(total), _constant(kind, 2))
    store(builder, _clamped(builder, sums), dst, to)


def _whole_block(builder: Any, data: list[Any], numbers: tuple[Any, ...]) -> None:
    """Add 32-bit products, half of the last place that remains, and drop `shift` places."""
    ring, dst, places, weights = data
    column, to, first, count, shift = numbers
    kind = ir.VectorType(_LANE, DOWN)
    total, shift = cgutils.alloca_once(builder, kind), builder.trunc(shift, _LANE)
    builder.store(splat(builder, builder.lshr(builder.shl(_LANE(1), shift), _LANE(1)), DOWN), total)
    with cgutils.for_range(builder, count) as loop:
        begin, weight = _taps(builder, places, weights, first, loop.index)
        row = load(builder, ring, builder.add(begin, column), ir.VectorType(ring.type.pointee, DOWN))
        row = row if ring.type.pointee == _LANE else builder.sext(row, kind)
        product = builder.mul(row, splat(builder, weight, DOWN))
        builder.store(builder.add(builder.load(total), product), total)
    sums = builder.ashr(builder.load(total), splat(builder, shift, DOWN))
    store(builder, _clamped(builder, sums), dst, to)


def _settled_block(builder: Any, data: list[Any], numbers: tuple[Any, ...]) -> None:
    """Add products of two rows at once, and drop `shift` places, ties to even.

    Bringing two rows side by side leaves the lower values of each 16 bytes in one vector and the upper ones in another;
    packing undoes that.
    """
    if not SHUFFLES:  # as above
        return
    dst = data[1]
    column, to, first, taps, shift = numbers
    shift = builder.trunc(shift, _LANE)
    sums = [cgutils.alloca_once(builder, _LANES) for _ in range(4)]
    for total, product in zip(sums, _products(builder, data, (column, first, _COUNT(0))), strict=True):
        builder.store(product, total)
    with cgutils.for_range(builder, builder.lshr(taps, _COUNT(1)), _COUNT(1)) as loop:
        for total, product in zip(sums, _products(builder, data, (column, first, loop.index)), strict=True):
            builder.store(builder.add(builder.load(total), product), total)
    ended = [_nearest(builder, builder.load(total), shift) for total in sums]
    low, high = (_avx2(builder, "packssdw", _HALVES, *two) for two in (ended[:2], ended[2:]))
    packed = builder.bitcast(_avx2(builder, "packuswb", _BYTES, low, high), ir.VectorType(_COUNT, 4))
    packed = builder.shuffle_vector(packed, packed, ir.Constant(ir.VectorType(_LANE, 4), [0, 2, 1, 3]))
    store(builder, builder.bitcast(packed, _BYTES), dst, to)


def _nearest(builder: Any, sums: Any, shift: Any) -> Any:
    """Drop `shift` places, ties to even: half a unit is added, but one less if the unit's last bit is zero."""
    one = builder.shl(_LANE(1), shift)
    is_even = builder.icmp_signed("==", builder.and_(sums, splat(builder, one, 8)), ir.Constant(_LANES, None))
    sums = builder.add(sums, splat(builder, builder.lshr(one, _LANE(1)), 8))
    return builder.ashr(builder.add(sums, builder.sext(is_even, _LANES)), splat(builder, shift, 8))


def _products(builder: Any, data: list[Any], numbers: tuple[Any, Any, Any]) -> list[Any]:
    """Multiply and add a pair of rows: four vectors of 32-bit numbers, for `DOWN` values."""
    ring, _, places, weights = data
    column, first, pair = numbers
    number = builder.add(first, builder.shl(pair, _COUNT(1)))
    at = [builder.load(builder.gep(places, [builder.add(number, _COUNT(k))])) for k in (0, 1)]
    weight = builder.load(builder.gep(weights, [builder.lshr(number, _COUNT(1))]))
    factor, made = builder.bitcast(splat(builder, weight, 8), _HALVES), []
    for begin in (0, DOWN // 2):
        rows = [load(builder, ring, builder.add(place, builder.add(column, _COUNT(begin))), _HALVES) for place in at]
        for half in (0, 4):
            order = [lane + half + j + 16 * row for lane in (0, 8) for j in range(4) for row in (0, 1)]
            both = builder.shuffle_vector(*rows, ir.Constant(ir.VectorType(_LANE, 16), order))
            made.append(_avx2(builder, "pmadd.wd", _LANES, both, factor))
    return made


def _inlined(write: Callable[..., None], literal: Any) -> Any:
    def inlined(_context: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            write(builder, pointers(context, builder, data, args[0]), cgutils.unpack_tuple(builder, args[1]), literal)
            return context.get_dummy_value()

        return types.none(data, types.UniTuple(types.int64, len(numbers))), generate

    return intrinsic(inlined)


weigh_across = {pieces: _inlined(_weigh_across, pieces) for pieces in (1, 2, 4)}
"""``weigh_across[pieces](data, numbers)`` makes the sums along a row; a group of four outputs reads `pieces` pieces.

``data``: bytes, the ring (int16 or int32), where pieces begin in a row, masks of the shuffles, weights.
``numbers``: where the row begins, where the sums go, how many blocks of `ACROSS`, pairs of taps, the places to drop,
and what sums begin with.
"""
sum_down_high = _inlined(_sum_down, _high_block)
"""``sum_down_high(data, numbers)`` makes a row of bytes of rows of int16: ``(2 + sum(row * weight >> 16)) >> 2``.

``data``: the ring, the result, where the rows of taps begin in the ring, their weights (int32).
``numbers``: how many values, at least `DOWN`; the place of the result; the first tap; how many taps.
"""
sum_down_whole = _inlined(_sum_down, _whole_block)
"""``sum_down_whole(data, numbers)`` makes a row of bytes: ``(half + sum(row * weight)) >> shift``.

``numbers`` has the places to drop, `shift`, as its fifth.
"""
sum_down_settled = _inlined(_sum_down, _settled_block)
"""``sum_down_settled(data, numbers)`` makes a row of bytes of rows of int16, rounded to nearest, ties to even.

``data`` has the weights of two taps in each int32. `numbers` are those of `sum_down_whole`; the number of taps is even.
"""


def _halve(builder: Any, data: list[Any], numbers: list[Any], _literal: Any) -> None:
    """Load 16 bytes of two rows, bring the bytes of pairs side by side, add, round: eight means, two times a block."""
    if not SHUFFLES:  # as above
        return
    src, dst, mask = data
    row, distance, to, blocks, taken, made = numbers
    ones, two, zero = _constant(_BYTES, 1), _constant(_HALVES, 2), ir.Constant(_HALVES, None)
    order = load(builder, mask, _COUNT(0), _BYTES)
    whole = ir.Constant(ir.VectorType(_LANE, 32), list(range(32)))
    with cgutils.for_range(builder, blocks) as loop:
        twice = builder.shl(loop.index, _COUNT(1))
        totals = []
        for k in (0, 1):
            begin = builder.add(builder.add(row, distance) if k else row, builder.mul(twice, taken))
            halves = [
                load(builder, src, place, ir.VectorType(_BYTE, 16)) for place in (begin, builder.add(begin, taken))
            ]
            paired = _avx2(builder, "pshuf.b", _BYTES, builder.shuffle_vector(*halves, whole), order)
            totals.append(_avx2(builder, "pmadd.ub.sw", _HALVES, paired, ones))
        mean = builder.lshr(builder.add(builder.add(*totals), two), _constant(_HALVES, 2))
        packed = builder.bitcast(_avx2(builder, "packuswb", _BYTES, mean, zero), ir.VectorType(_COUNT, 4))
        place = builder.add(to, builder.mul(twice, made))
        for k in (0, 2):
            target = place if k == 0 else builder.add(place, made)
            store(builder, builder.extract_element(packed, _LANE(k)), dst, target)


halve = _inlined(_halve, None)
"""``halve(data, numbers)`` makes means of 2x2 cells, ties up: 2 times 8 bytes a block, the last of which may be excess.

``data``: source, result, and a mask that brings the two bytes of each pair side by side in each 16 bytes.
``numbers``: where the upper row begins, how far the lower one is from it, where the result begins, how many blocks, and
the bytes of the source and of the result that the next half of a block is away.
"""
