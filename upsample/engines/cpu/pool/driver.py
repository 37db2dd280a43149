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
from upsample.engines.cpu.pool.tables import Cells, Rows, direct_tables
from upsample.engines.cpu.runtime.blocks import Place, is_large, plane_blocks
from upsample.engines.cpu.runtime.compile import bound, frozen
from upsample.engines.cpu.runtime.window_grid import is_single
from upsample.float_errors import quiet
from upsample.plans.long_tables import PIECE
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis

__all__ = ["bind", "run"]


_BLOCK = 1 << 19
"""Input positions per block: about 0.2 ms of work."""
_ALONE = 2
"""Most blocks of small windows that the calling thread runs alone: waking a second one takes a quarter of a block."""
_LONGEST = 1 << 26
"""Most comparisons of a block of large windows: about 20 ms, so that Ctrl-C is handled in time."""
_SHORTEST = 1 << 8
"""Least cells of a row that a comparison counts as: finding the row of one tap takes as long."""
_TILE = 1 << 12
"""Cells of the last axis per tile; rows of a tile stay in the L1 cache."""
_ROWS_TOGETHER = 1 << 11
"""Cells for which `direct.pool_rows` keeps the places of maxima at once; they stay in the L1 cache."""
_NO_INDICES = np.empty(0, dtype=np.int64)
_CACHED = 1 << 15
"""Reduced cells that `separable` caches for windows that share them."""
_SHARED = 1 << 18
"""Reduced cells that `separable` caches if windows of neighboring rows of cells overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """The tables of the kernels and the division into blocks, which depend only on the plan.

    Attributes
    ----------
    grid : array
        The windows as numbers, see `separable`; empty for the direct kernels.
    axes : int
        Number of leading axes.
    large, small : tuple of int
        Spatial shapes of input and result; at least two axes.
    rows : int
        Rows of cells in a plane.
    step : int
        Rows of cells in a block.
    alone : int
        Most rows of cells that the calling thread pools alone.
    tiles : tuple of (int, int)
        Begin and end of each tile of the last axis, in cells.
    cached : int
        Reduced rows that `separable` caches.
    rest : int
        Rows of cells in a slice of the first axis.
    windows : tuple of WindowAxis or SpanAxis
        The axes of the plan; at least two.
    direct : Cells, Rows or None
        The tables of the direct kernels; None for the separable ones.
    """

    grid: NDArray
    axes: int
    large: tuple[int, ...]
    small: tuple[int, ...]
    rows: int
    step: int
    alone: int
    tiles: tuple[tuple[int, int], ...]
    cached: int
    rest: int
    windows: tuple[WindowAxis | SpanAxis, ...]
    direct: Cells | Rows | None


def _geometry_of(plan: PoolPlan) -> _Geometry:
    """Return the geometry of a plan; parts of a plane that differ only in their origin share it."""
    if plan.within is None:
        return _geometry(plan)
    return _geometry(replace(plan, within=replace(plan.within, origin=(0,) * len(plan.axes), first=())))


@cached
def _geometry(plan: PoolPlan) -> _Geometry:
    axes, weights = plan.axes, plan.weights
    while len(axes) > 1 and is_single(axes[-1]) and weights[-2] == 1:  # a column of single positions is a row
        axes, weights = axes[:-1], weights[:-1]
    if len(axes) == 1:
        axes, weights = (WindowAxis(1, 1, 1, 1, 0, 1), *axes), (axes[0].large * weights[0], *weights)
    last, leading = axes[-1], axes[:-1]
    direct = None if plan.local_indices else direct_tables(axes, weights)
    leads, across = math.prod(map(_taps, leading)), _taps(last)
    tile = last.small if isinstance(direct, Cells) else min(last.small, _TILE)
    reach = _reach(leading[-1]) if len(leading) == 1 else math.prod(axis.large for axis in leading)
    shared = direct is None and len(leading) == 1 and isinstance(leading[0], WindowAxis) and leads > leading[0].stride
    if direct is None:
        tile = min(tile, max(16, min(_LONGEST // (leads * across), _SHARED // reach if shared else tile)))
    positions = math.prod(axis.large for axis in axes)
    rows = math.prod(axis.small for axis in leading)
    tiles = [(b, min(b + tile, last.small)) for b in range(0, last.small, tile)]
    reads = max(positions, rows * last.small * (1 if direct is None else direct.count))
    per_row = max(1, reads // (rows * len(tiles)))
    of_plane = rows if isinstance(direct, Cells) else 1  # a table of cells covers full planes
    cached_rows = max(1, min(reach, (_SHARED if shared else _CACHED) // tile))
    step = _BLOCK // per_row
    if direct is None:
        outer = leading[0]
        reduced = min(leads, outer.stride) if isinstance(outer, WindowAxis) and cached_rows == reach else leads
        step = min(step, _LONGEST // (max(tile, _SHORTEST) * leads + tile * across * reduced))
    step = max(1, step // of_plane) * of_plane
    return _Geometry(
        frozen(np.empty(0, dtype=np.int64) if direct is not None else _grid(axes, weights, plan.local_indices)),
        len(leading),
        tuple(axis.large for axis in axes),
        tuple(axis.small for axis in axes),
        rows,
        step,
        step if direct is None else _ALONE * step,
        tuple(tiles),
        cached_rows,
        rows // leading[0].small,
        axes,
        direct,
    )


def _taps(axis: WindowAxis | SpanAxis) -> int:
    return min(axis.kernel, axis.large) if isinstance(axis, WindowAxis) else axis.longest


def _reach(axis: WindowAxis | SpanAxis) -> int:
    return min(axis.reach, axis.large) if isinstance(axis, WindowAxis) else axis.longest


def _grid(axes: tuple[WindowAxis | SpanAxis, ...], weights: tuple[int, ...], local: bool) -> NDArray:
    """Return the windows as numbers, see `separable`; tables are filled in pieces, so that Ctrl-C ends it."""
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
            for table, entries in zip(tables, _tables(axis, begin, end), strict=True):
                table[begin:end] = entries
        place += 3 * axis.small
    return grid


def _tables(axis: WindowAxis | SpanAxis, begin: int, end: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return three entries for each cell: first position inside, number of taps inside, number of taps before."""
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
    """Return the maximum of each window, and its index if `with_indices`."""
    source: Any = x
    lead = source.shape[: source.ndim - len(plan.axes)]
    shape, places = (*lead, *plan.small_shape), plane_blocks(len(lead), source)
    outputs: Any = out
    if len(places) > 1:
        return _run_blocks(plan, source, out, with_indices, places)
    values = outputs[0] if _fits(outputs[0]) else result_pool.empty(shape, source.dtype)
    indices: Any = None
    if with_indices:
        indices = outputs[1] if _fits(outputs[1]) else result_pool.empty(shape, np.int64)
    if values.size:
        _pool(plan, source, values, indices)
    for output, result in zip(outputs, (values, indices), strict=True):
        if output is not None and output is not result:
            copy(result, output)
    return (values if outputs[0] is None else outputs[0]), (indices if outputs[1] is None else outputs[1])


