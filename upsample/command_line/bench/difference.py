"""Whether two results are alike, before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from upsample.arrays import NDArray

__all__ = ["Allowed", "Likeness", "difference"]

Likeness: TypeAlias = Literal["exact", "close", "family"]
"""How alike two results should be: equal; equal except for rounding; another kernel of the same name."""
Allowed: TypeAlias = Callable[["np.dtype[Any]", float], float]
"""The largest rounding error of results of a dtype whose values reach a given scale."""
FAMILY = 0.2
"""Largest mean difference between kernels of one name, as a share of the scale; unrelated noise differs by 0.33."""


def difference(ours: Sequence[NDArray], theirs: Sequence[NDArray], likeness: Likeness, allowed: Allowed) -> str | None:
    """Return None, or in words how two results differ by more than their likeness permits."""
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return f"its shape is {b.shape}, ours {a.shape}"
        if likeness == "exact" or a.dtype.kind == "i":
            if not np.array_equal(a, b):
                return "other values"
            continue
        off = np.abs(a.astype(np.float32) - b.astype(np.float32))
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        worst = float(off.mean()) if likeness == "family" else float(off.max(initial=0))
        limit = FAMILY * scale if likeness == "family" else allowed(a.dtype, scale)
        if not worst <= limit:
            return f"off by {worst:.3g}, allowed {limit:.3g}"
    return None
