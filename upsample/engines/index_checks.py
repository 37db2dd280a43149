"""Check the indices of an unpooling; every engine raises the errors of this module."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.portable.output import scalar
from upsample.errors import bad_index, bad_value
from upsample.plans.window import UnpoolPlan

__all__ = ["check_duplicates", "check_range", "legal", "named_twice", "outside", "signed"]

_LARGEST = 2**63 - 1
"""Largest int64; no plane has so many positions."""
_SORTED = 1 << 20
"""Indices that one NumPy call sorts or compares: few enough to keep Ctrl-C responsive."""


def legal(plan: UnpoolPlan) -> range:
    """Return the legal indices."""
    size = math.prod((axis.kernel if plan.local_indices else axis.large) for axis in plan.windows)
    if plan.within is not None and not plan.local_indices:
        size = math.prod(plan.within.plane)
    return range(-size if plan.local_indices else 0, size)


def signed(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str] | None) -> Any:
    """Return uint64 indices as int64; IndexError for one that int64 lacks, or the largest int64 if none may be raised.

    A plain conversion would make ``2**64 - 1`` the index -1, which is legal in a window. Other dtypes are returned as
    they are. Without `names`, or where the plan checks no indices, nothing is raised.
    """
    if arrays.dtype_name(where) != "uint64":
        return where
    wrapped = arrays.astype(xp, where, xp.int64)
    is_wide = wrapped < scalar(xp, 0, wrapped)
    made = xp.where(is_wide, scalar(xp, _LARGEST, wrapped), wrapped)
    if names is None or plan.check_indices is not True or arrays.is_abstract(where):
        return made
    if arrays.all_true(xp.any(is_wide)):
        bad = arrays.astype(xp, xp.reshape(made >= scalar(xp, legal(plan).stop, made), (-1,)), xp.uint8)
        place = tuple(int(p) for p in np.unravel_index(int(xp.argmax(bad)), where.shape))
        raise outside(plan, place, int(wrapped[place]) % 2**64, names)
    return made


def check_range(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> None:
    """Raise IndexError that names the first index outside of its window or plane, if there is one."""
    allowed = legal(plan)
    looked = (
        (*piece, xp.logical_or(piece[1] < allowed.start, piece[1] >= allowed.stop)) for piece in _pieces(xp, where)
    )
    found = next((each for each in looked if arrays.all_true(xp.any(each[2]))), None)
    if found is None:
        return
    begin, part, bad = found
    at = int(xp.argmax(arrays.astype(xp, xp.reshape(bad, (-1,)), xp.uint8)))
    place = tuple(int(p) for p in np.unravel_index(begin + at, where.shape))
    raise outside(plan, place, int(xp.reshape(part, (-1,))[at]), names)


def outside(plan: UnpoolPlan, place: tuple[int, ...], value: int, names: tuple[str, str]) -> IndexError:
    """Return the error for an index outside of its window or plane; `place` is that in the part, if it is one."""
    allowed, shape = legal(plan), plan.large_shape
    if plan.local_indices:
        shape = tuple(axis.kernel for axis in plan.windows)
    elif plan.within is not None:
        shape = plan.within.plane
    first = (0,) * len(place) if plan.within is None else plan.within.first
    remedy = "pass the indices of the pooling that made the input"
    if not plan.local_indices and plan.within is None:
        remedy += ", and its input's size as output_size="
    return bad_index(
        names[0],
        f"{names[1]}[{', '.join(str(p + begin) for p, begin in zip(place, first, strict=True))}]",
        value,
        f"the {'window' if plan.local_indices else 'output plane'} {shape} has indices {allowed.start} to "
        f"{allowed.stop - 1}",
        remedy,
    )


def check_duplicates(xp: ModuleType, plan: UnpoolPlan, where: Any, names: tuple[str, str]) -> None:
    """Raise ValueError that names the first cell whose index an earlier cell of its plane has, if there is one."""
    cells = math.prod(plan.small_shape)
    flat = _flat(where) if xp is np else xp.reshape(where, (-1,))
    planes = math.prod(where.shape) // cells
    step = max(1, _SORTED // cells) if xp is np else planes
    first = _first_of_many if xp is np and cells > _SORTED else partial(_first_twice, xp)
    for begin in range(0, planes, step):
        some = xp.reshape(flat[begin * cells : min(begin + step, planes) * cells], (-1, cells))
        found = first(some)
        if found is None:
            continue
        place = np.unravel_index(begin * cells + found[0] * cells + found[1], where.shape)
        raise named_twice(tuple(map(int, place)), int(some[found]), names)


def named_twice(place: tuple[int, ...], value: int, names: tuple[str, str]) -> ValueError:
    """Return the error for the cell at `place`, whose index an earlier cell of its plane has."""
    return bad_value(
        names[0],
        f"{names[1]}[{', '.join(map(str, place))}]",
        value,
        "an earlier cell of the same plane names that position too and duplicates='error'",
        "pass duplicates='last' or 'sum'",
    )


def _first_twice(xp: ModuleType, flat: Any) -> tuple[int, int] | None:
    """Return the plane and the cell of the first index that an earlier cell of its plane has, if there is one."""
    ordered = xp.sort(flat, axis=-1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    if not arrays.all_true(xp.any(repeated)):
        return None
    cells = flat.shape[1]
    plane = int(xp.argmax(arrays.astype(xp, xp.reshape(repeated, (-1,)), xp.uint8))) // (cells - 1)
    order = xp.argsort(flat[plane, :], stable=True)
    later = xp.where(repeated[plane, :], order[1:], scalar(xp, cells, order))
    return plane, int(xp.min(later))


def _first_of_many(flat: Any) -> tuple[int, int] | None:
    """Check one plane of a NumPy array of legal indices; sort a piece at a time."""
    least, most = int(flat.min()), int(flat.max())
    seen = np.zeros(most - least + 1, dtype=bool)
    for begin in range(0, flat.shape[1], _SORTED):
        part = flat[:, begin : begin + _SORTED].astype(np.int64) - least
        again, twice = np.flatnonzero(seen[part[0]]), _first_twice(np, part)
        cells = [*again[:1].tolist(), *(() if twice is None else twice[1:])]
        if cells:
            return 0, begin + min(cells)
        seen[part[0]] = True
    return None


def _pieces(xp: ModuleType, where: Any) -> Iterator[tuple[int, Any]]:
    """Yield the indices, those of NumPy a piece at a time, and the number of the first of each piece."""
    if xp is not np:
        yield 0, where
        return
    flat = _flat(where)
    for begin in range(0, where.size, _SORTED):
        yield begin, flat[begin : begin + _SORTED].astype(np.int64, copy=False)


def _flat(where: Any) -> Any:
    """Return a NumPy array's values in row-major order, of which a slice is copied if the array is not contiguous."""
    return where.reshape(-1) if where.flags.c_contiguous else where.flat
