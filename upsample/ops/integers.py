"""Floating results of a dialect as integers: rounded and saturated, once, at the end."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.array_api import clip
from upsample.arrays import Array
from upsample.float_errors import quiet
from upsample.ops.call_chains import noted

__all__ = ["to_integers"]


def to_integers(xp: ModuleType, x: Array, dtype: Any, name: str, rounding: str) -> Any:
    """Convert floating numbers to integers; numbers past the range become its ends.

    Parameters
    ----------
    xp : module
        Namespace of `x`.
    x : array
        float32 or float64.
    dtype : dtype
        An integer dtype of the library, called `name` by the standard.
    name : str
        The name of that dtype.
    rounding : {"half even", "half away", "to zero"}
        How fractions are rounded.
    """
    return noted(partial(_rounded, xp, dtype, name, rounding), x)


@quiet
def _rounded(xp: ModuleType, dtype: Any, name: str, rounding: str, x: Array) -> Any:
    if rounding == "half even":
        whole = xp.round(x)
    elif rounding == "half away":
        whole = xp.sign(x) * xp.floor(xp.abs(x) + 0.5)
    else:
        whole = xp.trunc(x)
    limits = np.iinfo(name)
    real = np.dtype(arrays.dtype_name(x)).type
    low, high = real(limits.min), real(limits.max)
    if float(high) > limits.max:  # the next float up, which the integer dtype does not have
        high = np.nextafter(high, real(0.0))
    inside = arrays.astype(xp, clip(xp, whole, float(low), float(high)), dtype)
    if float(high) == limits.max:
        return inside
    top = arrays.from_table(xp, np.asarray(limits.max, dtype=name), inside, dtype)
    return xp.where(whole > float(high), top, inside)
