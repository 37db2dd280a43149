"""The part of a result that one call of a pooling kernel computes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Piece"]


class Piece(NamedTuple):
    """Rows of cells, and the part of the input that contains their windows.

    Attributes
    ----------
    row_begin, row_end : int
        Rows of cells.
    begin, end : int
        Cells of the last axis.
    first_row, first_position : int
        The first row and the first position of the input.
    width : int
        Positions of a row of the input.
    """

    row_begin: int
    row_end: int
    begin: int
    end: int
    first_row: int
    first_position: int
    width: int
