"""The steps of a computation: what an engine runs, and what its gradient is made of.

Each class is one op with all its arguments except the arrays, as `upsample.autograd.step.ShapedStep` requires. `run`
calls an engine; `gradients` and `push` apply steps, so every gradient and tangent can be differentiated again.

    step                                 gradient by its first input         and by the others
    Resize(x)                            Resize(g), plan transposed
    Rearrange(x)                         Rearrange(g), plan transposed
    Pool(x)                              Unpool(g, own indices), adding
    Unpool(x, indices)                   UnpoolBackward(g, indices)
    UnpoolBackward(y, indices)           Unpool(g, indices)
    ConvTranspose(x, weight, bias)       InputGrad(g, weight)                weight: WeightGrad(x, g), bias: sums of g
    InputGrad(y, weight)                 ConvTranspose(g, weight)            weight: WeightGrad(g, y)
    WeightGrad(x, y)                     InputGrad(y, g)                     y: ConvTranspose(x, g)

All steps but `Pool` are linear in each input: `push` applies them to tangents. `Pool` selects from the tangent.

`ConvTranspose` and its two gradients are sums over the same triples of a cell, a tap and a position::

    ConvTranspose   y[position] += x[cell] * weight[tap]
    InputGrad       x[cell]     += y[position] * weight[tap]
    WeightGrad      weight[tap] += y[position] * x[cell]

Complex gradients follow torch's convention: factors are conjugated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arguments import check_room
from upsample.autograd.step import Arrays, ShapedStep
from upsample.autograd.tape import apply
from upsample.engines import dispatch
from upsample.engines.dispatch import Preferred
from upsample.errors import Raw, bad_value
from upsample.plans.resize import ResizePlan
from upsample.plans.shuffle import ShufflePlan
from upsample.plans.window import ConvTransposePlan, PoolPlan, UnpoolPlan, WindowAxis

__all__ = [
    "ConvTranspose",
    "InputGrad",
    "Pool",
    "Rearrange",
    "Resize",
    "StepBase",
    "Unpool",
    "UnpoolBackward",
    "WeightGrad",
]

_Wanted = tuple[bool, ...]
_Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class StepBase(ABC):
    """What all steps have.

    Attributes
    ----------
    op : str
        The name of the operation in its dialect, for errors.
    xp : module
        Namespace of the inputs.
    engine : str or None
        Forces an engine; gradients only prefer it, because the engine may lack them.
    """

    op: str
    xp: ModuleType
    engine: str | None

    @property
    def differentiable(self) -> int:
        return 1

    @property
    def preferred(self) -> Preferred | None:
        """The engine that derivatives prefer."""
        return None if self.engine is None else Preferred(self.engine)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return ()

    def pull(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return replace(self, engine=self.preferred).gradients(kept, grad, wanted)

    @abstractmethod
    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        """Return what `pull` returns, computed on this step's engine."""

    def chosen(self, task: str, plan: object, x: Any) -> Any:
        """Return the function of an engine that runs `task` on arrays like `x`."""
        return dispatch.choose(self.op, task, plan, x, self.engine)


@dataclass(frozen=True, slots=True)
class _Linear(StepBase):
    """A step that is linear in each input."""

    def push(self, inputs: Arrays, outputs: Arrays, tangents: Arrays) -> Any:
        step = replace(self, engine=self.preferred)
        parts = [step.part(inputs, place, tangent) for place, tangent in enumerate(tangents) if tangent is not None]
        return reduce(add, parts)

    def part(self, inputs: Arrays, place: int, tangent: Any) -> Any:
        """Return what the tangent of one input adds to that of the output."""
        return apply(self, *inputs[:place], tangent, *inputs[place + 1 :])[0]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Resize(_Linear):
    """Resample axes."""

    plan: ResizePlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.out_shape(inputs[0]),)

    def run(self, x: Any) -> Arrays:
        return (self.into(x, None),)

    def into(self, x: Any, out: Any) -> Any:
        """Return the result, in `out` if it is an array."""
        run = self.chosen("resize", self.plan, x)
        if out is None:
            check_room(self.xp, x, self.plan.out_shape(x.shape))
        return arrays.in_order_of(x, run(self.xp, self.plan, arrays.native_order(x), out))

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return apply(replace(self, plan=self.plan.transpose()), grad)


