"""Max-pooling of small windows: compare all taps of a window, three or four in each pass, in registers.

A tap in the padding repeats the nearest tap inside, its neighbor in the order of taps. A value never wins against
itself, so neither the maximum nor its index changes. Tables contain the positions of taps. They repeat the last tap
until it fills the last pass. Kernels count places in 32 bits until they store indices.

Callers pass all arrays, also scratch memory. If a kernel allocated one, LLVM could not exclude that it overlaps the
others, and would not vectorize the loops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.pool.piece import Piece
from upsample.engines.cpu.runtime.compile import inlined, kernel, part

__all__ = ["FIRST", "MORE", "pool_cells", "pool_rows"]


class RowSizes(NamedTuple):
    """The sizes of a plane for `pool_rows`.

    Attributes
    ----------
    in_rows, rows : int
        Input rows and rows of cells of a plane.
    row_cells, stride : int
        Cells of a row, and positions from one cell's window to the next.
    inside_begin, inside_end : int
        Bounds of the cells of a row that have no tap in the padding.
    """

    in_rows: int
    rows: int
    row_cells: int
    stride: int
    inside_begin: int
    inside_end: int


_U: Any = np.uint64

FIRST, MORE = 4, 3
"""Taps of the first pass and of each later pass."""


@part
def _better(best: Any, place: Any, value: Any, other: Any, last_nan: bool) -> tuple[Any, Any]:
    """Return the maximum and its place, after a comparison with `value` at place `other`."""
    wins = (value > best) | ((value != value) & (last_nan | (best == best)))
    return value if wins else best, other if wins else place


@inlined
def _best(
    best: Any, place: Any, x: NDArray, k: Any, at: tuple[Any, Any, Any], places: tuple[Any, Any, Any], last_nan: bool
) -> tuple[Any, Any]:
    """Return the maximum and its place, after comparisons with the taps ``x[at + k]`` at `places`."""
    best, place = _better(best, place, x[at[0] + k], places[0], last_nan)
    best, place = _better(best, place, x[at[1] + k], places[1], last_nan)
    return _better(best, place, x[at[2] + k], places[2], last_nan)


@kernel
def pool_cells(
    x: NDArray,
    scratch: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: tuple[int, int, int, int],
    sizes: tuple[int, int, int],
    taps: NDArray,
    home: NDArray,
    weights: NDArray,
    last_nan: bool,
) -> None:
    """Pool small planes. `values` begins at the block's first cell, `indices` at the first cell of the result.

    ``piece``: position of the block's first plane in `x`, number of this plane, count of planes, index of the first
    position. ``sizes``: positions of a plane, cells of a plane, planes at once. ``taps [taps, cells of the planes at
    once]`` and `home` are positions: of each tap, and of the first element of each cell's plane. `weights` has what
    each position adds to an index; it is empty if each adds its own number.
    """
    first, plane0, planes, origin = piece
    size, cells, group = sizes
    for plane in range(0, planes, group):
        n = min(group, planes - plane) * cells
        s, d = _U(first + plane * size), _U(plane * cells)
        for j in range(_U(n)):
            o, a, b, c = taps[_U(0), j], taps[_U(1), j], taps[_U(2), j], taps[_U(3), j]
            values[d + j], scratch[j] = _best(x[s + _U(o)], o, x, s, (_U(a), _U(b), _U(c)), (a, b, c), last_nan)
        for t in range(_U(FIRST), _U(taps.shape[0]), _U(MORE)):
            for j in range(_U(n)):
                a, b, c = taps[t, j], taps[t + _U(1), j], taps[t + _U(2), j]
                at = (_U(a), _U(b), _U(c))
                values[d + j], scratch[j] = _best(values[d + j], scratch[j], x, s, at, (a, b, c), last_nan)
        if indices.shape[0]:
            d = _U((plane0 + plane) * cells)
            if weights.shape[0]:
                for j in range(_U(n)):
                    indices[d + j] = origin + weights[_U(scratch[j] - home[j])]
            else:
                for j in range(_U(n)):
                    indices[d + j] = origin + np.int64(scratch[j]) - np.int64(home[j])


@part
def _first_pass(
    x: NDArray,
    starts: NDArray,
    shifts: NDArray,
    rows: int,
    n: int,
    stride: int,
    last_nan: bool,
    values: NDArray,
    v: int,
    step: int,
    scratch: NDArray,
) -> None:
    """Compare the first four taps of rows of cells; `starts` has the position of each row's first value of a tap."""
    for r in range(rows):
        s, at = _U(starts[r, 0]), (_U(starts[r, 1]), _U(starts[r, 2]), _U(starts[r, 3]))
        shift = (shifts[r, 1], shifts[r, 2], shifts[r, 3])
        d, e = _U(v + r * step), _U(r * n)
        if stride == 2:
            for j in range(_U(n)):
                k = _U(2) * j
                values[d + j], scratch[e + j] = _best(x[s + k], np.int32(0), x, k, at, shift, last_nan)
        else:
            for j in range(_U(n)):
                k = _U(stride) * j
                values[d + j], scratch[e + j] = _best(x[s + k], np.int32(0), x, k, at, shift, last_nan)


