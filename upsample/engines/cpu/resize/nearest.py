"""Nearest-neighbor resizing: move values, viewed as unsigned integers of their size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize.formulas import fused
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.plans.filters import FILTERS, Point
from upsample.plans.resize import AxisRule, Rounding, identity
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
_CHUNK = 1 << 11
"""Samples of a row whose inputs are found together; they stay in the L1 cache while rows are copied."""
_ROUNDINGS = (Rounding.FLOAT64, Rounding.FLOAT32, Rounding.FLOAT64_FLOORF)
_KIND, _ANCHOR, _STEP, _DIVISOR, _LAST, _BEGIN, _LOW, _OUTPUTS, _DISTANCE = range(9)
"""Places in what describes an axis: of `_ROUNDINGS` or -1 for a table, the place in a sample that counts, the step, the
last input, the first output (or where the table begins), the first input, the outputs, how far inputs are apart."""
_EXACT = 1 << 22
"""Outputs of an axis whose coordinates float32 represents, if its step is 1/2."""
_COLUMNS = 1 << 20
"""Most output samples of a row per block."""


@part
def _again(dst: _Array, d: int, back: int, n: int) -> None:
    """Copy the row before."""
    s = d - back
    for j in range(n):
        dst[d + _U(j)] = dst[s + _U(j)]


@part
def _place(kind: int, anchor: float, step: float, divisor: float, last: float, output: float) -> Any:
    """Return the input of an output, as a float; see `upsample.plans.taps`."""
    if kind == 0:
        return min(np.floor((output + anchor) * step / divisor), last)
    if anchor == 0.0:
        position = np.float64(np.float32(output)) if kind == 1 else output
        return min(np.floor(np.float64(np.float32(position * step))), last)
    if kind == 1:
        position = np.float64(np.float32(output) + np.float32(anchor))
        centre = np.float64(np.float32(position * step - anchor))
    else:
        centre = fused(output + anchor, step, -anchor)
    return min(np.floor(np.float64(np.float32(max(centre, 0.0) + anchor))), last)


@part
def _places(axis: _Array, table: _Array, begin: int, end: int, scale: int, result: _Array, at: int) -> None:
    """Add where the inputs of outputs ``[begin, end)`` of an axis begin, `scale` apart, to `result` from `at` on."""
    kind, anchor, step, divisor, last = int(axis[_KIND]), axis[_ANCHOR], axis[_STEP], axis[_DIVISOR], axis[_LAST]
    offset, low, d = int(axis[_BEGIN]) + begin, axis[_LOW], _U(at)
    if kind < 0:
        for j in range(end - begin):
            result[d + _U(j)] += table[offset + j] * scale
    elif kind == 0:
        for j in range(end - begin):
            result[d + _U(j)] += int(_place(0, anchor, step, divisor, last, np.float64(j + offset)) - low) * scale
    elif kind == 1 and anchor == 0.0:
        for j in range(end - begin):
            result[d + _U(j)] += int(_place(1, 0.0, step, divisor, last, np.float64(j + offset)) - low) * scale
    elif kind == 1:
        for j in range(end - begin):
            result[d + _U(j)] += int(_place(1, 0.5, step, divisor, last, np.float64(j + offset)) - low) * scale
    else:
        for j in range(end - begin):
            result[d + _U(j)] += int(_place(2, anchor, step, divisor, last, np.float64(j + offset)) - low) * scale


@part
def _rows(axes: _Array, table: _Array, begin: int, end: int, rows: int) -> tuple[_Array, int]:
    """Return where the sources of rows begin: of all rows of a plane, or from `begin` on, which is returned too."""
    count = min(rows, end - begin)
    start = 0 if count == rows else begin
    row, around = np.zeros(count, dtype=np.int64), 1
    for k in range(len(axes) - 1):
        size, distance = int(axes[k, _OUTPUTS]), int(axes[k, _DISTANCE])
        if around == 1:
            i = 0
            while i < count:
                o = (start + i) % size
                some = min(count - i, size - o)
                _places(axes[k], table, o, o + some, distance, row, i)
                i += some
        else:
            one, before = np.zeros(1, dtype=np.int64), -1
            for i in range(count):
                o = (start + i) // around % size
                if o != before:
                    one[0] = 0
                    _places(axes[k], table, o, o + 1, distance, one, 0)
                    before = o
                row[i] += one[0]
        around *= size
    return row, start


@part
def _next(plane: int, row: int, place: int, in_plane: int, rows: int, count: int) -> tuple[int, int, int]:
    """Return where the plane of the next row begins, its number, and its place in the table of `_rows`."""
    row, place = row + 1, place + 1
    if place == count:
        place = 0
    if row == rows:
        return plane + in_plane, 0, place
    return plane, row, place


@kernel
def _copy_rows(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, axes: _Array, table: _Array) -> None:
    """Copy rows as they are."""
    rows, in_plane, n, _, low, high = sizes
    row, start = _rows(axes, table, begin, end, rows)
    plane, r, t = begin // rows * in_plane, begin % rows, (begin - start) % rows
    for place in range(begin, end):
        s, d = _U(plane + row[_U(t)] + low), _U(place * n + low)
        plane, r, t = _next(plane, r, t, in_plane, rows, len(row))
        for j in range(high - low):
            dst[d + _U(j)] = src[s + _U(j)]


@kernel
def _double(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, axes: _Array, table: _Array) -> None:
    """Store each value of a row twice."""
    rows, in_plane, n, _, low, high = sizes
    table_of_rows, start = _rows(axes, table, begin, end, rows)
    before = np.int64(-1)
    plane, r, t = begin // rows * in_plane, begin % rows, (begin - start) % rows
    for place in range(begin, end):
        row, d = plane + table_of_rows[_U(t)], _U(place * n + low)
        plane, r, t = _next(plane, r, t, in_plane, rows, len(table_of_rows))
        if row == before:
            _again(dst, d, _U(n), high - low)
            continue
        s, before = _U(row + low // 2), row
        for j in range((high - low) // 2):
            value = src[s + _U(j)]
            dst[d + _U(2 * j)] = value
            dst[d + _U(2 * j + 1)] = value


@kernel
def _double_rgb(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, axes: _Array, table: _Array) -> None:
    """Store each pixel of three values twice."""
    rows, in_plane, n, _, low, high = sizes
    table_of_rows, start = _rows(axes, table, begin, end, rows)
    before = np.int64(-1)
    plane, r, t = begin // rows * in_plane, begin % rows, (begin - start) % rows
    for place in range(begin, end):
        row, d = plane + table_of_rows[_U(t)], _U(place * n + 3 * low)
        plane, r, t = _next(plane, r, t, in_plane, rows, len(table_of_rows))
        if row == before:
            _again(dst, d, _U(n), 3 * (high - low))
            continue
        s, before = _U(row + 3 * (low // 2)), row
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
def _gather_values(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, axes: _Array, table: _Array) -> None:
    """Gather single values."""
    rows, in_plane, n, _, low, high = sizes
    table_of_rows, start = _rows(axes, table, begin, end, rows)
    column = np.empty(min(_CHUNK, high - low), dtype=np.int64)
    for c in range(low, high, _CHUNK):
        many = min(_CHUNK, high - c)
        column[:] = 0
        _places(axes[-1], table, c, c + many, 1, column, 0)
        before = np.int64(-1)
        plane, r, t = begin // rows * in_plane, begin % rows, (begin - start) % rows
        for place in range(begin, end):
            row, d = plane + table_of_rows[_U(t)], _U(place * n + c)
            plane, r, t = _next(plane, r, t, in_plane, rows, len(table_of_rows))
            if row == before:
                _again(dst, d, _U(n), many)
                continue
            s, before = _U(row), row
            for j in range(many):
                dst[d + _U(j)] = src[s + _U(column[_U(j)])]


@kernel
def _gather_samples(src: _Array, dst: _Array, begin: int, end: int, sizes: _Array, axes: _Array, table: _Array) -> None:
    """Gather samples of several values; three as four that overlap, one store instead of three."""
    rows, in_plane, n, inner, low, high = sizes
    table_of_rows, start = _rows(axes, table, begin, end, rows)
    column = np.empty(min(_CHUNK, high - low), dtype=np.int64)
    for c in range(low, high, _CHUNK):
        many = min(_CHUNK, high - c)
        column[:] = 0
        _places(axes[-1], table, c, c + many, inner, column, 0)
        before = np.int64(-1)
        plane, r, t = begin // rows * in_plane, begin % rows, (begin - start) % rows
        for place in range(begin, end):
            row, d = plane + table_of_rows[_U(t)], _U(place * n + c * inner)
            plane, r, t = _next(plane, r, t, in_plane, rows, len(table_of_rows))
            if row == before:
                _again(dst, d, _U(n), many * inner)
                continue
            s, before = _U(row), row
            whole = 0
            if inner == 3:
                last = column[_U(many - 1)]
                while whole < many and column[_U(whole)] < last:
                    f, g = s + _U(column[_U(whole)]), d + _U(3 * whole)
                    x, y, z, e = src[f], src[f + _U(1)], src[f + _U(2)], src[f + _U(3)]
                    dst[g] = x
                    dst[g + _U(1)] = y
                    dst[g + _U(2)] = z
                    dst[g + _U(3)] = e
                    whole += 1
            for j in range(whole, many):
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
    axes : ndarray
        How the input of an output is found on each axis, the outer ones from the innermost on, the last one last.
    table : ndarray
        The inputs of axes that have no formula.
    """

    dtype: np.dtype[Any]
    function: Callable[..., None]
    rows: int
    step: int
    pieces: tuple[_Array, ...]
    axes: _Array
    table: _Array

    @property
    def blocks(self) -> int:
        """How many blocks."""
        return -(-self.rows // self.step) * len(self.pieces)

    def run(self, src: _Array, dst: _Array, block: int) -> None:
        """Fill one block of `dst`, both flat."""
        begin = block // len(self.pieces) * self.step
        end = min(begin + self.step, self.rows)
        self.function(src, dst, begin, end, self.pieces[block % len(self.pieces)], self.axes, self.table)


def _described(rule: AxisRule, outputs: int, distance: int, begin: int) -> tuple[tuple[float, ...], _Array | None]:
    """Describe an axis for kernels; its table, which begins at `begin` among those of all axes, if it needs one.

    `distance` is how far apart its inputs are.
    """
    whole, offset, low = (rule, 0, 0) if rule.cut is None else (rule.cut.full, rule.cut.begin, rule.cut.low)
    method = FILTERS[whole.method]
    if whole.table or not isinstance(method, Point):
        table = taps(rule).first
        return (-1.0, 0.0, 0.0, 0.0, 0.0, begin, 0.0, outputs, distance), table
    kind = _ROUNDINGS.index(whole.rounding)
    how = (kind, method.anchor, *whole.step, whole.in_size - 1, offset, low, outputs, distance)
    return tuple(map(float, how)), None


def _doubles(rule: AxisRule, table: _Array | None) -> bool:
    """Say whether each input of an axis is that of two outputs that follow each other."""
    if 2 * rule.in_size != rule.out_size:
        return False
    if table is not None:
        return bool((table == np.arange(rule.out_size) // 2).all())
    whole, offset, low = (rule, 0, 0) if rule.cut is None else (rule.cut.full, rule.cut.begin, rule.cut.low)
    is_half = 2.0 * whole.step[0] == whole.step[1] and offset == 2 * low
    return is_half and whole.out_size <= _EXACT and whole.in_size <= _EXACT


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
    in_plane, rows = across.in_size * inner, 1
    axes, tables, begin = [], [np.zeros(0, np.int64)], 0
    for rule in reversed(rules):
        how, table = _described(rule, rule.out_size, in_plane, begin)
        axes.append(how)
        in_plane, rows = in_plane * rule.in_size, rows * rule.out_size
        if table is not None:
            tables.append(table)
            begin += len(table)
    how, table = _described(across, across.out_size, inner, begin) if not across.is_identity else ((0.0,) * 9, None)
    axes.append(how)
    if table is not None:
        tables.append(table)
    wide = across.out_size * inner
    double = not across.is_identity and _doubles(across, table)
    if across.is_identity:
        function, wide, samples = _copy_rows, across.in_size * inner, across.in_size * inner
    elif double and inner in (1, 3):
        function, samples = _double if inner == 1 else _double_rgb, across.out_size
    else:
        function, samples = _gather_values if inner == 1 else _gather_samples, across.out_size
    sizes = [rows, in_plane, wide, inner]
    pieces = tuple(np.asarray([*sizes, c, min(c + _COLUMNS, samples)]) for c in range(0, samples, _COLUMNS))
    places = math.prod(shape[:first]) * rows
    least, most = _BLOCK_BYTES
    step = max(1, min(max(places * wide * itemsize // 8, least), most) // (wide * itemsize))
    taken = np.concatenate(tables) if len(tables) > 1 else tables[0]
    return Move(np.dtype(f"u{itemsize}"), function, places, step, pieces, np.asarray(axes), taken)
