"""Kernels of both gradients: copy the output gradient into rows (im2col), then sum products.

Arrays are flat; ``grid`` is as `runtime.window_grid` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import inlined, kernel, part
from upsample.engines.cpu.runtime.fma import CHANNELS, fma
from upsample.engines.cpu.runtime.gemm_tile import BITS, ROWS, add_tiles, widest
from upsample.engines.cpu.runtime.simd_copy import clear, copy_every_other, transpose
from upsample.engines.cpu.runtime.window_grid import AXIS, row_place

__all__ = ["copy", "copy_row", "correlate_rows", "correlate_units", "lay_out", "weigh"]


_LANES = 16
"""Partial sums of a dot product; they are added in order at its end."""


@part
def _bounds(last: NDArray, tap: int, cell0: int, cell1: int) -> tuple[int, int, int]:
    """Return the position of tap `tap` of the last axis for cell 0, and the cells from and to whose tap is inside."""
    large, stride = last[0], last[3]
    start = tap * last[5] - last[4]
    low = min(max(cell0, -(start // stride)), cell1)
    return start, low, max(low, min(cell1, (large - 1 - start) // stride + 1))


@inlined
def copy_row(source: NDArray, at: int, made: NDArray, to: int, count: int) -> None:
    """Set `count` values from ``made[to]`` on to those from ``source[at]`` on."""
    begin, first = np.uint64(at), np.uint64(to)
    for j in range(np.uint64(count)):
        made[first + j] = source[begin + j]


@inlined
def copy(source: NDArray, at: int, stride: int, made: NDArray, to: int, count: int) -> None:
    """Set ``made[to + j]`` to ``source[at + stride * j]`` for `count` values of `j`."""
    if stride == 1:
        copy_row(source, at, made, to, count)
    elif stride == 2:
        copy_every_other(source, at, made, to, count)
    else:
        begin, first, step = np.uint64(at), np.uint64(to), np.uint64(stride)
        for j in range(np.uint64(count)):
            made[first + j] = source[begin + step * j]


@part
def _clear(made: NDArray, to: int, count: int) -> None:
    """Set `count` values from ``made[to]`` on to zero; for short rows a slice costs more than the loop."""
    first = np.uint64(to)
    for j in range(np.uint64(count)):
        made[first + j] = 0


@kernel
def lay_out(
    source: NDArray, place: int, positions: int, channels: int, grid: NDArray, cut: NDArray, step: int, made: NDArray
) -> None:
    """Fill ``made [channels, taps, step]`` with the values at each tap of some cells, zeros in the padding (im2col).

    ``cut``: the rows of cells from and to, and the cells from and to of each; the rest of a step is not written.
    Planes of `positions` begin at `place`.
    """
    last, leads = grid[grid.shape[0] - AXIS :], 1
    row0, row1, cell0, cell1 = cut[0], cut[1], cut[2], cut[3]
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    places = np.empty(row1 - row0, dtype=np.int64)
    for lead in range(leads):
        for row in range(row0, row1):
            places[row - row0] = row_place(grid, lead, row)
        for channel in range(channels):
            plane = place + channel * positions
            for tap in range(last[2]):
                start, low, high = _bounds(last, tap, cell0, cell1)
                to = ((channel * leads + lead) * last[2] + tap) * step
                for row in range(row1 - row0):
                    begin = places[row]
                    if begin < 0:
                        _clear(made, to, cell1 - cell0)
                    else:
                        _clear(made, to, low - cell0)
                        at = plane + begin + start + low * last[3]
                        copy(source, at, last[3], made, to + low - cell0, high - low)
                        _clear(made, to + high - cell0, cell1 - high)
                    to += cell1 - cell0


@part
def _slots(y: NDArray, rows: int, taps: int) -> tuple[int, int, int]:
    """Return the slots of copied rows: from a row of cells to the next, from a tap to the next, and how many.

    All rows from the first to the last, or one for each tap of a row if these are fewer.
    """
    between = (rows - 1) * y[3] + (taps - 1) * y[5] + 1
    if between <= rows * taps:
        return y[3], y[5], between
    return taps, 1, rows * taps


@part
def _copy_rows(
    source: NDArray,
    place: int,
    counts: tuple[int, ...],
    y: NDArray,
    x: NDArray,
    cut: NDArray,
    tap: int,
    patches: NDArray,
) -> None:
    """Fill ``patches [slots, channels, line]`` from `to` on with the values that some taps of rows of cells read.

    ``counts``: channels, positions of a plane, the line, taps, and `to`. The parts of a row in the padding are zeroed.
    A row that is entirely in the padding is not written.
    """
    channels, positions, line, taps, to = counts
    row_step, tap_step, slots = _slots(y, cut[1] - cut[0], taps)
    first, begin = cut[0] * y[3] - y[4] + tap * y[5], cut[2] * x[3] - x[4]
    size = (cut[3] - cut[2] - 1) * x[3] + (x[2] - 1) * x[5] + 1
    low = min(max(0, -begin), size)
    high = max(low, min(size, x[0] - begin))
    lanes = BITS // (8 * patches.itemsize)
    head, tail = (low + lanes - 1) // lanes * lanes, (size - high + lanes - 1) // lanes * lanes  # in whole vectors
    for channel in range(channels):
        for slot in range(slots):
            position = first + slot
            if row_step != y[3] or tap_step != y[5]:
                position = first + slot // taps * y[3] + slot % taps * y[5]
            if position >= 0 and position < y[0]:
                target = to + (slot * channels + channel) * line
                at = place + channel * positions + position * x[0] + begin
                if head <= size and tail <= size:
                    clear(patches, target, head)
                    clear(patches, target + size - tail, tail)
                else:
                    _clear(patches, target, low)
                    _clear(patches, target + high, size - high)
                copy_row(source, at + low, patches, target + low, high - low)


@part
def _list_rows(numbers: tuple[int, ...], dilation: int, width: int, lead: int, lists: NDArray) -> int:
    """List where the factors and the sums of each tile row begin; return how many rows there are.

    ``numbers``: channels, values of a copied row, taps of a window, distance of rows of sums. There is a row
    for each channel and each of `width` taps of the last axis. The spare rows of the last tile add to one spare row.
    """
    channels, line, taps, pitch = numbers
    at = 0
    for channel in range(channels):
        for tap in range(width):
            lists[at] = channel * line + tap * dilation
            lists[at + 1] = (channel * taps + lead * width + tap) * pitch
            at += 2
    for spare in range(at, (channels * width + ROWS - 1) // ROWS * ROWS * 2, 2):
        lists[spare], lists[spare + 1] = 0, channels * taps * pitch
    return channels * width


@part
def _turn_cells(
    cells: NDArray, numbers: tuple[int, ...], cut: NDArray, transposed: NDArray, to: int, pitch: int
) -> None:
    """Turn a cut of a sheet; ``numbers``: its first cell, from input to input and from row to row, and inputs."""
    first, apart, line, inputs = numbers
    rows, width = cut[1] - cut[0], cut[3] - cut[2]
    if width == line:
        rows, width = 1, rows * width
    for row in range(rows):
        transpose(cells, first + row * line, apart, inputs, width, transposed, to + row * width * pitch, pitch)


@kernel
def correlate_units(
    source: NDArray,
    cells: NDArray,
    places: tuple[int, ...],
    sizes: tuple[int, ...],
    grid: NDArray,
    units: NDArray,
    transposed: NDArray,
    patches: NDArray,
    lists: NDArray,
    made: NDArray,
) -> None:
    """Add to ``made [channels * taps and one, pitch]`` the products of values at taps and cells of some units.

    A sheet has the last two axes of an image. A unit is a cut of some sheets: rows of cells from and to, and cells of
    each row from and to. ``units`` has for each unit the first sheet, the sheet after the last, and the cut. The kernel
    transposes the cells, so that the values of a cell are contiguous. It copies the values at the taps in order, and
    reads them with the stride.

    ``places``: the offset of the first channel in `source`, and the distance of its images; then the offset and the
    distance in `cells`. ``sizes``: channels, inputs, columns (whole vectors), pitch of columns, values of a copied row,
    taps of the second last axis that are copied together.
    """
    begin, pace, cell_begin, cell_pace = places
    channels, inputs, columns, pitch, line, turn_taps = sizes
    last = grid.shape[0] - AXIS
    y, x, outer, lanes = grid[last - AXIS : last], grid[last:], grid[:last], BITS // (8 * made.itemsize)
    area, sheets, outer_taps, positions, taps = y[1] * x[1], 1, 1, y[0] * x[0], y[2] * x[2]
    for axis in range(last // AXIS - 1):
        sheets *= grid[AXIS * axis + 1]
        outer_taps *= grid[AXIS * axis + 2]
        positions *= grid[AXIS * axis]
    taps *= outer_taps
    for unit in range(units.shape[0]):
        sheet0, sheet1, cut = units[unit, 0], units[unit, 1], units[unit, 2:]
        rows, width = cut[1] - cut[0], cut[3] - cut[2]
        for sheet in range(sheet0, sheet1):
            first = cell_begin + sheet // sheets * cell_pace + sheet % sheets * area + cut[0] * x[1] + cut[2]
            to = (sheet - sheet0) * rows * width * pitch
            _turn_cells(cells, (first, sheets * area, x[1], inputs), cut, transposed, to, pitch)
        for number in range(outer_taps * ((y[2] + turn_taps - 1) // turn_taps)):
            outer_tap, tap0 = number % outer_taps, number // outer_taps * turn_taps
            count = min(turn_taps, y[2] - tap0)
            row_step, tap_step, slots = _slots(y, rows, count)
            for sheet in range(sheet0, sheet1):
                top = row_place(outer, outer_tap, sheet % sheets)
                if top >= 0:
                    place = begin + sheet // sheets * pace + top * x[0]
                    counts = (channels, positions, line, count, (sheet - sheet0) * slots * channels * line)
                    _copy_rows(source, place, counts, y, x, cut, tap0, patches)
            for tap in range(tap0, tap0 + count):
                lead = outer_tap * y[2] + tap
                tile_rows = _list_rows((channels, line, taps, pitch), x[5], x[2], lead, lists)
                first = (tile_rows + ROWS - 1) // ROWS * ROWS
                end = first
                for sheet in range(sheet0, sheet1):
                    if row_place(outer, outer_tap, sheet % sheets) < 0:
                        continue
                    for row in range(rows):
                        position = (cut[0] + row) * y[3] - y[4] + tap * y[5]
                        if position >= 0 and position < y[0]:
                            slot = (sheet - sheet0) * slots + row * row_step + (tap - tap0) * tap_step
                            lists[2 * end] = ((sheet - sheet0) * rows + row) * width * pitch
                            lists[2 * end + 1] = slot * channels * line
                            end += 1
                column = 0
                while column < columns:  # this part of the cells stays in the L1 cache
                    vectors = widest((columns - column) // lanes)
                    numbers = (0, column, first, end, width, width, pitch, column, pitch)
                    for row in range(0, tile_rows, ROWS):
                        add_tiles((patches, transposed, lists, made), numbers, (x[3], 2 * row), vectors, lanes)
                    column += vectors * lanes


@part
def _add(source: NDArray, at: int, step: int, factor: Any, sums: NDArray, to: int, low: int, high: int) -> None:
    """Add ``factor * source[at + step * j]`` to ``sums[to + j]``, for `j` from `low` to `high`."""
    for j in range(low, high):
        sums[to + j] = fma(factor, source[at + step * j], sums[to + j])


@part
def _add_pair(source: NDArray, at: int, factors: tuple[Any, Any], sums: NDArray, to: int, low: int, high: int) -> None:
    """Add the weighted ``source[at + 2 * j]``, then its right neighbour, to ``sums[to + j]``."""
    w, v = factors
    x, y = np.uint64(at + 2 * low), np.uint64(to + low)
    for j in range(np.uint64(max(high - low, 0))):
        k = x + np.uint64(2) * j
        sums[y + j] = fma(v, source[k + np.uint64(1)], fma(w, source[k], sums[y + j]))


@part
def _add_row(source: NDArray, at: int, factor: Any, sums: NDArray, to: int, low: int, high: int) -> None:
    """Add ``factor * source[at + j]`` to ``sums[to + j]``, for `j` from `low` to `high`."""
    x, y = np.uint64(at + low), np.uint64(to + low)
    for j in range(np.uint64(max(high - low, 0))):
        sums[y + j] = fma(factor, source[x + j], sums[y + j])


@part
def _split(source: NDArray, at: int, large: int, low: int, size: int, halves: NDArray, to: int) -> None:
    """Deinterleave a row: copy up to `size` even and `size` odd values, from number `low` on, into two halves."""
    for odd in range(2):
        first, past = max(low, 0), min(low + size, (large - odd + 1) // 2)
        copy_every_other(source, at + 2 * first + odd, halves, to + odd * size + first - low, max(past - first, 0))


@kernel
def weigh(
    source: NDArray,
    place: int,
    positions: int,
    channels: int,
    grid: NDArray,
    cut: NDArray,
    weight: NDArray,
    sums: NDArray,
) -> None:
    """Sum the values at the taps of some cells times ``weight [inputs, channels, taps]``: ``sums [inputs, cells]``.

    ``cut`` is as in `lay_out`. Every sum begins with +0; for each 32 channels, for each tap in row-major order, each
    channel is added (`runtime.fma`). With a stride of 2, the kernel adds two adjacent taps of a
    single channel at once; for several channels it first deinterleaves the even and the odd values of each row.
    """
    last = grid[grid.shape[0] - AXIS :]
    row0, row1, cell0, cell1 = cut[0], cut[1], cut[2], cut[3]
    cells, width, stride, leads = cell1 - cell0, last[2], last[3], 1
    for axis in range(grid.shape[0] // AXIS - 1):
        leads *= grid[AXIS * axis + 2]
    rows = row1 - row0
    inputs = sums.shape[0] // (rows * cells)
    least = cell0 + -last[4] // 2  # number of the first even or odd value at a tap
    line = cells + (width - 1) * last[5] // 2 + 2
    halves = np.empty(min(channels, CHANNELS) * 2 * line if stride == 2 else 0, dtype=sums.dtype)
    sums[:] = 0
    for row in range(row0, row1):
        for number in range((channels + CHANNELS - 1) // CHANNELS * leads):
            block, lead = number // leads * CHANNELS, number % leads
            begin = row_place(grid, lead, row)
            if begin < 0:
                continue
            past = min(block + CHANNELS, channels)
            pairs = past - block == 1 and stride == 2 and last[5] == 1
            split = stride == 2 and not pairs
            for channel in range(block, past if split else block):
                at = place + channel * positions + begin
                _split(source, at, last[0], least, line, halves, (channel - block) * 2 * line)
            for tap in range(0, width, 2 if pairs else 1):
                start, low, high = _bounds(last, tap, cell0, cell1)
                low2, high2 = low, low
                if pairs and tap + 1 < width:
                    _, low2, high2 = _bounds(last, tap + 1, cell0, cell1)
                for channel in range(block, past):
                    at = place + channel * positions + begin + start
                    for c in range(inputs):
                        to = (c * rows + row - row0) * cells - cell0
                        f = ((c * channels + channel) * leads + lead) * width + tap
                        w, v = weight[f], weight[min(f + 1, weight.shape[0] - 1)]
                        if split:
                            half = ((channel - block) * 2 + start % 2) * line + start // 2 - least
                            _add_row(halves, half, w, sums, to, low, high)
                            continue
                        if not pairs:
                            _add(source, at, stride, w, sums, to, low, high)
                            continue
                        first, end = max(low, low2), max(low, low2, min(high, high2))
                        _add_pair(source, at, (w, v), sums, to, first, end)
                        _add(source, at, stride, w, sums, to, low, min(first, high))
                        _add(source, at, stride, w, sums, to, max(end, low), high)
                        _add(source, at + 1, stride, v, sums, to, low2, min(first, high2))
                        _add(source, at + 1, stride, v, sums, to, max(end, low2), high2)
    for j in range(np.uint64(sums.shape[0])):
        sums[j] += sums.dtype.type(0)


@kernel
def correlate_rows(
    cells: NDArray, rows: NDArray, taps: int, size: int, where: tuple[int, int], result: NDArray
) -> None:
    """Add the products of ``cells [channels, size]`` and ``rows [taps, size]`` to ``result [channels, taps]``.

    `where`: the first tap in `result`, and from channel to channel.
    """
    lanes = np.empty(_LANES, dtype=result.dtype)
    whole = size // _LANES * _LANES
    for channel in range(cells.shape[0] // size):
        for tap in range(taps):
            a, b = np.uint64(channel * size), np.uint64(tap * size)
            lanes[:] = 0
            for j in range(np.uint64(0), np.uint64(whole), np.uint64(_LANES)):
                for k in range(np.uint64(_LANES)):
                    lanes[k] = fma(cells[a + j + k], rows[b + j + k], lanes[k])
            total = lanes.dtype.type(0)
            for k in range(_LANES):
                total += lanes[k]
            for j in range(np.uint64(whole), np.uint64(size)):
                total = fma(cells[a + j], rows[b + j], total)
            result[where[0] + channel * where[1] + tap] += total
