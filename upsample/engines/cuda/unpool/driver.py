"""Max-unpooling on a GPU: launches of kernels/unpool.cu."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.caches import cached
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.launch import BITS, C_TYPES, Kernel, Launch, ceil_div, kernel
from upsample.engines.cuda.runtime.output import Target
from upsample.engines.cuda.runtime.windows import THREADS, three
from upsample.engines.cuda.unpool.geometry import (
    BLOCKS,
    ELSEWHERE,
    OWN,
    axes_of,
    checked_later,
    checked_now,
    index_of,
    keys,
    planned,
    windows_overlap,
)
from upsample.engines.index_checks import check_duplicates, signed
from upsample.engines.part_indices import localised
from upsample.plans.phases import phases
from upsample.plans.window import SpanAxis, UnpoolPlan, WindowAxis

__all__ = ["kernels", "run"]


_ENTRIES = ("gather", "tiles", "check", "runs", "scatter")
"""Entries of the .cu file in its order; each is compiled alone."""
_MANY = {1: 4, 2: 4, 4: 4, 8: 2}
"""Neighboring positions per thread of unpool_gather, by the bytes of a value."""
_PIECE = 16
"""Bytes that a thread of unpool_tiles writes at once."""
_SUMMED = ("__half", "__nv_bfloat16", "float", "double", "Complex<float>", "Complex<double>", *(BITS[n] for n in _MANY))


def _kernel(entry: str, scalar: str, *, summed: bool, index: str, many: int) -> Kernel:
    number = _ENTRIES.index(entry)
    return kernel("unpool", f"unpool_{entry}", ENTRY=number, SCALAR=scalar, SUM=int(summed), INDEX=index, MANY=many)


def _gather(scalar: str, summed: bool, index: str, many: int) -> Kernel:
    return _kernel("gather", scalar, summed=summed, index=index, many=many)


def _tiles(size: int) -> Kernel:
    return _kernel("tiles", BITS[size], summed=False, index="int", many=_PIECE // (2 * size))


def _check(index: str) -> Kernel:
    return _kernel("check", "uint32", summed=False, index=index, many=1)


def _runs(scalar: str, summed: bool) -> Kernel:
    return _kernel("runs", scalar, summed=summed, index="int", many=1)


def _scatter(size: int) -> Kernel:
    return _kernel("scatter", BITS[size], summed=False, index="int", many=1)


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that `run` can launch."""
    for index in ("int", "int64"):
        yield _check(index)
        for scalar in _SUMMED:
            yield _gather(scalar, True, index, 1)
        for bits in BITS.values():
            yield _gather(bits, False, index, 1)
    for size, many in _MANY.items():
        yield _gather(BITS[size], False, "int", many)
        yield _tiles(size)
    for scalar in _SUMMED:
        yield _runs(scalar, True)
    for size, bits in BITS.items():
        yield _runs(bits, False)
        yield _scatter(size)


def _summed_type(name: str) -> str:
    """Return the C type in which values of a dtype are summed; sums of integers wrap around."""
    if name in arrays.COMPLEX:
        return {"complex64": "Complex<float>", "complex128": "Complex<double>"}[name]
    return C_TYPES[name] if name in arrays.FLOATING else BITS[np.dtype(name).itemsize]


def run(xp: ModuleType, plan: UnpoolPlan, x: Array, indices: Array, out: Array | None, names: tuple[str, str]) -> Array:
    """Return the unpooled array; raise IndexError for a bad index, ValueError for a duplicate under "error".

    The check of the indices needs a synchronization, the only one of the call. There is none if ``check_indices`` is
    False, or "later", which lets a later call raise the IndexError.
    """
    shape = (*x.shape[: x.ndim - len(plan.axes)], *plan.large_shape)
    indices = signed(xp, plan, indices, names)
    if plan.within is not None:
        plan, indices = localised(xp, plan, indices, names)
    with device.of(x) as gpu:
        where = arrays.astype(xp, indices, xp.int64)
        target = Target(gpu, xp, shape, x, x.dtype, out)
        if 0 not in x.shape:
            _Unpooling(xp, plan, gpu, x, where, names).make(target, fresh=out is None)
        elif 0 not in shape:
            target.memory.fill(0)
        return target.finished()


