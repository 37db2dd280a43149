"""The gradient of transposed convolution by its weight on a GPU: launches of kernels/conv_weight.cu.

The sum over all cells is cut into shares, and these into groups; the number of cells and the dtype alone decide how
many. A block computes a share, a group, or all groups, so that there are blocks enough for the processors; each way has
the same bits. The number of input channels of a group chooses the kernel. So outputs, groups and the GPU never show in
a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.engines.cuda.conv_transpose import weight_grad_direct as direct
from upsample.engines.cuda.conv_transpose import weight_grad_reduce as shares
from upsample.engines.cuda.conv_transpose.driver import channels_a_word, depth, on_tensor_cores
from upsample.engines.cuda.conv_transpose.weight_grad_reduce import Part, reaching
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, kernel, struct
from upsample.engines.cuda.runtime.output import Target
from upsample.engines.cuda.runtime.windows import three
from upsample.plans.window import ConvTransposePlan

__all__ = ["kernels", "run"]


_THREADS_AT_ONCE = 256 * 264
"""About what a large GPU holds of these kernels' threads; shares are chosen to fill whole rounds of them."""
_MOST_SHARES = 128
"""Most parts of a sum."""
_SLICES = 32
"""Least slices of a share, if there are as many; a block needs the time of `_OVERHEAD` more."""
_GROUP = 8
"""Shares of a group, which are added before the groups are."""
_OVERHEAD = 12
"""What a block does besides its slices, in the time of one: the first fetch, its sums to memory, and adding them."""
_FEW_CHANNELS = 8
"""Input channels of a group for which the direct kernel runs: with more, it takes longer, even if outputs are many."""
_FEW_ON_TENSOR_CORES = 1
"""The same limit on tensor cores, whose order of sums differs."""


class _Tile(NamedTuple):
    """Channels by columns that a block makes, its threads, and the share of the peak it reaches."""

    rows: int
    columns: int
    threads: int
    rate: float


_FLAT = _Tile(32, 128, 128, 0.7)
_TILES: Mapping[tuple[str, int], tuple[_Tile, ...]] = MappingProxyType(
    {
        ("float16", 1): (_Tile(128, 128, 256, 1.0), _FLAT),
        ("bfloat16", 1): (_Tile(128, 128, 256, 1.0), _FLAT),
        ("float32", 1): (_Tile(64, 128, 128, 1.0), _FLAT),
        ("float32", 0): (_Tile(128, 64, 128, 1.0), _FLAT),
        ("float64", 0): (_Tile(64, 64, 128, 1.0), _FLAT),
    }
)
"""By dtype and whether tensor cores multiply."""


def _kernel(name: str, tensor: int, tile: _Tile) -> Kernel:
    return kernel(
        "conv_weight",
        "correlate",
        SCALAR=C_TYPES[name],
        TENSOR=tensor,
        TILE_ROWS=tile.rows,
        TILE_COLUMNS=tile.columns,
    )


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for (name, tensor), tiles in _TILES.items():
        for tile in tiles:
            yield _kernel(name, tensor, tile)


