"""Calls that were made before: a repeated one pays a look-up and the kernel, not the checks of its arguments.

All that a call's checks look at is in the key: its arguments with their types (2, 2.0 and True are equal, and not the
same), and the shape and dtype of each array. Only NumPy's own arrays, in this machine's byte order, and arguments that
are plain Python values are kept; every other call goes the long way, and so does one that is only explained, or whose
gradient is wanted.

The look-up is that of `functools.lru_cache`, whose keys are made and compared in C.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from upsample.autograd.tape import is_recording
from upsample.engines import dispatch

__all__ = ["Repeat", "find", "keep"]

_KEPT = 1024
"""Calls that are remembered: those made last."""
_PLAIN = frozenset({int, float, bool, str, type(None), type})


@dataclass(slots=True, eq=False)
class Repeat:
    """What a call's arguments came to.

    Attributes
    ----------
    op : str
        What the dialect calls the operation.
    nested : bool
        Whether an argument is a tuple.
    run : callable or None
        The engine's, which takes the arrays and what else is not in the key; None before a call went well.
    plan : plan
        What it carries out.
    shape : tuple of int
        Of the result.
    """

    op: str
    nested: bool
    run: Any
    plan: Any
    shape: tuple[int, ...]


def find(op: str, arguments: tuple[object, ...], given: tuple[object, ...]) -> tuple[Repeat | None, Repeat | None]:
    """Return what is to be known of a call, None where nothing is to be kept, and the same again where it is known.

    Parameters
    ----------
    op : str
        The operation, which says how `arguments` are checked.
    arguments : tuple
        As they were given, `engine` included and `out` not.
    given : tuple
        What should be arrays.
    """
    parts: list[Any] = []
    for x in given:
        if type(x) is not np.ndarray:
            return None, None
        parts += x.shape, x.dtype
    if dispatch.is_special() or is_recording():
        return None, None
    try:
        repeat = _repeat(op, len(arguments), *arguments, *parts)
        if repeat.nested:  # what is in a tuple has its type, too
            inner = tuple([type(v) for a in arguments if type(a) is tuple for v in a])
            repeat = _repeat(op, len(arguments), *arguments, *parts, inner)
    except TypeError:  # what cannot be looked up, such as a list, or is not to be kept
        return None, None
    return repeat, repeat if repeat.run is not None else None


@lru_cache(maxsize=_KEPT, typed=True)
def _repeat(op: str, count: int, *parts: Any) -> Repeat:
    """Return the one object for `count` arguments, shapes and dtypes; TypeError where one of them is not to be kept."""
    values = [v for part in parts for v in (part if type(part) is tuple else (part,))]
    if not all(v.isnative if isinstance(v, np.dtype) else type(v) in _PLAIN for v in values):
        raise TypeError
    return Repeat(op, tuple in map(type, parts[:count]), None, None, ())


def keep(
    repeat: Repeat | None, task: str, plan: Any, given: tuple[Any, ...], shape: tuple[int, ...], engine: str | None
) -> None:
    """Remember a call that went well; nothing happens where there is nothing to keep it in.

    Parameters
    ----------
    repeat : Repeat or None
        Of `find`.
    task : str
        The module of an engine that ran it.
    plan : plan
        What ran.
    given : tuple of array
        The arrays, the one first that the engine was chosen for.
    shape : tuple of int
        Of the result.
    engine : str or None
        The engine that was asked for.
    """
    if repeat is not None:
        repeat.plan, repeat.shape = plan, shape
        repeat.run = dispatch.ready(repeat.op, task, plan, given, engine)
