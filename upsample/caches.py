"""All caches of plans, tables and known calls: one bound in bytes over all of them, least recently used first.

Each cache is a dictionary of its own, so that a look-up hashes one key. All entries are in one queue. When they need
more than 64 MiB together, or UPSAMPLE_CACHE_MIB, the entries that were used least recently are dropped, whatever their
cache. Memory that several entries share counts once. Tables on a GPU count if an entry refers to them.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from types import BuiltinFunctionType, CellType, FunctionType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

from upsample import environment

__all__ = ["Cache", "Cached", "Held", "cached", "capacity", "during_call", "held", "once_a_call"]

_P = ParamSpec("_P")
_V = TypeVar("_V")

_CAPACITY_MIB = 64
"""Bound of all caches in MiB, if UPSAMPLE_CACHE_MIB is not set."""
_ENTRY_BYTES = 640
"""Bytes of an entry beside its value: the key, and its places in the dictionary and in the queue."""
_OBJECT_BYTES = 64
"""Bytes of an object beside what it refers to, about."""
_PLAN_BYTES = 512
"""Bytes of an object that is hashed by its value, such as a plan; it contains no array, because arrays have no hash."""
_ARRAY_BYTES = 128
"""Bytes of an array beside its memory."""

_PLAIN = frozenset({int, float, bool, complex, str, bytes, type(None), type, BuiltinFunctionType})


class _Entry:
    """A value, where it is cached, and what it needs."""

    __slots__ = ("buffers", "cache", "key", "objects", "value")

    def __init__(self, cache: Cache[Any], key: Hashable, value: Any, objects: int, buffers: tuple[Any, ...]) -> None:
        self.cache, self.key, self.value = cache, key, value
        self.objects, self.buffers = objects, buffers


class Held(NamedTuple):
    """What the caches contain now: how many entries, and bytes in all."""

    entries: int
    bytes: int


class _Store:
    """The entries of all caches, the least recently used one first, and the bytes that they need."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a finalizer that runs under the lock may call an op
        self.queue: OrderedDict[_Entry, None] = OrderedDict()
        self.users: dict[int, int] = {}
        self.bytes = 0

    def add(self, entry: _Entry, most: int) -> None:
        """Keep an entry, and drop the oldest ones beyond `most` bytes."""
        dropped = []
        with self.lock:
            older = entry.cache.entries.get(entry.key)
            if older is not None:
                dropped.append(self._drop(older))
            entry.cache.entries[entry.key] = entry
            self.queue[entry] = None
            self.bytes += entry.objects
            for buffer in entry.buffers:
                users = self.users.get(id(buffer), 0)
                self.users[id(buffer)] = users + 1
                self.bytes += 0 if users else buffer.nbytes
            while self.bytes > most:
                oldest, _ = self.queue.popitem(last=False)  # in one step: look-ups reorder the queue without the lock
                self._uncount(oldest)
                dropped.append(self._drop(oldest))
        dropped.clear()  # not under the lock: finalizers run here

    def _drop(self, entry: _Entry) -> _Entry:
        if entry.cache.entries.get(entry.key) is entry:
            del entry.cache.entries[entry.key]
        if entry in self.queue:
            del self.queue[entry]
            self._uncount(entry)
        return entry

    def _uncount(self, entry: _Entry) -> None:
        """Subtract the bytes of an entry that has left the queue."""
        self.bytes -= entry.objects
        for buffer in entry.buffers:
            users = self.users[id(buffer)] - 1
            if users:
                self.users[id(buffer)] = users
            else:
                del self.users[id(buffer)]
                self.bytes -= buffer.nbytes

    def remove(self, cache: Cache[Any], key: Hashable) -> None:
        """Drop the entry of a key, if there is one."""
        with self.lock:
            entry = cache.entries.get(key)
            dropped = None if entry is None else self._drop(entry)
        del dropped  # not under the lock: finalizers run here

    def clear(self, cache: Cache[Any]) -> None:
        """Drop all entries of a cache."""
        with self.lock:
            dropped = [self._drop(entry) for entry in tuple(cache.entries.values())]
        dropped.clear()


