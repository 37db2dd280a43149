"""Shared by launches over windows: a geometry of three axes, and a grid over parts of planes."""

from __future__ import annotations

from typing import TypeVar

from upsample.caches import cached
from upsample.engines.cuda.runtime.launch import ceil_div
from upsample.plans.window import SpanAxis, WindowAxis

__all__ = ["AXES", "THREADS", "cover", "three"]

_Axis = TypeVar("_Axis", WindowAxis, WindowAxis | SpanAxis)

AXES = 3
"""Number of spatial axes of the kernels."""
_ONE = WindowAxis(1, 1, 1, 1, 0, 1)
THREADS = 256
"""Threads of a block; must equal the constant of the .cu files."""
_MOST_ROWS = 65535
"""Most blocks along the second axis of a grid, a limit of CUDA."""


def three(axes: tuple[_Axis, ...]) -> tuple[_Axis, ...]:
    """Return three axes: if a plan has fewer, axes of one position come first."""
    return (_ONE,) * (AXES - len(axes)) + axes


@cached
def cover(items: int, planes: int, blocks: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return a grid of about `blocks` blocks, and the shape of a block: x counts items of a plane, y counts planes.

    Each thread loops over the remaining items and planes. It computes what depends on the item once for all planes.

    Examples
    --------
    >>> cover(49, 1000, 64)
    ((1, 64, 1), (64, 4, 1))
    """
    x = min(THREADS, 1 << (items - 1).bit_length())
    y = THREADS // x
    wide = min(ceil_div(items, x), blocks)
    return (wide, min(ceil_div(planes, y), max(1, blocks // wide), _MOST_ROWS), 1), (x, y, 1)
