"""Max-unpooling by the Array API alone, as a gather.

Each output position reads the cells whose windows cover it, phase by phase (`upsample.plans.phases`). The last cell in
row-major order that names the position wins, so "last" needs no write order. This gather needs indices in their own
windows. If some index is elsewhere (from a pool of another dilation, for example), a stable sort orders cells by their
targets, and each position takes the last cell of its run. Adaptive windows have no phases: each position takes its
cells one by one. NumPy arrays are written cell by cell (`numpy_scatter`).
"""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.array_api import not_above
from upsample.arrays import Array
from upsample.engines.index_checks import check_duplicates, check_range, signed
from upsample.engines.part_indices import localised
from upsample.engines.portable.output import Target, deliver, each_tile, plane_cuts, scalar
from upsample.engines.portable.phases import interleave, shifted
from upsample.engines.portable.unpool.numpy_scatter import Places, all_legal, scatter
from upsample.float_errors import quiet
from upsample.plans.phases import phases
from upsample.plans.window import SpanAxis, UnpoolPlan

__all__ = ["in_own_window", "run"]

_SORTED_POSITIONS = 1 << 22
"""Output positions that the sorting path looks up at once; bounds its temporaries to some 100 MB."""


@quiet
def run(xp: ModuleType, plan: UnpoolPlan, x: Array, indices: Array, out: Array | None, names: tuple[str, str]) -> Array:
    """Return the unpooled array; raises IndexError for a bad index, ValueError for a duplicate under "error"."""
    indices = signed(xp, plan, indices, names)
    if plan.within is not None:
        plan, indices = localised(xp, plan, indices, names)
    lead = x.shape[: x.ndim - len(plan.axes)]
    shape = (*lead, *plan.large_shape)
    if 0 in x.shape:
        return deliver(xp.zeros(shape, dtype=x.dtype, device=arrays.device_of(x)), out)
    if xp is np:
        return _scattered(plan, np.asarray(x), np.asarray(indices), out, names)
    look = plan.check_indices and not arrays.is_abstract(indices) and not arrays.is_abstract(x)
    if look:
        _check(xp, plan, indices, names)
    values = xp.reshape(x, (-1, *plan.small_shape))
    where = xp.reshape(indices, values.shape)
    if not arrays.can_assign(xp, x):
        return deliver(xp.reshape(_unpooled(xp, plan, values, where, look), shape), out)
    target = Target(xp, (values.shape[0], *plan.large_shape), x, out)
    for cut in plane_cuts(xp, target.array):
        target.array[cut, ...] = _unpooled(xp, plan, values[cut, ...], where[cut, ...], look)
    return target.finished(shape)


def _scattered(plan: UnpoolPlan, x: Any, indices: Any, out: Array | None, names: tuple[str, str]) -> Array:
    """Unpool a NumPy array, a few planes at a time.

    If there is `out`, all indices are checked before it is written; otherwise each block checks its indices.
    """
    lead, cells = x.shape[: x.ndim - len(plan.axes)], math.prod(plan.small_shape)
    own = out is not None and out.dtype != x.dtype  # of another byte order
    target = Target(np, (math.prod(lead), math.prod(plan.large_shape)), x, None if own else out)
    values, where = x.reshape(-1, cells), indices.reshape(-1, cells)
    cuts, bad = plane_cuts(np, target.array), []
    before = plan.check_indices and (plan.duplicates == "error" or out is not None)
    if before and (plan.duplicates == "error" or not all(all_legal(plan, where[cut]) for cut in cuts)):
        _check(np, plan, indices, names)

    def fill(number: int) -> None:
        cut = cuts[number]
        places = Places(plan, where[cut], before, len(cuts) == 1)
        scatter(plan, values[cut], places, target.array[cut])
        if places.bad:
            bad.append(number)

    each_tile(np, fill, len(cuts))
    if bad and plan.check_indices:
        check_range(np, plan, arrays.astype(np, indices, np.int64), names)
    result = target.finished((*lead, *plan.large_shape))
    return deliver(result, out) if own else result


