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
from upsample.engines.portable.results import Target, deliver, empty, quiet, scalar
from upsample.plans.window import SpreadPlan, phases

__all__ = ["run"]

_SHARES_BYTES = 1 << 25
"""Bytes of shares made at once, where the result can be written piece by piece."""


@quiet
def run(xp: ModuleType, plan: SpreadPlan, x: Array, weight: Array, bias: Array | None, out: Array | None) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    groups, kernel = plan.groups, weight.shape[2:]
    batch, channels, each = x.shape[0], x.shape[1] // groups, weight.shape[1]
    shape = (batch, groups * each, *plan.large_shape)
    if 0 in shape:
        return deliver(empty(xp, shape, x), out)
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(x)))
    cells = xp.reshape(arrays.astype(xp, x, accumulator), (batch, groups, channels, -1))
    taps = xp.reshape(arrays.astype(xp, weight, accumulator), (groups, channels, each, -1))
    taps = xp.permute_dims(taps, (0, 3, 2, 1))  # [groups, kernel, each, channels]
    added = None if bias is None else xp.reshape(arrays.astype(xp, bias, accumulator), (groups, each))
    small = x.shape[2:]
    if not arrays.can_assign(xp, x, weight, bias):
        whole = _spread(xp, plan, cells, taps, added, small)
        return deliver(xp.reshape(arrays.astype(xp, whole, x.dtype), shape), out)
    target = Target(xp, (batch, groups, each, *plan.large_shape), x, out)
    for images, outputs in _blocks(batch, each, groups * math.prod(kernel) * math.prod(small)):
        piece = _spread(
            xp,
            plan,
            cells[images, ...],
            taps[:, :, outputs, :],
            None if added is None else added[:, outputs],
            small,
        )
        target.array[images, :, outputs, ...] = arrays.astype(xp, piece, x.dtype)
    return target.finished(shape)


def _blocks(batch: int, each: int, shares_of_one: int) -> Iterator[tuple[slice, slice]]:
    """Cut images and output channels so that the shares of a block stay bounded."""
    at_once = max(1, _SHARES_BYTES // (4 * shares_of_one))
    images = max(1, at_once // each)
    step = each if at_once >= each else at_once
    for n in range(0, batch, images):
        for m in range(0, each, step):
            yield slice(n, min(n + images, batch)), slice(m, min(m + step, each))


def _spread(xp: ModuleType, plan: SpreadPlan, cells: Any, taps: Any, added: Any, small: tuple[int, ...]) -> Any:
    """Spread ``cells [n, g, c, L]`` with ``taps [g, K, m, c]`` and add ``added [g, m]``: ``[n, g, m, *large]``."""
    groups, kernel, each, channels = taps.shape
    rows = xp.reshape(taps, (groups, kernel * each, channels))
    shares = rows * cells if channels == 1 else xp.matmul(rows, cells)
    shares = xp.reshape(shares, (cells.shape[0], groups, kernel, each, *small))
    if added is not None:
        added = xp.reshape(added, (groups, each, *(1 for _ in small)))
    parts = {}
    for corner in itertools.product(*(phases(axis) for axis in plan.axes)):
        parts[tuple(phase.start for phase in corner)] = _phase(xp, plan, corner, shares, added)
    return interleave(xp, parts, plan.axes)


def _phase(xp: ModuleType, plan: SpreadPlan, corner: Any, shares: Any, added: Any) -> Any:
    """Add the taps of one phase."""
    total = None
    for chosen in itertools.product(*(range(len(phase.taps)) for phase in corner)):
        tap = 0
        for axis, phase, t in zip(plan.axes, corner, chosen, strict=True):
            tap = tap * axis.kernel + phase.taps[t]
        moves = [(phase.cells[t], phase.count) for phase, t in zip(corner, chosen, strict=True)]
        share = shifted(xp, shares[:, :, tap, ...], moves)
        total = share if total is None else total + share
    if total is None:  # the stride is larger than the kernel: nothing lands here
        lead = (shares.shape[0], shares.shape[1], shares.shape[3])
        total = xp.broadcast_to(scalar(xp, 0, shares), (*lead, *(phase.count for phase in corner)))
    return total if added is None else total + added
