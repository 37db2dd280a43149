"""Tables of TensorFlow's resizing operators; everything is float32, as in their kernels.

Source: ``resize_nearest_neighbor_op.cc``, ``resize_bilinear_op.cc``, ``resize_bicubic_op.cc``, ``resize_area_op.cc``,
``scale_and_translate_op.cc`` of tensorflow/core/kernels, and ``util/image_resizer_state.h``, of TensorFlow 2.21.

A number of a maker says how centres are computed: "legacy" ``i * step``, "corners" likewise with a step between the
centres of the corner samples, "half" ``(i + 1/2) * step - 1/2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from upsample.plans.tap_table import Ints, Reals, Taps, clamped, folded, unmerged

__all__ = ["KERNELS", "area", "area_parts", "cubic", "linear", "nearest", "scaled", "step_of"]

_CUBIC_STEPS = 1024
"""Parts of a sample for which the cubic weights are tabulated."""
_SMALLEST_SUM = np.float32(1000.0) * np.finfo(np.float32).tiny


def step_of(in_size: int, out_size: int, centres: str) -> Any:
    """Return the input samples per output sample, a float32."""
    if centres == "corners" and out_size > 1 and in_size > 1:
        return np.float32(in_size - 1) / np.float32(out_size - 1)
    return np.float32(in_size) / np.float32(out_size)


def _centres(in_size: int, out_size: int, output: Ints, centres: str) -> Reals:
    position = output.astype(np.float32)
    step = step_of(in_size, out_size, centres)
    if centres == "half":
        return np.asarray((position + np.float32(0.5)) * step - np.float32(0.5))
    return np.asarray(position * step)


def nearest(in_size: int, out_size: int, output: Ints, centres: str) -> Taps:
    """Take the sample in which the centre is; with aligned corners the nearest, halves away from zero."""
    position = output.astype(np.float32) + np.float32(0.5 if centres == "half" else 0.0)
    place = (position * step_of(in_size, out_size, centres)).astype(np.float64)
    first = np.floor(place + 0.5 if centres == "corners" else place).astype(np.int64)
    return unmerged(np.minimum(first, in_size - 1), np.ones_like(output), np.ones((len(output), 1)))


def linear(in_size: int, out_size: int, output: Ints, centres: str) -> Taps:
    """Weigh the two samples beside the centre."""
    centre = _centres(in_size, out_size, output, centres)
    low = np.floor(centre)
    first = np.clip(low.astype(np.int64), 0, in_size - 1)
    last = np.clip(np.ceil(centre).astype(np.int64), first, in_size - 1)
    count = last - first + 1
    share = np.where(count == 2, centre - low, 0.0).astype(np.float64)
    return unmerged(first, count, np.stack([1.0 - share, share], axis=1)[:, : int(count.max(initial=1))])


def cubic(in_size: int, out_size: int, output: Ints, centres: str) -> Taps:
    """Weigh four samples by a table of Keys' cubic: a is -1/2 with half-pixel centres, otherwise -3/4."""
    centre = _centres(in_size, out_size, output, centres)
    low = np.floor(centre)
    part = np.rint((centre - low) * np.float32(_CUBIC_STEPS)).astype(np.int64)
    near, far = _cubic_table(-0.5 if centres == "half" else -0.75)
    weight = np.stack([far[part], near[part], near[_CUBIC_STEPS - part], far[_CUBIC_STEPS - part]], axis=1)
    index = low.astype(np.int64)[:, None] + np.arange(-1, 3)
    if centres != "half":
        return clamped(index, weight.astype(np.float64), in_size - 1)
    weight = _normalised(np.where((index >= 0) & (index < in_size), weight, np.float32(0.0)))
    return folded(index, weight.astype(np.float64), in_size, "drop")


def _cubic_table(a: float) -> tuple[Reals, Reals]:
    x = np.arange(_CUBIC_STEPS + 1) / _CUBIC_STEPS
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    x = x + 1.0
    far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return near.astype(np.float32), far.astype(np.float32)


def _normalised(weight: Reals) -> Reals:
    """Divide by the sums, which are added in ascending order; sums of nothing stay."""
    total = np.zeros(len(weight), np.float32)
    for column in weight.T:
        total += column
    is_usable = np.abs(total) >= _SMALLEST_SUM
    factor = np.float32(1.0) / np.where(is_usable, total, np.float32(1.0))
    return np.where(is_usable[:, None], weight * factor[:, None], weight)


def area(in_size: int, out_size: int, output: Ints, centres: str) -> Taps:
    """Weigh each sample by the part of it that the output covers, divided by the step."""
    parts = area_parts(in_size, out_size, output, centres)
    return unmerged(parts.first, parts.count, parts.weight / float(step_of(in_size, out_size, centres)))


