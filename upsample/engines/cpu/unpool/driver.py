"""Run max-unpooling: as a gather by positions, or as a scatter by cells.

The gather (`gather_simd`) is for large results and windows of stride 2. In a scatter, one thread zeroes and writes each
range of a plane, in row-major order. Planes are divided into bands of rows, because a band and its cells stay in the
cache. A band is computed from the cells whose windows overlap it. If an index is outside of its window, the scatter
computes whole planes instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.copies import contiguous, copy
from upsample.engines import result_pool, threads
from upsample.engines.cpu.runtime import nontemporal
from upsample.engines.cpu.runtime.blocks import Place, plane_blocks
from upsample.engines.cpu.runtime.compile import bound, frozen
from upsample.engines.cpu.runtime.window_grid import grid_of
from upsample.engines.cpu.unpool.gather_simd import GatherTable, gather_kernel, gather_table
from upsample.engines.cpu.unpool.parts import localised
from upsample.engines.cpu.unpool.scatter import (
    any_outside,
    first_twice,
    make_bands,
    make_planes,
    own_targets,
    window_targets,
)
from upsample.engines.index_checks import check_duplicates, check_range, legal, named_twice, signed
from upsample.engines.thread_count import get_num_threads
from upsample.float_errors import quiet
from upsample.plans.window import SpanAxis, UnpoolPlan, WindowAxis

__all__ = ["Geometry", "bind", "geometry", "run", "targets"]


_BLOCK = 1 << 19
"""Output positions per block, and cells that a block reads together."""
_SPLIT = 1 << 20
"""Output positions from which several threads share a plane; also positions of a block of rows."""
_BAND = 1 << 14
"""Output positions per band, which stay in the L2 cache; larger planes are divided into bands."""
_SLICES = 1 << 18
"""Most cells on the first axis for bands: the table of bands has a row for each."""
_RANGE = 1 << 25
"""Most output positions per block, so that Ctrl-C is handled in time."""
_WIDE_RANGE = 1 << 21
"""Most output positions per block that sums into a float32 copy."""
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64, 16: np.complex128}
"""Unsigned dtype by item size: values are moved, not computed with."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The numbers that depend on the plan alone; `bands` and `spans` are arguments of `make_bands`."""

    grid: NDArray
    positions: int
    cells: int
    rows: int
    taps: int
    allowed: range
    bands: NDArray
    spans: NDArray
    gather_table: GatherTable | None


@cached
def geometry(plan: UnpoolPlan) -> Geometry:
    """Return the cached numbers of a plan, as the kernels read them."""
    axes = plan.windows  # without adaptive axes
    spans = _spans(plan.axes[0])
    return Geometry(
        grid_of(axes),
        math.prod(plan.large_shape),
        math.prod(plan.small_shape),
        math.prod(plan.small_shape[:-1]),
        math.prod(a.kernel for a in axes[:-1]),
        range(0) if plan.trusted else legal(plan),
        frozen(_bands(plan, spans)),
        frozen(spans * math.prod(plan.large_shape[1:])),
        gather_table(plan),
    )


def _spans(axis: WindowAxis | SpanAxis) -> NDArray:
    """Return where on an axis the window of each cell begins and ends; nothing if there are too many cells."""
    if axis.small > _SLICES:
        return np.empty((0, 2), dtype=np.int64)
    if isinstance(axis, SpanAxis):
        starts, count = axis.spans(0, axis.small)
        return np.stack([starts, starts + count], axis=1)
    starts = axis.positions(0)
    return np.stack([starts, starts + axis.reach], axis=1).clip(0, axis.large)


