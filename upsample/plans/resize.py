"""The plan of a resize: a rule for each axis.

Two coordinate maps carry every method; sample ``i`` of the output lies at ``c`` of the input::

    half-pixel        c = (i + 1/2) * step - 1/2     samples are cells; the outer edges of both rows of cells meet
    aligned corners   c = i * step                   samples are points; the first and last points of both rows meet

    input        |    0    |    1    |    2    |
    output 6     | 0  | 1  | 2  | 3  | 4  | 5  |     half-pixel, step 3/6
    output 6          0   1   2   3   4   5          aligned corners, step 2/5

A gradient is the same with every rule transposed: what an input gave to some outputs, it gets back from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any

from upsample.caches import cached
from upsample.plans.arithmetic import TORCH_BYTES, Arithmetic
from upsample.plans.makers import MAKERS

__all__ = ["AxisRule", "Cut", "ResizePlan", "Rounding", "identity", "tabled"]

_SHORT = 16
"""Samples of a row below which axes that grow are filtered first to last: such columns are as quick as rows."""


class Rounding(Enum):
    """In which precision a dialect computes its coordinates: bit parity depends on it."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT64_FLOORF = "float64, but floored by way of float32"
    """torch on float64 arrays: its floorf rounds a coordinate just under a whole number up to it."""


