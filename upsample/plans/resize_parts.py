"""Plans of parts of a resize: a range of outputs from the inputs that they need, with the bits of the full result.

The table of a part is a slice of the full axis's table. Therefore coordinates count from the start of the axis, and
weights are normalized, and rounded for bytes, as in the full table. Plans of windows have parts as methods of their
axes (`upsample.plans.window`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

from upsample.caches import cached
from upsample.plans.makers import MAKERS
from upsample.plans.resize import AxisRule, Cut, ResizePlan, identity
from upsample.plans.taps import listed_apart, taps_between
from upsample.plans.window import Range

__all__ = ["needs", "new_part", "part", "part_of_plan", "parted"]


@cached
def needs(rule: AxisRule, begin: int, end: int) -> Range:
    """Return the range of inputs that outputs ``[begin, end)`` need; at least one input."""
    if rule.is_identity or begin == end:
        return begin, end
    low, high = taps_between(rule, begin, end).span
    return min(low, rule.in_size - 1), min(high, rule.in_size)


@cached
def part(rule: AxisRule, begin: int, end: int) -> AxisRule:
    """Return the rule of outputs ``[begin, end)`` from the inputs that `needs` returns; `rule` may be a part itself.

    Parts of one rule with equal tables are the same object, because engines cache their work by the plan. For example,
    parts of an axis that doubles differ only at the borders.
    """
    if rule.is_identity or begin == end:
        return identity(end - begin)
    if rule.cut is not None:
        return part(rule.cut.full, rule.cut.begin + begin, rule.cut.begin + end)
    low, high = needs(rule, begin, end)
    table = _digest(rule, begin, end, low)
    first = _first_like(rule, high - low, end - begin, table)
    if not first:
        first.append(new_part(rule, begin, end))
    return first[0]


def new_part(rule: AxisRule, begin: int, end: int) -> AxisRule:
    """Return the rule of outputs ``[begin, end)`` as `part` does, but without a search for a part like it."""
    if rule.cut is not None:
        return new_part(rule.cut.full, rule.cut.begin + begin, rule.cut.begin + end)
    low, high = needs(rule, begin, end)
    return replace(rule, in_size=high - low, out_size=end - begin, cut=Cut(rule, begin, low))


@cached
def _first_like(rule: AxisRule, in_size: int, out_size: int, table: bytes) -> list[AxisRule]:
    """Return a list for the first part with this table; the caller appends it."""
    return []


def _digest(rule: AxisRule, begin: int, end: int, low: int) -> bytes:
    """Return a digest of the tables of outputs ``[begin, end)``, with inputs counted from `low`."""
    digest = blake2b(digest_size=16)
    for array in taps_between(rule, begin, end).moved(low).arrays:
        digest.update(array.tobytes())
    if rule.table and MAKERS[str(rule.table[0])].apart is not None:
        index, weight = listed_apart(rule)
        digest.update((index[begin:end] - low).tobytes())
        digest.update(weight[begin:end].tobytes())
    return digest.digest()


@cached
def parted(rule: AxisRule, borders: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the bounds of parts of the outputs, such that each part needs only inputs between two borders.

    `borders` ascend from 0 to the number of inputs. The result is None if an output needs inputs on both sides of a
    border.
    """
    if rule.is_identity:
        return borders
    cuts = [0]
    for border in borders[1:-1]:
        cut = bisect_left(range(rule.out_size), border, key=lambda output: needs(rule, output, output + 1)[0])
        if cut and needs(rule, cuts[-1], cut)[1] > border:
            return None
        cuts.append(cut)
    return (*cuts, rule.out_size)


def part_of_plan(plan: ResizePlan, ranges: Mapping[int, Range], order: tuple[int, ...]) -> ResizePlan:
    """Return the plan of the outputs ``ranges[axis]`` of each axis of the plan.

    `order` is the order in which the full plan filters its axes: ``plan.filter_order(...)``.
    """
    rules = tuple(part(rule, *ranges[axis]) for axis, rule in zip(plan.axes, plan.rules, strict=True))
    return _interned(replace(plan, rules=rules, order=order))


@cached
def _interned(plan: ResizePlan) -> ResizePlan:
    return plan
