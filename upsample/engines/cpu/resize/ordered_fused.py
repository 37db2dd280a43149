"""Fused kernel of ordered sums: rows into a ring buffer, columns from it; the bits are those of `ordered`.

Every lane of a vector is one output, whose products are added in the order of its taps. A row is first converted to the
dtype of sums; zeros follow it, which outputs of fewer taps than others read instead. A row of that dtype is read in
place, without zeros. The outputs that do not fit the vectors, which are a few at the border, are made one by one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from upsample.caches import cached
from upsample.engines.cpu.resize.ordered_intrinsics import ACROSS, DOWN, PERMUTES, add_down, weigh_across
from upsample.engines.cpu.resize.row_jobs import RowJobs
from upsample.engines.cpu.resize.taps import Listed, listed
from upsample.engines.cpu.runtime.compile import kernel
from upsample.plans.arithmetic import Ties, bounds
from upsample.plans.resize import ResizePlan

__all__ = ["is_exact", "ordered_rows", "plan_ordered"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_DTYPES = ("uint8", "int8", "uint16", "int16", "float32", "float64")
_TIES = (Ties.EVEN, Ties.UP)
_JOBS = (1 << 16, 1 << 19)
"""Products of a job, least and most, about: ten to a hundred microseconds; in between, an eighth of all."""
_EXACT = 52
"""Binary places in which sums of float64 are exact, of weights that add up to no more than 2."""
_ROWS = 8
"""Rows of a job at least, because neighboring jobs filter the rows between them twice."""
_RING_BYTES = 1 << 21
"""Largest ring of rows, in bytes."""
_ZEROS = 16
"""Zeros after a row; as many values may be loaded behind its last one."""
_EDGES = 8
"""Outputs of a row that may have more taps than its vectors: the border adds taps of weight zero to a few outputs."""
_SHORT = 64
"""Outputs of a row below which all are in the vectors."""


@kernel
def ordered_rows(
    src: _Array,
    dst: _Array,
    begin: int,
    end: int,
    ring: _Array,
    sizes: _Array,
    begins: _Array,
    order: _Array,
    factors: _Array,
    edges: _Array,
    count: _Array,
    index: _Array,
    weight: _Array,
    low: _Array,
    high: _Array,
    places: _Array,
    taps: _Array,
    down: _Array,
    limits: _Array,
) -> None:
    """Make the rows ``[begin, end)`` of the result, counted through all planes."""
    in_rows, out_rows, n_in, n, inner = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    how, blocks, longest, stride, slots, most = sizes[5], sizes[6], sizes[7], sizes[8], sizes[9], sizes[10]
    kind, in_place = down.dtype.type, sizes[11] == 1
    row = np.zeros(0 if in_place else n_in + _ZEROS, dtype=down.dtype)
    across = (ring, dst, places, down, limits)
    plane, ready = -1, 0
    for place in range(begin, end):
        output = place % out_rows
        if place // out_rows != plane:
            plane, ready = place // out_rows, 0
        for line in range(max(ready, low[output]), high[output] + 1):
            s, to = _U((plane * in_rows + line) * n_in), line % slots * stride
            if in_place:
                weigh_across((src, begins, order, factors), ring, (how, np.int64(s), to, blocks, longest))
                for o in edges:
                    for c in range(inner):
                        total = kind(0)
                        for t in range(count[o]):
                            total += kind(src[s + _U(index[o, t] * inner + c)]) * weight[o, t]
                        ring[_U(to + o * inner + c)] = total
                continue
            for j in range(_U(n_in)):
                row[j] = src[s + j]
            weigh_across((row, begins, order, factors), ring, (how, 0, to, blocks, longest))
            for o in edges:
                for c in range(inner):
                    total = kind(0)
                    for t in range(count[o]):
                        total += row[_U(index[o, t] * inner + c)] * weight[o, t]
                    ring[_U(to + o * inner + c)] = total
        ready = max(ready, high[output] + 1)
        first, d = output * most, place * n
        if n >= DOWN:
            add_down(across, (n, d, first, np.int64(taps[output])))
            continue
        for j in range(n):
            total = kind(0)
            for t in range(first, first + taps[output]):
                total += kind(ring[_U(places[t] + j)]) * down[t]
            total *= limits[2]
            if limits[3] == 2.0:
                total = min(max(np.floor(total + kind(0.5)), limits[0]), limits[1])
            elif limits[3] == 1.0:
                total = min(max(np.rint(total), limits[0]), limits[1])
            dst[_U(d + j)] = dst.dtype.type(total)


def is_exact(plan: ResizePlan, dtype: str) -> bool:
    """Whether sums of 16-bit integers by weights of few binary places are exact, so that their order does not show."""
    arithmetic, bits = plan.arithmetic, [rule.bits for rule in plan.rules]
    if dtype not in ("int8", "int16", "uint16") or arithmetic.sums != "float64" or arithmetic.grain:
        return False
    return all(bits) and not arithmetic.each_axis and sum(bits) + 16 < _EXACT


def _suits(plan: ResizePlan, dtype: str) -> bool:
    """Whether rows are filtered before columns, and only the last sums of integers are rounded, ties to even."""
    arithmetic, turns = plan.arithmetic, plan.active_rules()
    if (
        not (arithmetic.ordered or is_exact(plan, dtype))
        or dtype not in _DTYPES
        or len(turns) != 2
        or turns[0][0] != turns[1][0] + 1
    ):
        return False
    return "float" in dtype or (not arithmetic.each_axis and arithmetic.ties in _TIES)


@cached
def plan_ordered(plan: ResizePlan, shape: tuple[int, ...], dtype: str) -> RowJobs | None:
    """Lay out a call, or return None where `ordered` is for it."""
    if not _suits(plan, dtype):
        return None
    result, arithmetic = plan.out_shape(shape), plan.arithmetic
    (left, across), (top, down) = plan.active_rules()
    inner = math.prod(shape[left + 1 :])
    if 0 in result or across.transposed or down.transposed:
        return None
    rows, columns = listed(across, arithmetic.sums), listed(down, arithmetic.sums)
    used = np.arange(columns.index.shape[1]) < columns.count[:, None]
    low = np.where(used, columns.index, down.in_size).min(axis=1).astype(np.int64)
    high = np.where(used, columns.index, -1).max(axis=1).astype(np.int64)
    if not columns.count.all() or (np.diff(low) < 0).any() or (np.diff(high) < 0).any():
        return None
    n, n_in, slots = across.out_size * inner, across.in_size * inner, int((high - low).max()) + 1
    stride = n + 2 * ACROSS
    between = dtype if arithmetic.each_axis else arithmetic.sums
    if slots * stride * np.dtype(between).itemsize > _RING_BYTES:
        return None
    vectors = None
    if arithmetic.sums == between == "float32" and PERMUTES and inner <= 4:
        vectors = _vectors(rows, inner, n_in, dtype == "float32")
        if vectors.in_place and len(vectors.edges) > 2 * _EDGES:
            vectors = _vectors(rows, inner, n_in, False)
    if vectors is None:
        vectors = _Vectors(0, 0, 0, False, _NO_BEGINS, _NO_ORDER, _NO_WEIGHTS, np.arange(len(rows.count)))
    edges = (0.0, 0.0, arithmetic.scale, 0.0)
    if "int" in dtype:
        edges = (*bounds(dtype), arithmetic.scale, 1.0 + _TIES.index(arithmetic.ties))
    sizes = [down.in_size, down.out_size, n_in, n, inner, vectors.how, vectors.blocks, vectors.taps, stride, slots]
    places = np.where(used, columns.index.astype(np.int64) % slots * stride, 0).reshape(-1)
    tables = (
        np.asarray([*sizes, columns.index.shape[1], vectors.in_place]),
        *(vectors.begins, vectors.order, vectors.weights, vectors.edges),
        *(rows.count, rows.index, rows.weight, low, high),
        *(places, columns.count, columns.weight.reshape(-1), np.asarray(edges, arithmetic.sums)),
    )
    total = math.prod(shape[:top]) * down.out_size
    products = rows.index.shape[1] * n * max(1, down.in_size // down.out_size) + columns.index.shape[1] * n
    least, most = _JOBS
    step = max(_ROWS, min(most // products, max(least // products, total // 8)))
    return RowJobs(ordered_rows, result, total, min(total, step), (slots * stride, between), tables)


class _Vectors(NamedTuple):
    """How rows are filtered.

    Attributes
    ----------
    how : int
        1, 2 or 8 loads for the inputs of a vector; 3 or 4 values of a pixel; 0 for no vectors.
    blocks, taps : int
        Vectors of a row, and their taps.
    in_place : bool
        Whether the source is read, not a copy with zeros behind it.
    begins, order, weights : ndarray
        What `weigh_across` takes.
    edges : ndarray of int64
        Outputs that are made one by one.
    """

    how: int
    blocks: int
    taps: int
    in_place: bool
    begins: _Array
    order: _Array
    weights: _Array
    edges: _Array


_NO_BEGINS, _NO_ORDER, _NO_WEIGHTS = np.empty(0, np.uint32), np.empty(0, np.int32), np.empty(0, np.float32)


def _vectors(rows: Listed, inner: int, n_in: int, in_place: bool) -> _Vectors:
    """Lay out begins, orders and weights of vectors, and choose the outputs that are made one by one."""
    outputs = len(rows.count)
    taps = int(np.sort(rows.count)[-1 - _EDGES] if outputs >= _SHORT else rows.count.max())
    in_place = in_place and n_in >= ACROSS
    has = np.arange(taps) < rows.count[:, None]
    index, weight = rows.index[:, :taps], np.where(has, rows.weight[:, :taps], 0).astype(np.float32)
    is_edge = rows.count > taps
    if inner > 2:
        lacks = in_place & ((rows.count < taps) | (index.max(axis=1) * inner > n_in - 4))
        pixel = np.minimum(np.arange(-(-outputs // 2) * 2), outputs - 1)
        begin = np.where(has, index * inner, n_in)[pixel].reshape(-1, 2, taps).transpose(0, 2, 1)
        begin = _flat(np.minimum(begin, n_in - 4) if in_place else begin).astype(np.uint32)
        factors = _flat(weight[pixel].reshape(-1, 2, taps).transpose(0, 2, 1))
        return _ended(_Vectors(inner, len(pixel) // 2, taps, in_place, begin, _NO_ORDER, factors, is_edge | lacks))
    blocks = -(-outputs * inner // ACROSS)
    element = np.minimum(np.arange(blocks * ACROSS), outputs * inner - 1)
    pixel, channel = element // inner, element % inner
    at = (index[pixel] * inner + channel[:, None]).reshape(blocks, ACROSS, taps).transpose(0, 2, 1)
    own, factors = (a[pixel].reshape(blocks, ACROSS, taps).transpose(0, 2, 1) for a in (has, weight))
    for pieces in (1, 2):
        width = ACROSS // pieces
        split = at.reshape(blocks, taps, pieces, width)
        inside = own.reshape(split.shape)
        begin = np.where(inside, split, n_in).min(axis=3)
        begin = np.minimum(begin, n_in - width) if in_place else begin
        offset = split - begin[..., None]
        if np.where(inside, offset, 0).max() < width:
            order = _flat(np.where(inside, offset + np.arange(pieces)[:, None] * width, -1)).astype(np.int32)
            tables = _flat(begin).astype(np.uint32), order, _flat(factors)
            return _ended(_Vectors(pieces, blocks, taps, in_place, *tables, is_edge))
    begin = _flat(np.where(own, at, n_in - 1 if in_place else n_in)).astype(np.uint32)
    lacks = in_place & (rows.count < taps)
    return _ended(_Vectors(ACROSS, blocks, taps, in_place, begin, _NO_ORDER, _flat(factors), is_edge | lacks))


def _ended(made: _Vectors) -> _Vectors:
    """List the outputs that are marked as edges."""
    return made._replace(edges=np.flatnonzero(made.edges))


def _flat(table: _Array) -> _Array:
    return np.ascontiguousarray(table).reshape(-1)
