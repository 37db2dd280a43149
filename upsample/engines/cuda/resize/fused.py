"""Resize of two or three neighboring axes in one fused pass: launches of ``kernels/resize_fused.cu``.

The kernel filters the last axis first; if taps are few, it can also filter the first axis first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from upsample.engines.cuda.resize.passes import Pass, Request
from upsample.engines.cuda.resize.taps import longest, marches, place_tables, run_tables
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, kernel, struct
from upsample.plans.resize import AxisRule
from upsample.plans.taps import fixed_point, settling

__all__ = ["Box", "box_row", "fuses", "kernels", "plan_fused", "row_strips"]

_THREADS = 64
"""Threads of a block; must equal the constant of the .cu file."""
_MOST_TAPS = 8
"""Most taps of an axis; half as many for bytes, because their intermediate result is small."""
_WANTED = 4 * 768
"""Threads per multiprocessor: about four times as many as it can hold, so that few are idle at the end."""
_MOST_TAPS_DOWN = 4
"""Most taps of an axis if the first axis is filtered first: a thread then keeps the cells of all taps of both axes."""
_LEAST_ROWS, _MOST_ROWS = 16, 128
"""Least and most rows of a strip: short strips filter the rows above them more often, and long ones start late."""

_ITEMS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "uint8": 1}
_SUMS = {"float64": ("double", "float64"), "uint8": ("int", "int32")}


@dataclass(frozen=True, slots=True)
class Box:
    """An array of shape ``[planes, *axes of the rules, inner]``; `down_first`: filter the first axis first."""

    planes: int
    rules: tuple[AxisRule, ...]
    inner: int
    down_first: bool


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that this module can launch."""
    for dtype in _ITEMS:
        for entry in ("columns", "packets"):
            yield from (_kernel(entry, dtype, taps, 1, False) for taps in (2, 4, 8) if taps <= _most_taps(dtype))
            yield _kernel(entry, dtype, 2, 2, False)
            if dtype != "uint8":
                few = [(2, 1), (4, 1), (2, 2)] if entry == "columns" or dtype != "float64" else [(2, 1), (2, 2)]
                yield from (_kernel(entry, dtype, taps, lines, True) for taps, lines in few)


def _kernel(entry: str, dtype: str, taps: int, lines: int, down_first: bool) -> Kernel:
    sums, _ = _sums(dtype)
    macros = {"TAPS": taps, "LINES": lines, "DOWN_FIRST": int(down_first), "PACKED": int(entry == "packets")}
    return kernel("resize_fused", entry, SCALAR=C_TYPES[dtype], ACC=sums, **macros)


def _most_taps(dtype: str) -> int:
    return _MOST_TAPS // 2 if dtype == "uint8" else _MOST_TAPS


def _sums(dtype: str) -> tuple[str, str]:
    return _SUMS.get(dtype, ("float", "float32"))


def fuses(box: Box, dtype: str, limit: int) -> bool:
    """Tell whether a fused pass supports these axes: two of up to eight taps, or three of two."""
    most = {2: _MOST_TAPS_DOWN if box.down_first else _most_taps(dtype), 3: 2}.get(len(box.rules), 0)
    width = _taps(box)
    if width > most or not all(marches(rule) for rule in box.rules):
        return False
    if dtype == "uint8" and (box.down_first or any(fixed_point(rule).sums != "int32" for rule in box.rules)):
        return False
    down = box.rules[0]
    rows = [box_row(box, [r.in_size for r in box.rules]), box_row(box, [r.out_size for r in box.rules])]
    threads = box.planes * ceil_div(down.out_size, _LEAST_ROWS) * rows[1]
    return max(*rows, down.in_size, down.out_size) + 32 * _THREADS < limit and threads < 1 << 32


def _taps(box: Box) -> int:
    """Return the number of taps that the kernel weighs on each axis."""
    return next((t for t in (2, 4, 8) if all(longest(rule) <= t for rule in box.rules)), _MOST_TAPS + 1)