@dataclass(frozen=True, slots=True)
class Rearrange(_Linear):
    """Move samples of an array of `shape` between channels and space, or back."""

    plan: ShufflePlan
    shape: tuple[int, ...]

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.shape,)

    def run(self, x: Any) -> Arrays:
        return (self.into(x, None),)

    def into(self, x: Any, out: Any) -> Any:
        """Return the result, in `out` if it is an array."""
        return self.chosen("pixel_shuffle", self.plan, x)(self.xp, self.plan, x, out)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return apply(replace(self, plan=self.plan.transpose(self.shape), shape=tuple(grad.shape)), grad)


@dataclass(frozen=True, slots=True)
class Pool(StepBase):
    """Take the maximum of each window; as a step always with indices, which the gradient needs."""

    plan: PoolPlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.small_shape),) * 2

    def run(self, x: Any) -> Arrays:
        places = math.prod(axis.kernel for axis in self.plan.axes if isinstance(axis, WindowAxis))
        if self.plan.local_indices and places >= 2**63:
            rule = f"its {places} places do not fit a 64-bit index, by which a gradient finds its way"
            raise bad_value(self.op, "window", Raw("<too large>"), rule, "pass a smaller window")
        return self.into(x, (None, None), True)

    def into(self, x: Any, out: tuple[Any, Any], with_indices: bool) -> Arrays:
        """Return the maxima, and their indices or None, each in its place of `out` if there is an array."""
        run = self.chosen("pool", self.plan, x)
        values, indices = run(self.xp, self.plan, arrays.native_order(x), out, with_indices)
        return arrays.in_order_of(x, values), indices

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (outputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return apply(Unpool(self.op, self.xp, self.engine, self.plan.transpose(), False, "indices"), grad, kept[0])

    def push(self, inputs: Arrays, outputs: Arrays, tangents: Arrays) -> Any:
        select = UnpoolBackward(self.op, self.xp, self.preferred, self.plan.transpose())
        return apply(select, tangents[0], outputs[1])[0]


@dataclass(frozen=True, slots=True)
class Unpool(_Linear):
    """Put each cell where its index says.

    Attributes
    ----------
    every_duplicate : bool
        Every cell that names a position receives its gradient, although one cell overwrote the others.
    argument : str
        What the dialect calls the indices.
    """

    plan: UnpoolPlan
    every_duplicate: bool
    argument: str

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.large_shape),)

    def run(self, x: Any, indices: Any) -> Arrays:
        return (self.into(x, indices, None),)

    def into(self, x: Any, indices: Any, out: Any) -> Any:
        """Return the result, in `out` if it is an array."""
        run = self.chosen("unpool", self.plan, x)
        names = (self.op, self.argument)
        made = run(self.xp, self.plan, arrays.native_order(x), arrays.native_order(indices), out, names)
        return arrays.in_order_of(x, made)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        plan = replace(self.plan, duplicates="sum") if self.every_duplicate else self.plan
        return *apply(UnpoolBackward(self.op, self.xp, self.engine, plan), grad, kept[0]), None


@dataclass(frozen=True, slots=True)
class UnpoolBackward(_Linear):
    """Take for each cell the value where its index says; the transpose of `Unpool`.

    A cell that was dropped takes zero. Under ``duplicates="last"`` only the last of the cells that name a position
    takes its value, otherwise each does.
    """

    plan: UnpoolPlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.small_shape),)

    def run(self, y: Any, indices: Any) -> Arrays:
        run = self.chosen("unpool.backward", self.plan, y)
        made = run(self.xp, self.plan, arrays.native_order(y), arrays.native_order(indices))
        return (arrays.in_order_of(y, made),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        plan = self.plan if self.plan.duplicates == "last" else replace(self.plan, duplicates="sum")
        return *apply(Unpool(self.op, self.xp, self.engine, plan, False, "indices"), grad, kept[0]), None


@dataclass(frozen=True, slots=True)
class _Products(_Linear):
    """A sum of products of two inputs, each of which the other's gradient needs.

    Arrays may lack the axis of the batch; engines always get it.
    """

    plan: ConvTransposePlan

    @property
    def differentiable(self) -> int:
        return 2

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[0] if wanted[1] else None, inputs[1] if wanted[0] else None)

    def other(self, kind: Callable[..., ShapedStep], *inputs: Any) -> Any:
        """Apply another step of the same plan."""
        return apply(kind(self.op, self.xp, self.engine, self.plan), *inputs)[0]

    def factor(self, x: Any) -> Any:
        """Return what a gradient is multiplied by where the value was multiplied by `x`."""
        return self.xp.conj(x) if arrays.dtype_name(x) in arrays.COMPLEX else x

    def has_batch(self, x: Any) -> bool:
        """Return whether `x` has the axis of the batch."""
        return bool(x.ndim == len(self.plan.axes) + 2)

    def batched(self, x: Any) -> Any:
        """Return `x` with the axis of the batch."""
        return x if self.has_batch(x) else x[None, ...]


