"""How each axis of an array is resampled.

Two coordinate maps carry every method; sample ``i`` of the output lies at ``c`` of the input::

    half-pixel        c = (i + 1/2) * step - 1/2     samples are cells; the outer edges of both rows of cells meet
    aligned corners   c = i * step                   samples are points; the first and last points of both rows meet

    input        |    0    |    1    |    2    |
    output 6     | 0  | 1  | 2  | 3  | 4  | 5  |     half-pixel, step 3/6
    output 6          0   1   2   3   4   5          aligned corners, step 2/5

A gradient is the same with every rule transposed: what an input gave to some outputs, it gets back from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from upsample.plans.makers import MAKERS

__all__ = ["AxisRule", "ResizePlan", "Rounding", "identity", "tabled"]


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
        """The same but for infinities, which torch's linear turns into NaN even where nothing is resampled."""
        same = self.in_size == self.out_size and self.step == (1.0, 1.0)
        return same and self.method in ("nearest", "linear") and not self.antialias and not self.table


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

    The last axis is filtered first, as torch does; for uint8, which rounds after each axis, the order shows.

    Attributes
    ----------
    axes : tuple of int
        The axes, ascending.
    rules : tuple of AxisRule
        The rule of each.
    order : tuple of int
        The same axes in the order in which they are filtered; empty for the last one first, or, where nothing is
        rounded between them, for the order that an engine finds fastest.
    """

    axes: tuple[int, ...]
    rules: tuple[AxisRule, ...]
    order: tuple[int, ...] = ()

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

    def transpose(self) -> ResizePlan:
        """Return the plan of the gradient; the same object again for an equal plan, as engines remember plans."""
        return _transposed(self)


@lru_cache(maxsize=512)
def _transposed(plan: ResizePlan) -> ResizePlan:
    return replace(plan, rules=tuple(rule.transpose() for rule in plan.rules), order=plan.order[::-1])
