"""How a call is attempted: in bounds of time and memory, for one that hangs or hoards is to fail, not to be killed."""

from __future__ import annotations

import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import upsample

__all__ = ["TALLY", "Setting", "attempt", "under"]

TALLY: Counter[str] = Counter()
"""Calls that were made, and what came of them."""

SECONDS = 3
COMPILING = 120
"""Seconds for a call whose kernel has to be compiled first."""
MEMORY = 400 << 20
DEPRECATED = ("upsample", "upsample_nearest", "upsample_bilinear")


@contextmanager
def _limits(seconds: float) -> Iterator[None]:
    """Raise TimeoutError or MemoryError within the block."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


class Setting(NamedTuple):
    """Settings of the caller that must not change a result.

    Attributes
    ----------
    errors : str
        The caller's state of floating-point errors, as ``np.errstate(all=...)`` takes it.
    threads : int
        How many threads a call may use.
    """

    errors: str
    threads: int


_setting = Setting("warn", 1)


@contextmanager
def under(setting: Setting) -> Iterator[None]:
    """Attempt calls under a setting within the block."""
    global _setting
    before, _setting = _setting, setting
    try:
        yield
    finally:
        _setting = before


def attempt(function: Callable[[], Any]) -> Any:
    """Call within the limits, warnings being errors; return the result or the exception.

    A call that is late may have compiled a kernel, which is no part of it, and is not to be disturbed: it is made anew.
    """
    TALLY["calls"] += 1
    begin = time.monotonic()
    result = _once(function, COMPILING)
    if time.monotonic() - begin > SECONDS:
        result = _once(function, SECONDS)
    return result


def _once(function: Callable[[], Any], seconds: float) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in DEPRECATED:
            warnings.filterwarnings("ignore", f"^{name} is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "^resize: axes=None resamples all axes", UserWarning)  # which is promised
        try:
            with _limits(seconds), np.errstate(all=_setting.errors), upsample.num_threads(_setting.threads):
                return function()
        except Exception as error:
            return error