def _run_blocks(
    plan: PoolPlan, x: NDArray, out: tuple[Any, Any], with_indices: bool, places: list[Place]
) -> tuple[Array, Array | None]:
    """Run the blocks of planes at `places` one after another."""
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.small_shape)
    values = result_pool.empty(shape, x.dtype) if out[0] is None else out[0]
    indices = result_pool.empty(shape, np.int64) if with_indices and out[1] is None else out[1]
    for place in places:
        run(np, plan, x[place], (values[place], indices[place] if with_indices else None), with_indices)
    return values, indices


def _fits(out: Any) -> bool:
    """Tell whether the kernels can write directly to `out`."""
    return out is not None and out.flags.c_contiguous and out.dtype.isnative


@lru_cache(maxsize=32)
def _lowest(dtype: np.dtype[Any]) -> NDArray:
    """Return the value of padding: lower than, or equal to, every value of the dtype."""
    if dtype.kind == "f":
        return frozen(np.asarray([-np.inf], dtype=dtype))
    return frozen(np.asarray([np.iinfo(dtype).min], dtype=dtype))


def bind(plan: PoolPlan, x: Array) -> Callable[..., tuple[Array, Array | None]]:
    """Return `run` for arrays like `x`. If the work is one block, a call does little more than call the kernel."""
    source: Any = x
    g, dtype = _geometry_of(plan), source.dtype
    shape = (*source.shape[: source.ndim - len(plan.axes)], *plan.small_shape)
    rows = math.prod(shape[:-1])
    # large arrays always take `run`, because the next one may not be contiguous
    has_blocks = not 0 < rows <= g.alone or len(g.tiles) > 1 or is_large(source)
    if has_blocks or arrays.dtype_name(x) in ("float16", "bfloat16", "bool"):
        return partial(run, np, plan)
    piece, empty = Piece(0, rows, 0, g.small[-1], 0, 0, g.large[-1]), np.empty(0, dtype)

    @lru_cache(maxsize=2)
    def bound_kernel(indexed: bool) -> tuple[Callable[..., None], tuple[Any, ...]]:
        kernel, parameters = _kernel(plan, g, _lowest(dtype), piece, g.small[-1], indexed)
        return bound(kernel, frozen(empty), _scratch(g), empty, _NO_INDICES, *parameters), parameters

    spare: list[NDArray] = []  # `pop` never returns one array to two threads

    def pool(
        x: NDArray, out: tuple[NDArray | None, NDArray | None], with_indices: bool
    ) -> tuple[NDArray, NDArray | None]:
        values, indices = out
        values = np.empty(shape, dtype) if values is None else values
        try:
            scratch = spare.pop()
        except IndexError:  # a check before `pop` would not do: another thread may take the last
            scratch = _scratch(g)
        kernel, parameters = bound_kernel(with_indices)
        if with_indices:
            indices = np.empty(shape, np.int64) if indices is None else indices
            kernel(x.ravel(), scratch, values.ravel(), indices.ravel(), *parameters)
        else:
            kernel(x.ravel(), scratch, values.ravel(), _NO_INDICES, *parameters)
        spare.append(scratch)
        return values, indices

    return pool


