"""JSON files to a page in Markdown and a chart."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cuda_report
from benchmarks.cases import CASES, Case
from benchmarks.measurements import WAYS, Results, content, read
from upsample.command_line.bench.show import figure as _ratio
from upsample.command_line.bench.show import time as _time

_LIMITS = "https://github.com/upsample-dev/upsample/blob/main/benchmarks/results/LIMITS.md"
"""An absolute address, because the documentation includes the page of results."""
OTHERS = ("OpenCV", "Pillow", "scikit-image", "scipy")


def write(files: Sequence[Path], folder: Path) -> int:
    """Write README.md, cpu.png and overview.png, charts of the machine measured last; CUDA.md of GPUs."""
    machines = read(files)
    cuda = cuda_report.page(filter(cuda_report.is_of_cuda, map(content, files)))
    if cuda is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "CUDA.md").write_text(cuda, encoding="utf-8")
        print(f"Wrote {folder / 'CUDA.md'}")
    if not machines and cuda is not None:
        return 0
    if not machines:
        print("there are no figures in these files", file=sys.stderr)
        return 1
    from benchmarks import chart, overview

    folder.mkdir(parents=True, exist_ok=True)
    chart.draw(machines[-1], folder / "cpu.png")
    overview.draw(machines[-1], folder / "overview.png")
    (folder / "README.md").write_text(page(machines), encoding="utf-8")
    print(
        f"Wrote README.md, cpu.png and overview.png in {folder}; the README says who is faster, too: "
        "`python .github/readme` makes that anew"
    )
    return 0


def page(machines: Sequence[Results]) -> str:
    """The page, the newest machine first."""
    lines = ["# CPU benchmarks", "", "Made by `python -m benchmarks report`; not to be edited by hand.", ""]
    lines += ["![Speed against torch, case by case](cpu.png)", ""]
    for results in reversed(machines):
        lines += _machine(results) + _summary(results) + _below(results) + _memory(results) + _sections(results)
    return "\n".join([*lines, *_method()]) + "\n"


def _machine(results: Results) -> list[str]:
    about = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [f"## {about['cpu']}, {results.when}", ""]
    if results.quick:
        lines += ["**A quick run on next to no data: that it works is all that these figures say.**", ""]
    shares = [figures["disturbed"] for figures in results.figures.values()]
    lines += [
        f"{about['threads']} threads; {about['system']}; Python {about['python']}; {versions}. NumPy's BLAS: "
        f"{about['blas']}. Commit {results.commit}. Load before the run: "
        f"{', '.join(f'{load:.2f}' for load in results.loads)}; other processes took "
        f"{100 * statistics.median(shares):.1f} % of the processor while a case was measured (median; at most "
        f"{100 * max(shares):.0f} %).",
        "",
        "Shapes: A (8, 64, 128, 128); B (1, 3, 1080, 1920); C (4, 512, 14, 14); volumes (2, 16, 32, 64, 64).",
        "",
    ]
    return lines


def _groups(key: str) -> dict[str, list[Case]]:
    """The cases by section or by line, in their order."""
    groups: dict[str, list[Case]] = {}
    for case in CASES:
        groups.setdefault(getattr(case, key), []).append(case)
    return groups


def _summary(results: Results) -> list[str]:
    """The goals table, measured."""
    lines = ["### Goals", "", "torch's time over ours, with the goal in brackets; **bold is under its goal**.", ""]
    lines += _header(["", *WAYS.values()])
    for line, cases in _groups("line").items():
        if any(case.goals for case in cases):
            lines.append(_row([line, *(_goals(results, cases, way) for way in WAYS)]))
    return [*lines, ""]


def _goals(results: Results, cases: Iterable[Case], way: tuple[str, str]) -> str:
    """Such as "A 6.1, B 5.2 (5); **C 2.1** (2.5)": tags with one goal share its bracket."""
    by_goal: dict[float, list[str]] = {}
    for case in cases:
        ratio = results.ratio(case, way)
        goal = case.goal(*way)
        if goal is None:
            continue
        words = "not measured" if ratio is None else f"{_ratio(ratio)}×"
        words = f"{case.tag} {words}".strip()
        by_goal.setdefault(goal, []).append(f"**{words}**" if results.meets(case, way) is False else words)
    return "; ".join(f"{', '.join(words)} ({goal:g})" for goal, words in by_goal.items())


def _below(results: Results) -> list[str]:
    """List every case that is under its goal."""
    lines = []
    for line, cases in _groups("line").items():
        misses = []
        for way, words in WAYS.items():
            for case in cases:
                if results.meets(case, way) is False:
                    ratio, goal = results.ratio(case, way), case.goal(*way)
                    misses.append(f"{case.tag + ' ' if case.tag else ''}{words} {_ratio(ratio or 0)}× of {goal:g}×")
        if misses:
            lines.append(f"- {line}: {'; '.join(misses)}.")
    words = f"[The page of limits]({_LIMITS}) says what limits these cases, and what was tried."
    head = ["### Under its goal", "", words, ""]
    return [*head, *lines, ""] if lines else ["### Under its goal", "", "Nothing.", ""]


def _memory(results: Results) -> list[str]:
    """What calls need for themselves."""
    lines = ["### Peak memory beyond input and output", "", "MiB, with the goal in brackets; **bold is over it**.", ""]
    ways = [way for way in WAYS if way[1] == "fresh"]
    lines += _header(["", *(WAYS[way] for way in ways)])
    for line, cases in _groups("line").items():
        cells = [_peaks(results, cases, way) for way in ways]
        if any(cells):
            lines.append(_row([line, *cells]))
    return [*lines, ""]


def _peaks(results: Results, cases: Iterable[Case], way: tuple[str, str]) -> str:
    """Such as "A 1.9, **B 33.1** (32)"; the cases of a line have one goal."""
    words, goal = [], None
    for case in cases:
        figures = results.of(case, way)
        if figures is not None and figures.get("peak") is not None:
            needed, goal = figures["peak"] / 2**20, case.memory_goal
            word = f"{case.tag} {needed:.1f}".strip()
            words.append(f"**{word}**" if goal is not None and needed > goal else word)
    return ", ".join(words) + (f" ({goal})" if words and goal is not None else "")


def _sections(results: Results) -> list[str]:
    lines: list[str] = []
    for section, cases in _groups("section").items():
        lines += [f"### {section}", ""]
        lines += _header(["", "torch", "torch, `out=`", *WAYS.values(), "% of copy bandwidth", "other rivals"])
        lines += [_row(_details(results, case)) for case in cases] + [""]
    return lines


def _details(results: Results, case: Case) -> list[str]:
    """One case: torch's times, ours with the ratio to torch, percent of a copy, the other rivals."""
    cells = [case.id]
    for how in ("fresh", "out"):
        theirs = [f["rivals"]["torch"] for way in WAYS if way[1] == how and (f := _with_torch(results, case, way))]
        cells.append(_time(statistics.median(theirs)) if theirs else "–")
    percents = []
    for way in WAYS:
        figures = results.of(case, way)
        if figures is None:
            cells.append("–")
            percents.append("–")
            continue
        ratio = figures["ratios"].get("torch")
        times = _time(figures["seconds"])
        words = times if ratio is None else f"{times}, {_ratio(ratio)}×"
        cells.append(f"**{words}**" if results.meets(case, way) is False else words)
        percents.append(f"{100 * figures['ratios']['copy']:.0f}")
    cells.append(" / ".join(percents))
    first = next((f for way in WAYS if (f := results.of(case, way))), None)
    rivals = [] if first is None else [(n, first) for n in OTHERS if n in first["ratios"]]
    others = [f"{n} {_time(f['rivals'][n])}, {_ratio(f['ratios'][n])}×" for n, f in rivals]
    return [*cells, "; ".join(others)]