def _unpooled(xp: ModuleType, plan: UnpoolPlan, x: Any, indices: Any, look: bool) -> Any:
    """Unpool a few planes, whose indices have been checked if their values can be read."""
    where = arrays.astype(xp, indices, _integer(xp, plan))
    values = x
    if plan.duplicates == "sum" and arrays.dtype_name(x) in ("float16", "bfloat16"):
        values = xp.astype(x, xp.float32)
    if len(plan.windows) < len(plan.axes):
        return arrays.astype(xp, _covered(xp, plan, values, where), x.dtype)
    if plan.local_indices and not plan.trusted:
        window = math.prod(axis.kernel for axis in plan.windows)
        where = xp.where(where < scalar(xp, 0, where), where + window, where)
    elif plan.check_indices and not look:  # abstract values: indices may be anywhere
        return arrays.astype(xp, _sorted(xp, plan, values, arrays.astype(xp, indices, arrays.index_dtype(xp))), x.dtype)
    result, everything_fits = _gathered(xp, plan, values, where, count=look and not plan.local_indices)
    if not everything_fits:
        result = _sorted(xp, plan, values, arrays.astype(xp, indices, arrays.index_dtype(xp)))
    return arrays.astype(xp, result, x.dtype)


def _covered(xp: ModuleType, plan: UnpoolPlan, values: Any, where: Any) -> Any:
    """Add up the cells of adaptive windows that name each position, in row-major order."""
    shape = plan.large_shape
    position = arrays.from_table(xp, np.arange(math.prod(shape)).reshape(shape), where, where.dtype)
    tables = [axis.covering() for axis in plan.axes if isinstance(axis, SpanAxis)]
    total = None
    for places in itertools.product(*(range(int(count.max())) for _, count in tables)):
        cell, value = where, values
        inside = np.ones((1,) * len(shape), dtype=bool)
        for axis, ((first, count), place) in enumerate(zip(tables, places, strict=True)):
            table = first + np.minimum(place, count - 1)
            cell, value = (arrays.take(xp, x, table, axis + 1) for x in (cell, value))
            inside = inside & (place < count).reshape((1,) * axis + (-1,) + (1,) * (len(shape) - axis - 1))
        named = xp.logical_and(cell == position, arrays.from_table(xp, inside, where))
        share = xp.where(named, value, scalar(xp, 0, value))
        total = share if total is None else total + share
    return total


def in_own_window(xp: ModuleType, plan: UnpoolPlan, where: Any) -> Any:
    """Return for each index in the plane whether its cell's window covers it."""
    taps = itertools.product(*(axis.useful_taps() for axis in plan.windows))
    found = where == scalar(xp, -1, where)
    found = xp.logical_and(found, xp.logical_not(found))
    for tap in taps:
        found = xp.logical_or(found, where == _target(xp, plan, where, tap))
    return found


def _integer(xp: ModuleType, plan: UnpoolPlan) -> Any:
    """Return the dtype in which checked indices are compared: 32 bits if they suffice, which halves the traffic."""
    indexed = math.prod(axis.kernel if plan.local_indices else axis.large for axis in plan.windows)
    known = plan.check_indices or plan.trusted
    return xp.int32 if known and indexed < 2**31 else arrays.index_dtype(xp)


def _gathered(xp: ModuleType, plan: UnpoolPlan, values: Any, where: Any, count: bool) -> tuple[Any, bool]:
    """Read the covering cells; if `count`, also return whether every index was in its window."""
    split = [phases(axis) for axis in plan.windows]
    nothing = scalar(xp, 0, values)
    hit = None
    parts = {}
    for corner in itertools.product(*split):
        total = None
        for taps in itertools.product(*(range(len(phase.taps)) for phase in corner)):
            named = where == _target(xp, plan, where, tuple(p.taps[t] for p, t in zip(corner, taps, strict=True)))
            if count:
                hit = named if hit is None else xp.logical_or(hit, named)
            moves = [(phase.cells[t], phase.count) for phase, t in zip(corner, taps, strict=True)]
            value = shifted(xp, xp.where(named, values, nothing), moves)
            if total is None:
                total = value
            elif plan.duplicates == "sum":
                total = total + value
            else:
                total = xp.where(shifted(xp, named, moves), value, total)
        if total is None:  # no tap lands on this phase: the stride is larger than the kernel
            total = xp.broadcast_to(nothing, (*values.shape[: -len(corner)], *(phase.count for phase in corner)))
        parts[tuple(phase.start for phase in corner)] = total
    result = interleave(xp, parts, plan.windows)
    return result, not count or (hit is not None and arrays.all_true(xp.all(hit)))


