"""What the constant outside adds to results of a zoom, for SciPy's border "grid-constant".

A zoom is linear: a result is that of the samples among zeros, plus that of zeros among the value. The second one does
not depend on the samples. For small arrays it is made in SciPy's order of operations, bit for bit, so that an array of
zeros has SciPy's results; for large ones it is the value times the weights outside, which differs by roundings.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from upsample.caches import cached
from upsample.plans.makers.splines import PAD, centres, filtered, nearby
from upsample.plans.splines import applied, zoom_rules
from upsample.plans.tap_table import Reals

__all__ = ["along", "share_outside"]

_SMALL = 1 << 14
"""Results up to which SciPy's order is kept: 2 ms the first time for a spline of order 3, on an AMD EPYC."""
_EXTENDED = 1 << 16
"""Samples, with those of the border, up to which SciPy's order is kept."""


def along(vector: Reals, axis: int, ndim: int) -> Reals:
    """Return a vector as an array of `ndim` axes that extends along one of them."""
    return vector.reshape([-1 if place == axis else 1 for place in range(ndim)])


def share_outside(
    shape: tuple[int, ...], sizes: tuple[int, ...], order: int, is_grid: bool, filters: bool, value: float
) -> Reals:
    """Return what a zoom makes of zeros with `value` outside.

    Parameters
    ----------
    shape, sizes : tuple of int
        Shapes of the samples and of the result.
    order : int
        Of the spline, 1 to 5.
    is_grid : bool
        Whether outer edges are aligned, not the centres of the corner samples.
    filters : bool
        Whether samples are made into coefficients first.
    value : float
        The value outside.
    """
    if math.prod(sizes) <= _SMALL and math.prod(n + 2 * PAD for n in shape) <= _EXTENDED:
        return _ordered(shape, sizes, order, is_grid, filters and order > 1, value)
    inside = np.ones((1,) * len(shape))
    for axis, (n, o) in enumerate(zip(shape, sizes, strict=True)):
        line = applied(zoom_rules(n, o, order, "grid-constant", is_grid, filters), np.ones(n))
        inside = inside * along(line, axis, len(shape))
    return np.asarray(value * (1.0 - inside))


@cached
def _ordered(
    shape: tuple[int, ...], sizes: tuple[int, ...], order: int, is_grid: bool, filters: bool, value: float
) -> Reals:
    """Extend zeros by the value, filter axis by axis, and add up the taps of all axes, the last axis fastest."""
    coefficients = np.pad(np.zeros(shape), PAD, constant_values=value)
    if filters:
        for axis in range(len(shape)):
            lines = np.moveaxis(coefficients, axis, 0)
            coefficients = np.moveaxis(filtered(lines, order, "mirror"), 0, axis)
    index, weight = [], []
    for axis, (n, o) in enumerate(zip(shape, sizes, strict=True)):
        before = PAD if filters else 0
        first, weights = nearby(centres(n, o, np.arange(o), is_grid) + before, order)
        last = coefficients.shape[axis] - 1
        index.append([np.clip(first + tap - before + PAD, 0, last) for tap in range(order + 1)])
        weight.append([along(weights[:, tap], axis, len(shape)) for tap in range(order + 1)])
    total = np.zeros(sizes)
    for taps in itertools.product(range(order + 1), repeat=len(shape)):
        product = coefficients[np.ix_(*[own[tap] for own, tap in zip(index, taps, strict=True)])]
        for own, tap in zip(weight, taps, strict=True):
            product = product * own[tap]
        total += product
    return total