def _with_torch(results: Results, case: Case, way: tuple[str, str]) -> Mapping[str, Any] | None:
    figures = results.of(case, way)
    return figures if figures and "torch" in figures["rivals"] else None


def _method() -> list[str]:
    """How to read the tables; `pairs` has the whole of it."""
    return [
        "## How it was measured",
        "",
        "One process, A, B, A, B: in each round every rival and then our call, each after three warm calls of its own, "
        "freeing of the result included; 9 rounds or more; a ratio is the median of the rounds' ratios, theirs over "
        "ours: above 1, ours is faster. Results were compared before anything was timed. Between the calls the process "
        "waits until its threads sleep, since NumPy's OpenBLAS spins for an eighth of a second after a product and "
        "would slow its rival.",
        "",
        "*fresh* makes a new result each time, on both sides. From 32 MiB on, torch's lies in pages that the system "
        "has to clear first, ours in those of the result before it, which are kept "
        "(`upsample/engines/result_pool.py`); where there is none yet, or `UPSAMPLE_KEEP_MIB=0`, "
        "ours waits for its pages, too: nearest ×2 of A then took "
        "15 ms instead of 7, bicubic 24 instead of 10. *out=* writes into an array that was written before: torch by "
        "the `out=` of its operators (transposed convolution has none that saves a copy: its fresh result stands "
        "there). *% of copy bandwidth* is against a copy, by all threads and between arrays written before, that "
        "reads and writes as many bytes as input and output have together; the three figures are those of the three "
        "columns before. Other rivals are compared with the fresh result of the first "
        "engine. Image libraries get one call per plane, or per picture where channels are last. A rival that "
        "takes over a quarter of a second is timed once. OpenCV's uint8 has coarser weights, Pillow's bicubic "
        "enlargement another coefficient, and the cubic of scikit-image and scipy is a spline: the same job, not the "
        "same numbers.",
        "",
        "*Peak memory* is of one call that makes a new result, in a process of its own that made the same call on next "
        "to no data before: the highest resident memory, less that of before the call, less the results.",
        "",
        "Again, on a machine where nothing else runs (a rival that is not installed is left out):",
        "",
        "```sh",
        'pip install -e ".[bench]" torch opencv-python-headless pillow scikit-image scipy',
        "python -m benchmarks run NAME  # writes benchmarks/results/NAME.json in half an hour; --quick for a try",
        "python -m benchmarks report benchmarks/results/*.json",
        "```",
    ]


def _header(cells: Sequence[str]) -> list[str]:
    return [_row(cells), "|" + "---|" * len(cells)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
