"""Calls of dialects that come to one run of one plan: a repeated one pays a look-up and the kernel.

A dialect's function checks its arguments, plans, and calls `upsample.ops.resize`. If that happened once, on the array
itself, and the result was returned as it is, the next call of equal arguments skips all but the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from upsample.ops import call_cache

__all__ = ["note", "once"]


class _Run(NamedTuple):
    """A plan that an engine carried out, its array and its result."""

    plan: Any
    x: Any
    result: Any


class _Here(threading.local):
    """The runs of the call that this thread is in; None outside of one."""

    runs: list[_Run] | None = None


_here = _Here()


def note(plan: Any, x: Any, result: Any) -> None:
    """Tell the call that this thread is in of a run."""
    if _here.runs is not None:
        _here.runs.append(_Run(plan, x, result))


def once(function: Callable[..., Any], x: Any, *arguments: Any) -> Any:
    """Call ``function(x, *arguments)``, or what an equal call came to.

    Parameters
    ----------
    function : callable
        A dialect's; its name is the operation's, with an underscore before it.
    x : array
        What is resized.
    arguments : tuple
        All other arguments; the last one is the engine.

    Returns
    -------
    array
        What the function returns.
    """
    if _here.runs is not None:  # within another call, which is not one run then
        return function(x, *arguments)
    plain = (function.__module__, function.__name__, *map(_plain, arguments))
    key, known = call_cache.lookup(function.__name__.strip("_"), plain, (x,), None)
    if known is not None:
        return known.run(x, None)
    if key is None:
        return function(x, *arguments)
    runs: list[_Run] = []
    _here.runs = runs
    try:
        result = function(x, *arguments)
    finally:
        _here.runs = None
    if len(runs) == 1 and runs[0].x is x and runs[0].result is result:
        call_cache.store(key, "resize", runs[0].plan, (x,), (result,), arguments[-1])
    return result


def _plain(value: Any) -> Any:
    """Return lists as tuples and enumerations as integers, which `call_cache` remembers."""
    if type(value) is list:
        return tuple(value)
    return int(value) if isinstance(value, IntEnum) else value
