"""Vector code of `ordered_fused`: ordered sums in vectors, one output a lane; products and sums are not fused."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.engines.cpu.resize.uint8_fused_intrinsics import SHUFFLES
from upsample.engines.cpu.runtime.compile import pointers
from upsample.engines.cpu.runtime.llvm_values import load, splat, store

__all__ = ["ACROSS", "DOWN", "PERMUTES", "add_down", "halve_pixels", "weigh_across"]

ACROSS = 8
"""Values of a vector of `weigh_across`."""
DOWN = 32
"""Values of a block of `add_down`."""
PERMUTES = SHUFFLES
"""Whether the processor permutes the lanes of eight floats."""

_COUNT, _LANE, _FLOAT = ir.IntType(64), ir.IntType(32), ir.FloatType()
_LANES, _FLOATS = ir.VectorType(_LANE, ACROSS), ir.VectorType(_FLOAT, ACROSS)


def _begin(builder: Any, begins: Any, place: Any, row: Any) -> Any:
    return builder.add(row, builder.zext(builder.load(builder.gep(begins, [place])), _COUNT))


def _values(builder: Any, data: list[Any], row: Any, step: Any, pieces: int) -> Any:
    """Load the inputs of a tap of eight outputs; an output without the tap gets zero."""
    src, begins, order, _ = data
    first = builder.mul(step, _COUNT(pieces))
    places = [_begin(builder, begins, builder.add(first, _COUNT(k)), row) for k in range(pieces)]
    if pieces == ACROSS:
        value = ir.Constant(_FLOATS, ir.Undefined)
        for k, place in enumerate(places):
            value = builder.insert_element(value, builder.load(builder.gep(src, [place])), _LANE(k))
        return value  # a begin of an output without the tap is where the source has zeros
    kind = ir.VectorType(_FLOAT, ACROSS // pieces)
    parts = [load(builder, src, place, kind) for place in places]
    value = parts[0]
    if pieces == 2:
        value = builder.shuffle_vector(*parts, ir.Constant(_LANES, list(range(ACROSS))))
    numbers = load(builder, order, builder.mul(step, _COUNT(ACROSS)), _LANES)
    kind = ir.FunctionType(_FLOATS, (_FLOATS, _LANES))
    permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.permps")
    has = builder.icmp_signed(">=", numbers, ir.Constant(_LANES, None))
    return builder.select(has, builder.call(permute, (value, numbers)), ir.Constant(_FLOATS, None))


def _weigh_values(builder: Any, data: list[Any], ring: Any, numbers: list[Any], pieces: int) -> None:
    row, to, blocks, taps = numbers
    with cgutils.for_range(builder, blocks) as block:
        total = cgutils.alloca_once(builder, _FLOATS)
        builder.store(ir.Constant(_FLOATS, None), total)
        with cgutils.for_range(builder, taps) as tap:
            step = builder.add(builder.mul(block.index, taps), tap.index)
            value = _values(builder, data, row, step, pieces)
            weight = load(builder, data[3], builder.mul(step, _COUNT(ACROSS)), _FLOATS)
            builder.store(builder.fadd(builder.load(total), builder.fmul(value, weight)), total)
        store(builder, builder.load(total), ring, builder.add(to, builder.mul(block.index, _COUNT(ACROSS))))


def _weigh_pixels(builder: Any, data: list[Any], ring: Any, numbers: list[Any], inner: int) -> None:
    """Make two pixels at once; of three values each, a fourth one is stored, which the next pixel overwrites."""
    src, begins, _, weights = data
    row, to, blocks, taps = numbers
    four = ir.VectorType(_FLOAT, 4)
    both = ir.Constant(_LANES, list(range(ACROSS)))
    with cgutils.for_range(builder, blocks) as block:
        total = cgutils.alloca_once(builder, _FLOATS)
        builder.store(ir.Constant(_FLOATS, None), total)
        with cgutils.for_range(builder, taps) as tap:
            first = builder.shl(builder.add(builder.mul(block.index, taps), tap.index), _COUNT(1))
            pair, factors = [], []
            for k in (0, 1):
                number = builder.add(first, _COUNT(k))
                pair.append(load(builder, src, _begin(builder, begins, number, row), four))
                factors.append(splat(builder, builder.load(builder.gep(weights, [number])), 4))
            value, weight = (builder.shuffle_vector(*halves, both) for halves in (pair, factors))
            builder.store(builder.fadd(builder.load(total), builder.fmul(value, weight)), total)
        place = builder.add(to, builder.mul(block.index, _COUNT(2 * inner)))
        for k in (0, 1):
            half = ir.Constant(ir.VectorType(_LANE, 4), [4 * k + j for j in range(4)])
            sums = builder.load(total)
            store(builder, builder.shuffle_vector(sums, sums, half), ring, builder.add(place, _COUNT(k * inner)))


def _settled(builder: Any, sums: Any, limits: Any, target: Any) -> Any:
    """Scale sums; round those of integers, ties to even or up, and clamp them."""
    lanes, kind = sums.type.count, sums.type.element
    low, high, scale, ties = (splat(builder, builder.load(builder.gep(limits, [_COUNT(k)])), lanes) for k in range(4))
    sums = builder.fmul(sums, scale)
    if not isinstance(target, ir.IntType):
        narrower = isinstance(kind, ir.DoubleType) and isinstance(target, ir.FloatType)
        return builder.fptrunc(sums, ir.VectorType(target, lanes)) if narrower else sums
    name = f"v{lanes}f{64 if isinstance(kind, ir.DoubleType) else 32}"
    rint, floor = (
        cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(sums.type, (sums.type,)), f"llvm.{operation}.{name}"
        )
        for operation in ("rint", "floor")
    )
    half, up = ir.Constant(sums.type, [0.5] * lanes), ir.Constant(sums.type, [2.0] * lanes)
    even, upward = builder.call(rint, (sums,)), builder.call(floor, (builder.fadd(sums, half),))
    whole = builder.select(builder.fcmp_ordered("==", ties, up), upward, even)
    whole = builder.select(builder.fcmp_ordered("<", whole, low), low, whole)
    whole = builder.select(builder.fcmp_ordered(">", whole, high), high, whole)
    return builder.trunc(builder.fptosi(whole, ir.VectorType(_LANE, lanes)), ir.VectorType(target, lanes))


def _add_down(builder: Any, data: list[Any], numbers: list[Any]) -> None:
    ring, dst, places, weights, limits = data
    n, to, first, taps = numbers
    kind = weights.type.pointee
    sums, rows = ir.VectorType(kind, DOWN), ir.VectorType(ring.type.pointee, DOWN)
    count = builder.udiv(builder.add(n, _COUNT(DOWN - 1)), _COUNT(DOWN))
    with cgutils.for_range(builder, count) as block:
        column, last = builder.mul(block.index, _COUNT(DOWN)), builder.sub(n, _COUNT(DOWN))
        column = builder.select(builder.icmp_signed("<", column, last), column, last)
        total = cgutils.alloca_once(builder, sums)
        builder.store(ir.Constant(sums, None), total)
        with cgutils.for_range(builder, taps) as tap:
            number = builder.add(first, tap.index)
            begin = builder.load(builder.gep(places, [number]))
            row = load(builder, ring, builder.add(begin, column), rows)
            row = row if rows.element == kind else builder.fpext(row, sums)
            weight = splat(builder, builder.load(builder.gep(weights, [number])), DOWN)
            builder.store(builder.fadd(builder.load(total), builder.fmul(row, weight)), total)
        made = _settled(builder, builder.load(total), limits, dst.type.pointee)
        store(builder, made, dst, builder.add(to, column))


@intrinsic  # type: ignore[untyped-decorator]
def weigh_across(_context: Any, data: Any, ring: Any, numbers: Any) -> Any:
    """Make sums along a row of float32; other dtypes have no vectors.

    `data` is the row, where loads begin in it, the order of the values that they bring (negative: no tap), and weights.
    `numbers` is how many loads bring the inputs of a vector (1, 2, 8), or the values of a pixel if a vector has two
    (3, 4), or 0 to do nothing; where the row begins; where the sums go; how many vectors; how many taps.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = context.make_array(ring)(context, builder, args[1]).data
        source = pointers(context, builder, data, args[0])
        if PERMUTES and source[0].type.pointee == target.type.pointee == _FLOAT:
            how, *others = cgutils.unpack_tuple(builder, args[2])
            for kind in (1, 2, ACROSS, 3, 4):
                write = _weigh_pixels if kind in (3, 4) else _weigh_values
                with builder.if_then(builder.icmp_signed("==", how, _COUNT(kind))):
                    write(builder, source, target, others, kind)
        return context.get_dummy_value()

    return types.none(data, ring, types.UniTuple(types.int64, len(numbers))), generate


