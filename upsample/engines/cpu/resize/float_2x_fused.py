"""Fused kernel that doubles two axes: it filters rows into a ring buffer, and columns from that buffer.

What is filtered along the rows stays in the first-level cache until the last output that it is a part of, and of most
inputs of the columns two outputs are made at once. See `float_kernels` for what a box is. The loops are functions of
their own, with one way in and out: Numba counts no references there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cpu.resize.taps import Listed
from upsample.engines.cpu.runtime.compile import kernel, part
from upsample.engines.cpu.runtime.fma import fma
from upsample.engines.cpu.runtime.machine import L1_BYTES, L2_BYTES
from upsample.engines.cpu.runtime.nontemporal import fence, put

__all__ = ["RING_BYTES", "Ring", "doubled", "plan_ends", "plan_ring", "twins"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_U: Any = np.uint64

_GROUP_BYTES = L1_BYTES // 4
"""Rows that are filtered together, in bytes; they stay in the L1 cache beside their inputs."""
RING_BYTES = L2_BYTES // 4
"""Largest ring buffer of rows, in bytes; it stays in the L2 cache beside inputs and outputs."""


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """Which rows are where, and when.

    Attributes
    ----------
    group, slots : int
        Rows that are filtered together, and that the ring has.
    need : ndarray of int64, shape (out,)
        The rows before this one must have been filtered.
    slot : ndarray of int64, shape (out, most)
        Where in the ring each tap's row is.
    """

    group: int
    slots: int
    need: _Array
    slot: _Array


def plan_ring(table: Listed, low: int, high: int, row_bytes: int) -> Ring | None:
    """Lay out the ring for outputs made of the rows ``[low, high)``, or None where it would be too large."""
    used = np.arange(table.index.shape[1]) < table.count[:, None]
    need = np.maximum.accumulate(np.where(used, table.index + 1, low).max(axis=1))
    least = np.where(used, table.index, high).min(axis=1)
    group = max(1, min(high - low, _GROUP_BYTES // row_bytes))
    filtered = low - (low - need) // group * group
    slots = max(1, -(-int((filtered - least).max()) // group)) * group
    if slots * row_bytes > RING_BYTES:
        return None
    return Ring(group, slots, need, np.where(used, (table.index - low) % slots, 0))


def plan_ends(table: Listed, low: int, high: int, taps: int) -> tuple[_Array, _Array, _Array] | None:
    """Name the inputs and weights of the outputs outside ``[low, high)``, `taps` each, or None where one has more.

    The last column of the inputs has the number of an output's taps: a tap of weight zero would make NaN of infinity.
    """
    place = np.concatenate([np.arange(low), np.arange(high, len(table.count))])
    if table.count[place].max(initial=0) > taps or table.count[place].min(initial=1) < 1:
        return None
    index, weight = np.zeros((2, len(place), taps + 1))
    for e, (o, count) in enumerate(zip(place, table.count[place], strict=True)):
        index[e, :count], weight[e, :count] = table.index[o, :count], table.weight[o, :count]
        index[e, taps] = count
    return place, index.astype(np.int64), weight.astype(table.weight.dtype)


@part
def _rows2(src: _Array, s: int, dst: _Array, d: int, n: int, phases: tuple[Any, ...]) -> None:
    """Make two values of each two neighbours and the next."""
    p, q, r, z = phases
    zero = src.dtype.type(0)
    for j in range(_U(n)):
        x, y = s + j, d + j + j
        dst[y] = fma(src[x + _U(1)], q, src[x] * p) + zero
        dst[y + _U(1)] = fma(src[x + _U(2)], z, src[x + _U(1)] * r) + zero


@part
def _rows4(src: _Array, s: int, dst: _Array, d: int, n: int, phases: tuple[Any, ...]) -> None:
    """Make two values of each four neighbours and the next."""
    a0, a1, a2, a3, b0, b1, b2, b3 = phases
    zero = src.dtype.type(0)
    for j in range(_U(n)):
        x, y = s + j, d + j + j
        k, m, o = src[x + _U(1)], src[x + _U(2)], src[x + _U(3)]
        dst[y] = fma(o, a3, fma(m, a2, fma(k, a1, src[x] * a0))) + zero
        dst[y + _U(1)] = fma(src[x + _U(4)], b3, fma(o, b2, fma(m, b1, k * b0))) + zero


@part
def _ends(
    src: _Array,
    s: int,
    dst: _Array,
    d: int,
    rows: int,
    steps: tuple[int, int],
    tables: tuple[_Array, ...],
    phases: tuple[Any, ...],
) -> None:
    """Make the outputs near the ends of rows: column by column, so that tables are read once."""
    (of, to), (place, index, weight), zero = steps, tables, src.dtype.type(0)
    for e in range(len(place)):
        y, taps = _U(d + place[e]), index[e, 2 if len(phases) == 4 else 4]
        for j in range(rows):
            k = _U(s + j * of)
            total = src[k + _U(index[e, 0])] * weight[e, 0]
            for t in range(1, taps):
                total = fma(src[k + _U(index[e, t])], weight[e, t], total)
            dst[y + _U(j * to)] = total + zero


@part
def _zero(dst: _Array, d: int, n: int) -> None:
    for j in range(_U(n)):
        dst[d + j] = 0


@part
def _set(src: _Array, a: int, dst: _Array, d: int, n: int, w: float) -> None:
    zero = src.dtype.type(0)
    for j in range(_U(n)):
        dst[d + j] = src[a + j] * w + zero


@part
def _add(src: _Array, a: int, dst: _Array, d: int, n: int, w: float) -> None:
    zero = src.dtype.type(0)
    for j in range(_U(n)):
        dst[d + j] = fma(src[a + j], w, dst[d + j]) + zero


@part
def _two2(ring: _Array, at: tuple[int, ...], dst: _Array, d: int, n: int, w: tuple[Any, ...]) -> None:
    """Make two rows, one behind the other, of two."""
    (a, b), (p, q, r, z), g = at, w, d + _U(n)
    zero = ring.dtype.type(0)
    for j in range(_U(n)):
        x, y = ring[a + j], ring[b + j]
        dst[d + j] = fma(y, q, x * p) + zero
        dst[g + j] = fma(y, z, x * r) + zero


@part
def _two4(
    ring: _Array, at: tuple[int, ...], dst: _Array, d: int, n: int, w: tuple[Any, ...], v: tuple[Any, ...]
) -> None:
    """Make two rows, one behind the other, of four."""
    a, b, c, e = at
    p0, p1, p2, p3 = w
    q0, q1, q2, q3 = v
    g, zero = d + _U(n), ring.dtype.type(0)
    for j in range(_U(n)):
        x, y, t, u = ring[a + j], ring[b + j], ring[c + j], ring[e + j]
        dst[d + j] = fma(u, p3, fma(t, p2, fma(y, p1, x * p0))) + zero
        dst[g + j] = fma(u, q3, fma(t, q2, fma(y, q1, x * q0))) + zero


@kernel
def doubled(
    src: _Array,
    s0: int,
    dst: _Array,
    d0: int,
    outer: int,
    steps: _Array,
    sizes: _Array,
    count: _Array,
    need: _Array,
    slot: _Array,
    weight: _Array,
    twin: _Array,
    phases: tuple[Any, ...],
    place: _Array,
    index: _Array,
    end_weight: _Array,
) -> None:
    """Double rows, and make of them what the other tables say; `twin` says which outputs are made with the next.

    `sizes` has the first row and the end, those filtered together, those in the ring, and, as for the kernels of rows,
    where the phases hold and where they start; last, whether outputs are stored past the caches, through a small array.
    `phases` are the weights of the one phase, then those of the other. The last three tables are those of `plan_ends`.

    Numba knows how many phases there are before it compiles, and leaves out what two or four taps do not need.
    """
    sa, sb, sn, da, db, n, size_b, _ = steps
    begin, end, group, slots, low, high, start, past = sizes
    ring = np.empty(slots * n, dtype=src.dtype)
    made = np.empty(2 * n, dtype=src.dtype) if past else dst
    for top in range(outer):
        for mid in range(size_b):
            s, d, o = s0 + top * sa + mid * sb, d0 + top * da + mid * db, 0
            done = begin
            while o < len(count):
                while done < need[o]:
                    f, g, some = s + done * sn, (done - begin) % slots * n, min(group, end - done)
                    length = (some - 1) * sn + high - low
                    if len(phases) == 4:
                        _rows2(src, _U(f + low + start), ring, _U(g + 2 * low), length, phases)
                    else:
                        _rows4(src, _U(f + low + start), ring, _U(g + 2 * low), length, phases)
                    _ends(src, f, ring, g, some, (sn, n), (place, index, end_weight), phases)
                    done += group
                to, taps, p = _U(0 if past else d + o * n), count[o], o + 1
                if twin[o]:
                    if len(phases) == 4:
                        at2 = _U(slot[o, 0] * n), _U(slot[o, 1] * n)
                        _two2(ring, at2, made, to, n, (weight[o, 0], weight[o, 1], weight[p, 0], weight[p, 1]))
                    else:
                        at4 = _U(slot[o, 0] * n), _U(slot[o, 1] * n), _U(slot[o, 2] * n), _U(slot[o, 3] * n)
                        w = weight[o, 0], weight[o, 1], weight[o, 2], weight[o, 3]
                        _two4(ring, at4, made, to, n, w, (weight[p, 0], weight[p, 1], weight[p, 2], weight[p, 3]))
                elif taps == 0:  # of a gradient
                    _zero(made, to, n)
                else:
                    _set(ring, _U(slot[o, 0] * n), made, to, n, weight[o, 0])
                    for t in range(1, taps):
                        _add(ring, _U(slot[o, t] * n), made, to, n, weight[o, t])
                if past:
                    put(made, dst, _U(d + o * n), _U(n + twin[o] * n))
                o += 1 + twin[o]
    if past:
        fence()


def twins(table: Listed, taps: int) -> _Array:
    """Say which outputs are made of the same `taps` inputs as the next; no output belongs to two pairs."""
    result = np.zeros(len(table.count), dtype=np.bool_)
    place = np.arange(table.index.shape[1])
    count, index = table.count, np.where(place < table.count[:, None], table.index, -1)
    same = (index[1:] == index[:-1]).all(axis=1) & (count[1:] == taps) & (count[:-1] == taps)
    first = np.maximum.accumulate(np.where(same, 0, np.arange(1, len(same) + 1)))  # of the run of such outputs
    result[:-1] = same & ((np.arange(len(same)) - first) % 2 == 0)
    return result
