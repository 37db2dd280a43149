"""Max-pooling of small windows: compare all taps of a window, three or four at a time, in registers.

A tap in the padding is read as the nearest one inside, which is its neighbour in the order of taps, and a value
wins only against others, so neither maximum nor index changes. Tables say where taps are; they end with the last tap
once more, until turns are full. Places are counted in 32 bits until they are stored.

All arrays come from outside: of one that is made here the compiler would not know that nothing else lies there, and
would leave the loops as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.pool.piece import Piece
from upsample.engines.cpu.runtime.compile import kernel, part

__all__ = ["FIRST", "MORE", "pool_cells", "pool_rows"]


class RowSizes(NamedTuple):
    """The sizes of a plane, of which rows of cells are pooled.

    Attributes
    ----------
    in_rows, rows : int
        Rows of the input and of cells.
    every, stride : int
        Cells of a row, and positions from cell to cell.
    inside_begin, inside_end : int
        The cells of a row whose taps are all inside.
    """

    in_rows: int
    rows: int
    every: int
    stride: int
    inside_begin: int
    inside_end: int


_U: Any = np.uint64

FIRST, MORE = 4, 3
"""Taps of the first turn and of each other."""


@part
def _better(best: Any, place: Any, value: Any, other: Any, last_nan: bool) -> tuple[Any, Any]:
    wins = (value > best) | ((value != value) & (last_nan | (best == best)))
    return value if wins else best, other if wins else place


@kernel
def pool_cells(
    x: NDArray,
    place: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: tuple[int, int, int, int],
    sizes: tuple[int, int, int],
    taps: NDArray,
    home: NDArray,
    places: NDArray,
    last_nan: bool,
) -> None:
    """Pool small planes, `sizes` (positions, cells, planes at once): `values` begins at the piece, `indices` is whole.

    ``piece``: where the first plane lies in `x`, its number, how many planes; the index of the first position. ``taps
    [taps, cells of the planes at once]`` are positions, `home` where each cell's plane begins. `places` has what each
    position adds to an index, if that is not its own number.
    """
    first, plane0, planes, origin = piece
    size, cells, group = sizes
    for plane in range(0, planes, group):
        n = min(group, planes - plane) * cells
        s, d = _U(first + plane * size), _U(plane * cells)
        for j in range(_U(n)):
            o, a, b, c = taps[_U(0), j], taps[_U(1), j], taps[_U(2), j], taps[_U(3), j]
            best, o = _better(x[s + _U(o)], o, x[s + _U(a)], a, last_nan)
            best, o = _better(best, o, x[s + _U(b)], b, last_nan)
            best, o = _better(best, o, x[s + _U(c)], c, last_nan)
            values[d + j] = best
            place[j] = o
        for t in range(_U(FIRST), _U(taps.shape[0]), _U(MORE)):
            for j in range(_U(n)):
                a, b, c = taps[t, j], taps[t + _U(1), j], taps[t + _U(2), j]
                best, o = _better(values[d + j], place[j], x[s + _U(a)], a, last_nan)
                best, o = _better(best, o, x[s + _U(b)], b, last_nan)
                best, o = _better(best, o, x[s + _U(c)], c, last_nan)
                values[d + j] = best
                place[j] = o
        if indices.shape[0]:
            d = _U((plane0 + plane) * cells)
            if places.shape[0]:
                for j in range(_U(n)):
                    indices[d + j] = origin + places[_U(place[j] - home[j])]
            else:
                for j in range(_U(n)):
                    indices[d + j] = origin + np.int64(place[j]) - np.int64(home[j])


@part
def _first_turn(
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
    place: NDArray,
) -> None:
    """Take the first four taps of rows of cells; `starts` says where a tap's values begin for each row."""
    for r in range(rows):
        s, a, b, c = _U(starts[r, 0]), _U(starts[r, 1]), _U(starts[r, 2]), _U(starts[r, 3])
        p, q, w = shifts[r, 1], shifts[r, 2], shifts[r, 3]
        d, e = _U(v + r * step), _U(r * n)
        if stride == 2:
            for j in range(_U(n)):
                k = _U(2) * j
                best, o = _better(x[s + k], np.int32(0), x[a + k], p, last_nan)
                best, o = _better(best, o, x[b + k], q, last_nan)
                best, o = _better(best, o, x[c + k], w, last_nan)
                values[d + j] = best
                place[e + j] = o
        else:
            for j in range(_U(n)):
                k = _U(stride) * j
                best, o = _better(x[s + k], np.int32(0), x[a + k], p, last_nan)
                best, o = _better(best, o, x[b + k], q, last_nan)
                best, o = _better(best, o, x[c + k], w, last_nan)
                values[d + j] = best
                place[e + j] = o