class _Unpooling:
    """One call."""

    def __init__(
        self, xp: ModuleType, plan: UnpoolPlan, gpu: Device, x: Array, where: Array, names: tuple[str, str]
    ) -> None:
        self.xp, self.plan, self.gpu, self.where, self.names = xp, plan, gpu, where, names
        self.x, self.size, self.name = x, arrays.itemsize(x), arrays.dtype_name(x)
        self.planes = math.prod(x.shape[: x.ndim - len(plan.axes)])
        self.values, self.indices = gpu.borrow(x), gpu.borrow(where)

    def make(self, target: Target, *, fresh: bool) -> None:
        """Write the result; a `fresh` one may be written before the check of the indices has ended."""
        result, look, verdict = target.memory, self.plan.check_indices, OWN
        if look and self.plan.checks_later and not self._seeks_duplicates(OWN):
            self._unwaiting(result)
            return
        tiles = _tiles_launch(self.plan, self.planes, self.size, self.gpu.index_limit, self.gpu.processors)
        if look and (tiles is None or not fresh):
            launch = _check_launch(self.plan, self.planes, self.gpu.index_limit, self.gpu.processors)
            verdict, look = self._verdict(launch, self.indices), False
        if verdict == OWN and tiles is not None:
            arguments = (self.values, self.indices, result)
            if look:
                verdict = self._verdict(tiles, *arguments)
            else:
                self.gpu.launch(tiles, *arguments, None)
        elif verdict == OWN:
            self._gather(result)
        if verdict == ELSEWHERE:
            self._anywhere(result)

    def _unwaiting(self, result: Any) -> None:
        """Unpool on the assumption that indices are in their own windows; a later call reads the flags."""
        flags = checked_later(self.gpu, self.plan, self.names)
        limit, processors = self.gpu.index_limit, self.gpu.processors
        tiles = _tiles_launch(self.plan, self.planes, self.size, limit, processors)
        if tiles is not None:
            self.gpu.launch(tiles, self.values, self.indices, result, flags)
        else:
            self.gpu.launch(_check_launch(self.plan, self.planes, limit, processors), self.indices, flags)
            self._gather(result)

    def _seeks_duplicates(self, verdict: int) -> bool:
        """Tell whether duplicates are errors and possible."""
        return self.plan.duplicates == "error" and (
            verdict == ELSEWHERE or self.plan.local_indices or windows_overlap(self.plan)
        )

    def _verdict(self, launch: Launch, *arguments: Any) -> int:
        """Run a launch that checks the indices, wait for its verdict, and raise for bad indices or duplicates."""
        verdict = checked_now(
            self.gpu, launch, *arguments, xp=self.xp, plan=self.plan, where=self.where, names=self.names
        )
        if self._seeks_duplicates(verdict):
            check_duplicates(self.xp, self.plan, self.where, self.names)
        return verdict

    def _gather(self, result: Any) -> None:
        scalar = _summed_type(self.name) if self.plan.duplicates == "sum" and windows_overlap(self.plan) else None
        limit, processors = self.gpu.index_limit, self.gpu.processors
        launch, columns, index = _gather_launch(self.plan, self.planes, self.size, scalar, limit, processors)
        (tables,) = self.gpu.tables(_tables, self.plan, columns, index)
        self.gpu.launch(launch, self.values, self.indices, tables, result)

    def _anywhere(self, result: Any) -> None:
        """Unpool indices that may be outside their windows: sort them, or scatter them if any cell may win."""
        xp, plan = self.xp, self.plan
        named = keys(xp, plan, self.where, self.planes)
        result.fill(0)
        if plan.duplicates == "last" and not plan.deterministic:
            launch = self._by_cells(_scatter(self.size))
            self.gpu.launch(launch, self.values, self.gpu.borrow(named), result)
            return
        order = xp.argsort(named, stable=True)
        summed = plan.duplicates == "sum"
        launch = self._by_cells(_runs(_summed_type(self.name) if summed else BITS[self.size], summed))
        self.gpu.launch(launch, self.values, self.gpu.borrow(named), self.gpu.borrow(order), result)

    def _by_cells(self, chosen: Kernel) -> Launch:
        """Plan a launch with a thread for each cell."""
        count = math.prod(self.x.shape)
        blocks = min(ceil_div(count, THREADS), self.gpu.processors * BLOCKS)
        return Launch(chosen, (blocks, 1, 1), (THREADS, 1, 1), 0, (np.int64(count),))


