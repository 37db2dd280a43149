"""Nearest-neighbor resize, which copies values: launches of ``kernels/resize_move.cu``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cuda.resize.passes import Pass, Request
from upsample.engines.cuda.runtime.launch import BITS, Kernel, Launch, ceil_div, kernel, struct
from upsample.plans.resize import AxisRule
from upsample.plans.taps import taps

__all__ = ["kernels", "plan_moves"]

_THREADS, _STORE = 256, 16
"""Threads per block, and bytes of a thread's store; must equal the constants of the .cu file."""
_GATHERED, _STRAIGHT, _DOUBLED = 0, 1, 2
"""Patterns along a row, as in the .cu file: by a table, without change, each value twice."""
_LONG_PIXEL = 512
"""Least bytes of a pixel that is a row by itself: a row of pixels needs a table entry for each of its values."""
_WANTED = 4 * 1280
"""Threads per multiprocessor: about four times as many as it can hold, so that few are idle at the end."""
_LEAST_ROWS, _MOST_ROWS = 4, 64
"""Least and most rows of a strip."""
_MOST_THREADS = (1 << 32) - 1
"""Most threads of a launch: the kernel counts them in 32 bits."""

_Table: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class _Side:
    """A resized axis, or the product of the axes between two resized ones, which has no rule."""

    in_size: int
    out_size: int
    axis: int
    rule: AxisRule | None


_ONE = _Side(1, 1, -1, None)


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that this module can launch."""
    return (kernel("resize_move", "move", SCALAR=bits) for bits in BITS.values())


def places(rule: AxisRule) -> tuple[_Table, ...]:
    """Return the table of an axis: the input of each output."""
    return (taps(rule).first,)


def columns(rule: AxisRule, pixel: int) -> tuple[_Table, ...]:
    """Return the table of a row of pixels with `pixel` values each: the input of each value."""
    first = taps(rule).first
    return (np.ascontiguousarray((first[:, None] * pixel + np.arange(pixel)).reshape(-1).astype(np.int32)),)


def plan_moves(
    axes: list[tuple[int, AxisRule]],
    shape: tuple[int, ...],
    dtype: str,
    item: int,
    aligned: bool,
    limit: int,
    processors: int,
) -> tuple[Pass, ...]:
    """Plan the passes over the axes of an array whose values have `item` bytes: up to three axes a pass, last first.

    `aligned` says whether input and result begin at multiples of 16 bytes.
    """
    passes, sizes, left = [], list(shape), dict(axes)
    while left:
        outer, planes, rows, row, pixel = _arranged(left, tuple(sizes), item, limit)
        for side in (planes, rows, row):
            if side.rule is not None:
                sizes[side.axis] = side.out_size
                del left[side.axis]
        word = min(16, pixel * item & -(pixel * item)) if aligned else item
        launch, tables = _planned(
            outer,
            planes,
            rows,
            row,
            pixel=pixel * item // word,
            word=word,
            aligned=aligned,
            processors=processors,
            limit=limit,
        )
        passes.append(Pass(launch, tables, math.prod(sizes), dtype))
    return tuple(passes)


def _arranged(
    axes: dict[int, AxisRule], shape: tuple[int, ...], item: int, limit: int
) -> tuple[int, _Side, _Side, _Side, int]:
    """Return an array's layout for the kernel: number of outer blocks, planes, rows, a row, and values of a pixel.

    A row is the last resized axis with its pixels, or one pixel if pixels are long.
    """
    sides = _sides(axes, shape)
    pixel = sides.pop().in_size if sides[-1].rule is None else 1
    last = sides[-1]
    if pixel * item >= _LONG_PIXEL or max(last.in_size, last.out_size) * pixel + 16 * _THREADS >= limit:
        row = _ONE
    else:
        row = sides.pop()
    rows = sides.pop() if sides else _ONE
    planes = sides.pop() if sides else _ONE
    return math.prod(side.in_size for side in sides), planes, rows, row, pixel


def _sides(axes: dict[int, AxisRule], shape: tuple[int, ...]) -> list[_Side]:
    sides = [_ONE]
    for axis, size in enumerate(shape):
        rule = axes.get(axis)
        if rule is not None:
            sides.append(_Side(size, rule.out_size, axis, rule))
        elif sides[-1].rule is None:
            size *= sides.pop().in_size
            sides.append(_Side(size, size, -1, None))
        else:
            sides.append(_Side(size, size, -1, None))
    return sides if sides[0].in_size > 1 else sides[1:]


def _planned(
    outer: int,
    planes: _Side,
    rows: _Side,
    row: _Side,
    *,
    pixel: int,
    word: int,
    aligned: bool,
    processors: int,
    limit: int,
) -> tuple[Launch, tuple[Request, ...]]:
    """Plan the launch for words of `word` bytes, `pixel` of which are an element of a row."""
    in_row, out_row, many = row.in_size * pixel, row.out_size * pixel, _STORE // word
    most = min(limit // (2 * many), _MOST_THREADS // (outer * planes.out_size))
    # even, because a part must not begin with the second copy of a doubled value
    across = min(ceil_div(out_row, many), max(most // 2 * 2, 2))
    lines = outer * planes.out_size * across
    wanted = ceil_div(processors * _WANTED, lines)
    strips = max(min(wanted, ceil_div(rows.out_size, _LEAST_ROWS)), ceil_div(rows.out_size, _MOST_ROWS))
    strip_rows = ceil_div(rows.out_size, max(1, min(strips, _MOST_THREADS // lines)))
    strips = ceil_div(rows.out_size, strip_rows)
    pattern = _pattern(row.rule, pixel)
    wide = aligned and out_row % many == 0
    read_as_one = many if pattern == _STRAIGHT else max(many // 2, 1)
    geometry = {
        "in_rows": np.int64(rows.in_size),
        "out_rows": np.int64(rows.out_size),
        "in_row": np.int64(in_row),
        "out_row": np.int64(out_row),
        "in_planes": np.int32(planes.in_size),
        "out_planes": np.int32(planes.out_size),
        "across": np.int32(across),
        "strips": np.int32(strips),
        "strip_rows": np.int32(strip_rows),
        "pattern": np.int32(pattern),
        "packed": np.int32(wide and pattern != _GATHERED and in_row % read_as_one == 0),
        "wide": np.int32(wide),
        "threads": np.uint32(lines * strips),
    }
    none: Request = (None, (), (0,))
    tables: list[Request] = [none if s.rule is None else (places, (s.rule,), (0,)) for s in (planes, rows)]
    tables.append((columns, (row.rule, pixel), (0,)) if pattern == _GATHERED else none)
    entry = kernel("resize_move", "move", SCALAR=BITS[word])
    grid = (ceil_div(lines * strips, _THREADS), 1, 1)
    return Launch(entry, grid, (_THREADS, 1, 1), 0, (struct(geometry),)), tuple(tables)


def _pattern(rule: AxisRule | None, pixel: int) -> int:
    if rule is None:
        return _STRAIGHT
    doubles = pixel == 1 and rule.out_size == 2 * rule.in_size
    return _DOUBLED if doubles and bool((taps(rule).first == np.arange(rule.out_size) // 2).all()) else _GATHERED