@part
def _later_pass(
    x: NDArray,
    starts: NDArray,
    shifts: NDArray,
    t: int,
    rows: int,
    n: int,
    stride: int,
    last_nan: bool,
    values: NDArray,
    v: int,
    step: int,
    scratch: NDArray,
) -> None:
    """Compare three more taps of rows of cells, from tap `t` on."""
    for r in range(rows):
        at = (_U(starts[r, t]), _U(starts[r, t + 1]), _U(starts[r, t + 2]))
        shift = (shifts[r, t], shifts[r, t + 1], shifts[r, t + 2])
        d, e = _U(v + r * step), _U(r * n)
        if stride == 2:
            for j in range(_U(n)):
                k = _U(2) * j
                values[d + j], scratch[e + j] = _best(values[d + j], scratch[e + j], x, k, at, shift, last_nan)
        else:
            for j in range(_U(n)):
                k = _U(stride) * j
                values[d + j], scratch[e + j] = _best(values[d + j], scratch[e + j], x, k, at, shift, last_nan)


@part
def _border(
    x: NDArray,
    starts: NDArray,
    shifts: NDArray,
    columns: NDArray,
    piece: Piece,
    sizes: RowSizes,
    rows: int,
    last_nan: bool,
    values: NDArray,
    v: int,
    step: int,
    indices: NDArray,
    c: int,
) -> None:
    """Pool cells that have taps in the padding, one by one; `columns` has the positions of their taps in a row."""
    begin, end = piece.begin, piece.end
    low, high = min(max(sizes.inside_begin, begin), end), min(max(sizes.inside_end, begin), end)
    inside = max(high - low, 0)
    for border in range(end - begin - inside):
        cell = begin + border if begin + border < low else begin + border + inside
        entry = cell if cell < sizes.inside_begin else cell - (sizes.inside_end - sizes.inside_begin)
        for r in range(rows):
            at = columns[entry, 0]
            best, o = x[_U(starts[r, 0] + at)], shifts[r, 0] + at
            for t in range(1, columns.shape[1]):
                at = columns[entry, t]
                best, o = _better(best, o, x[_U(starts[r, t] + at)], shifts[r, t] + at, last_nan)
            values[_U(v + r * step + cell)] = best
            if indices.shape[0]:
                indices[_U(c + r * sizes.row_cells + cell)] = o


@kernel
def pool_rows(
    x: NDArray,
    scratch: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: Piece,
    first: int,
    sizes: RowSizes,
    lead: NDArray,
    tap_weights: NDArray,
    across: NDArray,
    columns: NDArray,
    last_nan: bool,
    step: int,
) -> None:
    """Pool rows of cells. `values` begins at the block's first cell; its rows are `step` apart.

    `indices` begins at the first cell of the result, or is empty. `first` is the index of the first position. ``lead
    [rows of cells, taps]`` has the input row of each tap, and `tap_weights` what that row adds to an index. `across`
    has the positions of the first cell's taps in a row, and ``columns [cells, taps]`` the positions of the taps of each
    cell that has taps in the padding.
    """
    row0, row1, begin, end = piece.row_begin, piece.row_end, piece.begin, piece.end
    rows, row_cells, stride = sizes.rows, sizes.row_cells, sizes.stride
    low, high = min(max(sizes.inside_begin, begin), end), min(max(sizes.inside_end, begin), end)
    n, taps = max(high - low, 0), across.shape[0]
    most = max(1, min(row1 - row0, scratch.shape[0] // max(n, 1)))
    lines, weights = np.empty((most, taps), np.int64), np.empty((most, taps), np.int64)
    starts, shifts = np.empty((most, taps), np.int64), np.empty((most, taps), np.int32)
    for row in range(row0, row1, most):
        count, v, c = min(most, row1 - row), (row - row0) * step - begin, row * row_cells
        for r in range(count):
            plane, line = (row + r) // rows, (row + r) % rows
            for t in range(taps):
                row_of_tap = plane * sizes.in_rows + lead[line, t] - piece.first_row
                lines[r, t] = row_of_tap * piece.width - piece.first_position
                weights[r, t] = first + tap_weights[line, t]
                starts[r, t] = lines[r, t] + low * stride + across[t]
                shifts[r, t] = np.int32(weights[r, t] - weights[r, 0] + across[t] - across[0])
        if n:
            _first_pass(x, starts, shifts, count, n, stride, last_nan, values, v + low, step, scratch)
            for t in range(FIRST, taps, MORE):
                _later_pass(x, starts, shifts, t, count, n, stride, last_nan, values, v + low, step, scratch)
        if indices.shape[0]:
            for r in range(count):
                d, e, origin = _U(c + r * row_cells + low), _U(r * n), weights[r, 0] + low * stride + across[0]
                for j in range(_U(n)):
                    indices[d + j] = origin + np.int64(scratch[e + j]) + np.int64(stride) * np.int64(j)
        if n < end - begin:
            _border(x, lines, weights, columns, piece, sizes, count, last_nan, values, v, step, indices, c)
