"""Choose the kernel that filters one axis; the table of choices is in the docstring of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upsample.engines.cpu.resize import float_kernels, float_rgb, float_simd, uint8_kernels, uint8_simd
from upsample.engines.cpu.resize.float_formula import rows_by_formula
from upsample.engines.cpu.resize.formulas import has_formula, numbers
from upsample.engines.cpu.resize.taps import LONG, listed, runs, settling, steady, sums_of
from upsample.plans.resize import AxisRule

__all__ = ["choose_by_tables", "choose_kernel"]

_COLUMN = 16
"""Values of a sample from which the kernels for columns run: they load vectors of neighboring values."""
_Range = tuple[int, int]


def _is_by_formula(rule: AxisRule, dtype: str, inner: int, packed: bool) -> bool:
    """Return whether rows are so long that the kernel computes taps instead of reading tables."""
    long = rule.out_size >= LONG and packed and inner < _COLUMN and dtype.startswith("float")
    return long and has_formula(rule)


def choose_kernel(
    rule: AxisRule, span: _Range, dtype: str, inner: int, packed: bool, source: _Range, whole: bool
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the kernel for outputs `span` of an axis, and its tables.

    Parameters
    ----------
    rule : AxisRule
        How the axis is resampled.
    span, source : tuple of int
        The range of outputs, and the range of inputs that they depend on.
    dtype : str
        The dtype of sums, "uint8" for bytes.
    inner : int
        Values of a sample: the product of the axes after this one.
    packed : bool
        Whether samples are contiguous, which kernels for rows need.
    whole : bool
        Whether the ranges are the whole axis, and rows follow each other without a gap.
    """
    if _is_by_formula(rule, dtype, inner, packed):
        return rows_by_formula, (numbers(rule), *span)
    return choose_by_tables(rule, span, dtype, inner, packed, source, whole)


def choose_by_tables(
    rule: AxisRule, span: _Range, dtype: str, inner: int, packed: bool, source: _Range, whole: bool
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the kernel that reads the taps from tables; see `choose_kernel`."""
    saturate = dtype == "uint8"
    kernels: Any = uint8_kernels if saturate else float_kernels
    dtype = sums_of(rule) if saturate else dtype
    each, cut = listed(rule, dtype), slice(*span)
    if saturate:
        paired = uint8_simd.chosen(rule, span, inner, packed and inner < _COLUMN, source, whole)
        if paired is not None:
            return paired
    exact = (each.count[cut], each.index[cut], each.weight[cut])
    if inner >= _COLUMN or not packed:
        return kernels.columns, (settling(rule), *exact) if saturate else (*exact, 0)
    run = runs(rule, dtype, inner, *span)
    low, high = source
    tables = (run.first, run.weight)
    lead = (settling(rule), *tables) if saturate else exact
    if inner == 3 and not saturate:
        kernels = float_rgb
    by_lanes = None if saturate else float_simd.chosen(rule, span, dtype, inner, source, whole)
    if by_lanes is not None and rule.in_size < _COLUMN:
        return by_lanes[0], (*exact, *by_lanes[1])
    if whole and inner in (1, 1 if saturate else 3) and rule.out_size == 2 * rule.in_size:
        same = steady(rule, dtype, 2, 1)
        taps = same.weight.shape[1] if same else 0
        if same and taps in (2, 4) and same.start[1] == same.start[0] + 1:
            function = kernels.rows_double2 if taps == 2 else kernels.rows_double4
            return function, (*lead, same.low, same.high, same.start[0], same.weight)
    factor = rule.in_size // rule.out_size
    if whole and inner == 1 and factor in (2, 4) and rule.in_size == factor * rule.out_size and not saturate:
        same = steady(rule, dtype, 1, factor)
        taps = same.weight.shape[1] if same else 1
        if same and (taps % 2 == 0 if factor == 2 else taps == 4):
            function = kernels.rows_halved if factor == 2 else kernels.rows_quartered
            return function, (*lead, same.low, same.high, same.start[0], same.weight)
    if saturate:
        return uint8_kernels.rows, lead
    if by_lanes is not None:
        return by_lanes[0], (*exact, *by_lanes[1])
    return float_kernels.rows, (low, high - low, *exact, *tables)
