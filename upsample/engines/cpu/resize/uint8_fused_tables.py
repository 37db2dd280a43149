"""Tables of `uint8_fused`: where the taps of vectors along a row are, and which rows of the ring columns add."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize.uint8_fused_intrinsics import ACROSS, SHUFFLES
from upsample.plans.resize import AxisRule
from upsample.plans.taps import fixed_point, listed_apart, taps

__all__ = ["Columns", "Rows", "columns_of", "integers_of", "paired", "rows_of"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_PIECES = (1, 2, 4)
"""Loads for a group of four outputs, of 16, 8 or 4 bytes each."""
_ORDERS = {"int16": (0, 2, 1, 3), "int32": (0, 1, 2, 3)}
"""Groups of 16 outputs in the order of the vectors' halves: packing two vectors of int32 interleaves them."""
_ZERO = 0x80
"""Index, in a byte shuffle of AVX2, that yields a zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Taps along a row.

    Attributes
    ----------
    pieces : int
        Loads for a group of four outputs; 0 where outputs are made one by one, from `index` and `weight`.
    steps : int
        Pairs of taps.
    begins, masks, weights : ndarray
        What `upsample.engines.cpu.resize.uint8_fused_intrinsics.weigh_across` takes.
    index, weight : ndarray of int32, shape (out, taps)
        The inputs of each output, and the weights as integers.
    """

    pieces: int
    steps: int
    begins: _Array
    masks: _Array
    weights: _Array
    index: _Array
    weight: _Array


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Taps along a column.

    Attributes
    ----------
    low, high : ndarray of int64, shape (out,)
        The first row of an output, and the last one.
    slots : int
        Rows of the ring.
    index : ndarray of int64, shape (out, taps)
        The rows of the taps.
    weight : ndarray of int32, shape (out, taps)
        Their weights as integers, zero where an output has fewer taps.
    """

    low: _Array
    high: _Array
    slots: int
    index: _Array
    weight: _Array


def integers_of(rule: AxisRule, *, apart: bool) -> tuple[_Array, _Array]:
    """Return the inputs of each output, and their weights as integers; `apart` merges no taps at the border."""
    bits = rule.bits
    if apart:
        index, weight = listed_apart(rule)
    else:
        if rule.places is None:
            table = taps(rule)
        else:
            fixed = fixed_point(rule)
            table, bits = fixed.table, fixed.shift
        place = np.minimum(np.arange(table.longest), np.maximum(table.count, 1)[:, None] - 1)
        index, weight = table.first[:, None] + place, table.weight
    return index, np.rint(weight * 2.0**bits).astype(np.int32)


def columns_of(index: _Array, weight: _Array) -> Columns | None:
    """Lay out a ring of rows, or return None where rows do not ascend from output to output."""
    low, high = index.min(axis=1), index.max(axis=1)
    if (np.diff(low) < 0).any() or (np.diff(high) < 0).any():
        return None
    return Columns(low, high, int((high - low).max()) + 1, index, weight)


def paired(columns: Columns) -> Columns | None:
    """Return the same with two weights in each int32, the first in the lower half; None where one needs 17 bits."""
    if int(np.abs(columns.weight).max()) >= 1 << 15:
        return None
    odd = columns.index.shape[1] % 2
    index = np.concatenate([columns.index, columns.index[:, -1:]], axis=1) if odd else columns.index
    weight = np.pad(columns.weight, ((0, 0), (0, odd))).astype(np.uint32)
    return replace(columns, index=index, weight=(weight[:, ::2] & 0xFFFF | weight[:, 1::2] << 16).view(np.int32))


def rows_of(index: _Array, weight: _Array, inner: int, in_size: int, ring: str) -> Rows:
    """Lay out the vectors along a row of `inner` values a pixel."""
    index, weight = index.astype(np.int32), weight.astype(np.int32)
    none = np.empty(0, np.uint32), np.empty(0, np.uint8), np.empty(0, np.int16)
    if not SHUFFLES or int(np.abs(weight).max()) >= 1 << 15:
        return Rows(0, 0, *none, index, weight)
    if index.shape[1] % 2:
        pairs = np.concatenate([index, index[:, -1:]], axis=1), np.pad(weight, ((0, 0), (0, 1)))
    else:
        pairs = index, weight
    steps, size = pairs[0].shape[1] // 2, len(index) * inner
    element = np.minimum(np.arange(-(-size // ACROSS) * ACROSS), size - 1)
    pixel = element // inner
    at = (pairs[0][pixel] * inner + (element % inner)[:, None]).reshape(-1, 4, steps, 2)
    factor = pairs[1][pixel].reshape(-1, 4, steps, 2)
    for pieces in _PIECES:
        found = _shuffled(at, factor, pixel.reshape(-1, 4), in_size * inner, pieces, ring)
        if found is not None:
            return Rows(pieces, steps, *found, index, weight)
    return Rows(0, 0, *none, index, weight)


def _shuffled(
    at: _Array, factor: _Array, pixel: _Array, row_bytes: int, pieces: int, ring: str
) -> tuple[_Array, _Array, _Array] | None:
    """Return begins, masks and weights, or None where the taps of a piece are farther apart than a load is wide.

    `at` and `factor` have groups, outputs of a group, pairs of taps, and the two of a pair.
    """
    size = 16 // pieces
    if row_bytes < size:
        return None
    if pieces == 2:  # a group spans two pixels at most, or four of one value
        piece = np.minimum(pixel - pixel[:, :1], 3)
        piece = piece // 2 if (piece == 3).any() else np.minimum(piece, 1)
    else:
        piece = np.broadcast_to(np.arange(4) * pieces // 4, pixel.shape)
    groups, _, steps, _ = at.shape
    begin = np.full((groups, steps, pieces), row_bytes - size)
    for k in range(pieces):
        inside = (piece == k)[:, :, None, None]
        begin[:, :, k] = np.minimum(np.where(inside, at, row_bytes).min(axis=(1, 3)), row_bytes - size)
    group = np.arange(groups)[:, None, None]
    own = begin[group, np.arange(steps), piece[:, :, None]]
    offset = at - own[..., None]
    if offset.max() >= size:
        return None
    mask = np.full((groups, steps, 4, 2, 2), _ZERO, np.uint8)
    mask[..., 0] = (offset + (piece * size)[:, :, None, None]).transpose(0, 2, 1, 3)
    weights = factor.transpose(0, 2, 1, 3).astype(np.int16)
    order = list(_ORDERS[ring])
    parts = (begin.astype(np.uint32), mask, weights)
    begins, masks, factors = (
        np.moveaxis(p.reshape(-1, 4, steps, p.size // (groups * steps))[:, order], 1, 2).reshape(-1) for p in parts
    )
    return begins, masks, factors
