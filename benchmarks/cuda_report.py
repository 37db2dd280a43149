"""JSON files of `run cuda` to a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cuda_cases import CUDA_CASES, CudaCase
from upsample.command_line.bench.show import figure as _ratio
from upsample.command_line.bench.show import time as _time

__all__ = ["is_of_cuda", "page"]


@dataclass
class Results:
    """What one GPU measured: by case and who computes it, seconds of a call on the GPU and on the host, and bytes."""

    about: dict[str, Any] = field(default_factory=dict)
    when: str = ""
    commit: str = ""
    quick: bool = False
    figures: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)

    def seconds(self, case: CudaCase, who: str) -> float | None:
        found = self.figures.get((case.id, who))
        return None if found is None else found["seconds"]

    def against(self, case: CudaCase, who: str) -> float | None:
        """Another's time over ours."""
        theirs, ours = self.seconds(case, who), self.seconds(case, "upsample")
        return None if theirs is None or ours is None else theirs / ours


def is_of_cuda(content: Mapping[str, Any]) -> bool:
    """Say whether a file is one of these."""
    return "cuda" in content.get("machine_info", {})


def page(contents: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the page, the newest GPU first, or None where there are no figures."""
    gpus = _read(contents)
    if not gpus:
        return None
    lines = ["# CUDA benchmarks", "", "Made by `python -m benchmarks report`; not to be edited by hand.", ""]
    for results in reversed(gpus):
        lines += _machine(results) + _below(results) + _tables(results)
    return "\n".join([*lines, *_method()]) + "\n"


def _read(contents: Iterable[Mapping[str, Any]]) -> list[Results]:
    """Merge files by GPU; of two figures the later holds."""
    gpus: dict[str, Results] = {}
    for content in sorted(contents, key=lambda c: str(c["datetime"])):
        machine = content["machine_info"]
        found = gpus.setdefault(machine["cuda"]["device"], Results())
        found.about = dict(machine["cuda"], cpu=machine["cpu"], python=machine["python"], system=machine["system"])
        found.when, found.commit = content["datetime"][:10], content["commit_info"].get("id", "")[:7]
        found.quick |= machine["quick"]
        for entry in content["benchmarks"]:
            extra = entry["extra_info"]
            figures = dict(seconds=entry["stats"]["median"], host=extra["host"], volume=extra["volume"])
            found.figures[extra["case"], extra["who"]] = figures
    return sorted((g for g in gpus.values() if g.figures), key=lambda g: g.when)


def _machine(results: Results) -> list[str]:
    about = results.about
    lines = [f"## {about['device']}, {results.when}", ""]
    if results.quick:
        kind = "dry run without a GPU" if about["emulated"] else "quick run"
        lines += [f"**A {kind}, on next to no data: that it works is all that these figures say.**", ""]
    names = ("driver", "runtime", "nvrtc", "cupy", "torch", "cudnn", "processors")
    found = [f"{name} {about[name]}" for name in names if name in about]
    host = f"Python {about['python']}, {about['system']}, {about['cpu']}"
    return [*lines, f"{', '.join([*found, host])}. Commit {results.commit}.", ""]


def _misses(results: Results, case: CudaCase) -> list[str]:
    """What is under its goal, as the page prints both."""
    misses = []
    for who, goal, times in (("copy", case.percent, 100), ("torch", case.ratio, 1)):
        got = results.against(case, who)
        if goal is not None and got is not None and got * times < goal:
            of = f"{got * times:.0f} % of a copy's bandwidth, goal {goal:g} %"
            misses.append(of if who == "copy" else f"{_ratio(got)}× torch, goal {goal:g}×")
    return misses


def _below(results: Results) -> list[str]:
    """Every case under its goal, and every one that was not measured."""
    if results.quick:
        return []
    lines = [f"- {case.id}: {'; '.join(m)}" for case in CUDA_CASES if (m := _misses(results, case))]
    unmeasured = [case.id for case in CUDA_CASES if results.seconds(case, "upsample") is None]
    if unmeasured:
        lines += [f"- not measured: {'; '.join(unmeasured)}"]
    return ["### Under its goal", "", *(lines or ["Nothing."]), ""]


def _tables(results: Results) -> list[str]:
    sections: dict[str, list[CudaCase]] = {}
    for case in CUDA_CASES:
        sections.setdefault(case.section, []).append(case)
    head = ["", "upsample", "GB/s", "% of copy (goal)", "torch", "× torch (goal)", "cupyx zoom", "host, a call"]
    lines: list[str] = []
    for section, cases in sections.items():
        lines += [f"### {section}", "", _row(head), "|" + "---|" * len(head)]
        lines += [_row(_cells(results, case)) for case in cases] + [""]
    return lines


def _cells(results: Results, case: CudaCase) -> list[str]:
    ours = results.figures.get((case.id, "upsample"))
    if ours is None:
        return [case.id, *["–"] * 7]
    copy, torch = results.against(case, "copy"), results.against(case, "torch")
    theirs, zoom = results.seconds(case, "torch"), results.seconds(case, "cupyx zoom")
    return [
        case.id,
        _time(ours["seconds"]),
        f"{ours['volume'] / ours['seconds'] / 1e9:.0f}",
        "–" if copy is None else f"{100 * copy:.0f}{_goal(case.percent)}",
        "–" if theirs is None else _time(theirs),
        "–" if torch is None else f"{_ratio(torch)}{_goal(case.ratio)}",
        "–" if zoom is None else f"{_time(zoom)}, {_ratio(zoom / ours['seconds'])}×",
        _time(ours["host"]),
    ]


def _goal(goal: float | None) -> str:
    return "" if goal is None else f" ({goal:g})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _method() -> list[str]:
    return [
        "## How it was measured",
        "",
        "By pairs of CUDA events as pytest-benchmark's timer: the GPU's time of a call, the median of 20 rounds of "
        "3 to 50 calls that follow each other in one stream, queued while the GPU is kept busy, after warm calls. "
        "Input and output together are several times the L2 cache, or sets of arrays are rotated. Every result was "
        "compared with the portable engine's before. GB/s counts input and output once; *copy* is a copy on the "
        "device that reads and writes as many bytes together. torch runs on the same memory, TF32 off except in "
        "the cases named tf32, cuDNN's algorithms tried out in the warm calls. The cubic of cupyx.scipy.ndimage.zoom "
        "is a spline: the same job, not the same numbers. *host* is the processor's time of a call, all checks "
        "included.",
        "",
        "Again, on any NVIDIA GPU (torch is left out where it is not installed):",
        "",
        "```sh",
        'pip install -e ".[bench,cuda12]" torch scipy',
        "python -m benchmarks run cuda         # writes benchmarks/results/cuda.json",
        "python -m benchmarks run dry.json --emulated  # without a GPU: only that it works",
        "python -m benchmarks report benchmarks/results/*.json",
        "```",
    ]
