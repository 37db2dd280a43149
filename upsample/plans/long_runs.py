"""Outputs with very many taps: their runs, and the weights piece by piece, because a table would exceed the input.

A resize of 50 million samples to one needs 400 MB for the weights alone, as float64. A piece has the bits of the table.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from upsample.caches import cached
from upsample.plans.filter_weights import PIECE, Run, longest_run, run_of, run_weights
from upsample.plans.resize import AxisRule
from upsample.plans.tap_table import Reals
from upsample.plans.taps import LONG_RUN, expanded, users

__all__ = ["PIECE", "has_long_runs", "long_run", "long_weights"]


def has_long_runs(rule: AxisRule) -> bool:
    """Whether outputs have so many taps that their weights are made piece by piece."""
    return longest_run(rule) >= LONG_RUN


def long_run(rule: AxisRule, output: int) -> Run:
    """Return the run of one output of an axis with long runs."""
    if rule.cut is not None:
        run = long_run(rule.cut.full, rule.cut.begin + output)
        return replace(run, first=run.first - rule.cut.low)
    return _transposed_run(rule, output) if rule.transposed else run_of(rule, output)


def long_weights(rule: AxisRule, run: Run, begin: int, end: int) -> Reals:
    """Return the weights of the taps ``[begin, end)`` of a run, as float64."""
    if rule.cut is not None:
        return long_weights(rule.cut.full, replace(run, first=run.first + rule.cut.low), begin, end)
    if not rule.transposed:
        return run_weights(rule, run, begin, end)
    table = expanded(rule.transpose(), run.first + begin, run.first + end)
    tap = run.output - table.first
    inside = (tap >= 0) & (tap < table.count)
    weight = np.take_along_axis(table.weight, np.where(inside, tap, 0)[:, None], axis=1)[:, 0]
    return np.where(inside, weight, 0.0)


@cached
def _transposed_run(rule: AxisRule, output: int) -> Run:
    """Return the outputs that used a sample, without those of weight zero at both ends."""
    low, high = users(rule.transpose(), output, output + 1)
    run = Run(output, low, high - low, 0.0, 1.0)
    begin, end = 0, run.count
    while begin < end and not long_weights(rule, run, begin, begin + 1).any():
        begin += 1
    while begin < end and not long_weights(rule, run, end - 1, end).any():
        end -= 1
    return replace(run, first=low + begin, count=end - begin)
