"""Tables of ONNX Resize and Upsample, in float64 as onnx's reference evaluator computes them.

Source: ``onnx/reference/ops/op_resize.py`` of onnx 1.23. `length` is the input size times the scale, which need not be
an integer; some coordinate modes divide by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from upsample.plans.tap_table import Ints, Reals, Taps, folded, trimmed, unmerged

__all__ = ["COORDINATES", "NEAREST", "centres", "nearest", "weighted"]


def _align_corners(i: Reals, n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    length = scale * n
    return i * (n - 1) / (length - 1) if length != 1 else np.zeros_like(i)


def _half_pixel(i: Reals, _n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    return (i + 0.5) / scale - 0.5


def _pytorch_half_pixel(i: Reals, n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    return (i + 0.5) / scale - 0.5 if scale * n != 1 else np.full_like(i, -0.5)


def _half_pixel_symmetric(i: Reals, n: int, o: int, scale: float, _begin: float, _end: float) -> Reals:
    return n / 2 * (1 - o / (scale * n)) + (i + 0.5) / scale - 0.5


def _asymmetric(i: Reals, _n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    return i / scale


def _asymmetric_float32(i: Reals, _n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    """As onnxruntime computes Upsample."""
    return (i.astype(np.float32) / np.float32(scale)).astype(np.float64)


def _tf_half_pixel_for_nn(i: Reals, _n: int, _o: int, scale: float, _begin: float, _end: float) -> Reals:
    return (i + 0.5) / scale


def _tf_crop_and_resize(i: Reals, n: int, _o: int, scale: float, begin: float, end: float) -> Reals:
    length = scale * n
    step = (end - begin) * (n - 1)
    place = i * step / (length - 1) if length != 1 else np.full_like(i, step / 2)
    return place + begin * (n - 1)


COORDINATES: Mapping[str, Callable[[Reals, int, int, float, float, float], Reals]] = MappingProxyType(
    {
        "half_pixel": _half_pixel,
        "half_pixel_symmetric": _half_pixel_symmetric,
        "pytorch_half_pixel": _pytorch_half_pixel,
        "align_corners": _align_corners,
        "asymmetric": _asymmetric,
        "asymmetric float32": _asymmetric_float32,
        "tf_half_pixel_for_nn": _tf_half_pixel_for_nn,
        "tf_crop_and_resize": _tf_crop_and_resize,
    }
)
"""By coordinate_transformation_mode: where output i of o is among n inputs, given the scale and the region."""

NEAREST: Mapping[str, Callable[[Reals], Reals]] = MappingProxyType(
    {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
)
"""By nearest_mode, the sample of a centre."""


def centres(n: int, o: int, output: Ints, mode: str, scale: float, begin: float, end: float) -> Reals:
    """Return where outputs are among the inputs."""
    return COORDINATES[mode](output.astype(np.float64), n, o, scale, begin, end)


def nearest(n: int, o: int, output: Ints, mode: str, scale: float, begin: float, end: float, rounding: str) -> Taps:
    """Take one sample."""
    place = NEAREST[rounding](centres(n, o, output, mode, scale, begin, end))
    first = np.clip(place, 0, n - 1).astype(np.int64)
    return unmerged(first, np.ones_like(first), np.ones((len(first), 1)))


def weighted(
    n: int,
    o: int,
    output: Ints,
    mode: str,
    scale: float,
    begin: float,
    end: float,
    kernel: str,
    a: float,
    antialias: bool,
    exclude_outside: bool,
) -> Taps:
    """Weigh the samples around the centre; taps outside repeat the edge, or are excluded.

    The filter has 2 or 4 taps, and more if it is antialiased. Their sum is 1 over all of them, before taps outside are
    moved onto the edge.
    """
    centre = np.clip(centres(n, o, output, mode, scale, begin, end), -(2.0**40), 2.0**40)
    low = np.ceil(centre) - 1.0  # the share of the right neighbor is in (0, 1]
    share = (centre - low)[:, None]
    squeeze = min(scale, 1.0) if antialias else 1.0
    start = math.floor((-2 if kernel == "cubic" else -1) / squeeze) + 1
    offsets = np.arange(start, 2 - start)
    distance = np.abs((offsets - share) * squeeze)
    weight = _cubic(distance, a) if kernel == "cubic" else np.maximum(1.0 - distance, 0.0)
    index = low.astype(np.int64)[:, None] + offsets
    if antialias:
        weight = weight / weight.sum(axis=1, keepdims=True)
    if exclude_outside:
        weight = np.where((index >= 0) & (index < n), weight, 0.0)
        total = weight.sum(axis=1, keepdims=True)
        weight = weight / np.where(total == 0.0, 1.0, total)
    return trimmed(folded(index, weight, n, "edge"))


def _cubic(x: Reals, a: float) -> Reals:
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))
