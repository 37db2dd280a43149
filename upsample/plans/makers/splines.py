"""Tables of B-splines and Gaussians, with the borders of scipy.ndimage.

A spline of order k interpolates in two steps, and each has a table: the prefilter, which turns samples into
coefficients, and weighted sums of k + 1 coefficients. SciPy computes coefficients by a recursion from both ends. Its
impulse response falls below 1e-17 after `REACH` samples, so 2 * REACH + 1 taps, folded at the borders, give equal
numbers.

Source: ``scipy/ndimage/src/ni_splines.c`` and ``ni_interpolation.c`` of SciPy 1.17; Unser, "Splines: a perfect fit for
signal and image processing", 1999.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from upsample.caches import cached
from upsample.plans.tap_table import Ints, Reals, Taps, folded, trimmed, unmerged

__all__ = ["PAD", "REACH", "centres", "coefficients", "filtered", "gaussian", "interpolated", "nearby", "wrapped"]

_POLES: Mapping[int, tuple[float, ...]] = MappingProxyType(
    {
        2: (-0.171572875253809902396622551580603843,),
        3: (-0.267949192431122706472553658494127633,),
        4: (-0.361341225900220177092212841325675255, -0.013725429297339121360331226939128204),
        5: (-0.430575347099973791851434783493520110, -0.043096288203264653822712376822550182),
    }
)
"""The poles of the recursion inside the unit circle, by order."""
REACH: Mapping[int, int] = MappingProxyType({2: 24, 3: 31, 4: 40, 5: 49})
"""The distance, by order, beyond which the impulse response of the filter is below 1e-17."""
PAD = 12
"""Samples by which SciPy extends an axis before the filter, if a border has no closed form."""
_SHORT = 64
"""Most samples of a reflected axis that is filtered by SciPy's own recursion, whose start has an error."""


def filtered(lines: Reals, order: int, boundary: str) -> Reals:
    """Run SciPy's recursion along the first axis, in SciPy's order; `boundary` is "mirror" or "reflect"."""
    lines = lines * math.prod((1.0 - z) * (1.0 - 1.0 / z) for z in _POLES[order])
    start, end = (_mirror, _mirror_end) if boundary == "mirror" else (_reflect, _reflect_end)
    for z in _POLES[order]:
        start(lines, z)
        for i in range(1, len(lines)):
            lines[i] += z * lines[i - 1]
        end(lines, z)
        for i in range(len(lines) - 2, -1, -1):
            lines[i] = z * (lines[i + 1] - lines[i])
    return lines


def _mirror(c: Reals, z: float) -> None:
    n, power = len(c), z
    last = z ** (n - 1)
    c[0] += last * c[n - 1]
    for i in range(1, n - 1):
        c[0] += power * (c[i] + last * c[n - 1 - i])
        power *= z
    c[0] /= 1.0 - last * last


def _mirror_end(c: Reals, z: float) -> None:
    c[-1] = (z * c[-2] + c[-1]) * z / (z * z - 1.0)


def _reflect(c: Reals, z: float) -> None:
    """Start the recursion as SciPy does, with its error: the last term adds the sum, not the first sample."""
    n, power = len(c), z
    last, before = z**n, c[0].copy()
    c[0] += last * c[n - 1]
    for i in range(1, n):
        c[0] += power * (c[i] + last * c[n - 1 - i])
        power *= z
    c[0] *= z / (1.0 - last * last)
    c[0] += before


def _reflect_end(c: Reals, z: float) -> None:
    c[-1] *= z / (z - 1.0)


@lru_cache(maxsize=8)
def _response(order: int) -> Reals:
    """Return the filter's weights for distances up to `REACH` on both sides."""
    reach = REACH[order]
    impulse = np.zeros((4 * reach + 1, 1))
    impulse[2 * reach] = 1.0
    return np.asarray(filtered(impulse, order, "mirror")[reach : 3 * reach + 1, 0])


@cached
def _short(size: int, order: int) -> Reals:
    """Return the matrix of SciPy's filter of a reflected axis."""
    return filtered(np.eye(size), order, "reflect")


def coefficients(in_size: int, out_size: int, output: Ints, order: int, boundary: str, pad: int) -> Taps:
    """Make the table of the prefilter, which turns samples into spline coefficients.

    Parameters
    ----------
    in_size, out_size : int
        Numbers of samples and of coefficients.
    output : ndarray of int64
        Numbers of the coefficients.
    order : int
        2 to 5.
    boundary : {"mirror", "reflect", "drop"}
        Continuation of the axis for the filter; "drop" if the axis is extended already.
    pad : int
        0: each sample has a coefficient. Positive: the axis is first extended by `pad` samples at both ends, which are
        copies of the edge for "reflect" and zeros for "mirror"; each has a coefficient. Negative: the first and the
        last ``-pad`` samples have no coefficients.
    """
    extended = in_size + 2 * max(pad, 0)
    if boundary == "reflect" and extended <= _SHORT and extended > 1:
        index = np.broadcast_to(np.arange(extended) - pad, (len(output), extended))
        return trimmed(folded(index, _short(extended, order)[output], in_size, "edge"))
    reach = REACH[order]
    place = output[:, None] - min(pad, 0) + np.arange(-reach, reach + 1)
    weight = np.broadcast_to(_response(order), place.shape)
    if pad <= 0:
        return trimmed(folded(place, weight, in_size, boundary))
    outer = folded(place, weight, extended, boundary)
    index = outer.first[:, None] + np.arange(outer.longest) - pad
    return trimmed(folded(index, outer.weight, in_size, "edge" if boundary == "reflect" else "drop"))


