"""Max-unpooling by compiled loops: each range of a plane is zeroed and written by one thread, in row-major order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cpu import threads
from upsample.engines.cpu.compile import frozen
from upsample.engines.cpu.unpool_kernels import (
    add,
    any_outside,
    any_twice,
    own_targets,
    place,
    place_band,
    window_targets,
)
from upsample.engines.index_checks import check_duplicates, check_range, legal
from upsample.plans.window import UnpoolPlan

__all__ = ["Geometry", "geometry", "run", "targets"]

_A = np.ndarray[Any, Any]

_BLOCK = 1 << 18
"""Positions of the planes that a block makes together, and cells that it looks at together."""
_SPLIT = 1 << 20
"""Positions of a plane that several threads share where there are too few planes."""
_BAND = 1 << 18
"""Positions of a band, about: planes of more are made in bands, as long as indices lie in their windows."""
_RANGE = 1 << 25
"""Positions that one block makes at most: more would take too long to be stopped."""
_WIDE_RANGE = 1 << 21
"""The same where a block sums in memory of its own."""
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.complex128}
"""What values of so many bytes are moved as."""


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Positions `begin` to `end` of a plane, and the slices of cells from `first` to `last` whose windows meet them."""

    begin: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """What depends on the plan alone."""

    grid: _A
    positions: int
    cells: int
    rows: int
    taps: int
    allowed: range
    bands: tuple[_Band, ...]


@lru_cache(maxsize=256)
def geometry(plan: UnpoolPlan) -> Geometry:
    """Lay out the numbers of a plan for the kernels, and keep them."""
    axes = plan.windows  # adaptive ones are not looked at
    grid = [(a.large, a.small, a.kernel, a.stride, a.padding, a.dilation) for a in axes]
    return Geometry(
        frozen(np.asarray(grid, dtype=np.int64).reshape(-1)),
        math.prod(plan.large_shape),
        math.prod(plan.small_shape),
        math.prod(plan.small_shape[:-1]),
        math.prod(a.kernel for a in axes[:-1]),
        range(0) if plan.trusted else legal(plan),
        () if plan.trusted else _bands(plan),
    )


