"""How a kernel of this engine is compiled."""

from __future__ import annotations

import _thread
import atexit
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite.binding import Linkage, parse_assembly
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from upsample.engines.cpu.runtime.kernel_cache import KernelCache

__all__ = ["bound", "frozen", "inlined", "kernel", "part", "pointers"]

_F = TypeVar("_F", bound=Callable[..., Any])


class _Apart(Compiler):  # type: ignore[misc]
    """Compiles in the belief that no array that is written shares memory with another.

    Without it LLVM compares addresses before each loop, and leaves loops that look addresses up in a table as they are.
    """

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


class _Linked(JITCodeLibrary):  # type: ignore[misc]
    """Code that only others link in: it is optimised, and never becomes machine code by itself."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        names = [str(name) for name in self._final_module.global_variables if name.linkage == Linkage.common]
        self._codegen._add_module(parse_assembly("\n".join(names)))
        self._finalized = True


class _Part(_Apart):
    """Compiles what only others link in."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}
_LINKED: dict[str, Any] = {"no_cpython_wrapper": True, "pipeline_class": _Part, **_OPTIONS}

_begun: list[None] = []
_ended: list[None] = []


def _finish() -> None:
    """Wait for kernels that nobody waits for any more: nothing of LLVM's may be half done at an exit or in a fork."""
    while len(_ended) < len(_begun):
        time.sleep(0.01)


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_finish)


def _in_a_thread(dispatcher: Any) -> Callable[[Any], Any]:
    """Return a dispatcher's `compile` that Ctrl-C ends at once: a thread of its own finishes, and the kernel is kept.

    It takes seconds, and no part of it may be cut short: an exception in a callback of LLVM's is lost, and with it the
    machine code. Nothing here is locked that an interrupt might leave so: `threading.Thread` would be.
    """
    compile_here: Callable[[Any], Any] = dispatcher.compile

    def compile_there(signature: Any) -> Any:
        if signature in dispatcher.overloads or threading.current_thread() is not threading.main_thread():
            return compile_here(signature)  # in other threads nobody looks at signals
        news: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            _begun.append(None)
            try:
                news.put((compile_here(signature), None))
            except BaseException as error:
                news.put((None, error))
            finally:
                _ended.append(None)

        _thread.start_new_thread(work, ())
        compiled, error = news.get()
        if error is not None:
            raise error
        return compiled

    return compile_there


def kernel(function: _F) -> _F:
    """Compile a serial kernel that releases the GIL; its machine code is cached on disk while no file here changes.

    The arrays that it writes must lie apart from all others. Products and sums are fused only by `fma`
    (`runtime.fma`), so that results have the same bits on every processor.
    """
    compiled: Any = numba.njit(nogil=True, pipeline_class=_Apart, **_OPTIONS)(function)
    compiled._cache = KernelCache(function)
    compiled.compile = _in_a_thread(compiled)  # first calls come by it, and those of other kernels
    return cast(_F, compiled)


def part(function: _F) -> _F:
    """Compile a function that only kernels call: it becomes a part of them, with no way in of its own for Python.

    Compiling that as well, and storing it, took a quarter of a kernel's time.
    """
    return cast(_F, numba.njit(**_LINKED)(function))


def inlined(function: _F) -> _F:
    """Compile a part that is short: a call, which hands over seven words for each array, would take longer."""
    return cast(_F, numba.njit(forceinline=True, **_LINKED)(function))


def pointers(context: Any, builder: Any, arrays: Any, values: Any) -> list[Any]:
    """Return, while code is written, where the data of a tuple of arrays begin: its type, and its value."""
    pairs = zip(arrays.types, cgutils.unpack_tuple(builder, values), strict=True)
    return [context.make_array(kind)(context, builder, value).data for kind, value in pairs]


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