@dataclass(frozen=True, slots=True)
class ConvTranspose(_Products):
    """Transposed convolution."""

    @property
    def differentiable(self) -> int:
        return 3

    def shapes(self, *inputs: Any) -> _Shapes:
        x, weight, _ = inputs
        return ((*x[: len(x) - len(weight) + 1], weight[1] * self.plan.groups, *self.plan.large_shape),)

    def run(self, x: Any, weight: Any, bias: Any) -> Arrays:
        return (self.into(x, weight, bias, None),)

    def into(self, x: Any, weight: Any, bias: Any, out: Any) -> Any:
        """Return the result, in `out` if it is an array."""
        run = self.chosen("conv_transpose", self.plan, x)
        addend = None if bias is None else arrays.native_order(bias)
        source, target = self.batched(arrays.native_order(x)), None if out is None else self.batched(out)
        made = run(self.xp, self.plan, source, arrays.native_order(weight), addend, target)
        if self.has_batch(x):
            return arrays.in_order_of(x, made)
        return arrays.in_order_of(x, made[0, ...]) if out is None else out

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (*_Products.keep(self, inputs, outputs, wanted), inputs[2] if wanted[2] else None)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        x, weight, bias = kept
        return (
            self.other(InputGrad, grad, self.factor(weight)) if wanted[0] else None,
            self.other(WeightGrad, self.factor(x), grad) if wanted[1] else None,
            self.bias_grad(grad, bias) if wanted[2] else None,
        )

    def part(self, inputs: Arrays, place: int, tangent: Any) -> Any:
        x, weight, _ = inputs
        if place < 2:
            return _Products.part(self, (x, weight, None), place, tangent)
        bias = self.xp.reshape(tangent, (-1, *(1,) * len(self.plan.axes)))
        shape = self.shapes(x.shape, weight.shape, None)[0]
        return self.xp.broadcast_to(arrays.astype(self.xp, bias, x.dtype), shape)

    def bias_grad(self, grad: Any, bias: Any) -> Any:
        """Return the sums over all axes except the channels, in the dtype of the bias."""
        run = self.chosen("conv_transpose.bias_grad", self.plan, grad)
        return run(self.xp, self.plan, arrays.native_order(grad), bias.dtype)


@dataclass(frozen=True, slots=True)
class InputGrad(_Products):
    """Sum each cell's window, weighted: a convolution, the transpose of `ConvTranspose` by its input."""

    def shapes(self, *inputs: Any) -> _Shapes:
        y, weight = inputs
        return ((*y[: len(y) - len(weight) + 1], weight[0], *self.plan.small_shape),)

    def run(self, y: Any, weight: Any) -> Arrays:
        run = self.chosen("conv_transpose.input_grad", self.plan, y)
        made = run(self.xp, self.plan, self.batched(arrays.native_order(y)), arrays.native_order(weight))
        return (arrays.in_order_of(y, made if self.has_batch(y) else made[0, ...]),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        y, weight = kept
        return (
            self.other(ConvTranspose, grad, self.factor(weight), None) if wanted[0] else None,
            self.other(WeightGrad, grad, self.factor(y)) if wanted[1] else None,
        )


@dataclass(frozen=True, slots=True)
class WeightGrad(_Products):
    """Sum, for each tap, the products of cells and positions: the transpose of `ConvTranspose` by its weight."""

    def shapes(self, *inputs: Any) -> _Shapes:
        channels, outputs = (shape[len(shape) - len(self.plan.axes) - 1] for shape in inputs)
        return ((channels, outputs // self.plan.groups, *self.plan.kernel_shape),)

    def run(self, x: Any, y: Any) -> Arrays:
        run = self.chosen("conv_transpose.weight_grad", self.plan, x)
        source, sums_of = (self.batched(arrays.native_order(array)) for array in (x, y))
        return (arrays.in_order_of(x, run(self.xp, self.plan, source, sums_of)),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        x, y = kept
        return (
            self.other(InputGrad, self.factor(y), grad) if wanted[0] else None,
            self.other(ConvTranspose, self.factor(x), grad, None) if wanted[1] else None,
        )


def _lead(shape: tuple[int, ...], spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with other spatial axes."""
    return (*shape[: len(shape) - len(spatial)], *spatial)