def _bands(plan: UnpoolPlan) -> tuple[_Band, ...]:
    """Cut large planes along the first axis; none where that is the only one, or a window lies in the padding."""
    axis, line = plan.windows[0], math.prod(plan.large_shape[1:])
    starts = axis.positions(0)
    if len(plan.axes) == 1 or axis.large * line <= _BAND or starts[0] + axis.reach <= 0 or starts[-1] >= axis.large:
        return ()
    step = -(-axis.large // -(-axis.large * line // _BAND))
    cuts = [(y, min(y + step, axis.large)) for y in range(0, axis.large, step)]
    return tuple(
        _Band(
            low * line,
            high * line,
            int(np.searchsorted(starts + axis.reach, low, side="right")),
            int(np.searchsorted(starts, high)),
        )
        for low, high in cuts
    )


def run(xp: ModuleType, plan: UnpoolPlan, x: Array, indices: Array, out: Array | None, names: tuple[str, str]) -> Array:
    """Return the unpooled array; raises IndexError for a bad index, ValueError for a duplicate under "error"."""
    source: Any = x
    where: Any = indices
    given: Any = out
    shape = (*source.shape[: source.ndim - len(plan.axes)], *plan.large_shape)
    direct = given is not None and given.flags.c_contiguous and given.dtype.isnative
    result = given if direct else np.empty(shape, source.dtype)
    if not source.size:
        result[...] = 0
    elif result.size:
        _unpool(plan, source, where, result, names, fresh=out is None)
    if given is not None and not direct:
        given[...] = result
    return result if given is None else given


def _unpool(plan: UnpoolPlan, x: _A, where: _A, result: _A, names: tuple[str, str], *, fresh: bool) -> None:
    g = geometry(plan)
    flat = frozen(np.ascontiguousarray(where)).reshape(-1)
    late = fresh and not plan.local_indices and plan.duplicates != "error"  # a new array may be written, then dropped
    if plan.check_indices and not late:
        _check(plan, g, where, flat, names)
    half = plan.duplicates == "sum" and arrays.dtype_name(x) in ("float16", "bfloat16")
    values, made = frozen(np.ascontiguousarray(x)).reshape(-1), result.reshape(-1)
    if plan.duplicates != "sum":
        kind = _UNSIGNED[x.dtype.itemsize]
        values, made = values.view(kind), made.view(kind)
    work = _Work(plan, g, values, flat, made, half)
    if g.bands and plan.check_indices and not plan.local_indices and plan.duplicates != "sum" and work.by_bands():
        return
    bad = _each(work.make, flat.size // g.cells, g.positions, _WIDE_RANGE if half else _RANGE)
    if bad and plan.check_indices and late:
        _raise_range(plan, where, names)


def _each(make: Callable[[int, int, int, int], object], planes: int, positions: int, most: int) -> bool:
    """Call ``make(plane0, plane1, begin, end)`` for all ranges of all planes; say whether any returned true."""
    together = max(1, _BLOCK // positions)
    if planes <= together:
        together = planes
        if positions <= min(_SPLIT, most):
            return bool(make(0, planes, 0, positions))
    together = -(-planes // -(-planes // together))  # blocks of one size
    parts = -(-positions // most)
    if planes == 1 and positions > _SPLIT:
        parts = max(parts, threads.number())
    size = -(-positions // parts)
    found = []

    def block(number: int) -> None:
        plane, begin = number // parts * together, number % parts * size
        if make(plane, min(plane + together, planes), begin, min(begin + size, positions)):
            found.append(number)

    threads.each_block(block, -(-planes // together) * parts)
    return bool(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call: what its blocks share."""

    plan: UnpoolPlan
    g: Geometry
    values: _A
    where: _A
    result: _A
    half: bool

    def make(self, plane0: int, plane1: int, begin: int, end: int) -> bool:
        """Make positions `begin` to `end` of some planes (all positions, of several planes)."""
        g, planes = self.g, plane1 - plane0
        if end <= begin:
            return False
        target = self.result[plane0 * g.positions + begin : (plane1 - 1) * g.positions + end]
        made = np.empty(target.shape, dtype=np.float32) if self.half else target
        write = add if self.plan.duplicates == "sum" else place
        step = g.cells if planes > 1 else _BLOCK
        bad: Any = False
        for cell in range(plane0 * g.cells, plane1 * g.cells, step * planes):
            cut = slice(cell, min(cell + step * planes, plane1 * g.cells))
            where, values = targets(self.plan, self.where, cut), self.values[cut]
            if self.half:
                values = frozen(values.astype(np.float32))
            bad |= write(values, where, planes, begin, g.positions, cell == plane0 * g.cells, made)
        if self.half:
            with np.errstate(over="ignore"):
                target[:] = made
        return bool(bad)

    def by_bands(self) -> bool:
        """Make planes in bands, each from the cells whose windows meet it; say whether no index was elsewhere."""
        g, axis = self.g, self.plan.windows[0]
        cells, line = g.cells // axis.small, g.positions // axis.large
        far = []

        def make(number: int) -> None:
            plane, band = number // len(g.bands), g.bands[number % len(g.bands)]
            cut = slice(plane * g.cells + band.first * cells, plane * g.cells + band.last * cells)
            numbers = (plane * g.positions + band.begin, band.begin, band.end, band.first, band.last - band.first)
            window = (cells, line, axis.large, axis.reach, axis.stride, axis.padding)
            if place_band(self.values[cut], targets(self.plan, self.where, cut), numbers + window, self.result):
                far.append(number)

        threads.each_block(make, self.where.size // g.cells * len(g.bands))
        return not far


def targets(plan: UnpoolPlan, indices: _A, cut: slice) -> _A:
    """Return the positions in planes that the cells of a cut of all `indices`, flat, name; outside where dropped."""
    where = indices[cut]
    if where.dtype != np.int64:
        where = frozen(where.astype(np.int64))
    if (plan.check_indices or plan.trusted) and not plan.local_indices:
        return where
    g = geometry(plan)
    target = np.empty(where.shape, dtype=np.int64)
    make = window_targets if plan.local_indices else own_targets
    make(where, cut.start, g.rows, g.taps, g.grid, target)
    return frozen(target)


def _check(plan: UnpoolPlan, g: Geometry, where: _A, flat: _A, names: tuple[str, str]) -> None:
    """Raise for indices out of range and for the duplicates that the plan forbids."""

    def outside(_plane0: int, _plane1: int, begin: int, end: int) -> bool:
        part = flat[begin:end]
        part = part if part.dtype == np.int64 else frozen(part.astype(np.int64))
        return bool(any_outside(part, g.allowed.start, len(g.allowed)))

    if _each(outside, 1, flat.size, 4 * _BLOCK):
        _raise_range(plan, where, names)

    def twice(plane0: int, plane1: int, begin: int, end: int) -> bool:
        part = flat[plane0 * g.cells : plane1 * g.cells]
        part = part if part.dtype == np.int64 else frozen(part.astype(np.int64))
        return bool(any_twice(part, plane1 - plane0, begin, np.empty(max(end - begin, 0), dtype=np.uint8)))

    if plan.duplicates != "error":
        return
    if plan.local_indices or _each(twice, flat.size // g.cells, g.positions, _RANGE >> 3):
        check_duplicates(np, plan, where.astype(np.int64, copy=False), names)


def _raise_range(plan: UnpoolPlan, where: _A, names: tuple[str, str]) -> None:
    check_range(np, plan, where.astype(np.int64, copy=False), names)
