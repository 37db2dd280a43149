"""Shares of the sums of a weight's gradient: their form, and launches of kernels/conv_weight_shares.cu."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import C_TYPES, INDEX_LIMIT, Kernel, Launch, ceil_div, kernel, struct
from upsample.engines.cuda.runtime.windows import THREADS, three
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["Part", "accumulator", "add", "fits", "kernels", "reaching", "sides"]


_BEYOND = 1 << 16
"""How far past the last cell the kernels count."""


class Part(NamedTuple):
    """Shares of a sum: ``memory [number, channels, taps that reach something, padded]``; outputs are padded.

    Each `group` of shares is added in order, then the groups.
    """

    memory: Any
    number: int
    group: int
    padded: int


def _kernel(name: str) -> Kernel:
    return kernel("conv_weight_shares", "add_shares", SCALAR=C_TYPES[name])


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `add` can launch."""
    for name in ("float16", "bfloat16", "float32", "float64"):
        yield _kernel(name)


def accumulator(name: str) -> Any:
    """Return the dtype of the shares."""
    return np.dtype(np.float64 if name == "float64" else np.float32)


def fits(plan: ConvTransposePlan, cells: int) -> bool:
    """Whether the kernels can count these cells of a channel in all images, and positions along an axis, in 31 bits."""
    positions = max(axis.small * axis.stride + axis.large + abs(axis.padding) + axis.reach for axis in plan.axes)
    return max(cells, positions) < INDEX_LIMIT - _BEYOND


def sides(axes: tuple[WindowAxis, ...], batch: int) -> dict[str, Any]:
    """The first members of a kernel's Geometry, as conv_weight.cu has them."""
    small_plane = math.prod(axis.small for axis in axes)
    return {
        "large_plane": np.int64(math.prod(axis.large for axis in axes)),
        "small_plane": np.int32(small_plane),
        "cells": np.int32(batch * small_plane),
        **{key: np.asarray([getattr(a, key) for a in axes], dtype=np.int32) for key in ("small", "large", "stride")},
    }


@cached
def reaching(plan: ConvTransposePlan) -> tuple[NDArray, NDArray]:
    """The taps that reach a position for some cell: where each lies on the axes; and of all taps, which one it is.

    A tap that is padding for every cell is -1: its weight's gradient is 0.
    """
    axes = three(plan.axes)
    places = np.full([axis.kernel for axis in axes], -1, dtype=np.int32)
    rows: list[list[int]] = []
    for chosen in itertools.product(*(axis.useful_taps() for axis in axes)):
        places[chosen] = len(rows)
        rows.append([tap * axis.dilation - axis.padding for tap, axis in zip(chosen, axes, strict=True)])
    return np.asarray(rows, dtype=np.int32).reshape(-1, len(axes)), places.reshape(-1)


def _tables(plan: ConvTransposePlan) -> tuple[NDArray, ...]:
    return (reaching(plan)[1],)


def add(gpu: Device, plan: ConvTransposePlan, part: Part, w: Any, *, name: str, channels: int, outputs: int) -> None:
    """Write the sum of the shares into ``w [channels, outputs, *kernel]``."""
    (places,) = gpu.tables(_tables, plan)
    launch = _launch(plan, name, channels, outputs, (part.number, part.group, part.padded))
    gpu.launch(launch, part.memory, places, w)


@cached
def _launch(plan: ConvTransposePlan, name: str, channels: int, outputs: int, part: tuple[int, int, int]) -> Launch:
    count, group, padded = part
    taps = math.prod(plan.kernel_shape)
    items = channels * outputs * taps
    numbers = {
        "shares": count,
        "group": group,
        "channels": channels,
        "outputs": outputs,
        "taps": taps,
        "reaching": len(reaching(plan)[0]),
        "padded": padded,
    }
    geometry = struct({"items": np.int64(items)} | {key: np.int32(n) for key, n in numbers.items()})
    return Launch(_kernel(name), (ceil_div(items, THREADS), 1, 1), (THREADS, 1, 1), 0, (geometry,))
