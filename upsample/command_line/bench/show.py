"""The results as a table, as JSON and as a chart, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from upsample.command_line.bench.measure import Row
from upsample.command_line.bench.rivals import LIBRARIES
from upsample.command_line.bench.rounds import Timing
from upsample.command_line.progress import shown

__all__ = ["bar", "chart", "document", "figure", "summary", "table", "time"]

COLOURS = ("#0b5fa5", "#f0a63c", "#3f9b57", "#a44fa0", "#7c8894", "#c0392b")
INK, FAINT = "#1d2733", "#d9dee4"


def figure(ratio: float) -> str:
    """Return three places or fewer."""
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def time(seconds: float) -> str:
    """Return microseconds, milliseconds or seconds."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(rows: Sequence[Row], size: str) -> str:
    """Return the rows as plain text: our time, and the time of each rival as a multiple of ours."""
    names = [name for name in LIBRARIES if any(name in row.rivals for row in rows)]
    heads = ["", "engine", "upsample", "copy", *names]
    lines: list[list[str]] = []
    for group, members in groupby(rows, key=lambda row: row.case.group(size)):
        lines.append([group])
        lines += [_cells(row, names) for row in members]
    widths = [max(len(line[i]) for line in [heads, *lines] if len(line) > 1) for i in range(len(heads))]

    def laid_out(line: list[str]) -> str:
        first = f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}"
        return "  ".join([first, *(f"{c:>{w}}" for c, w in zip(line[2:], widths[2:], strict=True))]).rstrip()

    body = (laid_out(line) if len(line) > 1 else f"\n{line[0]}" for line in lines)
    return "\n".join([laid_out(heads), "─" * (sum(widths) + 2 * len(widths) - 2), *body]).replace("─\n\n", "─\n")


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    share = f"{100 * row.rivals['copy'].ratio(row.ours):.0f} %"
    return [f"  {row.case.name}", row.engine, time(row.ours.seconds), share, *(_cell(row, n) for n in names)]


def _cell(row: Row, name: str) -> str:
    timing = row.rivals.get(name)
    if timing is None:
        return ""
    if not timing.is_timed:
        return "fails" if timing.off is None else "differs"
    return ("" if timing.same else "~") + f"{figure(timing.ratio(row.ours))}×"


def summary(rows: Sequence[Row], size: str) -> list[str]:
    """Return a legend of the table and a summary; a quick run has no summary."""
    lines = [
        "upsample: the time of a call that makes a new result. copy: speed as a share of a copy of as many bytes.",
        "A rival's column: its time over ours; above 1, upsample is faster. ~: another kernel of the same name.",
    ]
    for name in () if size == "quick" else LIBRARIES:
        ratios = sorted(t.ratio(row.ours) for row in rows if (t := row.rivals.get(name)) and t.is_timed)
        if ratios:
            middle = (ratios[(len(ratios) - 1) // 2] + ratios[len(ratios) // 2]) / 2
            won = sum(ratio > 1 for ratio in ratios)
            lines.append(f"Faster than {name} in {won} of {len(ratios)} cases; in the middle {figure(middle)}×.")
    for row in rows:
        title = f"{row.case.function} {row.case.name}"
        lines += [f"DIFFERS: {title}, {who}: {why}" for who, why in row.wrong.items()]
        lines += [f"Fails: {title}, {who}: {t.fault}" for who, t in row.rivals.items() if t.fault is not None]
    return lines


def document(rows: Sequence[Row], about: Mapping[str, Any], size: str) -> str:
    """Return seconds, ratios and the machine as JSON."""

    def timing(t: Timing, ours: Timing) -> dict[str, Any]:
        if not t.is_timed:
            return {"fails": t.fault} if t.off is None else {"differs": t.off}
        made = {"seconds": _rounded(t.seconds), "ratio": _rounded(t.ratio(ours)), "same": t.same}
        return {**made, "rounds": len(t.rounds), "once": t.once}

    cases = [
        {
            "case": row.case.name,
            "group": row.case.group(size),
            "engine": row.engine,
            "seconds": _rounded(row.ours.seconds),
            "bytes": row.moved,
            "differs": row.off,
            "rivals": {name: timing(t, row.ours) for name, t in row.rivals.items()},
        }
        for row in rows
    ]
    return json.dumps({**about, "size": size, "cases": cases}, indent=1, ensure_ascii=False) + "\n"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def chart(rows: Sequence[Row], title: str, size: str, path: Path) -> None:
    """Draw a bar for each rival of each case that has one: to the right of 1, upsample is faster.

    Without any rival, the chart shows the copy of as many bytes.
    """
    figures = import_module("matplotlib.figure")
    import_module("matplotlib.backends.backend_agg")
    names = [n for n in LIBRARIES if any((t := row.rivals.get(n)) and t.is_timed for row in rows)] or ["copy"]
    timed = [(row, [(n, t.ratio(row.ours)) for n in names if (t := row.rivals.get(n)) and t.is_timed]) for row in rows]
    drawn = [(row, bars) for row, bars in timed if bars]
    height = 1.3 + 0.15 * sum(len(bars) + 0.6 for _, bars in drawn)
    made = figures.Figure(figsize=(9, height), dpi=150, facecolor="white")
    ax = made.add_axes((0.36, 0.55 / height, 0.6, 1 - 1.25 / height))
    place, ticks, seen = 0.0, [], set()
    for row, bars in drawn:
        ticks.append((place + (len(bars) - 1) / 2, _label(row, size)))
        for name, ratio in bars:
            colour, label = COLOURS[names.index(name)], None if name in seen else name
            ax.barh(place, ratio - 1, left=1, height=0.85, color=colour, label=label)
            side = "left" if ratio >= 1 else "right"
            ax.text(ratio, place, f" {_cell(row, name)} ", va="center", ha=side, fontsize=6.5, color=INK)
            seen.add(name)
            place += 1
        place += 0.6
    ax.set_xscale("log", base=2)
    ax.set_ylim(place, -1)
    ax.axvline(1, color=INK, linewidth=1)
    ax.set_yticks([at for at, _ in ticks], [words for _, words in ticks], fontsize=8)
    low, high = ax.get_xlim()
    marks = [2.0**power for power in range(-6, 10) if low / 1.3 <= 2.0**power <= high * 1.3]
    ax.set_xlim(low / 1.3, high * 1.3)
    ax.set_xticks(marks, [f"{mark:g}×" if mark >= 1 else f"1/{1 / mark:g}" for mark in marks], fontsize=8)
    ax.minorticks_off()
    ax.grid(axis="x", color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel(
        "the rival's time ÷ upsample's, logarithmic: right of 1, upsample is faster; ~: another kernel of the name",
        fontsize=8,
    )
    head = "A quick run: the figures mean nothing" if size == "quick" else "How many times faster upsample is"
    made.text(0.02, 1 - 0.25 / height, head, fontsize=12, fontweight="bold", color=INK)
    made.text(0.02, 1 - 0.33 / height, title, fontsize=7, color="#55606c", va="top")
    made.legend(loc="upper right", ncols=len(names), fontsize=8, frameon=False)
    made.savefig(path)


def _label(row: Row, size: str) -> str:
    first = row.case.group(size).partition(",")[0]
    return " ".join([first, row.case.name, *([row.case.dtype] if row.case.input == "photo" else [])])


@contextmanager
def bar(total: int) -> Iterator[Callable[[str], None]]:
    """Show the progress on a terminal's stderr.

    The yielded function takes the name of the case that begins.
    """
    with shown(total) as steps:
        yield steps.begin
