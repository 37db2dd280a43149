"""Direct transposed convolution: each row of the result sums the products of its taps and cells.

Arrays are flat. Along the last axis, positions with one remainder modulo the stride (a phase) have the same
taps. Each phase of a row is summed over neighbouring cells, then the phases are interleaved. The order of a sum
is that of the loops: channels, taps of the leading axes, taps of the last axis; no thread shares a sum.

``grid`` is the geometry (`conv_transpose` makes it): `AXIS` numbers for each axis, the last one
last, then their tables. For a leading axis: for each position where its pairs begin, then pairs of a tap and a cell;
for the last axis the same for each phase, with the cell of the phase's position 0. A `Piece` is the part of the
result that one call computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import CHANNELS, fma

__all__ = ["AXIS", "AtOnce", "Piece", "Scratch", "interleave", "scratch", "sum_products", "sum_rows"]

_U: Any = np.uint64


class AtOnce(NamedTuple):
    """How much a kernel computes at once.

    Attributes
    ----------
    rows : int
        Rows of the result.
    inputs : int
        Input channels whose products are listed together.
    positions : int
        Positions of a phase.
    """

    rows: int
    inputs: int
    positions: int


class Piece(NamedTuple):
    """The part of a result that one call computes.

    Attributes
    ----------
    row_begin, row_end : int
        Rows, counted over planes of the piece with their rows.
    first_plane : int
        The first plane of images and groups.
    outputs, inputs : int
        Output and input channels of a group.
    groups : int
        Groups.
    first_position, positions : int
        The first position on the first axis, and how many.
    first_cell : int
        The first cell on the first axis that the source has.
    phase_begin, phase_end : int
        Positions of the phases of the last axis.
    is_compact : int
        1 if the result has the rows of this piece only.
    rows : int
        Rows of the result for each position on the first axis.
    lines : int
        Lines of the source in a channel.
    taps : int
        Taps of a window.
    """

    row_begin: int
    row_end: int
    first_plane: int
    outputs: int
    inputs: int
    groups: int
    first_position: int
    positions: int
    first_cell: int
    phase_begin: int
    phase_end: int
    is_compact: int
    rows: int
    lines: int
    taps: int


class _Sources(NamedTuple):
    """The source rows and weights of one plane and a block of input channels.

    Attributes
    ----------
    lines, inputs : int
        Lines of a channel, and input channels.
    source_line, weight : int
        The first line of the source, and the first weight.
    of_input, cells : int
        Weights of an input channel, and cells of a line.
    """

    lines: int
    inputs: int
    source_line: int
    weight: int
    of_input: int
    cells: int


Scratch: TypeAlias = tuple[AtOnce, tuple[NDArray, ...], tuple[NDArray, ...], NDArray]
"""How much is computed at once, and the arrays in which pairs and sources are listed and rows are summed."""

AXIS = 6
"""Positions, cells, kernel, stride, places of the beginnings and of the pairs."""
_TILE = 1 << 11
"""Positions of a phase that are summed at once; their sums fit the L1 cache."""
_TOGETHER = 1 << 12
"""Sums computed in one call, which is for several short rows: a call counts references to each of its arrays, and that
takes longer than a short row."""
_LINE = 64
"""Bytes of a cache line."""
_LISTED = 1 << 17
"""Products listed at once, of 20 bytes each; the list stays in a large L2 cache."""


def scratch(
    rows: int, positions: int, inputs: int, stride: int, leads: int, taps: int, dtype: np.dtype[Any]
) -> Scratch:
    """Return the scratch arrays for up to `rows` rows of up to `positions` a phase, and how many rows are made at once.

    A row has at most `leads` taps of the leading axes, and a phase of it `taps` of the last one.
    """
    tile = min(_TILE, positions)
    most = max(1, min(rows, _TOGETHER // (stride * tile), _LISTED // (stride * leads * taps)))
    together = min(inputs, max(CHANNELS, _LISTED // (most * stride * leads * taps) // CHANNELS * CHANNELS))
    lines, listed = most * stride, most * stride * leads * taps * together
    pairs = np.empty(most, np.int64), np.empty(most * leads, np.int64), np.empty(most * leads, np.int64)
    lists = np.empty(listed, np.uint64), np.empty(listed, dtype), np.empty(listed, np.int64), np.empty(lines, np.int64)
    return AtOnce(most, together, tile), pairs, lists, _aligned(lines * tile, dtype)


def _aligned(size: int, dtype: np.dtype[Any]) -> NDArray:
    """Return an array that begins with a cache line: a vector in two cache lines took a third longer."""
    room = np.empty(size + _LINE // dtype.itemsize, dtype)
    begin = -room.ctypes.data % _LINE // dtype.itemsize
    return room[begin : begin + size]


@part
def _pairs(grid: NDArray, axes: int, row0: int, low: int, rows: int, pairs: tuple[NDArray, ...]) -> None:
    """Lay out the taps and cells, flat over the leading axes, of `rows` rows of positions from `row0` on."""
    found, taps, cells = pairs
    most = len(taps) // len(found)
    for n in range(rows):
        row, tap_scale, cell_scale, here, begin = row0 + n, 1, 1, 1, n * most
        taps[begin], cells[begin] = 0, 0
        for axis in range(axes - 1, -1, -1):
            at = AXIS * axis
            rest = row // grid[at]
            begins = grid[at + 4] + row - rest * grid[at]
            row = rest
            first, count = grid[at + 5] + 2 * grid[begins], grid[begins + 1] - grid[begins]
            for entry in range(count - 1, -1, -1):
                tap, cell = grid[first + 2 * entry], grid[first + 2 * entry + 1] - (low if axis == 0 else 0)
                for e in range(begin, begin + here):
                    taps[entry * here + e] = taps[e] + tap * tap_scale
                    cells[entry * here + e] = cells[e] + cell * cell_scale
            here *= count
            tap_scale *= grid[at + 2]
            cell_scale *= grid[at + 1]
        found[n] = here


@part
def sum_rows(
    source: NDArray, lists: tuple[NDArray, ...], lines: int, cells: int, size: int, fresh: bool, sums: NDArray
) -> None:
    """Sum weighted rows of cells into `size` positions each; source n has cell ``j + shifts[n]``, if any, for j.

    `lists` are places, factors and shifts of `lines` lines, flat, and how many sources each has. A place is the index
    of a source's position 0; it may be before the array if that cell does not exist. If `fresh`, `sums` starts at zero.
    """
    places, factors, shifts, counts = lists
    width = len(places) // len(counts)
    for line in range(lines):
        n, low, high = _U(line * width), 0, size
        end = n + _U(counts[line])
        for e in range(n, end):
            low, high = max(low, -shifts[e]), min(high, cells - shifts[e])
        low = min(low, size)
        high = max(low, high)
        start, length, to = _U(low), _U(high - low), _U(line * size)
        if fresh:
            for j in range(to, to + _U(size)):
                sums[j] = 0
        first = to + start
        while n + _U(4) <= end:
            a, fa, b, fb = places[n] + start, factors[n], places[n + _U(1)] + start, factors[n + _U(1)]
            n += _U(2)
            c, fc, d, fd = places[n] + start, factors[n], places[n + _U(1)] + start, factors[n + _U(1)]
            n += _U(2)
            for j in range(length):
                total = fma(fb, source[b + j], fma(fa, source[a + j], sums[first + j]))
                sums[first + j] = fma(fd, source[d + j], fma(fc, source[c + j], total))
        if n + _U(2) <= end:
            a, fa, b, fb = places[n] + start, factors[n], places[n + _U(1)] + start, factors[n + _U(1)]
            for j in range(length):
                sums[first + j] = fma(fb, source[b + j], fma(fa, source[a + j], sums[first + j]))
            n += _U(2)
        if n < end:
            a, fa = places[n] + start, factors[n]
            for j in range(length):
                sums[first + j] = fma(fa, source[a + j], sums[first + j])
        outside = low + size - high
        for e in range(_U(line * width), end if outside else _U(0)):
            for k in range(outside):
                j = k if k < low else k + high - low
                if 0 <= j + shifts[e] < cells:
                    sums[to + _U(j)] = fma(factors[e], source[places[e] + _U(j)], sums[to + _U(j)])


@part
def interleave(
    sums: NDArray, rows: int, stride: int, begin: int, count: int, bias: Any, result: NDArray, place: int, large: int
) -> None:
    """Store `count` positions of each phase, from `begin` on, in `rows` rows from `place` on, and add the bias."""
    one, two, wide = np.uint64(1), np.uint64(2), np.uint64(stride)
    both = max(min(count, large // 2 - begin), 0) if stride == 2 else 0
    for row in range(rows):
        at = (place + row) * large + stride * begin
        to, even, odd = np.uint64(at), np.uint64(2 * row * count), np.uint64((2 * row + 1) * count)
        for j in range(np.uint64(both)):
            result[to + two * j] = sums[even + j] + bias
            result[to + two * j + one] = sums[odd + j] + bias
        for phase in range(min(stride, large)):
            to, of = np.uint64(at + phase), np.uint64((row * stride + phase) * count)
            end = min(count, (large - phase + stride - 1) // stride - begin)
            for j in range(np.uint64(both), np.uint64(max(both, end))):
                result[to + wide * j] = sums[of + j] + bias


@part
def _lay_out(
    grid: NDArray,
    last: int,
    rows: int,
    sources: _Sources,
    begin: int,
    pairs: tuple[NDArray, ...],
    weight: NDArray,
    lists: tuple[NDArray, ...],
) -> None:
    """List, for each phase of `rows` rows, its source rows, their first cells and their factors."""
    lines, inputs, source_line, first_weight, of_input, width = sources
    found, taps, cells = pairs
    places, factors, shifts, counts = lists
    kernel_size, stride, leads, most = (
        grid[last + 2],
        grid[last + 3],
        len(taps) // len(found),
        len(places) // len(counts),
    )
    for line in range(rows * stride):
        row, phase, n = line // stride, line % stride, line * most
        ends = grid[last + 4] + phase
        for block in range(0, inputs if phase < grid[last] else 0, CHANNELS):  # the stride may exceed the axis
            for p in range(row * leads, row * leads + found[row]):
                for entry in range(grid[last + 5] + 2 * grid[ends], grid[last + 5] + 2 * grid[ends + 1], 2):
                    shift = grid[entry + 1] + begin
                    for c in range(block, min(block + CHANNELS, inputs)):
                        places[n] = _U((source_line + c * lines + cells[p]) * width + shift)
                        shifts[n] = shift
                        factors[n] = weight[first_weight + c * of_input + taps[p] * kernel_size + grid[entry]]
                        n += 1
        counts[line] = n - line * most


@kernel
def sum_products(
    source: NDArray,
    weight: NDArray,
    grid: NDArray,
    axes: int,
    numbers: tuple[int, ...],
    most: tuple[int, ...],
    bias: NDArray,
    pairs: tuple[NDArray, ...],
    lists: tuple[NDArray, ...],
    sums: NDArray,
    result: NDArray,
) -> None:
    """Sum ``source [planes, inputs, *cells]``, weighed with ``weight [groups, inputs, outputs, kernel]``, by rows.

    `pairs`, `lists` and `sums` are those of `scratch`. ``numbers`` are those of a `Piece` and ``most`` those of
    `AtOnce`, as plain tuples: Numba takes 2 µs a call to recognize the type of a NamedTuple.
    """
    piece, at_once = Piece(*numbers), AtOnce(*most)
    last, outputs, inputs, rows = AXIS * axes, piece.outputs, piece.inputs, piece.positions * piece.rows
    large, cells, stride, number = grid[last], grid[last + 1], grid[last + 3], piece.row_begin
    while number < piece.row_end:
        outer = number // rows
        plane, first, m = outer // outputs, number - outer * rows, outer % outputs
        block = min(at_once.rows, min(piece.row_end - number, rows - first))
        group, row = (piece.first_plane + plane) % piece.groups, piece.first_position * piece.rows + first
        place = number - piece.row_begin
        if not piece.is_compact:
            place = ((piece.first_plane + plane) * outputs + m) * grid[0] * piece.rows + row
        _pairs(grid, axes, row, piece.first_cell, block, pairs)
        added = bias[group * outputs + m] + result.dtype.type(0) if bias.shape[0] else result.dtype.type(0)
        for begin in range(piece.phase_begin, piece.phase_end, at_once.positions):
            count = min(at_once.positions, piece.phase_end - begin)
            for c in range(0, max(inputs, 1), at_once.inputs):
                line, at = (plane * inputs + c) * piece.lines, ((group * inputs + c) * outputs + m) * piece.taps
                some = min(at_once.inputs, inputs - c)
                sources = _Sources(piece.lines, some, line, at, outputs * piece.taps, cells)
                _lay_out(grid, last, block, sources, begin, pairs, weight, lists)
                sum_rows(source, lists, block * stride, cells, count, c == 0, sums)
            interleave(sums, block, stride, begin, count, added, result, place, large)
        number += block
