"""How arrays of integers are resampled: the dtype of sums, and the rounding to integers.

Sums of floating-point arrays are the result. For an array of integers a plan defines::

    sums       "fixed"      integers; weights are multiples of a power of two (`upsample.plans.taps.fixed_point`)
               "float64"    or "float32"; weights are not rounded
               "high"       high halves of 16-bit products (`HIGH_HALVES`)
    ties       to which of two integers a sum halfway between them is rounded
    each_axis  whether sums are rounded and clamped after each axis, the last axis first, or once after all axes
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

import numpy as np

from upsample.array_api import clip

__all__ = ["BYTES", "HIGH_HALVES", "NEAREST", "TORCH_BYTES", "Arithmetic", "Ties", "bounds"]


class Ties(Enum):
    """To which of the two nearest integers a sum halfway between them is rounded."""

    EVEN = "even"
    """To the even integer, as IEEE 754 and ``rint`` round; no bias."""
    AWAY = "away"
    """To the integer farther from zero, as C's ``round``."""
    UP = "up"
    """To the larger integer: ``floor(sum + 1/2)``."""
    CUT = "cut"
    """All sums are truncated toward zero, as by a C cast; none is rounded to nearest."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How an array of integers is resampled.

    Attributes
    ----------
    sums : {"fixed", "high", "float32", "float64"}
        Arithmetic of the sums.
    ties : Ties
        Rounding of ties.
    each_axis : bool
        Round after each axis, the last axis first, instead of once at the end.
    grain : int
        Binary places to which sums are rounded first; 0 for no such rounding. Weights such as 1/3 are not exact in
        binary. Therefore a sum that should be a tie differs from it a little, and the sign of the error depends on the
        order of the sums. Rounded to ``2**-grain`` first, the sum is a tie on every engine.
    ordered : bool
        Keep the order of sums of another library: round each product and each sum, add taps in ascending order, and
        filter axes in the plan's order. Then floats are summed in `sums` too, and converted to their own dtype after
        each axis if `each_axis`.
    scale : float
        Factor of sums of integers, and of floats if sums are ordered; applied at the end, in the dtype of sums.
    """

    sums: str
    ties: Ties
    each_axis: bool
    grain: int = 0
    ordered: bool = False
    scale: float = 1.0

    def rounded(self, xp: ModuleType, sums: Any, dtype: str) -> Any:
        """Return the sums rounded to integers and clamped to `dtype`, in the dtype of the sums.

        The method overwrites NumPy arrays.
        """
        low, high = bounds(dtype)
        if xp is np:
            return self._rounded_in_place(sums, low, high)
        if self.scale != 1.0:
            sums = sums * self.scale
        if self.grain:
            sums = xp.round(sums * 2.0**self.grain) * 0.5**self.grain
        if self.ties is Ties.EVEN:
            integers = xp.round(sums)
        elif self.ties is Ties.UP:
            integers = xp.floor(sums + 0.5)
        elif self.ties is Ties.CUT:
            integers = xp.trunc(sums)
        else:
            integers = xp.sign(sums) * xp.floor(xp.abs(sums) + 0.5)
        return clip(xp, integers, low, high)

    def _rounded_in_place(self, sums: Any, low: float, high: float) -> Any:
        if self.scale != 1.0:
            np.multiply(sums, self.scale, out=sums)
        if self.grain:
            np.multiply(sums, 2.0**self.grain, out=sums)
            np.rint(sums, out=sums)
            np.multiply(sums, 0.5**self.grain, out=sums)
        if self.ties is Ties.EVEN:
            np.rint(sums, out=sums)
        elif self.ties is Ties.UP:
            sums += 0.5
            np.floor(sums, out=sums)
        else:
            if self.ties is Ties.AWAY:
                sums += np.copysign(0.5, sums)
            np.trunc(sums, out=sums)
        return np.clip(sums, low, high, out=sums)


def bounds(dtype: str) -> tuple[float, float]:
    """Return the least and the largest number of an integer dtype."""
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


TORCH_BYTES = Arithmetic("fixed", Ties.UP, each_axis=True)
"""Arithmetic of torch for uint8: weights have up to 22 binary places, and fit 16 bits."""
NEAREST = Arithmetic("float64", Ties.EVEN, each_axis=False, grain=16)
"""Round once, to nearest, ties to even: at most 1/2 + 2**-17 of a level from the exact value, and no bias."""
BYTES = Arithmetic("fixed", Ties.EVEN, each_axis=False)
"""`NEAREST` for uint8, in integers: between axes, values are 16-bit numbers (see `AxisRule.places`)."""
HIGH_HALVES = Arithmetic("high", Ties.UP, each_axis=False)
"""Arithmetic of OpenCV for linear interpolation of bytes, by ``pmulhw``; weights have 11 binary places.

Sums along rows are truncated to 7 binary places and fit 16 bits. Along columns, each product drops 16 of its 18 places
before the addition. The sum is rounded, ties up. If a border clamps two taps to one row, each is multiplied alone.
"""
