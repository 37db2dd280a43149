"""The registry of interpolation methods, with one entry for each.

A method in `FILTERS` works in `upsample.resize` on every engine, with antialiasing too, because engines read only the
table that `upsample.plans.taps` computes from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from upsample.plans.cardinal import SUPPORT, cardinal_spline

__all__ = ["FILTERS", "Mean", "Method", "Point", "Weighted", "keeps_samples", "sine_of_pi"]

_Reals: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Point:
    """Each output is one input sample: the sample that contains the output sample's `anchor`."""

    anchor: float


@dataclass(frozen=True, slots=True)
class Mean:
    """Each output is the mean of the input samples that it overlaps; a sample counts fully or not at all."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """Each output is a weighted sum of the input samples around its centre.

    Attributes
    ----------
    support : int
        Distance in input samples beyond which the weight is zero.
    weight : callable
        ``weight(distance, coefficient)``, for distances of either sign, in their precision; only cubic uses the
        coefficient.
    knows_corners : bool
        Whether the method supports ``align_corners``.
    stops_at_edge : bool
        Whether a centre left of the first sample is moved onto it, as linear interpolation does in every library.
        Otherwise taps outside repeat the edge sample.
    """

    support: int
    weight: Callable[[_Reals, float], _Reals]
    knows_corners: bool
    stops_at_edge: bool


Method: TypeAlias = Point | Mean | Weighted


def keeps_samples(method: Method, coefficient: float) -> bool:
    """Tell whether an output at the position of an input sample equals it; filters that blur do not keep it."""
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


_SINE = (
    *(3.141592653589793, -5.16771278004997, 2.5501640398773455, -0.5992645293207921, 0.08214588661112823),
    *(-0.0073704309457143504, 0.00046630280576761255, -2.1915353447830217e-05, 7.952054001475513e-07),
)
_COSINE = (
    *(1.0, -4.934802200544679, 4.0587121264167685, -1.3352627688545895, 0.2353306303588932),
    *(-0.02580689139001406, 0.0019295743094039231, -0.0001046381049248457, 4.303069587032947e-06),
    -1.3878952462213771e-07,
)
"""Taylor's coefficients of sin(pi x) / x and cos(pi x), in powers of the square of x; for x up to 1/4."""


_PI_ERRORS = {4: 8.742277657347586e-08, 8: -1.2246467991473532e-16}
"""Pi rounded to float32 and to float64, minus pi, by the dtype's bytes."""


def _polynomial(coefficients: tuple[float, ...], x: _Reals) -> _Reals:
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


def sine_of_pi(x: _Reals) -> _Reals:
    """Return sin(pi x) within 3 units in the last place, with the same bits everywhere.

    The sines of NumPy and of the C library depend in their last bits on the processor and the system. This one uses
    only float64 operations that IEEE 754 rounds correctly.
    """
    integer = np.rint(x)
    rest = np.abs(x - integer)
    near, far = _polynomial(_SINE, rest * rest) * rest, _polynomial(_COSINE, (0.5 - rest) * (0.5 - rest))
    sign = np.where(_is_even(integer), 1.0, -1.0)
    sine: _Reals = np.copysign(np.where(rest <= 0.25, near, far), (x - integer) * sign)
    return sine


def _is_even(whole: _Reals) -> Any:
    """Whether whole numbers are even; NumPy takes ten times as long for a remainder."""
    half = whole * 0.5
    return half == np.rint(half)


def _sinc(x: _Reals) -> _Reals:
    return np.where(x == 0.0, 1.0, sine_of_pi(x) / np.where(x == 0.0, 1.0, np.pi * x))


def _lanczos(distance: _Reals, _: float) -> _Reals:
    """Return a sinc windowed by a three times wider sinc (Duchon 1979).

    At integer distances the weight is not exactly zero, but the dtype's error of pi, as in torch: an infinity times a
    weight of exactly zero would become NaN.
    """
    x = distance.astype(np.float64)
    window = _sinc(x / 3.0)
    weight = np.where(np.abs(x) < 3.0, _sinc(x) * window, 0.0)
    is_integer = (x == np.rint(x)) & (x != 0.0) & (np.abs(x) < 3.0)
    error = _PI_ERRORS[distance.dtype.itemsize] / np.pi * np.where(_is_even(x), 1.0, -1.0)
    weight = np.where(is_integer, error * window, weight)
    return weight.astype(distance.dtype)


def _hamming(distance: _Reals, _: float) -> _Reals:
    """Return a sinc times a Hamming window of equal width, as Pillow's HAMMING."""
    x = distance.astype(np.float64)
    weight = np.where(np.abs(x) < 1.0, _sinc(x) * (0.54 + 0.46 * sine_of_pi(0.5 - np.abs(x))), 0.0)
    return weight.astype(distance.dtype)


def _mitchell(distance: _Reals, _: float) -> _Reals:
    """Mitchell and Netravali's cubic (1988) with B = C = 1/3, https://doi.org/10.1145/378456.378514."""
    x = np.abs(distance)
    near = (7.0 * x - 12.0) * x * x + 16.0 / 3.0
    far = ((-7.0 / 3.0 * x + 12.0) * x - 20.0) * x + 32.0 / 3.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0)) / 6.0


def _spline(order: int) -> Weighted:
    """Return the method of interpolating splines, which joins the prefilter and the B-spline's weights."""

    def weight(distance: _Reals, _: float) -> _Reals:
        return cardinal_spline(distance.astype(np.float64), order).astype(distance.dtype)

    return Weighted(support=SUPPORT[order], weight=weight, knows_corners=True, stops_at_edge=False)


FILTERS: Mapping[str, Method] = MappingProxyType(
    {
        "nearest": Point(anchor=0.0),
        "nearest-exact": Point(anchor=0.5),
        "area": Mean(),
        "linear": Weighted(support=1, weight=_triangle, knows_corners=True, stops_at_edge=True),
        "cubic": Weighted(support=2, weight=_cubic, knows_corners=True, stops_at_edge=False),
        "lanczos": Weighted(support=3, weight=_lanczos, knows_corners=False, stops_at_edge=False),
        "hamming": Weighted(support=1, weight=_hamming, knows_corners=False, stops_at_edge=False),
        "mitchell": Weighted(support=2, weight=_mitchell, knows_corners=False, stops_at_edge=False),
        "spline2": _spline(2),
        "spline3": _spline(3),
        "spline4": _spline(4),
        "spline5": _spline(5),
    }
)
