"""Filter one axis of a box of bytes, two taps an instruction; `float_kernels` explains the box.

Along rows of few values a sample nothing lies as a vector wants it: some rows are turned, bytes of one column side
by side, and the result is turned back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from upsample.caches import once_a_call
from upsample.engines.cpu.resize import uint8_kernels
from upsample.engines.cpu.resize.taps import listed, settling
from upsample.engines.cpu.resize.taps import pairs as pairs_of
from upsample.engines.cpu.resize.taps import runs as runs_of
from upsample.engines.cpu.resize.uint8_intrinsics import SIDE, WIDTH, filter_bytes, turn
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.machine import HAS_AVX2
from upsample.plans.resize import AxisRule

__all__ = ["chosen", "columns", "rows", "short_columns"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_ROWS = 2 * WIDTH
"""Most rows that are transposed together."""
_JOINT = 8
"""Rows that are joined if they are shorter than a transposed tile."""


@kernel
def columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    pairs: _Array,
    index: _Array,
    weight: tuple[_Array, ...],
) -> None:
    """Filter an axis whose samples are `WIDTH` values or more; a last piece begins earlier."""
    sa, sb, sn, da, db, dn, size_b, n = steps
    most, data = index.shape[1] // 2, (src, dst, index.reshape(-1), *weight)
    for top in range(outer):
        for mid in range(size_b):
            s, d = s0 + top * sa + mid * sb, d0 + top * da + mid * db
            for o in range(len(pairs)):
                for j in range(0, n, WIDTH):
                    k = min(j, n - WIDTH)
                    filter_bytes(data, (s + k, sn, d + o * dn + k, o * most, np.int64(pairs[o]), how))


@kernel
def short_columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    count: _Array,
    exact: _Array,
    factor: _Array,
    pairs: _Array,
    index: _Array,
    weight: tuple[_Array, ...],
) -> None:
    """Filter an axis whose samples are `WIDTH` values at most, and half of that at least.

    What is read and made beyond a sample belongs to the next, which is made later; the last box goes one by one.
    """
    sa, _, sn, da, _, dn, size_b, n = steps
    whole = outer - 1 if size_b == 1 and dn == n and da == len(count) * n else 0
    most, data = index.shape[1] // 2, (src, dst, index.reshape(-1), *weight)
    for top in range(whole):
        s, d = s0 + top * sa, d0 + top * da
        for o in range(len(pairs)):
            filter_bytes(data, (s, sn, d + o * n, o * most, np.int64(pairs[o]), how))
    s, d = s0 + whole * sa, d0 + whole * da
    uint8_kernels.columns(src, s, dst, d, outer - whole, steps, how, count, exact, factor)


@part
def _turned(
    src: _Array,
    s: int,
    s_step: int,
    dst: _Array,
    d: int,
    d_step: int,
    count: int,
    inner: int,
    low: int,
    high: int,
    how: int,
    pairs: _Array,
    index: _Array,
    weight: tuple[_Array, ...],
    before: _Array,
    behind: _Array,
) -> None:
    """Filter `count` rows of the inputs ``[low, high)``; they are turned as far as they are needed by now."""
    most, data = index.shape[1] // 2, (before, behind, index.reshape(-1), *weight)
    size, n, done = (high - low) * inner, count * inner, 0
    for begin in range(0, len(pairs), SIDE):
        first = min(begin, len(pairs) - SIDE)
        for o in range(first, first + SIDE):
            need = (index[o, 2 * pairs[o] - 1] + 1 - low) * inner
            while done < need:
                at = min(done, size - SIDE)
                for row in range(0, count, SIDE):
                    r = min(row, count - SIDE)
                    turn((src, before), (s + low * inner + r * s_step + at, s_step, at * count + r, count))
                done = at + SIDE
            for j in range(0, n, WIDTH):
                k = min(j, n - WIDTH)
                place = (o - first) * n + k
                filter_bytes(data, (k - low * n, n, place, o * most, np.int64(pairs[o]), how))
        for at in range(0, SIDE * inner, SIDE):
            for row in range(0, count, SIDE):
                r = min(row, count - SIDE)
                turn((behind, dst), (at * count + r, count, d + first * inner + at + r * d_step, d_step))


@kernel
def rows(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    how: int,
    first: _Array,
    runs: _Array,
    joint: int,
    low: int,
    high: int,
    pairs: _Array,
    index: _Array,
    weight: tuple[_Array, ...],
) -> None:
    """Filter an axis whose samples are few values, `joint` rows as one; rows too few to be turned go by runs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    apart = size_b == 1
    total = (outer if apart else size_b) // joint
    if total < SIDE or total * inner < WIDTH or (joint > 1 and not apart):
        uint8_kernels.rows(src, s0, dst, d0, outer, steps, how, first, runs)
        return
    if outer > total * joint and apart:
        s, d, left = s0 + total * joint * sa, d0 + total * joint * da, outer - total * joint
        uint8_kernels.rows(src, s, dst, d, left, steps, how, first, runs)
    blocks = -(-total // _ROWS)
    most = max(-(-total // blocks), SIDE, -(-WIDTH // inner))
    before = np.empty((high - low) * inner * most, dtype=src.dtype)
    behind = np.empty(SIDE * inner * most, dtype=dst.dtype)
    s_step, d_step = (joint * sa, joint * da) if apart else (sb, db)
    for top in range(1 if apart else outer):
        s, d = s0 + top * sa, d0 + top * da
        for begin in range(0, total, most):
            r = min(begin, total - most)
            _turned(
                src,
                s + r * s_step,
                s_step,
                dst,
                d + r * d_step,
                d_step,
                most,
                inner,
                low,
                high,
                how,
                pairs,
                index,
                weight,
                before,
                behind,
            )


def chosen(
    rule: AxisRule, span: tuple[int, int], inner: int, packed: bool, source: tuple[int, int], whole: bool
) -> tuple[Callable[..., None], tuple[Any, ...]] | None:
    """Choose a kernel for bytes that takes taps by pairs, where it can.

    `packed` allows the one for rows, `whole` says that rows follow each other without a gap.
    """
    both = pairs_of(rule) if HAS_AVX2 else None
    if both is None:
        return None
    cut = slice(*span)
    tables = (both.count[cut], both.index[cut], tuple(weight[cut].reshape(-1) for weight in both.weights))
    if inner >= WIDTH:
        return columns, (settling(rule), *tables)
    if 2 * inner >= WIDTH:
        each = listed(rule, "int32")
        return short_columns, (settling(rule), each.count[cut], each.index[cut], each.weight[cut], *tables)
    if not packed:
        return None
    run, (low, high), outputs, joint = runs_of(rule, "int32", inner, *span), source, span[1] - span[0], 1
    if min(outputs, (high - low) * inner) < SIDE:
        if not whole or inner > 1 or min(outputs, high - low) * _JOINT < SIDE:
            return None
        joint, tables = _JOINT, _joined(rule)
    return rows, (settling(rule), run.first, run.weight, joint, low, low + joint * (high - low), *tables)


@once_a_call
def _joined(rule: AxisRule) -> tuple[_Array, _Array, tuple[_Array, ...]]:
    """The tables of `_JOINT` rows as one."""
    both = pairs_of(rule)
    assert both is not None
    index = both.index + np.arange(_JOINT, dtype=np.int32)[:, None, None] * np.int32(rule.in_size)
    weights = tuple(np.tile(weight.reshape(-1), _JOINT) for weight in both.weights)
    return np.tile(both.count, _JOINT), index.reshape(-1, index.shape[2]), weights
