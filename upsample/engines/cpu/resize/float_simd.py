"""Filter rows of floats by vector permutes; `float_kernels` explains the box of a kernel.

Where nothing shrinks, as many neighbouring outputs as a vector has lanes are made of no more neighbouring inputs: a
tap of all of them is one load and one permutation, which a gather takes several times as long for. LLVM makes no
permutations of plain loops. Short rows that follow each other go as one long row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from upsample.caches import once_a_call
from upsample.engines.cpu.resize.taps import runs
from upsample.engines.cpu.runtime.compile import kernel, part, pointers
from upsample.engines.cpu.runtime.fma import fma, write_fma
from upsample.engines.cpu.runtime.machine import HAS_AVX2, HAS_AVX512
from upsample.plans.resize import AxisRule

__all__ = ["can", "chosen", "rows"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_PERMUTATIONS: dict[str, tuple[str, int]] = (
    {"float32": ("llvm.x86.avx512.permvar.sf.512", 16), "float64": ("llvm.x86.avx512.permvar.df.512", 8)}
    if HAS_AVX512
    else {"float32": ("llvm.x86.avx2.permps", 8)}
    if HAS_AVX2
    else {}
)
"""The instruction for a dtype, and how many lanes it has."""
_TOGETHER = 4
"""Rows that share each load of permutation indices and weights."""
_JOINT = 8
"""Most short rows that one vector may span."""
_SHORT = 256
"""Outputs of a row from which it is filtered alone."""

_COUNT = ir.IntType(64)


def _write(rows: int, builder: Any, dtype: Any, name: str, data: list[Any], numbers: list[Any]) -> Any:
    """Write the code that makes one vector in each of `rows` rows, and says whether all of it is finite."""
    src, dst, lanes, weight = data
    s, s_step, d, d_step, place, taps, inner = numbers
    kind, size = _PERMUTATIONS[name]
    item = np.dtype(name).itemsize
    numbers_of = ir.VectorType(ir.IntType(8 * item), size)
    vector = ir.VectorType(dtype, size)
    permute = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, (vector, numbers_of)), kind)

    def at(pointer: Any, offset: Any, of: Any) -> Any:
        return builder.bitcast(builder.gep(pointer, [offset]), of.as_pointer())

    first = builder.mul(place, _COUNT(size))
    lane = builder.load(at(lanes, first, numbers_of), align=item)
    factors = builder.mul(first, taps)

    def pairs(tap: Any) -> list[Any]:
        factor = builder.load(at(weight, builder.add(factors, builder.mul(tap, _COUNT(size))), vector), align=item)
        begin, found = builder.add(s, builder.mul(tap, inner)), []
        for m in range(rows):
            there = at(src, builder.add(begin, builder.mul(s_step, _COUNT(m))), vector)
            moved = builder.call(permute, (builder.load(there, align=item), lane))
            found.append((moved, factor))
        return found

    totals = [cgutils.alloca_once_value(builder, builder.fmul(*pair)) for pair in pairs(_COUNT(0))]
    with cgutils.for_range_slice(builder, _COUNT(1), taps, _COUNT(1)) as (tap, _):
        for total, pair in zip(totals, pairs(tap), strict=True):
            builder.store(write_fma(builder, pair[0], pair[1], builder.load(total)), total)
    zero = ir.Constant(vector, [0.0] * size)
    odd = zero
    for m, total in enumerate(totals):
        made = builder.fadd(builder.load(total), zero)
        builder.store(made, at(dst, builder.add(d, builder.mul(d_step, _COUNT(m))), vector), align=item)
        odd = write_fma(builder, made, zero, odd)
    bad = builder.fcmp_unordered("uno", odd, odd)
    return builder.zext(builder.bitcast(bad, ir.IntType(size)), _COUNT)


def _inlined(rows: int) -> Callable[..., Any]:
    @intrinsic  # type: ignore[untyped-decorator]
    def inlined(_context: Any, data: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found, dtype = pointers(context, builder, data, args[0]), data.types[0].dtype
            given = cgutils.unpack_tuple(builder, args[1])
            return _write(rows, builder, context.get_value_type(dtype), str(dtype), found, given)

        return types.int64(data, types.UniTuple(types.int64, len(numbers))), generate

    return inlined  # type: ignore[no-any-return]


_vector, _vectors = _inlined(1), _inlined(_TOGETHER)
"""``_vector(data, numbers)`` makes one vector of a row, `_vectors` one in each of several; 0 says that all is finite.

