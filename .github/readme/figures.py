"""The README's drawings, as SVG: what align_corners means, and what becomes of duplicate unpool indices."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import numpy as np

import upsample

__all__ = ["align_corners", "duplicates"]

BLUE, BLUE_EDGE, BLUE_DOT = "#dbe9f6", "#4a7fb5", "#1f5c99"
SAND, SAND_EDGE, SAND_DOT = "#fdebd3", "#c98a2b", "#9c6310"
RED, FAINT = "#c0392b", "#8a94a0"


def _svg(width: int, height: int, parts: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    style = ' font-family="system-ui, sans-serif" font-size="15" fill="#222">'
    return f'{head}{style}<rect width="{width}" height="{height}" fill="white"/>' + "".join(parts) + "</svg>\n"


def _text(x: float, y: float, words: str, more: str = "") -> str:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:g}" y="{y:g}"{" " * bool(more)}{more}>{escaped}</text>'


def _box(x: float, y: float, width: float, fill: str, edge: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="30" fill="{fill}" stroke="{edge}"/>'


def _dot(x: float, y: float, fill: str) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" fill="{fill}"/>'


def align_corners() -> str:
    """Draw four samples that become eight, in both conventions."""
    return _svg(760, 346, [*_corners(False, 34), *_corners(True, 204)])


def _corners(corners: bool, top: int) -> Iterator[str]:
    left, wide, above, below = 150.0, 140.0, top + 42, top + 110
    step, first = (3 / 7, 0.0) if corners else (4 / 8, (4 / 8 - 1) / 2)
    title = (
        "align_corners=True: the outer centres coincide; c = i · 3/7"
        if corners
        else "align_corners=False: the cells cover the same stretch; c = (i + ½) · 4/8 − ½"
    )
    yield _text(20, top, title, 'font-weight="bold"')
    centres = [left + wide * (0.5 + first + i * step) for i in range(8)]
    yield from (_box(left + wide * i, above - 15, wide, BLUE, BLUE_EDGE) for i in range(4))
    yield from (_box(c - wide * step / 2, below - 15, wide * step, SAND, SAND_EDGE) for c in centres)
    met = [centres[0], centres[-1]] if corners else [left, left + 4 * wide]
    ends = (above, below) if corners else (above + 15, below - 15)
    for x in met:
        yield f'<line x1="{x:g}" y1="{ends[0]}" x2="{x:g}" y2="{ends[1]}" stroke="{RED}" stroke-width="2" '
        yield 'stroke-dasharray="5 4"/>'
    yield from (_dot(left + wide * (i + 0.5), above, BLUE_DOT) for i in range(4))
    yield from (_dot(c, below, SAND_DOT) for c in centres)
    yield _text(left - 16, above + 5, "4 samples", 'text-anchor="end"')
    yield _text(left - 16, below + 5, "8 samples", 'text-anchor="end"')


CELL = 46
VALUES, INDICES, SIZE = (5.0, 7.0, 4.0), (2, 2, 5), 7


def duplicates() -> str:
    """Draw a scatter whose writes race, and the gather that this package makes of it, with its own results."""
    return _svg(760, 388, [*_arrow_heads(), *_scatter(20), *_gather(400)])


def _arrow_heads() -> Iterator[str]:
    for name, colour in (("red", RED), ("blue", BLUE_DOT)):
        yield f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        yield f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'


def _cells(x: float, y: float, values: Iterable[str], fill: str, edge: str) -> Iterator[str]:
    for i, value in enumerate(values):
        yield _box(x + CELL * i, y, CELL, fill, edge)
        size = ' font-size="13"' * (len(value) > 3)
        yield _text(x + CELL * (i + 0.5), y + 20, value, f'text-anchor="middle"{size}')


def _pooled(x: float, y: float) -> Iterator[str]:
    """The cells and their indices, in the middle of the row below."""
    yield from _cells(x, y, (f"{v:g}" for v in VALUES), BLUE, BLUE_EDGE)
    for i, index in enumerate(INDICES):
        words = f"to {index}"
        yield _text(x + CELL * (i + 0.5), y - 8, words, f'text-anchor="middle" font-size="12" fill="{FAINT}"')


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, head: str) -> str:
    ends = f'x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}"'
    return f'<line {ends} stroke="{colour}" stroke-width="1.8" marker-end="url(#{head})"/>'


def _scatter(left: float) -> Iterator[str]:
    above, below = 88, 186
    yield _text(left, 30, "A scatter: cells write, and race", 'font-weight="bold"')
    x = left + 2 * CELL
    yield from _pooled(x, above)
    row = ["0"] * SIZE
    row[2], row[5] = "5 or 7", "4"
    yield from _cells(left, below, row, SAND, SAND_EDGE)
    for i, index in enumerate(INDICES):
        aim = left + CELL * (index + 0.5) + (6 * (2 * i - 1) if i < 2 else 0)
        yield _line(x + CELL * (i + 0.5), above + 30, aim, below - 3, RED, "red")
    for i, words in enumerate(
        (
            "Two cells name position 2. Which value stays",
            "depends on which thread comes last, and with",
            "atomic sums on the order of rounding:",
            "another run may give other bits.",
        )
    ):
        yield _text(left, 246 + 21 * i, words, 'font-size="14"')


def _gather(left: float) -> Iterator[str]:
    above, below = 88, 186
    yield _text(left, 30, "A gather, as here: positions ask", 'font-weight="bold"')
    x = left + 2 * CELL
    yield from _pooled(x, above)
    for i, index in enumerate(INDICES):
        start = left + CELL * (index + 0.5) + (6 * (2 * i - 1) if i < 2 else 0)
        yield _line(start, below, x + CELL * (i + 0.5), above + 33, BLUE_DOT, "blue")
    for place, rule in enumerate(("last", "sum")):
        y = below + 62 * place
        yield from _cells(left, y, (f"{v:g}" for v in _unpooled(rule)), SAND, SAND_EDGE)
        yield _text(left, y + 47, f'duplicates="{rule}"' + ", the default" * (rule == "last"), 'font-size="14"')
    yield _text(left, below + 134, 'duplicates="error"', 'font-size="14"')
    for place, words in enumerate(_error()):
        yield _text(left, below + 153 + 16 * place, words, f'font-size="12" fill="{RED}"')


def _given() -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    return np.asarray([[VALUES]]), np.asarray([[INDICES]]), {"kernel_size": 3, "stride": 2, "output_size": (SIZE,)}


def _unpooled(rule: str) -> np.ndarray:
    """What the function gives."""
    values, indices, options = _given()
    return upsample.max_unpool1d(values, indices, **options, duplicates=rule)[0, 0]


def _error() -> list[str]:
    """What the function says, up to its remedy, in lines."""
    values, indices, options = _given()
    try:
        upsample.max_unpool1d(values, indices, **options, duplicates="error")
    except ValueError as error:
        return textwrap.wrap(str(error).partition(";")[0], 50)
    raise AssertionError("duplicates were not found")
