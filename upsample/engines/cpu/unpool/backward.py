"""Gradient of max-unpooling: each cell reads its position, band by band if only the last cell counts.

Two cells that name one position are in one band of a plane, unless their indices are outside of their windows. If some
index is outside, the kernel reads whole planes, one range of positions after the other.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import Array, NDArray
from upsample.copies import contiguous
from upsample.engines import result_pool, threads
from upsample.engines.cpu.runtime.blocks import plane_blocks
from upsample.engines.cpu.runtime.compile import frozen
from upsample.engines.cpu.unpool.backward_kernels import take, take_bands, take_last
from upsample.engines.cpu.unpool.driver import Geometry, geometry, targets
from upsample.engines.cpu.unpool.parts import localised
from upsample.engines.index_checks import signed
from upsample.float_errors import quiet
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]


_BLOCK = 1 << 17
"""Cells per block."""
_SEEN = 1 << 22
"""Output positions whose flags (a cell named it) are kept at once."""
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Unsigned dtype by item size: values are moved, not computed with."""


@quiet
def run(xp: ModuleType, plan: UnpoolPlan, y: Array, indices: Array) -> Array:
    """Return for each cell of ``indices [..., *small]`` what ``y [..., *large]`` has at its position."""
    source: Any = y
    where: Any = indices
    result = result_pool.empty(where.shape, source.dtype)
    if result.size:
        for place in plane_blocks(source.ndim - len(plan.axes), source, where):
            _fill(plan, source[place], signed(xp, plan, where[place], None), result[place])
    return result


def _fill(plan: UnpoolPlan, source: NDArray, where: NDArray, result: NDArray) -> None:
    """Fill the contiguous gradient of some planes."""
    if plan.within is not None:
        plan, where = localised(replace(plan, check_indices=False), where, ("gather", "indices"))
    g, kind = geometry(plan), _UNSIGNED[source.dtype.itemsize]
    flat = frozen(contiguous(where)).reshape(-1)
    values, made = frozen(contiguous(source)).reshape(-1).view(kind), result.reshape(-1).view(kind)
    if plan.duplicates != "last":
        _take(plan, g, values, flat, made)
    elif not len(g.bands) or not _take_bands(plan, g, values, flat, made):
        _take_planes(plan, g, values, flat, made)


def _take(plan: UnpoolPlan, g: Geometry, values: NDArray, where: NDArray, made: NDArray) -> None:
    """Let every cell take its value."""
    blocks = -(-where.size // _BLOCK)
    step = -(-where.size // blocks)

    def block(number: int) -> None:
        cut = slice(number * step, min((number + 1) * step, where.size))
        take(values, targets(plan, where, cut), number * step, g.cells, g.positions, made[cut])

    threads.each_block(block, blocks)


def _take_bands(plan: UnpoolPlan, g: Geometry, values: NDArray, where: NDArray, made: NDArray) -> bool:
    """Let the last cell of each position take its value, in bands; say whether no index was elsewhere."""
    cells, longest = g.cells // len(g.spans), int((g.bands[:, 1] - g.bands[:, 0]).max())
    together = max(1, _BLOCK * len(g.bands) // g.cells)
    groups = -(-len(g.bands) // together)
    far = []

    def block(number: int) -> None:
        plane, bands = number // groups, g.bands[number % groups * together : (number % groups + 1) * together]
        first, last = int(bands[0, 2]), int(bands[-1, 3])
        cut = slice(plane * g.cells + first * cells, plane * g.cells + last * cells)
        part, seen = values[plane * g.positions : (plane + 1) * g.positions], np.empty(longest, dtype=np.uint8)
        if take_bands(part, targets(plan, where, cut), bands, g.spans, (first, cells), seen, made[cut]):
            far.append(number)

    threads.each_block(block, where.size // g.cells * groups)
    return not far


def _take_planes(plan: UnpoolPlan, g: Geometry, values: NDArray, where: NDArray, made: NDArray) -> None:
    """Read planes whose indices may be anywhere in their plane."""
    together = max(1, min(_BLOCK // g.cells, _SEEN // g.positions))

    def block(number: int) -> None:
        first, last = number * together, min((number + 1) * together, where.size // g.cells)
        part, end = values[first * g.positions : last * g.positions], last * g.cells
        step = max(_BLOCK, end - first * g.cells) if last - first > 1 else _BLOCK
        for begin in range(0, g.positions, _SEEN):
            seen = np.empty(min(_SEEN, g.positions - begin), dtype=np.uint8)
            for to in range(end, first * g.cells, -step):
                threads.check_cancelled()
                cut = slice(max(to - step, first * g.cells), to)
                if begin == 0:
                    made[cut] = 0
                take_last(part, targets(plan, where, cut), last - first, begin, to == end, seen, made[cut])

    threads.each_block(block, -(-where.size // (g.cells * together)))