@cached
def _tiles_launch(plan: UnpoolPlan, planes: int, size: int, limit: int, processors: int) -> Launch | None:
    """Plan the launch for windows that tile the large side; None if they do not, or rows are not full pieces."""
    axes = axes_of(plan)
    last = axes[2]
    if any((axis.stride, axis.padding, axis.dilation) != (axis.kernel, 0, 1) for axis in axes):
        return None
    if size not in _MANY or last.kernel != 2 or last.large != 2 * last.small or last.large * size % _PIECE:
        return None
    if index_of(plan, limit, processors) != "int":
        return None
    return _launch(_tiles(size), plan, planes, "int", last.small * 2 * size // _PIECE, processors * BLOCKS)


@cached
def _check_launch(plan: UnpoolPlan, planes: int, limit: int, processors: int) -> Launch:
    index = index_of(plan, limit, processors)
    return _launch(_check(index), plan, planes, index, plan.small_shape[-1], processors * BLOCKS)


@cached
def _gather_launch(
    plan: UnpoolPlan, planes: int, size: int, scalar: str | None, limit: int, processors: int
) -> tuple[Launch, int, str]:
    """Plan the launch that gathers; return it, the positions of a piece, and the C type of its tables."""
    index = index_of(plan, limit, processors)
    large = plan.large_shape[-1]
    many = _MANY.get(size, 1)
    if scalar is not None or index != "int" or large % many or plan.local_indices or axes_of(plan)[-1].dilation != 1:
        many = 1
    chosen = _gather(BITS[size] if scalar is None else scalar, scalar is not None, index, many)
    launch = _launch(chosen, plan, planes, index, ceil_div(large, many), processors * BLOCKS)
    return launch, many, index


def _launch(chosen: Kernel, plan: UnpoolPlan, planes: int, index: str, columns: int, blocks: int) -> Launch:
    """Plan a launch over rows of `columns` pieces each."""
    by_position = chosen.entry == "unpool_gather"
    return planned(
        chosen,
        plan,
        planes,
        index=index,
        columns=columns,
        blocks=blocks,
        by_position=by_position,
        anywhere=False,
        last=False,
    )


@cached
def _tables(plan: UnpoolPlan, many: int, index: str) -> tuple[NDArray]:
    """Return the tables of the cells that cover each position.

    Depth and rows have three entries a position: the first covering cell, the number of covering cells, and the tap of
    the first. The last axis has two entries for each piece of `many` positions: the first cell that covers any of them,
    and the number of cells from this one to the last that does.
    """
    depth, row, column = map(_covering, three(plan.axes))
    first, count, _ = column
    last = axes_of(plan)[2]
    step = last.dilation // math.gcd(last.dilation, last.stride)
    starts = np.arange(0, last.large, many)
    lowest = np.minimum.reduceat(np.where(count > 0, first, last.small), starts)
    highest = np.maximum.reduceat(np.where(count > 0, first + (count - 1) * step, -1), starts)
    tables = [*depth, *row, lowest, np.maximum(highest - lowest + 1, 0)]
    return (np.concatenate(tables).astype(np.int32 if index == "int" else np.int64),)


def _covering(axis: WindowAxis | SpanAxis) -> tuple[NDArray, NDArray, NDArray]:
    """Return three entries a position: the first cell that covers it, the number of such cells, the first one's tap."""
    if isinstance(axis, SpanAxis):
        return *axis.covering(), np.zeros(axis.large, dtype=np.int64)
    first, count, tap = (np.zeros(axis.large, dtype=np.int64) for _ in range(3))
    for phase in phases(axis):
        if not phase.taps:
            continue
        step = phase.cells[1] - phase.cells[0] if len(phase.cells) > 1 else 1
        here = slice(phase.start, None, axis.stride)
        lowest = np.arange(phase.count) + phase.cells[0]  # of the cells, were there cells before the first
        skipped = -(np.minimum(lowest, 0) // step)
        end = np.minimum(-(-(axis.small - lowest) // step), len(phase.taps))
        count[here] = np.maximum(end - skipped, 0)
        first[here] = lowest + skipped * step
        tap[here] = phase.taps[0] - skipped * (axis.stride // math.gcd(axis.dilation, axis.stride))
    empty = count == 0
    first[empty], tap[empty] = 0, 0
    return first, count, tap
