"""Compile the kernels of the cpu engine."""

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


class _NoAlias(Compiler):  # type: ignore[misc]
    """Compile with `noalias`: no written array may overlap another array.

    Otherwise LLVM compares addresses before each loop, and does not vectorize loops with a table of addresses.
    """

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


class _Linked(JITCodeLibrary):  # type: ignore[misc]
    """A library that kernels link: LLVM optimizes its code, but generates no machine code of it alone."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        names = [str(name) for name in self._final_module.global_variables if name.linkage == Linkage.common]
        self._codegen._add_module(parse_assembly("\n".join(names)))
        self._finalized = True


class _Part(_NoAlias):
    """Compile a function that only kernels call."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}
_LINKED: dict[str, Any] = {"no_cpython_wrapper": True, "pipeline_class": _Part, **_OPTIONS}

_begun: list[None] = []
_ended: list[None] = []


def _finish() -> None:
    """Wait for abandoned compilations, because LLVM must not be interrupted by an exit or a fork."""
    while len(_ended) < len(_begun):
        time.sleep(0.01)


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_finish)


def _in_a_thread(dispatcher: Any) -> Callable[[Any], Any]:
    """Return a dispatcher's `compile` that compiles in a thread of its own, so that Ctrl-C takes effect at once.

    Compilation takes seconds and must not be interrupted: an exception in an LLVM callback is lost, and the machine
    code with it. After Ctrl-C the thread finishes, and a later call uses its kernel. The functions use no lock, because
    an interrupt could leave it locked; `threading.Thread` uses one.
    """
    compile_here: Callable[[Any], Any] = dispatcher.compile

    def compile_there(signature: Any) -> Any:
        if signature in dispatcher.overloads or threading.current_thread() is not threading.main_thread():
            return compile_here(signature)  # Python handles signals in the main thread only
        outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            _begun.append(None)
            try:
                outcome.put((compile_here(signature), None))
            except BaseException as error:
                outcome.put((None, error))
            finally:
                _ended.append(None)

        _thread.start_new_thread(work, ())
        compiled, error = outcome.get()
        if error is not None:
            raise error
        return compiled

    return compile_there


def _skip_extensions() -> None:
    """Replace Numba's import of other packages' extensions by nothing: kernels use only Numba's own types.

    Listing the entry points of all installed packages takes as long as loading a kernel.
    """


def kernel(function: _F) -> _F:
    """Compile a serial kernel that releases the GIL, and cache its machine code on disk.

    A change of any source file of this engine makes the cache outdated. A written array must not overlap any other
    array. Only `fma` (`runtime.fma`) fuses products and sums, so that results have the same bits on every processor.
    """
    compiled: Any = numba.njit(nogil=True, pipeline_class=_NoAlias, **_OPTIONS)(function)
    compiled._cache = KernelCache(function)
    compiled._compilation_chain_init_hook = _skip_extensions
    compiled.compile = _in_a_thread(compiled)  # Numba calls it for a first call from Python or from another kernel
    return cast(_F, compiled)


def part(function: _F) -> _F:
    """Compile a function that only kernels call, without an entry point for Python.

    Compiling and storing the entry point took a quarter of the time of a kernel.
    """
    return cast(_F, numba.njit(**_LINKED)(function))


def inlined(function: _F) -> _F:
    """Compile a short part inline: a call would pass seven words for each array."""
    return cast(_F, numba.njit(forceinline=True, **_LINKED)(function))


def pointers(context: Any, builder: Any, arrays: Any, values: Any) -> list[Any]:
    """Write the code that reads the data pointers of a tuple of arrays, given by its type and value; return them."""
    pairs = zip(arrays.types, cgutils.unpack_tuple(builder, values), strict=True)
    return [context.make_array(kind)(context, builder, value).data for kind, value in pairs]


def frozen(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a read-only view, so that read-only and writeable inputs share one compiled signature."""
    view = x.view()
    view.flags.writeable = False
    return view


def bound(kernel: Callable[..., Any], *example: object) -> Callable[..., Any]:
    """Return the compiled function of a kernel for arguments of these types.

    A call skips Numba's type dispatch, which takes longer than a small kernel, and all checks. The caller must pass
    contiguous arrays with as many axes as the examples. An array of another dtype with elements of the same size is
    reinterpreted, as by `view`.
    """
    dispatcher: Any = kernel
    types = tuple(map(numba.typeof, example))
    dispatcher.compile(types)
    return cast(Callable[..., Any], dispatcher.get_overload(types))
