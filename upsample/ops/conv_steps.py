"""The steps of transposed convolution; `upsample.ops.steps` has the others.

    step                                 gradient by its first input         and by the others
    ConvTranspose(x, weight, bias)       InputGrad(g, weight)                weight: WeightGrad(x, g), bias: sums of g
    InputGrad(y, weight)                 ConvTranspose(g, weight)            weight: WeightGrad(g, y)
    WeightGrad(x, y)                     InputGrad(y, g)                     y: ConvTranspose(x, g)

`ConvTranspose` and its two gradients are sums over the same triples of a cell, a tap and a position::

    ConvTranspose   y[position] += x[cell] * weight[tap]
    InputGrad       x[cell]     += y[position] * weight[tap]
    WeightGrad      weight[tap] += y[position] * x[cell]

Complex gradients follow torch's convention: factors are conjugated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from upsample import arrays
from upsample.autograd.step import Arrays, ShapedStep
from upsample.autograd.tape import apply
from upsample.ops.steps import LinearStep
from upsample.plans.window import ConvTransposePlan

__all__ = ["ConvTranspose", "InputGrad", "WeightGrad"]

_Wanted = tuple[bool, ...]
_Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Products(LinearStep):
    """A sum of products of two inputs, each of which the other's gradient needs.

    Arrays may have any number of leading axes for the batch; engines get one.
    """

    plan: ConvTransposePlan

    @property
    def differentiable(self) -> int:
        return 2

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[0] if wanted[1] else None, inputs[1] if wanted[0] else None)

    def other(self, kind: Callable[..., ShapedStep], *inputs: Any) -> Any:
        """Apply a step of another kind with this step's plan."""
        return apply(kind(self.op, self.xp, self.engine, self.plan), *inputs)[0]

    def factor(self, x: Any) -> Any:
        """Return the factor of the gradient if the factor of the value is `x`: its conjugate."""
        return self.xp.conj(x) if arrays.dtype_name(x) in arrays.COMPLEX else x

    def batched(self, x: Any) -> Any:
        """Return `x` with one axis for the batch."""
        lead = self._lead(x)
        if not lead:
            return x[None, ...]
        return x if len(lead) == 1 else self.xp.reshape(x, (math.prod(lead), *x.shape[len(lead) :]))

    def as_given(self, made: Any, x: Any) -> Any:
        """Reshape the result of `x` so that it has the leading axes of `x`."""
        lead = self._lead(x)
        if not lead:
            return arrays.in_order_of(x, made[0, ...])
        return arrays.in_order_of(x, made if len(lead) == 1 else self.xp.reshape(made, (*lead, *made.shape[1:])))

    def _lead(self, x: Any) -> tuple[int, ...]:
        return tuple(x.shape[: x.ndim - len(self.plan.axes) - 1])

    def over(self, count: int, is_batched: _Wanted) -> tuple[ShapedStep, _Wanted] | None:
        return (self, is_batched) if is_batched[0] and not any(is_batched[1:]) else None  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class ConvTranspose(_Products):
    """Transposed convolution."""

    @property
    def differentiable(self) -> int:
        return 3

    def shapes(self, *inputs: Any) -> _Shapes:
        x, weight, _ = inputs
        return ((*x[: len(x) - len(weight) + 1], weight[1] * self.plan.groups, *self.plan.large_shape),)

    def takes(self, *shapes: Any) -> bool:
        x, weight, bias = shapes
        fits = x[1 - len(weight) :] == (weight[0], *self.plan.small_shape) and weight[2:] == self.plan.kernel_shape
        return fits and bias in (None, (weight[1] * self.plan.groups,))

    def run(self, x: Any, weight: Any, bias: Any) -> Arrays:
        return (self.into(x, weight, bias, None),)

    def into(self, x: Any, weight: Any, bias: Any, out: Any) -> Any:
        """Return the result, in `out` if it is an array."""
        run = self.chosen("conv_transpose", self.plan, x)
        addend = None if bias is None else arrays.native_order(bias)
        source, target = self.batched(arrays.native_order(x)), None if out is None else self.batched(out)
        made = run(self.xp, self.plan, source, arrays.native_order(weight), addend, target)
        return self.as_given(made, x) if out is None else out

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

    def takes(self, *shapes: Any) -> bool:
        y, weight = shapes
        spatial = (weight[1] * self.plan.groups, *self.plan.large_shape)
        return bool(y[1 - len(weight) :] == spatial and weight[2:] == self.plan.kernel_shape)

    def run(self, y: Any, weight: Any) -> Arrays:
        run = self.chosen("conv_transpose.input_grad", self.plan, y)
        made = run(self.xp, self.plan, self.batched(arrays.native_order(y)), arrays.native_order(weight))
        return (self.as_given(made, y),)

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

    def takes(self, *shapes: Any) -> bool:
        x, y = shapes
        count = len(self.plan.axes)
        return (x[-count:], y[-count:]) == (self.plan.small_shape, self.plan.large_shape)

    def over(self, count: int, is_batched: _Wanted) -> None:
        return None  # it sums over the batch

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
