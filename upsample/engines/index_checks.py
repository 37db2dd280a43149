"""What is wrong with the indices of an unpooling: the checks that every engine's errors come from."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.portable.results import scalar
from upsample.errors import bad_index, bad_value
from upsample.plans.window import UnpoolPlan

__all__ = ["check_duplicates", "check_range", "legal"]


def legal(plan: UnpoolPlan) -> range:
    """Return the legal indices."""
    size = math.prod((axis.kernel if plan.local_indices else axis.large) for axis in plan.windows)
    return range(-size if plan.local_indices else 0, size)


def check_range(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> None:
    """Raise IndexError that names the first index outside of its window or plane, if there is one."""
    allowed = legal(plan)
    bad = xp.logical_or(where < allowed.start, where >= allowed.stop)
    if not arrays.all_true(xp.any(bad)):
        return
    place, value = _first(xp, bad, where)
    of = "window" if plan.local_indices else "output plane"
    shape = tuple(axis.kernel for axis in plan.windows) if plan.local_indices else plan.large_shape
    raise bad_index(
        names[0],
        f"{names[1]}[{', '.join(map(str, place))}]",
        value,
        f"the {of} {shape} has indices {allowed.start} to {allowed.stop - 1}",
        "pass the indices of the pooling that made the input"
        if plan.local_indices
        else "pass the indices of the pooling that made the input, and its input's size as output_size=",
    )


def check_duplicates(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> None:
    """Raise ValueError that names the first cell whose index an earlier cell of its plane has, if there is one."""
    cells = math.prod(plan.small_shape)
    flat = xp.reshape(where, (-1, cells))
    order = xp.argsort(flat, axis=-1, stable=True)
    ordered = xp.sort(flat, axis=-1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    if not arrays.all_true(xp.any(repeated)):
        return
    planes = xp.reshape(repeated, (-1,))
    plane = int(xp.argmax(arrays.astype(xp, planes, xp.uint8))) // (cells - 1)
    later = xp.where(repeated[plane, :], order[plane, 1:], scalar(xp, cells, order))
    cell = int(xp.min(later))
    place = np.unravel_index(plane * cells + cell, where.shape)
    raise bad_value(
        names[0],
        f"{names[1]}[{', '.join(str(int(p)) for p in place)}]",
        int(flat[plane, cell]),
        "an earlier cell of the same plane names that position too and duplicates='error'",
        "pass duplicates='last' or 'sum'",
    )


def _first(xp: ModuleType, bad: Any, where: Any) -> tuple[tuple[int, ...], int]:
    flat = int(xp.argmax(arrays.astype(xp, xp.reshape(bad, (-1,)), xp.uint8)))
    place = tuple(int(p) for p in np.unravel_index(flat, where.shape))
    return place, int(xp.reshape(where, (-1,))[flat])
