"""One axis as matrix products with small dense blocks of its banded tap matrix.

A sample of the axis may have several values. If it has few, a block repeats each tap on its diagonals, and a row of
samples is multiplied as a row of values. Products are so small that BLAS computes each in the calling thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from upsample import arrays
from upsample.arrays import Table
from upsample.caches import cached
from upsample.copies import copy
from upsample.engines.portable.products import ONE_THREAD, fits, matmul
from upsample.plans.resize import AxisRule
from upsample.plans.taps import Taps, fixed_point, taps_between

__all__ = ["Band", "bands", "is_thin", "multiply_columns", "multiply_rows", "table_of"]

_BAND = 32
"""Outputs a block: wide enough for the matrix product, narrow enough that few zeros are multiplied."""
_LEAST_BAND = 8
"""Least outputs of a block: a smaller matrix product takes as long as its call."""
_DENSE = 32
"""Most samples of an axis, in and out, that one dense matrix resizes."""
_THIN = 64
"""Inputs for each output from which on a block has one output: a product is long enough."""
_SLACK = 4
"""Most superfluous inputs of a block; they let all blocks be at one distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Dense blocks at one distance from each other, which one product makes.

    Block `i` computes outputs from ``begin + i * width`` on, from inputs from ``low + i * step`` on; all in values,
    counted from the first that the axis' part reads and makes.

    Attributes
    ----------
    count, low, step, size : int
        Blocks, the first one's first input, from block to block, inputs a block.
    begin, width : int
        The first one's first output, outputs a block.
    matrix : ndarray
        ``[inputs, outputs]``, or the other way round for columns; one for each block, unless they are all the same.
    """

    count: int
    low: int
    step: int
    size: int
    begin: int
    width: int
    matrix: Table


def table_of(rule: AxisRule, fixed: bool, begin: int, end: int) -> Taps:
    """Return the taps of outputs ``[begin, end)``; `fixed` ones for integers."""
    return fixed_point(rule).table.rows(begin, end) if fixed else taps_between(rule, begin, end)


@cached
def bands(
    rule: AxisRule, fixed: bool, begin: int, end: int, low: int, inner: int, columns: bool, dtype: str
) -> tuple[Band, ...]:
    """Cut rows ``[begin, end)`` of the tap matrix into dense blocks.

    Parameters
    ----------
    rule : AxisRule
        The axis.
    fixed : bool
        Whether weights are multiples of a power of two.
    begin, end : int
        Outputs.
    low : int
        The input from which a block's inputs are counted.
    inner : int
        Values a sample.
    columns : bool
        Whether blocks multiply from the left.
    dtype : str
        Of the blocks.
    """
    table = table_of(rule, fixed, begin, end)
    outputs, inputs = end - begin, int((table.first + table.count).max()) - low
    width = outputs
    if is_thin(rule):
        width = 1
    elif max(rule.in_size, rule.out_size) * inner > _DENSE:
        width = max(_LEAST_BAND, int(_BAND / max(1.0, rule.in_size / rule.out_size) / math.sqrt(inner)) // 8 * 8)
    spans = [_span(table.rows(b, min(b + width, outputs)), low) for b in range(0, outputs, width)]
    apart = Fraction(rule.in_size, rule.out_size) * width
    result, place = [], 0
    while place < len(spans):
        left = outputs - place * width
        first, made = spans[place][0], min(width, left)
        count, size = _regular(spans[place : place + max(left // width, 1)], apart, inputs)
        step = int(apart)
        blocks = [
            _block(
                table.rows((place + i) * width, (place + i) * width + made), low + first + i * step, size, inner, dtype
            )
            for i in range(count)
        ]
        is_one = all((b == blocks[0]).all() for b in blocks[1:])
        matrix = blocks[0][None] if is_one else np.stack(blocks)
        matrix = np.ascontiguousarray(matrix.swapaxes(1, 2)) if columns else matrix
        matrix.flags.writeable = False
        low_in, apart_in, size_in, begin_out, made_in = (n * inner for n in (first, step, size, place * width, made))
        result.append(Band(count, low_in, apart_in, size_in, begin_out, made_in, matrix))
        place += count
    return tuple(result)


def is_thin(rule: AxisRule) -> bool:
    """Return whether an axis shrinks so much that a block of several outputs would be zeros for the most part."""
    return rule.in_size >= _THIN * rule.out_size


def _span(table: Taps, low: int) -> tuple[int, int]:
    """The inputs, from and to, that some outputs are made of."""
    begin, end = table.span
    return begin - low, end - low


def _regular(spans: list[tuple[int, int]], step: Fraction, inputs: int) -> tuple[int, int]:
    """Return how many first blocks are `step` or so apart, and the number of inputs that contains each of them."""
    longest = max(high - low for low, high in spans)
    size = longest if step.denominator == 1 else min(longest + _SLACK, inputs - spans[0][0])
    count = 0
    for i, (low, high) in enumerate(spans):
        begin = spans[0][0] + i * int(step)
        if not begin <= low <= high <= begin + size <= inputs:
            break
        count += 1
    return (count, size) if count > 1 else (1, spans[0][1] - spans[0][0])


def _block(table: Taps, low: int, size: int, inner: int, dtype: str) -> Table:
    """The tap matrix of some outputs, ``[inputs from low on, outputs]``; of several values a sample, each its own."""
    if len(table.first) == 1:  # without the numbers of its taps, which may be millions
        count, begin = int(table.count[0]), int(table.first[0]) - low
        column = np.zeros((size, 1), dtype)
        copy(table.weight[0, :count], column[begin : begin + count, 0])
        return np.kron(column, np.eye(inner, dtype=dtype)) if inner > 1 else column
    matrix = np.zeros((size, len(table.first)), dtype)
    output, tap = np.nonzero(np.arange(table.longest) < table.count[:, None])
    matrix[table.first[output] - low + tap, output] = table.weight[output, tap]
    return np.kron(matrix, np.eye(inner, dtype=dtype)) if inner > 1 else matrix


def multiply_rows(xp: ModuleType, source: Any, blocks: tuple[Band, ...], target: Any) -> None:
    """Filter the last axis of ``source [rows, values]`` into ``target [rows, values]``."""
    for b in blocks:
        matrices = arrays.from_table(xp, b.matrix, source)
        for cut, count, rows in _parts(source.shape[0], b):
            if xp is np and not fits(rows, b.size, b.width, source.dtype):
                for i, inputs, outputs in _cuts(b):
                    target[cut, outputs] = matmul(xp, source[cut, inputs], matrices[i])
                continue
            if xp is np and b.count * count > 1:
                read = _windows(source[cut, b.low :], (count, rows, rows), (b.count, b.step, b.size))
                made = _windows(target[cut, b.begin :], (count, rows, rows), (b.count, b.width, b.width))
                np.matmul(read.swapaxes(1, 2), matrices, out=made.swapaxes(1, 2))
                continue
            for i, inputs, outputs in _cuts(b):
                arrays.multiply(xp, source[cut, inputs], matrices[i, ...], target[cut, outputs])


def multiply_columns(xp: ModuleType, source: Any, blocks: tuple[Band, ...], target: Any) -> None:
    """Filter the middle axis of ``source [planes, samples, columns]`` into ``target [planes, samples, columns]``."""
    for b in blocks:
        matrices = arrays.from_table(xp, b.matrix, source)
        for cut, count, columns in _parts(source.shape[2], b):
            if xp is np and not fits(b.width, b.size, columns, source.dtype):
                for i, inputs, outputs in _cuts(b):
                    target[:, outputs, cut] = matmul(xp, matrices[i], source[:, inputs, cut])
                continue
            if xp is np and b.count * count > 1:
                read = _windows(source[:, b.low :, cut], (b.count, b.step, b.size), (count, columns, columns))
                made = _windows(target[:, b.begin :, cut], (b.count, b.width, b.width), (count, columns, columns))
                np.matmul(matrices[:, None, ...], read.swapaxes(2, 3), out=made.swapaxes(2, 3))
                continue
            for i, inputs, outputs in _cuts(b):
                arrays.multiply(xp, matrices[i, ...], source[:, inputs, cut], target[:, outputs, cut])


def _parts(size: int, b: Band) -> Iterator[tuple[slice, int, int]]:
    """Cut rows or columns so that no product is too large: a range, and in how many parts of how many it is cut."""
    most = max(1, ONE_THREAD // (b.size * b.width))
    parts = -(-size // most)
    each = size // parts
    yield slice(0, parts * each), parts, each
    if parts * each < size:
        yield slice(parts * each, size), 1, size - parts * each


def _cuts(b: Band) -> Iterator[tuple[int, slice, slice]]:
    """For each block: its matrix, its inputs and its outputs."""
    for i in range(b.count):
        low, begin = b.low + i * b.step, b.begin + i * b.width
        yield i % len(b.matrix), slice(low, low + b.size), slice(begin, begin + b.width)


def _windows(x: Any, first: tuple[int, int, int], second: tuple[int, int, int]) -> Any:
    """View the last two axes as windows, each so many at such a distance of such a size.

    ``[..., a, b]`` becomes ``[..., count of a, size of a, count of b, size of b]``.
    """
    *lead, a, b = x.strides
    shape = (*x.shape[:-2], first[0], first[2], second[0], second[2])
    return as_strided(x, shape, (*lead, first[1] * a, a, second[1] * b, b))