``data``: source, destination, lanes, weights, flat. ``numbers``: where the source begins and how far apart its rows
are, the same of the destination, which vector of the tables, how many taps, and how far apart these are.
"""


@part
def _exactly(
    src: _Array, s: int, dst: _Array, d: int, inner: int, count: _Array, index: _Array, weight: _Array, all_: bool
) -> None:
    """Make a row, or what is not finite in it, tap by tap: padded taps let NaN and infinity reach too much."""
    for e in range(len(count) * inner):
        o, i, to = e // inner, e % inner, d + _U(e)
        if all_ or dst[to] - dst[to] != 0:
            zero = src.dtype.type(0)
            total = src[s + _U(index[o, 0] * inner + i)] * weight[o, 0]
            for t in range(1, count[o]):
                total = fma(src[s + _U(index[o, t] * inner + i)], weight[o, t], total)
            dst[to] = total + zero if count[o] else zero


@kernel
def rows(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    count: _Array,
    index: _Array,
    exact: _Array,
    joint: int,
    begin: _Array,
    base: _Array,
    lanes: _Array,
    weight: _Array,
) -> None:
    """Filter rows, `joint` of which go as one; the last of them may be made twice."""
    sa, sb, _, da, db, _, size_b, inner = steps
    apart = size_b == 1
    total, s_row, d_row = (outer, sa, da) if apart else (size_b, sb, db)
    data, taps = (src, dst, lanes, weight), np.int64(len(weight) // len(lanes))
    for top in range(1 if apart else outer):
        s, d, row = s0 + top * sa, d0 + top * da, 0
        while row < total:
            odd, some = np.int64(total < joint), _TOGETHER * joint
            if total < joint:
                some = total
            elif row + some > total:
                row, some = min(row, total - joint), joint
            f, g = s + row * s_row, d + row * d_row
            for v in range(len(begin) if total >= joint else 0):
                place = (f + base[_U(v)], joint * s_row, g + begin[_U(v)], joint * d_row, v, taps, inner)
                odd |= _vector(data, place) if some == joint else _vectors(data, place)
            if odd:
                for m in range(some):
                    at = _U(f + m * s_row), _U(g + m * d_row)
                    _exactly(src, at[0], dst, at[1], inner, count, index, exact, total < joint)
            row += some


@once_a_call
def _tables(rule: AxisRule, dtype: str, inner: int, span: tuple[int, int], low: int, high: int, joint: int) -> Any:
    """Lay out `joint` rows as one: where vectors of outputs and their inputs begin, lanes, weights; or None.

    The last vector of outputs, and those of inputs, begin earlier, so that nothing beside the row is touched.
    """
    size, run = _PERMUTATIONS[dtype][1], runs(rule, dtype, inner, *span)
    taps, row = len(run.weight), (high - low) * inner
    most = low * inner + joint * row - size - (taps - 1) * inner
    first = (run.first.astype(np.int64) + np.arange(joint)[:, None] * row).reshape(-1)
    if len(first) < size or most < low * inner:
        return None
    begin = np.minimum(np.arange(0, len(first), size), len(first) - size)
    each = begin[:, None] + np.arange(size)
    base = np.minimum(first[each].min(axis=1), most)
    lanes = first[each] - base[:, None]
    if lanes.max() >= size:
        return None
    weight = np.tile(run.weight, joint)[:, each].transpose(1, 0, 2)
    kind = np.dtype(dtype).str.replace("f", "i")
    return begin, base, lanes.astype(kind).reshape(-1), np.ascontiguousarray(weight).reshape(-1)


def can(dtype: str) -> bool:
    """Say whether this processor permutes vectors of this dtype."""
    return dtype in _PERMUTATIONS


def chosen(
    rule: AxisRule, span: tuple[int, int], dtype: str, inner: int, source: tuple[int, int], whole: bool
) -> tuple[Callable[..., None], tuple[Any, ...]] | None:
    """Choose the kernel and its tables where it can; `whole` says that rows follow each other without a gap."""
    if not can(dtype):
        return None
    size, length = _PERMUTATIONS[dtype][1], (span[1] - span[0]) * inner
    most = _JOINT if whole and length < _SHORT else 1
    for joint in sorted(range(1, most + 1), key=lambda n: (-(-n * length // size) / n, n)):
        tables = _tables(rule, dtype, inner, span, *source, joint)
        if tables is not None:
            return rows, (joint, *tables)
    return None
