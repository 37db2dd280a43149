"""Compiled loops of transposed convolution with many channels: for each phase a matrix product, tile by tile.

A phase is the positions that leave the same rests when divided by the strides: all of them have the same taps, and
position ``j`` of a line reads cell ``j + shift`` for each. Lines of cells lie one behind the other, with zeros where
there is no cell, so that a tile goes over the ends of lines; sums beyond a line's end are dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel
from upsample.engines.cpu.tile import BITS, ROWS, tile1, tile2, tile3

__all__ = ["SLAB", "pack", "spread"]

_A = np.ndarray[Any, Any]

SLAB = ("first of its lists of taps", "first cell", "first row of the result", "lines", "rows from line to line")
"""What the numbers of a row of ``slabs`` mean: lines that are neighbours along the last axis but one."""
_BITS, _ROWS = BITS, ROWS
_TOGETHER = 16
"""Channels whose weights are laid out together: they stay in the first-level cache."""


@kernel
def pack(weight: _A, order: _A, numbers: tuple[int, int, int, int], packed: _A) -> Any:
    """Lay the weights of one tile's rows out as tiles read them; return NaN where a weight is not finite.

    ``weight [inputs, each, kernel]``, of one group; ``order`` has the taps as the phases use them.
    """
    inputs, each, taps, row = numbers
    rows, some, odd = _ROWS, min(_ROWS, each - row), weight.dtype.type(0)
    for begin in range(0, inputs, _TOGETHER):
        for t in range(order.shape[0]):
            for c in range(begin, min(begin + _TOGETHER, inputs)):
                source, to = (c * each + row) * taps + order[t], (t * inputs + c) * rows
                for m in range(some):
                    value = weight[source + m * taps]
                    packed[to + m] = value
                    odd += value * 0
                for m in range(some, rows):
                    packed[to + m] = 0
    return odd


@kernel
def _interleave(sums: _A, first: int, apart: int, stride: int, result: _A, place: int, width: int) -> None:
    """Store a line's sums, each phase's `apart` from the last's, in `width` positions from `place` on."""
    if stride == 2:
        even, odd, to = np.uint64(first), np.uint64(first + apart), np.uint64(place)
        one, two = np.uint64(1), np.uint64(2)
        for j in range(np.uint64(width // 2)):
            result[to + two * j] = sums[even + j]
            result[to + two * j + one] = sums[odd + j]
        if width % 2:
            result[place + width - 1] = sums[first + width // 2]
        return
    for phase in range(min(stride, width)):
        source, to = np.uint64(first + phase * apart), np.uint64(place + phase)
        for j in range(np.uint64((width - phase + stride - 1) // stride)):
            result[to + np.uint64(stride) * j] = sums[source + j]


@kernel
def _multiply(data: tuple[_A, ...], numbers: tuple[int, ...], vectors: int, apart: int) -> None:
    """Make a row of tiles of so many vectors, three together as long as there are enough."""
    w, c, o0, o1, inputs, step, b, to, line = numbers
    at = 0
    while at < vectors:
        left, place = vectors - at, at * apart
        if left == 3 or left > 4:
            tile3(data, (w, c + place, o0, o1, inputs, step, b, to + place, line, apart))
            at += 3
        elif left > 1:
            tile2(data, (w, c + place, o0, o1, inputs, step, b, to + place, line, apart))
            at += 2
        else:
            tile1(data, (w, c + place, o0, o1, inputs, step, b, to + place, line, apart))
            at += 1


@kernel
def spread(
    cells: _A,
    weights: _A,
    offsets: _A,
    begins: _A,
    slabs: _A,
    bias: _A,
    sums: _A,
    result: _A,
    numbers: tuple[int, ...],
) -> None:
    """Make output channels of planes, a tile's rows of them at a time.

    ``numbers``: tiles from and to, tiles made in turn, output channels, first weight and bias; planes, input channels,
    cells from channel to channel and from line to line; stride, width of a row of the result, lines made at once, sums
    kept for each row of a tile; place in the result of the first channel's first row, from plane to plane, from channel
    to channel and from row to row.
    """
    tile_from, tile_to, turn, each, w0, b0, planes, inputs, step, extent = numbers[:10]
    stride, width, most, line, origin, plane_pitch, pitch, row_pitch = numbers[10:]
    lanes = _BITS // (8 * sums.itemsize)
    taps, phases, data = offsets.shape[0], min(stride, width), (weights, cells, offsets, bias, sums)
    count = (width + stride - 1) // stride
    for first in range(tile_from, tile_to, turn):
        for number in range(planes * slabs.shape[0]):
            plane, s = number // slabs.shape[0], number % slabs.shape[0]
            for begin in range(0, slabs[s, 3], most):
                some = min(most, slabs[s, 3] - begin)
                for tile in range(first, min(first + turn, tile_to)):
                    for phase in range(phases):
                        q, c = slabs[s, 0] + phase, plane * inputs * step + slabs[s, 1] + begin * extent
                        w, to = w0 + (tile * taps + begins[q]) * inputs * _ROWS, phase * _ROWS * line
                        b, o0, o1 = b0 + tile * _ROWS, begins[q], begins[q + 1]
                        if count % lanes:
                            vectors = ((some - 1) * extent + count + lanes - 1) // lanes
                            _multiply(data, (w, c, o0, o1, inputs, step, b, to, line), vectors, lanes)
                        else:
                            for j in range(0, count, lanes):
                                _multiply(data, (w, c + j, o0, o1, inputs, step, b, to + j, line), some, extent)
                    for m in range(min(_ROWS, each - tile * _ROWS)):
                        for n in range(some):
                            row = slabs[s, 2] + (begin + n) * slabs[s, 4]
                            place = origin + plane * plane_pitch + (tile * _ROWS + m) * pitch + row * row_pitch
                            _interleave(sums, m * line + n * extent, _ROWS * line, stride, result, place, width)
