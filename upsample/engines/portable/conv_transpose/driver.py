"""Transposed convolution by the Array API alone: one matrix product, then phases that add their taps.

The product gives every tap of every cell its share; each phase of the output (`upsample.plans.phases`) is the
sum of a few shifted shares, in one fixed order, added in place to the first share. Images, groups and output channels
go in blocks that bound the shares, and large planes in parts. Axes of few cells take a step a cell (`few_cells`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.portable.blocks import Part, cut_positions
from upsample.engines.portable.conv_transpose.few_cells import StepKey, fill_by_cells, goes_by_cells, overlap
from upsample.engines.portable.output import WORTH_SHARING, Target, deliver, each_tile, empty, scalar, write
from upsample.engines.portable.phases import interleave, shifted
from upsample.engines.portable.products import matmul
from upsample.float_errors import quiet
from upsample.plans.phases import Phase, phases
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["run"]

_SHARES_BYTES = 1 << 22
"""Bytes of products computed at once, if the result can be written piece by piece."""
_PART_BYTES = 1 << 23
"""Bytes of products from which planes are cut: Python handles Ctrl-C between NumPy calls, not during one."""
_TAPS_BYTES = 1 << 23
"""Bytes of products computed at once for large windows."""
_MULTIPLICATIONS = 1 << 31
"""Most multiplications of one NumPy call, to keep Ctrl-C responsive."""
_SMALL = 1 << 12
"""Values of a result up to which it takes as few NumPy calls as possible, because each costs some microseconds."""
_FEW_CHANNELS = 8
"""Least output channels of a group computed at once, if there are as many and planes can be cut."""
_FEW_CELLS = 1 << 14
"""Least values of a part for each tap, because each tap costs a NumPy call."""
_NARROW = 16
"""Cells below which a product lasts as long as for as many: it waits for the weight."""


@quiet
def run(
    xp: ModuleType, plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None, out: Array | None
) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    groups = plan.groups
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
    added = None if bias is None else xp.reshape(arrays.astype(xp, bias, accumulator), (groups, each))
    small = x.shape[2:]
    if not arrays.can_assign(xp, x, weight, bias):
        whole = _spread(xp, plan, cells, xp.permute_dims(taps, (0, 2, 3, 1)), added, small)
        return deliver(xp.reshape(arrays.astype(xp, whole, x.dtype), shape), out)
    target = Target(xp, (batch, groups, each, *plan.large_shape), x, out)
    images, some, outputs, planes = _block(plan, batch, channels, each)
    if images >= batch and some >= groups and len(planes) == 1 and math.prod(shape) > WORTH_SHARING:
        outputs = min(outputs, -(-each // 2))  # a part for a second thread
    parts = list(itertools.product(_cuts(batch, images), _cuts(groups, some), _cuts(each, outputs), planes))
    cells = xp.reshape(cells, (*cells.shape[:3], *small))

    def make(number: int) -> None:
        n, g, m, plane = parts[number]
        part = xp.permute_dims(taps[g, :, m, :], (0, 2, 3, 1))  # [groups, each, kernel, channels]
        met = cells[(n, g, slice(None), *plane.cells)]
        shares = _Shares(xp, xp.reshape(met, (*met.shape[:3], -1)), part, met.shape[3:])
        large = target.array[(n, g, m, *plane.positions)]
        _fill(xp, replace(plan, axes=plane.axes), shares, None if added is None else added[g, m], large)

    each_tile(xp, make, len(parts))
    return target.finished(shape)


def _tiles(axis: WindowAxis) -> bool:
    """Whether adjacent windows fill the axis without overlap, so that no two shares are added."""
    bare = axis.padding == 0 and axis.dilation == 1
    return bare and axis.stride == axis.kernel and axis.large == axis.small * axis.stride


def _tiled(
    xp: ModuleType, groups: int, x: Any, weight: Any, bias: Any, shape: tuple[int, ...], accumulator: Any
) -> Any:
    """Return the product alone, its taps moved between the cells: the fewest calls, if not the fastest copy."""
    small, kernel = x.shape[2:], weight.shape[2:]
    cells = xp.reshape(arrays.astype(xp, x, accumulator), (shape[0], groups, weight.shape[0] // groups, -1))
    taps = xp.reshape(arrays.astype(xp, weight, accumulator), (groups, weight.shape[0] // groups, -1))
    shares = xp.reshape(matmul(xp, xp.permute_dims(taps, (0, 2, 1)), cells), (*shape[:2], *kernel, *small))
    axes = len(small)
    woven = [place for axis in range(axes) for place in (2 + axes + axis, 2 + axis)]
    result = xp.reshape(xp.permute_dims(shares, (0, 1, *woven)), shape)
    return result if bias is None else result + xp.reshape(arrays.astype(xp, bias, accumulator), (-1,) + (1,) * axes)


def _block(plan: ConvTransposePlan, batch: int, channels: int, each: int) -> tuple[int, int, int, list[Part]]:
    """How many images, groups and output channels are made at once, and of which parts of a plane.

    Shares stay few, products large.
    """
    groups, kernel, cells = plan.groups, math.prod(plan.kernel_shape), math.prod(plan.small_shape)
    product = _MULTIPLICATIONS // max(1, channels * kernel)
    at_once = max(1, min(_SHARES_BYTES // (4 * kernel * cells), product // max(cells, _NARROW)))
    outputs = min(each, max(at_once, _FEW_CHANNELS))
    most = min(max(_PART_BYTES // (4 * kernel), _FEW_CELLS), product)  # cells times output channels
    planes = cut_positions(plan.axes, most // outputs)
    largest = max(math.prod(axis.small for axis in plane.axes) for plane in planes)
    outputs = max(1, min(outputs, most // largest))
    some = min(groups, max(1, at_once // outputs))
    return max(1, min(batch, at_once // (outputs * some))) if some == groups else 1, some, outputs, planes


def _cuts(size: int, step: int) -> list[slice]:
    return [slice(begin, min(begin + step, size)) for begin in range(0, size, step)]


def _shares(xp: ModuleType, cells: Any, taps: Any, small: tuple[int, ...]) -> Any:
    """Give ``cells [n, g, c, L]`` times ``taps [g, m, K, c]``: the shares ``[n, g, m, K, *small]``."""
    groups, each, kernel, channels = taps.shape
    rows = xp.reshape(taps, (groups, each * kernel, channels))  # the weight as it lies, transposed
    shares = rows * cells if channels == 1 else matmul(xp, rows, cells)
    return xp.reshape(shares, (cells.shape[0], groups, each, kernel, *small))


class _Shares:
    """The shares of a part: of all taps at once, or of some at a time where they are many."""

    def __init__(self, xp: ModuleType, cells: Any, taps: Any, small: tuple[int, ...]) -> None:
        self._given = xp, cells, taps, small
        each = 4 * cells.shape[0] * math.prod(taps.shape[:2]) * math.prod(small)
        self._most = max(1, _TAPS_BYTES // max(1, each))
        self._all = _shares(xp, cells, taps, small) if taps.shape[2] <= self._most else None

    def of(self, taps: list[int]) -> Iterator[tuple[int, Any]]:
        """Yield each of these taps' number among them, and its shares ``[n, g, m, *small]``."""
        xp, cells, all_taps, small = self._given
        if self._all is not None:
            yield from ((number, self._all[:, :, :, tap, ...]) for number, tap in enumerate(taps))
            return
        for cut in _cuts(len(taps), self._most):
            some = _shares(xp, cells, arrays.take(xp, all_taps, np.asarray(taps[cut]), 2), small)
            yield from ((cut.start + place, some[:, :, :, place, ...]) for place in range(some.shape[3]))

    def of_step(self, kernel: tuple[int, ...], step: Sequence[StepKey]) -> Any:
        """Return the shares of one step of `fill_by_cells`: ``[n, g, m, ...]``, an axis each for taps or cells."""
        xp, cells, taps, small = self._given
        of_taps, of_cells = [key.taps for key in step], [key.cells for key in step]
        if self._all is not None:
            whole = xp.reshape(self._all, (*self._all.shape[:3], *kernel, *small))
            some = whole[(slice(None), slice(None), slice(None), *of_taps, *of_cells)]
        else:
            rows = xp.reshape(taps, (*taps.shape[:2], *kernel, -1))[(slice(None), slice(None), *of_taps, slice(None))]
            met = xp.reshape(cells, (*cells.shape[:3], *small))[(..., *of_cells)]
            shape = (cells.shape[0], *rows.shape[:-1], *met.shape[3:])
            rows = xp.reshape(rows, (*taps.shape[:2], -1, taps.shape[3]))
            some = xp.reshape(_shares(xp, xp.reshape(met, (*met.shape[:3], -1)), rows, (-1,)), shape)
        ranges = [axis for keys in (of_taps, of_cells) for axis, key in enumerate(keys) if isinstance(key, slice)]
        return xp.permute_dims(some, (0, 1, 2, *(3 + ranges.index(axis) for axis in range(len(kernel)))))

    def zeros(self, counts: tuple[int, ...]) -> Any:
        """Make zeros to which shares are added, ``[n, g, m, *counts]``."""
        xp, cells, taps, _ = self._given
        lead = (cells.shape[0], *taps.shape[:2])
        return xp.zeros((*lead, *counts), dtype=cells.dtype, device=arrays.device_of(cells))


