"""The number of threads of a call: set by the program, its environment or the system, in this order.

A `num_threads` block; `set_num_threads`; UPSAMPLE_NUM_THREADS; for torch tensors, torch's own number; one thread in a
worker of torch's DataLoader; NUMBA_NUM_THREADS; OMP_NUM_THREADS; one thread in a worker of multiprocessing; the cores
that affinity and the container's quota leave. A limit set by threadpoolctl holds over all of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

from upsample import environment
from upsample.arguments import integer
from upsample.engines import cores

__all__ = ["get_num_threads", "num_threads", "set_num_threads", "torch_threads"]


class _Setting(NamedTuple):
    """A number that a program set, and how many forks led to the process that set it."""

    number: int
    forks: int


class _Process:
    """What this process knows."""

    def __init__(self) -> None:
        self.forks = 0
        self.setting: _Setting | None = None
        self.limit: int | None = None
        self.default: int | None = None
        self.knows_threadpoolctl = False


_process = _Process()
_block: ContextVar[_Setting | None] = ContextVar("upsample_num_threads", default=None)

torch_threads: ContextVar[int | None] = ContextVar("upsample_torch_threads", default=None)
"""torch's own number of threads, while a call of torch tensors runs."""


def get_num_threads() -> int:
    """Return how many threads a call uses here.

    In this order: `num_threads` around the call, `set_num_threads`, the variable UPSAMPLE_NUM_THREADS, torch's number
    for torch tensors, NUMBA_NUM_THREADS, OMP_NUM_THREADS, and the cores that the process may use, by its affinity and
    its container's quota. Workers of multiprocessing and of torch's DataLoader use one thread unless one of the first
    three, or for multiprocessing the environment, says otherwise. A limit of threadpoolctl holds over all.

    Returns
    -------
    int
        At least 1. Results do not depend on it.

    Examples
    --------
    >>> import upsample
    >>> with upsample.num_threads(2):
    ...     upsample.get_num_threads()
    2
    """
    if not _process.knows_threadpoolctl and "threadpoolctl" in sys.modules:
        _join_threadpoolctl()
    count = _unlimited()
    return count if _process.limit is None else min(count, _process.limit)


def set_num_threads(count: int | None) -> None:
    """Set how many threads a call uses in this process, also for calls in other Python threads.

    Parameters
    ----------
    count : int or None
        At least 1; None lets the environment and the system decide again.

    Returns
    -------
    None
        Nothing.

    Raises
    ------
    TypeError
        `count` is no integer.
    ValueError
        `count` is below 1.

    See Also
    --------
    num_threads : For the calls of a block only.

    Examples
    --------
    >>> import upsample
    >>> upsample.set_num_threads(1)
    >>> upsample.get_num_threads()
    1
    >>> upsample.set_num_threads(None)
    """
    told = None if count is None else integer("set_num_threads", "count", count, least=1)
    _process.setting = None if told is None else _Setting(told, _process.forks)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Set how many threads calls use within a block, in this Python thread or task only.

    Parameters
    ----------
    count : int
        At least 1.

    Returns
    -------
    context manager
        For `with`.

    Raises
    ------
    TypeError
        `count` is no integer.
    ValueError
        `count` is below 1.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> with upsample.num_threads(1):
    ...     upsample.resize(np.zeros((2, 2)), scale=2).shape
    (4, 4)
    """
    token = _block.set(_Setting(integer("num_threads", "count", count, least=1), _process.forks))
    try:
        yield
    finally:
        _block.reset(token)


def _unlimited() -> int:
    return (
        _set(_block.get())
        or _set(_process.setting)
        or environment.number("UPSAMPLE_NUM_THREADS", 1)
        or torch_threads.get()
        or _default()
    )


def _set(setting: _Setting | None) -> int | None:
    """The number that a program set; a parent's does not hold in its workers, which run beside each other."""
    if setting is None or (setting.forks != _process.forks and _is_worker()):
        return None
    return setting.number


def _default() -> int:
    """What other libraries' variables, the kind of process and the system say, looked up once; affinity may change."""
    if _process.default is None:
        _process.default = _found()
    return min(_process.default, cores.affinity())


def _found() -> int:
    usable = cores.usable()
    if _is_loading_data():
        return 1
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        count = _positive(os.environ.get(name, "").partition(",")[0])  # OpenMP: one number for each level of nesting
        if count is not None:
            return min(count, usable)
    return 1 if _is_worker() else usable


def _positive(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() and 0 < len(text) < 10 and int(text) > 0 else None


def _is_worker() -> bool:
    """Whether multiprocessing started this process, a pool or an executor most often."""
    module: Any = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _is_loading_data() -> bool:
    """Whether this is a worker process of torch's DataLoader, where torch uses one thread itself."""
    module: Any = sys.modules.get("torch.utils.data")
    return module is not None and module.get_worker_info() is not None


def _join_threadpoolctl() -> None:
    """Register the threads of this package with threadpoolctl, so that it can report and limit them.

    threadpoolctl finds thread pools by the file of a loaded library. This package has none, so NumPy's C module, which
    is always loaded, represents it.
    """
    _process.knows_threadpoolctl = True
    threadpoolctl: Any = sys.modules["threadpoolctl"]
    if not hasattr(threadpoolctl, "register"):  # before version 3.3
        return

    class Controller(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = internal_api = "upsample"
        filename_prefixes = ("_multiarray_umath",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, count: int) -> None:
            _process.limit = count if count < _unlimited() else None  # at a block's end it sets the number from before

        def get_version(self) -> None:
            return None

        def set_additional_attributes(self) -> None:
            return None

    threadpoolctl.register(Controller)


class _WhenImported:
    """A finder of modules that joins threadpoolctl as soon as the program imports it.

    A block of threadpoolctl sets limits when it begins: joining at the first call inside of the block is too late.
    """

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        if name != "threadpoolctl":
            return None
        with suppress(ValueError):  # another thread removed it
            sys.meta_path.remove(self)
        spec: Any = find_spec(name)
        with suppress(AttributeError):  # no spec, or a loader that cannot be changed: the next call joins
            load = spec.loader.exec_module

            def load_and_join(module: ModuleType) -> None:
                load(module)
                _join_threadpoolctl()

            spec.loader.exec_module = load_and_join
        return spec


if "threadpoolctl" in sys.modules:
    _join_threadpoolctl()
else:
    sys.meta_path.insert(0, _WhenImported())


def _after_fork() -> None:
    """Reset the state of a forked child, which determines its own number of threads."""
    _process.forks += 1
    _process.default = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
