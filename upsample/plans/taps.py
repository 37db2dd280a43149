"""Tap tables: which inputs an output is made of, and with what weights.

The inputs of an output are one contiguous run, since a clamped border merges its weights::

    input       0    1    2    3    4                    first = 1   count = 3
    output           └──.2──.5──.3──┘                    weight = .2 .5 .3 0 …

A tap of weight zero inside the run counts: NaN times zero is NaN, there as in torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from upsample.plans.filters import FILTERS, Mean, Point, Weighted
from upsample.plans.resize import AxisRule, Rounding

__all__ = ["FixedPoint", "Taps", "fixed_point", "taps"]

_Bools = np.ndarray[Any, np.dtype[np.bool_]]
_Ints = np.ndarray[Any, np.dtype[np.int64]]
_Reals = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """The table of one axis; its arrays are read-only.

    Attributes
    ----------
    first : ndarray of int64, shape (out_size,)
        The first input of each output.
    count : ndarray of int64, shape (out_size,)
        How many inputs, from there on.
    weight : ndarray of float64, shape (out_size, longest)
        Their weights; zero from `count` on.
    mixed_first, mixed_last : ndarray of bool, shape (out_size,)
        Whether taps of several signs, or of weight zero and another, were merged into the first or the last one:
        an infinity there makes the output NaN, since torch, which merges nothing, adds infinities of both signs
        or multiplies one by zero.
    """

    first: _Ints
    count: _Ints
    weight: _Reals
    mixed_first: _Bools
    mixed_last: _Bools

    @property
    def longest(self) -> int:
        """Taps of the output that has most."""
        return int(self.weight.shape[1])

    @property
    def is_copy(self) -> bool:
        """Whether every output is the input of its own number."""
        return self.longest == 1 and bool(
            (self.first == np.arange(len(self.first))).all() and (self.weight == 1.0).all()
        )


@lru_cache(maxsize=512)
def taps(rule: AxisRule) -> Taps:
    """Expand a rule into its table."""
    method = FILTERS[rule.method]
    if isinstance(method, Point):
        table = _point(rule, method)
    elif isinstance(method, Mean):
        table = _mean(rule)
    elif rule.antialias:
        table = _antialiased(rule, method)
    else:
        table = _weighted(rule, method)
    for array in (table.first, table.count, table.weight, table.mixed_first, table.mixed_last):
        array.flags.writeable = False
    return table


def _unmerged(first: _Ints, count: _Ints, weight: _Reals) -> Taps:
    """A table into which no tap was merged."""
    return Taps(first, count, weight, np.zeros(len(first), dtype=bool), np.zeros(len(first), dtype=bool))


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoint:
    """A table for uint8: its weights are multiples of a power of two, so that sums are exact.

    Attributes
    ----------
    table : Taps
        With the rounded weights.
    fits_float32 : bool
        Whether the sums are exact in float32 already.
    """

    table: Taps
    fits_float32: bool


@lru_cache(maxsize=512)
def fixed_point(rule: AxisRule) -> FixedPoint:
    """Round the weights of an axis to the binary fractions of torch's uint8 arithmetic.

    They are multiples of 2**-p, where p is the largest precision, at most 22, in which the largest of them fits 16
    bits with its sign. Source: torch's ``_compute_index_ranges_int16_weights``
    (aten/src/ATen/native/cpu/UpSampleKernel.cpp).
    """
    table = taps(rule)
    largest = float(table.weight.max())
    one = 2.0 ** max(p for p in range(23) if int(0.5 + largest * 2.0**p) < 2**15)
    scaled = table.weight * one
    scaled = np.trunc(scaled + np.copysign(0.5, scaled))
    weight = scaled / one
    weight.flags.writeable = False
    fits = 255.0 * np.abs(scaled).sum(axis=1).max() + one / 2 < 2.0**24
    return FixedPoint(replace(table, weight=weight), bool(fits))


def _point(rule: AxisRule, method: Point) -> Taps:
    position = np.arange(rule.out_size) + method.anchor
    numerator, denominator = rule.step
    source: _Reals
    if rule.rounding is Rounding.FLOAT32:
        source = (position.astype(np.float32) * np.float32(numerator)).astype(np.float64)
    elif rule.rounding is Rounding.FLOAT64_FLOORF:
        source = (position * numerator).astype(np.float32).astype(np.float64)
    else:
        source = position * numerator / denominator
    first = np.minimum(np.floor(source).astype(np.int64), rule.in_size - 1)
    return _unmerged(first, np.ones_like(first), np.ones((rule.out_size, 1)))


def _mean(rule: AxisRule) -> Taps:
    position = np.arange(rule.out_size)
    first = position * rule.in_size // rule.out_size
    count = -(-(position + 1) * rule.in_size // rule.out_size) - first
    inside = np.arange(count.max()) < count[:, None]
    return _unmerged(first, count, inside / count[:, None])


def _weighted(rule: AxisRule, method: Weighted) -> Taps:
    source = _coordinates(rule)
    last = rule.in_size - 1
    offsets = np.arange(1 - method.support, method.support + 1)
    if method.stops_at_edge:
        source = np.maximum(source, 0.0)
        if rule.keeps_samples:  # torch takes each sample twice, with the weights 1 and 0
            offsets = np.zeros(2, dtype=np.int64)
    whole = source.astype(np.float32) if rule.rounding is Rounding.FLOAT64_FLOORF else source
    nearest = np.minimum(np.floor(whole).astype(np.int64), last)
    distance = np.clip(source - nearest, 0.0, 1.0)[:, None] - np.arange(1 - method.support, method.support + 1)
    if rule.rounding is Rounding.FLOAT32 and method.support > 1:  # as torch does; weights that vanish there vanish here
        distance = distance.astype(np.float32)
    weight = method.weight(distance, rule.cubic_coeff).astype(np.float64)
    if method.support > 2:  # linear and cubic sum to 1 as they are
        weight = weight / weight.sum(axis=1, keepdims=True)
    return _merged(np.clip(nearest[:, None] + offsets, 0, last), weight)


def _merged(index: _Ints, weight: _Reals) -> Taps:
    """Merge the taps that a border has clamped to one input; `index` ascends along its last axis."""
    first = index[:, 0].copy()
    count = index[:, -1] - first + 1
    merged = np.zeros((len(first), int(count.max())))
    np.add.at(merged, (np.arange(len(first))[:, None], index - first[:, None]), weight)

    def disagree(place: _Ints) -> _Bools:
        """Whether the taps merged into this input do not all have one sign, zero being a third."""
        signs = np.where(index == place[:, None], np.sign(weight), np.nan)
        return np.asarray(np.nanmin(signs, axis=1) != np.nanmax(signs, axis=1))

    return Taps(first, count, merged, disagree(first), disagree(index[:, -1]) & (count > 1))


def _coordinates(rule: AxisRule) -> _Reals:
    """Where each output's centre lies among the inputs.

    torch's compiled code uses one fused multiply-add for ``(i + 1/2) * step - 1/2``; so does this.
    """
    numerator, denominator = rule.step
    position = np.arange(rule.out_size) + (0.0 if rule.corners else 0.5)
    shift = 0.0 if rule.corners else -0.5
    if rule.rounding is Rounding.FLOAT32:  # the product of two float32 is exact in float64
        return (position * numerator + shift).astype(np.float32).astype(np.float64)
    if rule.rounding is Rounding.FLOAT64_FLOORF:
        return _fused(position, numerator, shift)
    return position * numerator / denominator + shift


def _fused(a: _Reals, b: float, c: float) -> _Reals:
    """A * b + c rounded once: Dekker's exact product, Knuth's exact sum."""
    splitter = 2.0**27 + 1.0
    a_high = a * splitter - (a * splitter - a)
    b_high = b * splitter - (b * splitter - b)
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    product_error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    carried = total - product
    total_error = (product - (total - carried)) + (c - carried)
    return total + (total_error + product_error)


def _antialiased(rule: AxisRule, method: Weighted) -> Taps:
    """Pillow's method as torch has it: the filter, as wide as the step, cut off at the border and normalised.

    Source: torch's ``_compute_indices_min_size_weights_aa`` (aten/src/ATen/native/cpu/UpSampleKernel.cpp), with
    its mixture of float32 and float64 where the dialect asks for float32.
    """
    real: Any = np.float32 if rule.rounding is Rounding.FLOAT32 else np.float64
    step = real(rule.step[0]) / real(rule.step[1])
    wide = step >= 1.0
    support = real(method.support) * step if wide else real(method.support)
    squeeze = real(1.0) / step if wide else real(1.0)
    center = (float(step) * (np.arange(rule.out_size) + 0.5)).astype(real)
    first = np.maximum(((center - support).astype(np.float64) + 0.5).astype(np.int64), 0)
    end = np.minimum(((center + support).astype(np.float64) + 0.5).astype(np.int64), rule.in_size)
    longest_allowed = int(np.ceil(support)) * 2 + 1
    count = np.clip(end - first, 1, longest_allowed)
    index = np.arange(int(count.max()))
    distance = ((first[:, None] + index).astype(real) - center[:, None]).astype(np.float64) + 0.5
    weight = method.weight((distance * float(squeeze)).astype(real), rule.cubic_coeff).astype(np.float64)
    weight = np.where(index < count[:, None], weight, 0.0)
    total = weight.sum(axis=1, keepdims=True)
    return _unmerged(first, count, weight / np.where(total == 0.0, 1.0, total))
