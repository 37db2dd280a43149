"""Index lists of the GEMMs: which taps multiply which cells, for each phase.

A result consists of phases (polyphase decomposition). The positions of a phase have the same remainders modulo the
strides of the result, so they have the same taps. Position ``j`` of a line of a phase reads cell ``j + shift`` for each
tap. A source consists of grids: the cells of a grid have the same remainders modulo the strides of the source. A
transposed convolution has many phases and one grid; a convolution has one phase and many grids.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines.cpu.runtime.compile import frozen
from upsample.plans.phases import Phase, phases
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["Lists", "Side", "meet_lists", "spread_lists"]


_GRIDS = 4
"""Most grids of cells along a short axis; with as many shifts or fewer, each shift has a separate grid."""


@dataclass(frozen=True, slots=True)
class Side:
    """An axis.

    Attributes
    ----------
    positions, stride : int
        Of the result, and how far apart those of a phase are.
    cells, step : int
        Of the source, and how far apart those of a grid are.
    kernel : int
        Taps of a window.
    phases : tuple of Phase
        Of the result; ``cells`` are shifts in a grid.
    grids : tuple of tuple of int
        For each tap of each phase, which grid it reads, by the cell that this begins with.
    """

    positions: int
    stride: int
    cells: int
    step: int
    kernel: int
    phases: tuple[Phase, ...]
    grids: tuple[tuple[int, ...], ...]


class _Windows(NamedTuple):
    """The taps, shifts and grids of each phase of an axis; they do not depend on the axis's size. See `Side`.

    `firsts` are the cells with which the grids begin.
    """

    kernel: int
    taps: tuple[tuple[int, ...], ...]
    shifts: tuple[tuple[int, ...], ...]
    grids: tuple[tuple[int, ...], ...]
    firsts: tuple[int, ...]

    @classmethod
    def of(cls, side: Side) -> _Windows:
        """Return the windows of a side."""
        taps, shifts = (tuple(getattr(phase, name) for phase in side.phases) for name in ("taps", "cells"))
        return cls(side.kernel, taps, shifts, side.grids, tuple(_firsts(side)))


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The taps of all phases.

    Attributes
    ----------
    sides : tuple of Side
        Two or more.
    begins : array
        Where the list of each phase begins, those of the last axis side by side.
    order : array
        Taps of all lists.
    shifts : array
        ``[taps of all lists, axes]``: the cells that they bring to position 0 of their phase.
    grids : array
        ``[taps of all lists]``: the grid, as a number.
    firsts : tuple of tuple of int
        Of each grid that is read, the cell that it begins with on each axis; there may be none before 0.
    low, high : tuple of int
        The least and the greatest shift of each axis, 0 between them.
    """

    sides: tuple[Side, ...]
    begins: NDArray
    order: NDArray
    shifts: NDArray
    grids: NDArray
    firsts: tuple[tuple[int, ...], ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


@cached
def spread_lists(plan: ConvTransposePlan, lanes: int) -> Lists:
    """The lists of a transposed convolution, for vectors of so many lanes."""
    return _lists([_spread(axis) for axis in plan.axes], lanes)


@cached
def meet_lists(plan: ConvTransposePlan, lanes: int) -> Lists:
    """The lists of its transpose by its input, which reads large planes and makes small ones."""
    return _lists([_meet(axis) for axis in plan.axes], lanes)


def _spread(axis: WindowAxis) -> Side:
    some = phases(axis)
    grids = tuple((0,) * len(phase.taps) for phase in some)
    return Side(axis.large, axis.stride, axis.small, 1, axis.kernel, some, grids)


def _meet(axis: WindowAxis) -> Side:
    taps = tuple(axis.useful_taps())
    places = [divmod(tap * axis.dilation - axis.padding, axis.stride) for tap in taps]
    phase = Phase(0, axis.small, taps, tuple(shift for shift, _ in places))
    return Side(axis.small, 1, axis.large, axis.stride, axis.kernel, (phase,), (tuple(rest for _, rest in places),))


def _unshifted(side: Side) -> Side:
    """Give each shift a separate grid, which begins later by the shift: lines then need no zeros between them."""
    grids = (
        tuple(first + shift * side.step for first, shift in zip(some, phase.cells, strict=True))
        for some, phase in zip(side.grids, side.phases, strict=True)
    )
    return replace(
        side, phases=tuple(replace(phase, cells=(0,) * len(phase.cells)) for phase in side.phases), grids=tuple(grids)
    )


def _firsts(side: Side) -> list[int]:
    return sorted({first for some in side.grids for first in some}) or [0]


def _lists(sides: list[Side], lanes: int) -> Lists:
    if len(sides) == 1:
        sides = [Side(1, 1, 1, 1, 1, (Phase(0, 1, (0,), (0,)),), ((0,),)), *sides]
    short = _unshifted(sides[-1])
    if short.phases[0].count < lanes and len(_firsts(short)) <= _GRIDS:
        sides = [*sides[:-1], short]
    return Lists(tuple(sides), *_tables(tuple(map(_Windows.of, sides))))


@cached
def _tables(
    sides: tuple[_Windows, ...],
) -> tuple[NDArray, NDArray, NDArray, NDArray, tuple[tuple[int, ...], ...], tuple[int, ...], tuple[int, ...]]:
    """Return the attributes of `Lists` after `sides`. Axes of other sizes with the same windows share them."""
    order, shifts, grids = [], [], []
    for corner in itertools.product(*(range(len(side.taps)) for side in sides)):
        chosen = list(zip(sides, corner, strict=True))
        order.append(_joined((side.kernel, side.taps[n]) for side, n in chosen))
        numbers = ([side.firsts.index(first) for first in side.grids[n]] for side, n in chosen)
        grids.append(_joined(zip((len(side.firsts) for side in sides), numbers, strict=True)))
        cells = (np.asarray(side.shifts[n], dtype=np.int64) for side, n in chosen)
        shifts.append(np.stack(np.meshgrid(*cells, indexing="ij"), axis=-1).reshape(-1, len(sides)))
    begins = np.cumsum([0, *map(len, order)], dtype=np.int64)
    moved = np.concatenate(shifts)
    low, high = moved.min(axis=0, initial=0), moved.max(axis=0, initial=0)
    return (
        frozen(begins),
        frozen(np.concatenate(order)),
        moved,
        np.concatenate(grids),
        tuple(itertools.product(*(side.firsts for side in sides))),
        tuple(map(int, low)),
        tuple(map(int, high)),
    )


def _joined(axes: Iterable[tuple[int, Sequence[int]]]) -> NDArray:
    """Number all combinations in row-major order, from the extent and the numbers of each axis."""
    joined = np.zeros(1, dtype=np.int64)
    for extent, numbers in axes:
        joined = np.add.outer(joined * extent, np.asarray(numbers, dtype=np.int64)).reshape(-1)
    return joined
