"""Compiled loops of the transpose of max-unpooling: a guarded take.

Arrays are flat. Indices are data: whatever they say, nothing is read or written outside of the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.engines.cpu.compile import kernel

__all__ = ["take", "take_last"]

_A = np.ndarray[Any, Any]

_LAST_STAMP = 255
"""Planes that `take_last` tells apart before it clears its scratch array again."""


@kernel
def take(values: _A, where: _A, planes: int, result: _A) -> None:
    """Give each cell the value at its position in its plane, zero where that is outside."""
    cells, positions = where.shape[0] // planes, values.shape[0] // planes
    size = np.uint64(positions)
    for plane in range(planes):
        base = np.uint64(plane * positions)
        for i in range(np.uint64(plane * cells), np.uint64((plane + 1) * cells)):
            index = np.uint64(where[i])
            result[i] = values[base + index] if index < size else values.dtype.type(0)


@kernel
def take_last(values: _A, where: _A, planes: int, seen: _A, result: _A) -> None:
    """Do as `take` does, but only for the last cell of those that name a position: cells are asked in reverse order.

    `seen` is scratch, one byte for each position of a plane. Values are taken as unsigned integers and multiplied by 0
    or 1: who comes last is as good as random, and a branch on it costs more than all else.
    """
    cells, positions = where.shape[0] // planes, values.shape[0] // planes
    size, stamp, kind = np.uint64(positions), _LAST_STAMP, values.dtype.type
    for plane in range(planes):
        if stamp == _LAST_STAMP:
            seen[:] = 0
            stamp = 0
        stamp += 1
        base, mark = np.uint64(plane * positions), np.uint8(stamp)
        begin, end = np.uint64(plane * cells), np.uint64((plane + 1) * cells)
        for back in range(end - begin):
            i = end - np.uint64(1) - back
            index = np.uint64(where[i])
            inside = index < size
            at = index if inside else np.uint64(0)
            before = seen[at]
            seen[at] = mark if inside else before
            result[i] = kind(values[base + at] * kind(inside & (before != mark)))
