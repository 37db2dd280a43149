"""The bar chart: how many times faster than torch, case by case, with the goals marked.

Beside the bars stand the first engine's figures: times faster than torch, and the percentage of a copy's bandwidth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

from benchmarks.cases import CASES, Case
from benchmarks.measurements import Results
from upsample.command_line.bench.show import figure as figure_of

COLOURS = {("cpu", "fresh"): "#0b5fa5", ("cpu", "out"): "#7db8e8", ("portable", "fresh"): "#f0a63c"}
WORDS = {
    ("cpu", "fresh"): "compiled, new result",
    ("cpu", "out"): "compiled, out=",
    ("portable", "fresh"): "portable (NumPy alone)",
}
TICKS = (0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
INK, FAINT = "#1d2733", "#d9dee4"
LEFT, WIDE, RIGHT = 3.0, 5.2, 1.05
ROW, HEAD, FOOT = 0.215, 0.36, 0.2
"""Inches: the names', the bars' and the figures' width; a case's height, a section's heading and its scale."""
WIDTH = LEFT + WIDE + RIGHT
BAR = 0.26
"""Of a row."""


def draw(results: Results, path: Path) -> None:
    """Draw every case that has a goal, at double resolution."""
    sections: dict[str, list[Case]] = {}
    for case in CASES:
        if case.goals and any(results.ratio(case, way) for way in COLOURS):
            sections.setdefault(case.section, []).append(case)
    if not sections:
        sections = {"Nothing with a goal was measured": []}
    heights = [HEAD + ROW * len(cases) + FOOT for cases in sections.values()]
    top, bottom = 1.0, 0.1
    height = top + sum(heights) + bottom
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK}):
        figure = plt.figure(figsize=(WIDTH, height), dpi=200, facecolor="white")
        place, axes = height - top, []
        for (section, cases), tall in zip(sections.items(), heights, strict=True):
            place -= tall
            box = (LEFT / WIDTH, (place + FOOT) / height, WIDE / WIDTH, (tall - HEAD - FOOT) / height)
            axes.append(figure.add_axes(box))
            _section(axes[-1], section, cases, results)
        low, high = _limits(results)
        for ax in axes:
            ax.set_xlim(low, high)
        _title(figure, results, height)
        figure.savefig(path)
        quantised(path)
        plt.close(figure)


def quantised(path: Path) -> None:
    """Reduce a picture's colours: a fifth of the size, and no difference to see."""
    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def _limits(results: Results) -> tuple[float, float]:
    values = [r for case in CASES if case.goals for way in COLOURS if (r := results.ratio(case, way))] or [1.0]
    return min(0.4, min(values) * 0.8), max(16.0, max(values) * 1.25)


def _section(ax: Any, section: str, cases: list[Case], results: Results) -> None:
    ratio_axis(ax, len(cases), TICKS)
    ax.set_title(section, loc="left", x=(0.2 - LEFT) / WIDE, fontsize=9.5, fontweight="bold", color=INK, pad=5)
    for row, case in enumerate(cases):
        if row % 2 == 0:
            ax.axhspan(row - 0.5, row + 0.5, color="#f4f6f8", zorder=-1)
        for number, way in enumerate(COLOURS):
            _bar(ax, row + (number - 1) * BAR, case, way, results)
        _figures(ax, row, case, results)
    about: dict[str, Any] = dict(xycoords="axes fraction", textcoords="offset points", fontsize=7.5, color="#55606c")
    ax.annotate("of a copy", (1 + 0.85 / WIDE, 1), (4, 5), ha="right", **about)
    ax.set_yticks(range(len(cases)), [case.id for case in cases])
    ax.tick_params(axis="y", length=0, labelcolor=INK, pad=4)
    ax.tick_params(axis="x", length=0, labelcolor="#55606c", labelsize=7.5, pad=1)


def ratio_axis(ax: Any, rows: int, ticks: Sequence[float]) -> None:
    """Prepare axes without a frame for rows of ratios: logarithmic, with a line at each tick and a dark one at 1."""
    ax.set_xscale("log", base=2)
    ax.set_ylim(rows - 0.5, -0.5)
    for x in ticks:
        ax.axvline(x, color=INK if x == 1 else FAINT, linewidth=1.0 if x == 1 else 0.6, zorder=0)
    ax.set_xticks(ticks, [f"{x:g}×" for x in ticks])
    ax.minorticks_off()
    for spine in ax.spines.values():
        spine.set_visible(False)


def _figures(ax: Any, row: int, case: Case, results: Results) -> None:
    """The compiled engine's with a new result, in numbers."""
    way = ("cpu", "fresh")
    ratio, figures = results.ratio(case, way), results.of(case, way)
    about: dict[str, Any] = dict(transform=ax.get_yaxis_transform(), ha="right", va="center", color=COLOURS[way])
    if ratio is not None:
        ax.text(1 + 0.4 / WIDE, row, f"{figure_of(ratio)}×", **about)
    if figures is not None:
        ax.text(1 + 0.85 / WIDE, row, f"{100 * figures['ratios']['copy']:.0f} %", **about)


def _bar(ax: Any, y: float, case: Case, way: tuple[str, str], results: Results) -> None:
    """From 1 to the ratio, and the goal as a mark across."""
    ratio, goal = results.ratio(case, way), case.goal(*way)
    if ratio is None:
        return
    ax.barh(y, ratio - 1, left=1, height=BAR * 0.92, color=COLOURS[way], zorder=2)
    if goal:
        met = results.meets(case, way)
        ax.plot([goal, goal], [y - BAR / 2, y + BAR / 2], color=INK if met else "#d0021b", linewidth=1.5, zorder=3)


def _title(figure: Any, results: Results, height: float) -> None:
    def text(inches: float, words: str, **style: Any) -> None:
        figure.text(0.2 / WIDTH, 1 - inches / height, words, va="center", **style)

    text(0.25, "How many times faster than torch", fontsize=14, fontweight="bold")
    versions = results.machine["versions"]
    torch = f"torch {versions['torch']}" if "torch" in versions else "no torch"
    about = f"{results.machine['cpu']}, {results.machine['threads']} threads; {torch}; {results.when}"
    about += ". Logarithmic: to the right of 1× ours is faster"
    text(0.52, about, fontsize=8.5, color="#55606c")
    handles: list[Any] = [Patch(color=COLOURS[way], label=WORDS[way]) for way in COLOURS]
    mark: dict[str, Any] = dict(linestyle="none", marker="|", markersize=9, markeredgewidth=1.6)
    handles.append(Line2D([], [], color=INK, label="goal, met", **mark))
    handles.append(Line2D([], [], color="#d0021b", label="goal, not met", **mark))
    where = (0.12 / WIDTH, 1 - 0.8 / height)
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=where, ncols=5, frameon=False, fontsize=8.5,
        handlelength=1.1, handletextpad=0.5, columnspacing=1.4,
    )  # fmt: skip