def _kernel(
    plan: PoolPlan, g: _Geometry, lowest: NDArray, piece: Piece, step: int, indexed: bool
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the kernel of a piece, and its parameters after the arrays."""
    direct, last_nan = g.direct, not plan.first_nan
    if isinstance(direct, Rows):
        tables = (direct.lead, direct.weights, direct.across, direct.columns)
        return pool_rows, (piece, plan.start, direct.sizes, *tables, last_nan, step)
    if isinstance(direct, Cells):
        plane0, planes = piece.row_begin // g.rows, (piece.row_end - piece.row_begin) // g.rows
        first = plane0 * direct.sizes[0] - piece.first_row * g.large[-1]
        if direct.lanes is not None and plan.within is None and lowest.dtype == np.float32:
            return pool_lanes, ((first, plane0, planes), *direct.lanes.arguments, last_nan)
        block = (first, plane0, planes, plan.start)
        return pool_cells, (block, direct.sizes, direct.taps, direct.home, direct.weights, last_nan)
    kernel = pool_indices if indexed else pool_values
    return kernel, (g.grid, g.axes, piece, g.cached, plan.local_indices, plan.start, lowest, last_nan, step)


def _scratch(g: _Geometry) -> NDArray:
    """Return memory in which a direct kernel stores the places of maxima; empty for the separable kernels."""
    if isinstance(g.direct, Cells):
        return np.empty(g.direct.home.size, dtype=np.uint32)
    size = max(g.tiles[0][1] - g.tiles[0][0], _ROWS_TOGETHER) if isinstance(g.direct, Rows) else 0
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
    step = g.step if not half else -(-g.step // g.rest) * g.rest  # a block of halves converts full slices
    if rows <= g.alone and len(g.tiles) == 1 and not half:
        work.pool(0, rows, (0, g.small[-1]))
        return
    steps = -(-rows // step)

    def block(number: int) -> None:
        row0 = number % steps * step
        pool = work.pool_as_float32 if half else work.pool
        pool(row0, min(row0 + step, rows), g.tiles[number // steps])

    threads.each_block(block, steps * len(g.tiles))


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """The arrays and the geometry that all blocks of a call share."""

    plan: PoolPlan
    g: _Geometry
    x: NDArray
    values: NDArray
    indices: NDArray | None
    lowest: NDArray

    def pool(self, row0: int, row1: int, tile: tuple[int, int]) -> None:
        """Pool a block from the input itself, directly into the result."""
        row_cells = self.g.small[-1]
        piece = Piece(row0, row1, *tile, 0, 0, self.g.large[-1])
        self._call(self.x, piece, self.values[row0 * row_cells + tile[0] :], row_cells)

    def pool_as_float32(self, row0: int, row1: int, tile: tuple[int, int]) -> None:
        """Convert a block to float32, which represents every half exactly, pool it, and convert back."""
        g = self.g
        size, rest = g.large[0], math.prod(g.large[1:-1])
        low, high = self._needed(0, row0 // g.rest % g.small[0], (row1 - 1) // g.rest % g.small[0] + 1)
        plane0, plane1 = row0 // g.rows, (row1 - 1) // g.rows
        begin, end = self._needed(len(g.large) - 1, *tile)
        slices = self.x.reshape(-1, rest, g.large[-1])[plane0 * size + low : plane1 * size + high, :, begin:end]
        wide = frozen(slices.astype(np.float32)).reshape(-1)
        maxima = np.empty((row1 - row0, tile[1] - tile[0]), dtype=np.float32)
        piece = Piece(row0, row1, *tile, (plane0 * size + low) * rest, begin, end - begin)
        self._call(wide, piece, maxima.reshape(-1), maxima.shape[1])
        self.values[row0:row1, tile[0] : tile[1]] = maxima

    def _needed(self, axis: int, begin: int, end: int) -> tuple[int, int]:
        """Return the bounds of the positions along an axis that the cells from `begin` to `end` read."""
        size = self.g.large[axis]
        if isinstance(self.g.direct, Cells):  # its table covers full planes
            return 0, size
        low, high = self.g.windows[axis].reads(begin, end)
        return min(max(low, 0), size), min(max(high, 0), size)

    def _call(self, x: NDArray, piece: Piece, target: NDArray, step: int) -> None:
        indexed = self.indices is not None
        kernel, parameters = _kernel(self.plan, self.g, self.lowest, piece, step, indexed)
        kernel(x, _scratch(self.g), target, self.indices if indexed else _NO_INDICES, *parameters)