_store = _Store()


class Cache(Generic[_V]):
    """A dictionary whose entries may be dropped at any time, as part of the one bound of all caches.

    Examples
    --------
    >>> squares = Cache()
    >>> squares.put(3, 9)
    >>> squares.get(3)
    9
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Hashable, _Entry] = {}

    def get(self, key: Hashable) -> _V | None:
        """Return the value of a key, None if there is none."""
        entry = self.entries.get(key) or _of_this_call(self, key)
        if entry is None:
            return None
        _touch(entry)
        value: _V = entry.value
        return value

    def put(self, key: Hashable, value: _V) -> None:
        """Keep a value, unless it alone needs more than all caches may."""
        call = _here.call
        if call is not None:
            call[id(self), key] = _Entry(self, key, value, 0, ())
        most = capacity()
        if most:
            buffers: dict[int, Any] = {}
            objects = _ENTRY_BYTES + _measure((key, value), buffers)
            if objects + sum(buffer.nbytes for buffer in buffers.values()) <= most:
                _store.add(_Entry(self, key, value, objects, tuple(buffers.values())), most)
                return
        _store.remove(self, key)  # an older value, which the caller replaces

    def mark(self, key: Hashable, value: _V) -> None:
        """Keep a value that needs no memory."""
        most = capacity()
        if most:
            _store.add(_Entry(self, key, value, _ENTRY_BYTES, ()), most)

    def clear(self) -> None:
        """Drop all entries."""
        _store.clear(self)

    def values(self) -> list[_V]:
        """Return the values, in no order."""
        return [entry.value for entry in tuple(self.entries.values())]

    def __len__(self) -> int:
        return len(self.entries)


class Cached(Generic[_P, _V]):
    """A function that keeps its results by its arguments."""

    __wrapped__: Callable[_P, _V]

    def __init__(self, function: Callable[_P, _V]) -> None:
        self._cache: Cache[_V] = Cache()
        self._entries = self._cache.entries
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _V:
        """Return the function's result, of an earlier call if there is one."""
        key = (*args, *kwargs.items()) if kwargs else args
        entry = self._entries.get(key) or _of_this_call(self._cache, key)
        if entry is not None:
            _touch(entry)
            value: _V = entry.value
            return value
        made = self._function(*args, **kwargs)
        self._cache.put(key, made)
        return made

    def __reduce__(self) -> str:
        return self._function.__qualname__  # pickled by name, as functions are

    def cache_clear(self) -> None:
        """Drop all results."""
        self._cache.clear()

    def __len__(self) -> int:
        return len(self._cache)


def cached(function: Callable[_P, _V]) -> Cached[_P, _V]:
    """Keep the results of a function whose arguments are hashable, within the bound of all caches.

    Parameters
    ----------
    function : callable
        Returns equal results for equal arguments; nothing changes them afterwards.

    Returns
    -------
    Cached
        The function with a cache.
    """
    return Cached(function)


