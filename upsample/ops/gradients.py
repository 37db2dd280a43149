"""The gradient of every op: the same geometry transposed, so that each is an op of this package again.

    op                               gradient by its first input       and by the others
    resize(x, plan)                  resize(g, plan transposed)
    rearrange(x, plan)               rearrange(g, plan transposed)
    pool(x, plan)                    unpool(g, own indices), adding
    unpool(x, indices, plan)         gather(g, indices, plan)
    gather(y, indices, plan)         unpool(g, indices, plan)
    conv_transpose(x, w, b, plan)    convolve(g, w, plan)              w: correlate(x, g, plan), b: sums of g
    convolve(y, w, plan)             conv_transpose(g, w, plan)        w: correlate(g, y, plan)
    correlate(x, y, plan)            convolve(y, g, plan)              y: conv_transpose(x, g, plan)

Each class is an op with all its arguments but the arrays, as `upsample.autograd.tape.ShapedStep` wants it. Complex
gradients are torch's: factors are conjugated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.autograd.tape import Arrays
from upsample.engines import threads
from upsample.engines.dispatch import Preferred
from upsample.errors import Raw, bad_value
from upsample.ops.conv import convolve, correlate
from upsample.ops.conv_transpose import conv_transpose
from upsample.ops.gather import gather
from upsample.ops.pixel_shuffle import rearrange
from upsample.ops.pool import pool
from upsample.ops.resize import resize
from upsample.ops.unpool import unpool
from upsample.plans.resize import ResizePlan
from upsample.plans.shuffle import ShufflePlan
from upsample.plans.window import PoolPlan, SpreadPlan, UnpoolPlan, WindowAxis

__all__ = ["Convolve", "Correlate", "Gather", "Pool", "Rearrange", "Resize", "Spread", "Unpool"]

_Wanted = tuple[bool, ...]
_Shapes = tuple[tuple[int, ...], ...]

_SUMMED = 1 << 20
"""Elements that one call of NumPy sums up, about: nobody looks for Ctrl-C meanwhile; other threads take others."""


@dataclass(frozen=True, slots=True)
class _Op(ABC):
    """What the steps have in common.

    Attributes
    ----------
    op : str
        What the dialect calls the operation, for errors.
    xp : module
        Namespace of the inputs.
    engine : str or None
        Forces an engine; gradients prefer it, since there may be none for them on the engine.
    """

    op: str
    xp: ModuleType
    engine: str | None

    @property
    def differentiable(self) -> int:
        return 1

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return ()

    def pull(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        engine = None if self.engine is None else Preferred(self.engine)
        return replace(self, engine=engine).gradients(kept, grad, wanted)

    @abstractmethod
    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        """Do what `pull` does, on this step's engine."""

    def factor(self, x: Any) -> Any:
        """What a gradient is multiplied by where the value was multiplied by `x`."""
        return self.xp.conj(x) if arrays.dtype_name(x) in arrays.COMPLEX else x


@dataclass(frozen=True, slots=True)
class Resize(_Op):
    """`upsample.ops.resize.resize`."""

    plan: ResizePlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.out_shape(inputs[0]),)

    def run(self, x: Any) -> Arrays:
        return (self._resize(x, self.plan, ("input", "size")),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return (self._resize(grad, self.plan.transpose(), ("grad_output", "size")),)

    def _resize(self, x: Any, plan: ResizePlan, names: tuple[str, str]) -> Any:
        return resize(x, op=self.op, arguments=names, xp=self.xp, plan=plan, out=None, engine=self.engine)


@dataclass(frozen=True, slots=True)
class Rearrange(_Op):
    """`upsample.ops.pixel_shuffle.rearrange`, of an array of `shape`."""

    plan: ShufflePlan
    shape: tuple[int, ...]

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.shape,)

    def run(self, x: Any) -> Arrays:
        return (self._rearrange(x, self.plan),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return (self._rearrange(grad, self.plan.transpose(self.shape)),)

    def _rearrange(self, x: Any, plan: ShufflePlan) -> Any:
        return rearrange(x, op=self.op, argument="input", xp=self.xp, plan=plan, out=None, engine=self.engine)


@dataclass(frozen=True, slots=True)
class Pool(_Op):
    """`upsample.ops.pool.pool`, whose indices are always made: they say where gradients go."""

    plan: PoolPlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.small_shape),) * 2

    def run(self, x: Any) -> Arrays:
        places = math.prod(axis.kernel for axis in self.plan.axes if isinstance(axis, WindowAxis))
        if self.plan.local_indices and places >= 2**63:
            rule = f"its {places} places do not fit a 64-bit index, by which a gradient finds its way"
            raise bad_value(self.op, "window", Raw("<too large>"), rule, "pass a smaller window")
        return pool(
            x, op=self.op, argument="input", xp=self.xp, plan=self.plan, with_indices=True, out=None, engine=self.engine
        )

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (outputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        return (_unpool(self, grad, kept[0], self.plan.transpose()),)


@dataclass(frozen=True, slots=True)
class Unpool(_Op):
    """`upsample.ops.unpool.unpool`.

    Attributes
    ----------
    every_duplicate : bool
        Of the cells that name one position, every one receives its gradient, although only one was written.
    """

    plan: UnpoolPlan
    every_duplicate: bool

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.large_shape),)

    def run(self, x: Any, indices: Any) -> Arrays:
        return (_unpool(self, x, indices, self.plan),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        plan = replace(self.plan, duplicates="sum") if self.every_duplicate else self.plan
        return _gather(self, grad, kept[0], plan), None


@dataclass(frozen=True, slots=True)
class Gather(_Op):
    """`upsample.ops.gather.gather`."""

    plan: UnpoolPlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.small_shape),)

    def run(self, y: Any, indices: Any) -> Arrays:
        return (_gather(self, y, indices, self.plan),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        plan = self.plan if self.plan.duplicates == "last" else replace(self.plan, duplicates="sum")
        return _unpool(self, grad, kept[0], plan), None


@dataclass(frozen=True, slots=True)
class _Products(_Op):
    """A sum of products of two inputs, each of which the other's gradient needs."""

    plan: SpreadPlan

    @property
    def differentiable(self) -> int:
        return 2

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[0] if wanted[1] else None, inputs[1] if wanted[0] else None)

    def spread(self, x: Any, weight: Any, bias: Any) -> Any:
        names = ("input", "weight", "bias")
        return conv_transpose(
            x, weight, bias, op=self.op, arguments=names, xp=self.xp, plan=self.plan, out=None, engine=self.engine
        )

    def convolve(self, y: Any, weight: Any) -> Any:
        return convolve(y, weight, op=self.op, xp=self.xp, plan=self.plan, engine=self.engine)

    def correlate(self, x: Any, y: Any) -> Any:
        return correlate(x, y, op=self.op, xp=self.xp, plan=self.plan, engine=self.engine)


