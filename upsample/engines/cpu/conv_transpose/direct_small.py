"""Direct transposed convolution of small arrays: the products of each row are listed once, for many calls.

`gather` lists them in every call, which takes longer than the sums of a small array. The sums are the same loops.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.conv_transpose.direct import AXIS, interleave, sum_rows
from upsample.engines.cpu.runtime.compile import kernel
from upsample.engines.cpu.runtime.fma import CHANNELS

__all__ = ["NUMBERS", "gather_listed", "products_of_rows"]


NUMBERS = (
    "planes of images and groups, groups",
    "output channels of a group, and its weights",
    "cells of a plane, of a row, weights of a channel",
    "rows of the result for each of its channels",
    "phases of the last axis, positions of a phase, of a row",
)
"""What the numbers of ``numbers`` mean, in order."""


def products_of_rows(grid: NDArray, axes: int, inputs: int, each: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """List what the first channel of the first plane adds up, for each row and phase of the last axis.

    Returns
    -------
    places, weights, shifts : array
        ``[rows * phases, products]``, flat: a product's cell, for position 0 of the phase, and weight; and how much
        further along the row the cell lies than the position.
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
                    ((i * lines + c) * cells + shift, (i * each * leads + t) * kernel_size + tap, shift)
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
def gather_listed(
    source: NDArray,
    weight: NDArray,
    lists: tuple[NDArray, ...],
    numbers: tuple[int, ...],
    bias: NDArray,
    result: NDArray,
) -> None:
    """Sum ``source [planes, inputs, *cells]``, weighed with ``weight [groups, inputs, each, kernel]``, as listed."""
    places, weights, shifts, counts = lists
    planes, groups, each, of_group, of_plane, cells, of_channel, rows, stride, phase, large = numbers
    factors, sums = np.empty(len(places), result.dtype), np.empty(len(counts) * phase, result.dtype)
    most = len(places) // len(counts)
    for plane in range(planes):
        group, part = plane % groups, source[plane * of_plane : (plane + 1) * of_plane]
        for m in range(each):
            first = group * of_group + m * of_channel
            for line in range(len(counts)):
                for n in range(line * most, line * most + counts[line]):
                    factors[n] = weight[first + weights[n]]
            added = bias[group * each + m] + result.dtype.type(0) if bias.shape[0] else result.dtype.type(0)
            sum_rows(part, (places, factors, shifts, counts), len(counts), cells, phase, True, sums)
            interleave(sums, rows, stride, 0, phase, added, result, (plane * each + m) * rows, large)
