"""Resampling by the Array API alone.

An axis is filtered by matrix products with small dense blocks of its banded tap matrix: a whole-array ``take`` a tap
is five to ten times slower. Work goes tile by tile, so that temporaries stay in the cache. A matrix product spreads
NaN and infinity over its block (0 · NaN is NaN), so a tile whose result is not finite is done again tap by tap;
arrays that cannot be looked at or written into (JAX, Dask) go tap by tap from the start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from upsample import arrays
from upsample.arrays import Array, Table
from upsample.engines.portable.results import Target, deliver, empty, quiet, scalar
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.plans.taps import Taps, fixed_point, taps_between

__all__ = ["run"]

_Active: TypeAlias = list[tuple[int, AxisRule]]

_TILE_BYTES = 1 << 20
"""About half of a core's second-level cache: a tile, its filtered rows and its result fit together."""
_BAND = 32
"""Outputs a dense block: wide enough for the matrix product, narrow enough that few zeros are multiplied."""
_ONE_THREAD = 1 << 18
"""Products up to which OpenBLAS stays on one thread: waking others for a block costs more than they save."""
_FEW_ROWS = 4
"""Below so many rows a matrix product has too little to do a block, and gathering is faster."""
_LONG = 1 << 16
"""Outputs of an axis past which it is filtered by gathering: its dense blocks would outweigh the image."""
_DENSE = 64
"""Up to this many samples, in and out, an axis is one dense matrix."""


