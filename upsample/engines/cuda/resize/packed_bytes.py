"""Resampling of two neighbouring axes of bytes in one pass: launches of ``kernels/resize_bytes.cu``.

The last axis is filtered first. Weights have 16 bits, so that one instruction (dp2a) adds two products.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from upsample.arrays import NDArray
from upsample.caches import cached
from upsample.engines.cuda.resize.fused import Box, box_row, row_strips
from upsample.engines.cuda.resize.passes import Pass
from upsample.engines.cuda.resize.taps import base, longest, marches
from upsample.engines.cuda.runtime.launch import Kernel, Launch, ceil_div, kernel, struct
from upsample.plans.resize import AxisRule
from upsample.plans.taps import fixed_point, scaled, settling

__all__ = ["kernels", "plan_bytes"]

_THREADS = 64
"""A block; as in the .cu file."""
_DOUBLED, _NEAR, _HALVED, _PIXELS, _RGB = range(5)
"""Ways to read a row; as in the .cu file."""
_TAPS = {_DOUBLED: (2, 4, 8), _NEAR: (2, 4, 8), _HALVED: (4, 8), _PIXELS: (2, 4, 8), _RGB: (2, 4)}
"""For how many taps each is compiled."""
_SHARED = {_DOUBLED: 8, _NEAR: 4, _HALVED: 4}
"""Neighbouring outputs that share a run of bytes."""
_LONGEST_READ = 32
"""Bytes, more than a thread reads at once and may be off the row with."""


def kernels() -> Iterator[Kernel]:
    """Yield every specialisation that this module can launch."""
    return (_kernel(read, taps, once) for read, several in _TAPS.items() for taps in several for once in (False, True))


def _kernel(read: int, taps: int, once: bool) -> Kernel:
    return kernel("resize_bytes", "byte_rows", READ=read, TAPS=taps, ONCE=int(once))


def _columns(read: int, taps: int) -> int:
    """Return how many columns a thread has; OWN of the .cu file."""
    return 12 if read == _RGB else 8 if read == _DOUBLED or taps <= 4 else 4


def plan_bytes(box: Box, aligned: bool, limit: int, processors: int) -> Pass | None:
    """Plan the pass, or return None if the kernel does not take these axes; `aligned`: x begins at four bytes."""
    if len(box.rules) != 2 or box.down_first or not all(_fits(rule) for rule in box.rules):
        return None
    down, along = box.rules
    once = along.places is not None and down.places is not None
    if (along.places, down.places) != (None, None) and not (once and _hands_on(along, down)):
        return None
    taps = next(t for t in (2, 4, 8) if max(longest(down), longest(along)) <= t)
    read = _read(along, box.inner, taps, aligned)
    if read is None:
        return None
    rows = box_row(box, [down.in_size, along.in_size]), box_row(box, [down.out_size, along.out_size])
    across = ceil_div(rows[1], _columns(read, taps))
    strips = row_strips(box.planes * across, down.out_size, processors)
    strip_rows = ceil_div(down.out_size, strips)
    strips = ceil_div(down.out_size, strip_rows)
    threads = box.planes * strips * across
    if max(*rows, down.in_size, down.out_size) + 32 * _THREADS >= limit or threads >= 1 << 32:
        return None
    geometry = {
        "in_plane": np.int64(down.in_size * rows[0]),
        "out_plane": np.int64(down.out_size * rows[1]),
        "in_rows": np.int32(down.in_size),
        "out_rows": np.int32(down.out_size),
        "in_row": np.int32(rows[0]),
        "out_row": np.int32(rows[1]),
        "inner": np.int32(box.inner),
        "planes": np.int32(box.planes),
        "guarded": np.int32(ceil_div(_LONGEST_READ, rows[0])),
        "across": np.int32(across),
        "strips": np.int32(strips),
        "strip_rows": np.int32(strip_rows),
        "threads": np.uint32(threads),
        "place_shift": np.int32(settling(along) & 255),
        "row_shift": np.int32(settling(down) & 255),
    }
    launch = Launch(
        _kernel(read, taps, once), (ceil_div(threads, _THREADS), 1, 1), (_THREADS, 1, 1), 0, (struct(geometry),)
    )
    tables = (place_tables, (along, taps, read), (0, 1)), (row_tables, (down, taps), (0,))
    return Pass(launch, tables, box.planes * down.out_size * rows[1], "uint8")


@cached
def _fits(rule: AxisRule) -> bool:
    """Return whether an axis has few taps, with weights of 16 bits."""
    if not marches(rule) or longest(rule) > 8:
        return False
    fixed = fixed_point(rule)
    return fixed.sums == "int32" and float(np.abs(fixed.table.weight).max()) * 2.0**fixed.shift < 2**15


def _hands_on(along: AxisRule, down: AxisRule) -> bool:
    """Return whether bytes become 16-bit numbers along rows, and bytes again down columns."""
    return along.places is not None and (along.places[0], down.places) == (0, (along.places[1], 0))


def _read(along: AxisRule, inner: int, taps: int, aligned: bool) -> int | None:
    """Return how a row is read, if there is a way."""
    if inner == 1:
        reads = (read for read in (_DOUBLED, _NEAR, _HALVED) if taps in _TAPS[read])
        return next((read for read in reads if _runs(along, taps, read) is not None), None)
    if along.in_size < taps:
        return None
    if inner % 4 == 0 and aligned:
        return _PIXELS
    return _RGB if inner == 3 and taps in _TAPS[_RGB] else None


@cached
def _runs(rule: AxisRule, taps: int, read: int) -> tuple[NDArray, NDArray] | None:
    """Return the first byte of each run, and how far behind it each output's taps begin; None if that is too far.

    The last two of four outputs in _HALVED count from the run's fourth byte on. An output with fewer taps may begin
    earlier, with weights of zero, even before the row.
    """
    table, shared = fixed_point(rule).table, _SHARED[read]
    most, behind = 6 if taps == 2 else 4, -rule.out_size % shared
    word = np.arange(shared) // 2 * 4 if read == _HALVED else np.zeros(shared, dtype=np.int64)
    latest = np.pad(table.first, (0, behind), constant_values=1 << 40).reshape(-1, shared) - word
    earliest = (
        np.pad(table.first + table.count - taps, (0, behind), constant_values=-1 << 40).reshape(-1, shared) - word
    )
    begin = latest.min(axis=1)
    offsets = np.minimum(latest - begin[:, None], most)
    return (begin, offsets) if (begin[:, None] + offsets >= earliest).all() else None


def place_tables(rule: AxisRule, taps: int, read: int) -> tuple[NDArray, NDArray]:
    """Make the tables of the axis along a row: where its taps lie (`Place` of the .cu file), and their weights."""
    found = _runs(rule, taps, read) if read in _SHARED else None
    if found is None:
        begin = np.minimum(fixed_point(rule).table.first, rule.in_size - taps)
        return np.stack([begin, np.zeros_like(begin)], axis=1).astype(np.int32), _weights(rule, begin, taps)
    run, offsets = found
    bits = (offsets << 3 * np.arange(offsets.shape[1])).sum(axis=1)
    word = np.arange(offsets.shape[1]) // 2 * 4 if read == _HALVED else 0
    begin = (run[:, None] + word + offsets).reshape(-1)[: rule.out_size]
    return np.stack([run, bits], axis=1).astype(np.int32), _weights(rule, begin, taps)


def row_tables(rule: AxisRule, taps: int) -> tuple[NDArray]:
    """Make the table of the other axis: of each output, the weights of its window's rows, and the first of them.

    The first rows ascend. A row of the table is a struct of the kernel: half as many words as taps, then one, padded.
    """
    begin = base(fixed_point(rule).table)
    made = np.zeros((rule.out_size, taps), dtype=np.int32)
    made[:, : taps // 2] = _weights(rule, begin, taps).view(np.int32)
    made[:, taps // 2] = begin
    return (made,)


def _weights(rule: AxisRule, begin: NDArray, taps: int) -> NDArray:
    """Return the weights of `taps` inputs from `begin` on, of each output; zero for those that are no taps of it."""
    table, weight = scaled(rule, "int32")
    tap = np.arange(taps) - (table.first - begin)[:, None]
    own = (tap >= 0) & (tap < table.count[:, None])
    found = np.take_along_axis(weight, np.clip(tap, 0, weight.shape[1] - 1), axis=1)
    return np.ascontiguousarray(np.where(own, found, 0).astype(np.int16))
