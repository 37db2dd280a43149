"""Max-unpooling of NumPy arrays by assignment, and back by `take`: places are flat positions of some planes.

Pieces of cells are scattered in order; Python handles Ctrl-C between them. Of several values assigned to one place the
last one stays: so says NumPy's quickstart, and so its loops do, though its reference promises no order in general.
Therefore each process tries it once (`_in_order`); were it otherwise, the last cell of each place would be looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from upsample import arrays
from upsample.arrays import NDArray
from upsample.engines.index_checks import legal
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["Places", "all_legal", "scatter", "take"]

_PIECE = 1 << 17
"""Cells scattered by one NumPy call."""
_ALONE = 1 << 14
"""Cells scattered by one NumPy call if one thread scatters all: their arrays then fit the L2 cache."""
_BAND = 1 << 22
"""Positions cleared at once, or kept in a temporary array (the index of the winner, or a sum in another dtype)."""

_Piece: TypeAlias = tuple[slice, slice]


class Places:
    """Where the cells of some planes go.

    Attributes
    ----------
    positions : int
        Of a plane.
    bad : bool
        Whether an index was seen that is not legal.
    """

    def __init__(self, plan: UnpoolPlan, where: NDArray, legal: bool, alone: bool) -> None:
        self._plan, self._where, self._legal = plan, where, legal
        self._most = _ALONE if alone else _PIECE
        self.positions = math.prod(plan.large_shape)
        self._as_they_are = not plan.local_indices and (plan.check_indices or plan.trusted)
        self._last: tuple[_Piece, tuple[NDArray, NDArray | None]] | None = None
        self._starts: list[NDArray] | None = None
        self.bad = False

    def groups(self) -> Iterator[slice]:
        """Planes whose places count from the first one's first position."""
        planes, cells = self._where.shape
        together = max(1, self._most // cells)
        return (slice(plane, min(plane + together, planes)) for plane in range(0, planes, together))

    def pieces(self, planes: slice) -> Iterator[_Piece]:
        """A group as a whole, or some cells of its one plane, in order."""
        cells = self._where.shape[1]
        return ((planes, slice(cell, min(cell + self._most, cells))) for cell in range(0, cells, self._most))

    def of(self, piece: _Piece) -> tuple[NDArray, NDArray | None]:
        """Return the place of each cell, and which cells have one (None: all); the place of the others is 0."""
        if self._last is None or self._last[0] != piece:
            self._last = piece, self._of(piece)
        return self._last[1]

    def _of(self, piece: _Piece) -> tuple[NDArray, NDArray | None]:
        where, kept = self._where[piece], None
        if not self._as_they_are:
            where, kept = (self._in_window if self._plan.local_indices else self._own)(where, piece[1])
        elif not self._legal and not _all_below(where, self.positions):
            kept = (where >= 0) & (where < self.positions)
            self.bad = True
        if len(where) > 1 or where.dtype != np.intp:
            where = np.add(where, np.arange(len(where))[:, None] * self.positions, dtype=np.intp)
        if kept is None or kept.all():
            return where.reshape(-1), None
        return np.where(kept, where, 0).reshape(-1), kept.reshape(-1)

    def _first_positions(self, cells: slice) -> list[NDArray]:
        """For each axis the first position of the windows of some cells."""
        shape = self._plan.small_shape
        if self._starts is not None and len(self._starts[0]) == self._where.shape[1]:
            return self._starts
        numbers = np.unravel_index(np.arange(cells.start, cells.stop), shape)
        self._starts = [n * a.stride - a.padding for n, a in zip(numbers, self._plan.windows, strict=True)]
        return self._starts

    def _in_window(self, where: NDArray, cells: slice) -> tuple[NDArray, NDArray]:
        """Turn indices that count within windows into positions."""
        axes = self._plan.windows
        window = math.prod(axis.kernel for axis in axes)
        rest = where.astype(np.int64)
        rest += (rest < 0) * np.int64(window)
        inside = (rest >= 0) & (rest < window)
        self.bad |= not inside.all()
        target, step = np.zeros_like(rest), 1
        for axis, start in reversed(list(zip(axes, self._first_positions(cells), strict=True))):
            above = rest // axis.kernel
            position = (rest - above * axis.kernel) * axis.dilation + start
            if axis.padding > 0 or (axis.small - 1) * axis.stride - axis.padding + axis.reach > axis.large:
                inside &= (position >= 0) & (position < axis.large)
            target += position * step
            rest, step = above, step * axis.large
        return target, inside

    def _own(self, where: NDArray, cells: slice) -> tuple[NDArray, NDArray]:
        """Find the indices that are in the windows of their cells."""
        target = rest = where.astype(np.int64)
        inside = (rest >= 0) & (rest < self.positions)
        for axis, start in reversed(list(zip(self._plan.windows, self._first_positions(cells), strict=True))):
            above = rest // axis.large
            tap = rest - above * axis.large - start
            inside &= (tap >= 0) & (tap < axis.reach) & (tap % axis.dilation == 0)
            rest = above
        return target, inside


def scatter(plan: UnpoolPlan, values: NDArray, places: Places, result: NDArray) -> None:
    """Unpool ``values [planes, cells]`` into ``result [planes, positions]``, which is contiguous."""
    adds = plan.duplicates == "sum" and not _apart(plan)
    for planes in places.groups():
        flat = result[planes].reshape(-1)
        for begin in range(0, flat.size, _BAND):
            flat[begin : begin + _BAND] = 0
        if adds:
            _add(values, places, planes, flat)
            continue
        for _, place, moved in _kept(values, places, planes):
            _assign(flat, place, moved)


def take(plan: UnpoolPlan, source: NDArray, places: Places, result: NDArray) -> None:
    """Take ``result [planes, cells]`` from ``source [planes, positions]``, which is contiguous; zero for no place."""
    for planes in places.groups():
        flat = source[planes].reshape(-1)
        for piece in places.pieces(planes):
            place, kept = places.of(piece)
            if result[piece].flags.c_contiguous:
                np.take(flat, place, out=result[piece].reshape(-1), mode="clip")
            else:
                result[piece] = flat[place].reshape(result[piece].shape)
            if kept is not None:
                result[piece][~kept.reshape(result[piece].shape)] = 0
        if plan.duplicates != "last" or _apart(plan):
            continue
        for begin in range(0, flat.size, _BAND):
            band = slice(begin, min(begin + _BAND, flat.size))
            if not _distinct(places, planes, band):
                _drop_losers(places, planes, band, result)


def _kept(values: NDArray, places: Places, planes: slice) -> Iterator[tuple[_Piece, NDArray, NDArray]]:
    """For each piece the places, and the values that go there."""
    for piece in places.pieces(planes):
        place, kept = places.of(piece)
        moved = values[piece].reshape(-1)
        yield (piece, place, moved) if kept is None else (piece, place[kept], moved[kept])


def _assign(flat: NDArray, place: NDArray, moved: NDArray) -> None:
    """Put values in their places; the last of several stays."""
    if not _in_order(flat.dtype):
        order = np.argsort(place, kind="stable")
        ordered = place[order]
        last = order[np.append(ordered[1:] != ordered[:-1], True)] if order.size else order
        place, moved = place[last], moved[last]
    flat[place] = moved


@lru_cache(maxsize=32)
def _in_order(dtype: np.dtype[Any]) -> bool:
    """Whether an assignment goes from its first value to its last: tried with places that come many times."""
    place, number = np.arange(1000) * 7 % 61, np.arange(1000)
    found, last = np.zeros(61, dtype), np.zeros(61, np.int64)
    found[place] = number.astype(dtype)
    np.maximum.at(last, place, number)
    return bool((found == last.astype(dtype)).all())


def _add(values: NDArray, places: Places, planes: slice, flat: NDArray) -> None:
    """Add the values up in order, those of halves in float32, some positions at a time."""
    name = arrays.dtype_name(values)
    wide = arrays.accumulator(name)
    if wide == name:
        for _, place, added in _kept(values, places, planes):
            np.add.at(flat, place, added)
        return
    for begin in range(0, flat.size, _BAND):
        band = slice(begin, min(begin + _BAND, flat.size))
        total = np.zeros(band.stop - begin, dtype=wide)
        for _, place, added in _kept(values, places, planes):
            within = (place >= begin) & (place < band.stop)
            np.add.at(total, place[within] - begin, added[within].astype(wide))
        flat[band] = total


def _distinct(places: Places, planes: slice, band: slice) -> bool:
    """Whether the places in a band are all different."""
    named, count = np.zeros(band.stop - band.start, dtype=bool), 0
    for piece in places.pieces(planes):
        place, kept = places.of(piece)
        place = place if kept is None else place[kept]
        if len(named) < places.positions * (planes.stop - planes.start):
            place = place[(place >= band.start) & (place < band.stop)] - band.start
        named[place] = True
        count += place.size
    return bool(np.count_nonzero(named) == count)


def _drop_losers(places: Places, planes: slice, band: slice, result: NDArray) -> None:
    """Zero all but the last of the cells that took their value from one position of a band."""
    winners = np.full(band.stop - band.start, -1, dtype=np.int64)

    def named() -> Iterator[tuple[_Piece, NDArray, NDArray, NDArray]]:
        cells, of_all = result.shape[1], range(result.shape[1])
        for piece in places.pieces(planes):
            place, kept = places.of(piece)
            number = np.add.outer(np.arange(planes.stop - planes.start) * cells, np.asarray(of_all[piece[1]])).reshape(
                -1
            )
            inside = (place >= band.start) & (place < band.stop)
            inside = inside if kept is None else inside & kept
            yield piece, inside, place[inside] - band.start, number[inside]

    for _, _, place, number in named():
        _assign(winners, place, number)
    for piece, inside, place, number in named():
        part = result[piece]
        lost = np.zeros(part.size, dtype=bool)
        lost[inside] = winners[place] != number
        part[lost.reshape(part.shape)] = 0


def _lie_apart(plan: UnpoolPlan) -> bool:
    """Whether windows do not overlap."""
    return all(isinstance(a, WindowAxis) and a.reach <= a.stride for a in plan.axes)


def _apart(plan: UnpoolPlan) -> bool:
    """Whether no two cells can name one position."""
    return plan.trusted and _lie_apart(plan)


def all_legal(plan: UnpoolPlan, where: NDArray) -> bool:
    """Whether there is no index that would be an error."""
    allowed = legal(plan)
    if allowed.start == 0:
        return _all_below(where, allowed.stop)
    return where.size == 0 or bool(where.min() >= allowed.start and where.max() < allowed.stop)


def _all_below(where: NDArray, end: int) -> bool:
    """Whether indices are in ``[0, end)``; in one pass, for a negative one is a large unsigned one."""
    if where.size == 0:
        return True
    if end > np.iinfo(where.dtype).max:
        return bool(where.min() >= 0)
    return bool(where.view(f"u{where.dtype.itemsize}").max() < end)
