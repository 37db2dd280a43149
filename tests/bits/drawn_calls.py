"""Calls of every op, drawn by a seed, and parts of them: some of the batch, of the channels, of the positions.

A call is made through the engine's own `run`. Each draw returns the whole call and functions that make a part: what
part of the whole result it is, and how to make it alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from upsample.engines import dispatch
from upsample.plans import resize_parts as parts
from upsample.plans.filters import FILTERS, Weighted
from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.window import ConvTransposePlan, PlanePart, PoolPlan, UnpoolPlan, WindowAxis

__all__ = ["ALL", "OPS", "Drawn", "bits", "draw"]

Array = np.ndarray[Any, Any]
Index = tuple[slice, ...]
Part = tuple[Index, Callable[[str], Array]]

FLOATS = ("float32", "float32", "float64", "float16")
ALL = (*FLOATS, "uint8", "complex64")
METHODS = ("area", "linear", "cubic", "lanczos")
"""Named here, because a new filter would change every draw, and what is recorded."""


@dataclass(frozen=True)
class Drawn:
    """A call: in words, its whole result by an engine, and its parts."""

    words: str
    whole: Callable[[str], Array]
    parts: list[Part]


def bits(x: Array) -> bytes:
    """Return the bytes of an array; all NaN are one, because their sign and payload are no part of the promise."""
    numbers = np.ascontiguousarray(x)
    if numbers.dtype.kind == "c":
        numbers = numbers.view(numbers.real.dtype)
    if numbers.dtype.kind != "f":
        return numbers.tobytes()
    return np.where(np.isnan(numbers), numbers.dtype.type(np.nan), numbers).tobytes()


def run(task: str, plan: object, engine: str, x: Array, *others: Any) -> Any:
    return dispatch.choose(task.partition(".")[0], task, plan, x, engine)(np, plan, x, *others)


def held(x: Array, rng: random.Random) -> Array:
    """Return the same values, held in some other way, read-only."""
    kind = rng.randrange(4)
    if kind == 1:
        x = np.asfortranarray(x)
    elif kind == 2:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        x = wide[..., ::2]
    elif kind == 3:
        x = x[::-1].copy()[::-1]
    view = x.view()
    view.flags.writeable = False
    return view


def values(rng: random.Random, shape: tuple[int, ...], dtype: str) -> Array:
    """Return numbers that every platform draws alike, some of them so small that products underflow."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    if dtype == "uint8":
        return numbers.integers(0, 256, shape, dtype=np.uint8)
    one = 2.0 ** rng.choice([-20, -20, -20, -9, -145 if dtype == "float32" else -30])
    x = numbers.integers(-(2**22), 2**22, shape) * one
    if dtype.startswith("complex"):
        return (x + 1j * (numbers.integers(-(2**22), 2**22, shape) * one)).astype(dtype)
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
    if x.size and rng.random() < 0.2:
        x[tuple(rng.randrange(n) for n in shape)] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    return x


def real(dtypes: Sequence[str]) -> list[str]:
    return [dtype for dtype in dtypes if not dtype.startswith("complex")]


def floating(dtypes: Sequence[str]) -> list[str]:
    return [dtype for dtype in dtypes if dtype.startswith("float")]


def some(rng: random.Random, size: int) -> tuple[int, int]:
    begin = rng.randrange(size)
    return begin, rng.randrange(begin + 1, size + 1)


def cut(x: Array, *ranges: tuple[int, int]) -> Array:
    """Return some of the last axes."""
    return np.ascontiguousarray(x[(..., *(slice(*r) for r in ranges))])


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
    order = plan.filtered(dtype == "uint8")
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


