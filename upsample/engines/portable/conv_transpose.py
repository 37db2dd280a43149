"""Transposed convolution by the Array API alone: one matrix product, then phases that add their taps.

The product gives every tap of every cell its share; each phase of the output (`upsample.plans.window.phases`) is the
sum of a few shifted shares, in one fixed order. Output channels go in blocks that bound the shares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.phases import interleave, shifted
from upsample.engines.portable.results import Target, deliver, each_tile, empty, quiet, scalar
from upsample.plans.window import Phase, SpreadPlan, WindowAxis, phases

__all__ = ["run"]

_SHARES_BYTES = 1 << 22
"""Bytes of shares made at once, where the result can be written piece by piece."""
_SMALL = 1 << 12
"""Values up to which a result is made by as few calls as can be."""
_FEW_CHANNELS = 8
"""Output channels of a group that are made at once at least, if there are as many."""


@quiet
def run(xp: ModuleType, plan: SpreadPlan, x: Array, weight: Array, bias: Array | None, out: Array | None) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    groups, kernel = plan.groups, weight.shape[2:]
    batch, channels, each = x.shape[0], x.shape[1] // groups, weight.shape[1]
    shape = (batch, groups * each, *plan.large_shape)
    if 0 in shape:
        return deliver(empty(xp, shape, x), out)
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(x)))
    if out is None and math.prod(shape) <= _SMALL and all(map(_tiles, plan.axes)):
        tiled: Array = _tiled(xp, groups, x, weight, bias, shape, accumulator)
        return arrays.astype(xp, tiled, x.dtype)
    cells = xp.reshape(arrays.astype(xp, x, accumulator), (batch, groups, channels, -1))
    taps = xp.reshape(arrays.astype(xp, weight, accumulator), (groups, channels, each, -1))
    taps = xp.permute_dims(taps, (0, 3, 2, 1))  # [groups, kernel, each, channels]
    added = None if bias is None else xp.reshape(arrays.astype(xp, bias, accumulator), (groups, each))
    small = x.shape[2:]
    if not arrays.can_assign(xp, x, weight, bias):
        whole = _spread(xp, plan, cells, taps, added, small)
        return deliver(xp.reshape(arrays.astype(xp, whole, x.dtype), shape), out)
    target = Target(xp, (batch, groups, each, *plan.large_shape), x, out)
    images, some, outputs = _block(batch, groups, each, math.prod(kernel) * math.prod(small))
    parts = [(g, m) for g in _cuts(groups, some) for m in _cuts(each, outputs)]

    def make(number: int) -> None:
        g, m = parts[number]
        part = arrays.contiguous(xp, taps[g, :, m, :])
        for n in _cuts(batch, images):
            shares = _shares(xp, cells[n, g, ...], part, small)
            _fill(xp, plan, shares, None if added is None else added[g, m], target.array[n, g, m, ...])

    if channels == 1:  # else BLAS has threads of its own
        each_tile(xp, make, len(parts))
    else:
        for number in range(len(parts)):
            make(number)
    return target.finished(shape)


def _tiles(axis: WindowAxis) -> bool:
    """Whether windows lie side by side and fill the axis, so that no two shares are added."""
    bare = axis.padding == 0 and axis.dilation == 1
    return bare and axis.stride == axis.kernel and axis.large == axis.small * axis.stride


def _tiled(
    xp: ModuleType, groups: int, x: Any, weight: Any, bias: Any, shape: tuple[int, ...], accumulator: Any
) -> Any:
    """Return the product alone, its taps moved between the cells: the fewest calls, if not the fastest copy."""
    small, kernel = x.shape[2:], weight.shape[2:]
    cells = xp.reshape(arrays.astype(xp, x, accumulator), (shape[0], groups, weight.shape[0] // groups, -1))
    taps = xp.reshape(arrays.astype(xp, weight, accumulator), (groups, weight.shape[0] // groups, -1))
    shares = xp.reshape(xp.matmul(xp.permute_dims(taps, (0, 2, 1)), cells), (*shape[:2], *kernel, *small))
    axes = len(small)
    woven = [place for axis in range(axes) for place in (2 + axes + axis, 2 + axis)]
    result = xp.reshape(xp.permute_dims(shares, (0, 1, *woven)), shape)
    return result if bias is None else result + xp.reshape(arrays.astype(xp, bias, accumulator), (-1,) + (1,) * axes)


def _block(batch: int, groups: int, each: int, shares_of_one: int) -> tuple[int, int, int]:
    """How many images, groups and output channels are made at once: shares stay in the cache, products are large."""
    at_once = max(1, _SHARES_BYTES // (4 * shares_of_one))
    outputs = min(each, max(at_once, _FEW_CHANNELS))
    some = min(groups, max(1, at_once // outputs))
    return max(1, min(batch, at_once // (outputs * some))) if some == groups else 1, some, outputs


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]


def _shares(xp: ModuleType, cells: Any, taps: Any, small: tuple[int, ...]) -> Any:
    """Give ``cells [n, g, c, L]`` times ``taps [g, K, m, c]``: the shares ``[n, g, K, m, *small]``."""
    groups, kernel, each, channels = taps.shape
    rows = xp.reshape(taps, (groups, kernel * each, channels))
    shares = rows * cells if channels == 1 else xp.matmul(rows, cells)
    return xp.reshape(shares, (cells.shape[0], groups, kernel, each, *small))


def _fill(xp: ModuleType, plan: SpreadPlan, shares: Any, added: Any, target: Any) -> None:
    """Add the taps of each phase up, where their cells exist, and write the phase into ``target [n, g, m, *large]``."""
    lead = (shares.shape[0], shares.shape[1], shares.shape[3])
    for corner in itertools.product(*(phases(axis) for axis in plan.axes)):
        total = None
        counts = tuple(phase.count for phase in corner)
        for tap, moves in _taps(plan, corner):
            parts = [_overlap(*move, axis.small) for move, axis in zip(moves, plan.axes, strict=True)]
            share = shares[(slice(None), slice(None), tap, slice(None), *(cells for cells, _ in parts))]
            if total is None and share.shape[3:] == counts:
                total = share
            elif total is None:
                total = xp.zeros((*lead, *counts), dtype=shares.dtype, device=arrays.device_of(shares))
                total[(..., *(places for _, places in parts))] = share
            elif share.shape == total.shape:
                total = total + share
            else:
                total[(..., *(places for _, places in parts))] += share
        if total is None:  # the stride is larger than the kernel: nothing lands here
            total = scalar(xp, 0, shares)
        if added is not None:
            total = total + xp.reshape(added, (*added.shape, *(1 for _ in counts)))
        places = (slice(phase.start, None, axis.stride) for phase, axis in zip(corner, plan.axes, strict=True))
        target[(..., *places)] = arrays.astype(xp, total, target.dtype)


def _overlap(begin: int, count: int, size: int) -> tuple[slice, slice]:
    """Of `count` cells from `begin` on: those that exist, and where in the phase they lie."""
    low, high = min(max(begin, 0), size), max(min(begin + count, size), 0)
    high = max(low, high)
    return slice(low, high), slice(low - begin, high - begin)


def _taps(plan: SpreadPlan, corner: tuple[Phase, ...]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """The taps of a phase: the number of each in the window, and its first cell and the cells' count on each axis."""
    for chosen in itertools.product(*(range(len(phase.taps)) for phase in corner)):
        tap = 0
        for axis, phase, t in zip(plan.axes, corner, chosen, strict=True):
            tap = tap * axis.kernel + phase.taps[t]
        yield tap, [(phase.cells[t], phase.count) for phase, t in zip(corner, chosen, strict=True)]


def _spread(xp: ModuleType, plan: SpreadPlan, cells: Any, taps: Any, added: Any, small: tuple[int, ...]) -> Any:
    """Do the same without writing into arrays: ``[n, g, m, *large]``."""
    shares = _shares(xp, cells, taps, small)
    if added is not None:
        added = xp.reshape(added, (*added.shape, *(1 for _ in small)))
    parts = {}
    for corner in itertools.product(*(phases(axis) for axis in plan.axes)):
        parts[tuple(phase.start for phase in corner)] = _phase(xp, plan, corner, shares, added)
    return interleave(xp, parts, plan.axes)


def _phase(xp: ModuleType, plan: SpreadPlan, corner: tuple[Phase, ...], shares: Any, added: Any) -> Any:
    """Add the taps of one phase."""
    total = None
    for tap, moves in _taps(plan, corner):
        share = shifted(xp, shares[:, :, tap, ...], moves)
        total = share if total is None else total + share
    if total is None:  # the stride is larger than the kernel: nothing lands here
        lead = (shares.shape[0], shares.shape[1], shares.shape[3])
        total = xp.broadcast_to(scalar(xp, 0, shares), (*lead, *(phase.count for phase in corner)))
    return total if added is None else total + added
