"""Cache checked calls: a repeated call pays for a lookup and the kernel, not for the checks of its arguments.

The key contains everything that the checks depend on: the arguments with their types (2, 2.0 and True are equal but
differ), and the shape and dtype of each array. The cache takes NumPy arrays in native byte order, contiguous arrays on
a GPU, and plain Python values. Every other call is checked, and so is a call that is only explained, needs a gradient,
or has an `out` whose check takes more than its shape and dtype.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from upsample.autograd import tape
from upsample.caches import Cache, capacity, during_call
from upsample.engines import dispatch, lazy_compile
from upsample.engines.cuda import repeats
from upsample.float_errors import quiet
from upsample.memory_overlap import is_plainly_apart
from upsample.plans.resize import ResizePlan

__all__ = ["CachedCall", "lookup", "store", "store_chain"]

_Key: TypeAlias = tuple[Any, ...]
_Results: TypeAlias = tuple[tuple[tuple[int, ...], Any], ...]

_PLAIN = frozenset({int, float, bool, str, type(None)})
_NO_REFERENCES = 2
"""Version of marshal whose bytes depend on values only, not on how often an object occurs."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedCall:
    """A call that was checked.

    Attributes
    ----------
    run : callable
        The engine's function; its arguments are the arrays and the values that are not in the key.
    results : tuple of (tuple of int, dtype)
        Shape and dtype of each result.
    constants : tuple
        Tables and scalars that recorded launches on a GPU refer to; their memory counts as that of the entry.
    """

    run: Any
    results: _Results
    constants: tuple[Any, ...]


_CALLS_BEFORE = 1
"""Equal calls before the one that is stored: a stream of sizes that are seen once does not pay for the look-up."""

_known: Cache[CachedCall] = Cache()
_seen: Cache[int] = Cache()
"""How many equal calls came before, of those that are not known yet."""


def lookup(
    op: str, arguments: tuple[Any, ...], given: tuple[Any, ...], out: object
) -> tuple[_Key | None, CachedCall | None]:
    """Return the key of a call, or None if it cannot be cached, and the cached call, or None.

    Parameters
    ----------
    op : str
        The operation, by which `arguments` are checked.
    arguments : tuple
        The arguments of the caller, with `engine` and without `out`.
    given : tuple
        The arrays, not checked yet.
    out : object
        The array for the result, or a tuple of arrays for several; None without any.
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
    try:  # plain values of different types have different bytes, in tuples too
        key = (op, marshal.dumps(arguments, _NO_REFERENCES), *parts)
    except ValueError:  # a value that marshal does not take
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
    """Look up a call on arrays of CuPy or torch on a GPU."""
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
    """Return whether all are plain values or tuples of plain values."""
    return all(_are_plain(v) if type(v) is tuple else type(v) in _PLAIN for v in values)


def store(
    key: _Key | None, task: str, plan: Any, given: tuple[Any, ...], results: tuple[Any, ...], engine: str | None
) -> None:
    """Cache a call that succeeded; without a key, do nothing.

    Parameters
    ----------
    key : tuple or None
        The key that `lookup` returned.
    task : str
        The task of the engine, such as "resize".
    plan : plan
        The plan of the call.
    given : tuple of array
        The arrays; the engine was chosen for the first one.
    results : tuple of array
        The results; None for an omitted one.
    engine : str or None
        The forced engine, if any.
    """
    if key is None or not capacity() or (engine is None and lazy_compile.is_undecided(task, plan, given[0])):
        return
    if not _is_repeated(key):
        return
    made = tuple((x.shape, x.dtype) for x in results if x is not None)
    with during_call(apart=False):
        run = dispatch.bind(key[0], task, plan, given, engine)
        if run is not None:
            _known.put(key, CachedCall(run, made, ()))
        if isinstance(run, repeats.Repeated):
            run.recorded = partial(_count_constants, key, run, made)


def store_chain(
    key: _Key, links: tuple[tuple[Any, tuple[int, ...], Any], ...], result: Any, engine: str | None
) -> None:
    """Cache a call on a NumPy array that is several steps, each on the array or on results of earlier steps.

    Parameters
    ----------
    key : tuple
        The key that `lookup` returned.
    links : tuple of (ResizePlan or callable, tuple of int, array)
        The steps; which arrays each takes, 0 for that of the call and i for the result of the i-th step; the first one.
    result : array
        Of the last step.
    engine : str or None
        The forced engine, if any.
    """
    plans = [(step, x) for step, _, x in links if isinstance(step, ResizePlan)]
    if not capacity() or (engine is None and any(lazy_compile.is_undecided("resize", *link) for link in plans)):
        return
    if not _is_repeated(key):
        return
    with during_call(apart=False):
        found = [(_step(key[0], step, x, engine), places) for step, places, x in links]
        steps = tuple((step, places) for step, places in found if step is not None)
        if len(steps) == len(found):
            run = _run_chain if len(plans) == len(steps) else quiet(_run_chain)  # engines are quiet
            _known.put(key, CachedCall(partial(run, steps), ((result.shape, result.dtype),), ()))


def _step(op: str, step: Any, x: Any, engine: str | None) -> Callable[..., Any] | None:
    """Return the function that runs one step of a chain on arrays like `x`."""
    if not isinstance(step, ResizePlan):
        run: Callable[..., Any] = step
        return run
    bound = dispatch.bind(op, "resize", step, (x,), engine)
    return None if bound is None else partial(bound, out=None)


def _run_chain(steps: tuple[tuple[Callable[..., Any], tuple[int, ...]], ...], x: Any, out: None) -> Any:
    values = [x]
    for step, places in steps:
        values.append(step(*[values[place] for place in places]))
    return values[-1]


def _is_repeated(key: _Key) -> bool:
    """Return whether enough equal calls came before; count this one otherwise."""
    calls = _seen.get(key) or 0
    if calls < _CALLS_BEFORE:
        _seen.mark(key, calls + 1)
        return False
    return True


def _count_constants(key: _Key, run: repeats.Repeated, made: _Results, constants: tuple[Any, ...]) -> None:
    """Replace a cached call by one whose memory includes the constants of its launches."""
    _known.put(key, CachedCall(run, made, constants))
