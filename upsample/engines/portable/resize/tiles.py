"""Plan a resize by matrix products as tiles and their steps: plain numbers, cached between calls.

An array is seen as ``[outer, first resized axis … last resized axis, inner]``. A tile is a strip of the result's rows
on the first axis, of one plane, or several whole planes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Table
from upsample.caches import cached
from upsample.engines.portable.output import WORTH_SHARING
from upsample.engines.portable.resize.banded_matrix import (
    Band,
    bands,
    is_thin,
    multiply_columns,
    multiply_rows,
    table_of,
)
from upsample.plans.long_tables import PIECE
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.plans.taps import fixed_point, taps_between

__all__ = ["Layout", "Step", "Strip"]

_ROWS = 32
"""Rows of which the rows of a tile are a multiple, if a tile has as many."""
_FEW_ROWS = 4
"""Rows below which gathering is faster than a matrix product."""
_LONG = 1 << 16
"""Outputs of an axis above which gathering is used, because dense blocks would need more memory than the image."""
_GATHERED_BYTES = 1 << 19
"""Bytes of a gathered tile; its temporary arrays take several times as much."""
_WIDENED_BYTES = 1 << 20
"""Bytes of a tile of bytes that are summed in float32 and then in float64: larger ones are new memory in every call."""
_DENSE = 64
"""Most outputs of an axis that a matrix product resizes whatever the number of rows."""
_FEW_TAPS = 16
"""Taps up to which an axis that shrinks much is filtered by gathering."""
_FEW_VALUES = 16
"""Samples of fewer values are multiplied as rows of values."""
_SMALL = 1 << 12
"""Values of a result up to which it takes as few NumPy calls as possible, because each costs some microseconds."""
_FEW_COPIES = 4
"""Largest factor by which samples are repeated with one strided copy for each repetition."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What is done to one axis of a strip.

    Attributes
    ----------
    axis : int
        Of the canonical array.
    rule : AxisRule
        How it is resampled.
    begin, end, low : int
        The outputs, and the first input.
    before, inner : int
        How many samples of the axes in front a plane has, and values of those behind.
    in_shape, out_shape : tuple of int
        Of the tile before and behind, behind planes × `before`.
    copies : int
        How often each sample is repeated; 0 where that is not all.
    blocks : tuple of Band
        Matrices; none where samples are gathered.
    multiply : callable
        What multiplies by them.
    clamps : bool
        Whether uint8 may come out below 0 or above 255.
    sums : str
        The dtype of its sums.
    """

    axis: int
    rule: AxisRule
    begin: int
    end: int
    low: int
    before: int
    inner: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    copies: int
    blocks: tuple[Band, ...]
    multiply: Callable[[Any, Any, tuple[Band, ...], Any], None]
    clamps: bool
    sums: str

    @property
    def is_one_matrix(self) -> bool:
        """Whether one matrix takes all of the tile's samples to all of the result's."""
        return len(self.blocks) == 1 == self.blocks[0].count and self.blocks[0].size == self.in_shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Some rows of the result, in any plane.

    Attributes
    ----------
    source : tuple of int
        The input rows, from and to, that they are made of.
    every : tuple of Step
        Of every axis, in the plan's order.
    steps : tuple of Step
        Without those that copy.
    """

    source: tuple[int, int]
    every: tuple[Step, ...]
    steps: tuple[Step, ...]


