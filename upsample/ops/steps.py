"""The steps of a computation: what an engine runs, and what its gradient is made of.

Each class is one op with all its arguments except the arrays, as `upsample.autograd.step.ShapedStep` requires. `run`
calls an engine; `gradients` and `push` apply steps, so every gradient and tangent can be differentiated again.

    step                                 gradient by its first input
    Resize(x)                            Resize(g), plan transposed
    Rearrange(x)                         Rearrange(g), plan transposed
    Pool(x)                              Unpool(g, own indices), adding
    Unpool(x, indices)                   UnpoolBackward(g, indices)
    UnpoolBackward(y, indices)           Unpool(g, indices)

All steps but `Pool` are linear in each input: `push` applies them to tangents. `Pool` selects from the tangent.
`upsample.ops.conv_steps` has the steps of transposed convolution.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
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
from upsample.plans.window import PoolPlan, UnpoolPlan, WindowAxis

__all__ = [
    "LinearStep",
    "Pool",
    "Rearrange",
    "Resize",
    "StepBase",
    "Unpool",
    "UnpoolBackward",
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

    def over(self, count: int, is_batched: _Wanted) -> tuple[ShapedStep, _Wanted] | None:
        return self, (True,) * len(is_batched)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class LinearStep(StepBase):
    """A step that is linear in each input."""

    def push(self, inputs: Arrays, outputs: Arrays, tangents: Arrays) -> Any:
        step = replace(self, engine=self.preferred)
        parts = [step.part(inputs, place, tangent) for place, tangent in enumerate(tangents) if tangent is not None]
        return reduce(add, parts)

    def part(self, inputs: Arrays, place: int, tangent: Any) -> Any:
        """Return what the tangent of one input adds to that of the output."""
        return apply(self, *inputs[:place], tangent, *inputs[place + 1 :])[0]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Resize(LinearStep):
    """Resample axes."""

    plan: ResizePlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.out_shape(inputs[0]),)

    def takes(self, *shapes: Any) -> bool:
        return bool(self.plan.transpose().out_shape(shapes[0]) == shapes[0])

    def over(self, count: int, is_batched: _Wanted) -> tuple[ShapedStep, _Wanted]:
        return replace(self, plan=self.plan.moved(1)), is_batched

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
class Rearrange(LinearStep):
    """Move samples of an array of `shape` between channels and space, or back."""

    plan: ShufflePlan
    shape: tuple[int, ...]

    def shapes(self, *inputs: Any) -> _Shapes:
        return (self.plan.shape,)

    def takes(self, *shapes: Any) -> bool:
        return bool(shapes[0] == self.shape)

    def over(self, count: int, is_batched: _Wanted) -> tuple[ShapedStep, _Wanted]:
        return replace(self, plan=self.plan.over(count), shape=(count, *self.shape)), is_batched

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

    def takes(self, *shapes: Any) -> bool:
        return _ends(shapes[0], self.plan.large_shape)

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
class Unpool(LinearStep):
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

    def takes(self, *shapes: Any) -> bool:
        return shapes[0] == shapes[1] and _ends(shapes[0], self.plan.small_shape)

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
class UnpoolBackward(LinearStep):
    """Take for each cell the value where its index says; the transpose of `Unpool`.

    A cell that was dropped takes zero. Under ``duplicates="last"`` only the last of the cells that name a position
    takes its value, otherwise each does.
    """

    plan: UnpoolPlan

    def shapes(self, *inputs: Any) -> _Shapes:
        return (_lead(inputs[0], self.plan.small_shape),)

    def takes(self, *shapes: Any) -> bool:
        return shapes[1] == self.shapes(shapes[0])[0] and _ends(shapes[0], self.plan.large_shape)

    def run(self, y: Any, indices: Any) -> Arrays:
        run = self.chosen("unpool.backward", self.plan, y)
        made = run(self.xp, self.plan, arrays.native_order(y), arrays.native_order(indices))
        return (arrays.in_order_of(y, made),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: _Wanted) -> Arrays:
        return (inputs[1],)

    def gradients(self, kept: Arrays, grad: Any, wanted: _Wanted) -> Arrays:
        plan = self.plan if self.plan.duplicates == "last" else replace(self.plan, duplicates="sum")
        return *apply(Unpool(self.op, self.xp, self.engine, plan, False, "indices"), grad, kept[0]), None


def _lead(shape: tuple[int, ...], spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with other spatial axes."""
    return (*shape[: len(shape) - len(spatial)], *spatial)


def _ends(shape: tuple[int, ...], spatial: tuple[int, ...]) -> bool:
    """Return whether the last axes of a shape are these."""
    return shape[len(shape) - len(spatial) :] == spatial
