"""GEMM kernels: pack weights and cells, then multiply tile by tile.

All positions of a phase have the same taps, and position ``j`` of a line reads cell ``j + shift`` for each. Lines of
cells lie one behind the other, with zeros where there is no cell, so that a tile goes over the ends of lines; sums
beyond a line's end are dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.conv_transpose.grad_kernels import copy, copy_row
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import CHANNELS
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS, add_tiles
from upsample.engines.cpu.runtime.simd_copy import clear

__all__ = ["SLAB", "lay_out", "multiply", "pack"]


SLAB = ("first of its lists of taps", "first cell", "first row of the result", "lines", "rows from line to line")
"""What the numbers of a row of ``slabs`` mean: lines that are neighbours along the last axis but one."""


@kernel
def pack(weight: NDArray, begins: NDArray, order: NDArray, numbers: tuple[int, ...], packed: NDArray) -> Any:
    """Lay the weights of one tile's rows out as tiles read them; say whether one of them is not finite.

    ``order`` has the taps of all phases, whose lists begin at ``begins``. ``numbers``: input and output channels, the
    first output channel of the tile; the distances of input and of output channels in `weight`.
    """
    inputs, each, row, of_input, of_row = numbers
    rows, some = ROWS, min(ROWS, each - row)
    odd: Any = False
    for first in range(0, inputs, CHANNELS):
        past = min(first + CHANNELS, inputs)
        for q in range(begins.shape[0] - 1):
            to = (begins[q] * inputs + first * (begins[q + 1] - begins[q])) * rows
            for t in range(begins[q], begins[q + 1]):
                for c in range(first, past):
                    source = c * of_input + row * of_row + order[t]
                    for m in range(some):
                        value = weight[source + m * of_row]
                        packed[to + m] = value
                        odd |= value - value != 0
                    for m in range(some, rows):
                        packed[to + m] = 0
                    to += rows
    return odd


@kernel
def lay_out(source: NDArray, rows: NDArray, numbers: tuple[int, ...], cells: NDArray) -> None:
    """Copy rows of cells of some planes, with zeros between them.

    ``rows``: where each begins in a plane and in a region, and how many cells; one behind the other in the region.
    ``numbers``: planes, channels; the first plane, from plane to plane, from channel to channel and from cell to cell
    in `source`; from channel to channel in `cells`, which is a vector longer: what comes later is written later.
    """
    planes, inputs, begin, apart, size, stride, step = numbers
    for plane in range(planes):
        for c in range(inputs):
            at, to = begin + plane * apart + c * size, (plane * inputs + c) * step
            end = 0
            for row in range(rows.shape[0]):
                clear(cells, to + end, rows[row, 1] - end)
                copy(source, at + rows[row, 0], stride, cells, to + rows[row, 1], rows[row, 2])
                end = rows[row, 1] + rows[row, 2]
            clear(cells, to + end, step - end)


@part
def _interleave(sums: NDArray, first: int, apart: int, stride: int, result: NDArray, place: int, width: int) -> None:
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
    if stride == 1:
        copy_row(sums, first, result, place, width)
        return
    for phase in range(min(stride, width)):
        source, to = np.uint64(first + phase * apart), np.uint64(place + phase)
        for j in range(np.uint64((width - phase + stride - 1) // stride)):
            result[to + np.uint64(stride) * j] = sums[source + j]


@part
def _fill(sums: NDArray, to: int, line: int, size: int, bias: NDArray, at: int) -> None:
    """Set so many sums of each row of a tile to the row's bias."""
    for m in range(ROWS):
        for j in range(np.uint64(size)):
            sums[np.uint64(to + m * line) + j] = bias[at + m]


@kernel
def multiply(
    cells: NDArray,
    weights: NDArray,
    offsets: NDArray,
    begins: NDArray,
    slabs: NDArray,
    bias: NDArray,
    sums: NDArray,
    result: NDArray,
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
    lanes = BITS // (8 * sums.itemsize)
    taps, phases, data = offsets.shape[0], min(stride, width), (weights, cells, offsets, sums)
    count = (width + stride - 1) // stride
    for first in range(tile_from, tile_to, turn):
        for number in range(planes * slabs.shape[0]):
            plane, s = number // slabs.shape[0], number % slabs.shape[0]
            for begin in range(0, slabs[s, 3], most):
                some = min(most, slabs[s, 3] - begin)
                for tile in range(first, min(first + turn, tile_to)):
                    for phase in range(phases):
                        q, c = slabs[s, 0] + phase, plane * inputs * step + slabs[s, 1] + begin * extent
                        w, to = w0 + (tile * taps + begins[q]) * inputs * ROWS, phase * ROWS * line
                        o0, o1 = begins[q], begins[q + 1]
                        _fill(sums, to, line, some * extent + lanes, bias, b0 + tile * ROWS)
                        if count % lanes or count == extent:
                            vectors = ((some - 1) * extent + count + lanes - 1) // lanes
                            add_tiles(data, (w, c, o0, o1, inputs, CHANNELS, step, to, line), (), vectors, lanes)
                        else:
                            for j in range(0, count, lanes):
                                here = (w, c + j, o0, o1, inputs, CHANNELS, step, to + j, line)
                                add_tiles(data, here, (), some, extent)
                    for m in range(min(ROWS, each - tile * ROWS)):
                        for n in range(some):
                            row = slabs[s, 2] + (begin + n) * slabs[s, 4]
                            place = origin + plane * plane_pitch + (tile * ROWS + m) * pitch + row * row_pitch
                            _interleave(sums, m * line + n * extent, ROWS * line, stride, result, place, width)
