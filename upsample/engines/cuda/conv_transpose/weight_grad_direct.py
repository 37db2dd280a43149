"""The gradient of transposed convolution by its weight for few channels: launches of kernels/conv_weight_direct.cu."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines.cuda.conv_transpose import weight_grad_reduce as shares
from upsample.engines.cuda.conv_transpose.weight_grad_reduce import Part, reaching
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, kernel, struct
from upsample.engines.cuda.runtime.windows import AXES, THREADS, three
from upsample.plans.window import ConvTransposePlan

__all__ = ["cost", "kernels", "run"]


_TAPS = 16
"""Taps that one launch computes, with a sum for each in registers."""
_BLOCKS = 2048
"""Blocks that fill a large GPU several times."""
_CELLS = 16
"""Least cells of a thread, if there are as many: adding the sums of threads takes as long as some cells."""
_CELL_COST, _TAP_COST = 60, 4
"""Instructions for a cell, and for each of its taps."""


def _kernel(name: str) -> Kernel:
    return kernel("conv_weight_direct", "correlate_cells", SCALAR=C_TYPES[name])


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for name in ("float16", "bfloat16", "float32", "float64"):
        yield _kernel(name)


def cost(plan: ConvTransposePlan, channels: int, outputs: int) -> float:
    """Instructions for a cell of a group; a product of matrices needs little more than one for each product."""
    taps = len(reaching(plan)[0])
    return channels * outputs * (ceil_div(taps, _TAPS) * _CELL_COST + taps * _TAP_COST)


def run(gpu: Device, plan: ConvTransposePlan, x: Any, y: Any, *, name: str, sizes: tuple[int, int, int]) -> Part:
    """Sum each share of the cells; the sizes are images, and a group's channels and outputs."""
    launches, count = _launches(plan, name, sizes)
    _, channels, outputs = sizes
    part = gpu.empty((count * plan.groups * channels * len(reaching(plan)[0]) * outputs,), shares.accumulator(name))
    for launch in launches:
        gpu.launch(launch, x, y, part)
    return Part(part, count, outputs)


@cached
def _launches(plan: ConvTransposePlan, name: str, sizes: tuple[int, int, int]) -> tuple[tuple[Launch, ...], int]:
    """Plan a launch for every few taps, and say how many shares there are."""
    batch, channels, outputs = sizes
    axes, at = three(plan.axes), reaching(plan)[0]
    cells, rows = batch * math.prod(plan.small_shape), plan.groups * channels * outputs
    count = max(1, min(ceil_div(_BLOCKS, rows), cells // (_CELLS * THREADS)))
    share = ceil_div(ceil_div(cells, count), THREADS) * THREADS
    count = ceil_div(cells, share)
    sizes_of = [axis.small for axis in axes]
    step = [THREADS // math.prod(sizes_of[place:]) for place in range(AXES + 1)]
    step = [step[0], *(n % size for n, size in zip(step[1:], sizes_of, strict=True))]
    made = []
    for first in range(0, len(at), _TAPS):
        some = at[first : first + _TAPS]
        numbers = {
            "groups": plan.groups,
            "channels": channels,
            "outputs": outputs,
            "share": share,
            "taps": len(some),
            "first": first,
            "columns": len(at) * outputs,
        }
        sides = shares.sides(axes, batch)
        geometry = {
            "large_plane": sides.pop("large_plane"),
            **_places(some, [axis.large for axis in axes]),
            **sides,
            "step": np.asarray(step, dtype=np.int32),
            **{key: np.int32(n) for key, n in numbers.items()},
        }
        shared = THREADS // 32 * _TAPS * shares.accumulator(name).itemsize
        made.append(Launch(_kernel(name), (rows * count, 1, 1), (THREADS, 1, 1), shared, (struct(geometry),)))
    return tuple(made), count


def _places(at: NDArray, large: list[int]) -> dict[str, NDArray]:
    """Where the taps lie: in the plane, on each axis, and the least and the greatest."""
    steps = np.asarray([large[1] * large[2], large[2], 1], dtype=np.int64)
    padded = np.zeros((_TAPS, AXES), dtype=np.int32)
    padded[: len(at)] = at
    return {"place": padded.astype(np.int64) @ steps, "at": padded, "low": at.min(axis=0), "high": at.max(axis=0)}
