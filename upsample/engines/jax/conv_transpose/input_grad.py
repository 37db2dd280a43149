"""Input gradient of transposed convolution: the pullback that JAX derives.

A weight that is not finite makes cells NaN whose windows extend into the padding, because zeros multiply it there.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.jax.conv_transpose.driver import all_finite, convolved
from upsample.engines.jax.runtime.compiled import compiled
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(xp: ModuleType, plan: ConvTransposePlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    return cast(Array, _run(plan, y, weight))


@compiled
def _run(plan: ConvTransposePlan, y: Any, weight: Any) -> Any:
    import jax

    sums = arrays.accumulator(y.dtype.name)
    zeros = jax.numpy.zeros((y.shape[0], weight.shape[0], *plan.small_shape), sums)
    if 0 in zeros.shape or 0 in y.shape:
        return zeros.astype(y.dtype)
    is_finite = all_finite(y, weight)
    (grad,) = jax.linear_transpose(lambda x: convolved(plan, x, weight, is_finite), zeros)(y.astype(sums))
    return grad.astype(y.dtype)