def _target(xp: ModuleType, plan: UnpoolPlan, where: Any, taps: tuple[int, ...]) -> Any:
    """The index by which each cell names tap `taps` of its window; -1, which none names, in the padding."""
    if plan.local_indices:
        return scalar(xp, _flat(taps, tuple(axis.kernel for axis in plan.windows)), where)
    target = np.zeros((1,) * len(plan.axes), dtype=np.int64)
    inside = np.ones_like(target, dtype=bool)
    for place, (axis, tap) in enumerate(zip(plan.windows, taps, strict=True)):
        column = (1,) * place + (-1,) + (1,) * (len(plan.axes) - place - 1)
        position = axis.positions(tap).reshape(column)
        target = target * axis.large + position
        inside = inside & (position >= 0) & (position < axis.large)
    return arrays.from_table(xp, np.where(inside, target, -1), where, where.dtype)


def _flat(place: tuple[int, ...], shape: tuple[int, ...]) -> int:
    result = 0
    for p, n in zip(place, shape, strict=True):
        result = result * n + p
    return result


def _sorted(xp: ModuleType, plan: UnpoolPlan, values: Any, where: Any) -> Any:
    """Unpool indices that may be anywhere in the plane, planes in blocks that bound the temporaries."""
    spatial = len(plan.axes)
    lead = values.shape[:-spatial]
    positions = math.prod(plan.large_shape)
    cells = math.prod(plan.small_shape)
    values = xp.reshape(values, (-1, cells))
    where = xp.reshape(where, (-1, cells))
    planes = math.prod(lead)
    step = max(1, _SORTED_POSITIONS // positions)
    cuts = [slice(p, min(p + step, planes)) for p in range(0, planes, step)]
    blocks = [_sorted_block(xp, plan, values[cut, :], where[cut, :], positions) for cut in cuts]
    result = blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=0)
    return xp.reshape(result, (*lead, *plan.large_shape))


def _sorted_block(xp: ModuleType, plan: UnpoolPlan, values: Any, where: Any, positions: int) -> Any:
    planes = values.shape[0]
    everywhere = planes * positions
    integer = arrays.index_dtype(xp)
    base = arrays.from_table(xp, np.arange(planes)[:, None] * positions, where, integer)
    inside = xp.logical_and(where >= 0, where < positions)
    key = xp.reshape(xp.where(inside, where + base, scalar(xp, everywhere, where)), (-1,))
    order = xp.argsort(key, stable=True)
    key = xp.take(key, order, axis=0)
    value = xp.take(xp.reshape(values, (-1,)), order, axis=0)
    if plan.duplicates == "sum":
        value = _sums_of_runs(xp, key, value)
    target = arrays.from_table(xp, np.arange(everywhere), where, integer)
    last = arrays.astype(xp, not_above(xp, key, target), integer) - 1
    found = xp.where(last < 0, scalar(xp, 0, last), last)
    named = xp.logical_and(last >= 0, xp.take(key, found, axis=0) == target)
    result = xp.where(named, xp.take(value, found, axis=0), scalar(xp, 0, value))
    return xp.reshape(result, (planes, positions))


def _sums_of_runs(xp: ModuleType, key: Any, value: Any) -> Any:
    """Leave each run's sum at its end, added in one fixed order (Hillis and Steele's scan, 1986)."""
    reach = 1
    while reach < key.shape[0]:
        same = key[reach:] == key[:-reach]
        value = xp.concat([value[:reach], value[reach:] + xp.where(same, value[:-reach], scalar(xp, 0, value))], axis=0)
        reach *= 2
    return value


def _check(xp: ModuleType, plan: UnpoolPlan, indices: Any, names: tuple[str, str]) -> None:
    where = arrays.astype(xp, indices, arrays.index_dtype(xp))
    check_range(xp, plan, where, names)
    if plan.duplicates == "error":
        check_duplicates(xp, plan, where, names)
