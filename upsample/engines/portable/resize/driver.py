"""Resampling by the Array API alone.

An axis is filtered by matrix products (`banded_matrix`): a whole-array ``take`` a tap is five to ten
times slower. Work goes tile by tile, which bounds the temporaries; the last axis comes first, and the first is written
straight into the result. A matrix product spreads NaN and infinity over its block (0 · NaN is NaN), so a tile whose
result is not finite is done again tap by tap; arrays that cannot be looked at or written into (JAX, Dask, torch's under
autograd) go tap by tap from the start.
"""

from __future__ import annotations

import math
from functools import partial
from types import ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.array_api import clip
from upsample.arrays import Array, NDArray
from upsample.caches import Cache
from upsample.engines.long_axes import LongResize, long_axis
from upsample.engines.portable.output import Target, deliver, each_tile, empty, scalar, tile_bytes, write
from upsample.engines.portable.products import matmul
from upsample.engines.portable.resize.banded_matrix import table_of
from upsample.engines.portable.resize.high_halves import run_high
from upsample.engines.portable.resize.tiles import Layout, Step, Strip
from upsample.float_errors import quiet
from upsample.plans.arithmetic import TORCH_BYTES
from upsample.plans.resize import ResizePlan
from upsample.plans.taps import fixed_point, settling, taps

__all__ = ["run"]

_PIECE = 1 << 12
"""Values whose squares are added at once; OpenBLAS uses one thread for so few."""

_layouts: Cache[Layout] = Cache()


