"""Resize without NaN samples: the weights of the other samples are normalised to sum to one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array, ArrayT
from upsample.autograd import tape
from upsample.autograd.step import Arrays
from upsample.float_errors import quiet
from upsample.ops.resize import resize
from upsample.ops.steps import Resize, StepBase
from upsample.plans.resize import ResizePlan

__all__ = ["ResizePresent", "resize_present"]

_LEAST_WEIGHT = 2.0**-16
"""Smallest sum of the weights of present samples; below it an output is NaN. Float32 sums of no samples reach this."""


@quiet
def resize_present(
    x: ArrayT,
    *,
    op: str,
    arguments: tuple[str, str],
    xp: ModuleType,
    plan: ResizePlan,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    """Run a resize plan without the samples that are NaN.

    An output is the weighted sum of the present samples divided by the sum of their weights; it is NaN if that sum is
    below ``2**-16``. Sums without a missing sample are not divided. Half precisions are divided in float32.
    """
    if out is not None:
        arrays.check_out(op, out, plan.out_shape(x.shape), x.dtype, {arguments[0]: x})
    step = ResizePresent(op, xp, engine, plan, arguments)
    # Without a tape, torch and JAX differentiate the operations of the step.
    made = (tape.record(step, x) if tape.current() is not None else step.run(x))[0]
    if out is None:
        return cast(ArrayT, made)
    target: Any = out
    target[...] = made
    return cast(ArrayT, out)


@dataclass(frozen=True, slots=True)
class ResizePresent(StepBase):
    """Resample axes without the samples that are NaN."""

    plan: ResizePlan
    arguments: tuple[str, str]

    def run(self, x: Any) -> Arrays:
        wide = self._wide(x)
        gone = self.xp.isnan(wide)
        present = self._resize(self.xp.where(gone, self._number(0.0, wide), wide))
        lost = self._resize(self._as_weight(gone, wide))
        there, valid = self._there(lost)
        made = self.xp.where(lost == 0.0, present, present / there)
        made = self.xp.where(valid, made, self._number(math.nan, present))
        return (arrays.astype(self.xp, made, x.dtype),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: tuple[bool, ...]) -> Arrays:
        wide = self._wide(inputs[0])
        gone = self.xp.isnan(wide)
        return gone, self._resize(self._as_weight(gone, wide))

    def gradients(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        gone, lost = kept
        wide = self._wide(grad)
        zero = self._number(0.0, wide)
        there, valid = self._there(lost)
        back = Resize(self.op, self.xp, self.engine, self.plan.transpose())
        made = tape.apply(back, self.xp.where(valid, wide, zero) / there)[0]
        return (arrays.astype(self.xp, self.xp.where(gone, zero, made), grad.dtype),)

    def _resize(self, x: Any) -> Any:
        given = {"op": self.op, "arguments": self.arguments, "engine": self.engine}
        return resize(x, xp=self.xp, plan=self.plan, out=None, **given)  # type: ignore[arg-type]

    def _wide(self, x: Any) -> Any:
        """Return the array in a dtype in which it can be divided: half precisions as float32."""
        half = arrays.dtype_name(x) in ("float16", "bfloat16")
        return arrays.astype(self.xp, x, self.xp.float32) if half else x

    def _number(self, value: float, like: Any) -> Any:
        """Return an array of no axes beside another one."""
        return self.xp.asarray(value, dtype=like.dtype, device=arrays.device_of(like))

    def _as_weight(self, gone: Any, like: Any) -> Any:
        """Return 1 where a sample is missing, and 0 elsewhere, in the real dtype of its sums."""
        double = arrays.dtype_name(like) in ("float64", "complex128")
        return arrays.astype(self.xp, gone, self.xp.float64 if double else self.xp.float32)

    def _there(self, lost: Any) -> tuple[Any, Any]:
        """Return the weights of present samples, 1 for those below the limit, and a mask of the others."""
        there = 1.0 - lost
        valid = self.xp.abs(there) >= _LEAST_WEIGHT
        return self.xp.where(valid, there, self._number(1.0, there)), valid
