"""A small thread pool for kernels that release the GIL.

The calling thread works too, and looks for signals between blocks: a block should stay well under 100 ms, or `look` as
often. Each thread has a lane of its own, blocks that follow each other, and only when that is done takes from the far
end of another's: neighbouring blocks share huge pages, and a fresh one that two threads touch at once is cleared by
both. Numba's own threading layers are not used, since they die after a fork, abort when two threads call at once, and
cost 70 µs after idling. Which thread runs a block never shows in the result.

Nothing is locked: an interrupt may come between any two steps of the caller, also between taking a lock and the `try`
that would release it, as in `threading.Thread.start`. What threads tell each other goes through single calls that are
whole or not at all.
"""

from __future__ import annotations

import _thread
import itertools
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from upsample.engines.thread_count import get_num_threads

__all__ = ["each_block", "look"]


_here = threading.local()
"""`call`: the one of which this thread makes a block."""


def look() -> None:
    """Raise what has stopped the call that this thread makes a block of: for blocks that are long, between two parts.

    The calling thread looks for signals there by itself.
    """
    call = getattr(_here, "call", None)
    if call is not None and call.error is not None:
        raise call.error


class _Call:
    """One call's blocks, in as many lanes as threads may work on it."""

    def __init__(self, function: Callable[[int], object], blocks: int, threads: int) -> None:
        self.function = function
        self.lanes = [deque(range(blocks * i // threads, blocks * (i + 1) // threads)) for i in range(threads)]
        self.joined = itertools.count()
        self.error: BaseException | None = None
        self.closed = False
        self.entered: list[None] = []
        self.left: list[None] = []
        self.news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def work(self) -> None:
        """Take blocks until none is left, or another thread failed."""
        outer = getattr(_here, "call", None)
        _here.call = self
        try:
            for block in self._blocks():
                if self.error is not None:
                    return
                self.function(block)
        finally:
            _here.call = outer

    def _blocks(self) -> Iterator[int]:
        """Take the blocks of a lane of one's own, then the last ones of the others'."""
        place = next(self.joined)
        own, *others = self.lanes[place:] + self.lanes[:place]
        for take in (own.popleft, *(lane.pop for lane in others)):
            with suppress(IndexError):
                while True:
                    yield take()

    def help(self) -> None:
        """Work as a helper, unless the call is over; an error is kept for the caller."""
        self.entered.append(None)  # before it looks, as the caller closes before it counts: one of them sees the other
        try:
            if not self.closed:
                self.work()
        except BaseException as error:
            self.error = error
        finally:
            self.left.append(None)
            self.news.put(None)

    def close(self) -> None:
        """Wait for the helpers that have begun; those still busy with other calls are not waited for.

        An interrupt stops the helpers, too, but none leaves them behind at work.
        """
        interrupt = None
        while True:
            try:
                self.closed = True
                while len(self.left) < len(self.entered):
                    self.news.get()  # whoever has not left will send word
                break
            except BaseException as error:
                self.error = interrupt = error
        if interrupt is not None:
            raise interrupt


class _Pool:
    """Threads that wait for calls; made anew in a forked child, where none has survived."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self.threads: dict[int, int] = {}

    def grow(self, size: int) -> None:
        for number in range(len(self.threads), size):
            _thread.start_new_thread(self._serve, (number,))

    def _serve(self, number: int) -> None:
        if self.threads.setdefault(number, threading.get_ident()) != threading.get_ident():
            return  # two callers made it at once
        while True:
            self.calls.get().help()


_pool = _Pool()


def _renew() -> None:
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def each_block(function: Callable[[int], object], blocks: int, threads: int | None = None) -> None:
    """Call ``function(block)`` for every block, on several threads.

    Parameters
    ----------
    function : callable
        Runs one block; should release the GIL.
    blocks : int
        How many.
    threads : int, optional
        At most so many; None is `get_num_threads()`.

    Raises
    ------
    BaseException
        What a block raised, or KeyboardInterrupt, once no thread works on the call any more.
    """
    helpers = blocks - 1 if blocks <= 1 else min(get_num_threads() if threads is None else threads, blocks) - 1
    if helpers <= 0:
        for block in range(blocks):
            function(block)
        return
    call = _Call(function, blocks, helpers + 1)
    pool = _pool
    try:
        pool.grow(helpers)
        for _ in range(helpers):
            pool.calls.put(call)
        call.work()
    except BaseException as error:
        call.error = error
        raise
    finally:
        call.close()
    if call.error is not None:
        raise call.error
