"""Shared by launches over windows: three axes, and threads over parts of planes."""

from __future__ import annotations

from typing import TypeVar

from upsample.caches import cached
from upsample.engines.cuda.runtime.launch import ceil_div
from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["AXES", "THREADS", "cover", "three"]

_Axis = TypeVar("_Axis", WindowAxis, WindowAxis | SpanAxis)

AXES = 3
"""Spatial axes that the kernels have."""
_ONE = WindowAxis(1, 1, 1, 1, 0, 1)
THREADS = 256
"""Threads of a block; as in the .cu files."""
_MOST_ROWS = 65535
"""Most blocks along the second axis of a grid, a limit of CUDA."""


def three(axes: tuple[_Axis, ...]) -> tuple[_Axis, ...]:
    """Return as many axes as the kernels have, with axes of one position in front where there are fewer."""
    return (_ONE,) * (AXES - len(axes)) + axes


@cached
def cover(items: int, planes: int, blocks: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return a grid and its blocks: x over a plane's pieces, y over planes, about `blocks` of them.

    Threads step over the pieces and planes that are left; what they worked out of a piece serves all of its planes.

    Examples
    --------
    >>> cover(49, 1000, 64)
    ((1, 64, 1), (64, 4, 1))
    """
    x = min(THREADS, 1 << (items - 1).bit_length())
    y = THREADS // x
    wide = min(ceil_div(items, x), blocks)
    return (wide, min(ceil_div(planes, y), max(1, blocks // wide), _MOST_ROWS), 1), (x, y, 1)
