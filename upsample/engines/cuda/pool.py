"""Max-pooling on a GPU: launches of kernels/pool.cu."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, index_type, kernel, struct
from upsample.engines.cuda.runtime.output import Target
from upsample.engines.cuda.runtime.windows import AXES, THREADS, cover, three
from upsample.plans.window import PoolPlan, SpanAxis, WindowAxis
from upsample.tensors import layout_of

__all__ = ["ChannelsLast", "kernels", "moved", "run"]


_BLOCKS = 64
"""Most blocks per multiprocessor; with more cells, each thread pools cells of several planes."""
_REACH = 4
"""Most rows and columns by which offsets exceed a window's end, because a thread reads several taps at once."""
_FLOATS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "float16": ("short", 0x7C00),
        "bfloat16": ("short", 0x7F80),
        "float32": ("int", 0x7F80_0000),
        "float64": ("int64", 0x7FF0_0000_0000_0000),
    }
)
"""The C type of integers with a float's bits, and the bits of infinity."""
_CELLS: Mapping[str, int] = MappingProxyType({"uint8": 4, "short": 4, "int": 2, "int64": 1})
"""Cells that a thread of pool_pairs computes, so that it loads 16 bytes (uint8: 8) at once."""


def _scalar(name: str) -> tuple[str, int, int, int]:
    """Return a dtype's C type of integers, whether it is a float, and the bits of infinity and of padding."""
    if name in _FLOATS:
        c_type, infinity = _FLOATS[name]
        return c_type, 1, infinity, infinity - 2 ** (8 * {"short": 2, "int": 4, "int64": 8}[c_type] - 1)
    return C_TYPES[name], 0, 0, 0 if name == "bool" else int(np.iinfo(name).min)


def _kernel(c_type: str, floating: int, index: str, window: int) -> Kernel:
    """Return pool_pairs for a `window` of two or three taps along a row, or pool_cells for a `window` of 0."""
    if window:
        return kernel(
            "pool",
            "pool_pairs",
            SCALAR=c_type,
            FLOATING=floating,
            INDEX=index,
            WINDOW=window,
            CELLS=_CELLS[c_type],
        )
    return kernel("pool", "pool_cells", SCALAR=c_type, FLOATING=floating, INDEX=index)


