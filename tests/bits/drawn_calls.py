"""Calls of every op, drawn by a seed, and parts of them: some of the batch, of the channels, of the positions.

A call is made through the engine's own `run`. Each draw returns the whole call and functions that make a part: what
part of the whole result it is, and how to make it alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from bits.drawn_arrays import (
    FLOATS,
    Drawn,
    Part,
    bits,
    cut,
    floating,
    held,
    inside,
    real,
    run,
    sizes,
    some,
    values,
    windows,
)
from bits.drawn_convolutions import MANY, conv_transpose, input_grad, weight_grad
from upsample.plans import resize_parts as parts
from upsample.plans.filters import FILTERS, Weighted
from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.window import PlanePart, PoolPlan, UnpoolPlan

__all__ = ["ALL", "FLOATS", "MANY", "OPS", "Drawn", "bits", "draw"]

ALL = (*FLOATS, "uint8", "complex64")
METHODS = ("area", "linear", "cubic", "lanczos")
"""Named here, because a new filter would change every draw, and what is recorded."""


# -------------------------------------------------------------------------------------------------- resize


def rule(rng: random.Random, size: int) -> AxisRule:
    name = rng.choice(METHODS)
    out = max(1, int(size * rng.choice([0.3, 0.5, 0.5, 0.7, 1.3, 2.0, 2.0, 2.0, 3.0])))
    method = FILTERS[name]
    weighted = isinstance(method, Weighted)
    corners = weighted and method.knows_corners and rng.random() < 0.3
    antialias = weighted and not corners and rng.random() < 0.4
    step = (float(size - 1), float(max(out - 1, 1))) if corners else (float(size), float(out))
    rounding = rng.choice([Rounding.FLOAT64, Rounding.FLOAT32])
    if rounding is Rounding.FLOAT32:
        step = (float(np.float32(step[0] / step[1])), 1.0)
    made = AxisRule(size, out, name, step, corners, antialias, -0.75, rounding)
    return made.transpose() if rng.random() < 0.25 else made


def resize(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    dtype = rng.choice(dtypes)
    count, lead = rng.choice([1, 2, 2, 2, 3]), rng.randrange(3)
    rules = tuple(rule(rng, rng.choice([1, 2, 4, 7, 8, 13, 16, 20, 33])) for _ in range(count))
    if dtype == "uint8":
        rules = tuple(r.transpose() if r.transposed else r for r in rules)
    trail = rng.choice([(), (), (3,), (5,), (17,)])
    shape = (*(rng.randint(1, 4) for _ in range(lead)), *(r.in_size for r in rules), *trail)
    plan = ResizePlan(tuple(range(lead, lead + count)), rules)
    x = values(rng, shape, dtype)
    order = plan.filter_order(dtype == "uint8")
    found: list[Part] = []
    for _ in range(4):
        ranges = [some(rng, n) if rng.random() < 0.6 else (0, n) for n in plan.out_shape(shape)]
        index = tuple(slice(*r) for r in ranges)
        slab = list(index)
        part = parts.part_of_plan(plan, dict(enumerate(ranges)), order)
        for axis, each in zip(plan.axes, rules, strict=True):
            slab[axis] = slice(*parts.needs(each, *ranges[axis]))
        given = held(x[tuple(slab)].copy(), rng)
        found.append((index, lambda engine, part=part, given=given: run("resize", part, engine, given, None)))
    return Drawn(
        f"resize {dtype} {shape} {plan}", lambda engine: run("resize", plan, engine, held(x, rng), None), found
    )


# -------------------------------------------------------------------------------------------------- windows


def pool(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    axes = windows(rng, 14)
    large, small = sizes(axes)
    dtype, lead = rng.choice(real(dtypes)), (rng.randint(1, 3), rng.randint(1, 4))
    plan = PoolPlan(axes, rng.random() < 0.3, rng.random() < 0.5)
    x, which = values(rng, (*lead, *large), dtype), rng.randrange(2)
    found: list[Part] = []
    for _ in range(4):
        leads, ranges = [some(rng, n) for n in lead], [some(rng, n) for n in small]
        needed = [inside(a, *r) for a, r in zip(axes, ranges, strict=True)]
        within = PlanePart(large, tuple(low for low, _ in needed), (0, 0, *(low for low, _ in ranges)))
        part = replace(
            plan, axes=tuple(a.part(r, n) for a, r, n in zip(axes, ranges, needed, strict=True)), within=within
        )
        given = held(cut(x, *leads, *needed), rng)
        index = tuple(slice(*r) for r in (*leads, *ranges))
        found.append((index, lambda e, part=part, given=given: run("pool", part, e, given, (None, None), True)[which]))
    return Drawn(
        f"pool {dtype} {lead} {plan} result {which}",
        lambda engine: run("pool", plan, engine, held(x, rng), (None, None), True)[which],
        found,
    )


def unpool(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    """Unpooling, and the gradients of both: all with the indices of a pooling of the same windows."""
    axes = windows(rng, 14)
    large, small = sizes(axes)
    dtype, lead = rng.choice(floating(dtypes)), (rng.randint(1, 3), rng.randint(1, 4))
    pooling = PoolPlan(axes, rng.random() < 0.3, False)
    where = run("pool", pooling, "cpu", values(rng, (*lead, *large), "float32"), (None, None), True)[1]
    duplicates, backward = rng.choice(["last", "sum"]), rng.random() < 0.3
    plan = UnpoolPlan(axes, pooling.local_indices, duplicates, True, True)
    x, task = values(rng, (*lead, *(large if backward else small)), dtype), "unpool.backward" if backward else "unpool"
    others = () if backward else (None, ("input", "indices"))
    found: list[Part] = []
    for _ in range(3):  # the batch and the channels; positions are in tests/plans and tests/dask
        leads = [some(rng, n) for n in lead]
        index = tuple(slice(*r) for r in leads)
        given, at = held(x[index].copy(), rng), held(where[index].copy(), rng)
        found.append((index, lambda e, given=given, at=at: run(task, plan, e, given, at, *others)))
    return Drawn(
        f"{task} {dtype} {lead} {plan}",
        lambda engine: run(task, plan, engine, held(x, rng), held(where, rng), *others),
        found,
    )


OPS: dict[str, Callable[[random.Random, Sequence[str]], Drawn]] = {
    "resize": resize,
    "pool": pool,
    "unpool": unpool,
    "conv_transpose": conv_transpose,
    "input_grad": input_grad,
    "weight_grad": weight_grad,
}


def draw(op: str, seeds: range, dtypes: Sequence[str] = ALL) -> Iterator[tuple[int, Drawn]]:
    """Yield a call for each seed."""
    for seed in seeds:
        yield seed, (OPS | MANY)[op](random.Random(f"{op} {seed}"), dtypes)
