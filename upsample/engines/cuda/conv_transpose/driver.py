"""Transposed convolution on a GPU: launches of kernels/conv_transpose.cu, and the choice of the direct kernel.

Convolution, its gradient, is launched here, too: both sum what taps reach (`axes`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.engines.cuda.conv_transpose import direct as direct
from upsample.engines.cuda.conv_transpose.axes import Axis, axes_of
from upsample.engines.cuda.conv_transpose.pack_weights import arranged
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, index_type, kernel, struct
from upsample.engines.cuda.runtime.output import Target
from upsample.engines.cuda.runtime.windows import AXES
from upsample.engines.portable.output import deliver
from upsample.plans.window import ConvTransposePlan

__all__ = ["channels_a_word", "depth", "kernels", "on_tensor_cores", "run", "sums"]


_STORE_COST = 16
"""What storing a value costs beside a product, if it lies beside others; if not, twice that."""
_CROWD: Mapping[int, float] = MappingProxyType({1: 0.6, 2: 0.9})
"""What share of its rate a tile reaches where only so many blocks fit a multiprocessor."""
_MOST_RESIDENT = 3
"""Blocks of a multiprocessor that the kernel's launch bounds leave registers for."""
_TENSOR_RATE = {0: 1, 1: 8, 3: 2}
"""How much faster tensor cores are than ordinary ones, by `on_tensor_cores`, as the choice of the kernel has it."""
_SHARE = 128
"""Channels of a share of a sum, as the kernel has it: more are sums of shares, which blocks may make apart."""
_SECOND_LAUNCH = 700_000
"""What adding shares by a second launch costs at least, in products of an ordinary core: about 3 µs."""
_DIRECT_COST = 4
"""Instructions of the direct kernel for a product; a tile needs little more than one."""
_FEW_CHANNELS: Mapping[tuple[str, int], int] = MappingProxyType(
    {("float16", 1): 4, ("bfloat16", 1): 4, ("float32", 1): 2, ("float32", 3): 8}
)
"""Channels of a group for which the direct kernel runs instead of tensor cores, by dtype and `on_tensor_cores`."""


class _Tile(NamedTuple):
    """Output channels by positions of a phase that a block makes, its threads, and the share of the peak it reaches."""

    outputs: int
    cells: int
    threads: int
    rate: float


_WIDE, _FLAT, _LOW = _Tile(64, 128, 128, 1.0), _Tile(32, 128, 128, 0.75), _Tile(16, 128, 128, 0.5)
_CORES = (_Tile(128, 64, 128, 1.0), _WIDE, _Tile(64, 64, 128, 0.8), _FLAT)
_TILES: Mapping[tuple[str, int], tuple[_Tile, ...]] = MappingProxyType(
    {
        ("float16", 1): (_LOW, _Tile(128, 128, 256, 1.2), _WIDE, _FLAT),
        ("bfloat16", 1): (_LOW, _Tile(128, 128, 256, 1.2), _WIDE, _FLAT),
        ("float32", 1): (_LOW, _WIDE, _FLAT),
        ("float32", 3): (_LOW, _WIDE, _FLAT),
        ("float32", 0): _CORES,
        ("float64", 0): (_CORES[2], _FLAT),
    }
)
"""By dtype and `on_tensor_cores`; with 64-bit indices, the last but one alone."""


_SHARED_TILES: Mapping[tuple[str, int], _Tile] = MappingProxyType(
    {("float32", 1): _WIDE, ("float32", 3): _WIDE, ("float32", 0): _WIDE, ("float64", 0): _CORES[2]}
)
"""The tile of blocks that make shares."""
_WHOLE, _SHARES, _FINISH = range(3)
"""What a block makes, as the kernel's SPLIT has it."""


def _kernel(name: str, tensor: int, tile: _Tile, index: str, split: int) -> Kernel:
    return kernel(
        "conv_transpose",
        "multiply",
        SCALAR=C_TYPES[name],
        TENSOR=tensor,
        TILE_OUTPUTS=tile.outputs,
        TILE_CELLS=tile.cells,
        INDEX=index,
        SPLIT=split,
    )