class OnceACall(Generic[_P, _V]):
    """A function that keeps its results while a call of an op runs; see `once_a_call`."""

    __wrapped__: Callable[_P, _V]

    def __init__(self, function: Callable[_P, _V]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _V:
        """Return the function's result, of this call if there is one."""
        call = _here.call
        if call is None:
            return self._function(*args, **kwargs)
        key = (self, args, *kwargs.items())
        if key not in call:
            call[key] = self._function(*args, **kwargs)
        made: _V = call[key]
        return made


def once_a_call(function: Callable[_P, _V]) -> OnceACall[_P, _V]:
    """Keep the results of a function for the rest of this call of an op; outside of calls, it is just called.

    For tables from which others are made: what is cached is the work that they were made for, which refers to those
    that it needs. A table of their own in the caches would cost more time than most of them take to make.

    Parameters
    ----------
    function : callable
        Returns equal results for equal arguments, which are hashable; nothing changes them afterwards.
    """
    return OnceACall(function)


def _touch(entry: _Entry) -> None:
    """Make an entry the one used last."""
    try:  # not contextlib.suppress, which takes longer than all the rest of a look-up
        _store.queue.move_to_end(entry)
    except KeyError:  # another thread dropped it meanwhile
        return


class _Here(threading.local):
    """What the call that this thread runs has cached so far; None outside of calls."""

    call: dict[Any, Any] | None = None


_here = _Here()


def _of_this_call(cache: Cache[Any], key: Hashable) -> _Entry | None:
    """Return an entry that the caches had no room for, or have dropped, from the call that made it."""
    call = _here.call
    entry: _Entry | None = None if call is None else call.get((id(cache), key))
    return entry


@contextmanager
def during_call(*, apart: bool) -> Iterator[None]:
    """Find again all that this thread caches within this block; `apart`: a call around it does not keep that."""
    outer = _here.call
    _here.call = {} if apart or outer is None else outer
    try:
        yield
    finally:
        _here.call = outer


def capacity() -> int:
    """Return how many bytes all caches may need; 0 keeps nothing.

    Returns
    -------
    int
        Of UPSAMPLE_CACHE_MIB, which may change at any time.

    Warns
    -----
    UserWarning
        Once for each value that is no whole number of MiB.
    """
    told = environment.number("UPSAMPLE_CACHE_MIB", 0)
    return (_CAPACITY_MIB if told is None else told) << 20


def held() -> Held:
    """Return how many entries all caches have, and the bytes that these need."""
    with _store.lock:
        return Held(len(_store.queue), _store.bytes)


def _measure(value: Any, buffers: dict[int, Any]) -> int:
    """Return the bytes of a value's objects, and add the memory of its arrays to `buffers`."""
    total, seen, left = 0, set(), [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind is tuple:  # a cycle needs an object that is not a tuple
            total += _OBJECT_BYTES + 8 * len(item)
            left += item
            continue
        if kind is np.ndarray:
            total += _ARRAY_BYTES
            owner = item.base
            while type(owner) is np.ndarray:
                item, owner = owner, owner.base
            buffers[id(item)] = item
            continue
        names = _names.get(kind)
        if names is None:
            names = _names[kind] = _names_of(kind)
        if names is _BY_VALUE:
            total += _PLAN_BYTES
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        if names is _FOREIGN:
            total += _ARRAY_BYTES
            buffers[id(item)] = item
            continue
        total += _OBJECT_BYTES
        left += [getattr(item, name, None) for name in names]
        if kind is list:
            total += 8 * len(item)
            left += item
        elif kind is dict:
            left += item.keys()
            left += item.values()
        elif kind is CellType:
            left.append(item.cell_contents)
    return total


_BY_VALUE = ("hashed by value",)
_FOREIGN = ("array of another library",)
_names: dict[type, tuple[str, ...]] = {}
"""For each class the attributes that refer to what an object of it needs; `_BY_VALUE` for plans, `_FOREIGN` for arrays
of other libraries."""


def _names_of(kind: type) -> tuple[str, ...]:
    hashed: Any = kind.__hash__
    if kind is partial:
        return "func", "args", "keywords"
    if kind is FunctionType:
        return ("__closure__",)
    if hashed is not None and hashed is not object.__hash__:
        return _BY_VALUE
    if hashed is None and hasattr(kind, "nbytes"):
        return _FOREIGN
    if not kind.__module__.startswith("upsample."):
        return ()
    slots = [part.__dict__.get("__slots__", ()) for part in kind.__mro__]
    return ("__dict__", *(name for names in slots for name in ((names,) if isinstance(names, str) else names)))


def _renew() -> None:
    """In a forked child, another thread of the parent may have had the lock: make a new one."""
    _store.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
