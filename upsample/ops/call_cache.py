"""Calls that were made before: a repeated one pays a look-up and the kernel, not the checks of its arguments.

All that a call's checks look at is in the key: its arguments with their types (2, 2.0 and True are equal, and not the
same), and the shape and dtype of each array. Only NumPy's own arrays, in this machine's byte order, contiguous arrays
on a GPU, and arguments that are plain Python values are kept; every other call goes the long way, and so does one that
is only explained, whose gradient is wanted, or of whose `out` it takes a closer look to see that it will do.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.autograd import tape
from upsample.caches import Cache, capacity, during_call
from upsample.engines import dispatch, lazy_compile
from upsample.engines.cuda import repeats
from upsample.overlap import is_plainly_apart

__all__ = ["CachedCall", "lookup", "store"]

_Key: TypeAlias = tuple[Any, ...]

_PLAIN = frozenset({int, float, bool, str, type(None)})
_NO_REFERENCES = 2
"""The version of marshal's bytes that are the same for the same values, however often an object occurs."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedCall:
    """What a call came to.

    Attributes
    ----------
    run : callable
        The engine's, which takes the arrays and what else is not in the key.
    results : tuple of (tuple of int, dtype)
        Shape and dtype of each result.
    """

    run: Any
    results: tuple[tuple[tuple[int, ...], Any], ...]


_known: Cache[CachedCall] = Cache()


def lookup(
    op: str, arguments: tuple[Any, ...], given: tuple[Any, ...], out: object
) -> tuple[_Key | None, CachedCall | None]:
    """Return the key to keep a call under, None where it is not to be kept, and what is known of it, None for nothing.

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
    owners = True
    for x in given:
        if type(x) is not np.ndarray:
            return _lookup_on_gpu(op, arguments, given, out)
        flags = x.flags
        if not flags.aligned:
            return None, None
        owners = owners and flags.owndata
        parts += x.shape, x.dtype
    if tape.current() is not None or not dispatch.is_plain_call():
        return None, None
    try:  # no two plain values of different types, in tuples or not, have the same bytes
        key = (op, marshal.dumps(arguments, _NO_REFERENCES), *parts)
    except ValueError:  # what is not plain, or not always
        return None, None
    repeat = _known.get(key)
    if repeat is None:
        return (key if _are_plain(arguments) and all(x.dtype.isnative for x in given) else None), None
    if out is None:
        return None, repeat
    if len(repeat.results) == 1:
        return None, repeat if is_plainly_apart(out, *repeat.results[0], given, owners) else None
    if type(out) is not tuple or len(out) != len(repeat.results):
        return None, None
    for made, (shape, dtype) in zip(out, repeat.results, strict=True):
        if not is_plainly_apart(made, shape, dtype, given, owners):
            return None, None
        given += (made,)
        owners = owners and made.flags.owndata
    return None, repeat


def _lookup_on_gpu(
    op: str, arguments: tuple[Any, ...], given: tuple[Any, ...], out: object
) -> tuple[_Key | None, CachedCall | None]:
    """Do the same for arrays of CuPy and torch on a GPU."""
    parts = repeats.key_of(given)
    if parts is None or tape.current() is not None or not dispatch.is_plain_call():
        return None, None
    try:
        key = (op, marshal.dumps(arguments, _NO_REFERENCES), parts)
    except ValueError:
        return None, None
    repeat = _known.get(key)
    if repeat is None:
        return (key if _are_plain(arguments) else None), None
    if out is not None:
        outs = (out,) if len(repeat.results) == 1 else out
        if type(outs) is not tuple or len(outs) != len(repeat.results):
            return None, None
        for made, (shape, dtype) in zip(outs, repeat.results, strict=True):
            if not repeats.is_apart(made, shape, dtype, given):
                return None, None
            given += (made,)
    return None, repeat


def _are_plain(values: Iterable[object]) -> bool:
    """Whether all are plain values or tuples of such."""
    return all(_are_plain(v) if type(v) is tuple else type(v) in _PLAIN for v in values)


def store(
    key: _Key | None, task: str, plan: Any, given: tuple[Any, ...], results: tuple[Any, ...], engine: str | None
) -> None:
    """Remember a call that went well; nothing happens where there is no key.

    Parameters
    ----------
    key : tuple or None
        Of `lookup`.
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
    if key is None or not capacity() or (engine is None and lazy_compile.is_undecided(task, plan, given[0])):
        return
    made = tuple((x.shape, x.dtype) for x in results if x is not None)
    with during_call():
        run = dispatch.bind(key[0], task, plan, given, engine)
        if run is not None:
            _known.put(key, CachedCall(run, made))
