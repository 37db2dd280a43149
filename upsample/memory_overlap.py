"""Find out whether arrays share memory: NumPy, torch and CuPy arrays, and others by DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["is_plainly_apart", "may_overlap", "overlaps_itself"]


def is_plainly_apart(out: object, shape: tuple[int, ...], dtype: Any, inputs: tuple[Any, ...], owners: bool) -> bool:
    """Tell whether NumPy's `out` is certainly valid: C-contiguous, of this shape and dtype, apart from all inputs.

    If False, the caller must check. `inputs` are NumPy arrays too; `owners` says whether each owns its memory, because
    two owners share none.
    """
    if type(out) is not np.ndarray or out.shape != shape or out.dtype != dtype:
        return False
    flags = out.flags
    if not flags.carray:
        return False
    apart = owners and flags.owndata
    for x in inputs:  # noqa: SIM110 - a generator takes longer
        if x is out or (not apart and np.may_share_memory(out, x)):
            return False
    return True


def _extent(x: Any) -> tuple[int, int] | None:
    """Return the addresses of the first byte and one past the last byte of an array, if its library has them."""
    if isinstance(x, np.ndarray):
        return np.lib.array_utils.byte_bounds(x)
    steps = _byte_steps(x)
    if hasattr(x, "data_ptr"):  # torch
        start = int(x.data_ptr())
    elif hasattr(getattr(x, "data", None), "ptr"):  # CuPy
        start = int(x.data.ptr)
    else:
        return None
    low = sum(min((n - 1) * step, 0) for n, step in zip(x.shape, steps, strict=True))
    high = sum(max((n - 1) * step, 0) for n, step in zip(x.shape, steps, strict=True))
    return start + low, start + high + int(x.itemsize)


def _byte_steps(x: Any) -> tuple[int, ...]:
    if hasattr(x, "data_ptr"):
        return tuple(int(step) * int(x.itemsize) for step in x.stride())
    return tuple(getattr(x, "strides", ()) or ())


def overlaps_itself(x: Any) -> bool:
    """Tell whether elements of an array may overlap: not if each axis steps over the axes of smaller strides."""
    if 0 in x.shape:
        return False
    reach = 0
    for step, n in sorted((abs(step), n) for n, step in zip(x.shape, _byte_steps(x), strict=False) if n > 1):
        if step < reach + int(x.itemsize):
            return True
        reach += (n - 1) * step
    return False


def may_overlap(a: Any, b: Any) -> bool:
    """Tell whether two arrays may share memory: whether the ranges of addresses that they span overlap."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(np.may_share_memory(a, b))
    if 0 in a.shape or 0 in b.shape:
        return False
    one, two = _extent(a), _extent(b)
    if one is None or two is None:  # array-api-strict: a view shows itself through DLPack
        try:
            return bool(np.may_share_memory(np.from_dlpack(a), np.from_dlpack(b)))
        except (AttributeError, BufferError, RuntimeError, TypeError):
            return False
    return one[0] < two[1] and two[0] < one[1]
