"""Weight gradient of transposed convolution: the pullback that JAX derives."""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.jax.conv_transpose.driver import all_finite, convolved
from upsample.engines.jax.runtime.compiled import compiled
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    return cast(Array, _run(plan, x, y))


@compiled
def _run(plan: ConvTransposePlan, x: Any, y: Any) -> Any:
    import jax

    sums = arrays.accumulator(x.dtype.name)
    zeros = jax.numpy.zeros((x.shape[1], y.shape[1] // plan.groups, *plan.kernel_shape), sums)
    if 0 in zeros.shape or 0 in x.shape or 0 in y.shape:
        return zeros.astype(x.dtype)
    is_finite = all_finite(x, y)
    (grad,) = jax.linear_transpose(lambda weight: convolved(plan, x, weight, is_finite), zeros)(y.astype(sums))
    return grad.astype(x.dtype)