@dataclass(frozen=True, slots=True)
class Spread(_Products):
    """`upsample.ops.conv_transpose.conv_transpose`."""

    @property
    def differentiable(self) -> int:
        return 3

    def shapes(self, *inputs: Any) -> _Shapes:
        x, weight, _ = inputs
        return ((*x[: len(x) - len(weight) + 1], weight[1] * self.plan.groups, *self.plan.large_shape),)

    def run(self, x: Any, weight: Any, bias: Any) -> Arrays:
        return (self.spread(x, weight, bias),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (*_Products.keep(self, inputs, outputs, wanted), inputs[2] if wanted[2] else None)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        x, weight, bias = kept
        return (
            self.convolve(grad, self.factor(weight)) if wanted[0] else None,
            self.correlate(self.factor(x), grad) if wanted[1] else None,
            self._sums(grad, bias) if wanted[2] else None,
        )

    def _sums(self, grad: Any, bias: Any) -> Any:
        """The gradient by the bias: sums over all but the channels, in the library's fixed order.

        NumPy sums each channel of each image pairwise, then the images' sums pairwise, whatever the array's layout.
        """
        dtype = getattr(self.xp, arrays.accumulator(arrays.dtype_name(grad)))
        channels = grad.ndim - len(self.plan.axes) - 1
        if self.xp is not np:
            others = tuple(axis for axis in range(grad.ndim) if axis != channels)
            total = self.xp.sum(arrays.astype(self.xp, arrays.native_order(grad), dtype), axis=others)
            return arrays.astype(self.xp, total, bias.dtype)
        every = grad.shape[channels]
        step = max(1, _SUMMED * every // max(math.prod(grad.shape), 1))
        sums = np.empty(every, dtype=dtype)

        @np.errstate(invalid="ignore", over="ignore")
        def some(number: int) -> None:
            cut = slice(number * step, (number + 1) * step)
            part = arrays.astype(np, arrays.native_order(grad[(*[slice(None)] * channels, cut, ...)]), dtype)
            lead, rest = part.shape[:channels], part.shape[channels + 1 :]
            rows = np.ascontiguousarray(part).reshape(math.prod(lead), len(sums[cut]), math.prod(rest))
            sums[cut] = np.ascontiguousarray(rows.sum(axis=-1).T).sum(axis=-1)

        threads.each_block(some, -(-every // step))
        return arrays.astype(np, sums, bias.dtype)


@dataclass(frozen=True, slots=True)
class Convolve(_Products):
    """`upsample.ops.conv.convolve`."""

    def shapes(self, *inputs: Any) -> _Shapes:
        y, weight = inputs
        return ((*y[: len(y) - len(weight) + 1], weight[0], *self.plan.small_shape),)

    def run(self, y: Any, weight: Any) -> Arrays:
        return (self.convolve(y, weight),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        y, weight = kept
        return (
            self.spread(grad, self.factor(weight), None) if wanted[0] else None,
            self.correlate(grad, self.factor(y)) if wanted[1] else None,
        )


@dataclass(frozen=True, slots=True)
class Correlate(_Products):
    """`upsample.ops.conv.correlate`."""

    def shapes(self, *inputs: Any) -> _Shapes:
        channels, outputs = (shape[len(shape) - len(self.plan.axes) - 1] for shape in inputs)
        return ((channels, outputs // self.plan.groups, *self.plan.kernel_shape),)

    def run(self, x: Any, y: Any) -> Arrays:
        return (self.correlate(x, y),)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        x, y = kept
        return (
            self.convolve(self.factor(y), grad) if wanted[0] else None,
            self.spread(self.factor(x), grad, None) if wanted[1] else None,
        )


def _lead(shape: tuple[int, ...], spatial: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with other spatial axes."""
    return (*shape[: len(shape) - len(spatial)], *spatial)


def _unpool(step: _Op, x: Any, indices: Any, plan: UnpoolPlan) -> Any:
    return unpool(
        x,
        indices,
        op=step.op,
        arguments=("input", "indices", "output_size"),
        xp=step.xp,
        plan=plan,
        duplicate_grad="winner",
        out=None,
        engine=step.engine,
    )


def _gather(step: _Op, y: Any, indices: Any, plan: UnpoolPlan) -> Any:
    return gather(y, indices, op=step.op, xp=step.xp, plan=plan, engine=step.engine)
