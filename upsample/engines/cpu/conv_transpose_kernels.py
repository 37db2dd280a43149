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

from upsample.engines.cpu.compile import kernel

__all__ = ["AXIS", "PIECE", "gather", "spread"]

_A = np.ndarray[Any, Any]

AXIS = 6
"""Positions, cells, kernel, stride, places of the beginnings and of the pairs."""
PIECE = (
    "from and to which row (planes of the piece, each with its rows)",
    "first plane of images and groups",
    "first output channel, and how many, of a group",
    "output channels and input channels of a group, groups",
    "first position on the first axis, and how many",
    "first cell on the first axis that the source has, and how many",
    "first cell on the last axis that the source has, and how many",
    "positions of the phases from and to",
    "1 where the result holds the rows of this piece only",
)
"""What the numbers of ``piece`` mean, in order."""
_TILE = 1 << 11
"""Positions of a phase that are summed at once, so that they stay in the first-level cache."""


@kernel
def _pair(grid: _A, axes: int, row: int, number: int, low: int) -> tuple[Any, Any]:
    """Return the tap and the cell, both flat over the leading axes, of pair `number` of a row of positions."""
    tap, cell, tap_scale, cell_scale = 0, 0, 1, 1
    for axis in range(axes - 1, -1, -1):
        at = AXIS * axis
        large, kernel_size = grid[at], grid[at + 2]
        begins = grid[at + 4] + row % large
        row //= large
        count = grid[begins + 1] - grid[begins]
        entry = grid[at + 5] + 2 * (grid[begins] + number % count)
        number //= count
        tap += tap_scale * grid[entry]
        cell += cell_scale * (grid[entry + 1] - (low if axis == 0 else 0))
        tap_scale *= kernel_size
        cell_scale *= grid[at + 1]
    return tap, cell


@kernel
def _pairs(grid: _A, axes: int, row: int) -> Any:
    """Count the pairs of a row of positions."""
    total = 1
    for axis in range(axes - 1, -1, -1):
        at = AXIS * axis
        begins = grid[at + 4] + row % grid[at]
        row //= grid[at]
        total *= grid[begins + 1] - grid[begins]
    return total


