"""Tables of Pillow's resize: its filters, its box, and its walk from sample to sample.

Source: ``precompute_coeffs`` of src/libImaging/Resample.c and ``ImagingScaleAffine`` of src/libImaging/Geometry.c,
of Pillow 13. Box edges are float32, all else float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from upsample.plans.tap_table import Ints, Reals, Taps, unmerged

__all__ = ["FILTERS", "nearest", "places", "window"]

_HAMMING = float(np.float32(0.54)), float(np.float32(0.46))
"""Pillow writes them with the suffix f."""


def _box(x: Reals) -> Reals:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Reals) -> Reals:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _sinc(x: Reals) -> Reals:
    turn = np.where(x == 0.0, 1.0, x * np.pi)
    return np.where(x == 0.0, 1.0, np.sin(turn) / turn)


def _hamming(x: Reals) -> Reals:
    x = np.abs(x)
    return np.where(x < 1.0, _sinc(x) * np.where(x == 0.0, 1.0, _HAMMING[0] + _HAMMING[1] * np.cos(x * np.pi)), 0.0)


def _bicubic(x: Reals) -> Reals:
    x, a = np.abs(x), -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return np.where(x < 1.0, near, np.where(x < 2.0, (((x - 5.0) * x + 8.0) * x - 4.0) * a, 0.0))


def _lanczos(x: Reals) -> Reals:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3.0), 0.0)


def _mks2013(x: Reals) -> Reals:
    """Costella's magic kernel sharp of 2013, https://johncostella.com/magic/."""
    x = np.abs(x)
    pieces = [17.0 / 16.0 - 7.0 / 4.0 * (x * x), (1.0 - x) * (7.0 / 4.0 - x), -1.0 / 8.0 * (x - 5.0 / 2.0) ** 2]
    return np.select([x < 0.5, x < 1.5, x < 2.5], pieces, 0.0)


def _mks2021(x: Reals) -> Reals:
    """Costella's magic kernel sharp of 2021."""
    x = np.abs(x)
    pieces = [
        577.0 / 576.0 - 239.0 / 144.0 * (x * x),
        35.0 / 36.0 * (x - 1.0) * (x - 239.0 / 140.0),
        1.0 / 6.0 * (x - 2.0) * (65.0 / 24.0 - x),
        1.0 / 36.0 * (x - 3.0) * (x - 15.0 / 4.0),
        -1.0 / 288.0 * (x - 9.0 / 2.0) ** 2,
    ]
    return np.select([x < 0.5, x < 1.5, x < 2.5, x < 3.5, x < 4.5], pieces, 0.0)


FILTERS: Mapping[str, tuple[float, Callable[[Reals], Reals]]] = MappingProxyType(
    {
        "box": (0.5, _box),
        "bilinear": (1.0, _bilinear),
        "hamming": (1.0, _hamming),
        "bicubic": (2.0, _bicubic),
        "lanczos": (3.0, _lanczos),
        "mks2013": (2.5, _mks2013),
        "mks2021": (4.5, _mks2021),
    }
)
"""By name, the distance from which on the filter is zero, and its weight."""


def window(in_size: int, out_size: int, output: Ints, low: float, high: float, name: str) -> Taps:
    """Weigh the samples around each centre by a filter as wide as the step; the box is ``[low, high)``."""
    support, weigh = FILTERS[name]
    step = _step(out_size, low, high)
    wide = max(step, 1.0)
    reach, squeeze = support * wide, 1.0 / wide
    centre = low + (output + 0.5) * step
    first = np.maximum(np.trunc(centre - reach + 0.5).astype(np.int64), 0)
    count = np.maximum(np.minimum(np.trunc(centre + reach + 0.5).astype(np.int64), in_size) - first, 0)
    tap = np.arange(int(count.max(initial=1)))
    weight = weigh((tap + first[:, None] - centre[:, None] + 0.5) * squeeze)
    weight = np.where(tap < count[:, None], weight, 0.0)
    total = np.zeros(len(output))
    for column in weight.T:  # ascending, as Pillow adds them
        total += column
    return unmerged(first, count, weight / np.where(total == 0.0, 1.0, total)[:, None])


def nearest(in_size: int, out_size: int, output: Ints, low: float, high: float, walks: bool) -> Taps:
    """Take the sample in which each centre lies; one outside of the image is moved onto the edge."""
    first = np.clip(places(out_size, low, high, walks)[output], 0, in_size - 1)
    return unmerged(first, np.ones_like(first), np.ones((len(first), 1)))


def places(out_size: int, low: float, high: float, walks: bool) -> Ints:
    """Return the sample of each centre: one addition after the other, or each centre by itself (16-bit integers)."""
    step = _step(out_size, low, high)
    if walks:
        centre = np.full(out_size, step)
        centre[0] = low + step * 0.5
        centre = np.add.accumulate(centre)
    else:
        centre = step * (np.arange(out_size) + 0.5) + low
    return np.where(centre < 0.0, -1, np.trunc(centre)).astype(np.int64)


def _step(out_size: int, low: float, high: float) -> float:
    return float(np.float32(high) - np.float32(low)) / out_size
