"""Lazy compilation: the first calls run on the portable engine until loading the cpu engine would have paid.

Importing Numba and loading a kernel take 0.25 seconds of one core, compiling one takes seconds; the portable engine
makes a large photograph in a tenth. So a script of a few calls never loads Numba, and a long-running program waits for
it once. This is a ski rental: whatever the number of calls, they take at most about twice the best choice.

Only calls whose results have the same bits on both engines are early; all others run compiled from the first one, so
that equal calls of a process have equal results. UPSAMPLE_COMPILE says what is wanted: "lazy" (the default), "eager" to
load at once, "never" for no compiled engine.

Weighted sums of floats are never early, because NumPy has no fused multiply-add. Two ways out were measured and left:

- NumPy can imitate it in float64: an exact product, one sum, and a test for sums that are rounded twice. A tap takes
  1.5 ns. A 1080p color image by 2 would take 0.06 s in mode linear and 0.17 s in cubic, where the portable engine takes
  0.03 and 0.04 s; a transposed convolution of 128 x 128 cells by 64 x 64 channels would take 0.9 s.
- llvmlite alone could load the machine code, which saves 0.15 s. That code calls functions inside Numba, in layouts of
  arrays and memory that Numba does not document, and every kernel's module would have to do without Numba.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from upsample import arrays, environment
from upsample.plans.resize import ResizePlan
from upsample.plans.window import UnpoolPlan

__all__ = ["SECONDS", "is_early", "is_undecided", "timed", "wish"]

SECONDS = 0.25
"""Seconds of work on the portable engine that justify loading Numba and one kernel. On a 2.6 GHz Zen 4 core Numba took
0.16 s to import, the engine's modules 0.03 s, and the first kernel 0.05 s; further kernels take 0.004 s each."""

_COMPILER = "upsample.engines.cpu.runtime.compile"
_WISHES = ("lazy", "eager", "never")
_INTEGERS = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32"})
"""Resampled exactly, and rounded once: the order of sums does not show."""

_spent = [0.0]


@lru_cache(maxsize=1)
def wish() -> str:
    """Return what UPSAMPLE_COMPILE asks for; a value that means nothing is named in a warning."""
    return environment.word("UPSAMPLE_COMPILE", _WISHES) or "lazy"


def is_early(task: str, plan: object, x: object) -> bool:
    """Return whether a call with an array like `x` runs on the portable engine because it is too early to compile."""
    return _spent[0] < SECONDS and is_undecided(task, plan, x)


def is_undecided(task: str, plan: object, x: object) -> bool:
    """Return whether the engine of such calls may change, because the compiled one is not loaded yet."""
    return (
        _COMPILER not in sys.modules
        and isinstance(x, np.ndarray)
        and wish() == "lazy"
        and _has_numba()
        and _agrees(task, plan, x)
    )


@lru_cache(maxsize=1)
def _has_numba() -> bool:
    return find_spec("numba") is not None


def _agrees(task: str, plan: object, x: np.ndarray[Any, Any]) -> bool:
    """Whether both engines give the same bits, because values only move or are summed exactly."""
    if isinstance(plan, ResizePlan):
        return plan.only_moves or arrays.dtype_name(x) in _INTEGERS
    if isinstance(plan, UnpoolPlan):
        return task == "unpool" and plan.duplicates != "sum"
    return task == "pool"


def timed(run: Callable[..., Any], _x: object) -> Callable[..., Any]:
    """Return the portable engine's `run`, which counts the time that it takes."""

    def run_timed(*given: Any) -> Any:
        begin = time.perf_counter()
        try:
            return run(*given)
        finally:
            _spent[0] += time.perf_counter() - begin

    return run_timed
