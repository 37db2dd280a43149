"""Means of whole cells: of bytes by any factors, of other dtypes by two.

Sums of bytes are integers: down the columns, then along the row, and rounded once.

The order of integer sums does not show, so that vectors of neighboring columns are added first.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from upsample.caches import cached
from upsample.engines.cpu.resize.ordered_intrinsics import halve_pixels
from upsample.engines.cpu.resize.row_jobs import RowJobs
from upsample.engines.cpu.resize.uint8_fused_intrinsics import SHUFFLES, halve
from upsample.engines.cpu.runtime.compile import inlined, kernel, part
from upsample.plans.arithmetic import Ties
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.plans.taps import taps

__all__ = ["average_cells", "halve_cells", "plan_cells"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_HALVED = ("uint16", "int16", "float32", "float64")
_JOB = 1 << 19
"""Bytes of a job's input, about: some ten microseconds."""
_LARGEST = 257
"""Largest factor: sums of a column fit 16 bits."""


@kernel
def halve_cells(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, mask: _Array, scale: float) -> None:
    """Average cells of 2x2, ties up; the values after a block overwrite what it stores in excess."""
    n, row_bytes, inner, in_rows, out_rows = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    blocks, taken, made = sizes[5], sizes[6], sizes[7]
    data = (src, dst, mask)
    for place in range(begin, end):
        s, d = (place // out_rows * in_rows + 2 * (place % out_rows)) * row_bytes, place * n
        halve(data, (s, row_bytes, d, blocks, taken, made))
        for j in range(2 * blocks * made, n):
            x = s + j // inner * 2 * inner + j % inner
            y = x + row_bytes
            total = np.uint32(src[_U(x)]) + src[_U(x + inner)] + src[_U(y)] + src[_U(y + inner)]
            dst[_U(d + j)] = (total + 2) >> 2


@kernel
def halve_values(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, mask: _Array, scale: float) -> None:
    """Average cells of 2x2 of any dtype but bytes, in the order of `ordered`: along rows, then down."""
    n, row_bytes, inner, in_rows, out_rows, ties = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[10]
    factor, width = mask.dtype.type(scale), n // inner
    scales = np.full(1, factor, dtype=mask.dtype)
    data = (src, dst, scales)
    for place in range(begin, end):
        s, d = (place // out_rows * in_rows + 2 * (place % out_rows)) * row_bytes, place * n
        whole = 0
        if inner == 3 or inner == 4:  # the last pixel apart: what is stored behind it may be another thread's
            whole = width - 1
            halve_pixels(data, (s, s + row_bytes, d, whole, inner, ties))
        if inner == 1 and ties == 0:  # loops of their own, which LLVM makes vectors of because it knows the step
            for j in range(_U(n)):
                dst[_U(d) + j] = _four(src, _U(s) + j + j, _U(row_bytes), _U(1), factor) * factor
        elif inner == 1:
            for j in range(_U(n)):
                total = np.int32(_four(src, _U(s) + j + j, _U(row_bytes), _U(1), factor))
                dst[_U(d) + j] = _quarter(total, ties)
        else:
            for c in range(inner):
                first, to = s + 2 * whole * inner + c, d + whole * inner + c
                counts = (_U(width - whole), _U(inner))
                _halve_channel(src, _U(first), _U(row_bytes), dst, _U(to), counts, ties, factor)


@inlined
def _halve_channel(
    src: _Array, x: int, below: int, dst: _Array, d: int, counts: tuple[int, int], ties: int, factor: Any
) -> None:
    """Average the cells of one channel, `counts[0]` of them, `counts[1]` values apart."""
    width, step = counts
    if ties == 0:
        for j in range(width):
            dst[d + j * step] = _four(src, x + (j + j) * step, below, step, factor) * factor
    else:
        for j in range(width):
            total = np.int32(_four(src, x + (j + j) * step, below, step, factor))
            dst[d + j * step] = _quarter(total, ties)


@inlined
def _quarter(total: Any, ties: int) -> Any:
    """Return a fourth, rounded, ties to even (1) or up (2)."""
    return (total + (np.int32(2) if ties == 2 else np.int32(1) + ((total >> 2) & np.int32(1)))) >> 2


@inlined
def _four(src: _Array, x: int, below: int, step: int, factor: Any) -> Any:
    """Add the samples of a cell in the dtype of `factor`; the last zero turns -0 into +0."""
    kind, y = type(factor), x + below
    return (kind(src[x]) + kind(src[x + step])) + (kind(src[y]) + kind(src[y + step])) + kind(0)


@part
def _add_values(columns: _Array, cells: _Array, n: int, wide: int) -> None:
    """Add neighbors; LLVM loads two, three or four interleaved rows as vectors if it knows how many."""
    if wide == 2:
        for j in range(_U(n)):
            cells[j] = np.int32(columns[j + j]) + columns[j + j + _U(1)]
    elif wide == 3:
        for j in range(_U(n)):
            x = _U(3) * j
            cells[j] = np.int32(columns[x]) + columns[x + _U(1)] + columns[x + _U(2)]
    elif wide == 4:
        for j in range(_U(n)):
            x = _U(4) * j
            low, up = np.int32(columns[x]) + columns[x + _U(1)], np.int32(columns[x + _U(2)]) + columns[x + _U(3)]
            cells[j] = low + up
    else:
        _add_pixels(columns, cells, n, 1, wide)


@part
def _add_pixels(columns: _Array, cells: _Array, width: int, inner: int, wide: int) -> None:
    """Add neighboring pixels, one channel after the other."""
    step, apart = _U(inner), _U(wide * inner)
    for c in range(_U(inner)):
        x, e = c, c
        for _ in range(width):
            total = np.int32(columns[x]) + columns[x + step]
            for k in range(_U(2), _U(wide)):
                total += columns[x + k * step]
            cells[e] = total
            x += apart
            e += step


@kernel
def average_cells(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, sums: _Array, scale: float) -> None:
    """Average cells of any size; `sums` has a row of sums down the columns, and one of sums of cells."""
    n, row_bytes, inner, in_rows, out_rows, high, wide = (
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        sizes[4],
        sizes[8],
        sizes[9],
    )
    used, width, factor = n * wide, n // inner, np.float32(scale)
    columns, cells = np.zeros(used, dtype=np.uint16), np.empty(n, dtype=np.int32)
    for place in range(begin, end):
        s, d = _U((place // out_rows * in_rows + high * (place % out_rows)) * row_bytes), _U(place * n)
        for j in range(used):
            columns[_U(j)] = src[s + _U(j)]
        for _ in range(1, high):
            s += _U(row_bytes)
            for j in range(used):
                columns[_U(j)] += src[s + _U(j)]
        if inner == 1:
            _add_values(columns, cells, n, wide)
        else:
            _add_pixels(columns, cells, width, inner, wide)
        for j in range(n):
            dst[d + _U(j)] = np.uint8(np.rint(np.float32(cells[_U(j)]) * factor))


def _cells(rule: AxisRule) -> tuple[int, float] | None:
    """Return the samples of each output and their weight, where cells are whole and follow each other."""
    table = taps(rule)
    size, weight = int(table.count[0]), float(table.weight[0, 0])
    follow = (table.count == size).all() and (table.first == np.arange(rule.out_size) * size).all()
    return (size, weight) if size and follow and (table.weight[:, :size] == weight).all() else None


@cached
def plan_cells(plan: ResizePlan, shape: tuple[int, ...], dtype: str) -> RowJobs | None:
    """Lay out a call, or return None where other kernels are for it."""
    result, arithmetic = plan.out_shape(shape), plan.arithmetic
    if len(plan.axes) != 2 or plan.axes[1] != plan.axes[0] + 1 or 0 in result or arithmetic.sums == "fixed":
        return None
    if arithmetic.each_axis or arithmetic.grain or not all(rule.table and not rule.transposed for rule in plan.rules):
        return None
    if arithmetic.ordered == (dtype == "uint8") or (dtype != "uint8" and plan.order != plan.axes[::-1]):
        return None
    found = [_cells(rule) for rule in plan.rules]
    if found[0] is None or found[1] is None:
        return None
    (high, down), (wide, across) = found[0], found[1]
    inner, last = math.prod(shape[plan.axes[1] + 1 :]), plan.rules[1]
    n, row_bytes, in_rows = last.out_size * inner, last.in_size * inner, plan.rules[0].in_size
    made = 6 if inner == 3 else 8
    blocks = max(0, (n - 8 - made) // (2 * made) + 1)
    ties = {Ties.EVEN: 1, Ties.UP: 2}.get(arithmetic.ties, 3) if "int" in dtype else 0
    sizes = np.asarray([n, row_bytes, inner, in_rows, plan.rules[0].out_size, blocks, 2 * made, made, high, wide, ties])
    total = math.prod(result[: plan.axes[1]])
    step = min(max(1, _JOB // (high * row_bytes * np.dtype(dtype).itemsize)), total)
    if dtype != "uint8":
        is_half = dtype in _HALVED and (high, wide, down, across) == (2, 2, 1.0, 1.0) and ties < 3
        if not is_half or (ties and arithmetic.scale != 0.25) or (not ties and dtype != arithmetic.sums):
            return None
        like = np.empty(0, "int32" if ties else dtype)
        return RowJobs(halve_values, result, total, step, None, (sizes, like, arithmetic.scale))
    halves = (high, wide, down, across) == (2, 2, 0.5, 0.5) and arithmetic.ties is Ties.UP and arithmetic.scale == 1.0
    if halves and inner in (1, 3, 4) and SHUFFLES:
        first = np.asarray([j // inner * 2 * inner + j % inner for j in range(8)])
        mask = np.stack([first, first + inner], axis=1).reshape(-1)
        mask = np.where(np.arange(16) < 2 * made, mask, 0x80).astype(np.uint8)
        return RowJobs(halve_cells, result, total, step, None, (sizes, np.tile(mask, 2), 1.0))
    if (down, across) == (1.0, 1.0) and arithmetic.ties is Ties.EVEN and high <= _LARGEST and wide > 1:
        return RowJobs(average_cells, result, total, step, None, (sizes, np.empty(0, np.uint8), arithmetic.scale))
    return None
