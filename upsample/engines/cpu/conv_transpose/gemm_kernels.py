"""GEMM kernels: pack weights and cells, then multiply tile by tile.

All positions of a phase have the same taps, and position ``j`` of a line reads cell ``j + shift`` for each. Lines of
cells are contiguous, with zeros in place of missing cells, so that a tile can cross the ends of lines. The kernel drops
the sums beyond the end of a line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.conv_transpose.grad_kernels import copy, copy_row
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import CHANNELS
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS, add_tiles
from upsample.engines.cpu.runtime.simd_copy import clear

__all__ = ["SLAB", "Planes", "Product", "Strides", "lay_out", "multiply", "pack"]


class Strides(NamedTuple):
    """The weight of one group, and the tile of it that is packed.

    Attributes
    ----------
    inputs, outputs : int
        Input and output channels.
    first : int
        The first output channel of the tile.
    of_input, of_output : int
        Elements from input to input channel, and from output to output channel.
    """

    inputs: int
    outputs: int
    first: int
    of_input: int
    of_output: int


class Planes(NamedTuple):
    """The planes whose cells are copied.

    Attributes
    ----------
    planes, inputs : int
        Planes, and channels of each.
    begin, of_plane, of_input, of_cell : int
        The first plane in the source, and the distances of planes, channels and cells.
    step : int
        Elements of a channel among the copied cells.
    """

    planes: int
    inputs: int
    begin: int
    of_plane: int
    of_input: int
    of_cell: int
    step: int


class Product(NamedTuple):
    """The part of a result that one call multiplies.

    Attributes
    ----------
    tile_begin, tile_end, turn : int
        Tiles of output channels, and how many take turns over the same cells.
    outputs : int
        Output channels of a group.
    first_weight, first_bias : int
        Where the weights and the biases of the group begin.
    planes, inputs : int
        Planes, and input channels.
    step, extent : int
        Cells from channel to channel, and from line to line.
    stride, width : int
        Phases of the last axis, and positions of a row of the result.
    lines : int
        Lines multiplied at once.
    sums : int
        Sums kept for each row of a tile.
    origin, of_plane, of_output, of_row : int
        The first row of the first channel in the result, and the distances of planes, channels and rows.
    """

    tile_begin: int
    tile_end: int
    turn: int
    outputs: int
    first_weight: int
    first_bias: int
    planes: int
    inputs: int
    step: int
    extent: int
    stride: int
    width: int
    lines: int
    sums: int
    origin: int
    of_plane: int
    of_output: int
    of_row: int


SLAB = ("first of its lists of taps", "first cell", "first row of the result", "lines", "rows from line to line")
"""What the numbers of a row of ``slabs`` mean: lines that are neighbours along the last axis but one."""


@kernel
def pack(weight: NDArray, begins: NDArray, order: NDArray, of: Strides, packed: NDArray) -> Any:
    """Pack the weights of one tile in the order in which tiles read them; return whether one of them is not finite.

    ``order`` has the taps of all phases, whose lists begin at ``begins``.
    """
    inputs, rows, block = of.inputs, ROWS, min(ROWS, of.outputs - of.first)
    odd: Any = False
    for first in range(0, inputs, CHANNELS):
        past = min(first + CHANNELS, inputs)
        for q in range(begins.shape[0] - 1):
            to = (begins[q] * inputs + first * (begins[q + 1] - begins[q])) * rows
            for t in range(begins[q], begins[q + 1]):
                for c in range(first, past):
                    source = c * of.of_input + of.first * of.of_output + order[t]
                    for m in range(block):
                        value = weight[source + m * of.of_output]
                        packed[to + m] = value
                        odd |= value - value != 0
                    for m in range(block, rows):
                        packed[to + m] = 0
                    to += rows
    return odd


@kernel
def lay_out(source: NDArray, rows: NDArray, of: Planes, cells: NDArray) -> None:
    """Copy rows of cells of several planes, with zeros between them.

    ``rows``: where each begins in a plane and in a region, and how many cells; they follow each other in the region.
    `cells` is a vector longer than its channels, because clearing writes whole vectors.
    """
    for plane in range(of.planes):
        for c in range(of.inputs):
            at, to = of.begin + plane * of.of_plane + c * of.of_input, (plane * of.inputs + c) * of.step
            end = 0
            for row in range(rows.shape[0]):
                clear(cells, to + end, rows[row, 1] - end)
                copy(source, at + rows[row, 0], of.of_cell, cells, to + rows[row, 1], rows[row, 2])
                end = rows[row, 1] + rows[row, 2]
            clear(cells, to + end, of.step - end)


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
    of: Product,
) -> None:
    """Multiply cells by the weights of output channels, a tile of channels at a time."""
    inputs, extent, line = of.inputs, of.extent, of.sums
    lanes = BITS // (8 * sums.itemsize)
    taps, phases, data = offsets.shape[0], min(of.stride, of.width), (weights, cells, offsets, sums)
    count = (of.width + of.stride - 1) // of.stride
    for first in range(of.tile_begin, of.tile_end, of.turn):
        for number in range(of.planes * slabs.shape[0]):
            plane, s = number // slabs.shape[0], number % slabs.shape[0]
            for begin in range(0, slabs[s, 3], of.lines):
                block = min(of.lines, slabs[s, 3] - begin)
                for tile in range(first, min(first + of.turn, of.tile_end)):
                    for phase in range(phases):
                        q, c = slabs[s, 0] + phase, plane * inputs * of.step + slabs[s, 1] + begin * extent
                        w, to = of.first_weight + (tile * taps + begins[q]) * inputs * ROWS, phase * ROWS * line
                        o0, o1 = begins[q], begins[q + 1]
                        _fill(sums, to, line, block * extent + lanes, bias, of.first_bias + tile * ROWS)
                        if count % lanes or count == extent:
                            vectors = ((block - 1) * extent + count + lanes - 1) // lanes
                            add_tiles(data, (w, c, o0, o1, inputs, CHANNELS, of.step, to, line), (), vectors, lanes)
                        else:
                            for j in range(0, count, lanes):
                                here = (w, c + j, o0, o1, inputs, CHANNELS, of.step, to + j, line)
                                add_tiles(data, here, (), block, extent)
                    for m in range(min(ROWS, of.outputs - tile * ROWS)):
                        for n in range(block):
                            row = slabs[s, 2] + (begin + n) * slabs[s, 4]
                            place = of.origin + plane * of.of_plane + (tile * ROWS + m) * of.of_output + row * of.of_row
                            _interleave(sums, m * line + n * extent, ROWS * line, of.stride, result, place, of.width)