def centres(in_size: int, out_size: int, output: Ints, is_grid: bool) -> Reals:
    """Return where outputs are among the samples, with SciPy's roundings."""
    if is_grid:
        return (output + 0.5) * (in_size / out_size) - 0.5
    step = (in_size - 1) / (out_size - 1) if out_size > 1 else 1.0
    return np.asarray(output * step)


def interpolated(
    in_size: int, out_size: int, output: Ints, order: int, boundary: str, is_grid: bool, before: int, goes_around: bool
) -> Taps:
    """Make the table that weighs coefficients by the B-spline around each centre.

    Parameters
    ----------
    in_size, out_size : int
        Numbers of coefficients and of results.
    output : ndarray of int64
        Numbers of the results.
    order : int
        0 to 5.
    boundary : {"edge", "mirror", "reflect", "drop"}
        Replacement of taps outside.
    is_grid : bool
        Whether coordinates follow SciPy's ``grid_mode``.
    before : int
        Coefficients before that of the first sample, and after that of the last.
    goes_around : bool
        Whether a centre outside the samples moves by a multiple of ``samples - 1`` first, as in SciPy's "wrap".
    """
    samples = in_size - 2 * before
    centre = centres(samples, out_size, output, is_grid)
    if goes_around:
        centre = _around(centre, samples)
    extended = before if before == PAD else 0  # SciPy extends the axis itself, and rounds places on it
    first, weight = nearby(centre + extended, order)
    return trimmed(folded(before - extended + first[:, None] + np.arange(order + 1), weight, in_size, boundary))


def nearby(place: Reals, order: int) -> tuple[Ints, Reals]:
    """Return the first of the ``order + 1`` coefficients around each place, and their weights."""
    knot = np.floor(place if order % 2 else place + 0.5)
    return knot.astype(np.int64) - order // 2, _bspline(place - knot, order)


def _around(centre: Reals, samples: int) -> Reals:
    period = samples - 1
    if period < 1:
        return np.where((centre < 0.0) | (centre > period), 0.0, centre)
    low = centre + period * (np.trunc(-centre / period) + 1.0)
    high = centre - period * np.trunc(centre / period)
    return np.where(centre < 0.0, low, np.where(centre > period, high, centre))


def _bspline(x: Reals, order: int) -> Reals:
    """Return the weights of the coefficients around positions `x` after a middle knot, with SciPy's roundings."""
    z = 1.0 - x
    if order < 2:
        weights = [z] * order
    elif order == 2:
        weights = [0.5 * (0.5 - x) * (0.5 - x), 0.75 - x * x]
    elif order == 3:
        weights = [z * z * z / 6.0, *((d * d * (d - 2.0) * 3.0 + 4.0) / 6.0 for d in (x, z))]
    elif order == 4:
        square, outer = x * x, (0.5 - x) * (0.5 - x)
        middle = square * (square * 0.25 - 0.625) + 115.0 / 192.0
        weights = [outer * outer / 24.0, _quartic(1.0 + x), middle, _quartic(z)]
    else:
        outer = z * z
        weights = [
            z * outer * outer / 120.0,
            _quintic(1.0 + x),
            _inner_quintic(x),
            _inner_quintic(z),
            _quintic(1.0 + z),
        ]
    last = np.ones_like(x)
    for weight in weights:
        last = last - weight
    return np.stack([*weights, last], axis=1)


def _quartic(d: Reals) -> Reals:
    """Return the B-spline of order 4 at distances of 0.5 to 1.5."""
    return d * (d * (d * (5.0 - d) / 6.0 - 1.25) + 5.0 / 24.0) + 55.0 / 96.0


def _inner_quintic(d: Reals) -> Reals:
    """Return the B-spline of order 5 at distances of 0 to 1."""
    square = d * d
    return square * (square * (0.25 - d / 12.0) - 0.5) + 0.55


def _quintic(d: Reals) -> Reals:
    """Return the B-spline of order 5 at distances of 1 to 2."""
    return d * (d * (d * (d * (d / 24.0 - 0.375) + 1.25) - 1.75) + 0.625) + 0.425


def wrapped(in_size: int, out_size: int, output: Ints) -> Taps:
    """Continue an axis periodically, by ``(out_size - in_size) / 2`` samples at both ends."""
    first = (output - (out_size - in_size) // 2) % in_size
    return unmerged(first, np.ones_like(first), np.ones((len(first), 1)))


def gaussian(in_size: int, out_size: int, output: Ints, sigma: float, radius: int, boundary: str) -> Taps:
    """Weigh samples by a Gaussian; if `out_size` is less than `in_size`, the axis is extended already."""
    tap = np.arange(-radius, radius + 1)
    weight = np.exp(-0.5 / (sigma * sigma) * tap**2)
    weight /= weight.sum()
    index = output[:, None] + (in_size - out_size) // 2 + tap
    return trimmed(folded(index, np.broadcast_to(weight, index.shape), in_size, boundary))
