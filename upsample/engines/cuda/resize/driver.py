"""Resize on a GPU: choose the kernels of a plan.

Copies of values take one pass. One fused pass filters two neighboring axes of few taps, or three axes of two taps each.
Bytes whose layout suits it have a fused pass of their own (`packed_bytes`). Otherwise each axis has a pass. In either
case kernels filter the axes in the order that the plan defines
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
    """Resample `x` by the plan into `out`, or into a new array if `out` is None, and return the result.

    If a torch tensor's channels are last in memory, kernels read it in place and write a result of this layout.
    """
    channels_last = moved(plan, x)
    if channels_last is not None:
        tensor: Any = x
        last = (0, *range(2, x.ndim), 1)
        result: Any = out
        target: Any = None if result is None else result.permute(last)
        filled: Any = _run(xp, channels_last, tensor.permute(last), target)
        return out if out is not None else cast(Array, filled.permute(0, x.ndim - 1, *range(1, x.ndim - 1)))
    return _run(xp, plan, x, out)


def moved(plan: ResizePlan, x: Array) -> ResizePlan | None:
    """Return the plan for `x` with axis 1 as the last axis, if this is its layout in memory; otherwise None."""
    return _channels_last(plan) if layout_of(x) is not None and 1 not in plan.axes else None


@cached
def _channels_last(plan: ResizePlan) -> ResizePlan:
    """Return the plan for an array whose axis 1 is moved to the end; the order of sums does not change."""
    axes = tuple(max(axis - 1, 0) for axis in plan.axes)
    return replace(plan, axes=axes, order=tuple(max(axis - 1, 0) for axis in plan.order))


def _run(xp: ModuleType, plan: ResizePlan, x: Array, out: Array | None) -> Array:
    shape = plan.out_shape(x.shape)
    with device.of(x) as gpu:
        target = Target(gpu, xp, shape, x, x.dtype, out)
        if 0 in shape:
            return target.finished()
        source, result, name = gpu.borrow(x), target.memory, arrays.dtype_name(x)
        rounds = name in arrays.INTEGER and not plan.only_moves and plan.arithmetic.sums != "fixed"
        if rounds:  # such integers are filtered as floating-point numbers
            source = source.astype(plan.arithmetic.sums)
            result = gpu.empty(shape, source.dtype)
        aligned = (device.address(source) | device.address(result)) % 16 == 0
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
            result[...] = source
        _launch(gpu, passes, source, result, between)
        if rounds:
            target.memory[...] = plan.arithmetic.rounded(gpu.xp, result, name)
        return target.finished()


def _launch(
    gpu: Device, passes: tuple[Pass, ...], source: Any, result: Any, between: Callable[[Any], Any] | None
) -> None:
    """Run the passes in order, from `source` to `result`; `between` is applied to the array between two passes."""
    for step in passes:
        target = result if step is passes[-1] else gpu.empty((step.size,), step.dtype)
        tables: list[Any] = []
        for make, key, numbers in step.tables:
            uploaded = gpu.tables(make, *key) if make is not None else (None,)
            tables += [uploaded[i] for i in numbers]
        gpu.launch(step.launch, source, target, *tables)
        source = target if between is None or target is result else between(target)


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
    """Plan the passes over an array of values of `item` bytes; none if the plan changes no axis.

    `aligned` says whether input and result begin at multiples of 16 bytes, `one_by_one` whether each axis needs a pass.
    """
    changed = dict(plan.active_rules())
    ordered = tuple((axis, changed[axis]) for axis in plan.filter_order(dtype == "uint8" or one_by_one))
    active = sorted(ordered, key=lambda entry: entry[0])
    if not active:
        return ()
    if plan.only_moves:
        return plan_moves(active, shape, dtype, item, aligned, limit, processors)
    if dtype in arrays.COMPLEX:  # two numbers side by side
        shape, dtype = (*shape, 2), "float32" if dtype == "complex64" else "float64"
    first, last = active[0][0], active[-1][0]
    if last - first + 1 == len(active) and list(ordered) in (active, active[::-1]) and not one_by_one:
        rules, down_first = tuple(rule for _, rule in active), list(ordered) == active
        box = Box(math.prod(shape[:first]), rules, math.prod(shape[last + 1 :]), down_first)
        packed = plan_bytes(box, aligned, limit, processors) if dtype == "uint8" else None
        if packed is not None:
            return (packed,)
        if fuses(box, dtype, limit):
            return (plan_fused(box, dtype, aligned, processors),)
    return _one_by_one(ordered, shape, dtype)


def _one_by_one(ordered: tuple[tuple[int, AxisRule], ...], shape: tuple[int, ...], dtype: str) -> tuple[Pass, ...]:
    """Plan a pass for each axis; between passes, halves are float32, and bytes may be 16-bit numbers."""
    between = "float32" if dtype in ("float16", "bfloat16") else dtype
    if dtype == "uint8" and ordered[0][1].places is not None:
        between = "int16"
    passes: list[Pass] = []
    sizes = list(shape)
    for place, (axis, rule) in enumerate(ordered, 1):
        source, target = (between if passes else dtype), (between if place < len(ordered) else dtype)
        passes.append(plan_axis(axis_of(tuple(sizes), axis, rule), source, target))
        sizes[axis] = rule.out_size
    return tuple(passes)
