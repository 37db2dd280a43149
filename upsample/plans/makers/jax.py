"""Tables of jax.image.resize and jax.image.scale_and_translate.

Source: ``jax/_src/image/scale.py`` of JAX 0.10: each axis is a dense matrix, whose entries outside the kernel are zero.
JAX computes it in the default floating dtype, which is float32 unless x64 is enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from upsample.plans.tap_table import Ints, Reals, Taps, folded, trimmed, unmerged

__all__ = ["KERNELS", "nearest", "scaled"]

_EPSILON = 1000.0 * float(np.finfo(np.float32).eps)
"""Sums of weights up to which an output is zero; of float32 in every dtype, as in JAX."""


def nearest(in_size: int, out_size: int, output: Ints) -> Taps:
    """Take the sample in which the centre is, by a step that XLA rounds: it divides by multiplying."""
    step = np.float32(in_size) * (np.float32(1.0) / np.float32(out_size))
    first = np.floor((output.astype(np.float32) + np.float32(0.5)) * step).astype(np.int64)
    return unmerged(np.minimum(first, in_size - 1), np.ones_like(output), np.ones((len(output), 1)))


def _triangle(x: Reals) -> Reals:
    return np.maximum(1.0 - x, 0.0)


def _keys(x: Reals) -> Reals:
    near, far = ((1.5 * x - 2.5) * x) * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.select([x < 1.0, x < 2.0], [near, far], 0.0)


def _pytorch(x: Reals) -> Reals:
    a = -0.75
    near, far = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0, ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    return np.select([x < 1.0, x < 2.0], [near, far], 0.0)


def _lanczos(radius: float) -> Callable[[Reals], Reals]:
    def weigh(x: Reals) -> Reals:
        safe = np.where(x > 1e-3, x, np.asarray(1.0, x.dtype))
        wave = radius * np.sin(np.pi * safe) * np.sin(np.pi * safe / radius) / (np.pi**2 * safe**2)
        return np.where(x > radius, 0.0, np.where(x > 1e-3, wave, 1.0))

    return weigh


KERNELS: Mapping[str, tuple[int, Callable[[Reals], Reals]]] = MappingProxyType(
    {
        "linear": (1, _triangle),
        "cubic": (2, _keys),
        "cubic-pytorch": (2, _pytorch),
        "lanczos3": (3, _lanczos(3.0)),
        "lanczos5": (5, _lanczos(5.0)),
    }
)
"""By name, the distance from which on the kernel is zero, and the weight of a distance of at least 0."""


def scaled(
    in_size: int,
    out_size: int,
    output: Ints,
    scale: float,
    translation: float,
    kernel: str,
    antialias: bool,
    dtype: str,
) -> Taps:
    """Weigh the samples around each centre; a centre outside is made of none, except for "cubic-pytorch".

    "cubic-pytorch" repeats the edge samples, as many as its kernel is wide.
    """
    real = np.dtype(dtype).type
    inverse = real(1.0) / real(scale)
    offset = real(translation) * inverse
    if kernel == "area":
        return _area(in_size, output.astype(dtype) * inverse - offset, inverse)
    radius, weigh = KERNELS[kernel]
    centre = (output.astype(dtype) + real(0.5)) * inverse - offset - real(0.5)
    wide = max(inverse, real(1.0)) if antialias else real(1.0)
    reach = float(radius * wide)
    begin = np.clip(np.floor(centre - reach), -1e9, 1e9).astype(np.int64)
    index = begin[:, None] + np.arange(int(np.ceil(2.0 * reach)) + 2)
    weight = weigh(np.abs(centre[:, None] - index.astype(dtype)) / wide)
    if kernel == "cubic-pytorch":
        is_used = (index >= -radius) & (index < in_size + radius)
        weight = _normalised(np.where(is_used, weight, 0.0))
        return folded(np.clip(index, -radius, in_size + radius - 1), weight, in_size, "edge")
    weight = _normalised(np.where((index >= 0) & (index < in_size), weight, 0.0))
    is_inside = (centre >= -0.5) & (centre <= in_size - 0.5)
    return trimmed(folded(index, np.where(is_inside[:, None], weight, 0.0), in_size, "drop"))


def _area(in_size: int, begin: Reals, wide: Any) -> Taps:
    """Weigh each sample by its part within the output sample."""
    end = begin + wide
    first = np.clip(np.floor(begin), -1e9, 1e9).astype(np.int64)
    index = first[:, None] + np.arange(int(np.ceil(float(wide))) + 2)
    place = index.astype(begin.dtype)
    part = np.minimum(end[:, None], place + 1.0) - np.maximum(begin[:, None], place)
    weight = np.where((index >= 0) & (index < in_size), np.maximum(part, 0.0), 0.0)
    centre = begin + wide / 2 - 0.5
    is_inside = (centre >= -0.5) & (centre <= in_size - 0.5)
    return trimmed(folded(index, np.where(is_inside[:, None], _normalised(weight), 0.0), in_size, "drop"))


def _normalised(weight: Reals) -> Reals:
    """Divide by the sums; a sum near zero makes all weights zero."""
    total = weight.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.where(np.abs(total) > _EPSILON, weight / np.where(total == 0.0, 1.0, total), 0.0)
