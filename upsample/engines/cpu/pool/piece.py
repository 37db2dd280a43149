"""`Piece`: the block of cells that one call of a pooling kernel computes, and its part of the input."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Piece"]


class Piece(NamedTuple):
    """A block of rows of cells, and the part of the input that contains their windows.

    A cell is one element of the result. A row runs along the last axis.

    Attributes
    ----------
    row_begin, row_end : int
        The block's rows of cells, counted over all planes.
    begin, end : int
        The block's cells of the last axis.
    first_row, first_position : int
        Row and position at which the array that the kernel receives begins.
    width : int
        Positions of each row of that array.
    """

    row_begin: int
    row_end: int
    begin: int
    end: int
    first_row: int
    first_position: int
    width: int
