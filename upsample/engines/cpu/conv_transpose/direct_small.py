"""Direct transposed convolution of small arrays: the products of each row are listed once, for many calls.

`direct.sum_products` lists them in every call, which takes longer than the sums of a small array.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.conv_transpose.direct import AXIS, interleave, sum_rows
from upsample.engines.cpu.runtime.compile import kernel
from upsample.engines.cpu.runtime.fma import CHANNELS

__all__ = ["Sizes", "products_of_rows", "sum_listed"]


class Sizes(NamedTuple):
    """The sizes of a small transposed convolution.

    Attributes
    ----------
    planes, groups : int
        Planes of images and groups, and groups.
    outputs, of_group : int
        Output channels of a group, and its weights.
    of_plane, cells : int
        Cells of a plane, and of a row.
    of_channel : int
        Weights of a channel.
    rows : int
        Rows of the result for each output channel.
    stride, phase, large : int
        Phases of the last axis, positions of a phase, and positions of a row.
    """

    planes: int
    groups: int
    outputs: int
    of_group: int
    of_plane: int
    cells: int
    of_channel: int
    rows: int
    stride: int
    phase: int
    large: int


def products_of_rows(grid: NDArray, axes: int, inputs: int, outputs: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """List the products of the first channel of the first plane, for each row and phase of the last axis.

    Returns
    -------
    places, weights, shifts : array
        ``[rows * phases, products]``, flat: the cell of a product for position 0 of the phase, its weight, and the
        distance along the row from the position to the cell.
    counts : array
        Products of each.
    """
    numbers = grid[: AXIS * (axes + 1)].reshape(-1, AXIS)
    cells, kernel_size, stride = (int(n) for n in numbers[-1, 1:4])
    leading = [_entries(grid, axis, int(axis[0])) for axis in numbers[:-1]]
    phases = _entries(grid, numbers[-1], int(min(numbers[-1, 0], stride)))
    phases += [[] for _ in range(stride - len(phases))]
    lines, leads = math.prod(map(int, numbers[:-1, 1])), math.prod(map(int, numbers[:-1, 2]))
    found: list[list[tuple[int, int, int]]] = []
    for row in itertools.product(*leading):
        pairs = [(0, 0)]
        for axis, entries in zip(numbers, row, strict=False):
            pairs = [(t * int(axis[2]) + tap, c * int(axis[1]) + cell) for t, c in pairs for tap, cell in entries]
        for phase in phases:
            found.append(
                [
                    ((i * lines + c) * cells + shift, (i * outputs * leads + t) * kernel_size + tap, shift)
                    for block in range(0, inputs, CHANNELS)
                    for t, c in pairs
                    for tap, shift in phase
                    for i in range(block, min(block + CHANNELS, inputs))
                ]
            )
    counts = np.asarray([len(line) for line in found], dtype=np.int64)
    table = np.zeros((3, len(found), max(int(counts.max()), 1)), dtype=np.int64)
    for number, line in enumerate(found):
        table[:, number, : len(line)] = np.asarray(line, dtype=np.int64).reshape(-1, 3).T
    flat = table.reshape(3, -1)
    return flat[0].astype(np.uint64), flat[1].copy(), flat[2].copy(), counts


def _entries(grid: NDArray, axis: NDArray, count: int) -> list[list[tuple[int, int]]]:
    """The pairs of a tap and a cell of the first positions, or phases, of an axis."""
    ends, pairs = int(axis[4]), int(axis[5])
    return [
        [(int(grid[pairs + 2 * e]), int(grid[pairs + 2 * e + 1])) for e in range(grid[ends + n], grid[ends + n + 1])]
        for n in range(count)
    ]


@kernel
def sum_listed(
    source: NDArray,
    weight: NDArray,
    lists: tuple[NDArray, ...],
    sizes: Sizes,
    bias: NDArray,
    result: NDArray,
) -> None:
    """Sum ``source [planes, inputs, *cells]``, weighed with ``weight [groups, inputs, outputs, kernel]``, as listed."""
    places, weights, shifts, counts = lists
    outputs, lines = sizes.outputs, len(counts)
    factors, sums = np.empty(len(places), result.dtype), np.empty(lines * sizes.phase, result.dtype)
    longest = len(places) // lines
    for plane in range(sizes.planes):
        group, part = plane % sizes.groups, source[plane * sizes.of_plane : (plane + 1) * sizes.of_plane]
        for m in range(outputs):
            first = group * sizes.of_group + m * sizes.of_channel
            for line in range(lines):
                for n in range(line * longest, line * longest + counts[line]):
                    factors[n] = weight[first + weights[n]]
            added = bias[group * outputs + m] + result.dtype.type(0) if bias.shape[0] else result.dtype.type(0)
            sum_rows(part, (places, factors, shifts, counts), lines, sizes.cells, sizes.phase, True, sums)
            place = (plane * outputs + m) * sizes.rows
            interleave(sums, sizes.rows, sizes.stride, 0, sizes.phase, added, result, place, sizes.large)
