"""Compiled loops of transposed convolution: rows of the result gather what the taps of the cells bring them.

Arrays are flat. Along the last axis the positions that leave one rest when divided by the stride (a phase) have the
same taps: each phase of a row is summed over neighbouring cells, then the phases are interleaved. The order of a sum
is that of the loops: channels, taps of the leading axes, taps of the last axis; no thread shares a sum.

``grid`` is the geometry (`upsample.engines.cpu.conv_transpose` makes it): `AXIS` numbers for each axis, the last one
last, then their tables. For a leading axis: for each position where its pairs begin, then pairs of a tap and a cell;
for the last axis the same for each phase, with the cell of the phase's position 0. ``piece`` is what one call makes
(see `PIECE`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel, part

__all__ = ["AXIS", "PIECE", "gather", "interleave", "sum_rows"]

_A = np.ndarray[Any, Any]

AXIS = 6
"""Positions, cells, kernel, stride, places of the beginnings and of the pairs."""
PIECE = (
    "from and to which row (planes of the piece, each with its rows)",
    "first plane of images and groups",
    "output channels and input channels of a group, groups",
    "first position on the first axis, and how many",
    "first cell on the first axis that the source has, and how many",
    "positions of the phases of the last axis from and to",
    "1 where the result holds the rows of this piece only",
)
"""What the numbers of ``piece`` mean, in order."""
_TILE = 1 << 11
"""Positions of a phase that are summed at once, so that they stay in the first-level cache."""
_TOGETHER = 1 << 12
"""Sums that are made together. Rows are made some at a time: a call counts the references to each array that it is
given, which costs more than a short row."""
_LISTED = 1 << 17
"""Sources of all rows made together that are listed at once, about: 20 bytes each."""


@part
def _pairs(grid: _A, axes: int, row0: int, low: int, found: _A, taps: _A, cells: _A) -> None:
    """Lay out the taps and cells, flat over the leading axes, that rows of positions from `row0` on gather."""
    for n in range(found.shape[0]):
        row, tap_scale, cell_scale, here = row0 + n, 1, 1, 1
        taps[n, 0], cells[n, 0] = 0, 0
        for axis in range(axes - 1, -1, -1):
            at = AXIS * axis
            rest = row // grid[at]
            begins = grid[at + 4] + row - rest * grid[at]
            row = rest
            first, count = grid[at + 5] + 2 * grid[begins], grid[begins + 1] - grid[begins]
            for entry in range(count - 1, -1, -1):
                tap, cell = grid[first + 2 * entry], grid[first + 2 * entry + 1] - (low if axis == 0 else 0)
                for e in range(here):
                    taps[n, entry * here + e] = taps[n, e] + tap * tap_scale
                    cells[n, entry * here + e] = cells[n, e] + cell * cell_scale
            here *= count
            tap_scale *= grid[at + 2]
            cell_scale *= grid[at + 1]
        found[n] = here


@part
def sum_rows(source: _A, lists: tuple[_A, ...], cells: int, size: int, fresh: bool, bias: Any, sums: _A) -> None:
    """Sum weighted rows of cells into `size` positions each; source n has cell ``j + shifts[n]``, if any, for j.

    Position 0 of a source lies at ``places[n]``, which may be before the array where there is no such cell. Where
    `sums` is `fresh`, it begins with `bias`.
    """
    places, factors, shifts, counts = lists
    for line in range(counts.shape[0]):
        low, high, count, n, to = 0, size, counts[line], 0, np.uint64(line * size)
        for e in range(count):
            low, high = max(low, -shifts[line, e]), min(high, cells - shifts[line, e])
        low = min(low, size)
        high = max(low, high)
        if fresh:
            for j in range(np.uint64(size)):
                sums[to + j] = bias
        start, length = np.uint64(low), np.uint64(high - low)
        first = to + start
        while n + 4 <= count:
            a, b = places[line, n] + start, places[line, n + 1] + start
            c, d = places[line, n + 2] + start, places[line, n + 3] + start
            fa, fb, fc, fd = factors[line, n], factors[line, n + 1], factors[line, n + 2], factors[line, n + 3]
            for j in range(length):
                total = sums[first + j] + fa * source[a + j] + fb * source[b + j]
                sums[first + j] = total + fc * source[c + j] + fd * source[d + j]
            n += 4
        if n + 2 <= count:
            a, b, fa, fb = places[line, n] + start, places[line, n + 1] + start, factors[line, n], factors[line, n + 1]
            for j in range(length):
                sums[first + j] = sums[first + j] + fa * source[a + j] + fb * source[b + j]
            n += 2
        if n < count:
            a, fa = places[line, n] + start, factors[line, n]
            for j in range(length):
                sums[first + j] = sums[first + j] + fa * source[a + j]
        outside = low + size - high
        for e in range(count if outside else 0):
            place, factor, shift = places[line, e], factors[line, e], shifts[line, e]
            for k in range(outside):
                j = k if k < low else k + high - low
                if 0 <= j + shift < cells:
                    sums[to + np.uint64(j)] += factor * source[place + np.uint64(j)]


@part
def interleave(sums: _A, rows: int, stride: int, begin: int, count: int, result: _A, place: int, large: int) -> None:
    """Store `count` positions of each phase, from `begin` on, in `rows` rows from `place` on."""
    one, two, wide = np.uint64(1), np.uint64(2), np.uint64(stride)
    both = max(min(count, large // 2 - begin), 0) if stride == 2 else 0
    for row in range(rows):
        at = (place + row) * large + stride * begin
        to, even, odd = np.uint64(at), np.uint64(2 * row * count), np.uint64((2 * row + 1) * count)
        for j in range(np.uint64(both)):
            result[to + two * j] = sums[even + j]
            result[to + two * j + one] = sums[odd + j]
        for phase in range(min(stride, large)):
            to, of = np.uint64(at + phase), np.uint64((row * stride + phase) * count)
            end = min(count, (large - phase + stride - 1) // stride - begin)
            for j in range(np.uint64(both), np.uint64(max(both, end))):
                result[to + wide * j] = sums[of + j]


@part
def _lay_out(
    grid: _A, last: int, shape: tuple[int, ...], begin: int, pairs: tuple[_A, _A, _A], weight: _A, lists: tuple[_A, ...]
) -> None:
    """Lay out, for each row and phase, which source rows it gathers, from which cell on and with which factor."""
    lines, inputs, source_line, weight_line, of_input, width = shape
    found, pair_taps, pair_cells = pairs
    places, factors, shifts, counts = lists
    kernel_size, stride = grid[last + 2], grid[last + 3]
    for line in range(found.shape[0] * stride):
        row, phase, n = line // stride, line % stride, 0
        if phase >= grid[last]:  # the stride is larger than the axis
            counts[line] = 0
            continue
        ends = grid[last + 4] + phase
        for c in range(inputs):
            for p in range(found[row]):
                for entry in range(grid[last + 5] + 2 * grid[ends], grid[last + 5] + 2 * grid[ends + 1], 2):
                    tap, shift = pair_taps[row, p] * kernel_size + grid[entry], grid[entry + 1] + begin
                    of = source_line + c * lines + pair_cells[row, p]
                    places[line, n] = np.uint64(of * width + shift)
                    shifts[line, n] = shift
                    factors[line, n] = weight[weight_line + c * of_input + tap]
                    n += 1
        counts[line] = n


@kernel
def gather(source: _A, weight: _A, grid: _A, axes: int, piece: tuple[int, ...], bias: _A, result: _A) -> None:
    """Sum ``source [planes, inputs, *cells]``, weighed with ``weight [groups, inputs, each, kernel]``, in its rows."""
    row0, row1, plane0, each, inputs, groups, y0, ys, low0, n0, j0, j1, own = piece
    last = AXIS * axes
    large, cells, stride = grid[last], grid[last + 1], grid[last + 3]
    rows, leads, lines = 1, 1, n0
    for axis in range(axes):
        leads *= grid[AXIS * axis + 2]
        rows *= 1 if axis == 0 else grid[AXIS * axis]
        lines *= 1 if axis == 0 else grid[AXIS * axis + 1]
    taps, tile, of_phase = leads * grid[last + 2], min(_TILE, j1 - j0), 1
    for phase in range(min(stride, large)):
        of_phase = max(of_phase, grid[grid[last + 4] + phase + 1] - grid[grid[last + 4] + phase])
    row = stride * leads * of_phase
    most = max(1, min(min(ys * rows, row1 - row0), min(_TOGETHER // (stride * tile), _LISTED // row)))
    together = max(1, min(inputs, _LISTED // (most * row)))
    found, pair_taps, pair_cells = (
        np.empty(most, np.int64),
        np.empty((most, leads), np.int64),
        np.empty((most, leads), np.int64),
    )
    shape = (most * stride, leads * of_phase * together)
    places, factors = np.empty(shape, np.uint64), np.empty(shape, result.dtype)
    shifts, counts, sums = (
        np.empty(shape, np.int64),
        np.empty(shape[0], np.int64),
        np.empty(shape[0] * tile, result.dtype),
    )
    number = row0
    while number < row1:
        outer = number // (ys * rows)
        plane, first = outer // each, number - outer * ys * rows
        group, m, some = (plane0 + plane) % groups, outer % each, min(most, min(row1 - number, ys * rows - first))
        place = number - row0 if own else (((plane0 + plane) * each + m) * grid[0] + y0) * rows + first
        _pairs(grid, axes, y0 * rows + first, low0, found[:some], pair_taps, pair_cells)
        source_line = plane * inputs * lines
        weight_line = (group * inputs * each + m) * taps
        added = bias[group * each + m] if bias.shape[0] else result.dtype.type(0)
        for begin in range(j0, j1, tile):
            count = min(tile, j1 - begin)
            for c in range(0, max(inputs, 1), together):
                at, of = source_line + c * lines, weight_line + c * each * taps
                numbers = (lines, min(together, inputs - c), at, of, each * taps, cells)
                lists = (places, factors, shifts, counts[: some * stride])
                _lay_out(grid, last, numbers, begin, (found[:some], pair_taps, pair_cells), weight, lists)
                sum_rows(source, lists, cells, count, c == 0, added, sums)
            interleave(sums, some, stride, begin, count, result, place, large)
        number += some
