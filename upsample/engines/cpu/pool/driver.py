"""Run max-pooling: choose a kernel and divide rows of cells into blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.copies import contiguous, copy
from upsample.engines import result_pool, threads
from upsample.engines.cpu.pool.direct import pool_cells, pool_rows
from upsample.engines.cpu.pool.direct_simd import pool_lanes
from upsample.engines.cpu.pool.piece import Piece
from upsample.engines.cpu.pool.separable import AXIS, pool_indices, pool_values
from upsample.engines.cpu.pool.tables import Cells, Rows, few_taps
from upsample.engines.cpu.runtime.blocks import Place, is_large, plane_blocks
from upsample.engines.cpu.runtime.compile import bound, frozen
from upsample.float_errors import quiet
from upsample.plans.pieces import PIECE
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis

__all__ = ["bind", "run"]


_BLOCK = 1 << 19
"""Input positions per block: about 0.2 ms of work."""
_ALONE = 2
"""Blocks of small windows that one thread runs alone: waking a second one takes a quarter of a block."""
_LONGEST = 1 << 26
"""Most comparisons of a block of large windows: about 20 ms, so that Ctrl-C is handled in time."""
_SHORTEST = 1 << 8
"""Cells of a row whose work exceeds that of finding the row of one tap."""
_TILE = 1 << 12
"""Cells of the last axis per tile; rows of a tile stay in the L1 cache."""
_ROWS_TOGETHER = 1 << 11
"""Cells of small windows that one kernel call makes together."""
_NO_INDICES = np.empty(0, dtype=np.int64)
_KEPT = 1 << 15
"""Reduced cells that are cached for windows that share them."""
_SHARED = 1 << 18
"""Reduced cells that are cached if neighboring rows share all rows except one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """What depends on the plan alone: the kernels' ``grid``, and how the work is cut.

    Attributes
    ----------
    grid : array
        As `separable` says; empty where taps are few.
    axes : int
        Leading axes.
    large, small : tuple of int
        Spatial shapes, of two axes or more.
    rows : int
        Rows of cells in a plane.
    step : int
        Rows of cells that a block makes.
    alone : int
        Rows of cells up to which one thread makes all.
    tiles : tuple of (int, int)
        Cells of the last axis, from and to.
    kept : int
        Reduced rows that are kept.
    rest : int
        Rows of cells in a slice of the first axis.
    windows : tuple of WindowAxis or SpanAxis
        Two or more.
    few : Cells, Rows or None
        The tables of windows of few taps, of which each is compared for itself.
    """

    grid: NDArray
    axes: int
    large: tuple[int, ...]
    small: tuple[int, ...]
    rows: int
    step: int
    alone: int
    tiles: tuple[tuple[int, int], ...]
    kept: int
    rest: int
    windows: tuple[WindowAxis | SpanAxis, ...]
    few: Cells | Rows | None


def _geometry_of(plan: PoolPlan) -> _Geometry:
    """Return the geometry; parts of a plane that differ only in their place share it."""
    if plan.within is None:
        return _geometry(plan)
    return _geometry(replace(plan, within=replace(plan.within, origin=(0,) * len(plan.axes), first=())))


