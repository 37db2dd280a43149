"""Transposed convolution of few channels on a GPU: launches of kernels/conv_transpose_direct.cu."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from upsample.engines.cuda.device import Device
from upsample.engines.cuda.launch import C_TYPES, Kernel, Launch, ceil_div, index_type, kernel, struct
from upsample.engines.cuda.windows import THREADS, cover, three
from upsample.plans.window import SpreadPlan, WindowAxis, phases

__all__ = ["fits", "kernels", "run"]

_A = np.ndarray[Any, Any]
_RUN = 4
"""Positions of a thread."""
_TAPS = 64
"""Entries of the kernel's table for the last axis."""
_BLOCKS = 64
"""Blocks a multiprocessor, at most: a thread makes the same piece of several planes where there are more."""
_NEAR = (-1, 3)
"""The window along the last axis, first cell and count, that the kernel has in one piece."""


def _kernel(name: str, index: str, together: int, near: int) -> Kernel:
    scalar = "uint64" if name == "int64" else C_TYPES[name]  # whose sums may wrap around
    return kernel("conv_transpose_direct", "spread", SCALAR=scalar, INDEX=index, PHASES=together, NEAR=near)


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for name in ("float16", "bfloat16", "float32", "float64"):
        for index, together, near in (("int", 2, 1), ("int", 2, 0), ("int", 1, 0), ("int64", 1, 0)):
            yield _kernel(name, index, together, near)
    for index in ("int", "int64"):
        yield _kernel("int64", index, 1, 0)


def fits(plan: SpreadPlan) -> bool:
    """Whether the kernel has room for the taps of the last axis."""
    _, count = _window(plan.axes[-1])
    return len(phases(plan.axes[-1])) * count <= _TAPS


def run(
    gpu: Device, plan: SpreadPlan, x: Any, weight: Any, bias: Any, y: Any, *, name: str, batch: int, channels: int
) -> None:
    """Write the result for contiguous arrays into `y`; `channels` are the outputs of a group."""
    launch = _launch(plan, name, batch, x.shape[1] // plan.groups, channels, gpu.index_limit, gpu.processors)
    rows, starts = gpu.tables(_tables, plan, dict(launch.kernel.macros)["INDEX"])
    gpu.launch(launch, x, weight, bias, rows, starts, y)


def _window(axis: WindowAxis) -> tuple[int, int]:
    """The first cell that a tap reaches, counted from a position's own number, and how many from there on."""
    cells = [cell for phase in phases(axis) for cell in phase.cells] or [0]
    if _NEAR[0] <= min(cells) and max(cells) < sum(_NEAR):
        return _NEAR
    return min(cells), max(cells) - min(cells) + 1


def _last_taps(axis: WindowAxis) -> _A:
    """The tap of each phase for each place of the window; -1 is none."""
    first, count = _window(axis)
    table = np.full((len(phases(axis)), count), -1, dtype=np.int32)
    for row, phase in zip(table, phases(axis), strict=True):
        row[[cell - first for cell in phase.cells]] = phase.taps
    return np.resize(np.append(table, np.full(_TAPS, -1, dtype=np.int32)), _TAPS)


@lru_cache(maxsize=256)
def _tables(plan: SpreadPlan, index: str) -> tuple[_A, _A]:
    """For each phase of the other axes, its rows of taps: the first tap, and the cells on these axes."""
    deep, high, wide = three(plan.axes)
    rows, starts = [], [0]
    for a in phases(deep):
        for b in phases(high):
            rows += [
                ((k * high.kernel + m) * wide.kernel, i, j, 0)
                for k, i in zip(a.taps, a.cells, strict=True)
                for m, j in zip(b.taps, b.cells, strict=True)
            ]
            starts.append(len(rows))
    table = np.asarray(rows or [(0, 0, 0, 0)], dtype=np.int32 if index == "int" else np.int64)
    return table, np.asarray(starts, dtype=np.int32)


@lru_cache(maxsize=1024)
def _launch(
    plan: SpreadPlan, name: str, batch: int, channels: int, outputs: int, limit: int, processors: int
) -> Launch:
    axes = three(plan.axes)
    last = axes[2]
    first, window = _window(last)
    large, small = [axis.large for axis in axes], [axis.small for axis in axes]
    planes = batch * plan.groups * outputs
    reach = math.prod(2 * max(axis.large, axis.small, axis.stride) + axis.reach + _RUN * axis.stride for axis in axes)
    index = index_type(max(reach, planes) + processors * _BLOCKS * THREADS, limit)
    together = 2 if index == "int" and last.stride == 2 and last.large > 1 and name != "int64" else 1
    apart = len(phases(last)) // together
    near = int(together == 2 and (first, window) == _NEAR)
    runs = ceil_div(ceil_div(last.large, last.stride), _RUN)
    items = large[0] * large[1] * runs * apart
    size = 2 if name.endswith("16") else int(name[-2:]) // 8
    integer = np.int32 if index == "int" else np.int64
    geometry = struct(
        {
            "planes": integer(planes),
            "items": integer(items),
            "runs": integer(runs),
            "small": np.asarray(small, dtype=integer),
            "large": np.asarray(large, dtype=integer),
            "stride": np.asarray([axis.stride for axis in axes], dtype=integer),
            "phases": np.asarray([len(phases(axes[0])), len(phases(axes[1])), apart], dtype=np.int32),
            "groups": np.int32(plan.groups),
            "channels": np.int32(channels),
            "outputs": np.int32(outputs),
            "taps": np.int32(math.prod(axis.kernel for axis in axes)),
            "window": np.int32(window),
            "first": np.int32(first),
            "loads_wide": np.int32(last.small % min(16 // size, _RUN) == 0),
            "stores_wide": np.int32(last.stride == together and last.large % min(16 // size, _RUN * together) == 0),
            "tap": _last_taps(last),
        }
    )
    grid, block = cover(items, planes, processors * _BLOCKS)
    return Launch(_kernel(name, index, together, near), grid, block, 0, (geometry,))