def _has_pairs(c_type: str, floating: int) -> bool:
    return c_type == "uint8" or bool(floating)


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that `run` can launch."""
    types = sorted({_scalar(name)[:2] for name in (*C_TYPES,)})
    for c_type, floating in types:
        for index in ("int", "int64"):
            yield _kernel(c_type, floating, index, 0)
        for window in (2, 3) if _has_pairs(c_type, floating) else ():
            yield _kernel(c_type, floating, "int", window)


@dataclass(frozen=True, slots=True)
class ChannelsLast:
    """A plan for an array whose axis 1 was moved to the end; for the kernel it is an axis with windows of one tap."""

    plan: PoolPlan


def moved(plan: PoolPlan, x: Array) -> ChannelsLast | None:
    """Return the plan for `x` with axis 1 as the last axis, if this is its layout in memory; otherwise None."""
    fits = len(plan.axes) < AXES and len(plan.axes) == x.ndim - 2 and plan.within is None
    return ChannelsLast(plan) if fits and layout_of(x) is not None else None


def run(
    xp: ModuleType, plan: PoolPlan | ChannelsLast, x: Array, out: tuple[Array | None, Array | None], with_indices: bool
) -> tuple[Array, Array | None]:
    """Return the maximum of each window, and its index if `with_indices`.

    If a torch tensor's channels are last in memory, kernels read it in place and write a result of this layout.
    """
    if isinstance(plan, ChannelsLast):
        return _run(xp, plan.plan, x, out, with_indices, x.shape[-1])
    behind = moved(plan, x)
    if behind is None:
        return _run(xp, plan, x, out, with_indices, 0)
    last, back = (0, *range(2, x.ndim), 1), (0, x.ndim - 1, *range(1, x.ndim - 1))
    targets = tuple(None if given is None else cast(Any, given).permute(last) for given in out)
    made = _run(xp, plan, cast(Any, x).permute(last), cast(Any, targets), with_indices, x.shape[1])
    several = (None if one is None else cast(Any, one).permute(back) for one in made)
    values, indices = (given if given is not None else one for given, one in zip(out, several, strict=True))
    return cast(Array, values), indices


def _run(
    xp: ModuleType,
    plan: PoolPlan,
    x: Array,
    out: tuple[Array | None, Array | None],
    with_indices: bool,
    channels: int,
) -> tuple[Array, Array | None]:
    """Pool an array whose last axis is its `channels` channels; it has no such axis if `channels` is 0."""
    behind = (channels,) if channels else ()
    lead = x.shape[: x.ndim - len(plan.axes) - len(behind)]
    shape = (*lead, *plan.small_shape, *behind)
    with device.of(x) as gpu:
        values = Target(gpu, xp, shape, x, x.dtype, out[0])
        indices = Target(gpu, xp, shape, x, arrays.index_dtype(xp), out[1]) if with_indices else None
        name = arrays.dtype_name(x)
        launch, index = _launch(plan, math.prod(lead), channels, name, gpu.index_limit, gpu.processors)
        (tables,) = gpu.tables(_tables, plan, channels, index)
        gpu.launch(launch, gpu.borrow(x), tables, values.memory, None if indices is None else indices.memory)
        return values.finished(), None if indices is None else indices.finished()


@cached
def _tables(plan: PoolPlan, channels: int, index: str) -> tuple[NDArray]:
    """Return three entries for each axis and cell: first position inside, taps inside, the first tap's coordinate.

    The coordinate counts taps of the window or positions of the plane, as indices do. Channels as last axis have one
    tap, and indices do not count them.
    """
    tables = []
    origin = (0,) * len(plan.axes) if plan.within is None else plan.within.origin
    more = 1 if channels else 0
    for axis, begin in zip(three(plan.axes)[more:], (0,) * (AXES - more - len(origin)) + origin, strict=True):
        if isinstance(axis, SpanAxis):
            first, count, before = axis.first(), axis.count(), np.zeros(axis.small, dtype=np.int64)
        else:
            before = axis.first_inside()
            first = axis.positions(0) + before * axis.dilation
            count = np.maximum(np.minimum(axis.kernel - before, -(-(axis.large - first) // axis.dilation)), 0)
            first, before = np.where(count > 0, first, 0), np.where(count > 0, before, 0)
        number = first if begin == 0 else np.where(count > 0, first + begin, 0)
        tables += [first, count, before if plan.local_indices else number]
    if channels:
        tables += [np.arange(channels), np.ones(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64)]
    return (np.concatenate(tables).astype(np.int32 if index == "int" else np.int64),)


def _pair_window(axis: WindowAxis | SpanAxis) -> int:
    """Return the taps along a row if pool_pairs supports the windows, otherwise 0."""
    if isinstance(axis, WindowAxis) and (axis.stride, axis.dilation) == (2, 1):
        return {(2, 0): 2, (3, 1): 3}.get((axis.kernel, axis.padding), 0)
    return 0


@cached
def _launch(plan: PoolPlan, planes: int, channels: int, name: str, limit: int, processors: int) -> tuple[Launch, str]:
    """Return the launch, and the C type of indices within a plane."""
    behind = (WindowAxis(channels, channels, 1, 1, 0, 1),) if channels else ()
    axes = three((*plan.axes, *behind))
    large, small = [axis.large for axis in axes], [axis.small for axis in axes]
    taps = [axis.kernel if isinstance(axis, WindowAxis) else axis.large for axis in axes]
    steps = [min(axis.dilation, axis.large) if isinstance(axis, WindowAxis) else 1 for axis in axes]
    weights = (0,) * (AXES - len(plan.axes) - len(behind)) + plan.weights + (0,) * len(behind)
    cells = math.prod(small)
    reach = math.prod(large) + _REACH * (steps[1] * large[2] + steps[2])
    longest = max(
        reach, plan.index_bound, math.prod(taps), cells + (processors * _BLOCKS + 1) * THREADS, 3 * sum(small)
    )
    index = index_type(longest, limit)
    c_type, floating, infinity, lowest = _scalar(name)
    window = _pair_window(axes[2]) if plan.within is None and index == "int" and _has_pairs(c_type, floating) else 0
    columns = ceil_div(small[2], _CELLS[c_type]) if window else small[2]
    items = small[0] * small[1] * columns
    integer = np.int32 if index == "int" else np.int64
    geometry = struct(
        {
            "planes": np.int64(planes),
            "positions": np.int64(math.prod(large)),
            "cells": np.int64(cells),
            "infinity": np.int64(infinity),
            "lowest": np.int64(lowest),
            "items": integer(items),
            "columns": integer(columns),
            "large": np.asarray(large, dtype=integer),
            "small": np.asarray(small, dtype=integer),
            "step": np.asarray(steps, dtype=integer),
            "weight": np.asarray(weights, dtype=integer),
            "count_step": np.asarray([1, 1, 1] if plan.local_indices else steps, dtype=integer),
            "table": 3 * np.asarray([0, small[0], small[0] + small[1]], dtype=integer),
            "one_slice": np.int32(small[0] == 1),
            "local": np.int32(plan.local_indices),
            "last_nan": np.int32(not plan.first_nan),
        }
    )
    grid, block = cover(items, planes, processors * _BLOCKS)
    return Launch(_kernel(c_type, floating, index, window), grid, block, 0, (geometry,)), index
