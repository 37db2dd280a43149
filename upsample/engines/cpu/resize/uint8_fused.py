"""Fused kernel for bytes whose weights have few binary places: rows into a ring buffer, columns from it, one rounding.

Which arithmetic it follows is the plan's: ``"high"`` (`upsample.plans.arithmetic.HIGH_HALVES`), exact sums that are
rounded once, ties up, or ``"fixed"`` (`BYTES`), whose rows are 16-bit numbers. Sums along a row are kept as int16 or
int32; nothing but the result is written to memory.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from upsample.caches import cached
from upsample.engines.cpu.resize.row_jobs import RowJobs
from upsample.engines.cpu.resize.uint8_fused_intrinsics import (
    ACROSS,
    DOWN,
    SHUFFLES,
    sum_down_high,
    sum_down_settled,
    sum_down_whole,
    weigh_across,
)
from upsample.engines.cpu.resize.uint8_fused_tables import Columns, Rows, columns_of, integers_of, paired, rows_of
from upsample.engines.cpu.runtime.compile import kernel
from upsample.plans.arithmetic import BYTES, Ties
from upsample.plans.resize import ResizePlan
from upsample.plans.taps import fixed_point, settling

__all__ = ["fused_bytes", "plan_fused"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64
_across_1, _across_2, _across_4 = (weigh_across[pieces] for pieces in (1, 2, 4))

_WHOLE, _HIGH, _SETTLED = range(3)
"""How columns are summed: by 32-bit products, by the high halves of 16-bit products, or by pairs of 16-bit numbers."""
_JOBS = (1 << 17, 1 << 18)
"""Values of a job, least and most, about: ten to a hundred microseconds; in between, an eighth of the result."""
_ROWS = 16
"""Rows of a job at least, because neighboring jobs filter the rows between them twice."""
_RING_BYTES = 1 << 19
"""Largest ring of rows, in bytes."""


@kernel
def fused_bytes(
    src: _Array,
    dst: _Array,
    begin: int,
    end: int,
    ring: _Array,
    sizes: _Array,
    begins: _Array,
    masks: _Array,
    factors: _Array,
    index: _Array,
    weight: _Array,
    low: _Array,
    high: _Array,
    places: _Array,
    down: _Array,
) -> None:
    """Make the rows ``[begin, end)`` of the result, counted through all planes.

    Loops along rows are inside the intrinsics: a call of a function for a row would count references of all arrays,
    which takes longer than a short row.
    """
    in_rows, out_rows, row_bytes, n = sizes[0], sizes[1], sizes[2], sizes[3]
    pieces, steps, dropped, stride, inner = sizes[4], sizes[5], sizes[6], sizes[7], sizes[8]
    kind, shift, slots, taps, start = sizes[9], sizes[10], sizes[11], sizes[12], sizes[13]
    along, across = (src, ring, begins, masks, factors), (ring, dst, places, down)
    blocks, plane, ready = stride // ACROSS, -1, 0
    for place in range(begin, end):
        output = place % out_rows
        if place // out_rows != plane:
            plane, ready = place // out_rows, 0
        for row in range(max(ready, low[output]), high[output] + 1):
            s, to = (plane * in_rows + row) * row_bytes, row % slots * stride
            if pieces == 1:
                _across_1(along, (s, to, blocks, steps, dropped, start))
            elif pieces == 2:
                _across_2(along, (s, to, blocks, steps, dropped, start))
            elif pieces == 4:
                _across_4(along, (s, to, blocks, steps, dropped, start))
            else:
                for o in range(len(index)):
                    for c in range(inner):
                        total = 0
                        for t in range(index.shape[1]):
                            total += src[_U(s + index[o, t] * inner + c)] * weight[o, t]
                        ring[_U(to + o * inner + c)] = total >> dropped
        ready = max(ready, high[output] + 1)
        first, d = output * taps, place * n
        if kind == _SETTLED:
            sum_down_settled(across, (n, d, first, taps, shift))
        elif n < DOWN:
            for j in range(n):
                total = 2 if kind == _HIGH else 1 << shift >> 1
                for t in range(first, first + taps):
                    product = np.int64(ring[_U(places[t] + j)]) * down[t]
                    total += product >> 16 if kind == _HIGH else product
                dst[_U(d + j)] = min(max(total >> (2 if kind == _HIGH else shift), 0), 255)
        elif kind == _HIGH:
            sum_down_high(across, (n, d, first, taps))
        else:
            sum_down_whole(across, (n, d, first, taps, shift))


def _suits(plan: ResizePlan) -> bool:
    """Whether the plan's arithmetic is one of this kernel's, of two axes that follow each other, rows first."""
    arithmetic = plan.arithmetic
    if len(plan.axes) != 2 or plan.axes[1] != plan.axes[0] + 1 or plan.order != plan.axes[::-1]:
        return False
    if arithmetic == BYTES:
        return SHUFFLES and all(rule.places is not None for rule in plan.rules)
    if not all(rule.bits and not rule.transposed for rule in plan.rules):
        return False
    if arithmetic.sums == "high":
        return True
    exact = arithmetic.sums in ("float32", "float64") and arithmetic.ties is Ties.UP
    return exact and not (arithmetic.each_axis or arithmetic.grain or arithmetic.ordered)


@cached
def plan_fused(plan: ResizePlan, shape: tuple[int, ...]) -> RowJobs | None:
    """Lay out a call on bytes of `shape`, or return None where other kernels are for it."""
    result = plan.out_shape(shape)
    if not _suits(plan) or not math.prod(result[plan.axes[0] :]):
        return None
    if plan.arithmetic == BYTES:
        return _settled(plan, shape, result)
    is_high, (down, across) = plan.arithmetic.sums == "high", plan.rules
    inner, (index, weight) = math.prod(shape[plan.axes[1] + 1 :]), integers_of(across, apart=False)
    columns = columns_of(*integers_of(down, apart=is_high))
    if columns is None or not (is_high or _fits(weight, columns.weight)):
        return None
    most = 255 * int(np.abs(weight).sum(axis=1).max())
    dtype = "int16" if is_high or most < 1 << 15 else "int32"
    rows = rows_of(index, weight, inner, across.in_size, dtype)
    if not is_high and not _fits_ring(columns, across.out_size * inner, dtype):
        return None
    ends = (across.bits - 7, 0, 0) if is_high else (0, 0, across.bits + down.bits)
    return _laid_out(plan, shape, result, _HIGH if is_high else _WHOLE, ends, rows, columns, dtype)


def _settled(plan: ResizePlan, shape: tuple[int, ...], result: tuple[int, ...]) -> RowJobs | None:
    """Lay out a call whose rows become 16-bit numbers, and whose columns are rounded to bytes, ties to even."""
    down, across = plan.rules
    inner = math.prod(shape[plan.axes[1] + 1 :])
    if across.out_size * inner < DOWN or any(fixed_point(rule).sums != "int32" for rule in plan.rules):
        return None
    columns = columns_of(*integers_of(down, apart=False))
    rows = rows_of(*integers_of(across, apart=False), inner, across.in_size, "int16")
    if columns is None or not rows.pieces or not _fits_ring(columns, across.out_size * inner, "int16"):
        return None
    pairs = paired(columns)
    dropped = settling(across) & 255
    ends = (dropped, 1 << dropped >> 1, settling(down) & 255)
    return None if pairs is None else _laid_out(plan, shape, result, _SETTLED, ends, rows, pairs, "int16")


def _fits_ring(columns: Columns, n: int, dtype: str) -> bool:
    """Whether the ring of rows of `n` values stays in the second-level cache."""
    return columns.slots * -(-n // DOWN) * DOWN * np.dtype(dtype).itemsize <= _RING_BYTES


def _laid_out(
    plan: ResizePlan,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    kind: int,
    ends: tuple[int, int, int],
    rows: Rows,
    columns: Columns,
    dtype: str,
) -> RowJobs:
    """Bring tables and sizes into the order of the kernel's arguments.

    `ends`: the places that rows drop, what is added to their sums before, and the places that columns drop.
    """
    (down, across), (dropped, start, shift) = plan.rules, ends
    inner = math.prod(shape[plan.axes[1] + 1 :])
    n = across.out_size * inner
    stride = -(-n // ACROSS) * ACROSS
    sizes = np.asarray(
        [
            down.in_size, down.out_size, across.in_size * inner, n, rows.pieces, rows.steps, dropped, stride, inner,
            kind, shift, columns.slots, columns.index.shape[1], start,
        ]
    )  # fmt: skip
    places = (columns.index % columns.slots * stride).astype(np.int64)
    along = rows.begins, rows.masks, rows.weights, rows.index, rows.weight
    tables = (sizes, *along, columns.low, columns.high, places.reshape(-1), columns.weight.reshape(-1))
    total = math.prod(shape[: plan.axes[0]]) * down.out_size
    least, most = _JOBS
    step = max(_ROWS, min(most // n, max(least // n, total // 8)))
    return RowJobs(fused_bytes, result, total, max(1, min(step, total)), (columns.slots * stride + DOWN, dtype), tables)


def _fits(across: _Array, down: _Array) -> bool:
    """Whether the sums of both axes fit 32 bits; sums on the way may wrap around, as the last one is right again."""
    first, second = ((np.maximum(w, 0).sum(axis=1).max(), np.maximum(-w, 0).sum(axis=1).max()) for w in (across, down))
    up, down_ = (int(first[0] * second[i] + first[1] * second[1 - i]) for i in (0, 1))
    return 2 * 255 * max(up, down_) < 1 << 32 and 255 * int(max(first)) < 1 << 31
