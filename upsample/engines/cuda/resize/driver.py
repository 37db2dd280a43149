"""Resize on the GPU: choose the kernels of a plan by the bytes that they move.

If values only move, one pass copies them. One fused pass filters two neighbouring axes of few taps, or three of two
taps each; bytes whose layout suits it have a fused pass of their own (`packed_bytes`). Others are filtered one after
the other. Either way the axes are filtered in the order that the plan says
(`upsample.plans.resize.ResizePlan.filter_order`), because a sum in another order has other bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array
from upsample.caches import cached
from upsample.engines.cuda.resize.copy import plan_moves
from upsample.engines.cuda.resize.fused import Box, fuses, plan_fused
from upsample.engines.cuda.resize.one_axis import plan_axis
from upsample.engines.cuda.resize.packed_bytes import plan_bytes
from upsample.engines.cuda.resize.passes import Pass, axis_of
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.output import Target
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.tensors import layout_of

__all__ = ["moved", "plan_resize", "run"]


def run(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    """Resample `x` as the plan says; fills and returns `out` where it is given.

    A torch tensor whose channels come last in memory is read in place, and so is the result written.
    """
    behind = moved(plan, x)
    if behind is not None:
        tensor: Any = x
        last = (0, *range(2, x.ndim), 1)
        result: Any = out
        target: Any = None if result is None else result.permute(last)
        made: Any = _run(xp, behind, tensor.permute(last), target)
        return out if out is not None else cast(Array, made.permute(0, x.ndim - 1, *range(1, x.ndim - 1)))
    return _run(xp, plan, x, out)


def moved(plan: ResizePlan, x: Array) -> ResizePlan | None:
    """Return the plan for `x` with axis 1 behind the others, if its values lie in memory like that; otherwise None."""
    return _channels_last(plan) if layout_of(x) is not None and 1 not in plan.axes else None


@cached
def _channels_last(plan: ResizePlan) -> ResizePlan:
    """Return the plan for an array whose axis 1 is moved behind the others; the values' sums stay what they are."""
    axes = tuple(max(axis - 1, 0) for axis in plan.axes)
    return replace(plan, axes=axes, order=tuple(max(axis - 1, 0) for axis in plan.order))


def _run(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    shape = plan.out_shape(x.shape)
    with device.of(x) as gpu:
        target = Target(gpu, xp, shape, x, x.dtype, out)
        if 0 in shape:
            return target.finished()
        source, made, name = gpu.borrow(x), target.memory, arrays.dtype_name(x)
        rounds = name in arrays.INTEGER and not plan.only_moves and plan.arithmetic.sums != "fixed"
        if rounds:  # such integers are filtered as floating-point numbers
            source = source.astype(plan.arithmetic.sums)
            made = gpu.empty(shape, source.dtype)
        aligned = (device.address(source) | device.address(made)) % 16 == 0
        dtype, item = (plan.arithmetic.sums, source.itemsize) if rounds else (name, arrays.itemsize(x))
        between = partial(plan.arithmetic.rounded, gpu.xp, dtype=name) if rounds and plan.arithmetic.each_axis else None
        passes = plan_resize(
            plan,
            tuple(x.shape),
            dtype,
            item,
            aligned=aligned,
            one_by_one=between is not None,
            limit=gpu.index_limit,
            processors=gpu.processors,
        )
        if not passes:
            made[...] = source
        _launch(gpu, passes, source, made, between)
        if rounds:
            target.memory[...] = plan.arithmetic.rounded(gpu.xp, made, name)
        return target.finished()


def _launch(
    gpu: Device, passes: tuple[Pass, ...], source: Any, result: Any, between: Callable[[Any], Any] | None
) -> None:
    """Run the passes one after the other, from `source` to `result`; `between` two passes an array is changed."""
    for step in passes:
        made = result if step is passes[-1] else gpu.empty((step.size,), step.dtype)
        tables: list[Any] = []
        for make, key, kept in step.tables:
            found = gpu.tables(make, *key) if make is not None else (None,)
            tables += [found[i] for i in kept]
        gpu.launch(step.launch, source, made, *tables)
        source = made if between is None or made is result else between(made)


@cached
def plan_resize(
    plan: ResizePlan,
    shape: tuple[int, ...],
    dtype: str,
    item: int,
    *,
    aligned: bool,
    one_by_one: bool,
    limit: int,
    processors: int,
) -> tuple[Pass, ...]:
    """Plan the passes over an array of some shape and dtype, of `item` bytes; none where it is only copied.

    `aligned` where it and the result begin at a multiple of 16 bytes; `one_by_one` where no two axes may be one pass.
    """
    changed = dict(plan.active_rules())
    turns = tuple((axis, changed[axis]) for axis in plan.filter_order(dtype == "uint8" or one_by_one))
    active = sorted(turns, key=lambda turn: turn[0])
    if not active:
        return ()
    if plan.only_moves:
        return plan_moves(active, shape, dtype, item, aligned, limit, processors)
    if dtype in arrays.COMPLEX:  # two numbers side by side
        shape, dtype = (*shape, 2), "float32" if dtype == "complex64" else "float64"
    first, last = active[0][0], active[-1][0]
    if last - first + 1 == len(active) and list(turns) in (active, active[::-1]) and not one_by_one:
        rules, down_first = tuple(rule for _, rule in active), list(turns) == active
        box = Box(math.prod(shape[:first]), rules, math.prod(shape[last + 1 :]), down_first)
        packed = plan_bytes(box, aligned, limit, processors) if dtype == "uint8" else None
        if packed is not None:
            return (packed,)
        if fuses(box, dtype, limit):
            return (plan_fused(box, dtype, aligned, processors),)
    return _filters(turns, shape, dtype)


def _filters(turns: tuple[tuple[int, AxisRule], ...], shape: tuple[int, ...], dtype: str) -> tuple[Pass, ...]:
    """Plan one pass after the other; between them half and bfloat16 are float32, and bytes may be 16-bit numbers."""
    between = "float32" if dtype in ("float16", "bfloat16") else dtype
    if dtype == "uint8" and turns[0][1].places is not None:
        between = "int16"
    passes: list[Pass] = []
    sizes = list(shape)
    for place, (axis, rule) in enumerate(turns, 1):
        source, target = (between if passes else dtype), (between if place < len(turns) else dtype)
        passes.append(plan_axis(axis_of(tuple(sizes), axis, rule), source, target))
        sizes[axis] = rule.out_size
    return tuple(passes)