class Layout:
    """All of a call but its arrays.

    Attributes
    ----------
    plan : ResizePlan
        What is laid out.
    name : str
        The array's dtype.
    result : tuple of int
        Shape of the result.
    shape : tuple of int
        Of the input as it is worked on.
    target : tuple of int
        Of the result as it is written: ``[outer, rows × each, the rest]``.
    each : int
        Values a row, where the rest is left away.
    rows : int
        Of a plane of the result.
    active, turns : list of (int, AxisRule)
        The axes of `shape` that change, ascending; in the order in which they are filtered.
    moves, integers : bool
        Whether values only move; whether they are integers, else, whose sums are rounded.
    fixed : bool
        Whether integers are weighed by multiples of a power of two.
    ordered : bool
        Whether sums keep the order of the taps, and go without matrices.
    sums : str
        The dtype of sums.
    direct : bool
        Whether the last step makes the result itself.
    tiles : int
        How many there are.
    gathered : bool
        Whether some axis is so long that tiles take much memory, and are made one after the other.
    index : ndarray or None
        Where values only move and a plane is small, the source of each of its values.
    matrices : list of (tuple of int, ndarray, bool)
        Where values do not, and the array is small: for each axis a shape, a matrix, and whether that comes first.
    """

    def __init__(self, plan: ResizePlan, shape: tuple[int, ...], name: str, item: int, most: int) -> None:
        self.plan, self.name = plan, name
        self.result = plan.out_shape(shape)
        self.active = sorted(plan.active_rules(), key=lambda turn: turn[0])
        self.moves = plan.only_moves
        self.integers = name in arrays.INTEGER and not self.moves
        self.fixed = self.integers and plan.arithmetic.sums == "fixed"
        self.ordered = plan.arithmetic.ordered and not self.moves
        self.index: Table | None = None
        self.matrices: list[tuple[tuple[int, ...], Table, bool]] = []
        if not self.active or 0 in self.result:
            self.sums = name
            return
        turns = [axis - self.active[0][0] + 1 for axis, _ in plan.active_rules()]
        self.shape, after, self.active = _canonical(shape, self.active)
        self.turns = [(axis, dict(self.active)[axis]) for axis in turns]
        self.sums = name if self.moves else arrays.accumulator(name)
        if self.fixed:  # in which they are exact
            exact = all(fixed_point(rule).fits_float32 for _, rule in self.active)
            self.sums = "float32" if exact else "float64"
        elif self.integers or self.ordered:
            self.sums = plan.arithmetic.sums
        self.rows = after[1]
        rest = math.prod(after[2:])
        alone = len(self.active) == 1 and (rest == 1 or (rest < _FEW_VALUES and not self.moves))
        self.each = rest if alone else 1
        self.target = (after[0], self.rows * rest) if alone else (after[0], self.rows, rest)
        self.direct = not self.integers and not (self.active[0][1].copies and not self.moves)
        self.direct = self.direct and self.turns == self.active[::-1]
        self.gathered = max(rule.out_size for _, rule in self.active) > _LONG
        if self.gathered or (self.fixed and self.active[0][1].places):
            most = min(most, _GATHERED_BYTES if self.gathered else _WIDENED_BYTES)
        cell = item if self.moves else max(item, 8 if self.sums == "float64" else 4)
        self._tile = _tile_size(self.shape, after, self.active[0][1], cell, most)
        self.tiles = math.prod(-(-n // each) for n, each in zip((after[0], self.rows), self._tile, strict=True))
        if math.prod(after) <= _SMALL:
            self._shorten(name)

    def _shorten(self, name: str) -> None:
        """Make ready for few values, where every call of the library counts."""
        strip, outer = self.strip(0, self.rows), self.shape[0]
        if self.moves:
            taken = {s.axis: taps_between(s.rule, 0, s.rule.out_size).first for s in strip.every}
            self.index = np.zeros(1, dtype=np.int64)
            for axis, size in enumerate(self.shape[1:], start=1):
                source = taken[axis] if axis in taken else np.arange(size)
                self.index = (self.index[:, None] * size + source).reshape(-1)
        elif name == self.sums in arrays.FLOATING and not self.ordered and strip.source == (0, self.shape[1]):
            if not all(step.is_one_matrix for step in strip.steps):
                return
            self.matrices = [
                ((outer * s.before, *s.in_shape), s.blocks[0].matrix[0], s.multiply is multiply_columns)
                for s in strip.steps
            ]

    def tile(self, number: int) -> tuple[slice, int, int]:
        """Return the planes of a tile, and its rows from and to."""
        planes, rows = self._tile
        plane, row = divmod(number, -(-self.rows // rows))
        return slice(plane * planes, (plane + 1) * planes), row * rows, min((row + 1) * rows, self.rows)

    def strip(self, begin: int, end: int) -> Strip:
        """Return the cached steps for rows ``[begin, end)``."""
        return _strip(self, begin, end)

    def make_strip(self, begin: int, end: int) -> Strip:
        """Make the steps for rows ``[begin, end)``."""
        table = taps_between(self.active[0][1], begin, end)
        low, high = table.span
        sizes = [1, high - low, *self.shape[2:]]
        every = []
        for axis, rule in self.turns:
            part = (begin, end, low) if axis == 1 else (0, rule.out_size, 0)
            every.append(self._step(axis, rule, sizes, *part))
            sizes[axis] = part[1] - part[0]
        return Strip((low, high), tuple(every), tuple(s for s in every if self.moves or not s.rule.copies))

    def _step(self, axis: int, rule: AxisRule, sizes: list[int], begin: int, end: int, low: int) -> Step:
        before, inner = math.prod(sizes[:axis]), math.prod(sizes[axis + 1 :])
        as_rows = inner == 1 or (inner < _FEW_VALUES and not self.moves)
        if axis == 1 and len(self.target) == 3:  # as the target has it
            as_rows = False
        shapes = [(n * inner,) if as_rows else (n, inner) for n in (sizes[axis], end - begin)]
        copies = (
            _copies(rule, begin, end, low, sizes[axis]) if self.moves and (inner == 1 or inner >= _FEW_VALUES) else 0
        )
        few = as_rows and before * self.shape[0] < _FEW_ROWS and rule.out_size > _DENSE
        blocks: tuple[Band, ...] = ()
        sums = "float32" if self.fixed and fixed_point(rule).fits_float32 else self.sums
        few = few or (is_thin(rule) and table_of(rule, self.fixed, begin, end).longest <= _FEW_TAPS)
        if not self.moves and not few and rule.out_size <= _LONG:
            blocks = bands(rule, self.fixed, begin, end, low, inner if as_rows else 1, not as_rows, sums)
        multiply = multiply_rows if as_rows else multiply_columns
        clamps = self.fixed and _overshoots(rule)
        return Step(
            axis, rule, begin, end, low, before, inner, shapes[0], shapes[1], copies, blocks, multiply, clamps, sums
        )


@cached
def _strip(layout: Layout, begin: int, end: int) -> Strip:
    return layout.make_strip(begin, end)


def _canonical(
    shape: tuple[int, ...], active: list[tuple[int, AxisRule]]
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, AxisRule]]]:
    """Return the shapes before and behind, as (outer, resized axes, inner), and the axes in them.

    `inner` is left away where it is 1, so that the last axis is the contiguous one.
    """
    first, last = active[0][0], active[-1][0]
    inner = math.prod(shape[last + 1 :])
    moved = [(axis - first + 1, rule) for axis, rule in active]
    sizes = [math.prod(shape[:first]), *shape[first : last + 1], *((inner,) if inner > 1 else ())]
    before = tuple(sizes)
    for axis, rule in moved:
        sizes[axis] = rule.out_size
    return before, tuple(sizes), moved


def _tile_size(
    before: tuple[int, ...], after: tuple[int, ...], rule: AxisRule, item: int, most: int
) -> tuple[int, int]:
    """Planes and rows of the result a tile: several small planes, or a strip of a large one."""
    larger = [max(pair) for pair in zip(before, after, strict=True)]
    row = math.prod(larger[2:]) * item
    plane = larger[1] * row
    if plane <= most:
        share = -(-after[0] // 2) if math.prod(after) > WORTH_SHARING else after[0]
        return max(1, min(most // plane, share)), after[1]
    input_rows_each = max(1.0, rule.in_size / rule.out_size)
    rows = int(most / (row * input_rows_each))
    return 1, rows // _ROWS * _ROWS if rows >= _ROWS else max(rows, 1)


@cached
def _overshoots(rule: AxisRule) -> bool:
    """Whether a rounded sum of bytes may be no byte."""
    weight = fixed_point(rule).table.weight
    step = max(1, PIECE // weight.shape[1])
    pieces = (weight[begin : begin + step] for begin in range(0, len(weight), step))
    return any((some < 0).any() or 255.0 * some.sum(axis=1).max() + 0.5 >= 256.0 for some in pieces)


@cached
def _copies(rule: AxisRule, begin: int, end: int, low: int, inputs: int) -> int:
    """How often outputs ``[begin, end)`` repeat each of the `inputs` from `low` on; 0 if that is not all they do."""
    first, times = taps_between(rule, begin, end).first, (end - begin) // inputs
    regular = times * inputs == end - begin and (first - low == np.arange(end - begin) // times).all()
    return times if regular and times <= _FEW_COPIES else 0
