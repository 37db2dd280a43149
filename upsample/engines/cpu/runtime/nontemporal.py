"""Non-temporal stores: copy a small buffer to a large result without filling the caches.

A plain store first reads the cache line that it overwrites: a third to a half of a call's memory traffic. If the pages
are new, the system has just cleared them in the cache, and a plain store is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from upsample.arrays import NDArray
from upsample.engines import result_pool
from upsample.engines.cpu.runtime.compile import kernel, part

__all__ = ["fence", "pays", "put", "stream"]


_LINE = 64
"""Bytes of a cache line, which one non-temporal store fills."""
_LEAST = 1 << 23
"""Least bytes of a result for which non-temporal stores are faster."""


def pays(size: int, *, fresh: bool) -> bool:
    """Tell whether non-temporal stores are faster for a result of `size` bytes; `fresh` if its pages may be new."""
    return size >= _LEAST and not (fresh and size >= result_pool.MIN_BYTES)


@intrinsic  # type: ignore[untyped-decorator]
def _store_line(_: Any, target: Any, source: Any) -> Any:
    """Copy the 64 bytes at address `source` to address `target`, a multiple of 64, by non-temporal stores."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line = ir.VectorType(ir.IntType(32), _LINE // 4)
        to, at = (builder.inttoptr(address, line.as_pointer()) for address in args)
        stored = builder.store(builder.load(at, align=1), to, align=_LINE)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def fence(_: Any) -> Any:
    """Order earlier non-temporal stores before later stores, for other threads too."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@part
def put(source: NDArray, target: NDArray, begin: Any, size: Any) -> None:
    """Copy the first `size` values to `target[begin:]` by non-temporal stores, except the first and the last line.

    Both numbers are uint64; `fence` must follow the last of several calls.
    """
    item = np.uint64(source.itemsize)
    to, at = np.uint64(target.ctypes.data) + begin * item, np.uint64(source.ctypes.data)
    head = min(((np.uint64(_LINE) - to % np.uint64(_LINE)) % np.uint64(_LINE) + item - np.uint64(1)) // item, size)
    if (to + head * item) % np.uint64(_LINE) != 0:
        head = size
    lines = (size - head) * item // np.uint64(_LINE)
    for j in range(head):
        target[begin + j] = source[j]
    for j in range(lines):
        place = head * item + j * np.uint64(_LINE)
        _store_line(to + place, at + place)
    for j in range(head + lines * np.uint64(_LINE) // item, size):
        target[begin + j] = source[j]


@kernel
def stream(source: NDArray, target: NDArray) -> None:
    """Copy `source` to `target` by non-temporal stores, except the first and the last cache line."""
    put(source, target, np.uint64(0), np.uint64(source.shape[0]))
    fence()
