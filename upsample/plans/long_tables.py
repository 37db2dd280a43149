"""Compute long tables in pieces, because Python handles Ctrl-C only between NumPy calls.

The temporary arrays of a piece also stay in the caches. Those of a full table would be as long as the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

__all__ = ["PIECE", "in_pieces"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

PIECE = 1 << 18
"""Approximate entries per piece: a few milliseconds of work."""


def in_pieces(make: Callable[[int, int], tuple[_Array, ...]], begin: int, end: int, step: int) -> tuple[_Array, ...]:
    """Return the arrays ``make(begin, end)``, which have a row for each number, computed `step` rows at a time.

    Pieces may differ in columns: zeros fill the rows of narrower ones.
    """
    if end - begin <= step:
        return make(begin, end)
    tables: list[_Array] = []
    for low in range(begin, end, step):
        pieces = make(low, min(low + step, end))
        tables = tables or [np.zeros((end - begin, *piece.shape[1:]), piece.dtype) for piece in pieces]
        for at, piece in enumerate(pieces):
            if piece.shape[1:] > tables[at].shape[1:]:
                tables[at] = _widened(tables[at], piece.shape[1], low - begin, step)
            tables[at][(slice(low - begin, low - begin + len(piece)), *map(slice, piece.shape[1:]))] = piece
    return tuple(tables)


def _widened(table: _Array, columns: int, rows: int, step: int) -> _Array:
    """Copy the first rows to an array of more columns."""
    wider = np.zeros((len(table), columns), table.dtype)
    for low in range(0, rows, step):
        high = min(low + step, rows)
        wider[low:high, : table.shape[1]] = table[low:high]
    return wider
