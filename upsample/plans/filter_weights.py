"""The weights of a rule's filter, and sums of them: the outputs of an axis that is not transposed.

An output of a very long axis may have millions of taps. `run_of` and `run_weights` make its weights piece by piece,
with the bits of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from upsample.caches import cached
from upsample.float_errors import quiet
from upsample.plans.filters import FILTERS, Mean, Point, Weighted
from upsample.plans.makers import MAKERS
from upsample.plans.resize import AxisRule, Rounding
from upsample.plans.tap_table import Ints, Reals, Taps, clamped, unmerged

__all__ = ["PIECE", "Run", "fma", "forward", "is_normalised", "longest_run", "normalise", "run_of", "run_weights"]

_Real = TypeVar("_Real", float, Reals)

PIECE = 1 << 13
"""Taps of a piece of a long run: for temporaries of 64 KiB the C library reuses memory that is mapped already."""
_ENDS = 64
"""Taps at the end of a run that are looked through at once for weights of zero."""
_ADDED, _FEW = 1 << 16, 256
"""Weights that one call adds up in turn, so many fit a second-level cache; of more outputs one tap a call is faster."""


def forward(rule: AxisRule, output: Ints) -> Taps:
    """Make the table of some outputs; that of an antialiased rule is yet to be normalised."""
    if rule.table:
        name, *numbers = rule.table
        return MAKERS[str(name)].make(rule.in_size, rule.out_size, output, *numbers)
    method = FILTERS[rule.method]
    if isinstance(method, Point):
        return _point(rule, method, output)
    if isinstance(method, Mean):
        return _mean(rule, output)
    return _antialiased(rule, method, output) if rule.antialias else _weighted(rule, method, output)


def _point(rule: AxisRule, method: Point, output: Ints) -> Taps:
    """Take one sample an output: the one in which its position lies, rounded as torch rounds it."""
    numerator, denominator = rule.step
    source: Reals
    if rule.rounding is Rounding.FLOAT64:
        source = (output + method.anchor) * numerator / denominator
    else:
        source = _torch_position(rule.rounding, numerator, method.anchor, output)
    first = np.minimum(np.floor(source).astype(np.int64), rule.in_size - 1)
    return unmerged(first, np.ones_like(first), np.ones((len(output), 1)))


def _torch_position(rounding: Rounding, step: float, anchor: float, output: Ints) -> Reals:
    """Return where torch takes a sample; nearest-exact adds 1/2 to a coordinate that was rounded without it.

    Source: torch's ``HelperInterpNearest`` and ``HelperInterpNearestExact``
    (aten/src/ATen/native/cpu/UpSampleKernel.cpp). Its loop for small 2-D results rounds ``(i + 1/2) * step`` instead,
    so that its 2-D result differs from its own 1-D and 3-D ones where that product is just below a whole number.
    """
    real: Any = np.float32 if rounding is Rounding.FLOAT32 else np.float64
    position = (output.astype(real) + real(anchor)).astype(np.float64)
    if anchor == 0.0:
        return np.asarray((position * step).astype(np.float32))
    if rounding is Rounding.FLOAT32:  # the product of two float32 is exact in float64
        centre = (position * step - anchor).astype(np.float32)
    else:
        centre = fma(position, step, -anchor)
    return np.asarray((np.maximum(centre, 0.0).astype(np.float64) + anchor).astype(np.float32))


def _mean(rule: AxisRule, output: Ints) -> Taps:
    first, count = _mean_bounds(rule, output)
    inside = np.arange(count.max()) < count[:, None]
    return unmerged(first, count, inside / count[:, None])


def _mean_bounds(rule: AxisRule, output: Ints) -> tuple[Ints, Ints]:
    first = output * rule.in_size // rule.out_size
    return first, -(-(output + 1) * rule.in_size // rule.out_size) - first


def _weighted(rule: AxisRule, method: Weighted, output: Ints) -> Taps:
    source = _coordinates(rule, output)
    last = rule.in_size - 1
    offsets = np.arange(1 - method.support, method.support + 1)
    if method.stops_at_edge:
        source = np.maximum(source, 0.0)
    whole = source.astype(np.float32) if rule.rounding is Rounding.FLOAT64_FLOORF else source
    nearest = np.minimum(np.floor(whole).astype(np.int64), last)
    distance = np.clip(source - nearest, 0.0, 1.0)[:, None] - offsets
    if rule.rounding is Rounding.FLOAT32 and method.support > 1:  # as torch does; weights that vanish there vanish here
        distance = distance.astype(np.float32)
    weight = method.weight(distance, rule.cubic_coeff).astype(np.float64)
    if rule.method not in ("linear", "cubic"):  # which sum to 1 as they are
        normalise(weight)
    if rule.copies:  # torch takes each sample twice, with the weights 1 and 0
        offsets = np.zeros_like(offsets)
    return clamped(nearest[:, None] + offsets, weight, last)


def _coordinates(rule: AxisRule, output: Ints) -> Reals:
    """Return the coordinate of each output's centre, in inputs.

    torch's compiled code uses one fused multiply-add for ``(i + 1/2) * step - 1/2``; so does this.
    """
    numerator, denominator = rule.step
    position = output + (0.0 if rule.corners else 0.5)
    shift = 0.0 if rule.corners else -0.5
    if rule.rounding is Rounding.FLOAT32:  # the product of two float32 is exact in float64
        return (position * numerator + shift).astype(np.float32).astype(np.float64)
    if rule.rounding is Rounding.FLOAT64_FLOORF:
        return fma(position, numerator, shift)
    return position * numerator / denominator + shift


def fma(a: _Real, b: float, c: float) -> _Real:
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


def _antialiased(rule: AxisRule, method: Weighted, output: Ints) -> Taps:
    """Pillow's method as torch has it: the filter, as wide as the step, cut off at the border and normalised."""
    first, count, center = _bounds(rule, method, output)
    index = np.arange(int(count.max()))
    weight = _shares(rule, method, first[:, None] + index, center[:, None])
    return unmerged(first, count, np.where(index < count[:, None], weight, 0.0))