def _columns(item: int, width: int, lines: int, down_first: bool) -> int:
    """Return the values of a row per thread of `columns`: COLUMNS of the .cu file, or WORD if that is more."""
    if width > 4 or (down_first and width * lines > 2):
        return max(8 // max(4, item), 4 // item)
    return 8 if item == 2 and lines == 1 else 16 // max(4, item)


def _packet(item: int, width: int, lines: int, down_first: bool) -> int:
    """Return the values per thread of `packets`: PACKET of the .cu file."""
    held = 32 if width > 4 else 32 // max(4, item) if down_first and width > 2 else 16
    return min(16 // item, held // (width * lines))


def box_row(box: Box, sizes: Sequence[int]) -> int:
    """Return the values of a row, which spans all axes except the first."""
    row = box.inner
    for size in sizes[1:]:
        row *= size
    return row


def plan_fused(box: Box, dtype: str, aligned: bool, processors: int) -> Pass:
    """Plan the pass; `aligned` says whether both arrays begin at multiples of 16 bytes."""
    width = _taps(box)
    lines, item = len(box.rules) - 1, _ITEMS[dtype]
    packet = _packet(item, width, lines, box.down_first)
    wide = aligned and packet > 1 and box.inner % packet == 0
    inner = box.inner // packet if wide else box.inner
    columns = 1 if wide else _columns(item, width, lines, box.down_first)
    down, *_, along = box.rules
    in_line, out_line = along.in_size * inner, along.out_size * inner
    in_row, out_row = in_line, out_line
    if lines == 2:
        in_row, out_row = in_row * box.rules[1].in_size, out_row * box.rules[1].out_size
    across = ceil_div(out_row, columns)
    across = across if across < 16 else ceil_div(across, 8) * 8  # so that warps write whole sectors of 32 bytes
    strips = row_strips(box.planes * across, down.out_size, processors)
    rows = ceil_div(down.out_size, strips)
    strips = ceil_div(down.out_size, rows)
    threads = box.planes * strips * across
    shifts = [settling(rule) if dtype == "uint8" else 0 for rule in (along, box.rules[-2], down)]
    geometry = {
        "in_plane": np.int64(down.in_size * in_row),
        "out_plane": np.int64(down.out_size * out_row),
        "in_rows": np.int32(down.in_size),
        "out_rows": np.int32(down.out_size),
        "in_row": np.int32(in_row),
        "out_row": np.int32(out_row),
        "in_line": np.int32(in_line),
        "out_line": np.int32(out_line),
        "inner": np.int32(inner),
        "across": np.int32(across),
        "strips": np.int32(strips),
        "strip_rows": np.int32(rows),
        "threads": np.uint32(threads),
        "place_shift": np.int32(shifts[0]),
        "line_shift": np.int32(shifts[1]),
        "row_shift": np.int32(shifts[2]),
    }
    entry = _kernel("packets" if wide else "columns", dtype, width, lines, box.down_first)
    launch = Launch(entry, (ceil_div(threads, _THREADS), 1, 1), (_THREADS, 1, 1), 0, (struct(geometry),))
    size = box.planes * down.out_size * box_row(box, [r.out_size for r in box.rules])
    return Pass(launch, _tables(box, dtype, width), size, dtype)


def row_strips(threads: int, rows: int, processors: int) -> int:
    """Return the number of strips of the rows of a plane; a row of all planes has `threads` threads."""
    wanted = ceil_div(processors * _WANTED, threads)
    return max(ceil_div(rows, _MOST_ROWS), min(wanted, ceil_div(rows, _LEAST_ROWS)), 1)


def _tables(box: Box, dtype: str, width: int) -> tuple[Request, ...]:
    _, sums = _sums(dtype)
    down, *between, along = box.rules
    lines: Request = (place_tables, (between[0], sums, 2), (0, 1)) if between else (None, (), (0, 0))
    return (place_tables, (along, sums, width), (0, 1)), lines, (run_tables, (down, sums, width), (0, 1))
