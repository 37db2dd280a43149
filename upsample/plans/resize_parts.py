"""Parts of plans: some outputs of a resize, made from the inputs that they need, with the bits of the whole result.

The table of a part is a slice of the table of the whole axis: coordinates are those of the global numbers in every
rounding mode, weights are normalised, and those of bytes are rounded, in the whole table. Windows have parts as methods
of their axes (`upsample.plans.window`).
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

__all__ = ["needs", "part", "part_of_plan", "parted"]


@cached
def needs(rule: AxisRule, begin: int, end: int) -> Range:
    """Return the inputs that outputs ``[begin, end)`` are made of; at least one for any output."""
    if rule.is_identity or begin == end:
        return begin, end
    low, high = taps_between(rule, begin, end).span
    return min(low, rule.in_size - 1), min(high, rule.in_size)


@cached
def part(rule: AxisRule, begin: int, end: int) -> AxisRule:
    """Return the rule of outputs ``[begin, end)``, whose inputs are those that `needs` returns; of a part or a whole.

    Parts of one rule with equal tables are the same object: the parts of an axis that doubles differ at the borders
    only, and engines remember their work by the plan.
    """
    if rule.is_identity or begin == end:
        return identity(end - begin)
    if rule.cut is not None:
        return part(rule.cut.whole, rule.cut.begin + begin, rule.cut.begin + end)
    low, high = needs(rule, begin, end)
    table = _digest(rule, begin, end, low)
    first = _first_like(rule, high - low, end - begin, table)
    if not first:
        first.append(replace(rule, in_size=high - low, out_size=end - begin, cut=Cut(rule, begin, low)))
    return first[0]


@cached
def _first_like(rule: AxisRule, in_size: int, out_size: int, table: bytes) -> list[AxisRule]:
    """Return the list that holds the first part with this table, once there is one."""
    return []


def _digest(rule: AxisRule, begin: int, end: int, low: int) -> bytes:
    """Return a digest of all that engines see of the outputs ``[begin, end)``, their inputs counted from `low`."""
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
    """Return where outputs are to be parted so that each part needs the inputs between two borders only.

    `borders` ascend from 0 to the number of inputs. None if an output needs inputs of both sides of one.
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

    `order` is the order in which the whole plan filters its axes: ``plan.filtered(...)``.
    """
    rules = tuple(part(rule, *ranges[axis]) for axis, rule in zip(plan.axes, plan.rules, strict=True))
    return _interned(replace(plan, rules=rules, order=order))


@cached
def _interned(plan: ResizePlan) -> ResizePlan:
    return plan
