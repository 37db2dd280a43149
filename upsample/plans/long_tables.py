"""Compute long tables piece by piece, because Python handles signals between NumPy calls only.

The temporaries of a piece stay in the caches, too, where those of a whole table would each be as long as it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

__all__ = ["PIECE", "in_pieces"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

PIECE = 1 << 18
"""Entries of a piece, about: some milliseconds."""


def in_pieces(make: Callable[[int, int], tuple[_Array, ...]], begin: int, end: int, step: int) -> tuple[_Array, ...]:
    """Return ``make(begin, end)``, arrays of one row each from `begin` to `end`, made `step` rows at a time.

    Pieces may differ in columns: rows of fewer are filled up with zeros.
    """
    if end - begin <= step:
        return make(begin, end)
    wholes: list[_Array] = []
    for low in range(begin, end, step):
        pieces = make(low, min(low + step, end))
        wholes = wholes or [np.zeros((end - begin, *piece.shape[1:]), piece.dtype) for piece in pieces]
        for at, piece in enumerate(pieces):
            if piece.shape[1:] > wholes[at].shape[1:]:
                wholes[at] = _widened(wholes[at], piece.shape[1], low - begin, step)
            wholes[at][(slice(low - begin, low - begin + len(piece)), *map(slice, piece.shape[1:]))] = piece
    return tuple(wholes)


def _widened(whole: _Array, columns: int, rows: int, step: int) -> _Array:
    """Copy the first rows into an array of more columns."""
    wider = np.zeros((len(whole), columns), whole.dtype)
    for low in range(0, rows, step):
        high = min(low + step, rows)
        wider[low:high, : whole.shape[1]] = whole[low:high]
    return wider