def _bounds(rule: AxisRule, method: Weighted, output: Ints) -> tuple[Ints, Ints, Reals]:
    """Return the first tap of each output, the number of taps, and the centre in the precision of coordinates.

    Source: torch's ``_compute_indices_min_size_weights_aa`` (aten/src/ATen/native/cpu/UpSampleKernel.cpp), with
    its mixture of float32 and float64 where the dialect asks for float32.
    """
    real = _real(rule)
    step = real(rule.step[0]) / real(rule.step[1])
    support = real(method.support) * step if step >= 1.0 else real(method.support)
    center = (float(step) * (output + 0.5)).astype(real)
    first = np.maximum(((center - support).astype(np.float64) + 0.5).astype(np.int64), 0)
    end = np.minimum(((center + support).astype(np.float64) + 0.5).astype(np.int64), rule.in_size)
    longest_allowed = int(np.ceil(support)) * 2 + 1
    return first, np.clip(end - first, 1, longest_allowed), center


def _shares(rule: AxisRule, method: Weighted, index: Ints, center: Reals) -> Reals:
    """Return the weights of inputs around a centre, which are yet to be normalised."""
    real = _real(rule)
    step = real(rule.step[0]) / real(rule.step[1])
    squeeze = real(1.0) / step if step >= 1.0 else real(1.0)
    distance = (index.astype(real) - center).astype(np.float64) + 0.5
    return method.weight((distance * float(squeeze)).astype(real), rule.cubic_coeff).astype(np.float64)


def _real(rule: AxisRule) -> Any:
    return np.float32 if rule.rounding is Rounding.FLOAT32 else np.float64


