"""Convert indices of a whole plane to indices of a part of it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.index_checks import legal, named_twice, outside
from upsample.errors import bad_value
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["check_twice", "localised", "raise_bad"]


def localised(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> tuple[UnpoolPlan, Any]:
    """Return the plan of the part alone, and its indices: -1 for those that are dropped.

    Raises IndexError for an index outside of the whole plane or window, ValueError for one outside of its own window,
    and for the duplicates that the plan forbids.
    """
    within = plan.within
    assert within is not None
    where = arrays.astype(xp, where, arrays.index_dtype(xp))
    if plan.check_indices:
        allowed = legal(plan)
        bad = xp.logical_or(where < allowed.start, where >= allowed.stop)
        if arrays.all_true(xp.any(bad)):
            raise_bad(plan, _on_host(where), names)
    if plan.local_indices:
        return replace(plan, within=None, check_indices=False), where
    if plan.has_full_planes:  # an index may lie outside of its own window, because all cells are at hand
        if plan.check_indices and plan.duplicates == "error":
            check_twice(plan, _on_host(where), _on_host(where), names)
            return replace(plan, within=None, duplicates="last"), where
        return replace(plan, within=None), where
    target, own = _targets(xp, plan, where)
    if plan.check_indices and not plan.trusted and not arrays.all_true(xp.all(own)):
        raise_bad(plan, _on_host(where), names)
    target = xp.where(own, target, xp.full_like(where, -1))
    if plan.check_indices and plan.duplicates == "error":
        check_twice(plan, _on_host(where), _on_host(target), names)
    return replace(plan, within=None, check_indices=False), target


def _on_host(x: Any) -> Any:
    """Return the values as a NumPy array, copied from a GPU; for errors."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def _targets(xp: ModuleType, plan: UnpoolPlan, where: Any) -> tuple[Any, Any]:
    """Return the position of each index in the part, -1 outside of it, and whether it is in its own window."""
    within = plan.within
    assert within is not None
    rest, target = where, xp.zeros_like(where)
    own = xp.logical_and(where >= 0, where < math.prod(within.plane))
    inside = own
    geometry = zip(plan.axes, within.weights, within.origin, strict=True)
    for number, (axis, weight, origin) in enumerate(geometry):
        place = rest // weight
        rest = rest - place * weight
        place = place - origin
        inside = xp.logical_and(inside, xp.logical_and(place >= 0, place < axis.large))
        target = target * axis.large + place
        if isinstance(axis, WindowAxis) and not plan.trusted:
            column = (-1,) + (1,) * (len(plan.axes) - number - 1)
            tap = place - arrays.from_table(xp, axis.positions(0).reshape(column), where, where.dtype)
            hit = xp.logical_and(tap >= 0, tap < axis.reach)
            own = xp.logical_and(own, xp.logical_and(hit, tap % axis.dilation == 0))
    return xp.where(inside, target, xp.full_like(where, -1)), own


def raise_bad(plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> None:
    """Raise the error for the first index that is outside of the whole plane or window, or of its own window."""
    within, allowed = plan.within, legal(plan)
    assert within is not None
    bad = (where < allowed.start) | (where >= allowed.stop)
    if not bad.any():
        _, own = _targets(np, plan, where)
        raise bad_value(
            *_named(plan, where, ~own, names),
            "it lies outside of its own window, which an array whose planes are in several chunks must not have",
            "pass the dilation= of the pooling, or rechunk to whole planes",
        )
    found = tuple(int(p) for p in np.argwhere(bad)[0])
    raise outside(plan, found, int(where[found]), names)


def _named(plan: UnpoolPlan, where: Any, bad: Any, names: tuple[str, str]) -> tuple[str, str, int]:
    """The operation, the place of the first bad index in the whole array, and its value."""
    assert plan.within is not None
    found = np.argwhere(bad)[0]
    place = [int(p) + first for p, first in zip(found, plan.within.first, strict=True)]
    return names[0], f"{names[1]}[{', '.join(map(str, place))}]", int(where[tuple(found)])


def check_twice(plan: UnpoolPlan, where: Any, target: Any, names: tuple[str, str]) -> None:
    """Raise ValueError if two cells name one position of the part."""
    assert plan.within is not None
    cells, size = math.prod(plan.small_shape), math.prod(plan.large_shape)
    flat = target.reshape(-1, cells)
    key = np.where(
        flat >= 0, flat + np.arange(len(flat))[:, None] * size, -1 - np.arange(flat.size).reshape(flat.shape)
    )
    _, first = np.unique(key, return_index=True)
    if len(first) == flat.size:
        return
    later = np.setdiff1d(np.arange(flat.size), first)[0]
    found = np.unravel_index(later, where.shape)
    place = tuple(int(p) + begin for p, begin in zip(found, plan.within.first, strict=True))
    raise named_twice(place, int(where[found]), names)
