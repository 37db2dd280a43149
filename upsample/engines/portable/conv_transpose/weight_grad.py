"""Weight gradient of transposed convolution: products of cells and the output gradient at each tap of the first axis.

The cells of the batch are cut into blocks (`plans.cell_blocks`). Each block has a sum of products, over its cells and
then its images, and the blocks' sums are added in order. A library whose arrays cannot be written has one block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.conv_transpose.im2col import Columns
from upsample.engines.portable.output import each_tile
from upsample.engines.portable.phases import shifted
from upsample.engines.portable.products import matmul
from upsample.float_errors import quiet
from upsample.plans.cell_blocks import CellBlocks, sums_of_weights
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]

_LAID_BYTES = 1 << 23
"""Bytes of the output gradient that are laid out at once: a block has as many of the groups and channels."""
_ROUND = 8
"""Blocks whose sums are in memory at once, so that eight threads have work."""


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    if plan.blocks is not None:
        stack: Array = xp.stack(list(_sums(xp, replace(plan, blocks=None), plan.blocks, x, y)), axis=0)
        return stack
    blocks, total = sums_of_weights(plan.small_shape), None
    for one in _sums(xp, plan, blocks, x, y) if arrays.can_assign(xp, x, y) else [_sum(xp, plan, x, y)]:
        total = one if total is None else total + one
    result: Array = arrays.astype(xp, _nothing(xp, plan, x, y) if total is None else total, x.dtype)
    return result


def _sums(xp: ModuleType, plan: ConvTransposePlan, blocks: CellBlocks, x: Any, y: Any) -> Iterator[Any]:
    """Yield the sum of each block, in order; threads make several."""
    shape = (x.shape[0], *plan.small_shape)
    count = blocks.count(shape)
    for first in range(0, count, _ROUND):
        made: list[Any] = [None] * min(_ROUND, count - first)

        def make(number: int, first: int = first, made: list[Any] = made) -> None:
            images, *cells = blocks.box(shape, first + number)
            positions = [axis.needs(*c) for axis, c in zip(plan.axes, cells, strict=True)]
            axes = tuple(axis.part(c, p) for axis, c, p in zip(plan.axes, cells, positions, strict=True))
            small, large = ((slice(*images), slice(None), *(slice(*r) for r in some)) for some in (cells, positions))
            made[number] = _sum(xp, replace(plan, axes=axes), x[small], y[large])

        each_tile(xp, make, len(made))
        yield from made


def _nothing(xp: ModuleType, plan: ConvTransposePlan, x: Any, y: Any) -> Any:
    shape = (x.shape[1], y.shape[1] // plan.groups, *plan.kernel_shape)
    return xp.zeros(shape, dtype=_accumulator(xp, x), device=arrays.device_of(x))


def _accumulator(xp: ModuleType, x: Any) -> Any:
    return getattr(xp, arrays.accumulator(arrays.dtype_name(x)))


def _sum(xp: ModuleType, plan: ConvTransposePlan, x: Any, y: Any) -> Any:
    """Return the sum of all cells, in the dtype of sums: ``[C, M / groups, *kernel]``."""
    groups, images = plan.groups, x.shape[0]
    columns = None if 0 in x.shape or 0 in y.shape else Columns.of(plan)
    if columns is None:
        return _nothing(xp, plan, x, y)
    cells = xp.reshape(arrays.astype(xp, x, _accumulator(xp, x)), (images, groups, x.shape[1] // groups, -1))
    planes = xp.reshape(y, (images, groups, y.shape[1] // groups, *y.shape[2:]))
    every = [slice(None)]
    some, parts = _cuts(columns, planes) if arrays.can_assign(xp, x, y) else (every, every)
    rows = [
        _joined(xp, [_correlated(xp, columns, cells[:, g, ...], planes[:, g, part, ...]) for part in parts], -1)
        for g in some
    ]
    whole = _joined(xp, rows, 1)  # [first taps, C, *other taps, M / groups]
    small = xp.permute_dims(whole, (1, whole.ndim - 1, 0, *range(2, whole.ndim - 1)))
    moves = [(-useful.start, axis.kernel) for useful, axis in zip(columns.useful, plan.axes, strict=True)]
    return xp.reshape(shifted(xp, small, moves), (x.shape[1], planes.shape[2], *plan.kernel_shape))


def _joined(xp: ModuleType, made: list[Any], axis: int) -> Any:
    return made[0] if len(made) == 1 else xp.concat(made, axis=axis)


def _cuts(columns: Columns, planes: Any) -> tuple[list[slice], list[slice]]:
    """Divide the groups, or the output channels of each, to bound the size of their layout."""
    images, groups, each = planes.shape[:3]
    laid = arrays.itemsize(planes) * images * columns.copies * math.prod(axis.small for axis in columns.plan.axes)
    most = max(1, _LAID_BYTES // max(1, laid))
    return _slices(groups, max(1, most // each)), _slices(each, most)


def _slices(size: int, step: int) -> list[slice]:
    return [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]


def _correlated(xp: ModuleType, columns: Columns, cells: Any, planes: Any) -> Any:
    """Return the sums for some output channels: ``[useful first taps, C, *other useful taps, channels]``."""
    images, groups, each = planes.shape[:3]
    source = xp.reshape(planes, (images, groups * each, *planes.shape[3:]))
    columns = replace(columns, plan=replace(columns.plan, groups=groups))
    source = arrays.astype(xp, source, cells.dtype)
    if xp is np and columns.has_few_cells:
        values = math.prod(cells.shape[:3]) * each * math.prod(map(len, columns.useful[1:]))
        stacks = columns.stacks([source], values, lambda _, patch: matmul(np, cells, patch.swapaxes(-1, -2)))
        made = [shares.sum(axis=1) for shares in stacks]
        whole = _joined(np, made, 0)
    else:
        every = columns.taps(xp, source)
        made = [xp.sum(matmul(xp, cells, xp.permute_dims(patch, (0, 1, 3, 2))), axis=0) for _, patch in every]
        whole = xp.stack(made, axis=0)
    first, *others = map(len, columns.useful)
    return xp.reshape(whole, (first, groups * cells.shape[2], *others, each))
