"""Shared by the launches of unpooling and its gradient: the kernels' geometry, and the check of indices."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import Kernel, Launch, ceil_div, index_type, struct
from upsample.engines.cuda.runtime.windows import THREADS, cover, three
from upsample.engines.index_checks import check_range
from upsample.errors import Raw, bad_index
from upsample.plans.window import SpanAxis, UnpoolPlan, WindowAxis

__all__ = [
    "BLOCKS",
    "ELSEWHERE",
    "OWN",
    "axes_of",
    "checked_later",
    "checked_now",
    "index_of",
    "keys",
    "planned",
    "reciprocal",
    "windows_overlap",
]

BLOCKS = 64
"""Most blocks per multiprocessor; with more pieces, each thread processes pieces of several planes."""
OWN, ELSEWHERE = range(2)
"""Verdicts of a check: all indices are in their own windows, or at least in the plane."""


def axes_of(plan: UnpoolPlan) -> tuple[WindowAxis, ...]:
    """Return the kernels' three axes, without adaptive windows.

    Adaptive windows of one size become windows of a fixed stride. Those of several sizes become windows that span the
    axis, because their indices are trusted.
    """
    return tuple(_windows(axis) for axis in three(plan.axes))


def _windows(axis: WindowAxis | SpanAxis) -> WindowAxis:
    if isinstance(axis, WindowAxis):
        return axis
    if axis.is_even:
        size = axis.large // axis.small
        return WindowAxis(axis.large, axis.small, size, size, 0, 1)
    return WindowAxis(axis.large, axis.small, kernel=axis.large, stride=0, padding=0, dilation=1)


def windows_overlap(plan: UnpoolPlan) -> bool:
    """Tell whether two windows may have a position in common."""
    return any(axis.reach > axis.stride for axis in axes_of(plan) if axis.small > 1)


def index_of(plan: UnpoolPlan, limit: int, processors: int) -> str:
    """Return the C type of indices within a plane, given the largest number that a kernel computes."""
    axes = axes_of(plan)
    extents = [a.small * a.stride + a.large + a.padding + a.reach for a in axes]
    pieces = max(math.prod(plan.large_shape), math.prod(plan.small_shape)) + (processors * BLOCKS + 1) * THREADS
    tables = 3 * sum(plan.large_shape) + 4
    return index_type(max(pieces + sum(extents), math.prod(a.kernel for a in axes), tables), limit)


def reciprocal(size: int) -> tuple[int, int]:
    """Return a 32-bit multiplier and a shift, by which a kernel divides by `size`.

    ``number // size == ((2 * number * multiplier) >> 32) >> shift`` for all numbers from 0 to 2**31 - 1, because the
    multiplier is ``(2 ** (31 + shift) + rest) / size`` with a rest below `size`, and ``size <= 2 ** shift``.

    Examples
    --------
    >>> multiplier, shift = reciprocal(7)
    >>> ((2 * 20 * multiplier) >> 32) >> shift
    2
    """
    shift = (size - 1).bit_length()
    return ceil_div(2 ** (31 + shift), size), shift


def planned(
    chosen: Kernel,
    plan: UnpoolPlan,
    planes: int,
    *,
    index: str,
    columns: int,
    blocks: int,
    by_position: bool,
    anywhere: bool,
    last: bool,
) -> Launch:
    """Plan a launch over rows of `columns` pieces, which are positions or cells.

    The gradient uses `anywhere`, to skip the check of windows, and `last`, if only the last of several cells with one
    position receives a value.
    """
    axes = axes_of(plan)
    rows = [axis.large if by_position else axis.small for axis in axes]
    items = rows[0] * rows[1] * columns
    counted = [axis.kernel if plan.local_indices else axis.large for axis in axes]
    commons = [math.gcd(axis.dilation, axis.stride) for axis in axes]
    numbers = {
        "items": items,
        "columns": columns,
        "large": [axis.large for axis in axes],
        "small": [axis.small for axis in axes],
        "kernel": [axis.kernel for axis in axes],
        "stride": [axis.stride for axis in axes],
        "padding": [axis.padding for axis in axes],
        "dilation": [axis.dilation for axis in axes],
        "reach": [axis.reach for axis in axes],
        "cell_step": [axis.dilation // common for axis, common in zip(axes, commons, strict=True)],
        "tap_step": [axis.stride // common for axis, common in zip(axes, commons, strict=True)],
        "table": [0, 3 * axes[0].large, 3 * (axes[0].large + axes[1].large)],
        "counted": counted,
        "bound": math.prod(counted),
    }
    multipliers, shifts = zip(*(reciprocal(size) if index == "int" else (0, 0) for size in counted), strict=True)
    integer = np.int32 if index == "int" else np.int64
    flags = {"one_slice": rows[0] == 1, "local": plan.local_indices, "anywhere": anywhere, "last": last}
    geometry = struct(
        {
            "planes": np.int64(planes),
            "positions": np.int64(math.prod(plan.large_shape)),
            "cells": np.int64(math.prod(plan.small_shape)),
            **{name: np.asarray(value, dtype=integer) for name, value in numbers.items()},
            "multiplier": np.asarray(multipliers, dtype=np.uint32),
            "shift": np.asarray(shifts, dtype=np.uint32),
            **{name: np.int32(flag) for name, flag in flags.items()},
        }
    )
    grid, block = cover(items, planes, blocks)
    return Launch(chosen, grid, block, 0, (geometry,))


def checked_now(
    gpu: Device, launch: Launch, *arguments: Any, xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]
) -> int:
    """Run a launch that checks the indices, and wait for its verdict; raise IndexError for an illegal index."""
    with gpu.flags.waiting() as (flags, view):
        gpu.launch(launch, *arguments, flags)
        gpu.wait()
        elsewhere, illegal = view
    gpu.flags.raise_found()
    if illegal:
        check_range(xp, plan, where, names)
        raise AssertionError("the kernel reported an illegal index, but the check on the host found none")
    return ELSEWHERE if elsewhere else OWN


class _Indices(NamedTuple):
    """The description of calls whose indices are checked later (`Finding`)."""

    op: str
    argument: str
    plane: tuple[int, ...]

    def error(self, kind: int) -> IndexError:
        """Return the error for an index outside its window (kind 0) or outside the plane (kind 1)."""
        where = ("its cell's window", f"the output plane {self.plane}")[kind]
        return bad_index(
            self.op,
            self.argument,
            Raw("<of an earlier call>"),
            f"an index lies outside {where}, and check_indices='later'",
            "pass the indices of a pooling with the same windows, or check_indices=True",
        )


def checked_later(gpu: Device, plan: UnpoolPlan, names: tuple[str, str]) -> Any:
    """Return the flags for a launch that checks the indices; raise the error of an earlier call."""
    gpu.flags.raise_found()
    return gpu.flags.later(_Indices(*names, plan.large_shape))


def keys(xp: ModuleType, plan: UnpoolPlan, where: Any, planes: int) -> Any:
    """Return the position of each cell's index, counted through all planes, as a flat array."""
    flat = xp.reshape(where, (planes, -1))
    starts = np.arange(planes, dtype=np.int64)[:, None] * math.prod(plan.large_shape)
    return xp.reshape(flat + arrays.from_table(xp, starts, where), (-1,))
