"""The gradient of max-unpooling on a GPU, a gather: launches of kernels/unpool_backward.cu."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.caches import cached
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import BITS, Kernel, Launch, ceil_div, kernel
from upsample.engines.cuda.runtime.output import Target
from upsample.engines.cuda.runtime.windows import THREADS
from upsample.engines.cuda.unpool.geometry import (
    BLOCKS,
    ELSEWHERE,
    checked_now,
    index_of,
    keys,
    planned,
    windows_overlap,
)
from upsample.engines.index_checks import signed
from upsample.engines.part_indices import localised
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["kernels", "run"]

_MANY = 4
"""Neighboring cells per thread; must equal the constant of the .cu file."""
_NAMES = ("gather", "indices")


def _cells(size: int, index: str) -> Kernel:
    return kernel("unpool_backward", "gather_cells", SCALAR=BITS[size], INDEX=index)


def _winners() -> Kernel:
    """Return gather_winners; it ignores its macros, with which gather_cells is compiled too."""
    return kernel("unpool_backward", "gather_winners", SCALAR=BITS[4], INDEX="int")


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that `run` can launch."""
    yield _winners()
    for index in ("int", "int64"):
        for size in BITS:
            yield _cells(size, index)


def run(xp: ModuleType, plan: UnpoolPlan, y: Array, indices: Array) -> Array:
    """Return the value of ``y [..., *large]`` at the position of each cell of ``indices [..., *small]``.

    If the last of several cells won, and indices may be outside their windows, the check of the indices needs a
    synchronization, and a sort if one is outside.
    """
    indices = signed(xp, plan, indices, None)
    if plan.within is not None:
        plan, indices = localised(xp, replace(plan, check_indices=False), indices, _NAMES)
    shape = tuple(indices.shape)
    with device.of(y) as gpu:
        target = Target(gpu, xp, shape, y, y.dtype, None)
        if 0 not in shape:
            where = arrays.astype(xp, indices, xp.int64)
            planes = math.prod(shape[: len(shape) - len(plan.axes)])
            _gather(xp, plan, gpu, planes, arrays.itemsize(y), (gpu.borrow(y), where, target.memory))
        return target.finished()


def _gather(
    xp: ModuleType, plan: UnpoolPlan, gpu: Device, planes: int, size: int, arguments: tuple[Any, Any, Any]
) -> None:
    values, where, result = arguments
    indices = gpu.borrow(where)
    launch = _launch(plan, planes, size, gpu.index_limit, gpu.processors)
    if not _looks(plan):
        gpu.launch(launch, values, indices, result, None)
        return
    found = checked_now(gpu, launch, values, indices, result, xp=xp, plan=plan, where=where, names=_NAMES)
    if found == ELSEWHERE:
        winners = _winning(xp, plan, gpu, planes, where)
        launch = _launch(replace(plan, duplicates="sum"), planes, size, gpu.index_limit, gpu.processors)
        gpu.launch(launch, values, winners, result, None)


def _looks(plan: UnpoolPlan) -> bool:
    """Return whether a cell outside its window could win over another cell."""
    known = plan.trusted or plan.local_indices or plan.checks_later
    return plan.duplicates == "last" and plan.check_indices and not known


def _winning(xp: ModuleType, plan: UnpoolPlan, gpu: Device, planes: int, where: Any) -> Any:
    """Return the indices, with an invalid one for each cell that is not the last at its position."""
    count = math.prod(where.shape)
    named = keys(xp, plan, where, planes)
    order = xp.argsort(named, stable=True)
    winners = gpu.empty((count,), np.int64)
    grid = (min(ceil_div(count, THREADS), gpu.processors * BLOCKS), 1, 1)
    launch = Launch(_winners(), grid, (THREADS, 1, 1), 0, (np.int64(count),))
    gpu.launch(launch, gpu.borrow(where), gpu.borrow(named), gpu.borrow(order), winners)
    return winners


@cached
def _launch(plan: UnpoolPlan, planes: int, size: int, limit: int, processors: int) -> Launch:
    """Plan the launch; if windows do not matter, a plane is one row, so that only its last piece may be short."""
    last, looks = plan.duplicates == "last" and windows_overlap(plan), _looks(plan)
    known = plan.trusted or plan.check_indices
    anywhere = known and not (last or looks or plan.local_indices)
    if anywhere:
        row = WindowAxis(math.prod(plan.large_shape), math.prod(plan.small_shape), 1, 1, 0, 1)
        seen = replace(plan, axes=(row,))
    else:
        seen = plan
    index = index_of(seen, limit, processors)
    return planned(
        _cells(size, index),
        seen,
        planes,
        index=index,
        columns=ceil_div(seen.small_shape[-1], _MANY),
        blocks=processors * BLOCKS,
        by_position=False,
        anywhere=anywhere,
        last=last,
    )
