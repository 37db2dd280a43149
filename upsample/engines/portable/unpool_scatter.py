"""Max-unpooling of NumPy arrays by assignment, and back by `take`: places are flat positions of some planes.

Cells go in pieces, in order, between which somebody looks for Ctrl-C. NumPy does not say in which order it assigns
where a place comes twice. Windows of a pooling that lie apart name none twice; elsewhere the values are counted, or
what was written is read again, and where some are missing the last cell of each place is looked up. `numpy.add.at`
does have an order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from upsample import arrays
from upsample.copies import copy
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["Places", "all_below", "scatter", "take"]

_PIECE = 1 << 18
"""Cells at once."""
_BAND = 1 << 22
"""Positions of which something is kept at once: who stands there, or a sum in another dtype."""
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""What values of so many bytes are moved and compared as, so that NaN finds itself."""

_A: TypeAlias = Any
_Piece: TypeAlias = tuple[slice, slice]


class Places:
    """Where the cells of some planes go.

    Attributes
    ----------
    size : int
        Positions of all these planes.
    bad : bool
        Whether an index was seen that is not legal.
    """

    def __init__(self, plan: UnpoolPlan, where: _A) -> None:
        self._plan, self._where = plan, where
        self._positions = math.prod(plan.large_shape)
        self._as_they_are = not plan.local_indices and (plan.check_indices or plan.trusted)
        self._last: tuple[_Piece, tuple[_A, _A]] | None = None
        self._starts: list[_A] | None = None
        self.size = len(where) * self._positions
        self.bad = False

    def pieces(self) -> Iterator[_Piece]:
        """Some planes as a whole, or some cells of one, in order."""
        planes, cells = self._where.shape
        together, step = max(1, _PIECE // cells), min(cells, _PIECE)
        for plane in range(0, planes, together):
            for cell in range(0, cells, step):
                yield slice(plane, min(plane + together, planes)), slice(cell, min(cell + step, cells))

    def of(self, piece: _Piece) -> tuple[_A, _A]:
        """Return the place of each cell, and which cells have one (None: all); the place of the others is 0."""
        if self._last is None or self._last[0] != piece:
            self._last = piece, self._of(piece)
        return self._last[1]

    def _of(self, piece: _Piece) -> tuple[_A, _A]:
        where = self._where[piece]
        if self._as_they_are:
            kept = None if all_below(where, self._positions) else (where >= 0) & (where < self._positions)
            self.bad |= kept is not None
        else:
            where, kept = (self._in_window if self._plan.local_indices else self._own)(where, piece[1])
        planes = range(self._where.shape[0])[piece[0]]
        if planes.start or len(planes) > 1 or where.dtype != np.intp:
            where = np.add(where, np.arange(planes.start, planes.stop)[:, None] * self._positions, dtype=np.intp)
        if kept is None or kept.all():
            return where.reshape(-1), None
        return np.where(kept, where, 0).reshape(-1), kept.reshape(-1)

    def _first_positions(self, cells: slice) -> list[_A]:
        """For each axis the first position of the windows of some cells."""
        shape = self._plan.small_shape
        if self._starts is not None and len(self._starts[0]) == self._where.shape[1]:
            return self._starts
        numbers = np.unravel_index(np.arange(cells.start, cells.stop), shape)
        self._starts = [n * a.stride - a.padding for n, a in zip(numbers, self._plan.windows, strict=True)]
        return self._starts

    def _in_window(self, where: _A, cells: slice) -> tuple[_A, _A]:
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
            if axis.padding > 0 or (axis.small - 1) * axis.stride + axis.reach > axis.large:
                inside &= (position >= 0) & (position < axis.large)
            target += position * step
            rest, step = above, step * axis.large
        return target, inside

    def _own(self, where: _A, cells: slice) -> tuple[_A, _A]:
        """Find the indices that lie in the windows of their cells."""
        target = rest = where.astype(np.int64)
        inside = (rest >= 0) & (rest < self._positions)
        for axis, start in reversed(list(zip(self._plan.windows, self._first_positions(cells), strict=True))):
            above = rest // axis.large
            tap = rest - above * axis.large - start
            inside &= (tap >= 0) & (tap < axis.reach) & (tap % axis.dilation == 0)
            rest = above
        return target, inside


def scatter(plan: UnpoolPlan, values: _A, places: Places, result: _A) -> None:
    """Unpool ``values [planes, cells]`` into ``result [planes, positions]``, which is contiguous."""
    copy(np.broadcast_to(np.zeros((), dtype=result.dtype), result.shape), result)
    flat = result.reshape(-1)
    if plan.duplicates == "sum" and not _apart(plan):
        _add(values, places, flat)
        return
    kind = _UNSIGNED.get(values.dtype.itemsize)
    if kind is not None:
        flat, values = flat.view(kind), np.ascontiguousarray(values).view(kind)
    count = 0
    for _, place, moved in _kept(values, places):
        flat[place] = moved
        count += moved.size
    if _apart(plan) or plan.duplicates == "error":
        return
    if kind is not None:
        if _lie_apart(plan) and _nonzero(flat) == count:  # takes half of reading it again
            return
        if all((flat[place] == moved).all() for _, place, moved in _kept(values, places)):
            return
    for _, place, moved in _kept(values, places):
        last = _last_of_each(place)
        flat[place[last]] = moved[last]


def take(plan: UnpoolPlan, source: _A, places: Places, result: _A) -> None:
    """Take ``result [planes, cells]`` from ``source [planes, positions]``, which is contiguous; zero for no place."""
    flat = source.reshape(-1)
    for piece in places.pieces():
        place, kept = places.of(piece)
        if result[piece].flags.c_contiguous:
            np.take(flat, place, out=result[piece].reshape(-1), mode="clip")
        else:
            result[piece] = flat[place].reshape(result[piece].shape)
        if kept is not None:
            result[piece][~kept.reshape(result[piece].shape)] = 0
    if plan.duplicates != "last" or _apart(plan):
        return
    for begin in range(0, places.size, _BAND):
        if not _distinct(places, begin):
            _drop_losers(places, begin, result)


def _kept(values: _A, places: Places) -> Iterator[tuple[_Piece, _A, _A]]:
    """For each piece the places, and the values that go there."""
    for piece in places.pieces():
        place, kept = places.of(piece)
        moved = values[piece].reshape(-1)
        yield (piece, place, moved) if kept is None else (piece, place[kept], moved[kept])


def _add(values: _A, places: Places, flat: _A) -> None:
    """Add the values up in order, those of halves in float32, some positions at a time."""
    name = arrays.dtype_name(values)
    wide = arrays.accumulator(name)
    if wide == name:
        for _, place, added in _kept(values, places):
            np.add.at(flat, place, added)
        return
    for begin in range(0, flat.size, _BAND):
        total = np.zeros(min(_BAND, flat.size - begin), dtype=wide)
        for _, place, added in _kept(values, places):
            within = _within(place, begin, flat.size)
            np.add.at(total, place[within] - begin, added[within].astype(wide))
        with np.errstate(over="ignore"):
            flat[begin : begin + _BAND] = total


def _within(place: _A, begin: int, size: int) -> _A:
    """Which places are in the band from `begin` on, of `size` positions in all."""
    return slice(None) if size <= _BAND else (place >= begin) & (place < begin + _BAND)


def _distinct(places: Places, begin: int) -> bool:
    """Whether the places in a band are all different."""
    named, count = np.zeros(min(_BAND, places.size - begin), dtype=bool), 0
    for piece in places.pieces():
        place, kept = places.of(piece)
        place = place if kept is None else place[kept]
        place = place[_within(place, begin, places.size)]
        named[place - begin if begin else place] = True
        count += place.size
    return bool(np.count_nonzero(named) == count)


def _drop_losers(places: Places, begin: int, result: _A) -> None:
    """Let only the last cell keep what it took, of those at one place of a band."""
    stands = np.full(min(_BAND, places.size - begin), -1, dtype=np.int64)
    cells = result.shape[1]

    def named() -> Iterator[tuple[_Piece, _A, _A, _A]]:
        for piece in places.pieces():
            place, kept = places.of(piece)
            planes, some = (range(n)[cut] for n, cut in zip(result.shape, piece, strict=True))
            number = (np.arange(planes.start, planes.stop)[:, None] * cells + np.asarray(some)).reshape(-1)
            inside = (place >= begin) & (place < begin + len(stands))
            inside = inside if kept is None else inside & kept
            yield piece, inside, place[inside] - begin, number[inside]

    for _, _, place, number in named():
        np.maximum.at(stands, place, number)
    for piece, inside, place, number in named():
        part = result[piece]
        lost = np.zeros(part.size, dtype=bool)
        lost[inside] = stands[place] != number
        part[lost.reshape(part.shape)] = 0


def _last_of_each(place: _A) -> _A:
    """The last cell of each place."""
    order = np.argsort(place, kind="stable")
    ordered = place[order]
    return order[np.append(ordered[1:] != ordered[:-1], True)] if order.size else order


def _nonzero(flat: _A) -> int:
    """How many values are not zero."""
    return sum(int(np.count_nonzero(flat[begin : begin + _BAND])) for begin in range(0, flat.size, _BAND))


def _lie_apart(plan: UnpoolPlan) -> bool:
    """Whether windows do not overlap."""
    return all(isinstance(a, WindowAxis) and a.reach <= a.stride for a in plan.axes)


def _apart(plan: UnpoolPlan) -> bool:
    """Whether no two cells can name one position."""
    return plan.trusted and _lie_apart(plan)


def all_below(where: _A, end: int) -> bool:
    """Whether indices are in ``[0, end)``; in one pass, for a negative one is a large unsigned one."""
    if where.size == 0:
        return True
    if end > np.iinfo(where.dtype).max:
        return bool(where.min() >= 0)
    return bool(where.view(f"u{where.dtype.itemsize}").max() < end)
