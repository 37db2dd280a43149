"""Transposed convolution and convolution of few channels on a GPU: launches of kernels/conv_transpose_direct.cu."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines.cuda.conv_transpose.axes import Axis, axes_of
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, index_type, kernel, struct
from upsample.engines.cuda.runtime.windows import THREADS, cover, three
from upsample.plans.window import ConvTransposePlan

__all__ = ["fits", "kernels", "run"]

_RUN = 4
"""Positions of a thread."""
_TAPS = 128
"""Entries of the kernel's table for the last axis."""
_SIDES = ("source", "result", "step", "jump")
_BLOCKS = 64
"""Blocks a multiprocessor, at most: a thread makes the same piece of several planes where there are more."""
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_MOST_NEAR = 2
"""From a position's first cell to the next one's, where the kernel has the window along the last axis in one piece."""


def _kernel(name: str, index: str, together: int, near: int, jump: int, many: bool) -> Kernel:
    scalar = "uint64" if name == "int64" else C_TYPES[name]  # whose sums may wrap around
    file, entry = "conv_transpose_direct", "spread"
    return kernel(file, entry, SCALAR=scalar, INDEX=index, PHASES=together, NEAR=near, JUMP=jump, MANY=int(many))


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for name, many in itertools.product(_FLOATS, (False, True)):
        for near, jump in ((1, 1), (0, 1)):
            yield _kernel(name, "int", 2, near, jump, many)
        yield _kernel(name, "int", 1, 1, _MOST_NEAR, many)
        yield _kernel(name, "int", 1, 0, 1, many)
    for name in (*_FLOATS, "int64"):
        yield _kernel(name, "int64", 1, 0, 1, True)
    yield _kernel("int64", "int", 1, 0, 1, True)


def fits(plan: ConvTransposePlan, task: str) -> bool:
    """Whether the kernel has room for the taps of the last axis, in the whole of a result and in each part of it."""
    last = three(plan.axes)[2]
    steps, jump = (last.stride, 1) if task == "conv_transpose" else (1, last.stride)
    window = (last.reach - 1) // steps + 3
    return steps * max(window, _near(jump)[1]) <= _TAPS


def run(
    gpu: Device,
    task: str,
    plan: ConvTransposePlan,
    x: Any,
    weight: Any,
    bias: Any,
    y: Any,
    *,
    name: str,
    sizes: tuple[int, int, int],
) -> None:
    """Write the result for contiguous arrays into `y`; the sizes are images, and a group's channels and outputs."""
    launch = _launch(plan, task, name, sizes, gpu.index_limit, gpu.processors)
    rows, starts = gpu.tables(_tables, plan, task, dict(launch.kernel.macros)["INDEX"])
    gpu.launch(launch, x, weight, bias, rows, starts, y)


def _near(jump: int) -> tuple[int, int]:
    """The window along the last axis, first cell and count, that the kernel has in one piece."""
    return -1, jump + 2


def _window(axis: Axis) -> tuple[int, int]:
    """The first cell that a tap reaches, counted from a position's first one, and how many from there on."""
    cells = [cell for phase in axis.phases for cell in phase.cells] or [0]
    first, count = _near(axis.jump)
    if axis.jump <= _MOST_NEAR and first <= min(cells) and max(cells) < first + count:
        return first, count
    return min(cells), max(cells) - min(cells) + 1


def _last_taps(axis: Axis) -> NDArray:
    """The tap of each phase for each place of the window; -1 is none."""
    first, count = _window(axis)
    table = np.full((len(axis.phases), count), -1, dtype=np.int32)
    for row, phase in zip(table, axis.phases, strict=True):
        row[[cell - first for cell in phase.cells]] = phase.taps
    return np.resize(np.append(table, np.full(_TAPS, -1, dtype=np.int32)), _TAPS)


@cached
def _tables(plan: ConvTransposePlan, task: str, index: str) -> tuple[NDArray, NDArray]:
    """For each phase of the other axes, its rows of taps: the first tap, and the cells on these axes."""
    deep, high, wide = axes_of(plan, task)
    rows, starts = [], [0]
    for a in deep.phases:
        for b in high.phases:
            rows += [
                ((k * high.kernel + m) * wide.kernel, i, j, 0)
                for k, i in zip(a.taps, a.cells, strict=True)
                for m, j in zip(b.taps, b.cells, strict=True)
            ]
            starts.append(len(rows))
    table = np.asarray(rows or [(0, 0, 0, 0)], dtype=np.int32 if index == "int" else np.int64)
    return table, np.asarray(starts, dtype=np.int32)


def _variant(last: Axis, name: str, index: str, channels: int) -> Kernel:
    together = 2 if index == "int" and last.step == 2 and last.result > 1 and name != "int64" else 1
    one_piece = index == "int" and name != "int64" and _window(last) == _near(last.jump)
    near = one_piece and (together, last.jump) in ((2, 1), (1, _MOST_NEAR))
    many = channels > 1 or index == "int64" or name == "int64"
    return _kernel(name, index, together, int(near), last.jump if near else 1, many)


@cached
def _launch(
    plan: ConvTransposePlan, task: str, name: str, sizes: tuple[int, int, int], limit: int, processors: int
) -> Launch:
    axes = axes_of(plan, task)
    last, (batch, channels, outputs) = axes[2], sizes
    planes = batch * plan.groups * outputs
    reach = math.prod(2 * max(a.result * a.jump, a.source, a.step) + a.reach + _RUN * (a.step + a.jump) for a in axes)
    index = index_type(max(reach, planes) + processors * _BLOCKS * THREADS, limit)
    variant = _variant(last, name, index, channels)
    together = int(dict(variant.macros)["PHASES"])
    first, window = _window(last)
    taps = math.prod(axis.kernel for axis in axes)
    apart = len(last.phases) // together
    runs = ceil_div(ceil_div(last.result, last.step), _RUN)
    items = axes[0].result * axes[1].result * runs * apart
    pack = 16 // (2 if name.endswith("16") else int(name[-2:]) // 8)
    span = _RUN * int(dict(variant.macros)["JUMP"])
    integer = np.int32 if index == "int" else np.int64
    numbers = {"planes": integer(planes), "items": integer(items), "runs": integer(runs)}
    sides = {key: np.asarray([getattr(a, key) for a in axes], dtype=integer) for key in _SIDES}
    steps = (outputs * taps, taps) if task == "conv_transpose" else (taps, channels * taps)
    counts = {
        "groups": plan.groups,
        "channels": channels,
        "outputs": outputs,
        "channel_step": steps[0],
        "output_step": steps[1],
        "taps": taps,
        "window": window,
        "first": first,
        "loads_wide": last.source % min(pack, span) == 0,
        "stores_wide": last.step == together and last.result % min(pack, _RUN * together) == 0,
    }
    phases = np.asarray([len(axes[0].phases), len(axes[1].phases), apart], dtype=np.int32)
    geometry = numbers | sides | {"phases": phases} | {key: np.int32(n) for key, n in counts.items()}
    grid, block = cover(items, planes, processors * _BLOCKS)
    return Launch(variant, grid, block, 0, (struct(geometry | {"tap": _last_taps(last)}),))