def _tiles(name: str, tensor: int, index: str) -> tuple[_Tile, ...]:
    tiles = _TILES[name, tensor]
    return tiles if index == "int" else tiles[-2:-1]


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that `run` can launch."""
    for (name, tensor), index in itertools.product(_TILES, ("int", "int64")):
        for tile in _tiles(name, tensor, index):
            yield _kernel(name, tensor, tile, index, _WHOLE)
    for (name, tensor), tile in _SHARED_TILES.items():
        for split in (_SHARES, _FINISH):
            yield _kernel(name, tensor, tile, "int", split)


def run(
    xp: ModuleType, plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None, out: Array | None
) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    batch, outputs, name = x.shape[0], weight.shape[1], arrays.dtype_name(x)
    if name in arrays.COMPLEX:
        return _complex(xp, plan, x, weight, bias, out)
    with device.of(x) as gpu:
        target = Target(gpu, xp, (batch, plan.groups * outputs, *plan.large_shape), x, x.dtype, out)
        if batch == 0:
            return target.finished()
        sizes = (batch, x.shape[1] // plan.groups, outputs)
        sums(gpu, "conv_transpose", plan, x, weight, bias, target.memory, name=name, sizes=sizes)
        return target.finished()


def sums(
    gpu: Device,
    task: str,
    plan: ConvTransposePlan,
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Any,
    *,
    name: str,
    sizes: tuple[int, int, int],
) -> None:
    """Write into `y`, which is not empty, what "conv_transpose" or its input gradient makes of real numbers.

    The sizes are images, and a group's channels and outputs.
    """
    cells, weights, added = gpu.borrow(x), gpu.borrow(weight), None if bias is None else gpu.borrow(bias)
    if _is_direct(plan, task, name, *sizes[1:]):
        direct.run(gpu, task, plan, cells, weights, added, y, name=name, sizes=sizes)
        return
    limits = (gpu.index_limit, gpu.processors, gpu.shared_limit)
    launches, words, padded, partial = _launch(plan, task, name, sizes, limits)
    taps, starts = gpu.tables(_tables, plan, task, dict(launches[0].kernel.macros)["INDEX"])
    ready = arranged(
        gpu,
        weights,
        groups=plan.groups,
        sizes=(*sizes[1:], math.prod(weight.shape[2:])),
        outputs_last=task == "conv_transpose",
        channels=channels_a_word(name),
        words=words,
        padded=padded,
    )
    part = (gpu.empty((partial,), np.float64 if name == "float64" else np.float32),) if partial else ()
    for launch in launches:
        gpu.launch(launch, cells, ready, added, taps, starts, y, *part)


def _complex(
    xp: ModuleType, plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None, out: Array | None
) -> Array:
    """Multiply complex numbers by real ones of twice the channels: ``[a b] [[c d] [-d c]] = [ac - bd, ad + bc]``."""
    batch, groups, outputs = x.shape[0], plan.groups, weight.shape[1]
    channels = x.shape[1] // groups
    (a, b), (c, d) = arrays.split_complex(xp, x), arrays.split_complex(xp, weight)
    parts = [xp.reshape(part, (batch, groups, channels, *x.shape[2:])) for part in (a, b)]
    cells = xp.reshape(xp.concat(parts, axis=2), (batch, 2 * x.shape[1], *x.shape[2:]))
    rows = [xp.concat(pair, axis=1) for pair in ([c, d], [-d, c])]
    rows = [xp.reshape(row, (groups, channels, 2 * outputs, *weight.shape[2:])) for row in rows]
    taps = xp.reshape(xp.concat(rows, axis=1), (2 * x.shape[1], 2 * outputs, *weight.shape[2:]))
    added = None
    if bias is not None:
        halves = [xp.reshape(part, (groups, outputs)) for part in arrays.split_complex(xp, bias)]
        added = xp.reshape(xp.concat(halves, axis=1), (-1,))
    made: Any = run(xp, plan, cells, taps, added, None)
    made = xp.reshape(made, (batch, groups, 2, outputs, *plan.large_shape))
    shape = (batch, groups * outputs, *plan.large_shape)
    real, imag = (xp.reshape(made[:, :, place, ...], shape) for place in (0, 1))
    return deliver(arrays.join_complex(xp, real, imag, x.dtype), out)


def on_tensor_cores(plan: ConvTransposePlan, name: str) -> int:
    """How many products tensor cores make of a product of two factors: 0 if ordinary cores multiply."""
    if name == "float32":
        return {"float32": 0, "tf32": 1, "tf32x3": 3}[plan.precision]
    return int(name in ("float16", "bfloat16"))


def channels_a_word(name: str) -> int:
    """Values that a word of a product has."""
    return 2 if name in ("float16", "bfloat16") else 1


def depth(name: str) -> int:
    """Words along the summed axis that a block has in shared memory at a time."""
    return 8 if name == "float64" else 16


def _words(name: str, channels: int) -> int:
    """Words of the summed axis of a tap, in whole slices."""
    return ceil_div(channels, depth(name) * channels_a_word(name)) * depth(name)


@cached
def _is_direct(plan: ConvTransposePlan, task: str, name: str, channels: int, outputs: int) -> bool:
    """Whether the sums are made one by one: those of integers, and where tiles would be padding for the most part.

    Tensor cores add in another order than ordinary ones. So `outputs`, of which the bits of a value do not depend,
    choose only among ordinary cores; there both kernels add in one order.
    """
    if name == "int64":
        return True
    if not direct.fits(plan, task):
        return False
    tensor = on_tensor_cores(plan, name)
    if tensor:
        return channels <= _FEW_CHANNELS[name, tensor]
    padded = min(ceil_div(outputs, tile.outputs) * tile.outputs for tile in _TILES[name, tensor])
    return _DIRECT_COST * channels <= 1.3 * _words(name, channels) * padded / outputs


@cached
def _tables(plan: ConvTransposePlan, task: str, index: str) -> tuple[NDArray, NDArray]:
    """For each tap of each phase: the tap of the kernel and the cell on each axis; and where each phase begins."""
    axes = axes_of(plan, task)
    steps = [math.prod(axis.kernel for axis in axes[place + 1 :]) for place in range(AXES)]
    rows, starts = [], [0]
    for corner in itertools.product(*(axis.phases for axis in axes)):
        for chosen in itertools.product(*(zip(phase.taps, phase.cells, strict=True) for phase in corner)):
            tap = sum(step * t for step, (t, _) in zip(steps, chosen, strict=True))
            rows.append((tap, *(cell for _, cell in chosen)))
        starts.append(len(rows))
    table = np.asarray(rows or [(0,) * (1 + AXES)], dtype=np.int32 if index == "int" else np.int64)
    return table, np.asarray(starts, dtype=np.int32)


def _shared(name: str, tensor: int, tile: _Tile, index: str, together: int) -> int:
    """Bytes of shared memory: two slices, the places of the positions, and the finished phases."""
    size = 8 if name == "float64" else 4 // channels_a_word(name)
    pad = 8 if tensor else 0
    slices = 2 * depth(name) * (tile.outputs + tile.cells + 2 * pad) * size * channels_a_word(name)
    places = tile.cells * (4 + (4 if index == "int" else 8))
    return slices + places + tile.outputs * (together * tile.cells + 8) * size


class _Cut(NamedTuple):
    """How a result is cut into blocks, each of which makes whole sums, or one of so many shares of them."""

    tile: _Tile
    together: int
    blocks: int
    shares: int


def _cuts(
    axes: tuple[Axis, ...],
    name: str,
    tensor: int,
    index: str,
    groups: int,
    outputs: int,
    columns: int,
    room: int,
    shares: int,
) -> Iterator[_Cut]:
    """Yield the ways to cut: tiles, with as many phases of the last axis together as have room, or one; and shares.

    The small tiles have room on every GPU.
    """
    others = math.prod(len(axis.phases) for axis in axes[:2]) * groups
    most = len(axes[2].phases)
    for tile in _tiles(name, tensor, index):
        without = _shared(name, tensor, tile, index, 0)
        fit = (room - without) // (_shared(name, tensor, tile, index, 1) - without)
        if fit < 1:
            continue
        for together in {ceil_div(most, ceil_div(most, fit)): None, 1: None}:
            cells = ceil_div(most, together) * ceil_div(columns, tile.cells)
            yield _Cut(tile, together, others * ceil_div(outputs, tile.outputs) * cells, 1)
    apart = _SHARED_TILES.get((name, tensor))
    if apart is not None and shares > 1 and index == "int":
        yield _Cut(apart, 1, others * ceil_div(outputs, apart.outputs) * most * ceil_div(columns, apart.cells), shares)


def _cost(cut: _Cut, products: float, stride: int, shared: int, gpu: tuple[int, int, int]) -> float:
    """Estimate the time that a cut takes; `products` are those of a value, in the time of an ordinary core's."""
    _, processors, room = gpu
    tile = cut.tile
    rounds = ceil_div(cut.blocks * cut.shares, processors)  # the busiest multiprocessor makes so many blocks
    resident = min(rounds, _MOST_RESIDENT, 512 // tile.threads, max(1, (room + 1024) // (shared + 1024)))
    store = _STORE_COST * (1 if cut.together == stride else 2)
    own = products / cut.shares / (tile.rate * _CROWD.get(resident * tile.threads // 128, 1.0))
    area = tile.outputs * tile.cells
    if cut.shares == 1:
        return rounds * cut.together * area * (own + store)
    finish = ceil_div(cut.blocks, processors) * area * (cut.shares * _STORE_COST + store)
    return rounds * area * (own + _STORE_COST) + finish + _SECOND_LAUNCH


@cached
def _launch(
    plan: ConvTransposePlan, task: str, name: str, sizes: tuple[int, int, int], gpu: tuple[int, int, int]
) -> tuple[tuple[Launch, ...], int, int, int]:
    """Plan the launches, and say how many words and outputs the arranged weights have, and values the shares."""
    axes, tensor = axes_of(plan, task), on_tensor_cores(plan, name)
    batch, channels, outputs = sizes
    counts = [ceil_div(axis.result, axis.step) for axis in axes]
    columns, taps = batch * math.prod(counts), math.prod(axis.kernel for axis in axes)
    index = index_type(_reach(axes, batch * plan.groups * max(channels, outputs), columns), gpu[0])
    words = _words(name, channels)
    products = words * channels_a_word(name) * taps / math.prod(len(axis.phases) for axis in axes)
    last, room = axes[2].step, gpu[2]

    def cost(cut: _Cut) -> float:
        shared = _shared(name, tensor, cut.tile, index, cut.together)
        return _cost(cut, products / _TENSOR_RATE[tensor], last, shared, gpu)

    shares = ceil_div(channels, _SHARE)
    cut = min(_cuts(axes, name, tensor, index, plan.groups, outputs, columns, room, shares), key=cost)
    padded = ceil_div(outputs, cut.tile.outputs) * cut.tile.outputs
    geometry = _geometry(axes, index, columns, counts, cut.together, name)
    numbers = {"groups": plan.groups, "channels": channels, "outputs": outputs, "words": words, "padded": padded}
    geometry |= {key: np.int32(n) for key, n in (numbers | {"taps": taps, "shares": cut.shares}).items()}

    def made(split: int, blocks: int) -> Launch:
        shared = _shared(name, tensor, cut.tile, index, cut.together)
        chosen = _kernel(name, tensor, cut.tile, index, split)
        return Launch(chosen, (blocks, 1, 1), (cut.tile.threads, 1, 1), shared, (struct(geometry),))

    if cut.shares == 1:
        return (made(_WHOLE, cut.blocks),), words, padded, 0
    count = cut.blocks * cut.shares
    return (made(_SHARES, count), made(_FINISH, cut.blocks)), words, padded, count * cut.tile.outputs * cut.tile.cells


def _reach(axes: tuple[Axis, ...], planes: int, columns: int) -> int:
    """The largest offset that a thread may work out, past the ends of the arrays included."""
    results = planes * math.prod(a.result + a.step for a in axes)
    cells = planes * math.prod(a.source for a in axes)
    beside = math.prod(2 * (a.result * a.jump + a.source + a.step) + a.reach for a in axes)
    return max(results, cells, columns + 128) + beside


def _geometry(
    axes: tuple[Axis, ...], index: str, columns: int, counts: list[int], together: int, name: str
) -> dict[str, Any]:
    """The first members of the kernel's Geometry."""
    integer = np.int32 if index == "int" else np.int64
    last, pack = axes[2], 16 // (8 if name == "float64" else 4 // channels_a_word(name))
    in_runs = together == last.step and together <= 2 and last.result % max(pack, together) == 0
    return {
        "columns": integer(columns),
        "source_plane": integer(math.prod(axis.source for axis in axes)),
        "result_plane": integer(math.prod(axis.result for axis in axes)),
        "source": np.asarray([axis.source for axis in axes], dtype=integer),
        "result": np.asarray([axis.result for axis in axes], dtype=integer),
        "count": np.asarray(counts, dtype=integer),
        "step": np.asarray([axis.step for axis in axes], dtype=integer),
        "jump": np.asarray([axis.jump for axis in axes], dtype=integer),
        "phases": np.asarray([len(axis.phases) for axis in axes], dtype=np.int32),
        "together": np.int32(together),
        "in_runs": np.int32(in_runs),
    }
