"""Move cells of the small side to positions of the large side, phase by phase, without a scatter."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.engines.portable.output import empty, scalar
from upsample.plans.window import WindowAxis

__all__ = ["interleave", "shifted"]


def shifted(xp: ModuleType, x: Any, moves: Sequence[tuple[int, int]]) -> Any:
    """Cut ``count`` cells from ``begin`` on out of each trailing axis, zeros outside the array.

    Parameters
    ----------
    xp : module
        Namespace of `x`.
    x : array
        Cells; the trailing axes are those of `moves`.
    moves : sequence of (begin, count)
        For each trailing axis; `begin` may be negative and ``begin + count`` past the end.
    """
    for place, (begin, count) in enumerate(moves):
        axis = x.ndim - len(moves) + place
        size = x.shape[axis]
        if (begin, count) == (0, size):
            continue
        low, high = min(max(begin, 0), size), max(min(begin + count, size), 0)
        parts = [x[(slice(None),) * axis + (slice(low, high), ...)]] if high > low else []
        missing = count - max(high - low, 0)
        before = min(max(-begin, 0), missing)
        for zeros, where in ((before, 0), (missing - before, len(parts) + 1)):
            if zeros:
                shape = (*x.shape[:axis], zeros, *x.shape[axis + 1 :])
                parts.insert(where, xp.broadcast_to(scalar(xp, 0, x), shape))
        x = parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)
    return x


def interleave(xp: ModuleType, parts: Mapping[tuple[int, ...], Any], axes: Sequence[WindowAxis]) -> Any:
    """Put the phases together; `parts` has one array for each tuple of phase starts.

    Position ``start + stride * j`` of the result is ``parts[start][j]``, on every trailing axis.
    """
    strides = [min(axis.stride, axis.large) for axis in axes]
    any_part = next(iter(parts.values()))
    lead = any_part.shape[: any_part.ndim - len(axes)]
    if len(parts) == 1:
        return any_part
    if arrays.can_assign(xp, *parts.values()):
        result = empty(xp, (*lead, *(axis.large for axis in axes)), any_part)
        for start, part in parts.items():
            result[(..., *(slice(s, None, step) for s, step in zip(start, strides, strict=True)))] = part
        return result
    counts = [-(-axis.large // step) for axis, step in zip(axes, strides, strict=True)]
    padded = [shifted(xp, parts[start], [(0, n) for n in counts]) for start in itertools.product(*map(range, strides))]
    stacked = xp.reshape(xp.stack(padded, axis=0), (*strides, *lead, *counts))
    spatial, leading = len(axes), len(lead)
    order = list(range(spatial, spatial + leading))
    for place in range(spatial):
        order += [spatial + leading + place, place]
    woven = xp.permute_dims(stacked, tuple(order))
    woven = xp.reshape(woven, (*lead, *(n * step for n, step in zip(counts, strides, strict=True))))
    return woven[(..., *(slice(0, axis.large) for axis in axes))]
