"""The arithmetic of sums of integers, and how they are rounded to integers.

Floating-point arrays need none of this: their sums are the result. An array of integers does::

    sums       "fixed"      integers; weights are multiples of a power of two (`upsample.plans.taps.fixed_point`)
               "float64"    or "float32", with the weights as they are
               "high", the high halves of 16-bit products (`HIGH_HALVES`)
    ties       which of two integers a sum halfway between them becomes
    each_axis  rounded and clamped to the dtype after each axis, the last axis first; or once, after all of them
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
    """Which of the two nearest integers a sum halfway between them becomes."""

    EVEN = "even"
    """The even one, as IEEE 754 and ``rint`` round; no bias."""
    AWAY = "away"
    """The one farther from zero, as C's ``round``."""
    UP = "up"
    """The larger one: ``floor(sum + 1/2)``."""
    CUT = "cut"
    """No rounding to nearest at all: the fraction is dropped, as a C cast does."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How an array of integers is resampled.

    Attributes
    ----------
    sums : {"fixed", "high", "float32", "float64"}
        What sums are made of.
    ties : Ties
        How they are rounded.
    each_axis : bool
        Whether after each axis, the last axis first, instead of once at the end.
    grain : int
        Binary places to which sums are rounded before all else; 0 for none. Weights such as 1/3 are not exact in
        binary, so a sum that should be a tie misses it by a little, in a direction that depends on the order of the
        sums. Rounded to ``2**-grain`` first, it is a tie again, on every engine.
    ordered : bool
        Keep the order of sums of another library: each product and each sum is rounded by itself, taps ascending, axes
        in the plan's order. Floats are then summed in `sums`, too, and have their own dtype after each axis where
        `each_axis` says so.
    scale : float
        Sums of integers, and of floats if they are ordered, are multiplied by this in the dtype of sums, at the end.
    """

    sums: str
    ties: Ties
    each_axis: bool
    grain: int = 0
    ordered: bool = False
    scale: float = 1.0

    def rounded(self, xp: ModuleType, sums: Any, dtype: str) -> Any:
        """Return the integers nearest to the sums, clamped to `dtype`, still in the dtype of the sums.

        NumPy arrays are overwritten.
        """
        low, high = bounds(dtype)
        if xp is np:
            return self._rounded_in_place(sums, low, high)
        if self.scale != 1.0:
            sums = sums * self.scale
        if self.grain:
            sums = xp.round(sums * 2.0**self.grain) * 0.5**self.grain
        if self.ties is Ties.EVEN:
            whole = xp.round(sums)
        elif self.ties is Ties.UP:
            whole = xp.floor(sums + 0.5)
        elif self.ties is Ties.CUT:
            whole = xp.trunc(sums)
        else:
            whole = xp.sign(sums) * xp.floor(xp.abs(sums) + 0.5)
        return clip(xp, whole, low, high)

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
"""torch's, for uint8: weights of up to 22 binary places that fit 16 bits."""
NEAREST = Arithmetic("float64", Ties.EVEN, each_axis=False, grain=16)
"""Rounded once, to nearest, ties to even: at most 1/2 + 2**-17 of a level from the exact value, and without bias."""
BYTES = Arithmetic("fixed", Ties.EVEN, each_axis=False)
"""The same for uint8, in integers: what axes make is 16-bit numbers of `upsample.plans.resize.AxisRule.places`."""
HIGH_HALVES = Arithmetic("high", Ties.UP, each_axis=False)
"""OpenCV's, for linear interpolation of bytes, by ``pmulhw``; weights have 11 binary places (`AxisRule.bits`).

Sums along rows drop all but 7 binary places and fit 16 bits. Along columns each product drops 16 of its 18 places
before products are added. The sum is rounded, ties up. Taps that a border moves onto one row are multiplied one by one.
"""
