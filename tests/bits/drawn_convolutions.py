"""Calls of transposed convolution and its gradients, drawn by a seed, and parts of them: see `bits.drawn_calls`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bits.drawn_arrays import Drawn, Part, cut, floating, held, inside, run, sizes, some, values, windows
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["MANY", "conv_transpose", "input_grad", "weight_grad"]


def conv_transpose(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    return _conv_transpose(rng, floating(dtypes), [1, 2, 3, 8, 33], [1, 2, 5, 9], ["float32"])


def _conv_transpose(
    rng: random.Random, dtypes: Sequence[str], summed: Sequence[int], beside: Sequence[int], precisions: Sequence[str]
) -> Drawn:
    """Draw a call whose group has one of `summed` input channels, and of `beside` output channels."""
    axes = windows(rng, 12)
    large, small = sizes(axes)
    dtype, groups, batch = rng.choice(dtypes), rng.choice([1, 1, 2]), rng.randint(1, 3)
    inputs, each = rng.choice(summed), rng.choice(beside)
    precision = precisions[0] if len(precisions) == 1 else rng.choice(precisions)
    plan = ConvTransposePlan(axes, groups, precision)
    x = values(rng, (batch, groups * inputs, *small), dtype)
    weight = values(rng, (groups * inputs, each, *(a.kernel for a in axes)), dtype)
    bias = values(rng, (groups * each,), dtype) if rng.random() < 0.5 else None
    found: list[Part] = []
    for _ in range(4):
        images, outputs = some(rng, batch), some(rng, each)
        ranges = [some(rng, n) if rng.random() < 0.5 else (0, n) for n in large]
        needed = [a.covering_cells(*r) for a, r in zip(axes, ranges, strict=True)]
        if any(low >= high for low, high in needed):
            continue
        group = rng.randrange(groups)
        part_axes = tuple(a.part(n, r) for a, n, r in zip(axes, needed, ranges, strict=True))
        part = ConvTransposePlan(part_axes, 1, precision)
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
    return _input_grad(rng, floating(dtypes), [1, 2, 8, 33], [1, 2, 3, 5, 9], ["float32"])


def _input_grad(
    rng: random.Random, dtypes: Sequence[str], summed: Sequence[int], beside: Sequence[int], precisions: Sequence[str]
) -> Drawn:
    axes = windows(rng, 12)
    large, small = sizes(axes)
    dtype, groups, batch = rng.choice(dtypes), rng.choice([1, 1, 2]), rng.randint(1, 3)
    inputs, each = rng.choice(beside), rng.choice(summed)
    precision = precisions[0] if len(precisions) == 1 else rng.choice(precisions)
    plan = ConvTransposePlan(axes, groups, precision)
    y = values(rng, (batch, groups * each, *large), dtype)
    weight = values(rng, (groups * inputs, each, *(a.kernel for a in axes)), dtype)
    found: list[Part] = []
    for _ in range(4):
        images, outputs, group = some(rng, batch), some(rng, inputs), rng.randrange(groups)
        ranges = [some(rng, n) if rng.random() < 0.5 else (0, n) for n in small]
        needed = [inside(a, *r) for a, r in zip(axes, ranges, strict=True)]
        part_axes = tuple(a.part(r, n) for a, r, n in zip(axes, ranges, needed, strict=True))
        part = ConvTransposePlan(part_axes, 1, precision)
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
    axes = cells(rng)
    dtype, batch = rng.choice(floating(dtypes)), rng.randint(1, 5)
    few = rng.random() < 0.5
    inputs, each = rng.choice([1, 2, 4] if few else [5, 9, 17]), rng.choice([1, 2, 9])
    return _weight_grad(rng, ConvTransposePlan(axes, 1, "float32"), dtype, (batch, inputs, each), (4,))


def cells(rng: random.Random) -> tuple[WindowAxis, ...]:
    """Return windows of up to two blocks of cells, and many units."""
    axes = windows(rng, rng.choice([12, 12, 200]))
    while np.prod(sizes(axes)[1]) > 1 << 14:
        axes = axes[1:]
    return axes


def _weight_grad(
    rng: random.Random, plan: ConvTransposePlan, dtype: str, counts: tuple[int, int, int], limits: tuple[int, ...]
) -> Drawn:
    """Draw a call; a part has more input channels than one of `limits` if the whole has: there the order changes."""
    (batch, inputs, each), groups = counts, plan.groups
    shapes = ((batch, groups * inputs, *plan.small_shape), (batch, groups * each, *plan.large_shape))
    with np.errstate(all="ignore"):
        x, y = (np.nan_to_num(values(rng, shape, dtype)) for shape in shapes)
    found: list[Part] = []
    for _ in range(3):
        first, second = some(rng, inputs), some(rng, each)
        if any(first[1] - first[0] <= limit < inputs for limit in limits):
            first = (0, inputs)
        group = rng.randrange(groups) if groups > 1 else 0
        some_inputs = slice(group * inputs + first[0], group * inputs + first[1])
        some_outputs = slice(group * each + second[0], group * each + second[1])
        given, others = held(x[:, some_inputs].copy(), rng), held(y[:, some_outputs].copy(), rng)
        part = replace(plan, groups=1)
        found.append(
            (
                (some_inputs, slice(*second)),
                lambda e, part=part, given=given, others=others: run(
                    "conv_transpose.weight_grad", part, e, given, others
                ),
            )
        )
    return Drawn(
        f"weight_grad {dtype} {x.shape} {y.shape} {plan}",
        lambda engine: run("conv_transpose.weight_grad", plan, engine, held(x, rng), held(y, rng)),
        found,
    )


SUMMED, BESIDE = (1, 2, 3, 5, 9, 12, 17, 40, 140), (1, 2, 3, 9, 17, 40)
"""Channels that a value sums, and those beside it, on either side of each limit by which an engine chooses a kernel."""
PRECISIONS = ("float32", "float32", "tf32", "tf32x3")


def many_conv_transpose(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    return _conv_transpose(rng, dtypes, SUMMED, BESIDE, PRECISIONS)


def many_input_grad(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    return _input_grad(rng, dtypes, SUMMED, BESIDE, PRECISIONS)


def many_weight_grad(rng: random.Random, dtypes: Sequence[str]) -> Drawn:
    """The gradient by the weight. Its limits are 4 (cpu), 8 (cuda) and 1 (cuda's tensor cores)."""
    axes, dtype, precision = cells(rng), rng.choice(dtypes), rng.choice(PRECISIONS)
    counts = rng.randint(1, 3), rng.choice(SUMMED[:8]), rng.choice(BESIDE)
    plan = ConvTransposePlan(axes, rng.choice([1, 1, 2]), precision)
    return _weight_grad(rng, plan, dtype, counts, (1, 4, 8))


MANY: dict[str, Callable[[random.Random, Sequence[str]], Drawn]] = {
    "many_conv_transpose": many_conv_transpose,
    "many_input_grad": many_input_grad,
    "many_weight_grad": many_weight_grad,
}
"""Draws of many channels, in every precision; they are not recorded."""
