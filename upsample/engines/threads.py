"""Run blocks of work on several threads: a thread pool with work stealing, for kernels that release the GIL.

Each thread owns a deque of consecutive blocks. When it is empty, the thread steals from the tail of another's deque.
Consecutive blocks share huge pages; if two threads first write one huge page, both clear it. Which thread runs a block
never changes the result.

The calling thread works too and handles signals between blocks. A block should therefore take well under 100 ms, or
call `check_cancelled` as often. Numba's threading layers are not used: they die after a fork, abort when two threads
call at once, and take 70 µs to wake after idling.

No lock is used: an interrupt may come between any two steps of the caller, also between acquiring a lock and the `try`
that would release it, as in `threading.Thread.start`. Threads communicate by single calls that are atomic.
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
from upsample.float_errors import quiet

__all__ = ["check_cancelled", "each_block"]


_here = threading.local()
"""`call`: the call that this thread runs a block of."""


def check_cancelled() -> None:
    """Raise the error that stopped the call of this thread's block; long blocks call this between two parts.

    In the calling thread, Python also handles signals here.
    """
    call = getattr(_here, "call", None)
    if call is not None and call.error is not None:
        raise call.error


class _Call:
    """The blocks of one call, in one deque for each thread."""

    def __init__(self, function: Callable[[int], object], blocks: int, threads: int) -> None:
        self.function = function
        self.deques = [deque(range(blocks * i // threads, blocks * (i + 1) // threads)) for i in range(threads)]
        self.joined = itertools.count()
        self.error: BaseException | None = None
        self.closed = False
        self.entered: list[None] = []
        self.left: list[None] = []
        self.done: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Run blocks until none is left, or another thread failed."""
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
        """Yield the blocks of this thread's own deque, then steal the last ones of the others."""
        place = next(self.joined)
        own, *others = self.deques[place:] + self.deques[:place]
        for take in (own.popleft, *(other.pop for other in others)):
            with suppress(IndexError):
                while True:
                    yield take()

    def run_as_helper(self) -> None:
        """Run blocks as a helper, unless the call is over; store an error for the caller."""
        self.entered.append(None)  # before it reads `closed`; the caller closes before it counts, so one sees the other
        try:
            if not self.closed:
                self.run()
        except BaseException as error:
            self.error = error
        finally:
            self.left.append(None)
            self.done.put(None)

    def close(self) -> None:
        """Wait for the helpers that have entered; helpers that are busy elsewhere will find this call closed.

        Until they do, this call is in the queue, so it releases its function, and the arrays that this refers to.
        An interrupt stops the helpers too, and this method still waits until they have left.
        """
        interrupt = None
        while True:
            try:
                self.closed = True
                while len(self.left) < len(self.entered):
                    self.done.get()  # each helper that leaves sends one item
                break
            except BaseException as error:
                self.error = interrupt = error
        self.function = _nothing
        if interrupt is not None:
            raise interrupt


def _nothing(_block: int) -> None:
    return None


class _Pool:
    """Threads that wait for calls; a forked child makes a new pool, because no thread survives the fork."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self.threads: dict[int, int] = {}

    def grow(self, size: int) -> None:
        for number in range(len(self.threads), size):
            _thread.start_new_thread(self._serve, (number,))

    @quiet
    def _serve(self, number: int) -> None:
        if self.threads.setdefault(number, threading.get_ident()) != threading.get_ident():
            return  # two callers started this thread at once
        while True:
            self.calls.get().run_as_helper()


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
        call.run()
    except BaseException as error:
        call.error = error
        raise
    finally:
        call.close()
    if call.error is not None:
        raise call.error
