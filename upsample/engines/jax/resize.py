"""Resize: for each axis a loop over taps, which gathers samples by a table and adds them times their weights.

A gather of all taps at once, with a sum over them, took ten times as long on a CPU, because XLA stores the gathered
samples. The transpose, which is the gradient, is the loop with the transposed table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, reduce
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.jax.runtime.compiled import compiled
from upsample.engines.jax.runtime.linear import linear_primitive
from upsample.plans.resize import AxisRule, ResizePlan
from upsample.plans.taps import fixed_point, settling, taps

__all__ = ["run"]

_UNROLLED = 8
"""Taps that are unrolled before the loop, and in each iteration; XLA fuses them."""
_ITERATIONS = 512
"""Most iterations of the loop: with more taps, an iteration sums several, because each takes microseconds at least."""


class _Table(NamedTuple):
    """The taps of one axis: arrays of shape ``[taps, outputs]``, and ``[outputs]`` for the last two.

    Attributes
    ----------
    source : ndarray of int32
        The input of each tap; if an output has fewer taps, its last one is repeated.
    weight, is_used : ndarray or None
        The weight of each tap, and whether it is no repetition. None if all weights are 1, and if all taps are used.
    mixed_first, mixed_last : ndarray or None
        As in `upsample.plans.tap_table.Taps`; None if all are False.
    """

    source: Any
    weight: Any
    is_used: Any
    mixed_first: Any
    mixed_last: Any


def run(xp: ModuleType, plan: ResizePlan, x: Array, out: None) -> Array:
    """Resample `x` by the plan."""
    if not plan.active_rules():
        return cast(Array, arrays.copied(xp, x))
    if arrays.dtype_name(x) in arrays.FLOATING | arrays.COMPLEX:
        return cast(Array, _primitive()(plan, x))
    return cast(Array, _run(plan, x))


@cache
def _primitive() -> Any:
    return linear_primitive("upsample_resize", _run, ResizePlan.out_shape, ResizePlan.transpose, _with_batch_axis)


def _with_batch_axis(plan: ResizePlan) -> ResizePlan:
    return replace(plan, axes=tuple(a + 1 for a in plan.axes), order=tuple(a + 1 for a in plan.order))


def _run(plan: ResizePlan, x: Any) -> Any:
    sums = _dtype_of_sums(plan, x)
    return _resampled(plan, x, *(_table(plan, rule, sums) for _, rule in plan.active_rules()))


def _dtype_of_sums(plan: ResizePlan, x: Any) -> str:
    """Return the dtype of sums: integers, in which sums are exact, if weights are binary fractions."""
    name = arrays.dtype_name(x)
    if plan.only_moves:
        return name
    if name in arrays.INTEGER and plan.arithmetic.sums == "fixed":
        is_short = all(fixed_point(rule).sums == "int32" for _, rule in plan.active_rules())
        return "int32" if is_short else _available("int64", "float32")
    if name in arrays.INTEGER or plan.arithmetic.ordered:
        return _available(plan.arithmetic.sums, "float32")
    return {"complex64": "float32", "complex128": "float64"}.get(name, arrays.accumulator(name))


def _available(name: str, otherwise: str) -> str:
    """Return the dtype `name`, or `otherwise` if JAX has 64-bit numbers disabled."""
    import jax

    return name if jax.dtypes.canonicalize_dtype(name) == name else otherwise


def _table(plan: ResizePlan, rule: AxisRule, sums: str) -> _Table:
    """Return the table of an axis; it has no weights if the plan only copies samples."""
    is_fixed = sums.startswith("int") and not plan.only_moves
    table = fixed_point(rule).table if is_fixed else taps(rule)
    tap = np.arange(table.longest)[:, None]
    source = (table.first + np.clip(tap, 0, np.maximum(table.count - 1, 0))).astype(np.int32)
    if plan.only_moves:
        return _Table(source, None, None, None, None)
    weight = np.rint(table.weight * 2.0 ** fixed_point(rule).shift) if is_fixed else table.weight
    is_used, mixed = tap < table.count, (table.mixed_first, table.mixed_last)
    return _Table(
        source,
        np.ascontiguousarray(weight.T.astype(sums)),
        None if is_used.all() else is_used,
        *(flags if flags.any() else None for flags in mixed),
    )


@compiled
def _resampled(plan: ResizePlan, x: Any, *tables: _Table) -> Any:
    from jax import lax
    from jax import numpy as jnp

    if not plan.only_moves and jnp.iscomplexobj(x):  # separately, so that NaN of one part does not reach the other
        return lax.complex(_resampled(plan, jnp.real(x), *tables), _resampled(plan, jnp.imag(x), *tables))
    active, sums = plan.active_rules(), x
    for (axis, rule), table in zip(active, tables, strict=True):
        if table.weight is None:
            sums = jnp.take(sums, table.source[0, :], axis=axis, mode="clip")
            continue
        sums = _weigh(sums.astype(table.weight.dtype), axis, table, plan.arithmetic.ordered)
        sums = _rounded(plan, rule, x.dtype, sums, axis == active[-1][0])
    if plan.arithmetic.ordered and plan.arithmetic.scale != 1.0 and arrays.dtype_name(x) not in arrays.INTEGER:
        sums = sums * jnp.asarray(plan.arithmetic.scale, sums.dtype)
    return sums.astype(x.dtype)


def _weigh(x: Any, axis: int, table: _Table, ordered: bool) -> Any:
    """Filter one axis."""
    from jax import lax
    from jax import numpy as jnp

    def product(source: Any, weight: Any, is_used: Any) -> Any:
        share = jnp.take(x, source, axis=axis, mode="clip") * _beside(weight, axis, x.ndim)
        share = share if is_used is None else jnp.where(_beside(is_used, axis, x.ndim), share, 0)
        if source.ndim > 1:
            return jnp.sum(share, axis=axis, dtype=share.dtype)
        # XLA would fuse the product and the sum, which rounds once; LLVM does not look through a choice by NaN
        return jnp.where(share != share, share.dtype.type(np.nan), share) if ordered else share

    def added(total: Any, tap: Any) -> tuple[Any, None]:
        return total + product(*tap), None

    rows, count = (table.source, table.weight, table.is_used), len(table.source)
    first, *others = (_cut(rows, tap) for tap in range(min(count, _UNROLLED)))
    sums = reduce(lambda total, tap: added(total, tap)[0], others, product(*first))
    if count > _UNROLLED:
        size = 1 if ordered else -(-count // _ITERATIONS)
        begin = _UNROLLED + (count - _UNROLLED) % size
        if begin > _UNROLLED:
            sums = sums + product(*_cut(rows, slice(_UNROLLED, begin)))
        sums, _ = lax.scan(added, sums, _blocks(_cut(rows, slice(begin, None)), size), unroll=_UNROLLED)
    for mixed, tap in ((table.mixed_first, 0), (table.mixed_last, -1)):
        if mixed is not None:  # infinity times zero is NaN; anything finite adds nothing
            again = jnp.take(x, table.source[tap, :], axis=axis, mode="clip") * 0
            sums = sums + jnp.where(_beside(mixed, axis, x.ndim), again, 0)
    return sums


def _beside(table: Any, axis: int, ndim: int) -> Any:
    """Reshape a table so that its last axis broadcasts along axis `axis` of an array of `ndim` axes."""
    from jax import numpy as jnp

    return jnp.reshape(table, (1,) * axis + table.shape + (1,) * (ndim - axis - 1))


def _cut(tables: tuple[Any, ...], taps: int | slice) -> tuple[Any, ...]:
    return tuple(None if table is None else table[taps] for table in tables)


def _blocks(tables: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """Reshape tables for a loop with `size` taps an iteration."""
    return tables if size == 1 else tuple(t if t is None else t.reshape(-1, size, t.shape[-1]) for t in tables)


def _rounded(plan: ResizePlan, rule: AxisRule, dtype: Any, sums: Any, is_last: bool) -> Any:
    """Round and clamp the sums of integers after an axis if the plan requires it; return them in the dtype of sums."""
    from jax import numpy as jnp

    arithmetic, is_integer = plan.arithmetic, dtype.name in arrays.INTEGER
    if not (is_last or rule.places or arithmetic.each_axis) or not (is_integer or arithmetic.ordered):
        return sums
    if not is_integer:  # rounded to the array's dtype between two axes
        return sums if is_last else sums.astype(dtype).astype(sums.dtype)
    if jnp.issubdtype(sums.dtype, jnp.integer):
        return _settled(sums, settling(rule))
    if rule.places and not is_last:
        one = 2.0 ** rule.places[1]
        return jnp.clip(jnp.floor(sums * one + 0.5) / one, -32768.0 / one, 32767.0 / one)
    return arithmetic.rounded(jnp, sums, dtype.name)


def _settled(sums: Any, how: int) -> Any:
    """Round and clamp integer sums by `settling`'s code."""
    from jax import numpy as jnp

    shift, kind = how & 255, how >> 8
    half = 1 << shift >> 1
    if kind == 2:
        half = half - 1 + ((sums >> shift) & 1)
    low, high = (-32768, 32767) if kind == 1 else (0, 255)
    return jnp.clip((sums + half) >> shift, low, high)
