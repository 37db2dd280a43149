"""Calls that were made before: a repeated one pays a look-up and the kernel, not the checks of its arguments.

All that a call's checks look at is in the key: its arguments with their types (2, 2.0 and True are equal, and not the
same), and the shape and dtype of each array. Only NumPy's own arrays, in this machine's byte order, and arguments that
are plain Python values are kept; every other call goes the long way, and so does one that is only explained, or whose
gradient is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from upsample.autograd.tape import is_recording
from upsample.engines import dispatch

__all__ = ["Repeat", "find", "keep"]

_KEPT = 1024
"""Calls that are remembered."""
_PLAIN = frozenset({int, float, bool, str, type(None)})


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    """What a call's arguments came to.

    Attributes
    ----------
    run : callable
        The engine's.
    plan : plan
        Its first argument after the namespace.
    shape : tuple of int
        Of the result.
    """

    run: Callable[..., Any]
    plan: Any
    shape: tuple[int, ...]


_repeats: dict[Hashable, Repeat] = {}


def find(op: str, arguments: tuple[object, ...], given: tuple[object, ...]) -> tuple[Hashable, Repeat | None]:
    """Return the key of a call, None for one that is not to be kept, and what is known of it.

    Parameters
    ----------
    op : str
        The operation, which says how `arguments` are checked.
    arguments : tuple
        As they were given, `engine` included and `out` not.
    given : tuple
        What should be arrays.
    """
    types = tuple(map(type, arguments))
    key: tuple[object, ...] = (op, arguments, types)
    for x in given:
        if type(x) is not np.ndarray:
            return None, None
        key += (x.shape, x.dtype)
    if tuple in types:
        key += tuple([tuple(map(type, a)) for a in arguments if type(a) is tuple])
    if dispatch.is_special() or is_recording():
        return None, None
    try:
        return key, _repeats.get(key)
    except TypeError:  # a list, which cannot be looked up
        return None, None


def keep(
    key: Hashable, task: str, plan: Any, given: tuple[Any, ...], shape: tuple[int, ...], engine: str | None
) -> None:
    """Remember a call that went well; nothing happens where its key is None.

    Parameters
    ----------
    key : tuple or None
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
    if key is None or not all(x.dtype.isnative for x in given):
        return
    arguments: tuple[object, ...] = key[1]  # type: ignore[index]
    values = [v for a in arguments for v in (a if type(a) is tuple else (a,))]
    if not all(type(v) in _PLAIN for v in values):
        return
    if len(_repeats) >= _KEPT:
        _repeats.clear()
    _repeats[key] = Repeat(dispatch.choose(str(key[0]), task, plan, given[0], engine), plan, shape)  # type: ignore[index]
