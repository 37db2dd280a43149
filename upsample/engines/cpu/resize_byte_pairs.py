"""Kernels that filter one axis of a box of bytes by pairs of taps; see `resize_float` for what a box is.

Along rows of few values a sample nothing lies as a vector wants it: some rows are turned, bytes of one column side
by side, and the result is turned back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu import resize_bytes
from upsample.engines.cpu.compile import kernel
from upsample.engines.cpu.resize_byte_tiles import HAVE_TILES, SIDE, WIDTH, filter_bytes, turn
from upsample.engines.cpu.resize_tables import pairs as pairs_of
from upsample.engines.cpu.resize_tables import runs as runs_of
from upsample.engines.cpu.resize_tables import shift_of
from upsample.plans.resize import AxisRule

__all__ = ["chosen", "columns", "rows"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_ROWS = 2 * WIDTH
"""Rows turned together, at most."""


@kernel
def columns(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    shift: int,
    pairs: _Array,
    index: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are `WIDTH` values or more; a last piece begins earlier."""
    sa, sb, sn, da, db, dn, size_b, n = steps
    most, data = weight.shape[1], (src, dst, index.reshape(-1), weight.reshape(-1))
    for top in range(outer):
        for mid in range(size_b):
            s, d = s0 + top * sa + mid * sb, d0 + top * da + mid * db
            for o in range(len(pairs)):
                for j in range(0, n, WIDTH):
                    k = min(j, n - WIDTH)
                    filter_bytes(data, (s + k, sn, d + o * dn + k, o * most, np.int64(pairs[o]), shift))


@kernel
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
    shift: int,
    pairs: _Array,
    index: _Array,
    weight: _Array,
    before: _Array,
    behind: _Array,
) -> None:
    """Filter `count` rows of the inputs ``[low, high)``; they are turned as far as they are needed by now."""
    most, data = weight.shape[1], (before, behind, index.reshape(-1), weight.reshape(-1))
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
                filter_bytes(data, (k - low * n, n, place, o * most, np.int64(pairs[o]), shift))
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
    shift: int,
    first: _Array,
    runs: _Array,
    low: int,
    high: int,
    pairs: _Array,
    index: _Array,
    weight: _Array,
) -> None:
    """Filter an axis whose samples are few values; rows too few to be turned go by runs."""
    sa, sb, _, da, db, _, size_b, inner = steps
    apart, total = size_b == 1, outer if size_b == 1 else size_b
    if total < SIDE or total * inner < WIDTH:
        resize_bytes.rows(src, s0, dst, d0, outer, steps, shift, first, runs)
        return
    blocks = -(-total // _ROWS)
    most = max(-(-total // blocks), SIDE, -(-WIDTH // inner))
    before = np.empty((high - low) * inner * most, dtype=np.uint8)
    behind = np.empty(SIDE * inner * most, dtype=np.uint8)
    s_step, d_step = (sa, da) if apart else (sb, db)
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
                shift,
                pairs,
                index,
                weight,
                before,
                behind,
            )


def chosen(
    rule: AxisRule, span: tuple[int, int], inner: int, packed: bool, source: tuple[int, int]
) -> tuple[Callable[..., None], tuple[Any, ...]] | None:
    """Choose a kernel for bytes that takes taps by pairs, where it can; `packed` allows the one for rows."""
    both = pairs_of(rule) if HAVE_TILES else None
    if both is None:
        return None
    cut = slice(*span)
    tables = (both.count[cut], both.index[cut], both.weight[cut])
    if inner >= WIDTH:
        return columns, (shift_of(rule), *tables)
    if not packed or span[1] - span[0] < SIDE or (source[1] - source[0]) * inner < SIDE:
        return None
    run = runs_of(rule, "int32", inner, *span)
    return rows, (shift_of(rule), run.first, run.weight, *source, *tables)