def _bands(plan: UnpoolPlan, spans: NDArray) -> NDArray:
    """Divide large planes along the first axis, unless a window is in the padding, or rows or windows are long."""
    axis, line = plan.axes[0], math.prod(plan.large_shape[1:])
    reach = int((spans[:, 1] - spans[:, 0]).max(initial=0))
    step = max(_BAND // line, 4 * reach)  # a band contains most positions that its cells can reach
    positions = math.prod(plan.large_shape)
    if positions <= _BAND or step * line > _RANGE or not len(spans) or (spans[:, 0] >= spans[:, 1]).any():
        return np.empty((0, 6), dtype=np.int64)
    align = min(axis.stride, step) if isinstance(axis, WindowAxis) else 1
    shift = -axis.padding % align if isinstance(axis, WindowAxis) else 0
    cuts = np.unique([0, *range(step // align * align + shift, axis.large, step // align * align), axis.large])
    begin, end = cuts[:-1], cuts[1:]
    first, last = np.searchsorted(spans[:, 1], begin, side="right"), np.searchsorted(spans[:, 0], end)
    whole = np.searchsorted(spans[:, 0], begin), np.searchsorted(spans[:, 1], end, side="right")
    return np.stack([begin * line, end * line, first, last, *whole], axis=1)


@quiet
def run(xp: ModuleType, plan: UnpoolPlan, x: Array, indices: Array, out: Array | None, names: tuple[str, str]) -> Array:
    """Return the unpooled array; raises IndexError for a bad index, ValueError for a duplicate under "error"."""
    source: Any = x
    where: Any = indices
    given: Any = out
    places = plane_blocks(source.ndim - len(plan.axes), source, where)
    if len(places) > 1 and (plan.within is None or not plan.check_indices):
        return _run_blocks(plan, source, where, out, names, places)
    where = signed(xp, plan, indices, names)
    if plan.within is not None:
        plan, where = localised(plan, where, names)
    shape = (*source.shape[: source.ndim - len(plan.axes)], *plan.large_shape)
    direct = given is not None and given.flags.c_contiguous and given.dtype.isnative
    result = given if direct else result_pool.empty(shape, source.dtype)
    if not source.size:
        result[...] = 0
    elif result.size:
        _unpool(plan, source, where, result, names, fresh=not (direct or result_pool.is_recycled(result)))
    if given is not None and not direct:
        copy(result, given)
    return result if given is None else given


def _run_blocks(
    plan: UnpoolPlan, x: NDArray, where: NDArray, out: Any, names: tuple[str, str], places: list[Place]
) -> Array:
    """Do as `run`, some planes at a time; errors name the place in the whole array."""
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.large_shape)
    result: Array = result_pool.empty(shape, x.dtype) if out is None else out
    target: Any = result
    try:
        for place in places:
            run(np, plan, x[place], where[place], target[place], names)
    except (IndexError, ValueError):
        whole = signed(np, plan, where, names)
        if plan.check_indices:
            check_range(np, plan, whole, names)
        if plan.duplicates == "error":
            check_duplicates(np, plan, whole, names)
        raise
    return result


def bind(plan: UnpoolPlan, x: Array, indices: Array) -> Callable[..., Array]:
    """Return `run` for arrays like these; if the work is one block, a call is little more than the kernel's."""
    source: Any = x
    where: Any = indices
    g = geometry(plan)
    lead, itemsize = source.shape[: source.ndim - len(plan.axes)], source.dtype.itemsize
    shape, planes = (*lead, *plan.large_shape), math.prod(lead)
    as_they_are = (
        where.dtype == np.int64
        and not plan.local_indices
        and plan.within is None
        and (plan.check_indices or plan.trusted)
    )
    plain = as_they_are and plan.duplicates not in ("sum", "error")
    small = 0 < planes * g.positions <= _BLOCK and 0 < source.size <= _BLOCK and not len(g.bands)
    if not (plain and small) or nontemporal.pays(planes * g.positions * itemsize, fresh=False):
        return partial(run, np, plan)
    kind, part = np.dtype(_UNSIGNED[itemsize]), (0, g.positions, True, False)
    scratch, dtype, checked = np.empty(0, kind), source.dtype, plan.check_indices
    kernel = bound(make_planes, frozen(scratch), frozen(np.empty(0, np.int64)), planes, part, scratch, scratch)

    def unpool(x: NDArray, indices: NDArray, out: NDArray | None, names: tuple[str, str]) -> NDArray:
        result = np.empty(shape, dtype) if out is None else out
        bad = kernel(x.ravel(), indices.ravel(), planes, part, scratch, result.ravel())
        if bad and checked:
            _raise_range(plan, indices, names)
        return result

    return unpool


def _unpool(
    plan: UnpoolPlan, x: NDArray, where: NDArray, result: NDArray, names: tuple[str, str], *, fresh: bool
) -> None:
    g = geometry(plan)
    flat = frozen(contiguous(where)).reshape(-1)
    if plan.check_indices and (plan.local_indices or plan.duplicates == "error"):
        _check(plan, g, where, flat, names)  # the kernels check other plans while they compute
    half = plan.duplicates == "sum" and arrays.dtype_name(x) in ("float16", "bfloat16")
    values, made = frozen(contiguous(x)).reshape(-1), result.reshape(-1)
    if plan.duplicates != "sum":
        kind = _UNSIGNED[x.dtype.itemsize]
        values, made = values.view(kind), made.view(kind)
    work = _Work(plan, g, values, flat, made, half, not half and nontemporal.pays(made.nbytes, fresh=fresh))
    large = made.size > _BLOCK  # if a result fits the caches, a scatter is as fast
    if (
        large
        and g.gather_table is not None
        and _can_gather(x.dtype, where.dtype, plan.duplicates)
        and work.by_gathering(g.gather_table)
    ):
        return
    if len(g.bands) and work.by_bands():
        return
    bad = _each(work.make, flat.size // g.cells, g.positions, _WIDE_RANGE if half else _RANGE)
    if bad and plan.check_indices:
        _raise_range(plan, where, names)


def _can_gather(dtype: np.dtype[Any], index: np.dtype[Any], duplicates: str) -> bool:
    """Whether the kernel has vectors that select, or add, values of these dtypes."""
    return index == np.int64 and dtype.itemsize in (4, 8) and (dtype.kind == "f" or duplicates != "sum")


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
        parts = max(parts, get_num_threads())
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
    """The arrays and settings of one call, which all blocks read."""

    plan: UnpoolPlan
    g: Geometry
    values: NDArray
    where: NDArray
    result: NDArray
    half: bool
    streamed: bool

    def make(self, plane0: int, plane1: int, begin: int, end: int) -> bool:
        """Make positions `begin` to `end` of some planes (all positions, of several planes)."""
        g, planes = self.g, plane1 - plane0
        if end <= begin:
            return False
        target = self.result[plane0 * g.positions + begin : (plane1 - 1) * g.positions + end]
        made = self._wide(target)
        step = g.cells if planes > 1 else _BLOCK
        whole = step >= g.cells and end - begin == g.positions
        scratch = self._scratch(max(g.positions, _BAND) if whole else 2 * _BAND + 1, made)
        bad: Any = False
        for cell in range(plane0 * g.cells, plane1 * g.cells, step * planes):
            threads.check_cancelled()
            cut = slice(cell, min(cell + step * planes, plane1 * g.cells))
            part = (begin, g.positions, cell == plane0 * g.cells, self.plan.duplicates == "sum")
            bad |= make_planes(self._wide_values(cut), targets(self.plan, self.where, cut), planes, part, scratch, made)
        if self.half:
            self._narrow(made, target)
        return bool(bad)

    def by_gathering(self, gather_table: GatherTable) -> bool:
        """Gather blocks of rows; return whether every index was in its window."""
        plan, length, kind = self.plan, self.plan.large_shape[-1], _UNSIGNED[self.values.dtype.itemsize]
        values: NDArray = self.values.view(kind)
        made: NDArray = self.result.view(kind)
        rows = made.size // length
        blocks = min(max(-(-made.size // _SPLIT), 2), rows)
        step = -(-rows // blocks)
        kernel = gather_kernel(gather_table.code)
        named: list[int] = []

        def make(number: int) -> None:
            piece = number * step, min((number + 1) * step, rows)
            target = made[piece[0] * length : piece[1] * length]
            named.append(kernel(values, self.where, gather_table.table, piece, gather_table.sizes, target))

        threads.each_block(make, blocks)
        return plan.trusted or not plan.check_indices or sum(named) == self.where.size

    def by_bands(self) -> bool:
        """Compute each band from the cells whose windows overlap it; return whether no index was elsewhere."""
        g = self.g
        cells = g.cells // len(g.spans)
        together = max(1, _BLOCK // int(g.bands[0, 1]))
        groups = -(-len(g.bands) // together)
        adding, sure = self.plan.duplicates == "sum", self.plan.local_indices or not self.plan.check_indices
        far = []

        def make(number: int) -> None:
            plane, bands = number // groups, g.bands[number % groups * together : (number % groups + 1) * together]
            begin, slice0, end, slice1 = int(bands[0, 0]), int(bands[0, 2]), int(bands[-1, 1]), int(bands[-1, 3])
            cut = slice(plane * g.cells + slice0 * cells, plane * g.cells + slice1 * cells)
            target = self.result[plane * g.positions + begin : plane * g.positions + end]
            made = self._wide(target)
            scratch = self._scratch(int((bands[:, 1] - bands[:, 0]).max()), made)
            where, start = targets(self.plan, self.where, cut), (begin, slice0, cells)
            if make_bands(self._wide_values(cut), where, bands, g.spans, start, adding, scratch, made):
                far.append(number)
            if self.half:
                self._narrow(made, target)

        threads.each_block(make, self.where.size // g.cells * groups)
        return sure or not far

    def _scratch(self, size: int, made: NDArray) -> NDArray:
        """Return a buffer for results that are streamed to `made`; an empty one if the call does not stream."""
        return np.empty(size if self.streamed and size <= 2 * _BAND else 0, dtype=made.dtype)

    def _wide(self, target: NDArray) -> NDArray:
        """Return the array in which `target` is computed: half precisions are summed in float32."""
        return np.empty(target.shape, dtype=np.float32) if self.half else target

    def _wide_values(self, cut: slice) -> NDArray:
        return frozen(self.values[cut].astype(np.float32)) if self.half else self.values[cut]

    def _narrow(self, made: NDArray, target: NDArray) -> None:
        target[:] = made


def targets(plan: UnpoolPlan, indices: NDArray, cut: slice) -> NDArray:
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


def _check(plan: UnpoolPlan, g: Geometry, where: NDArray, flat: NDArray, names: tuple[str, str]) -> None:
    """Raise for indices out of range and for the duplicates that the plan forbids."""

    def outside(_plane0: int, _plane1: int, begin: int, end: int) -> bool:
        part = flat[begin:end]
        part = part if part.dtype == np.int64 else frozen(part.astype(np.int64))
        return bool(any_outside(part, g.allowed.start, len(g.allowed)))

    if _each(outside, 1, flat.size, 4 * _BLOCK):
        _raise_range(plan, where, names)

    found: list[int] = []

    def twice(plane0: int, plane1: int, begin: int, end: int) -> bool:
        planes, seen = plane1 - plane0, np.zeros(max(end - begin, 0) * (plane1 - plane0), dtype=np.uint8)
        step = g.cells if planes > 1 else _BLOCK
        for cell in range(plane0 * g.cells, plane1 * g.cells, step * planes):
            threads.check_cancelled()
            part = flat[cell : min(cell + step * planes, plane1 * g.cells)]
            part = part if part.dtype == np.int64 else frozen(part.astype(np.int64))
            at = first_twice(part, planes, begin, seen)
            if at >= 0:
                found.append(cell + at)
                break
        return False

    if plan.duplicates == "error":
        _each(twice, flat.size // g.cells, g.positions, _RANGE >> 3)
    if found:
        place = np.unravel_index(min(found), where.shape)
        raise named_twice(tuple(map(int, place)), int(flat[min(found)]), names)


def _raise_range(plan: UnpoolPlan, where: NDArray, names: tuple[str, str]) -> None:
    check_range(np, plan, where, names)
