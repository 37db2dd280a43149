"""How `upsample.resize` samples and rounds, in matrices of float64: one for each axis, made by the documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Axis", "applied", "matrix", "nearest_integers", "of_bytes", "rounded_by_axis"]

Array = np.ndarray[Any, Any]
TABLE = 200_000
"""Weights of an axis that are still made in no time."""


def _sinc(t: Array, width: float) -> Array:
    return np.where(np.abs(t) < width, np.sinc(t), 0.0)


def _mitchell(t: Array) -> Array:
    t = np.abs(t)
    near, far = 7 * t**3 - 12 * t**2 + 16 / 3, -7 / 3 * t**3 + 12 * t**2 - 20 * t + 32 / 3
    return np.where(t < 1, near, np.where(t < 2, far, 0.0)) / 6


def _cubic(t: Array, a: float) -> Array:
    t = np.abs(t)
    near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def _b_spline(t: Array, order: int) -> Array:
    """The central B-spline, by the recursion of Cox and de Boor."""
    if order == 0:
        return np.where((t >= -0.5) & (t < 0.5), 1.0, 0.0)
    half = (order + 1) / 2
    return ((t + half) * _b_spline(t + 0.5, order - 1) + (half - t) * _b_spline(t - 0.5, order - 1)) / order


def _interpolating(order: int) -> Callable[[Array, float], Array]:
    """The spline that is 1 at 0 and 0 at all other integers, within 70 samples."""
    knots = np.arange(-70.0, 71.0)
    share = np.linalg.solve(_b_spline(knots[:, None] - knots, order), np.where(knots == 0, 1.0, 0.0))

    def weight(t: Array, _: float) -> Array:
        made = (share * _b_spline(t[..., None] - knots, order)).sum(axis=-1)
        return np.where(np.abs(t) < _SPLINES[order], made, 0.0)

    return weight


_SPLINES = {2: 17, 3: 23, 4: 30, 5: 36}
"""By order, the distance from which on weights are zero."""
_FILTERS: dict[str, tuple[int, Callable[[Array, float], Array]]] = {
    "linear": (1, lambda t, _: np.maximum(1 - np.abs(t), 0)),
    "cubic": (2, _cubic),
    "lanczos": (3, lambda t, _: _sinc(t, 3) * np.sinc(t / 3)),
    "hamming": (1, lambda t, _: _sinc(t, 1) * (0.54 + 0.46 * np.cos(np.pi * t))),
    "mitchell": (2, lambda t, _: _mitchell(t)),
    **{f"spline{order}": (reach, _interpolating(order)) for order, reach in _SPLINES.items()},
}


@dataclass
class Axis:
    """How an axis of `n` samples becomes one of `o`, where some border argument is given.

    Attributes
    ----------
    n, o : int
        Its sizes.
    mode : str
        The mode of the axis.
    low, length : float
        Where the part begins that is resampled, moved by the offset, and how long it is.
    scale : float or None
        Outputs to an input, where that is not ``o / length``.
    boundary : str
        As `resize` takes it, or "cut".
    antialias, corners : bool
        As `resize` takes them.
    cubic_coeff : float
        As `resize` takes it.
    """

    n: int
    o: int
    mode: str
    low: float
    length: float
    scale: float | None
    boundary: str
    antialias: bool
    corners: bool
    cubic_coeff: float


def matrix(axis: Axis) -> Array:
    """Return the weights ``[o, n]``; where samples beyond the border are a constant, rows lack its share."""
    position, weight = _taps(axis)
    inside = (position >= 0) & (position < axis.n)
    if axis.boundary in ("cut", "constant"):
        weight = np.where(inside, weight, 0.0)
    if axis.boundary == "cut":
        total = weight.sum(axis=1, keepdims=True)
        weight = weight / np.where(total == 0, 1, total)
    made = np.zeros((axis.o, axis.n))
    np.add.at(made, (np.arange(axis.o)[:, None], _found(position, axis.n, axis.boundary)), weight)
    return made


def _taps(axis: Axis) -> tuple[Array, Array]:
    """Return consecutive positions, beyond the border too, and their weights."""
    output = np.arange(axis.o)
    over, under = (axis.length, axis.o) if axis.scale is None or axis.mode == "area" else (1.0, axis.scale)
    if axis.corners:
        over, under = (axis.length - 1, axis.o - 1) if axis.o > 1 else (0.0, 1.0)
    if axis.mode.startswith("nearest"):
        anchor = 0.5 if axis.mode == "nearest-exact" else 0.0
        place = np.floor(axis.low + (output + anchor) * over / under).astype(int)
        return place[:, None], np.ones((axis.o, 1))
    if axis.mode == "area":
        first = np.floor(axis.low + output * over / under).astype(int)
        count = np.ceil(axis.low + (output + 1) * over / under).astype(int) - first
        _check_size(axis.o, float(count.max()))
        tap = np.arange(count.max())
        return first[:, None] + tap, np.where(tap < count[:, None], 1 / count[:, None], 0.0)
    support, function = _FILTERS[axis.mode]
    wide = max(over / under, 1.0) if axis.antialias else 1.0
    _check_size(axis.o, 2 * support * wide)
    centre = axis.low + (output * over / under if axis.corners else (output + 0.5) * over / under - 0.5)
    reach = math.ceil(support * wide)
    position = np.floor(centre).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    weight = function((position - centre[:, None]) / wide, axis.cubic_coeff)
    return position, weight / weight.sum(axis=1, keepdims=True)


def _check_size(o: int, taps: float) -> None:
    if o * taps > TABLE:
        raise ValueError("too large a table")


def _found(position: Array, n: int, boundary: str) -> Array:
    """Return which sample stands for each position."""
    if boundary == "wrap":
        return position % n
    if boundary == "reflect":
        within = position % (2 * n)
        return np.where(within < n, within, 2 * n - 1 - within)
    if boundary == "mirror":
        period = max(2 * n - 2, 1)
        within = position % period
        return np.where(within < n, within, period - within)
    return np.clip(position, 0, n - 1)


def applied(x: Array, axes: Sequence[int], matrices: Sequence[Array]) -> Array:
    """Weigh each axis; a weight of zero does not count."""
    for axis, weights in sorted(zip(axes, matrices, strict=True), key=lambda pair: -pair[0]):
        source = np.moveaxis(x, axis, 0)
        made = np.zeros((len(weights), *source.shape[1:]), source.dtype)
        for i, j in zip(*np.nonzero(weights), strict=True):
            made[i] += weights[i, j] * source[j] if weights[i, j] != 1 else source[j]
        x = np.moveaxis(made, 0, axis)
    return x


# ------------------------------------------------------------------------------------------------------ rounding


def nearest_integers(sums: Array, dtype: np.dtype[Any], error: float) -> tuple[Array, Array]:
    """Return the least and the largest integers that sums become: to 2**-16 first, then to nearest, ties to even.

    They differ only where `error`, which float64 makes, is as far as the sum is from where the rounding turns.
    """
    info = np.iinfo(dtype)
    made = (np.rint(np.rint((sums + e) * 2.0**16) / 2.0**16) for e in (-error, error))
    low, high = (np.clip(y, info.min, info.max) for y in made)
    return low, high


def of_bytes(sums: Array) -> tuple[Array, Array]:
    """Return the bytes within 0.55 of sums, which is what bytes that are rounded once are promised to be."""
    clamped = np.clip(sums, 0, 255)
    return np.ceil(clamped - 0.55), np.floor(clamped + 0.55)


def rounded_by_axis(x: Array, axes: Sequence[int], matrices: Sequence[Array]) -> tuple[Array, Array]:
    """Return the least and the largest bytes that result where each axis is rounded, ties up, the last one first.

    Weights have 22 binary places, or as many as fit 16 bits.
    """
    low = high = x.astype(float)
    for axis, weights in sorted(zip(axes, matrices, strict=True), key=lambda pair: -pair[0]):
        error = 0.0
        if not np.isin(weights, (0, 1)).all():
            each = max(2.0**-23, float(np.abs(weights).max()) * 2.0**-15)
            error = 255 * each * int((weights != 0).sum(axis=1).max())
        plus, minus = [np.maximum(weights, 0)], [np.minimum(weights, 0)]
        least = applied(low, [axis], plus) + applied(high, [axis], minus) - error
        most = applied(high, [axis], plus) + applied(low, [axis], minus) + error
        low, high = (np.clip(np.floor(y + 0.5), 0, 255) for y in (least, most))
    return low, high
