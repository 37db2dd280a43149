"""Input gradient of transposed convolution: a matrix product for each tap of the first axis.

The taps add in one fixed order. The padding is zeros. A weight that is not finite is multiplied by positions inside the
plane only. A traced weight has no values to check: if it is not finite, its products with the padding are NaN.
"""

from __future__ import annotations

import math
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.engines.portable.conv_transpose.im2col import Columns
from upsample.engines.portable.output import each_tile, empty, scalar, write
from upsample.engines.portable.products import matmul
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan
from upsample.tensors import is_plain_tensor

__all__ = ["run"]


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, y: Array, weight: Array) -> Array:
    """Return the convolution of ``y [N, M, *large]`` with ``weight [C, M / groups, *kernel]``: ``[N, C, *small]``."""
    groups, shape = plan.groups, (y.shape[0], weight.shape[0], *plan.small_shape)
    columns = None if 0 in shape else Columns.of(plan)
    if columns is None:
        nothing: Array = xp.zeros(shape, dtype=y.dtype, device=arrays.device_of(y))
        return nothing
    accumulator = getattr(xp, arrays.accumulator(arrays.dtype_name(y)))
    taps = arrays.astype(xp, weight, accumulator)[(..., *(slice(u.start, u.stop) for u in columns.useful))]
    taps = xp.reshape(
        taps, (groups, -1, weight.shape[1], len(columns.useful[0]), math.prod(map(len, columns.useful[1:])))
    )
    taps = xp.permute_dims(taps, (3, 0, 1, 4, 2))  # [first taps, groups, C / groups, other taps, M / groups]
    factors = xp.reshape(taps, (*taps.shape[:3], -1))
    if not arrays.can_assign(xp, y, weight):
        made = _convolved(xp, columns, arrays.astype(xp, y, accumulator), factors)
        result: Array = arrays.astype(xp, xp.reshape(made, shape), y.dtype)
        return result
    target = empty(xp, shape, y)
    convolved = _convolved if _is_finite(xp, weight, factors) else _tap_by_tap
    blocks = list(columns.blocks(y.shape[0], weight.shape[0], y.shape[1]))

    def fill(number: int) -> None:
        cells, positions, block = blocks[number]
        made = convolved(xp, block, arrays.astype(xp, y[positions], accumulator), factors)
        write(xp, xp.reshape(made, target[cells].shape), target[cells])

    each_tile(xp, fill, len(blocks))
    whole: Array = target
    return whole


def _is_finite(xp: ModuleType, weight: Array, factors: Any) -> bool:
    """Say whether all weights are; a tensor that torch.compile traces has no values, and is taken to be so."""
    if arrays.library(xp) == "torch" and not is_plain_tensor(weight):
        return True
    return arrays.all_true(xp.all(xp.isfinite(factors)))


def _convolved(xp: ModuleType, columns: Columns, y: Any, factors: Any) -> Any:
    """Return ``[N, groups, C / groups, cells]``."""
    total = None
    if xp is np and columns.has_few_cells:
        values = math.prod(factors.shape[1:3]) * y.shape[0] * math.prod(columns.plan.small_shape)
        for shares in columns.stacks([y], values, lambda numbers, patch: matmul(np, factors[numbers, None], patch)):
            total = _added(total, shares)
        return total
    for place, (_, patch) in enumerate(columns.taps(xp, y)):
        share = matmul(xp, factors[place, ...], patch)
        total = share if total is None else total + share
    return total


def _tap_by_tap(xp: ModuleType, columns: Columns, y: Any, factors: Any) -> Any:
    """Return what `_convolved` does, for weights that are not finite: omit taps in the padding."""
    groups, total = columns.plan.groups, None
    each = y.shape[1] // groups
    ones = xp.ones((1, groups, *y.shape[2:]), dtype=y.dtype, device=arrays.device_of(y))
    if xp is np and columns.has_few_cells:
        values = math.prod(factors.shape[1:]) * y.shape[0] * math.prod(columns.plan.small_shape)
        for shares in columns.stacks([y, ones], values, partial(_masked, factors, each)):
            total = _added(total, shares.reshape(-1, *shares.shape[2:]))
        return total
    rows = zip(columns.taps(xp, y), columns.taps(xp, ones), strict=True)
    for place, ((_, patch), (_, inside)) in enumerate(rows):
        for tap in range(inside.shape[2]):
            some = slice(tap * each, (tap + 1) * each)
            share = matmul(xp, factors[place, :, :, some], patch[:, :, some, :])
            share = xp.where(inside[:, :, tap : tap + 1, :] != 0, share, scalar(xp, 0, share))
            total = share if total is None else total + share
    return total


def _masked(factors: NDArray, each: int, numbers: slice, patch: NDArray, inside: NDArray) -> NDArray:
    """Return the products of some taps of the first axis with each of the others; zero in the padding."""
    shares = []
    for tap in range(inside.shape[3]):
        some = slice(tap * each, (tap + 1) * each)
        share = matmul(np, factors[numbers, None, :, :, some], patch[..., some, :])
        shares.append(np.where(inside[..., tap : tap + 1, :] != 0, share, share.dtype.type(0)))
    return np.stack(shares, axis=1)


def _added(total: NDArray | None, shares: NDArray) -> NDArray:
    """Add shares to the total one after the other, as a loop does; `np.sum` may add them in pairs."""
    if total is not None:
        shares[0] += total
    whole: NDArray = np.add.accumulate(shares, axis=0, out=shares)[-1]
    return whole.copy()
