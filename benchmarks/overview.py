"""The chart on one screen: a row for each line of the goals table, its median as a bar, every shape as a dot."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.cases import CASES
from benchmarks.chart import INK, quantised, ratio_axis
from benchmarks.measurements import Results
from upsample.command_line.bench.show import figure as figure_of

__all__ = ["draw"]

WAY = ("cpu", "fresh")
FASTER, SLOWER = "#0b5fa5", "#c0563b"
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16)
ROW, HEAD, TOP, BOTTOM = 0.19, 0.34, 0.62, 0.5
"""Inches: a line, a section's heading, the title, the axis."""
WIDTH, NAME, BARS = 12.0, 2.5, 3.0
"""Inches: all, and of each of the two columns the names and the bars."""

Section = tuple[str, dict[str, list[float]]]


def draw(results: Results, path: Path) -> None:
    """Draw the compiled engine with a new result, over torch; sections go to two columns of equal height."""
    left, right = _columns(_sections(results))
    height = TOP + max(map(_height, (left, right))) + BOTTOM
    every = [v for _, lines in (*left, *right) for values in lines.values() for v in values] or [1.0]
    limits = min(0.3, min(every) * 0.85), max(8.0, max(every) * 1.3)
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK}):
        figure = plt.figure(figsize=(WIDTH, height), dpi=160, facecolor="white")
        for start, sections in ((0.15, left), (0.15 + WIDTH / 2, right)):
            place = height - TOP
            for number, (name, lines) in enumerate(sections):
                tall = HEAD + ROW * len(lines)
                place -= tall
                box = ((start + NAME) / WIDTH, place / height, BARS / WIDTH, (tall - HEAD) / height)
                _rows(figure.add_axes(box), name, lines, limits, number == len(sections) - 1)
        about, versions = results.machine, results.machine["versions"]
        words = f"{about['cpu']}, {about['threads']} threads; torch {versions.get('torch', 'absent')}; {results.when}."
        words += " torch's time ÷ ours: bars are medians, dots the shapes; right of 1, ours is faster."
        title = dict(fontsize=14, fontweight="bold", va="center")
        figure.text(0.15 / WIDTH, 1 - 0.22 / height, "How many times faster than torch on the CPU", **title)
        figure.text(0.15 / WIDTH, 1 - 0.46 / height, words, fontsize=8.5, color="#55606c", va="center")
        figure.savefig(path)
        quantised(path)
        plt.close(figure)


def _sections(results: Results) -> list[Section]:
    """Of every case with a goal and a figure, the ratio, by section and line."""
    found: dict[str, dict[str, list[float]]] = {}
    for case in CASES:
        ratio = results.ratio(case, WAY)
        if case.goals and ratio is not None:
            found.setdefault(case.section.partition(":")[0], {}).setdefault(case.line, []).append(ratio)
    return list(found.items())


def _columns(sections: list[Section]) -> tuple[list[Section], list[Section]]:
    cuts = range(len(sections) + 1)
    best = min(cuts, key=lambda cut: max(_height(sections[:cut]), _height(sections[cut:])))
    return sections[:best], sections[best:]


def _height(sections: list[Section]) -> float:
    return sum(HEAD + ROW * len(lines) for _, lines in sections)


def _rows(ax: Any, name: str, lines: dict[str, list[float]], limits: tuple[float, float], last: bool) -> None:
    ax.set_title(name, loc="left", x=-NAME / BARS, fontsize=9.5, fontweight="bold", pad=4)
    ratio_axis(ax, len(lines), TICKS)
    ax.set_xlim(min(limits[0], TICKS[0]), max(limits[1], TICKS[-1]))
    for row, values in enumerate(lines.values()):
        middle = statistics.median(values)
        colour = FASTER if middle >= 1 else SLOWER
        ax.barh(row, middle - 1, left=1, height=0.66, color=colour, zorder=1)
        if len(values) > 1:
            ax.plot(values, [row] * len(values), "o", markersize=2.6, color=INK, markeredgewidth=0, zorder=2)
        style = dict(transform=ax.get_yaxis_transform(), ha="right", va="center", color=colour)
        ax.text(1.11, row, f"{figure_of(middle)}×", **style)
    ax.set_yticks(range(len(lines)), [line.removesuffix(", backward") for line in lines])
    ax.tick_params(length=0, labelcolor=INK, labelbottom=last)
