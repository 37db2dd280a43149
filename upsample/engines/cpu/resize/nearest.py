"""Nearest-neighbor resizing: move values, viewed as unsigned integers of their size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.plans.pieces import PIECE, in_pieces
from upsample.plans.resize import AxisRule, identity
from upsample.plans.taps import taps

__all__ = ["Move", "plan_move"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_BLOCK_BYTES = (1 << 18, 1 << 22)
"""Bytes of output per block, min and max; in between, one eighth of the output."""
_STRETCH_BYTES = 256
"""Bytes of a sample from which it is copied like a row."""
_WORDS = (2, 4, 8)
"""Bytes of a sample that is moved as one value, such as a pixel of RGBA."""
_COLUMNS = 1 << 20
"""Most output samples of a row per block."""


@part
def _again(dst: _Array, d: int, back: int, n: int) -> None:
    """Copy the row before."""
    s = d - back
    for j in range(n):
        dst[d + _U(j)] = dst[s + _U(j)]


@kernel
def _copy_rows(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, row: _Array, column: _Array) -> None:
    """Copy rows as they are."""
    rows, in_plane, n, low, high = sizes[0], sizes[1], sizes[2], sizes[4], sizes[5]
    for place in range(begin, end):
        s, d = _U(place // rows * in_plane + row[place % rows] + low), _U(place * n + low)
        for j in range(high - low):
            dst[d + _U(j)] = src[s + _U(j)]


@kernel
def _double(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, row: _Array, column: _Array) -> None:
    """Store each value of a row twice."""
    rows, in_plane, n, low, high = sizes[0], sizes[1], sizes[2], sizes[4], sizes[5]
    for place in range(begin, end):
        r, d = place % rows, _U(place * n + low)
        if place > begin and r > 0 and row[r] == row[r - 1]:
            _again(dst, d, _U(n), high - low)
            continue
        s = _U(place // rows * in_plane + row[r] + low // 2)
        for j in range((high - low) // 2):
            value = src[s + _U(j)]
            dst[d + _U(2 * j)] = value
            dst[d + _U(2 * j + 1)] = value


@kernel
def _double_rgb(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, row: _Array, column: _Array) -> None:
    """Store each pixel of three values twice."""
    rows, in_plane, n, low, high = sizes[0], sizes[1], sizes[2], sizes[4], sizes[5]
    for place in range(begin, end):
        r, d = place % rows, _U(place * n + 3 * low)
        if place > begin and r > 0 and row[r] == row[r - 1]:
            _again(dst, d, _U(n), 3 * (high - low))
            continue
        s = _U(place // rows * in_plane + row[r] + 3 * (low // 2))
        for j in range((high - low) // 2):
            f, g = s + _U(3 * j), d + _U(6 * j)
            a, b, c = src[f], src[f + _U(1)], src[f + _U(2)]
            dst[g] = a
            dst[g + _U(1)] = b
            dst[g + _U(2)] = c
            dst[g + _U(3)] = a
            dst[g + _U(4)] = b
            dst[g + _U(5)] = c


@kernel
def _gather_values(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, row: _Array, column: _Array) -> None:
    """Gather single values."""
    rows, in_plane, n, low, high = sizes[0], sizes[1], sizes[2], sizes[4], sizes[5]
    for place in range(begin, end):
        r, d = place % rows, _U(place * n)
        if place > begin and r > 0 and row[r] == row[r - 1]:
            _again(dst, d + _U(low), _U(n), high - low)
            continue
        s = _U(place // rows * in_plane + row[r])
        for j in range(low, high):
            dst[d + _U(j)] = src[s + _U(column[_U(j)])]


@kernel
def _gather_samples(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, row: _Array, column: _Array) -> None:
    """Gather samples of several values; three as four that overlap, one store instead of three."""
    rows, in_plane, n, inner, low, high = sizes
    for place in range(begin, end):
        r, d = place % rows, _U(place * n)
        if place > begin and r > 0 and row[r] == row[r - 1]:
            _again(dst, d + _U(low * inner), _U(n), (high - low) * inner)
            continue
        s = _U(place // rows * in_plane + row[r])
        whole = high
        if inner == 3:
            whole = low
            last = column[_U(high - 1)]
            while whole < high and column[_U(whole)] < last:
                f, g = s + _U(column[_U(whole)]), d + _U(3 * whole)
                a, b, c, e = src[f], src[f + _U(1)], src[f + _U(2)], src[f + _U(3)]
                dst[g] = a
                dst[g + _U(1)] = b
                dst[g + _U(2)] = c
                dst[g + _U(3)] = e
                whole += 1
        for j in range(whole if inner == 3 else low, high):
            f, g = s + _U(column[_U(j)]), d + _U(j * inner)
            for i in range(inner):
                dst[g + _U(i)] = src[f + _U(i)]


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """Everything of a nearest resize but the arrays.

    Attributes
    ----------
    dtype : dtype
        The arrays are viewed as.
    function : callable
        The kernel.
    rows, step : int
        Rows of the result, and how many a block.
    pieces : tuple of ndarray
        For each piece of a row, the kernel's sizes.
    row, column : ndarray
        Where the rows of a plane, and the samples of a row, begin in the source.
    """

    dtype: np.dtype[Any]
    function: Callable[..., None]
    rows: int
    step: int
    pieces: tuple[_Array, ...]
    row: _Array
    column: _Array

    @property
    def blocks(self) -> int:
        """How many blocks."""
        return -(-self.rows // self.step) * len(self.pieces)

    def run(self, src: _Array, dst: _Array, block: int) -> None:
        """Fill one block of `dst`, both flat."""
        begin = block // len(self.pieces) * self.step
        end = min(begin + self.step, self.rows)
        self.function(src, dst, begin, end, self.pieces[block % len(self.pieces)], self.row, self.column)


def _column(across: AxisRule, inner: int, begin: int, end: int) -> tuple[_Array, _Array]:
    """Where the sample of each output begins in a row, and whether it is that of a doubled row."""
    first = taps(across).first[begin:end]
    place = (first * inner).astype(np.uint32 if across.in_size * inner < 2**32 else np.int64)
    return place, first == np.arange(begin, end) // 2


def _rows_of(rule: AxisRule, scale: int, row: _Array) -> _Array:
    """Where rows begin after one more axis, whose samples lie `scale` apart: for each of its outputs those of `row`."""
    first, count = taps(rule).first, len(row)

    def make(begin: int, end: int) -> tuple[_Array]:
        place = np.arange(begin, end)
        return (first[place // count] * scale + row[place % count],)

    return in_pieces(make, 0, rule.out_size * count, PIECE)[0]


def plan_move(shape: tuple[int, ...], active: list[tuple[int, AxisRule]], itemsize: int) -> Move:
    """Lay out a nearest resize of the axes `active` of a contiguous array."""
    first, last = active[0][0], active[-1][0]
    rules = [identity(n) for n in shape[first : last + 1]]
    for axis, rule in active:
        rules[axis - first] = rule
    inner = math.prod(shape[last + 1 :])
    if itemsize == 16:
        inner, itemsize = inner * 2, 8
    if inner > 1 and inner * itemsize in _WORDS:
        inner, itemsize = 1, inner * itemsize
    if len(rules) == 1 and inner * itemsize >= _STRETCH_BYTES:
        rules.append(identity(inner))
        inner = 1
    across = rules.pop()
    row, in_plane = np.zeros(1, dtype=np.int64), across.in_size * inner
    for rule in reversed(rules):
        row = _rows_of(rule, in_plane, row)
        in_plane *= rule.in_size
    column, same = in_pieces(partial(_column, across, inner), 0, across.out_size, PIECE)
    wide = across.out_size * inner
    double = 2 * across.in_size == across.out_size and bool(same.all())
    if across.is_identity:
        function, wide, samples = _copy_rows, across.in_size * inner, across.in_size * inner
    elif double and inner in (1, 3):
        function, samples = _double if inner == 1 else _double_rgb, across.out_size
    else:
        function, samples = _gather_values if inner == 1 else _gather_samples, across.out_size
    sizes = [len(row), in_plane, wide, inner]
    pieces = tuple(np.asarray([*sizes, c, min(c + _COLUMNS, samples)]) for c in range(0, samples, _COLUMNS))
    rows = math.prod(shape[:first]) * len(row)
    least, most = _BLOCK_BYTES
    step = max(1, min(max(rows * wide * itemsize // 8, least), most) // (wide * itemsize))
    return Move(np.dtype(f"u{itemsize}"), function, rows, step, pieces, row, column)