def normalise(weight: Reals) -> None:
    """Let the weights of each output sum to one, in place."""
    total = np.zeros((len(weight), 1))
    step = 1 if len(weight) > _FEW else _ADDED // max(1, len(weight))
    for begin in range(0, weight.shape[1], step):  # one by one, so that the sum does not depend on the table's width
        part = weight[:, begin : begin + step]
        total = total + part if step == 1 else np.add.accumulate(np.hstack([total, part]), axis=1)[:, -1:]
    weight /= np.where(total == 0.0, 1.0, total)


def is_normalised(rule: AxisRule) -> bool:
    """Whether the weights of each output are divided by their sum after all are made."""
    return rule.antialias and not rule.table and isinstance(FILTERS[rule.method], Weighted)


def longest_run(rule: AxisRule) -> int:
    """Return about how many taps the longest run of an axis has; 0 if a maker decides that."""
    rule = rule if rule.cut is None else rule.cut.full
    if rule.table:
        return 0
    if rule.transposed:
        return -(-longest_run(rule.transpose()) * rule.in_size // rule.out_size)
    method = FILTERS[rule.method]
    if isinstance(method, Point):
        return 1
    if isinstance(method, Mean):
        return rule.in_size // rule.out_size + 2
    wider = max(rule.step[0] / rule.step[1], 1.0) if rule.antialias else 1.0
    return min(int(2 * method.support * wider) + 1, rule.in_size)


@dataclass(frozen=True, slots=True)
class Run:
    """The taps of one output of a mean or an antialiased filter, without their weights.

    Attributes
    ----------
    output : int
        Which output.
    first, count : int
        The first input, and how many.
    center : float
        The centre of the filter.
    total : float
        The sum of the weights before they are normalised.
    """

    output: int
    first: int
    count: int
    center: float
    total: float


@cached
@quiet
def run_of(rule: AxisRule, output: int) -> Run:
    """Return the run of one output, with the bounds that the table has."""
    method, one = FILTERS[rule.method], np.asarray([output])
    if isinstance(method, Mean):
        table = _mean_bounds(rule, one)
        return Run(output, int(table[0][0]), int(table[1][0]), 0.0, float(table[1][0]))
    assert isinstance(method, Weighted)
    first, count, center = (array.item() for array in _bounds(rule, method, one))
    run = Run(output, first, count, center, 1.0)
    total = np.zeros(1)
    for begin in range(0, count, PIECE):
        part = run_weights(rule, run, begin, min(begin + PIECE, count))
        total = np.add.accumulate(np.concatenate([total, part]))[-1:]
    run = replace(run, total=float(total[0]) or 1.0)
    return _trimmed(rule, run) if rule.skips_zeros else run


def _trimmed(rule: AxisRule, run: Run) -> Run:
    """Drop the taps of weight zero at both ends; see `upsample.plans.tap_table.trimmed`."""
    begin, end = 0, run.count
    while begin < end and not (used := run_weights(rule, run, begin, min(begin + _ENDS, end)) != 0).any():
        begin = min(begin + _ENDS, end)
    if begin == end:
        return replace(run, count=0)
    begin += int(used.argmax())
    while not (used := run_weights(rule, run, max(end - _ENDS, begin), end) != 0).any():
        end = max(end - _ENDS, begin)
    end -= int(used[::-1].argmax())
    return replace(run, first=run.first + begin, count=end - begin)


@quiet
def run_weights(rule: AxisRule, run: Run, begin: int, end: int) -> Reals:
    """Return the weights of the taps ``[begin, end)`` of a run, with the bits of the table."""
    method = FILTERS[rule.method]
    if isinstance(method, Mean):
        return np.full(end - begin, 1.0 / run.total)
    assert isinstance(method, Weighted)
    center = np.asarray(run.center, dtype=_real(rule))
    return _shares(rule, method, np.arange(run.first + begin, run.first + end), center) / run.total
