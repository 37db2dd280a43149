"""``upsample warmup``: compile kernels ahead of use, and print their number, ops and folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from upsample.precompile import compiled_for, pairs

__all__ = ["warmup"]


def warmup(ops: Sequence[str], dtypes: Sequence[str] | None, gradients: bool) -> int:
    """Compile, and print a line for each op and dtype.

    Parameters
    ----------
    ops : sequence of str
        Names; empty for all of them.
    dtypes : sequence of str, optional
        Names.
    gradients : bool
        Whether to compile the kernels of gradients, too.

    Returns
    -------
    int
        0; 1 if kernels cannot be stored; 2 without a compiled engine.
    """
    try:
        wanted = pairs(ops or None, dtypes)
    except ValueError as error:
        print(f"upsample {error}", file=sys.stderr)
        return 2
    cache: Any = import_module("upsample.engines.cpu.runtime.kernel_cache")
    for op, dtype in wanted:
        print(f"{op} {dtype}: ", end="", flush=True)
        begin = time.perf_counter()
        count = compiled_for(op, dtype, gradients)
        print(f"{count} kernel{'s' * (count != 1)} compiled, {time.perf_counter() - begin:.1f} s", flush=True)
    if not cache.has_room():
        print("upsample warmup: no kernel can be kept", *cache.problems(), sep="\n  ", file=sys.stderr)
        return 1
    print(f"{cache.contents(cache.folders()[-1])[0]} kernels in {cache.folders()[-1]}")
    return 0
