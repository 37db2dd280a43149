"""Disturbances of a measurement: spinning threads of this process, and other processes."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from upsample.engines.thread_count import get_num_threads, num_threads

__all__ = ["Others", "quiet", "thread_count"]


LONGEST = 1.0
"""Longest wait for threads, in seconds."""


def quiet() -> None:
    """Wait until this process's other threads sleep, but no longer than a second.

    Thread pools disturb each other: after a matrix product, OpenBLAS workers spin for a tenth of a second and slow
    down another library's call.
    """
    end, calm = time.perf_counter() + LONGEST, 0
    while calm < 2 and time.perf_counter() < end:
        time.sleep(0.001)
        calm = 0 if _others_run() else calm + 1


def _others_run() -> bool:
    """Return whether another thread of this process runs; False on systems other than Linux.

    The state of a thread shows that at once. Its processor time grows by clock ticks of 4 ms or more.
    """
    own = str(threading.get_native_id())
    for path in glob.iglob("/proc/self/task/*/stat"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                state = file.read().rpartition(") ")[2][:1]
        except OSError:  # the thread has ended
            continue
        if state == "R" and path.split("/")[-2] != own:
            return True
    return False


@contextmanager
def thread_count(count: int | None) -> Iterator[int]:
    """Let every library of this process use `count` threads; None is the number that upsample uses."""
    with ExitStack() as stack:
        if count is not None:
            stack.enter_context(num_threads(count))
        number = get_num_threads()
        if find_spec("threadpoolctl"):
            stack.enter_context(import_module("threadpoolctl").threadpool_limits(number, user_api="blas"))
        for module, name in (("torch", "num_threads"), ("cv2", "NumThreads")):
            library: Any = import_module(module) if find_spec(module) else None
            if library is not None:
                own = library.get_num_threads() if module == "torch" else library.getNumThreads()
                setter = getattr(library, f"set_{name}" if module == "torch" else f"set{name}")
                setter(number)
                stack.callback(setter, own)
        yield number


class Others:
    """The processor time of other processes, and of other guests of the host."""

    def __init__(self) -> None:
        self.begin = self._now()

    def share(self) -> float:
        """Return their share of all cores, 0 to 1, since this object was created; 0 on systems other than Linux."""
        busy, own, wall = (now - then for now, then in zip(self._now(), self.begin, strict=True))
        return min(1.0, max(0.0, (busy - own) / (wall * (os.cpu_count() or 1))))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            with open("/proc/stat", encoding="ascii") as file:
                user, nice, system, _idle, _iowait, *more = map(int, file.readline().split()[1:9])
            busy = (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError):
            busy = 0.0
        return busy, time.process_time(), time.perf_counter()
