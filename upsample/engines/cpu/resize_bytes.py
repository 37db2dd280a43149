"""Kernels that filter one axis of a box of bytes, in integers; see `resize_float` for what a box is.

Weights are multiples of ``2**-shift`` (`upsample.plans.taps.fixed_point`), sums exact; each axis is rounded half up and
clamped, as torch does.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.compile import kernel

__all__ = ["columns", "rows"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64


@kernel
def columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    shift: int,
    count: _Array,
    index: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are `inner` values."""
    sa, sb, sn, da, db, dn, size_b, n = steps
    kind = weight.dtype.type
    half, places = kind(1 << shift >> 1), kind(shift)
    sums = np.empty(n if weight.shape[1] > 2 else 0, dtype=weight.dtype)
    for place in range(outer * size_b):
        s = s0 + place // size_b * sa + place % size_b * sb
        for o in range(len(count)):
            d = _U(d0 + place // size_b * da + place % size_b * db + o * dn)
            taps = count[o]
            a, w = _U(s + index[o, 0] * sn), weight[o, 0]
            if taps == 1:
                for j in range(n):
                    dst[d + _U(j)] = min(max((src[a + _U(j)] * w + half) >> places, 0), 255)
                continue
            b, v = _U(s + index[o, 1] * sn), weight[o, 1]
            if taps == 2:
                for j in range(n):
                    k = _U(j)
                    dst[d + k] = min(max((src[a + k] * w + src[b + k] * v + half) >> places, 0), 255)
                continue
            if taps == 4:
                c, u = _U(s + index[o, 2] * sn), weight[o, 2]
                e, z = _U(s + index[o, 3] * sn), weight[o, 3]
                for j in range(n):
                    k = _U(j)
                    total = src[a + k] * w + src[b + k] * v + src[c + k] * u + src[e + k] * z
                    dst[d + k] = min(max((total + half) >> places, 0), 255)
                continue
            for j in range(n):
                sums[_U(j)] = src[a + _U(j)] * w + src[b + _U(j)] * v
            for t in range(2, taps):
                c, u = _U(s + index[o, t] * sn), weight[o, t]
                for j in range(n):
                    sums[_U(j)] += src[c + _U(j)] * u
            for j in range(n):
                dst[d + _U(j)] = min(max((sums[_U(j)] + half) >> places, 0), 255)


@kernel
def rows(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    shift: int,
    first: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are few values, by runs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    kind = weight.dtype.type
    half, places = kind(1 << shift >> 1), kind(shift)
    taps, one = len(weight), _U(inner)
    for place in range(outer * size_b):
        s = _U(s0 + place // size_b * sa + place % size_b * sb)
        d = _U(d0 + place // size_b * da + place % size_b * db)
        for j in range(len(first)):
            k = _U(j)
            f = s + _U(first[k])
            total = src[f] * weight[_U(0), k] + half
            for t in range(1, taps):
                f += one
                total += src[f] * weight[_U(t), k]
            dst[d + k] = min(max(total >> places, 0), 255)
