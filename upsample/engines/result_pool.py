"""Where large new arrays of NumPy's lie: in the pages of results that nobody uses any more.

The C library hands memory from 32 MiB on back to the system as soon as an array is gone, and the system clears every
page of the next one when it is first written: that takes longer than to resize an image into memory that is there. So
the pages of the last results are kept here, up to 256 MiB, or UPSAMPLE_KEEP_MIB. They stay the system's to take: it is
told that nobody needs what is in them (MADV_FREE), and takes them back, without a word to us, where memory gets short.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["MIN_BYTES", "capacity", "empty", "is_recycled", "unused"]

_A = np.ndarray[Any, Any]

MIN_BYTES = 1 << 25
"""Bytes of an array from which on the C library returns its memory at once; smaller ones it capacity by itself."""
_HUGE = 1 << 21
"""Bytes of a huge page, of which the system is asked to make large arrays, as NumPy asks it."""
_KEPT_MIB = 256
"""That are kept where UPSAMPLE_KEEP_MIB does not say otherwise."""
_POSSIBLE = sys.platform == "linux" and hasattr(mmap, "MADV_FREE")

_kept: list[mmap.mmap] = []
"""Pages that wait for a result, the oldest first. No lock guards it, for `__del__` may run anywhere, also in a thread
that holds one: what is done with it is single calls of a list's methods, which no other thread interrupts."""


class _PooledBuffer:
    """Holds pages for an array, as the end of its chain of bases; when nothing refers to them, they are kept."""

    def __init__(self, pages: mmap.mmap, is_recycled: bool) -> None:
        self.is_recycled = is_recycled
        self._pages = pages
        self.__array_interface__ = np.frombuffer(pages, np.uint8).__array_interface__

    def __del__(self, finalizing: Any = sys.is_finalizing) -> None:  # a default: at exit no global is left
        if not finalizing():
            _keep(self._pages)


def capacity() -> int:
    """Return how many bytes of results that are gone are kept at most."""
    told = os.environ.get("UPSAMPLE_KEEP_MIB", "")
    return (int(told) if told.isdecimal() else _KEPT_MIB) << 20 if _POSSIBLE else 0


_unused: ContextVar[bool] = ContextVar("upsample_result_pool_unused", default=False)


@contextmanager
def unused() -> Iterator[None]:
    """Within this block, results lie in memory of their own, which the system has back as soon as they are gone."""
    token = _unused.set(True)
    try:
        yield
    finally:
        _unused.reset(token)


def empty(shape: tuple[int, ...], dtype: Any) -> _A:
    """Make an uninitialised array, like ``np.empty``."""
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


def is_recycled(array: _A) -> bool:
    """Say whether an array that was just made lies in pages that were written before."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, _PooledBuffer) and owner.is_recycled


def _mapped(size: int) -> mmap.mmap | None:
    """New pages, if the system has any."""
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return None
    _advise(pages, "MADV_HUGEPAGE")
    return pages


def _taken(size: int) -> mmap.mmap | None:
    """Pages of just that size out of those that are kept, the last ones first: the system takes the oldest."""
    for pages in reversed(tuple(_kept)):
        if len(pages) == size:
            try:
                _kept.remove(pages)
            except ValueError:  # another thread took them
                continue
            return pages
    return None


def _keep(pages: mmap.mmap) -> None:
    """Keep pages, and return to the system the oldest ones that are too much."""
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
    """Tell the system how pages are used; False where it does not know that."""
    try:
        pages.madvise(getattr(mmap, name))
    except (AttributeError, OSError):
        return False
    return True