@dataclass(frozen=True, slots=True)
class AxisRule:
    """All of one axis.

    Attributes
    ----------
    in_size, out_size : int
        Samples.
    method : str
        A name of `upsample.plans.filters.FILTERS`.
    step : tuple of float
        Input samples per output sample, as a ratio: ``(n, o)`` divides after the product and so is exact where
        the product is an integer; ``(s, 1.0)`` multiplies by a step that is rounded already.
    corners : bool
        Aligned corners instead of half-pixel.
    antialias : bool
        Widen the filter by the step where that is over 1.
    cubic_coeff : float
        Keys' a, for the cubic method.
    rounding : Rounding
        Precision of the coordinates.
    transposed : bool
        The rule is that of the gradient: `in_size` counts the samples that the method makes, `out_size` those that it
        takes, and all else is as it was.
    table : tuple
        A name of `upsample.plans.makers.MAKERS` and the maker's numbers, where that makes the table; `method` and what
        follows it mean nothing then. Empty where they do. See `tabled`.
    bits : int
        Binary places of the weights in integer arithmetic; 0 for as many as torch takes.
    places : tuple of int or None
        Binary places of the 16-bit numbers that the axis' sums are made of, and of those that they become, in integer
        arithmetic that rounds once (`upsample.plans.arithmetic.BYTES`): 0 where those are bytes. None where each axis
        is rounded to bytes.
    skips_zeros : bool
        A sample of weight zero at an end of an output's taps does not count, even if it is NaN or infinite. In torch's
        dialect it does, and so do merged taps whose signs differ.
    cut : Cut or None
        For a part of an axis: which one. Its table is a slice of the table of the whole axis, so that its weights have
        the same bits. See `upsample.plans.resize_parts`.
    """

    in_size: int
    out_size: int
    method: str
    step: tuple[float, float]
    corners: bool
    antialias: bool
    cubic_coeff: float
    rounding: Rounding
    transposed: bool = False
    table: tuple[str | int | float, ...] = ()
    bits: int = 0
    places: tuple[int, int] | None = None
    skips_zeros: bool = False
    cut: Cut | None = None
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = (self.in_size, self.out_size, self.method, self.step, self.corners, self.antialias, self.cubic_coeff)
        more = (self.rounding, self.transposed, self.table, self.bits, self.places, self.skips_zeros, self.cut)
        object.__setattr__(self, "_hash", hash((values, more)))

    def __hash__(self) -> int:
        return self._hash  # computed once, because every table is looked up by its rule

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self) if f.init)  # text hashes by process

    def transpose(self) -> AxisRule:
        """Return the rule of the gradient; of a gradient's, the rule it came from."""
        return replace(self, in_size=self.out_size, out_size=self.in_size, transposed=not self.transposed)

    @property
    def moves(self) -> bool:
        """Whether every output sample is a copy of one input sample."""
        return self.is_identity or (not self.transposed and self._points)

    @property
    def _points(self) -> bool:
        """Whether the method, or the maker, takes one input sample for an output sample."""
        return MAKERS[str(self.table[0])].moves if self.table else self.method in ("nearest", "nearest-exact")

    @property
    def is_identity(self) -> bool:
        """Whether every output sample is the input sample of its own number."""
        return self.copies and self.method == "nearest"

    @property
    def copies(self) -> bool:
        """Whether only infinities change: torch's linear mode makes them NaN even on an axis that keeps its size."""
        if self.cut is not None:
            return self.cut.whole.copies
        same = self.in_size == self.out_size and self.step == (1.0, 1.0)
        return same and self.method in ("nearest", "linear") and not self.antialias and not self.table


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a part of an axis lies in the whole axis.

    Attributes
    ----------
    whole : AxisRule
        The rule of the whole axis.
    begin, low : int
        The outputs of the part begin at `begin`, its inputs at `low`.
    """

    whole: AxisRule
    begin: int
    low: int


def identity(size: int) -> AxisRule:
    """Return the rule of an axis that stays as it is."""
    return AxisRule(size, size, "nearest", (1.0, 1.0), False, False, 0.0, Rounding.FLOAT64)


def tabled(in_size: int, out_size: int, *table: str | int | float, bits: int) -> AxisRule:
    """Return the rule of an axis whose table a maker makes: its name, and its numbers."""
    return AxisRule(
        in_size, out_size, "linear", (1.0, 1.0), False, False, 0.0, Rounding.FLOAT64, table=table, bits=bits
    )


@dataclass(frozen=True, slots=True)
class ResizePlan:
    """What a resize does: a rule for each resized axis, axes ascending and none twice.

    Attributes
    ----------
    axes : tuple of int
        The axes, ascending.
    rules : tuple of AxisRule
        The rule of each.
    order : tuple of int
        The same axes in the order in which they are filtered; empty for the last one first, or, where nothing is
        rounded between them, for the order that the sizes decide (`filtered`). A part of a plan has the order of the
        whole plan, because its own sizes may decide otherwise.
    arithmetic : Arithmetic
        How an array of integers is summed and rounded.
    """

    axes: tuple[int, ...]
    rules: tuple[AxisRule, ...]
    order: tuple[int, ...] = ()
    arithmetic: Arithmetic = TORCH_BYTES
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.axes, self.rules, self.order, self.arithmetic)))

    def __hash__(self) -> int:
        return self._hash  # computed once, because engines look every call up by its plan

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self) if f.init)  # text hashes by process

    def filtered(self, rounds: bool) -> tuple[int, ...]:
        """Return the axes that change, in the order in which they are filtered.

        Values that are rounded after each axis (`rounds`) show the order: the last axis is first, as in torch. For
        others, axes that shrink come first, down the columns before along the rows, so that less is left for the
        next ones. Of the axes that grow, the last comes first, unless rows are short.
        """
        active = [(axis, rule) for axis, rule in zip(self.axes, self.rules, strict=True) if not rule.is_identity]
        if self.order:
            return tuple(axis for axis, _ in self.turns())
        if rounds:
            return tuple(axis for axis, _ in reversed(active))
        shrink = [axis for axis, rule in active if rule.out_size < rule.in_size]
        grow = [axis for axis, rule in active if rule.out_size >= rule.in_size]
        short = bool(active) and active[-1][1].in_size < _SHORT
        return (*shrink, *(grow if short else grow[::-1]))

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the result for an array of `shape`."""
        sizes = list(shape)
        for axis, rule in zip(self.axes, self.rules, strict=True):
            sizes[axis] = rule.out_size
        return tuple(sizes)

    def turns(self) -> tuple[tuple[int, AxisRule], ...]:
        """Return the axes that change and their rules, in the order in which they are filtered."""
        rules = dict(zip(self.axes, self.rules, strict=True))
        return tuple((axis, rules[axis]) for axis in self.order or self.axes[::-1] if not rules[axis].is_identity)

    @property
    def only_moves(self) -> bool:
        """Whether every output is a copy of one input, so that any dtype can be taken."""
        return all(rule.moves for rule in self.rules)

    def moved(self, by: int) -> ResizePlan:
        """Return the same plan for an array with `by` more leading axes."""
        axes, order = (tuple(axis + by for axis in each) for each in (self.axes, self.order))
        return replace(self, axes=axes, order=order) if by else self

    def transpose(self) -> ResizePlan:
        """Return the plan of the gradient; the same object again for an equal plan, as engines remember plans."""
        return _transposed(self)


@cached
def _transposed(plan: ResizePlan) -> ResizePlan:
    return replace(plan, rules=tuple(rule.transpose() for rule in plan.rules), order=plan.order[::-1])