@cached
def _geometry(plan: PoolPlan) -> _Geometry:
    axes, weights = plan.axes, plan.weights
    if len(axes) == 1:
        axes, weights = (WindowAxis(1, 1, 1, 1, 0, 1), *axes), (axes[0].large * weights[0], *weights)
    last, leading = axes[-1], axes[:-1]
    few = None if plan.local_indices else few_taps(axes, weights)
    leads, across = math.prod(map(_taps, leading)), _taps(last)
    tile = last.small if isinstance(few, Cells) else min(last.small, _TILE)
    reach = _reach(leading[-1]) if len(leading) == 1 else math.prod(axis.large for axis in leading)
    shared = few is None and len(leading) == 1 and isinstance(leading[0], WindowAxis) and leads > leading[0].stride
    if few is None:
        tile = min(tile, max(16, min(_LONGEST // (leads * across), _SHARED // reach if shared else tile)))
    positions = math.prod(axis.large for axis in axes)
    rows = math.prod(axis.small for axis in leading)
    tiles = [(b, min(b + tile, last.small)) for b in range(0, last.small, tile)]
    reads = max(positions, rows * last.small * (1 if few is None else few.count))
    per_row = max(1, reads // (rows * len(tiles)))
    of_plane = rows if isinstance(few, Cells) else 1  # whose blocks are whole planes
    kept = max(1, min(reach, (_SHARED if shared else _KEPT) // tile))
    step = _BLOCK // per_row
    if few is None:
        reduced = min(leads, leading[0].stride) if kept == reach and isinstance(leading[0], WindowAxis) else leads
        step = min(step, _LONGEST // (max(tile, _SHORTEST) * leads + tile * across * reduced))
    step = max(1, step // of_plane) * of_plane
    return _Geometry(
        frozen(np.empty(0, dtype=np.int64) if few is not None else _grid(axes, weights, plan.local_indices)),
        len(leading),
        tuple(axis.large for axis in axes),
        tuple(axis.small for axis in axes),
        rows,
        step,
        step if few is None else _ALONE * step,
        tuple(tiles),
        kept,
        rows // leading[0].small,
        axes,
        few,
    )


def _taps(axis: WindowAxis | SpanAxis) -> int:
    return min(axis.kernel, axis.large) if isinstance(axis, WindowAxis) else axis.longest


def _reach(axis: WindowAxis | SpanAxis) -> int:
    return min(axis.reach, axis.large) if isinstance(axis, WindowAxis) else axis.longest


def _grid(axes: tuple[WindowAxis | SpanAxis, ...], weights: tuple[int, ...], local: bool) -> NDArray:
    """Lay out the numbers of all axes, the last one first, and then their tables, a piece at a time."""
    last, place = len(axes) - 1, AXIS * len(axes)
    grid = np.empty(place + 3 * sum(axis.small for axis in axes), dtype=np.int64)
    for number, at in enumerate((last, *range(last))):
        axis, weight = axes[at], weights[at]
        if isinstance(axis, WindowAxis):
            step = axis.dilation if at == last and not local else weight
            numbers = axis.large, axis.small, axis.kernel, axis.stride, axis.padding, axis.dilation, step, place
        else:
            numbers = axis.large, axis.small, 0, 0, 0, 1, weight, place
        grid[AXIS * number : AXIS * (number + 1)] = numbers
        tables = grid[place : place + 3 * axis.small].reshape(3, -1)
        for begin in range(0, axis.small, PIECE):
            end = min(begin + PIECE, axis.small)
            for table, made in zip(tables, _tables(axis, begin, end), strict=True):
                table[begin:end] = made
        place += 3 * axis.small
    return grid


def _tables(axis: WindowAxis | SpanAxis, begin: int, end: int) -> tuple[NDArray, NDArray, NDArray]:
    """For each cell from and to: the first position inside, how many taps lie inside, and how many before them."""
    if isinstance(axis, SpanAxis):
        return *axis.spans(begin, end), np.zeros(end - begin, dtype=np.int64)
    cells = axis.cells(begin, end)
    before = cells.first_inside()
    first = cells.positions(0) + before * axis.dilation
    count = np.minimum(axis.kernel - before, -(-(axis.large - first) // axis.dilation))
    return first, np.maximum(count, 0), before


@quiet
def run(
    xp: ModuleType, plan: PoolPlan, x: Array, out: tuple[Array | None, Array | None], with_indices: bool
) -> tuple[Array, Array | None]:
    """Return the maxima of the windows, and their indices when they are asked for."""
    source: Any = x
    lead = source.shape[: source.ndim - len(plan.axes)]
    shape, places = (*lead, *plan.small_shape), plane_blocks(len(lead), source)
    given: Any = out
    if len(places) > 1:
        return _run_blocks(plan, source, out, with_indices, places)
    values = given[0] if _fits(given[0]) else result_pool.empty(shape, source.dtype)
    indices: Any = None
    if with_indices:
        indices = given[1] if _fits(given[1]) else result_pool.empty(shape, np.int64)
    if values.size:
        _pool(plan, source, values, indices)
    for place, made in enumerate((values, indices)):
        if given[place] is not None and given[place] is not made:
            copy(made, given[place])
    return (values if given[0] is None else given[0]), (indices if given[1] is None else given[1])


def _run_blocks(
    plan: PoolPlan, x: NDArray, out: tuple[Any, Any], with_indices: bool, places: list[Place]
) -> tuple[Array, Array | None]:
    """Do as `run`, some planes at a time."""
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.small_shape)
    values = result_pool.empty(shape, x.dtype) if out[0] is None else out[0]
    indices = result_pool.empty(shape, np.int64) if with_indices and out[1] is None else out[1]
    for place in places:
        run(np, plan, x[place], (values[place], indices[place] if with_indices else None), with_indices)
    return values, indices


def _fits(out: Any) -> bool:
    """Whether the kernels can write straight into `out`."""
    return out is not None and out.flags.c_contiguous and out.dtype.isnative


@lru_cache(maxsize=32)
def _lowest(dtype: np.dtype[Any]) -> NDArray:
    """What padding is: below or equal to every value."""
    if dtype.kind == "f":
        return frozen(np.asarray([-np.inf], dtype=dtype))
    return frozen(np.asarray([np.iinfo(dtype).min], dtype=dtype))


def bind(plan: PoolPlan, x: Array) -> Callable[..., tuple[Array, Array | None]]:
    """Return `run` for arrays like `x`; where the work is one block, little more than the kernel's call is left."""
    source: Any = x
    g, dtype = _geometry_of(plan), source.dtype
    shape = (*source.shape[: source.ndim - len(plan.axes)], *plan.small_shape)
    rows = math.prod(shape[:-1])
    # the next such array may not be contiguous
    is_many = not 0 < rows <= g.alone or len(g.tiles) > 1 or is_large(source)
    if is_many or arrays.dtype_name(x) in ("float16", "bfloat16", "bool"):
        return partial(run, np, plan)
    piece, empty = Piece(0, rows, 0, g.small[-1], 0, 0, g.large[-1]), np.empty(0, dtype)

    @lru_cache(maxsize=2)
    def bound_kernel(indexed: bool) -> tuple[Callable[..., None], tuple[Any, ...]]:
        kernel, behind = _kernel(plan, g, _lowest(dtype), piece, g.small[-1], indexed)
        return bound(kernel, frozen(empty), _place(g), empty, _NO_INDICES, *behind), behind

    spare: list[NDArray] = []  # no two threads get the same out of a list

    def pool(
        x: NDArray, out: tuple[NDArray | None, NDArray | None], with_indices: bool
    ) -> tuple[NDArray, NDArray | None]:
        values, indices = out
        values = np.empty(shape, dtype) if values is None else values
        try:
            place = spare.pop()
        except IndexError:  # asking before would not do: another thread may take the last
            place = _place(g)
        kernel, behind = bound_kernel(with_indices)
        if with_indices:
            indices = np.empty(shape, np.int64) if indices is None else indices
            kernel(x.ravel(), place, values.ravel(), indices.ravel(), *behind)
        else:
            kernel(x.ravel(), place, values.ravel(), _NO_INDICES, *behind)
        spare.append(place)
        return values, indices

    return pool


def _kernel(
    plan: PoolPlan, g: _Geometry, lowest: NDArray, piece: Piece, step: int, indexed: bool
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the kernel of a piece, and its arguments behind the arrays."""
    few, last_nan = g.few, not plan.first_nan
    if isinstance(few, Rows):
        tables = (few.lead, few.places, few.across, few.columns)
        return pool_rows, (piece, plan.start, few.sizes, *tables, last_nan, step)
    if isinstance(few, Cells):
        plane0, planes = piece.row_begin // g.rows, (piece.row_end - piece.row_begin) // g.rows
        first = plane0 * few.sizes[0] - piece.first_row * g.large[-1]
        if few.lanes is not None and plan.within is None and lowest.dtype == np.float32:
            return pool_lanes, ((first, plane0, planes), *few.lanes.arguments, last_nan)
        return pool_cells, ((first, plane0, planes, plan.start), few.sizes, few.taps, few.home, few.places, last_nan)
    kernel = pool_indices if indexed else pool_values
    return kernel, (g.grid, g.axes, piece, g.kept, plan.local_indices, plan.start, lowest, last_nan, step)


def _place(g: _Geometry) -> NDArray:
    """Return memory for the places of the maxima that a kernel makes together."""
    if isinstance(g.few, Cells):
        return np.empty(g.few.home.size, dtype=np.uint32)
    size = max(g.tiles[0][1] - g.tiles[0][0], _ROWS_TOGETHER) if isinstance(g.few, Rows) else 0
    return np.empty(size, dtype=np.int32)


def _pool(plan: PoolPlan, x: NDArray, values: NDArray, indices: NDArray | None) -> None:
    g = _geometry_of(plan)
    name = arrays.dtype_name(x)
    if name == "bool":
        x, values = x.view(np.uint8), values.view(np.uint8)
    half = name in ("float16", "bfloat16")
    source = frozen(contiguous(x))
    work = _Work(
        plan,
        g,
        source.reshape(-1, *g.large) if half else source.reshape(-1),
        values.reshape(-1, g.small[-1]) if half else values.reshape(-1),
        None if indices is None else indices.reshape(-1),
        _lowest(np.dtype(np.float32) if half else source.dtype),
    )
    rows = values.size // g.small[-1]
    step = g.step if not half else -(-g.step // g.rest) * g.rest  # a block of halves converts whole slices
    if rows <= g.alone and len(g.tiles) == 1 and not half:
        work.direct(0, rows, (0, g.small[-1]))
        return
    steps = -(-rows // step)

    def block(number: int) -> None:
        row0 = number % steps * step
        make = work.through_float32 if half else work.direct
        make(row0, min(row0 + step, rows), g.tiles[number // steps])

    threads.each_block(block, steps * len(g.tiles))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One call: what its blocks share."""

    plan: PoolPlan
    g: _Geometry
    x: NDArray
    values: NDArray
    indices: NDArray | None
    lowest: NDArray

    def direct(self, row0: int, row1: int, tile: tuple[int, int]) -> None:
        """Make cells of rows from the input itself, straight into the result."""
        every = self.g.small[-1]
        piece = Piece(row0, row1, *tile, 0, 0, self.g.large[-1])
        self._call(self.x, piece, self.values[row0 * every + tile[0] :], every)

    def through_float32(self, row0: int, row1: int, tile: tuple[int, int]) -> None:
        """Make cells of rows by way of float32, which holds every half exactly."""
        g = self.g
        size, rest = g.large[0], math.prod(g.large[1:-1])
        low, high = self._needed(0, row0 // g.rest % g.small[0], (row1 - 1) // g.rest % g.small[0] + 1)
        plane0, plane1 = row0 // g.rows, (row1 - 1) // g.rows
        begin, end = self._needed(len(g.large) - 1, *tile)
        slices = self.x.reshape(-1, rest, g.large[-1])[plane0 * size + low : plane1 * size + high, :, begin:end]
        wide = frozen(slices.astype(np.float32)).reshape(-1)
        made = np.empty((row1 - row0, tile[1] - tile[0]), dtype=np.float32)
        piece = Piece(row0, row1, *tile, (plane0 * size + low) * rest, begin, end - begin)
        self._call(wide, piece, made.reshape(-1), made.shape[1])
        self.values[row0:row1, tile[0] : tile[1]] = made

    def _needed(self, axis: int, begin: int, end: int) -> tuple[int, int]:
        """Positions of an axis that cells from `begin` read first, and one past those that cells up to `end` do."""
        size = self.g.large[axis]
        if isinstance(self.g.few, Cells):  # its table is of whole planes
            return 0, size
        low, high = self.g.windows[axis].reads(begin, end)
        return min(max(low, 0), size), min(max(high, 0), size)

    def _call(self, x: NDArray, piece: Piece, target: NDArray, step: int) -> None:
        indexed = self.indices is not None
        kernel, behind = _kernel(self.plan, self.g, self.lowest, piece, step, indexed)
        kernel(x, _place(self.g), target, self.indices if indexed else _NO_INDICES, *behind)
