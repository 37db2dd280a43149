"""Transposed convolution by XLA's own convolution.

XLA can insert zeros between the samples (``lhs_dilation``), but multiplies them too. Therefore a stride is a sub-pixel
convolution, unless windows are dilated. If a window has more taps than a plane has cells, input and weight are swapped:
a transposed convolution is symmetric in both, and XLA is slow with large windows. Values that are not finite must not
be multiplied by zeros, and some devices do not convolve integers. For both, `_tap_by_tap` is a loop over taps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType, ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.jax.runtime.compiled import compiled
from upsample.plans.window import ConvTransposePlan, WindowAxis

__all__ = ["all_finite", "convolved", "run"]

_PRECISION: Mapping[str, str] = MappingProxyType({"float32": "highest", "tf32x3": "high", "tf32": "default"})


def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, weight: Array, bias: Array | None, out: None) -> Array:
    """Return the transposed convolution of ``x [N, C, *small]`` with ``weight [C, M / groups, *kernel]``."""
    return cast(Array, _run(plan, x, weight, bias))


@compiled
def _run(plan: ConvTransposePlan, x: Any, weight: Any, bias: Any) -> Any:
    from jax import numpy as jnp

    shape = (x.shape[0], plan.groups * weight.shape[1], *plan.large_shape)
    if 0 in shape:
        return jnp.zeros(shape, x.dtype)
    factors = (weight, x) if _pads_weight(plan) else (weight,)
    result = convolved(plan, x, weight, all_finite(*factors))
    if bias is not None:
        result = result + bias.astype(result.dtype).reshape((1, -1) + (1,) * len(plan.axes))
    return result.astype(x.dtype)


def all_finite(*factors: Any) -> Any:
    """Tell whether all values of all arrays are finite; under ``vmap``, of all arrays of the batch."""
    from jax import lax
    from jax import numpy as jnp

    return jnp.all(jnp.stack([_is_finite()(lax.stop_gradient(x)) for x in factors]))


@cache
def _is_finite() -> Any:
    """Return a function that ``vmap`` does not batch, because a batched condition runs both of its branches."""
    from jax import numpy as jnp
    from jax.custom_batching import custom_vmap

    is_finite = custom_vmap(lambda x: jnp.all(jnp.isfinite(x)))
    is_finite.def_vmap(lambda size, batched, x: (is_finite(x), False))
    return is_finite


def convolved(plan: ConvTransposePlan, x: Any, weight: Any, is_finite: Any) -> Any:
    """Return the transposed convolution in the dtype of sums; JAX derives its gradients.

    Parameters
    ----------
    plan : ConvTransposePlan
        Windows and groups.
    x, weight : array
        As of `run`.
    is_finite : array of bool
        Whether all values are finite, so that they may be multiplied by zeros.
    """
    from jax import lax
    from jax import numpy as jnp

    sums = arrays.accumulator(x.dtype.name)
    x, weight = x.astype(sums), weight.astype(sums)
    useful = [axis.useful_taps() for axis in plan.axes]
    if 0 in x.shape or 0 in weight.shape or not all(useful):
        return jnp.zeros((x.shape[0], plan.groups * weight.shape[1], *plan.large_shape), sums)
    trimmed = replace(plan, axes=tuple(axis.trimmed() for axis in plan.axes))
    weight = weight[(..., *(slice(taps.start, taps.stop) for taps in useful))]
    loop = partial(_tap_by_tap, trimmed)
    if jnp.issubdtype(x.dtype, jnp.integer):
        return loop(x, weight)
    # outside of the branch, because XLA convolves on one thread of a CPU within a branch
    result = _by_convolution(trimmed, *(jnp.where(is_finite, factor, 0) for factor in (x, weight)))
    return lax.cond(is_finite, lambda *_: result, loop, x, weight)


def _is_swapped(plan: ConvTransposePlan) -> bool:
    """Tell whether input and weight are swapped."""
    return math.prod(len(axis.useful_taps()) for axis in plan.axes) > math.prod(plan.small_shape)


def _has_phases(plan: ConvTransposePlan) -> bool:
    """Tell whether positions with one remainder modulo the stride are computed as channels."""
    return any(axis.stride > 1 for axis in plan.axes) and all(axis.dilation == 1 for axis in plan.axes)


def _pads_weight(plan: ConvTransposePlan) -> bool:
    """Tell whether the convolution pads the weight, so that zeros multiply values of the input."""
    is_cut = any(len(axis.useful_taps()) % axis.stride for axis in plan.axes)
    return _is_swapped(plan) or (_has_phases(plan) and is_cut)


def _by_convolution(plan: ConvTransposePlan, x: Any, weight: Any) -> Any:
    from jax import numpy as jnp

    groups, (batch, _, *small), (channels, outputs, *kernel) = plan.groups, x.shape, weight.shape
    split = weight.reshape((groups, channels // groups, outputs, *kernel))
    strides, dilations = ([getattr(axis, name) for axis in plan.axes] for name in ("stride", "dilation"))
    if _is_swapped(plan):
        left = jnp.moveaxis(split, 2, 0).reshape((outputs, channels, *kernel))
        right = jnp.moveaxis(x.reshape((batch, groups, channels // groups, *small)), 0, 1)
        right = right.reshape((groups * batch, channels // groups, *small))
        swapped = _convolve(plan, left, right, dilations, strides)
        swapped = jnp.moveaxis(swapped.reshape((outputs, groups, batch, *plan.large_shape)), (0, 2), (2, 0))
        return swapped.reshape((batch, groups * outputs, *plan.large_shape))
    if _has_phases(plan):
        return _by_phases(plan, x, split)
    right = jnp.moveaxis(split, 2, 1).reshape((groups * outputs, channels // groups, *kernel))
    return _convolve(plan, x, right, strides, dilations)


def _by_phases(plan: ConvTransposePlan, x: Any, split: Any) -> Any:
    """Convolve without zeros between samples: sub-pixel convolution (Shi et al., 2016).

    Each remainder modulo the stride has channels of its own, which are then interleaved. The shape of `split` is
    ``[groups, C / groups, M / groups, *kernel]``.
    """
    from jax import lax
    from jax import numpy as jnp

    (groups, channels, outputs, *kernel), count, zero = split.shape, len(plan.axes), np.zeros((), x.dtype)
    taps = [-(-size // axis.stride) for size, axis in zip(kernel, plan.axes, strict=True)]
    strides = [axis.stride for axis in plan.axes]
    missing = [(0, tap * axis.stride - size, 0) for tap, size, axis in zip(taps, kernel, plan.axes, strict=True)]
    pairs = [n for pair in zip(taps, strides, strict=True) for n in pair]
    padded = lax.pad(split, zero, [(0, 0, 0)] * 3 + missing).reshape((groups, channels, outputs, *pairs))
    order = (0, *range(4, 4 + 2 * count, 2), 2, 1, *range(3, 3 + 2 * count, 2))
    right = jnp.transpose(padded, order).reshape((-1, channels, *taps))
    sizes = [axis.small + tap - 1 for axis, tap in zip(plan.axes, taps, strict=True)]
    unpadded = replace(
        plan, axes=tuple(WindowAxis(n, a.small, t, 1, 0, 1) for n, a, t in zip(sizes, plan.axes, taps, strict=True))
    )
    phases = _convolve(unpadded, x, right, [1] * count, [1] * count)
    phases = phases.reshape((x.shape[0], groups, *strides, outputs, *sizes))
    order = (0, 1, 2 + count, *(n for place in range(count) for n in (3 + count + place, 2 + place)))
    lengths = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    interleaved = jnp.transpose(phases, order).reshape((x.shape[0], groups * outputs, *lengths))
    margins = [(-a.padding, a.large + a.padding - n, 0) for a, n in zip(plan.axes, lengths, strict=True)]
    return lax.pad(interleaved, zero, [(0, 0, 0)] * 2 + margins)


def _convolve(plan: ConvTransposePlan, left: Any, right: Any, apart: list[int], steps: list[int]) -> Any:
    """Convolve `left`, whose samples are `apart`, with `right`, whose samples are `steps` apart."""
    from jax import lax
    from jax import numpy as jnp

    spatial = tuple(range(2, left.ndim))
    padding = [
        (step * (right.shape[axis] - 1) - of.padding, of.large - 1 - (left.shape[axis] - 1) * gap + of.padding)
        for axis, of, gap, step in zip(spatial, plan.axes, apart, steps, strict=True)
    ]
    return lax.conv_general_dilated(
        left,
        jnp.flip(right, spatial),
        window_strides=(1,) * len(spatial),
        padding=padding,
        lhs_dilation=apart,
        rhs_dilation=steps,
        feature_group_count=plan.groups,
        precision=_PRECISION[plan.precision],
    )


def _tap_by_tap(plan: ConvTransposePlan, x: Any, weight: Any) -> Any:
    """Add the products of one tap and all cells, tap after tap."""
    from jax import lax
    from jax import numpy as jnp

    groups, (batch, _, *small), (channels, outputs, *kernel) = plan.groups, x.shape, weight.shape
    cells = x.reshape((batch, groups, channels // groups, math.prod(small)))
    taps = jnp.moveaxis(weight.reshape((groups, channels // groups, outputs, math.prod(kernel))), -1, 0)
    holes = [(0, 0, 0)] * 3 + [(0, 0, axis.stride - 1) for axis in plan.axes]
    canvas = [(a.small - 1) * a.stride + a.reach for a in plan.axes]
    zero = np.zeros((), x.dtype)

    def added(total: Any, entry: tuple[Any, Any]) -> tuple[Any, None]:
        tap, factors = entry
        share = jnp.einsum("gcm,ngcl->ngml", factors, cells, precision=_PRECISION[plan.precision])
        share = lax.pad(share.reshape((batch, groups, outputs, *small)), zero, holes)
        starts = [np.int32(0)] * 3
        for axis, size in reversed(list(zip(plan.axes, kernel, strict=True))):
            starts.insert(3, tap % size * axis.dilation)
            tap = tap // size
        before = lax.dynamic_slice(total, starts, share.shape)
        return lax.dynamic_update_slice(total, before + share, starts), None

    number = lax.iota(np.int32, math.prod(kernel))
    total, _ = lax.scan(added, jnp.zeros((batch, groups, outputs, *canvas), x.dtype), (number, taps))
    margins = [(-a.padding, a.large + a.padding - n, 0) for a, n in zip(plan.axes, canvas, strict=True)]
    result = lax.pad(total, zero, [(0, 0, 0)] * 3 + margins)
    return result.reshape((batch, groups * outputs, *plan.large_shape))
