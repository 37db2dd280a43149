"""Convolution, the gradient of transposed convolution by its input, on a GPU: sums of the same kernels."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cuda.conv_transpose.driver import sums
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.output import Target
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


def run(xp: ModuleType, plan: ConvTransposePlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    name, each = arrays.dtype_name(y), weight.shape[1]
    if name in arrays.COMPLEX:
        return _complex(xp, plan, y, weight)
    with device.of(y) as gpu:
        target = Target(gpu, xp, (y.shape[0], weight.shape[0], *plan.small_shape), y, y.dtype, None)
        if y.shape[0]:
            sizes = (y.shape[0], each, weight.shape[0] // plan.groups)
            sums(gpu, "conv_transpose.input_grad", plan, y, weight, None, target.memory, name=name, sizes=sizes)
        return target.finished()


def _complex(xp: ModuleType, plan: ConvTransposePlan, y: Array, weight: Array) -> Array:
    """Multiply complex numbers by real ones of twice the channels: ``[[c -d] [d c]] [a b] = [ac - bd, ad + bc]``."""
    groups, each, batch = plan.groups, weight.shape[1], y.shape[0]
    inputs = weight.shape[0] // groups
    halves = [xp.reshape(part, (batch, groups, each, *y.shape[2:])) for part in arrays.split_complex(xp, y)]
    positions = xp.reshape(xp.concat(halves, axis=2), (batch, 2 * y.shape[1], *y.shape[2:]))
    c, d = (xp.reshape(part, (groups, inputs, each, *weight.shape[2:])) for part in arrays.split_complex(xp, weight))
    rows = xp.concat([xp.concat([c, -d], axis=2), xp.concat([d, c], axis=2)], axis=1)
    taps = xp.reshape(rows, (2 * weight.shape[0], 2 * each, *weight.shape[2:]))
    made: Any = run(xp, plan, positions, taps)
    made = xp.reshape(made, (batch, groups, 2, inputs, *plan.small_shape))
    shape = (batch, weight.shape[0], *plan.small_shape)
    real, imag = (xp.reshape(made[:, :, place, ...], shape) for place in (0, 1))
    result: Array = arrays.join_complex(xp, real, imag, y.dtype)
    return result
