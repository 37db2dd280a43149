"""Tables of `upsample.resize` for a part of an axis, and for borders other than its usual ones.

Output ``i`` lies at ``low + (i + 1/2) * step - 1/2``, or at ``low + i * step`` with aligned corners. The step is a
ratio, so that it is exact where it can be.
"""

from __future__ import annotations

import math

import numpy as np

from upsample.plans.filters import FILTERS, Mean, Point, Weighted
from upsample.plans.tap_table import Ints, Reals, Taps, folded, trimmed

__all__ = ["point", "reach", "resampled"]

_CUT = "cut"
"""The default boundary of an antialiased filter: taps outside have no weight, and the others sum to one."""


def resampled(
    in_size: int,
    out_size: int,
    output: Ints,
    mode: str,
    low: float,
    numerator: float,
    denominator: float,
    corners: bool,
    antialias: bool,
    coefficient: float,
    boundary: str,
) -> Taps:
    """Weigh samples by a mode of `FILTERS`; `boundary` is one of `folded`, or "cut"."""
    index, weight = _weighed(output, mode, low, numerator, denominator, corners, antialias, coefficient)
    if boundary == _CUT:
        weight = np.where((index >= 0) & (index < in_size), weight, 0.0)
        total = weight.sum(axis=1, keepdims=True)
        weight = weight / np.where(total == 0.0, 1.0, total)
        boundary = "drop"
    return trimmed(folded(index, weight, in_size, boundary))


def point(
    in_size: int,
    out_size: int,
    output: Ints,
    mode: str,
    low: float,
    numerator: float,
    denominator: float,
    boundary: str,
) -> Taps:
    """Take one sample for each output; one outside is replaced as `boundary` says."""
    index, weight = _weighed(output, mode, low, numerator, denominator, False, False, 0.0)
    return folded(index, weight, in_size, boundary)


def reach(
    out_size: int,
    mode: str,
    low: float,
    numerator: float,
    denominator: float,
    corners: bool,
    antialias: bool,
    coefficient: float,
) -> tuple[int, int]:
    """Return the first sample of the first output and the last sample of the last output; they may be outside."""
    ends = np.asarray([0, out_size - 1])
    index, _ = _weighed(ends, mode, low, numerator, denominator, corners, antialias, coefficient)
    return int(index.min()), int(index.max())


def _weighed(
    output: Ints,
    mode: str,
    low: float,
    numerator: float,
    denominator: float,
    corners: bool,
    antialias: bool,
    coefficient: float,
) -> tuple[Ints, Reals]:
    """Return consecutive samples of each output, and their weights."""
    method = FILTERS[mode]
    if isinstance(method, Point):
        place = np.floor(low + (output + method.anchor) * numerator / denominator).astype(np.int64)
        return place[:, None], np.ones((len(output), 1))
    if isinstance(method, Mean):
        begin = np.floor(low + output * numerator / denominator).astype(np.int64)
        count = np.ceil(low + (output + 1) * numerator / denominator).astype(np.int64) - begin
        tap = np.arange(max(int(count.max(initial=1)), 1))
        return begin[:, None] + tap, np.where(tap < count[:, None], 1.0, 0.0) / np.maximum(count, 1)[:, None]
    shift = (0.0, 0.0) if corners else (0.5, -0.5)
    centre = low + (output + shift[0]) * numerator / denominator + shift[1]
    wide = max(numerator / denominator, 1.0) if antialias else 1.0
    return _filtered(method, centre, wide, coefficient)


def _filtered(method: Weighted, centre: Reals, wide: float, coefficient: float) -> tuple[Ints, Reals]:
    """Weigh the samples around each centre by a filter that is `wide` times as wide."""
    radius = math.ceil(method.support * wide)
    index = np.floor(centre).astype(np.int64)[:, None] + np.arange(1 - radius, radius + 1)
    weight = method.weight((index - centre[:, None]) / wide, coefficient)
    return index, weight / weight.sum(axis=1, keepdims=True)