def windows(rng: random.Random, longest: int) -> tuple[WindowAxis, ...]:
    made: list[WindowAxis] = []
    count = rng.choice([1, 2, 2, 3])
    while len(made) < count:
        large, kernel, stride = rng.randint(1, longest), rng.randint(1, 4), rng.choice([1, 2, 2, 3])
        dilation = rng.choice([1, 1, 2])
        reach = dilation * (kernel - 1) + 1
        padding = rng.randint(0, reach // 2)
        small = (large + 2 * padding - reach) // stride + 1
        axis = WindowAxis(large, small, kernel, stride, padding, dilation) if small >= 1 else None
        if axis is not None and axis.every_window_has_an_element():
            made.append(axis)
    return tuple(made)


def sizes(axes: tuple[WindowAxis, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(a.large for a in axes), tuple(a.small for a in axes)


def inside(axis: WindowAxis, begin: int, end: int) -> tuple[int, int]:
    low, high = axis.needs(begin, end)
    return low, high


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


# -------------------------------------------------------------------------------------------------- convolutions


def conv_transpose(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    axes = windows(rng, 12)
    large, small = sizes(axes)
    dtype, groups, batch = rng.choice(floating(dtypes)), rng.choice([1, 1, 2]), rng.randint(1, 3)
    inputs, each = rng.choice([1, 2, 3, 8, 33]), rng.choice([1, 2, 5, 9])
    plan = ConvTransposePlan(axes, groups, "float32")
    x = values(rng, (batch, groups * inputs, *small), dtype)
    weight = values(rng, (groups * inputs, each, *(a.kernel for a in axes)), dtype)
    bias = values(rng, (groups * each,), dtype) if rng.random() < 0.5 else None
    found: list[Part] = []
    for _ in range(4):
        images, outputs = some(rng, batch), some(rng, each)
        ranges = [some(rng, n) if rng.random() < 0.5 else (0, n) for n in large]
        needed = [a.meets(*r) for a, r in zip(axes, ranges, strict=True)]
        if any(low >= high for low, high in needed):
            continue
        group = rng.randrange(groups)
        part_axes = tuple(a.part(n, r) for a, n, r in zip(axes, needed, ranges, strict=True))
        part = ConvTransposePlan(part_axes, 1, "float32")
        channels = slice(group * inputs, (group + 1) * inputs)
        made = (group * each + outputs[0], group * each + outputs[1])
        given = held(cut(x[slice(*images), channels], *needed), rng)
        factors = held(weight[channels, slice(*outputs)].copy(), rng)
        added = None if bias is None else bias[slice(*made)].copy()
        index = tuple(slice(*r) for r in (images, made, *ranges))
        found.append(
            (
                index,
                lambda e, part=part, given=given, factors=factors, added=added: run(
                    "conv_transpose", part, e, given, factors, added, None
                ),
            )
        )
    return Drawn(
        f"conv_transpose {dtype} {x.shape} {weight.shape} {plan}",
        lambda engine: run("conv_transpose", plan, engine, held(x, rng), held(weight, rng), bias, None),
        found,
    )


def input_grad(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    """The gradient of a transposed convolution by its input."""
    axes = windows(rng, 12)
    large, small = sizes(axes)
    dtype, groups, batch = rng.choice(floating(dtypes)), rng.choice([1, 1, 2]), rng.randint(1, 3)
    inputs, each = rng.choice([1, 2, 3, 5, 9]), rng.choice([1, 2, 8, 33])
    plan = ConvTransposePlan(axes, groups, "float32")
    y = values(rng, (batch, groups * each, *large), dtype)
    weight = values(rng, (groups * inputs, each, *(a.kernel for a in axes)), dtype)
    found: list[Part] = []
    for _ in range(4):
        images, outputs, group = some(rng, batch), some(rng, inputs), rng.randrange(groups)
        ranges = [some(rng, n) if rng.random() < 0.5 else (0, n) for n in small]
        needed = [inside(a, *r) for a, r in zip(axes, ranges, strict=True)]
        part_axes = tuple(a.part(r, n) for a, r, n in zip(axes, ranges, needed, strict=True))
        part = ConvTransposePlan(part_axes, 1, "float32")
        made = (group * inputs + outputs[0], group * inputs + outputs[1])
        given = held(cut(y[slice(*images), group * each : (group + 1) * each], *needed), rng)
        factors = held(weight[slice(*made)].copy(), rng)
        index = tuple(slice(*r) for r in (images, made, *ranges))
        found.append(
            (
                index,
                lambda e, part=part, given=given, factors=factors: run(
                    "conv_transpose.input_grad", part, e, given, factors
                ),
            )
        )
    return Drawn(
        f"input_grad {dtype} {y.shape} {weight.shape} {plan}",
        lambda engine: run("conv_transpose.input_grad", plan, engine, held(y, rng), held(weight, rng)),
        found,
    )


def weight_grad(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    """The gradient by the weight: of some channels, on either side of the number from which on products make it."""
    axes = windows(rng, rng.choice([12, 12, 200]))
    large, small = sizes(axes)
    while np.prod(small) > 1 << 14:  # two blocks, and many units
        axes = axes[1:]
        large, small = sizes(axes)
    dtype, batch = rng.choice(floating(dtypes)), rng.randint(1, 5)
    few = rng.random() < 0.5
    inputs, each = rng.choice([1, 2, 4] if few else [5, 9, 17]), rng.choice([1, 2, 9])
    plan = ConvTransposePlan(axes, 1, "float32")
    with np.errstate(all="ignore"):
        x, y = (np.nan_to_num(values(rng, (batch, c, *n), dtype)) for c, n in ((inputs, small), (each, large)))
    found: list[Part] = []
    for _ in range(3):
        first, second = some(rng, inputs), some(rng, each)
        if not few and first[1] - first[0] < 5:
            first = (0, inputs)
        index = tuple(slice(*r) for r in (first, second))
        given, others = held(x[:, index[0]].copy(), rng), held(y[:, index[1]].copy(), rng)
        found.append(
            (index, lambda e, given=given, others=others: run("conv_transpose.weight_grad", plan, e, given, others))
        )
    return Drawn(
        f"weight_grad {dtype} {x.shape} {y.shape} {plan}",
        lambda engine: run("conv_transpose.weight_grad", plan, engine, held(x, rng), held(y, rng)),
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
        yield seed, OPS[op](random.Random(f"{op} {seed}"), dtypes)
