"""The interpolation methods: one registry, one entry a method.

A method added to `FILTERS` works in `upsample.resize` at once, antialiased too, on every engine: all that an engine
sees of it is the table that `upsample.plans.taps` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

__all__ = ["FILTERS", "Mean", "Method", "Point", "Weighted", "keeps_samples"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Point:
    """One input sample an output: the one in which the output sample's `anchor` lies."""

    anchor: float


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of every input sample that the output sample overlaps, whole samples only."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A weight function of the distance, in input samples, on both sides of the output sample's centre.

    Attributes
    ----------
    support : int
        Distance from which on the weight is zero.
    weight : callable
        ``weight(distance, coefficient)``, for distances of either sign, in their precision; only cubic uses the
        coefficient.
    knows_corners : bool
        Whether ``align_corners`` has a meaning.
    stops_at_edge : bool
        Whether a centre left of the first sample moves onto it (linear, as everywhere) instead of repeating the
        edge sample under the weights.
    """

    support: int
    weight: Callable[[_Reals, float], _Reals]
    knows_corners: bool
    stops_at_edge: bool


Method: TypeAlias = Point | Mean | Weighted


def keeps_samples(method: Method, coefficient: float) -> bool:
    """Say whether an output sample at the place of an input sample is that sample; some filters blur it."""
    if not isinstance(method, Weighted):
        return True
    places = np.arange(-method.support, method.support + 1.0)
    return bool(np.allclose(method.weight(places, coefficient), places == 0, atol=1e-12))


def _triangle(distance: _Reals, _: float) -> _Reals:
    return np.maximum(1.0 - np.abs(distance), 0.0)


def _cubic(distance: _Reals, a: float) -> _Reals:
    """Keys' cubic convolution (1981), https://doi.org/10.1109/TASSP.1981.1163711."""
    x = np.abs(distance)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(distance: _Reals, _: float) -> _Reals:
    """Sinc windowed by a three times wider sinc (Duchon 1979)."""
    return np.where(np.abs(distance) < 3.0, np.sinc(distance) * np.sinc(distance / 3.0), 0.0)


FILTERS: Mapping[str, Method] = MappingProxyType(
    {
        "nearest": Point(anchor=0.0),
        "nearest-exact": Point(anchor=0.5),
        "area": Mean(),
        "linear": Weighted(support=1, weight=_triangle, knows_corners=True, stops_at_edge=True),
        "cubic": Weighted(support=2, weight=_cubic, knows_corners=True, stops_at_edge=False),
        "lanczos": Weighted(support=3, weight=_lanczos, knows_corners=False, stops_at_edge=False),
    }
)
