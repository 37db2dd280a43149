"""How a kernel of this engine is compiled."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.compiler import Compiler

__all__ = ["bound", "frozen", "kernel", "part"]

_F = TypeVar("_F", bound=Callable[..., Any])


class _Apart(Compiler):  # type: ignore[misc]
    """Compiles in the belief that no array that is written shares memory with another.

    Without it LLVM compares addresses before each loop, and leaves loops that look addresses up in a table as they are.
    """

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "pipeline_class": _Apart}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back: an exception inside a callback of LLVM's is lost, and with it the machine code."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *given: held.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            handler(*held[0])


@lru_cache(maxsize=1)
def _stamp() -> tuple[tuple[str, float, int], ...]:
    """Name, time and size of every file of this engine.

    Numba asks only for those of a kernel's own file, but other files' kernels are in its machine code, too.
    """
    files = [(path.name, path.stat()) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return tuple((name, of.st_mtime, of.st_size) for name, of in files)


def kernel(function: _F) -> _F:
    """Compile a serial kernel that releases the GIL; its machine code is cached on disk while no file here changes.

    The arrays that it writes must lie apart from all others. Products and sums may be fused; NaN, infinities and signed
    zeros stay what they are.
    """
    compiled: Any = numba.njit(nogil=True, cache=True, **_OPTIONS)(function)
    compiled._cache._cache_file._source_stamp = _stamp()
    compiled.compile = _undisturbed()(compiled.compile)  # first calls come by it, and those of other kernels
    return cast(_F, compiled)


def part(function: _F) -> _F:
    """Compile a function that only kernels call: it becomes a part of them, with no way in of its own for Python.

    Compiling that as well, and storing it, took a quarter of a kernel's time.
    """
    return cast(_F, numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function))


def frozen(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a read-only view, so that read-only and writeable inputs share one compiled signature."""
    view = x.view()
    view.flags.writeable = False
    return view


def bound(kernel: Callable[..., Any], *example: object) -> Callable[..., Any]:
    """Return what a kernel is compiled to for arguments of these types.

    A call of it skips Numba's look at each argument, which takes longer than a small kernel, and all checks: whoever
    calls it sees that arrays are of the same number of axes and contiguous. One of another dtype, of elements of the
    same size, is taken as it lies in memory, as if it were viewed so.
    """
    dispatcher: Any = kernel
    types = tuple(map(numba.typeof, example))
    dispatcher.compile(types)
    return cast(Callable[..., Any], dispatcher.get_overload(types))
