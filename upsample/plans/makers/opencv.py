"""Tables of OpenCV's resize and pyramids.

Source: modules/imgproc/src/resize.cpp and pyramids.cpp of OpenCV 5. `scale` is OpenCV's: input samples per output
sample, the reciprocal of the factor. Coordinates of weighted filters are float64 sums that become float32, and weights
are float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from upsample.float_errors import quiet
from upsample.plans.tap_table import Ints, Reals, Taps, clamped, folded, unmerged

__all__ = [
    "area",
    "area_cells",
    "area_linear",
    "area_linear_apart",
    "cubic",
    "lanczos4",
    "linear",
    "linear_apart",
    "linear_exact",
    "nearest",
    "nearest_fixed",
    "nearest_walk",
    "pyramid_down",
    "pyramid_up",
]

_F: Any = np.float32
_CUT = 1e-3
"""A sample of which area would take no more than this is left out."""


def nearest(in_size: int, out_size: int, output: Ints, scale: float) -> Taps:
    """INTER_NEAREST."""
    return _points(np.minimum(np.floor(output * scale).astype(np.int64), in_size - 1))


def nearest_walk(in_size: int, out_size: int, output: Ints) -> Taps:
    """INTER_NEAREST_EXACT of OpenCV 5: one addition after the other."""
    step = in_size / out_size
    centre = np.full(out_size, step)
    centre[0] = step * 0.5
    place = np.floor(np.add.accumulate(centre)[output]).astype(np.int64)
    return _points(np.minimum(place, in_size - 1))


def nearest_fixed(in_size: int, out_size: int, output: Ints) -> Taps:
    """INTER_NEAREST_EXACT of OpenCV 4: a step of 16 binary places."""
    step = ((in_size << 16) + out_size // 2) // out_size
    return _points(np.minimum((step * output + step // 2 - in_size % 2) >> 16, in_size - 1))


def _points(first: Ints) -> Taps:
    return unmerged(first, np.ones_like(first), np.ones((len(first), 1)))


def linear_exact(in_size: int, out_size: int, output: Ints, scale: float, bits: int) -> Taps:
    """INTER_LINEAR_EXACT of integers: weights of so many binary places."""
    centre = scale * (output + 0.5) - 0.5
    whole = np.floor(centre)
    part = np.rint((centre - whole) * 2.0**bits) * 0.5**bits
    outside = (centre < 0.0) | (in_size == 1) | (whole >= in_size - 1)
    first = np.where(centre < 0.0, 0.0, np.minimum(whole, in_size - 1)).astype(np.int64)
    return _two(first, np.where(outside, 0.0, part), np.where(outside, 1.0, 1.0 - part))


def _two(first: Ints, right: Reals, left: Reals) -> Taps:
    """Two taps, or one where the second weighs nothing, which may lie outside."""
    count = np.where(right == 0.0, 1, 2)
    return unmerged(first, count, np.stack([left, right], axis=1).astype(np.float64))


def _centres(output: Ints, scale: float) -> tuple[Ints, Reals]:
    """Return the sample left of each centre, and the distance from it in float32."""
    centre = ((output + 0.5) * scale - 0.5).astype(np.float32)
    whole = np.floor(centre)
    return whole.astype(np.int64), (centre - whole).astype(np.float32)


def _area_centres(output: Ints, factor: float) -> tuple[Ints, Reals]:
    """Do the same as INTER_AREA does where an axis grows, by this factor."""
    whole = np.floor(output * (1.0 / factor)).astype(np.int64)
    part = ((output + 1) - (whole + 1) * factor).astype(np.float32)
    return whole, np.where(part <= 0.0, _F(0.0), part - np.floor(part)).astype(np.float32)


def _quantised(weight: Reals, bits: int) -> Reals:
    """Round weights to so many binary places, halves to even; 0 leaves them as they are."""
    if not bits:
        return weight.astype(np.float64)
    one = 2.0**bits
    whole: Reals = np.clip(np.rint(weight.astype(np.float32) * _F(one)), -32768, 32767)
    return whole.astype(np.float64) / one


def linear(in_size: int, out_size: int, output: Ints, scale: float, along_rows: bool, bits: int) -> Taps:
    """INTER_LINEAR."""
    return _linear(in_size, *_centres(output, scale), along_rows, bits)


def area_linear(in_size: int, out_size: int, output: Ints, factor: float, along_rows: bool, bits: int) -> Taps:
    """INTER_AREA where an axis grows; `factor` is the reciprocal of the scale."""
    return _linear(in_size, *_area_centres(output, factor), along_rows, bits)


def linear_apart(
    in_size: int, out_size: int, output: Ints, scale: float, along_rows: bool, bits: int
) -> tuple[Ints, Reals]:
    """List the two taps of INTER_LINEAR, clamped and not merged."""
    return _apart(in_size, *_two_taps(in_size, *_centres(output, scale), along_rows, bits))


def area_linear_apart(
    in_size: int, out_size: int, output: Ints, factor: float, along_rows: bool, bits: int
) -> tuple[Ints, Reals]:
    """List the two taps of INTER_AREA where an axis grows, clamped and not merged."""
    return _apart(in_size, *_two_taps(in_size, *_area_centres(output, factor), along_rows, bits))


def _linear(in_size: int, whole: Ints, part: Reals, along_rows: bool, bits: int) -> Taps:
    return clamped(*_two_taps(in_size, whole, part, along_rows, bits), in_size - 1)


def _apart(in_size: int, index: Ints, weight: Reals) -> tuple[Ints, Reals]:
    return np.clip(index, 0, in_size - 1), weight


def _two_taps(in_size: int, whole: Ints, part: Reals, along_rows: bool, bits: int) -> tuple[Ints, Reals]:
    """Along rows a centre outside moves onto the edge sample; along columns both taps are clamped."""
    if along_rows:
        outside = (whole < 0) | (whole >= in_size - 1)
        part = np.where(outside, _F(0.0), part)
        whole = np.clip(whole, 0, in_size - 1)
    return whole[:, None] + np.arange(2), _quantised(np.stack([_F(1.0) - part, part], axis=1), bits)


def cubic(in_size: int, out_size: int, output: Ints, scale: float, bits: int) -> Taps:
    """INTER_CUBIC, with a = -0.75."""
    whole, t = _centres(output, scale)
    a, one = _F(-0.75), _F(1.0)

    def far(x: Reals) -> Reals:
        return np.asarray(((a * x - _F(5) * a) * x + _F(8) * a) * x - _F(4) * a)

    def near(x: Reals) -> Reals:
        return np.asarray(((a + _F(2)) * x - (a + _F(3))) * x * x + one)

    first, second, third = far(t + one), near(t), near(one - t)
    weight = np.stack([first, second, third, one - first - second - third], axis=1)
    return clamped(whole[:, None] + np.arange(-1, 3), _quantised(weight, bits), in_size - 1)


@quiet  # a sample at the centre weighs 1e30 before division
def lanczos4(in_size: int, out_size: int, output: Ints, scale: float, bits: int) -> Taps:
    """INTER_LANCZOS4, eight taps."""
    whole, t = _centres(output, scale)
    half = 0.70710678118654752440084436210485
    turns = [(1, 0), (-half, -half), (0, 1), (half, -half), (-1, 0), (half, half), (0, -1), (-half, half)]
    turn = -(t + _F(3)).astype(np.float64) * np.pi * 0.25
    sine, cosine = np.sin(turn), np.cos(turn)
    weight = np.empty((len(output), 8), dtype=np.float32)
    for k, (p, q) in enumerate(turns):
        distance = (t + _F(3) - _F(k)).astype(np.float32)
        y = -distance.astype(np.float64) * np.pi * 0.25
        value = (p * sine + q * cosine) / (y * y)
        weight[:, k] = np.where(np.abs(distance) < 1e-6, 1e30, value)
    total = np.zeros(len(output), dtype=np.float32)
    for column in weight.T:
        total += column
    weight = (weight * (_F(1.0) / total)[:, None]).astype(np.float32)
    return clamped(whole[:, None] + np.arange(-3, 5), _quantised(weight, bits), in_size - 1)


def area(in_size: int, out_size: int, output: Ints, scale: float) -> Taps:
    """INTER_AREA where no axis grows: parts of samples, but none of less than a thousandth."""
    low = output * scale
    high = low + scale
    cell = np.minimum(scale, in_size - low)
    end = np.minimum(np.floor(high).astype(np.int64), in_size - 1)
    begin = np.minimum(np.ceil(low).astype(np.int64), end)
    left, right = begin - low, high - end
    has_left, has_right = left > _CUT, right > _CUT
    first = begin - has_left
    count = end - first + has_right
    place = np.arange(int(count.max(initial=1)))
    weight = np.where(place < count[:, None], (1.0 / cell).astype(np.float32)[:, None], _F(0.0)).astype(np.float64)
    rows = np.flatnonzero(has_left)
    weight[rows, 0] = (left / cell).astype(np.float32)[rows]
    rows = np.flatnonzero(has_right)
    last = (np.minimum(np.minimum(right, 1.0), cell) / cell).astype(np.float32)
    weight[rows, count[rows] - 1] = last[rows]
    return unmerged(np.clip(first, 0, in_size - 1), count, weight)


def area_cells(in_size: int, out_size: int, output: Ints, factor: int, share: float) -> Taps:
    """Add whole samples, `factor` of them or as many as there are, each times `share`."""
    first = np.minimum(output * factor, in_size - 1)
    count = np.clip(in_size - output * factor, 0, factor)
    weight = np.where(np.arange(factor) < count[:, None], share, 0.0)
    return unmerged(first, count, weight)


def pyramid_down(in_size: int, out_size: int, output: Ints, boundary: str) -> Taps:
    """Weigh five samples around every second one by 1 4 6 4 1."""
    index = 2 * output[:, None] + np.arange(-2, 3)
    weight = np.broadcast_to(np.asarray([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0, index.shape)
    return folded(index, weight, in_size, boundary)


def pyramid_up(in_size: int, out_size: int, output: Ints, along_rows: bool) -> Taps:
    """Weigh 1 6 1 at samples, 4 4 between them; mirrored at the first sample, repeated at the last.

    A result of one sample more than twice as many repeats the last column, or the last row of those at samples.
    """
    output = np.where(output < 2 * in_size, output, 2 * in_size - (1 if along_rows else 2))
    index = output[:, None] // 2 + np.arange(-1, 2)
    even = (output % 2 == 0)[:, None]
    weight = np.where(even, np.asarray([1.0, 6.0, 1.0]) / 8.0, np.asarray([0.0, 4.0, 4.0]) / 8.0)
    place = np.minimum(np.abs(index), in_size - 1)
    first, last = place.min(axis=1), place.max(axis=1)
    merged = np.zeros((len(first), int((last - first).max()) + 1))
    np.add.at(merged, (np.arange(len(first))[:, None], place - first[:, None]), weight)
    return unmerged(first, last - first + 1, merged)