def area_parts(in_size: int, out_size: int, output: Ints, centres: str) -> Taps:
    """Weigh each sample by the part of it that the output covers."""
    step = step_of(in_size, out_size, centres)
    begin = output.astype(np.float32) * step
    end = (output + 1).astype(np.float32) * step
    first = np.floor(begin).astype(np.int64)
    last = np.ceil(end).astype(np.int64) - 1
    index = first[:, None] + np.arange(int((last - first).max(initial=0)) + 1)
    place = index.astype(np.float32)
    after, is_cut = place + np.float32(1.0) - begin[:, None], place + np.float32(1.0) > end[:, None]
    part = np.where(
        place < begin[:, None],
        np.where(is_cut, step, after),
        np.where(is_cut, end[:, None] - place, np.float32(1.0)),
    )
    weight = np.where(index <= last[:, None], part.astype(np.float64), 0.0)
    return _shortened(clamped(index, weight, in_size - 1), np.minimum(last, in_size - 1))


def _shortened(table: Taps, last: Ints) -> Taps:
    """End each run at its own last input: rows of a block are equally long."""
    count = np.minimum(table.count, np.maximum(last - table.first, 0) + 1)
    return unmerged(table.first, count, table.weight[:, : int(count.max(initial=1))])


def _triangle(x: Reals) -> Reals:
    return np.maximum(np.float32(1.0) - x, np.float32(0.0))


def _box(x: Reals) -> Reals:
    return np.select([x < 0.5, x == 0.5], [np.float32(1.0), np.float32(0.5)], np.float32(0.0))


def _gaussian(x: Reals) -> Reals:
    """A Gaussian of deviation 1/2, cut at 3/2; TensorFlow divides and exponentiates in double precision."""
    square = (-x * x).astype(np.float64)
    return np.where(x >= 1.5, np.float32(0.0), np.exp(square / 0.5).astype(np.float32))


def _keys(x: Reals) -> Reals:
    one = np.float32
    near = ((one(1.5) * x - one(2.5)) * x) * x + one(1.0)
    far = ((one(-0.5) * x + one(2.5)) * x - one(4.0)) * x + one(2.0)
    return np.select([x < 1.0, x < 2.0], [near, far], one(0.0))


def _mitchell(x: Reals) -> Reals:
    """Mitchell and Netravali's cubic of 1988 with B = C = 1/3."""
    one = np.float32
    near = ((one(7.0 / 6.0) * x - one(2.0)) * x) * x + one(8.0 / 9.0)
    far = ((one(-7.0 / 18.0) * x + one(2.0)) * x - one(10.0 / 3.0)) * x + one(16.0 / 9.0)
    return np.select([x < 1.0, x < 2.0], [near, far], one(0.0))


def _sine(x: Reals) -> Reals:
    """Round the sine of a float32 once, as the C library's sinf nearly always does."""
    return np.asarray(np.sin(x.astype(np.float64)).astype(np.float32))


def _lanczos(lobes: int) -> Callable[[Reals], Reals]:
    pi, radius = np.float32(np.pi), np.float32(lobes)

    def weigh(x: Reals) -> Reals:
        safe = np.where(x <= 1e-3, np.float32(1.0), x)
        wave = radius * _sine(pi * safe) * _sine(pi * safe / radius) / (pi * pi * safe * safe)
        return np.select([x <= 1e-3, x <= radius], [np.float32(1.0), wave], np.float32(0.0))

    return weigh


KERNELS: Mapping[str, tuple[float, Callable[[Reals], Reals]]] = MappingProxyType(
    {
        "lanczos1": (1.0, _lanczos(1)),
        "lanczos3": (3.0, _lanczos(3)),
        "lanczos5": (5.0, _lanczos(5)),
        "gaussian": (1.5, _gaussian),
        "box": (1.0, _box),
        "triangle": (1.0, _triangle),
        "keyscubic": (2.0, _keys),
        "mitchellcubic": (2.0, _mitchell),
    }
)
"""By name, the radius within which samples are weighed, and the weight of a distance of at least 0."""


def scaled(
    in_size: int, out_size: int, output: Ints, scale: float, translation: float, kernel: str, antialias: bool
) -> Taps:
    """Weigh the samples around the centre by a kernel, as wide as the step; a centre outside is made of none."""
    radius, weigh = KERNELS[kernel]
    inverse = np.float32(1.0) / np.float32(scale)
    offset = -inverse * np.float32(translation)
    centre = (output.astype(np.float32) + np.float32(0.5)) * inverse + offset
    wide = np.maximum(inverse, np.float32(1.0)) if antialias else np.float32(1.0)
    reach = np.float32(radius) * wide
    first = np.clip(np.ceil(centre - reach - np.float32(0.5)).astype(np.int64), 0, in_size - 1)
    last = np.clip(np.floor(centre + reach - np.float32(0.5)).astype(np.int64), 0, in_size - 1)
    is_inside = (centre >= 0.0) & (centre <= np.float32(in_size))
    count = np.where(is_inside, last - first + 1, 0)
    index = first[:, None] + np.arange(int(count.max(initial=1)))
    distance = np.abs(index.astype(np.float32) + np.float32(0.5) - centre[:, None]) * (np.float32(1.0) / wide)
    weight = _normalised(np.where(index < (first + count)[:, None], weigh(distance), np.float32(0.0)))
    return unmerged(first, count, weight.astype(np.float64))
