"""The transpose of max-unpooling by compiled loops, some planes a block."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.gather_kernels import take, take_last
from upsample.engines.cpu.unpool import geometry, targets
from upsample.plans.window import UnpoolPlan

__all__ = ["run"]

_A = np.ndarray[Any, Any]

_BLOCK = 1 << 16
"""Cells that a block looks at together."""
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""What values of so many bytes are moved as."""


def run(xp: ModuleType, plan: UnpoolPlan, y: Array, indices: Array) -> Array:
    """Return for each cell of ``indices [..., *small]`` what ``y [..., *large]`` has at its position."""
    source: Any = y
    where: Any = indices
    result = np.empty(where.shape, dtype=source.dtype)
    if result.size == 0:
        return result
    g, kind = geometry(plan), _UNSIGNED[source.dtype.itemsize]
    flat = frozen(np.ascontiguousarray(where)).reshape(-1)
    values, made = frozen(np.ascontiguousarray(source)).reshape(-1).view(kind), result.reshape(-1).view(kind)
    planes = flat.size // g.cells
    together = max(1, _BLOCK // g.cells)

    def block(number: int) -> None:
        first, end = number * together, min((number + 1) * together, planes)
        cells = slice(first * g.cells, end * g.cells)
        named, part = targets(plan, flat, cells), values[first * g.positions : end * g.positions]
        if plan.duplicates == "last":
            take_last(part, named, end - first, np.empty(g.positions, dtype=np.uint8), made[cells])
        else:
            take(part, named, end - first, made[cells])

    threads.each_block(block, -(-planes // together))
    return result