@part
def _other_turn(
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
    place: NDArray,
) -> None:
    """Take three more taps of rows of cells, from `t` on."""
    for r in range(rows):
        a, b, c = _U(starts[r, t]), _U(starts[r, t + 1]), _U(starts[r, t + 2])
        p, q, w = shifts[r, t], shifts[r, t + 1], shifts[r, t + 2]
        d, e = _U(v + r * step), _U(r * n)
        if stride == 2:
            for j in range(_U(n)):
                k = _U(2) * j
                best, o = _better(values[d + j], place[e + j], x[a + k], p, last_nan)
                best, o = _better(best, o, x[b + k], q, last_nan)
                best, o = _better(best, o, x[c + k], w, last_nan)
                values[d + j] = best
                place[e + j] = o
        else:
            for j in range(_U(n)):
                k = _U(stride) * j
                best, o = _better(values[d + j], place[e + j], x[a + k], p, last_nan)
                best, o = _better(best, o, x[b + k], q, last_nan)
                best, o = _better(best, o, x[c + k], w, last_nan)
                values[d + j] = best
                place[e + j] = o


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
    begin, end, every = piece.begin, piece.end, sizes.every
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
                indices[_U(c + r * every + cell)] = o


@kernel
def pool_rows(
    x: NDArray,
    place: NDArray,
    values: NDArray,
    indices: NDArray,
    piece: Piece,
    first: int,
    sizes: RowSizes,
    lead: NDArray,
    places: NDArray,
    across: NDArray,
    columns: NDArray,
    last_nan: bool,
    step: int,
) -> None:
    """Pool rows of cells: `values` begins at the piece, rows `step` apart; `indices`, if there are any, is whole.

    `first` is the index of the first position. ``lead [rows of cells, taps]`` are rows of the input, and `places` their
    shares of an index. `across` has the positions of the first cell's taps in a row, and ``columns [cells, taps]``
    those of the cells with taps in the padding.
    """
    row0, row1, begin, end = piece.row_begin, piece.row_end, piece.begin, piece.end
    rows, every, stride = sizes.rows, sizes.every, sizes.stride
    low, high = min(max(sizes.inside_begin, begin), end), min(max(sizes.inside_end, begin), end)
    n, taps = max(high - low, 0), across.shape[0]
    most = max(1, min(row1 - row0, place.shape[0] // max(n, 1)))
    lines, weights = np.empty((most, taps), np.int64), np.empty((most, taps), np.int64)
    starts, shifts = np.empty((most, taps), np.int64), np.empty((most, taps), np.int32)
    for row in range(row0, row1, most):
        some, v, c = min(most, row1 - row), (row - row0) * step - begin, row * every
        for r in range(some):
            plane, line = (row + r) // rows, (row + r) % rows
            for t in range(taps):
                row_of_tap = plane * sizes.in_rows + lead[line, t] - piece.first_row
                lines[r, t] = row_of_tap * piece.width - piece.first_position
                weights[r, t] = first + places[line, t]
                starts[r, t] = lines[r, t] + low * stride + across[t]
                shifts[r, t] = np.int32(weights[r, t] - weights[r, 0] + across[t] - across[0])
        if n:
            _first_turn(x, starts, shifts, some, n, stride, last_nan, values, v + low, step, place)
            for t in range(FIRST, taps, MORE):
                _other_turn(x, starts, shifts, t, some, n, stride, last_nan, values, v + low, step, place)
        if indices.shape[0]:
            for r in range(some):
                d, e, origin = _U(c + r * every + low), _U(r * n), weights[r, 0] + low * stride + across[0]
                for j in range(_U(n)):
                    indices[d + j] = origin + np.int64(place[e + j]) + np.int64(stride) * np.int64(j)
        if n < end - begin:
            _border(x, lines, weights, columns, piece, sizes, some, last_nan, values, v, step, indices, c)