def _fill(xp: ModuleType, plan: ConvTransposePlan, shares: _Shares, added: Any, target: Any) -> None:
    """Add the taps of each phase up, where their cells exist, and write the phase into ``target [n, g, m, *large]``.

    A share goes into one phase only, so the other shares of the phase are added to it in place.
    """
    if any(map(goes_by_cells, plan.axes)):
        fill_by_cells(xp, plan, partial(shares.of_step, plan.kernel_shape), added, target)
        return
    for corner in itertools.product(*(phases(axis) for axis in plan.axes)):
        counts = tuple(phase.count for phase in corner)
        taps = []
        for tap, moves in _taps(plan, corner):
            cells, places = zip(*(overlap(*m, a.small) for m, a in zip(moves, plan.axes, strict=True)), strict=True)
            whole = all(cut.stop - cut.start == count for cut, count in zip(cells, counts, strict=True))
            taps.append((not whole, tap, cells, places))
        taps.sort(key=lambda tap: tap[0])  # whole ones first, in order
        total = None if taps and not taps[0][0] else shares.zeros(counts)
        for number, share in shares.of([tap for _, tap, _, _ in taps]):
            _, _, cells, places = taps[number]
            if total is None:
                total = share[(..., *cells)]
            else:
                total[(..., *places)] += share[(..., *cells)]
        if added is not None:
            total += xp.reshape(added, (*added.shape, *(1 for _ in counts)))
        starts = (slice(phase.start, None, axis.stride) for phase, axis in zip(corner, plan.axes, strict=True))
        write(xp, total, target[(..., *starts)])