@quiet
def run(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    """Resample `x` as the plan says; fills and returns `out` where it is given."""
    shape = plan.out_shape(x.shape)
    if 0 in shape:
        return deliver(empty(xp, shape, x), out)
    active = [(a, r) for a, r in zip(plan.axes, plan.rules, strict=True) if not r.is_identity]
    if not active:
        return deliver(arrays.copied(xp, x) if out is None else x, out)
    if arrays.dtype_name(x) in arrays.COMPLEX and not plan.only_moves:
        real, imag = (_filtered(xp, part, active, None) for part in arrays.split_complex(xp, x))
        return deliver(arrays.join_complex(xp, real, imag, x.dtype), out)
    return _filtered(xp, x, active, out)


@dataclass(frozen=True, slots=True)
class _Canonical:
    """An array as (outer, first resized axis … last resized axis, inner), and its axes' rules.

    `inner` is left away where it is 1, so that the last axis is the contiguous one.
    """

    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    active: _Active


def _canonical(shape: tuple[int, ...], active: _Active) -> _Canonical:
    first, last = active[0][0], active[-1][0]
    middle = shape[first : last + 1]
    inner = math.prod(shape[last + 1 :])
    tail = (inner,) if inner > 1 else ()
    moved = [(axis - first + 1, rule) for axis, rule in active]
    sizes = [math.prod(shape[:first]), *middle, *tail]
    before = tuple(sizes)
    for axis, rule in moved:
        sizes[axis] = rule.out_size
    return _Canonical(before, tuple(sizes), moved)


def _filtered(xp: ModuleType, x: Array, active: _Active, out: Array | None) -> Array:
    layout = _canonical(x.shape, active)
    shape = list(x.shape)
    for axis, rule in active:
        shape[axis] = rule.out_size
    moves = all(rule.moves for _, rule in active)
    accumulator = x.dtype if moves else _accumulator(xp, x, active)
    kernel = _Kernel(xp, layout, accumulator, moves, saturate=not moves and arrays.dtype_name(x) == "uint8")
    source = xp.reshape(x, layout.shape)
    if not arrays.can_assign(xp, x):
        whole = kernel.tap_by_tap if arrays.library(xp) in ("jax", "dask") else kernel.filtered
        tile = whole(source, 0, layout.out_shape[1])
        return deliver(xp.reshape(arrays.astype(xp, tile, x.dtype), tuple(shape)), out)
    target = Target(xp, layout.out_shape, x, out)
    for planes, rows, tile in kernel.tiles(source):
        target.array[planes, rows, ...] = arrays.astype(xp, tile, x.dtype)
    return target.finished(tuple(shape))


def _accumulator(xp: ModuleType, x: Array, active: _Active) -> Any:
    """The dtype in which sums are made; for uint8 one in which they are exact, where there is one."""
    name = arrays.dtype_name(x)
    if name != "uint8":
        return getattr(xp, arrays.accumulator(name))
    return xp.float32 if all(fixed_point(rule).fits_float32 for _, rule in active) else arrays.double(xp)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """Filters tiles of one canonical array."""

    xp: ModuleType
    layout: _Canonical
    accumulator: Any
    moves: bool
    saturate: bool

    def tiles(self, source: Any) -> Iterator[tuple[slice, slice, Any]]:
        """Yield the planes and rows of the result that a tile fills, and the tile."""
        planes_step, rows_step = _tile_size(
            self.layout, arrays.itemsize(source) if self.moves else max(4, arrays.itemsize(source))
        )
        planes, rows = self.layout.out_shape[:2]
        for p in range(0, planes, planes_step):
            upto = min(p + planes_step, planes)
            part = source[p:upto, ...]
            for r in range(0, rows, rows_step):
                end = min(r + rows_step, rows)
                yield slice(p, upto), slice(r, end), self.filtered(part, r, end)

    def filtered(self, part: Any, begin: int, end: int) -> Any:
        """Filter planes to rows ``[begin, end)`` of the result."""
        if self.moves:
            return self.tap_by_tap(part, begin, end)
        low, part = self._cut(part, begin, end)
        tile = part
        for axis, rule in reversed(self.layout.active):
            if rule.copies:
                continue
            rows = (begin, end, low) if axis == 1 else (0, rule.out_size, 0)
            tile = self._round(self._multiply(tile, axis, rule, *rows))
        if arrays.all_true(self.xp.all(self.xp.isfinite(tile))):
            return tile
        return self._taps_of(part, begin, end, low)

    def tap_by_tap(self, part: Any, begin: int, end: int) -> Any:
        """The same, without a matrix product: NaN and infinity reach only what they are a tap of."""
        low, part = self._cut(part, begin, end)
        return self._taps_of(part, begin, end, low)

    def _taps_of(self, tile: Any, begin: int, end: int, low: int) -> Any:
        for axis, rule in reversed(self.layout.active):
            rows = (begin, end, low) if axis == 1 else (0, rule.out_size, 0)
            tile = self._round(self._weigh(tile, axis, rule, *rows))
        return tile

    def _cut(self, part: Any, begin: int, end: int) -> tuple[int, Any]:
        """Return the input rows that rows ``[begin, end)`` are made of, and the number of the first."""
        _, rule = self.layout.active[0]
        table = taps_between(rule, begin, end)
        low = int(table.first.min())
        high = max(int((table.first + table.count).max()), low + 1)
        if (low, high) != (0, rule.in_size):
            part = part[:, low:high, ...]
        return low, arrays.astype(self.xp, part, self.accumulator)

    def _multiply(self, tile: Any, axis: int, rule: AxisRule, begin: int, end: int, low: int) -> Any:
        """Filter one axis by its bands; the tile's first sample on it is `low`."""
        last = axis == tile.ndim - 1
        shape = tile.shape
        if rule.out_size > _LONG or (last and math.prod(shape[:-1]) < _FEW_ROWS and rule.out_size > _DENSE):
            return self._weigh(tile, axis, rule, begin, end, low)
        if not last:
            tile = self.xp.reshape(tile, (*shape[: axis + 1], -1))
        pieces = []
        for band in _bands(rule, self.saturate, begin, end):
            matrix = arrays.from_table(self.xp, band.matrix, tile, self.accumulator)
            cut = (slice(None),) * axis + (slice(band.low - low, band.high - low), ...)
            pieces.append(self.xp.matmul(tile[cut], matrix) if last else self._columns(matrix, tile[cut]))
        result = pieces[0] if len(pieces) == 1 else self.xp.concat(pieces, axis=axis)
        return result if last else self.xp.reshape(result, (*shape[:axis], end - begin, *shape[axis + 1 :]))

    def _columns(self, matrix: Any, piece: Any) -> Any:
        """Multiply from the left, a few columns at a time."""
        left = self.xp.permute_dims(matrix, (1, 0))
        columns = piece.shape[-1]
        step = max(1, _ONE_THREAD // math.prod(matrix.shape))
        if columns <= step:
            return self.xp.matmul(left, piece)
        cuts = [slice(c, min(c + step, columns)) for c in range(0, columns, step)]
        return self.xp.concat([self.xp.matmul(left, piece[..., cut]) for cut in cuts], axis=-1)

    def _weigh(self, tile: Any, axis: int, rule: AxisRule, begin: int, end: int, low: int) -> Any:
        """Filter one axis by a sum over taps, each a gather."""
        xp, table = self.xp, _table(rule, self.saturate, begin, end)
        first, count, weight = table.first - low, table.count, table.weight
        if self.moves:
            return arrays.take(xp, tile, first, axis)
        column = (1,) * axis + (end - begin,) + (1,) * (tile.ndim - axis - 1)
        total = None
        for tap in range(max(int(count.max()), 1)):
            index = first + np.maximum(np.minimum(tap, count - 1), 0)
            share = arrays.take(xp, tile, index, axis)
            share = share * arrays.from_table(xp, weight[:, tap].reshape(column), tile, self.accumulator)
            if not (tap < count).all():
                inside = arrays.from_table(xp, (tap < count).reshape(column), tile)
                share = xp.where(inside, share, scalar(xp, 0.0, share))
            total = share if total is None else total + share
        for mixed, place in ((table.mixed_first, first), (table.mixed_last, first + count - 1)):
            if mixed.any():  # infinity times zero is NaN; anything finite adds nothing
                again = arrays.take(xp, tile, place, axis) * scalar(xp, 0.0, tile)
                total = total + xp.where(
                    arrays.from_table(xp, mixed.reshape(column), tile), again, scalar(xp, 0.0, tile)
                )
        return total

    def _round(self, tile: Any) -> Any:
        """For uint8, torch rounds and clamps after each axis."""
        if not self.saturate:
            return tile
        return self.xp.clip(self.xp.floor(tile + 0.5), 0.0, 255.0)


def _table(rule: AxisRule, saturate: bool, begin: int, end: int) -> Taps:
    return fixed_point(rule).table.rows(begin, end) if saturate else taps_between(rule, begin, end)


def _tile_size(layout: _Canonical, item: int) -> tuple[int, int]:
    """Planes and rows of the result a tile: several small planes, or a strip of a large one."""
    larger = [max(pair) for pair in zip(layout.shape, layout.out_shape, strict=True)]
    row = math.prod(larger[2:]) * item
    plane = larger[1] * row
    if plane <= _TILE_BYTES:
        return max(1, _TILE_BYTES // plane), layout.out_shape[1]
    rule = layout.active[0][1]
    input_rows_each = max(1.0, rule.in_size / rule.out_size)
    rows = int(_TILE_BYTES / (row * input_rows_each))
    return 1, rows // _BAND * _BAND if rows >= _BAND else max(rows, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """A dense block of an axis' tap matrix: inputs ``[low, high)`` by some outputs."""

    low: int
    high: int
    matrix: Table


@lru_cache(maxsize=64)
def _bands(rule: AxisRule, saturate: bool, begin: int, end: int) -> tuple[_Band, ...]:
    """Cut rows ``[begin, end)`` of the tap matrix, transposed, into dense blocks."""
    table = _table(rule, saturate, begin, end)
    step = end - begin if max(rule.in_size, rule.out_size) <= _DENSE else _BAND
    return tuple(_band(table.rows(b, min(b + step, end - begin))) for b in range(0, end - begin, step))


def _band(table: Taps) -> _Band:
    first, count, weight = table.first, table.count, table.weight
    low, high = int(first.min()), int((first + count).max())
    matrix = np.zeros((high - low, len(first)))
    output, tap = np.nonzero(np.arange(table.longest) < count[:, None])
    matrix[first[output] - low + tap, output] = weight[output, tap]
    return _Band(low, high, matrix)