@quiet
def run(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    """Resample `x` as the plan says; fills and returns `out` where it is given."""
    if plan.arithmetic.sums == "high":
        return run_high(xp, plan, x, out)
    axis = long_axis(plan) if xp is np else None
    if axis is not None:
        made = LongResize(plan, axis, cast(Any, partial(run, xp)), _add_long)(cast(NDArray, x), cast(Any, out))
        if made is not None:
            return cast(Array, made)
    shrinks = math.prod(plan.out_shape(x.shape)) < math.prod(x.shape)
    if xp is np and plan.only_moves and shrinks and not arrays.is_contiguous(x):
        return deliver(_picked(plan, x), out)
    layout = _layout(xp, plan, x)
    if layout.index is not None and out is None:
        flat = xp.reshape(x, (layout.shape[0], -1))
        return cast(Array, xp.reshape(arrays.take(xp, flat, layout.index, 1), layout.result))
    if 0 in layout.result:
        return deliver(empty(xp, layout.result, x), out)
    if not layout.active:
        return deliver(arrays.copied(xp, x) if out is None else x, out)
    return _resampled(xp, layout, x, out)


def _add_long(inputs: NDArray, weight: NDArray, sums: NDArray) -> None:
    """Add products of an output with very many taps; each piece is summed pairwise, whatever its planes."""
    planes = np.ascontiguousarray(np.moveaxis(inputs, 2, 1)) * weight
    sums += np.add.reduce(planes, axis=2)


def _picked(plan: ResizePlan, x: Any) -> Array:
    """Return the samples that a plan moves, of a NumPy array that is not contiguous; another shape would copy it."""
    for axis, rule in sorted(plan.active_rules(), key=lambda turn: turn[1].out_size / turn[1].in_size):
        x = x[(*[slice(None)] * axis, taps(rule).first)]
    return cast(Array, x)


def _resampled(xp: ModuleType, layout: Layout, x: Array, out: Array | None) -> Array:
    if layout.matrices and out is None and xp is np:
        small = _by_whole_matrices(layout, x)
        if small is not None:
            return small
    if layout.sums in arrays.COMPLEX:
        real, imag = (run(xp, layout.plan, part, None) for part in arrays.split_complex(xp, x))
        return deliver(arrays.join_complex(xp, real, imag, x.dtype), out)
    source = xp.reshape(x, layout.shape)
    accumulator = x.dtype if layout.moves else _dtype_of_sums(xp, layout)
    if not arrays.can_assign(xp, x):
        whole = _Tile(xp, layout, layout.strip(0, layout.rows), accumulator).tap_by_tap(source)
        return deliver(xp.reshape(arrays.astype(xp, whole, x.dtype), layout.result), out)
    target = Target(xp, layout.target, x, out)
    spare: list[dict[tuple[int, ...], Any]] = []

    def fill(number: int) -> None:
        planes, begin, end = layout.tile(number)
        tile = _Tile(xp, layout, layout.strip(begin, end), accumulator)
        cut = slice(begin * layout.each, end * layout.each)
        try:
            scratch = spare.pop()
        except IndexError:
            scratch = {}
        tile.fill(source[planes, ...], target.array[planes, cut, ...], scratch)
        spare.append(scratch)

    if layout.gathered:
        for number in range(layout.tiles):
            fill(number)
    else:
        each_tile(xp, fill, layout.tiles)
    return target.finished(layout.result)


def _dtype_of_sums(xp: ModuleType, layout: Layout) -> Any:
    """Return the dtype of sums; JAX without float64 adds bytes as integers where float32 is not exact."""
    if layout.sums != "float64":
        return xp.float32
    double = arrays.double(xp)
    whole = layout.fixed and all(fixed_point(rule).sums == "int32" for _, rule in layout.active)
    return xp.int32 if whole and double != xp.float64 else double


def _in_16_bits(xp: ModuleType, tile: Any, one: float) -> Any:
    """Round to multiples of ``1 / one``, ties up, that fit 16 bits; NumPy arrays in place."""
    low, high = -32768.0 / one, 32767.0 / one
    if xp is not np:
        return clip(xp, xp.floor(tile * one + 0.5) * (1.0 / one), low, high)
    tile *= one
    tile += 0.5
    np.floor(tile, out=tile)
    tile *= 1.0 / one
    return np.clip(tile, low, high, out=tile)


def _by_whole_matrices(layout: Layout, x: Any) -> Array | None:
    """Resample a small NumPy array by one product an axis; None where that is not finite."""
    for shape, matrix, from_left in layout.matrices:
        x = x.reshape(shape)
        x = matmul(np, matrix, x) if from_left else matmul(np, x, matrix)
    if not math.isfinite(np.add.reduce(x, axis=None)):
        return None
    return cast(Array, x.reshape(layout.result))


def _layout(xp: ModuleType, plan: ResizePlan, x: Array) -> Layout:
    """Lay the call out, or find how an equal call was laid out before."""
    key = (xp is np, plan, x.shape, x.dtype if xp is np else arrays.dtype_name(x))  # dtypes of two libraries clash
    layout = _layouts.get(key)
    if layout is None:
        layout = Layout(plan, tuple(x.shape), arrays.dtype_name(x), arrays.itemsize(x), tile_bytes(xp))
        _layouts.put(key, layout)
    return layout


class _Tile:
    """Filters some planes to the rows of one strip."""

    def __init__(self, xp: ModuleType, layout: Layout, strip: Strip, accumulator: Any) -> None:
        self.xp, self.layout, self.strip, self.accumulator = xp, layout, strip, accumulator

    def fill(self, part: Any, target: Any, scratch: dict[tuple[int, ...], Any]) -> None:
        """Filter `part`, and write it into `target`; `scratch` has arrays by their shapes, for further tiles too."""
        if self.layout.ordered:
            write(self.xp, self.xp.reshape(self.tap_by_tap(part), target.shape), target)
            return
        part = self._cut(part, self._dtype(self.strip.every[0]))
        planes, tile = part.shape[0], part
        direct = self.layout.direct and tile.dtype == target.dtype
        sure = not self.layout.sums.startswith("float") or self.layout.integers or self._tame(part, target)
        for step in self.strip.steps:
            shape, last = (planes * step.before, *step.out_shape), step is self.strip.steps[-1]
            tile = self._widened(tile, self._dtype(step), scratch)
            into = target if direct and last else self._scratch(shape, tile, scratch)
            self._apply(step, self.xp.reshape(tile, (planes * step.before, *step.in_shape)), into)
            tile = self._rounded(into, step, last)
        if sure or self._finite(tile):
            if tile is not target:
                write(self.xp, self.xp.reshape(tile, target.shape), target)
            return
        write(self.xp, self.xp.reshape(self.tap_by_tap(part), target.shape), target)

    def _tame(self, part: Any, target: Any) -> bool:
        """Whether no input is so large that a sum could overflow; looked at where there are fewer inputs than outputs.

        The sum of squares is finite then, and BLAS makes it, in pieces that it leaves in this thread.
        """
        if self.xp is not np or math.prod(part.shape) > math.prod(target.shape) or not part.flags.c_contiguous:
            return False
        flat = part.reshape(-1)
        whole = flat.size // _PIECE * _PIECE
        pieces = flat[:whole].reshape(-1, _PIECE)
        squares = np.vecdot(pieces, pieces).sum() + np.vecdot(flat[whole:], flat[whole:])
        return math.isfinite(squares)

    def _finite(self, tile: Any) -> bool:
        """Whether all is finite; so it is where the sum is, which takes half as long to find."""
        if arrays.is_abstract(tile):
            return True
        return math.isfinite(float(self.xp.sum(tile))) or arrays.all_true(self.xp.all(self.xp.isfinite(tile)))

    def _scratch(self, shape: tuple[int, ...], like: Any, scratch: dict[tuple[int, ...], Any]) -> Any:
        """Return scratch memory of a shape, in the dtype of `like`."""
        place = (*shape, arrays.itemsize(like))
        if place not in scratch:
            scratch[place] = empty(self.xp, shape, like)
        return scratch[place]

    def _widened(self, tile: Any, dtype: Any, scratch: dict[tuple[int, ...], Any]) -> Any:
        """Return a tile in the dtype of the next sums; NumPy's in scratch memory, because new memory costs more."""
        if self.xp is not np or tile.dtype == dtype:
            return arrays.astype(self.xp, tile, dtype)
        into = self._scratch(tile.shape, np.empty(0, dtype=dtype), scratch)
        np.copyto(into, tile)
        return into

    def _dtype(self, step: Step) -> Any:
        """Return the dtype of an axis' sums: float32 for those of bytes that it holds exactly."""
        return self.xp.float32 if self.layout.fixed and step.sums == "float32" else self.accumulator

    def _cut(self, part: Any, dtype: Any) -> Any:
        """Return the input rows that the strip is made of, in a dtype."""
        low, high = self.strip.source
        if (low, high) != (0, part.shape[1]):
            part = part[:, low:high, ...]
        return arrays.astype(self.xp, part, dtype)

    def _apply(self, step: Step, tile: Any, into: Any) -> None:
        """Take one axis from `tile` to `into`, both as the step has them."""
        if step.copies:
            for j in range(step.copies):
                into[:, j :: step.copies, ...] = tile
        elif step.blocks:
            step.multiply(self.xp, tile, step.blocks, into)
        else:
            tile = self.xp.reshape(tile, (tile.shape[0], -1, step.inner))
            into[...] = self.xp.reshape(self._weigh(tile, 1, step), into.shape)

    def tap_by_tap(self, part: Any) -> Any:
        """Filter without a matrix product: NaN and infinity reach only the outputs that they are a tap of."""
        tile = (
            self._cut(part, self.accumulator) if part.shape[1] != self.strip.source[1] - self.strip.source[0] else part
        )
        tile = arrays.astype(self.xp, tile, self.accumulator)
        for step in self.strip.every:
            tile = self._rounded(self._weigh(tile, step.axis, step), step, step is self.strip.every[-1])
        return tile

    def _weigh(self, tile: Any, axis: int, step: Step) -> Any:
        """Filter one axis by a sum over taps, each a gather."""
        xp, table = self.xp, table_of(step.rule, self.layout.fixed, step.begin, step.end)
        first, count, weight = table.first - step.low, table.count, table.weight
        if self._is_whole:
            weight = weight * 2.0 ** fixed_point(step.rule).shift
        if self.layout.moves:
            return arrays.take(xp, tile, first, axis)
        column = (1,) * axis + (-1,) + (1,) * (tile.ndim - axis - 1)
        total = None
        for tap in range(max(int(count.max()), 1)):
            index = first + np.maximum(np.minimum(tap, count - 1), 0)
            share = arrays.take(xp, tile, index, axis)
            share = share * arrays.from_table(xp, weight[:, tap].reshape(column), tile, self.accumulator)
            if not (tap < count).all():
                inside = arrays.from_table(xp, (tap < count).reshape(column), tile)
                share = xp.where(inside, share, scalar(xp, 0.0, share))
            total = share if total is None else total + share
        for mixed, place in ((table.mixed_first, first), (table.mixed_last, first + count - 1)):
            if mixed.any():  # infinity times zero is NaN; anything finite adds nothing
                again = arrays.take(xp, tile, place, axis) * scalar(xp, 0.0, tile)
                total = total + xp.where(
                    arrays.from_table(xp, mixed.reshape(column), tile), again, scalar(xp, 0.0, tile)
                )
        return total

    @property
    def _is_whole(self) -> bool:
        """Whether sums are integers."""
        return bool(self.accumulator == self.xp.int32) and not self.layout.moves

    def _settled(self, sums: Any, how: int) -> Any:
        """End integer sums as kernels do, see `settling`."""
        shift, kind = how & 255, how >> 8
        half = 1 << shift >> 1
        if kind == 2:
            half = half - 1 + ((sums >> shift) & 1)
        return clip(self.xp, (sums + half) >> shift, *((-32768, 32767) if kind == 1 else (0, 255)))

    def _rounded(self, tile: Any, step: Step, last: bool) -> Any:
        """Round and clamp the sums of integers after an axis, where the plan says so; NumPy arrays in place."""
        layout, places = self.layout, step.rule.places
        arithmetic = layout.plan.arithmetic
        if not (last or places or arithmetic.each_axis) or not (layout.integers or layout.ordered):
            return tile
        if not layout.integers:  # rounded to the array's dtype between two axes
            own = getattr(self.xp, layout.name)
            if last and arithmetic.scale != 1.0:
                return tile * scalar(self.xp, arithmetic.scale, tile)
            return tile if last else arrays.astype(self.xp, arrays.astype(self.xp, tile, own), self.accumulator)
        if self._is_whole:
            return self._settled(tile, settling(step.rule))
        if places and not last:
            return _in_16_bits(self.xp, tile, 2.0 ** places[1])
        if self.xp is not np or arithmetic != TORCH_BYTES:
            return arithmetic.rounded(self.xp, tile, layout.name)
        tile += 0.5  # floor(x + 0.5); after the last axis the cast to bytes drops the fraction
        if not last:
            np.floor(tile, out=tile)
        return np.clip(tile, 0.0, 255.0, out=tile) if step.clamps else tile