def _taps(plan: ConvTransposePlan, corner: tuple[Phase, ...]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """The taps of a phase: the number of each in the window, and its first cell and the cells' count on each axis."""
    for chosen in itertools.product(*(range(len(phase.taps)) for phase in corner)):
        tap = 0
        for axis, phase, t in zip(plan.axes, corner, chosen, strict=True):
            tap = tap * axis.kernel + phase.taps[t]
        yield tap, [(phase.cells[t], phase.count) for phase, t in zip(corner, chosen, strict=True)]


def _spread(xp: ModuleType, plan: ConvTransposePlan, cells: Any, taps: Any, added: Any, small: tuple[int, ...]) -> Any:
    """Return the sums of all phases without writing into arrays: ``[n, g, m, *large]``."""
    shares = _shares(xp, cells, taps, small)
    if added is not None:
        added = xp.reshape(added, (*added.shape, *(1 for _ in small)))
    parts = {}
    for corner in itertools.product(*(phases(axis) for axis in plan.axes)):
        parts[tuple(phase.start for phase in corner)] = _phase(xp, plan, corner, shares, added)
    return interleave(xp, parts, plan.axes)


def _phase(xp: ModuleType, plan: ConvTransposePlan, corner: tuple[Phase, ...], shares: Any, added: Any) -> Any:
    """Add the taps of one phase."""
    total = None
    for tap, moves in _taps(plan, corner):
        share = shifted(xp, shares[:, :, :, tap, ...], moves)
        total = share if total is None else total + share
    if total is None:  # the stride is larger than the kernel: nothing lands here
        lead = shares.shape[:3]
        total = xp.broadcast_to(scalar(xp, 0, shares), (*lead, *(phase.count for phase in corner)))
    return total if added is None else total + added
