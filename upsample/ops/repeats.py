"""Calls that were made before: a repeated one pays a look-up and the kernel, not the checks of its arguments.

All that a call's checks look at is in the key: its arguments with their types (2, 2.0 and True are equal, and not the
same), and the shape and dtype of each array. Only NumPy's own arrays, in this machine's byte order, and arguments that
are plain Python values are kept; every other call goes the long way, and so does one that is only explained, whose
gradient is wanted, or of whose `out` it takes a closer look to see that it will do.

The look-up is that of `functools.lru_cache`, whose keys are made and compared in C.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.autograd import tape
from upsample.engines import dispatch
from upsample.engines.cuda.device import emulated

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
    tuples : tuple of int
        Places of the arguments that are tuples, whose elements have types, too.
    inner : dict
        Where there are any: what calls with elements of these types came to, first tuple first.
    run : callable or None
        The engine's, which takes the arrays and what else is not in the key; None before a call went well.
    results : tuple of (tuple of int, dtype)
        Shape and dtype of each result.
    """

    op: str
    tuples: tuple[int, ...]
    inner: dict[tuple[type, ...], Repeat] = field(default_factory=dict)
    run: Any = None
    results: tuple[tuple[tuple[int, ...], Any], ...] = ()


def find(
    op: str, arguments: tuple[object, ...], given: tuple[object, ...], out: object
) -> tuple[Repeat | None, Repeat | None]:
    """Return what is to be known of a call, None where nothing is to be kept, and the same again where it is known.

    Parameters
    ----------
    op : str
        The operation, which says how `arguments` are checked.
    arguments : tuple
        As they were given, `engine` included and `out` not.
    given : tuple
        What should be arrays.
    out : object
        What should receive the result, or is a tuple of what should receive several; None where there is none.
    """
    parts: list[Any] = []
    for x in given:
        if type(x) is not np.ndarray or not x.flags.aligned:
            return None, None
        parts += x.shape, x.dtype
    if dispatch.is_explaining() or emulated() is not None or tape.current() is not None:
        return None, None
    try:
        repeat = _repeat(op, len(arguments), *arguments, *parts)
        for place in repeat.tuples:
            types = tuple(map(type, cast("tuple[object, ...]", arguments[place])))
            repeat = repeat.inner.get(types) or _of_types(repeat, types)
    except TypeError:  # what cannot be looked up, such as a list, or is not to be kept
        return None, None
    if repeat.run is None or not (out is None or _plainly_apart(out, repeat.results, given)):
        return repeat, None
    return repeat, repeat


@lru_cache(maxsize=_KEPT, typed=True)
def _repeat(op: str, count: int, *parts: Any) -> Repeat:
    """Return the one object for `count` arguments, shapes and dtypes; TypeError where one of them is not to be kept."""
    values = [v for part in parts for v in (part if type(part) is tuple else (part,))]
    if not all(v.isnative if isinstance(v, np.dtype) else type(v) in _PLAIN for v in values):
        raise TypeError
    return Repeat(op, tuple(place for place in range(count) if type(parts[place]) is tuple))


def _of_types(repeat: Repeat, types: tuple[type, ...]) -> Repeat:
    """Return the one object for elements of these types; TypeError where they are not to be kept."""
    if not _PLAIN.issuperset(types):
        raise TypeError
    return repeat.inner.setdefault(types, Repeat(repeat.op, ()))


def _plainly_apart(out: Any, results: tuple[tuple[tuple[int, ...], Any], ...], given: tuple[object, ...]) -> bool:
    """Say whether nothing is wrong with `out`; False where a closer look is needed."""
    if len(results) == 1:
        return arrays.is_plainly_apart(out, *results[0], given)
    if type(out) is not tuple or len(out) != len(results):
        return False
    for place, result in enumerate(results):
        if not arrays.is_plainly_apart(out[place], *result, given):
            return False
        given += (out[place],)
    return True


def keep(
    repeat: Repeat | None, task: str, plan: Any, given: tuple[Any, ...], results: tuple[Any, ...], engine: str | None
) -> None:
    """Remember a call that went well; nothing happens where it is known, or there is nothing to keep it in.

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
    results : tuple of array
        What it made; None for what it did not.
    engine : str or None
        The engine that was asked for.
    """
    if repeat is not None and repeat.run is None:
        repeat.results = tuple((x.shape, x.dtype) for x in results if x is not None)
        repeat.run = dispatch.ready(repeat.op, task, plan, given, engine)
