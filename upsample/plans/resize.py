"""The plan of a resize: a rule for each axis.

All methods use one of two coordinate maps; sample ``i`` of the output has coordinate ``c`` in the input::

    half-pixel        c = (i + 1/2) * step - 1/2     samples are cells; the outer edges of both rows of cells coincide
    aligned corners   c = i * step                   samples are points; the first and last points of both coincide

    input        |    0    |    1    |    2    |
    output 6     | 0  | 1  | 2  | 3  | 4  | 5  |     half-pixel, step 3/6
    output 6          0   1   2   3   4   5          aligned corners, step 2/5

The plan of a gradient has the transpose of each rule: each input receives the gradients of its outputs, times the
weights.
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
"""Least samples of a row for which axes that grow are filtered last to first: columns of shorter rows are as fast."""


class Rounding(Enum):
    """The precision in which a dialect computes its coordinates; the bits of results depend on it."""

    FLOAT64 = "float64"
    FLOAT32 = "float32"
    FLOAT64_FLOORF = "float64, but floored by way of float32"
    """torch's precision for float64 arrays: its floorf rounds a coordinate just below an integer up to it."""


@dataclass(frozen=True, slots=True)
class AxisRule:
    """How one axis is resampled: an engine needs no more to compute its table.

    Attributes
    ----------
    in_size, out_size : int
        Numbers of input and output samples.
    method : str
        A name of `upsample.plans.filters.FILTERS`.
    step : tuple of float
        Input samples per output sample, as a ratio: ``(n, o)`` divides after the product, and is exact if the product
        is a multiple of ``o``; ``(s, 1.0)`` multiplies by a step that is rounded already.
    corners : bool
        Aligned corners instead of half-pixel.
    antialias : bool
        Widen the filter by the step if the step exceeds 1.
    cubic_coeff : float
        Keys' a, for the cubic method.
    rounding : Rounding
        Precision of the coordinates.
    transposed : bool
        The rule is that of the gradient: `in_size` counts outputs of the method, `out_size` counts its inputs, and the
        other attributes are unchanged.
    table : tuple
        A name of `upsample.plans.makers.MAKERS` and the maker's numbers. Then `method` to `rounding` have no meaning.
        Empty if `method` defines the table. See `tabled`.
    bits : int
        Binary places of the weights in integer arithmetic; 0 for as many as torch uses.
    places : tuple of int or None
        Binary places of the axis's input and of its output, which are 16-bit numbers, or bytes if the places are 0, in
        integer arithmetic that rounds once (`upsample.plans.arithmetic.BYTES`). None if each axis is rounded to bytes.
    skips_zeros : bool
        A sample of weight zero at an end of an output's taps does not count, even if it is NaN or infinite. In torch's
        dialect it counts, and so do merged taps whose signs differ.
    cut : Cut or None
        The place of a part in its full axis; None for a full axis. The table of a part is a slice of the full table, so
        that its weights have equal bits. See `upsample.plans.resize_parts`.
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
        """Return the rule of the gradient; for the rule of a gradient, the original rule."""
        return replace(self, in_size=self.out_size, out_size=self.in_size, transposed=not self.transposed)

    @property
    def moves(self) -> bool:
        """Whether every output sample is a copy of one input sample."""
        return self.is_identity or (not self.transposed and self._points)

    @property
    def _points(self) -> bool:
        """Whether the method, or the maker, copies one input sample to each output sample."""
        return MAKERS[str(self.table[0])].moves if self.table else self.method in ("nearest", "nearest-exact")

    @property
    def is_identity(self) -> bool:
        """Whether each output sample is a copy of the input sample with the same number."""
        return self.copies and self.method == "nearest"

    @property
    def copies(self) -> bool:
        """Whether all samples except infinities are copied: torch's linear mode turns infinities into NaN."""
        if self.cut is not None:
            return self.cut.full.copies
        same = self.in_size == self.out_size and self.step == (1.0, 1.0)
        return same and self.method in ("nearest", "linear") and not self.antialias and not self.table


@dataclass(frozen=True, slots=True)
class Cut:
    """The place of a part in a full axis.

    Attributes
    ----------
    full : AxisRule
        The rule of the full axis.
    begin, low : int
        Numbers of the first output and of the first input of the part.
    """

    full: AxisRule
    begin: int
    low: int


def identity(size: int) -> AxisRule:
    """Return the rule of an axis that does not change."""
    return AxisRule(size, size, "nearest", (1.0, 1.0), False, False, 0.0, Rounding.FLOAT64)


def tabled(in_size: int, out_size: int, *table: str | int | float, bits: int) -> AxisRule:
    """Return the rule of an axis whose table is `table`: the name of a maker, and the maker's numbers."""
    return AxisRule(
        in_size, out_size, "linear", (1.0, 1.0), False, False, 0.0, Rounding.FLOAT64, table=table, bits=bits
    )


@dataclass(frozen=True, slots=True)
class ResizePlan:
    """The plan of a resize: a rule for each resized axis.

    Attributes
    ----------
    axes : tuple of int
        The axes, ascending, without repetition.
    rules : tuple of AxisRule
        The rule of each axis.
    order : tuple of int
        The axes in the order in which engines filter them. Empty for the last axis first, or, if values are not rounded
        between axes, for the order that the sizes decide (`filter_order`). A part of a plan has the order of the full
        plan, because its own sizes may decide otherwise.
    arithmetic : Arithmetic
        How sums of integers are computed and rounded.
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

    def filter_order(self, rounds: bool) -> tuple[int, ...]:
        """Return the axes that change, in the order in which engines filter them.

        If values are rounded after each axis (`rounds`), the last axis is first, as in torch. Otherwise axes that
        shrink are first, in ascending order, so that later axes have less work. Axes that grow follow in descending
        order, or in ascending order if rows are short.
        """
        active = [(axis, rule) for axis, rule in zip(self.axes, self.rules, strict=True) if not rule.is_identity]
        if self.order:
            return tuple(axis for axis, _ in self.active_rules())
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

    def active_rules(self) -> tuple[tuple[int, AxisRule], ...]:
        """Return the axes that change and their rules, in the order of `order`, or the last axis first."""
        rules = dict(zip(self.axes, self.rules, strict=True))
        return tuple((axis, rules[axis]) for axis in self.order or self.axes[::-1] if not rules[axis].is_identity)

    @property
    def only_moves(self) -> bool:
        """Whether each output is a copy of one input, so that the plan suits any dtype."""
        return all(rule.moves for rule in self.rules)

    def moved(self, by: int) -> ResizePlan:
        """Return the plan for an array with `by` more leading axes."""
        axes, order = (tuple(axis + by for axis in numbers) for numbers in (self.axes, self.order))
        return replace(self, axes=axes, order=order) if by else self

    def transpose(self) -> ResizePlan:
        """Return the plan of the gradient; equal plans return one object, because engines cache work by the plan."""
        return _transposed(self)


@cached
def _transposed(plan: ResizePlan) -> ResizePlan:
    return replace(plan, rules=tuple(rule.transpose() for rule in plan.rules), order=plan.order[::-1])