def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    name = arrays.dtype_name(x)
    if name in arrays.COMPLEX:
        return _complex(xp, plan, x, y)
    batch, channels, outputs = x.shape[0], x.shape[1], y.shape[1] // plan.groups
    with device.of(x) as gpu:
        target = Target(gpu, xp, (channels, outputs, *plan.kernel_shape), x, x.dtype, None)
        sizes = (batch, channels // plan.groups, outputs)
        part = _partial(gpu, plan, x, y, name=name, sizes=sizes)
        shares.add(gpu, plan, part, target.memory, name=name, channels=channels, outputs=outputs)
        return target.finished()


def _partial(
    gpu: Device, plan: ConvTransposePlan, x: Array, y: Array, *, name: str, sizes: tuple[int, int, int]
) -> Part:
    """Sum each share of the cells; the sizes are images, and a group's channels and outputs."""
    if 0 in sizes or not len(reaching(plan)[0]):
        return Part(None, 0, 1, sizes[2])
    cells, positions = gpu.borrow(x), gpu.borrow(y)
    if _is_direct(plan, name, sizes[1]):
        return direct.run(gpu, plan, cells, positions, name=name, sizes=sizes)
    planned = _launch(plan, name, sizes)
    (taps,) = gpu.tables(_tables, plan)
    made = gpu.empty((planned.values,), shares.accumulator(name))
    gpu.launch(planned.launch, cells, positions, taps, made)
    return Part(made, planned.runs, planned.group, planned.padded)


def _complex(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Correlate real and imaginary parts, as channels of one call: ``[a b]^T [c d]`` has all four products."""
    groups, batch = plan.groups, x.shape[0]
    inputs, outputs = x.shape[1] // groups, y.shape[1] // groups
    given = []
    for array, each in ((x, inputs), (y, outputs)):
        parts = [xp.reshape(p, (batch, groups, each, *array.shape[2:])) for p in arrays.split_complex(xp, array)]
        given.append(xp.reshape(xp.concat(parts, axis=2), (batch, 2 * array.shape[1], *array.shape[2:])))
    made: Any = run(xp, plan, *given)
    made = xp.reshape(made, (groups, 2, inputs, 2, outputs, *plan.kernel_shape))
    (ac, ad), (bc, bd) = ([made[:, i, :, j, ...] for j in (0, 1)] for i in (0, 1))
    shape = (x.shape[1], outputs, *plan.kernel_shape)
    real, imag = xp.reshape(ac - bd, shape), xp.reshape(ad + bc, shape)
    result: Array = arrays.join_complex(xp, real, imag, x.dtype)
    return result


def _tensor(plan: ConvTransposePlan, name: str) -> int:
    """Return 1 if tensor cores multiply; "tf32x3" multiplies exactly here, since infinities would become NaN."""
    return int(on_tensor_cores(plan, name) == 1)


def _unit(name: str, tile: _Tile) -> int:
    """Rows or columns that a block fetches at once: of each tap, there are whole units."""
    return tile.threads // depth(name)


def _size(name: str, tile: _Tile, channels: int, outputs: int, taps: int) -> tuple[int, int, int]:
    """Outputs of a tap with padding, and tiles down and across."""
    padded = ceil_div(outputs, _unit(name, tile)) * _unit(name, tile)
    return padded, ceil_div(channels, tile.rows), ceil_div(taps * padded, tile.columns)


def _best(plan: ConvTransposePlan, name: str, channels: int, outputs: int) -> _Tile:
    """Return the tile that wastes least."""
    taps = len(reaching(plan)[0])

    def cost(tile: _Tile) -> float:
        _, down, across = _size(name, tile, channels, outputs, taps)
        return down * across * tile.rows * tile.columns / tile.rate

    return min(_TILES[name, _tensor(plan, name)], key=cost)


def _is_direct(plan: ConvTransposePlan, name: str, channels: int) -> bool:
    """Whether the sums are made one by one: where tiles would be padding for the most part."""
    return channels <= (_FEW_ON_TENSOR_CORES if _tensor(plan, name) else _FEW_CHANNELS)


@cached
def _tables(plan: ConvTransposePlan) -> tuple[NDArray, ...]:
    """Where each tap lies on the axes."""
    at = reaching(plan)[0]
    return (np.concatenate([at, np.zeros((len(at), 1), dtype=np.int32)], axis=1),)


def _share(slices: int) -> int:
    """Return the slices of a share."""
    return max(_SLICES, ceil_div(slices, _MOST_SHARES))


def _run(slices: int, blocks: int, at_once: int) -> tuple[int, int]:
    """Return the slices of a share, and those of a block: a share's, a group's or all, whichever takes least time."""
    share = _share(slices)

    def cost(run: int) -> float:
        return ceil_div(blocks * ceil_div(slices, run), at_once) * (min(run, slices) + _OVERHEAD)

    whole = ceil_div(slices, share * _GROUP) * share * _GROUP
    return share, min((whole, share * _GROUP, share), key=cost)


def _taps_of_a_tile(columns: int, padded: int) -> int:
    """How many taps a tile has columns of, at most: one more where tiles and taps do not begin together."""
    if padded % columns == 0 or columns % padded == 0:
        return ceil_div(columns, padded)
    return (columns - 1) // padded + 2


class _Planned(NamedTuple):
    """A launch: how many runs it leaves, those of a group, a tap's outputs with padding, and values in all."""

    launch: Launch
    runs: int
    group: int
    padded: int
    values: int


@cached
def _launch(plan: ConvTransposePlan, name: str, sizes: tuple[int, int, int]) -> _Planned:
    """Plan the launch."""
    axes, (batch, channels, outputs) = three(plan.axes), sizes
    taps, tile = len(reaching(plan)[0]), _best(plan, name, channels, outputs)
    padded, down, across = _size(name, tile, channels, outputs, taps)
    unit, side = _unit(name, tile), depth(name) * channels_a_word(name)
    cells, blocks = batch * math.prod(plan.small_shape), down * across * plan.groups
    slices = ceil_div(cells, side)
    share, run = _run(slices, blocks, _THREADS_AT_ONCE // tile.threads)
    runs, is_whole = ceil_div(slices, run), run > share * _GROUP
    together = min(taps, _taps_of_a_tile(tile.columns, padded))
    ahead = max(1, tile.threads // ((1 + together) * side))
    numbers = {
        "groups": plan.groups,
        "channels": channels,
        "outputs": outputs,
        "taps": taps,
        "units": padded // unit,
        "slices": share,
        "group": _GROUP,
        "run": run,
        "batch": ahead,
    }
    geometry = shares.sides(axes, batch) | {key: np.int32(n) for key, n in numbers.items()}
    word = 8 if name == "float64" else 4
    step = depth(name) + 16 // word
    shared = 2 * step * (tile.rows + tile.columns) * word + 2 * ahead * (1 + together) * side * 8
    chosen = _kernel(name, _tensor(plan, name), tile)
    made = Launch(chosen, (blocks * runs, 1, 1), (tile.threads, 1, 1), shared, (struct(geometry),))
    values = plan.groups * channels * taps * padded
    return _Planned(made, runs, _GROUP if run == share else 1, padded, (1 + is_whole if runs == 1 else runs) * values)
