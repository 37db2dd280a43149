"""A prepared call whose kernel makes rows of the result, some in each job; kernels of both axes share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from upsample.copies import contiguous, copy
from upsample.engines import threads
from upsample.engines.cpu.runtime.compile import bound, frozen

__all__ = ["RowJobs"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class RowJobs:
    """Everything of a call except the arrays.

    Attributes
    ----------
    function : callable
        The kernel.
    shape : tuple of int
        Of the result.
    rows, step : int
        Rows of the result in all planes, and rows of a job.
    ring : tuple of int and str, or None
        Values of a job's ring of filtered rows, and their dtype; None for a kernel without one.
    tables : tuple
        The kernel's arguments after the rows of a job, and after its ring.
    """

    function: Any
    shape: tuple[int, ...]
    rows: int
    step: int
    ring: tuple[int, str] | None
    tables: tuple[Any, ...]

    def bound(self, x: _Array) -> Callable[[_Array, _Array | None], _Array]:
        """Return `run` for contiguous arrays like `x`, with the kernel's compiled function where one job is all."""
        whole: Any = type(self).run
        if self.rows > self.step:
            return partial(whole, self)  # not a bound method, whose tables the caches would not count
        empty = np.empty(0, x.dtype)
        ring = () if self.ring is None else (np.empty(0, self.ring[1]),)
        kernel = bound(self.function, frozen(empty), empty, 0, self.rows, *ring, *self.tables)

        def run_whole(x: _Array, out: _Array | None) -> _Array:
            result = np.empty(self.shape, x.dtype) if out is None else out
            ring = () if self.ring is None else (np.empty(*self.ring),)
            kernel(x.ravel(), result.ravel(), 0, self.rows, *ring, *self.tables)
            return result

        return run_whole

    def run(self, x: _Array, out: _Array | None) -> _Array:
        """Resample `x`; fills and returns `out` where it is given."""
        direct = out is not None and out.flags.c_contiguous and out.flags.aligned and out.dtype == x.dtype
        result = out if out is not None and direct else np.empty(self.shape, x.dtype)
        flat = contiguous(x).reshape(-1)
        src, dst = frozen(flat if flat.flags.aligned else flat.copy()), result.reshape(-1)

        def job(number: int) -> None:
            begin = number * self.step
            ring = () if self.ring is None else (np.empty(*self.ring),)
            self.function(src, dst, begin, min(begin + self.step, self.rows), *ring, *self.tables)

        threads.each_block(job, -(-self.rows // self.step))
        if out is not None and out is not result:
            copy(result, out)
            return out
        return result
