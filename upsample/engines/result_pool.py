"""Allocate large NumPy results from memory recycled from earlier results: a memory pool.

The C library returns the memory of arrays of 32 MiB and more to the system. The system clears every page of the next
array when it is first written, which takes longer than resizing an image into existing memory. The pool therefore keeps
the pages of the last results, up to 256 MiB or UPSAMPLE_KEEP_MIB. It marks them as free (MADV_FREE), so the system may
reclaim them under memory pressure.
"""

from __future__ import annotations

import math
import mmap
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from upsample import environment
from upsample.arrays import NDArray

__all__ = ["MIN_BYTES", "capacity", "empty", "is_recycled", "unused"]


MIN_BYTES = 1 << 25
"""Smallest array from the pool, in bytes: the largest mmap threshold of glibc, which keeps smaller memory itself."""
_HUGE = 1 << 21
"""Size of a huge page in bytes; the pool asks for huge pages, as NumPy does."""
_KEPT_MIB = 256
"""Default capacity of the pool in MiB, if UPSAMPLE_KEEP_MIB is not set."""
_POSSIBLE = sys.platform == "linux" and hasattr(mmap, "MADV_FREE")

_kept: list[mmap.mmap] = []
"""Free pages, oldest first. No lock guards the list, because `__del__` may run in a thread that holds the lock. Each
use is a single call of a list method, which no other thread interrupts."""


class _PooledBuffer:
    """Owns the pages of an array, as the last of its bases; when the array is gone, the pages return to the pool."""

    def __init__(self, pages: mmap.mmap, is_recycled: bool) -> None:
        self.is_recycled = is_recycled
        self._pages = pages
        self.__array_interface__ = np.frombuffer(pages, np.uint8).__array_interface__

    def __del__(self, finalizing: Any = sys.is_finalizing) -> None:  # a default: at exit no global is left
        if not finalizing():
            _keep(self._pages)


def capacity() -> int:
    """Return the capacity of the pool in bytes."""
    told = environment.number("UPSAMPLE_KEEP_MIB", 0)
    return (_KEPT_MIB if told is None else told) << 20 if _POSSIBLE else 0


_unused: ContextVar[bool] = ContextVar("upsample_result_pool_unused", default=False)


@contextmanager
def unused() -> Iterator[None]:
    """Within this block, allocate results without the pool."""
    token = _unused.set(True)
    try:
        yield
    finally:
        _unused.reset(token)


def empty(shape: tuple[int, ...], dtype: Any) -> NDArray:
    """Return an uninitialized array, like ``np.empty``."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if (
        size < MIN_BYTES or _unused.get() or size > capacity() or tracemalloc.is_tracing()
    ):  # which is told of memory that NumPy asks for
        return np.empty(shape, dtype)
    whole = -(-size // _HUGE) * _HUGE
    old = _taken(whole)
    pages = _mapped(whole) if old is None else old
    if pages is None:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, np.asarray(_PooledBuffer(pages, old is not None)))


def is_recycled(array: NDArray) -> bool:
    """Return whether a new array has recycled pages, which were written before."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, _PooledBuffer) and owner.is_recycled


def _mapped(size: int) -> mmap.mmap | None:
    """Return new pages, or None if the system has none."""
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return None
    _advise(pages, "MADV_HUGEPAGE")
    return pages


def _taken(size: int) -> mmap.mmap | None:
    """Remove free pages of exactly this size from the pool, newest first: the system reclaims the oldest."""
    for pages in reversed(tuple(_kept)):
        if len(pages) == size:
            try:
                _kept.remove(pages)
            except ValueError:  # another thread took them
                continue
            return pages
    return None


def _keep(pages: mmap.mmap) -> None:
    """Add pages to the pool, and return the oldest ones beyond its capacity to the system."""
    if not _advise(pages, "MADV_FREE"):
        return
    _kept.append(pages)
    most = capacity()
    while sum(map(len, tuple(_kept))) > most:
        try:
            _kept.pop(0)
        except IndexError:  # another thread did it
            return


def _advise(pages: mmap.mmap, name: str) -> bool:
    """Advise the system how pages are used; return False if it does not know the advice."""
    try:
        pages.madvise(getattr(mmap, name))
    except (AttributeError, OSError):
        return False
    return True