@intrinsic  # type: ignore[untyped-decorator]
def add_down(_context: Any, data: Any, numbers: Any) -> Any:
    """Add the rows of the ring that an output row is made of.

    `data` is the ring, the result, where rows begin in the ring, their weights, and
    ``[low, high, scale, ties]``: 0 for floats, 1 to even, 2 up.
    `numbers` is how many values, at least `DOWN`; the place of the result; the first tap; how many taps.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _add_down(builder, pointers(context, builder, data, args[0]), cgutils.unpack_tuple(builder, args[1]))
        return context.get_dummy_value()

    return types.none(data, types.UniTuple(types.int64, len(numbers))), generate


@intrinsic  # type: ignore[untyped-decorator]
def halve_pixels(_context: Any, data: Any, numbers: Any) -> Any:
    """Average cells of 2x2 pixels of four values, or of three, of which a fourth value is stored in excess.

    `data` is the source, the result, and the scale of floats. `numbers` is where the upper row begins, where the lower
    one does, where the result begins, how many pixels, the values of a pixel, and the ties of integers.
    """
    unsigned = not getattr(data.types[0].dtype, "signed", True)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        src, dst, scales = pointers(context, builder, data, args[0])
        upper, lower, to, count, inner, ties = cgutils.unpack_tuple(builder, args[1])
        value, lanes = ir.VectorType(src.type.pointee, 4), ir.VectorType(_LANE, 4)
        is_integer = isinstance(value.element, ir.IntType)
        scale = None if is_integer else splat(builder, builder.load(scales), 4)
        up = builder.icmp_signed("==", ties, _COUNT(2))
        with cgutils.for_range(builder, count) as loop:
            place = builder.mul(loop.index, inner)
            twice = builder.shl(place, _COUNT(1))
            rows = []
            for row in (upper, lower):
                begin = builder.add(row, twice)
                pair = [load(builder, src, begin, value), load(builder, src, builder.add(begin, inner), value)]
                if is_integer:
                    pair = [(builder.zext if unsigned else builder.sext)(each, lanes) for each in pair]
                rows.append((builder.add if is_integer else builder.fadd)(*pair))
            if is_integer:
                total, one = builder.add(*rows), ir.Constant(lanes, [1] * 4)
                two = ir.Constant(lanes, [2] * 4)
                even = builder.add(one, builder.and_(builder.ashr(total, two), one))
                total = builder.ashr(builder.add(total, builder.select(up, two, even)), two)
                made = builder.trunc(total, value)
            else:
                total = builder.fadd(builder.fadd(*rows), ir.Constant(value, [0.0] * 4))
                made = builder.fmul(total, scale)
            store(builder, made, dst, builder.add(to, place))
        return context.get_dummy_value()

    return types.none(data, types.UniTuple(types.int64, len(numbers))), generate
