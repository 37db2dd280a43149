"""Divide a large array that is not contiguous into blocks, each of which is copied alone.

Kernels read contiguous samples. A copy of the whole array would double its memory; a block is copied, run and released.
"""

from __future__ import annotations

from collections.abc import Iterator

from upsample.arrays import NDArray
from upsample.plans.window import Range

__all__ = ["Place", "cuts", "is_copied", "is_large", "plane_blocks"]

MIN_BYTES = 1 << 26
"""Least bytes of an array that is copied in blocks; the result pool has room for a copy of a smaller one."""
BLOCK_BYTES = 1 << 25
"""Approximate bytes of input per block: several rows of a large image, so that all threads have work."""

Place = tuple[slice, ...]
"""Slices of the leading axes that select a block; the axes remain."""


def is_large(x: NDArray) -> bool:
    """Tell whether an array is so large that kernels copy it in blocks."""
    return x.nbytes >= MIN_BYTES


def is_copied(x: NDArray) -> bool:
    """Tell whether kernels would need a large copy of an array."""
    return is_large(x) and not x.flags.c_contiguous


def cuts(size: int, nbytes: int, block: int) -> Iterator[Range]:
    """Yield the bounds of blocks of about `block` bytes along an axis of `size`, whose entries have `nbytes`."""
    count = max(1, min(size, -(-nbytes // block)))
    return ((size * number // count, size * (number + 1) // count) for number in range(count))


def plane_blocks(lead: int, *inputs: NDArray) -> list[Place]:
    """Return the blocks of planes in which the caller reads the inputs; one block if no input needs a large copy.

    The blocks are in row-major order. The inputs have their first `lead` axes in common. The other axes span a plane,
    which is never divided.
    """
    if not any(map(is_copied, inputs)):
        return [()]
    return list(_blocks(inputs[0].shape[:lead], max(x.nbytes for x in inputs)))


def _blocks(lead: tuple[int, ...], nbytes: int) -> Iterator[Place]:
    if not lead:
        yield ()
        return
    for begin, end in cuts(lead[0], nbytes, BLOCK_BYTES):
        inner = lead[1:] if end - begin == 1 else ()
        for place in _blocks(inner, nbytes // lead[0]):
            yield slice(begin, end), *place
