"""Rules that interpolate an axis by a B-spline, or blur it, with the borders of scipy.ndimage.

An axis has up to three rules, applied in this order: a periodic continuation, the prefilter (or the blur), and the
interpolation::

    mode                      filter, with its border      interpolation
    mirror                    mirror                       mirror
    reflect, grid-mirror      reflect                      reflect
    constant                  mirror                       mirror; the constant if a centre is outside
    wrap                      mirror                       mirror; centres are taken modulo n - 1
    nearest                   reflect, 12 edge samples     no tap is outside
    grid-constant             mirror, 12 constants         no tap is outside
    grid-wrap                 none: continued              no tap is outside

Without a prefilter, "nearest" repeats the edge sample, and "grid-constant" replaces each tap outside by the constant.
"""

from __future__ import annotations

import numpy as np

from upsample.caches import cached
from upsample.plans.makers.splines import PAD, REACH, centres
from upsample.plans.resize import AxisRule, identity, tabled
from upsample.plans.tap_table import Bools, Reals
from upsample.plans.taps import taps

__all__ = ["MODES", "applied", "blur_rules", "outside", "zoom_rules"]

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap", "wrap")
_TRUNCATE = 4.0
"""SciPy truncates a Gaussian at this radius, in standard deviations."""


@cached
def zoom_rules(n: int, o: int, order: int, mode: str, is_grid: bool, filters: bool) -> tuple[AxisRule, ...]:
    """Return the rules that resample one axis; `filters` says whether the prefilter is applied."""
    filters = filters and order > 1
    if n == o and (order < 2 or (filters and mode not in ("reflect", "grid-mirror"))):
        return (identity(n),)
    method = "spline nearest" if order == 0 else "spline"
    if mode == "grid-wrap":
        before, reach = order + 1, REACH[order] if filters else 0
        wide = n + 2 * before
        rules = [tabled(n, wide + 2 * reach, "wrapped", bits=0)]
        if filters:
            rules.append(tabled(wide + 2 * reach, wide, "spline coefficients", order, "drop", -reach, bits=0))
        return (*rules, tabled(wide, o, method, order, "edge", is_grid, before, False, bits=0))
    border = "reflect" if mode in ("reflect", "grid-mirror", "nearest") else "mirror"
    if filters and mode in ("nearest", "grid-constant"):
        wide = n + 2 * PAD
        first = tabled(n, wide, "spline coefficients", order, border, PAD, bits=0)
        return first, tabled(wide, o, method, order, "edge", is_grid, PAD, False, bits=0)
    if mode == "grid-constant":
        border = "edge" if order == 0 else "drop"
    elif mode == "nearest":
        border = "edge"
    last = tabled(n, o, method, order, border, is_grid, 0, mode == "wrap", bits=0)
    filter_border = "reflect" if border == "reflect" else "mirror"
    return (tabled(n, n, "spline coefficients", order, filter_border, 0, bits=0), last) if filters else (last,)


@cached
def blur_rules(n: int, sigma: float, mode: str) -> tuple[AxisRule, ...]:
    """Return the rules that blur one axis by a Gaussian."""
    radius = int(_TRUNCATE * sigma + 0.5)
    if sigma <= 1e-15 or radius == 0:
        return (identity(n),)
    if mode in ("grid-wrap", "wrap"):
        wide = n + 2 * radius
        extended = tabled(n, wide, "wrapped", bits=0)
        return extended, tabled(wide, n, "gaussian", sigma, radius, "drop", bits=0)
    border = {"nearest": "edge", "mirror": "mirror"}.get(mode, "drop" if "constant" in mode else "reflect")
    return (tabled(n, n, "gaussian", sigma, radius, border, bits=0),)


def applied(rules: tuple[AxisRule, ...], samples: Reals) -> Reals:
    """Apply the rules to one line of samples."""
    for rule in rules:
        if not rule.is_identity:
            table = taps(rule)
            index = np.minimum(table.first[:, None] + np.arange(table.longest), rule.in_size - 1)
            samples = (samples[index] * table.weight).sum(axis=1)
    return samples


def outside(n: int, o: int, order: int, mode: str, is_grid: bool) -> Bools:
    """Return a mask of the outputs of an axis that are the border's constant."""
    centre = centres(n, o, np.arange(o), is_grid)
    if mode == "grid-constant":
        centre = np.floor(centre + 0.5) if order == 0 else np.zeros(o)
    return np.asarray((centre < 0.0) | (centre > n - 1))
