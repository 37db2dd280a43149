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

__all__ = ["kernels", "run"]


_TAPS = 16
"""Taps that one launch computes, with a sum for each in registers."""
_MOST_SHARES = 512
"""Most parts of a sum, whose partial sums a second kernel adds."""
_CELLS = 16
"""Least cells of a thread, if there are as many: adding the sums of threads takes as long as some cells."""
_GROUP = 8
"""Shares of a group, which are added before the groups are."""


def _kernel(name: str) -> Kernel:
    return kernel("conv_weight_direct", "correlate_cells", SCALAR=C_TYPES[name])


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for name in ("float16", "bfloat16", "float32", "float64"):
        yield _kernel(name)


def run(gpu: Device, plan: ConvTransposePlan, x: Any, y: Any, *, name: str, sizes: tuple[int, int, int]) -> Part:
    """Sum each share of the cells; the sizes are images, and a group's channels and outputs."""
    launches, count = _launches(plan, name, sizes)
    _, channels, outputs = sizes
    part = gpu.empty((count * plan.groups * channels * len(reaching(plan)[0]) * outputs,), shares.accumulator(name))
    for launch in launches:
        gpu.launch(launch, x, y, part)
    return Part(part, count, _GROUP, outputs)


@cached
def _launches(plan: ConvTransposePlan, name: str, sizes: tuple[int, int, int]) -> tuple[tuple[Launch, ...], int]:
    """Plan a launch for every few taps, and say how many shares there are."""
    batch, channels, outputs = sizes
    axes, at = three(plan.axes), reaching(plan)[0]
    cells, rows = batch * math.prod(plan.small_shape), plan.groups * channels * outputs
    share = _share(cells)
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


def _share(cells: int) -> int:
    """Return the cells of a share. They depend on no channels, so that the sum of a weight does not."""
    count = max(1, min(_MOST_SHARES, cells // (_CELLS * THREADS)))
    return ceil_div(ceil_div(cells, count), THREADS) * THREADS


def _places(at: NDArray, large: list[int]) -> dict[str, NDArray]:
    """Where the taps lie: in the plane, on each axis, and the least and the greatest."""
    steps = np.asarray([large[1] * large[2], large[2], 1], dtype=np.int64)
    padded = np.zeros((_TAPS, AXES), dtype=np.int32)
    padded[: len(at)] = at
    return {"place": padded.astype(np.int64) @ steps, "at": padded, "low": at.min(axis=0), "high": at.max(axis=0)}