@kernel
def _interleave(sums: _A, begin: int, count: int, stride: int, bias: Any, row: _A) -> None:
    """Store the phases' positions from `begin` on in a row, with the bias."""
    size = row.shape[0]
    if stride == 1:
        target, line = row[begin : begin + count], sums[0]
        for j in range(target.shape[0]):
            target[j] = line[j] + bias
    elif stride == 2:
        target, even, odd = row[2 * begin :], sums[0], sums[1]
        both = min(count, target.shape[0] // 2)
        for j in range(both):
            target[2 * j] = even[j] + bias
            target[2 * j + 1] = odd[j] + bias
        if both < count and 2 * both < target.shape[0]:
            target[2 * both] = even[both] + bias
    else:
        for phase in range(min(stride, size)):
            line = sums[phase]
            for j in range(min(count, (size - phase + stride - 1) // stride - begin)):
                row[stride * (begin + j) + phase] = line[j] + bias


@kernel
def _add_taps(source: _A, grid: _A, axes: int, begin: int, count: int, low: int, plane: int, sums: _A) -> None:
    """Add the last axis' taps: tap k of all cells of this row lies at ``source[k * plane:]``, from cell `low` on."""
    at = AXIS * axes
    cells, stride = grid[at + 1], grid[at + 3]
    for phase in range(min(stride, grid[at])):
        line = sums[phase]
        for entry in range(grid[grid[at + 4] + phase], grid[grid[at + 4] + phase + 1]):
            tap, shift = grid[grid[at + 5] + 2 * entry], grid[grid[at + 5] + 2 * entry + 1] + begin
            first, past = max(0, -shift), min(count, cells - shift)
            if past > first:
                share = source[tap * plane + shift + first - low : tap * plane + shift + past - low]
                target = line[first:past]
                for j in range(past - first):
                    target[j] += share[j]


@kernel
def gather(source: _A, grid: _A, axes: int, piece: tuple[int, ...], bias: _A, result: _A) -> None:
    """Sum the shares ``source [planes, channels, kernel, *cells]`` into rows of the result."""
    row0, row1, plane0, m0, ms, each, _, groups, y0, ys, low0, n0, low, width, j0, j1, own = piece
    last = AXIS * axes
    large, stride, rows, taps, lines = grid[last], grid[last + 3], 1, grid[last + 2], n0
    for axis in range(axes):
        taps *= grid[AXIS * axis + 2]
        rows *= 1 if axis == 0 else grid[AXIS * axis]
        lines *= 1 if axis == 0 else grid[AXIS * axis + 1]
    sums = np.empty((stride, min(_TILE, j1 - j0)), result.dtype)
    of_tap = lines * width
    for number in range(row0, row1):
        row, channel, plane = number % (ys * rows), number // (ys * rows) % ms, number // (ys * rows * ms)
        row += y0 * rows
        m = m0 + channel
        added = bias[((plane0 + plane) % groups) * each + m] if bias.shape[0] else result.dtype.type(0)
        whole = (((plane0 + plane) * each + m) * grid[0]) * rows + row
        place = (number - row0 if own else whole) * large
        target = result[place : place + large]
        total = _pairs(grid, axes, row)
        for begin in range(j0, j1, _TILE):
            count = min(_TILE, j1 - begin)
            sums[:, :count] = 0
            for pair in range(total):
                tap, cell = _pair(grid, axes, row, pair, low0)
                start = ((plane * ms + channel) * taps + tap * grid[last + 2]) * of_tap + cell * width
                _add_taps(source[start:], grid, axes, begin, count, low, of_tap, sums)
            _interleave(sums, begin, count, stride, added, target)


@kernel
def _spread_taps(source: _A, weight: _A, grid: _A, axes: int, begin: int, count: int, low: int, sums: _A) -> None:
    """Add a row of cells, which begins with cell `low`, times the weights of the last axis' taps."""
    at = AXIS * axes
    cells, stride = grid[at + 1], grid[at + 3]
    for phase in range(min(stride, grid[at])):
        line = sums[phase]
        for entry in range(grid[grid[at + 4] + phase], grid[grid[at + 4] + phase + 1]):
            factor = weight[grid[grid[at + 5] + 2 * entry]]
            shift = grid[grid[at + 5] + 2 * entry + 1] + begin
            first, past = max(0, -shift), min(count, cells - shift)
            if past > first:
                share = source[shift + first - low : shift + past - low]
                target = line[first:past]
                for j in range(past - first):
                    target[j] += factor * share[j]


@kernel
def spread(source: _A, weight: _A, grid: _A, axes: int, piece: tuple[int, ...], bias: _A, result: _A) -> None:
    """Weigh ``source [planes, inputs, *cells]`` with ``weight [groups, inputs, each, kernel]`` into result rows."""
    row0, row1, plane0, m0, ms, each, inputs, groups, y0, ys, low0, n0, low, width, j0, j1, own = piece
    last = AXIS * axes
    large, stride, rows, taps, lines = grid[last], grid[last + 3], 1, grid[last + 2], n0
    for axis in range(axes):
        taps *= grid[AXIS * axis + 2]
        rows *= 1 if axis == 0 else grid[AXIS * axis]
        lines *= 1 if axis == 0 else grid[AXIS * axis + 1]
    sums = np.empty((stride, min(_TILE, j1 - j0)), result.dtype)
    for number in range(row0, row1):
        row, channel, plane = number % (ys * rows), number // (ys * rows) % ms, number // (ys * rows * ms)
        row += y0 * rows
        m, group = m0 + channel, (plane0 + plane) % groups
        added = bias[group * each + m] if bias.shape[0] else result.dtype.type(0)
        whole = (((plane0 + plane) * each + m) * grid[0]) * rows + row
        place = (number - row0 if own else whole) * large
        target = result[place : place + large]
        total = _pairs(grid, axes, row)
        for begin in range(j0, j1, _TILE):
            count = min(_TILE, j1 - begin)
            sums[:, :count] = 0
            for c in range(inputs):
                factors = weight[((group * inputs + c) * each + m) * taps :]
                for pair in range(total):
                    tap, cell = _pair(grid, axes, row, pair, low0)
                    start = ((plane * inputs + c) * lines + cell) * width
                    _spread_taps(
                        source[start : start + width],
                        factors[tap * grid[last + 2] :],
                        grid,
                        axes,
                        begin,
                        count,
                        low,
                        sums,
                    )
            _interleave(sums, begin, count, stride, added, target)
