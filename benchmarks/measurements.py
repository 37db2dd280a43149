"""Read files of measurements: pages and charts show what is here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from benchmarks.cases import Case
from benchmarks.cuda_report import is_of_cuda
from benchmarks.machine import CALM
from upsample.command_line.bench.show import figure

__all__ = ["WAYS", "Results", "content", "read"]

WAYS = {
    ("cpu", "fresh"): "compiled, fresh",
    ("cpu", "out"): "compiled, `out=`",
    ("portable", "fresh"): "portable, fresh",
}
MACHINE = ("cpu", "system", "python", "versions", "blas", "threads")


@dataclass
class Results:
    """What one machine measured: figures by case and way, and when."""

    machine: dict[str, Any]
    when: str
    commit: str
    quick: bool = False
    loads: list[float] = field(default_factory=list)
    figures: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def of(self, case: Case, way: tuple[str, str]) -> Mapping[str, Any] | None:
        return self.figures.get((case.id, *way))

    def ratio(self, case: Case, way: tuple[str, str]) -> float | None:
        figures = self.of(case, way)
        return None if figures is None else figures["ratios"].get("torch")

    def meets(self, case: Case, way: tuple[str, str]) -> bool | None:
        """Whether the goal is met, as the page prints both; None where there is no goal or no figure."""
        ratio, goal = self.ratio(case, way), case.goal(*way)
        return None if ratio is None or goal is None else float(figure(ratio)) >= goal


def read(files: Sequence[Path]) -> list[Results]:
    """Merge files by machine: of two figures the less disturbed one holds; of two calm ones the later."""
    loaded = [c for c in map(content, files) if "benchmarks" in c and not is_of_cuda(c)]
    machines: dict[str, Results] = {}
    for run in sorted(loaded, key=lambda c: c["datetime"]):
        about = run["machine_info"]
        result = machines.setdefault(json.dumps(about["cpu"]), Results({}, "", ""))
        result.machine = {key: about[key] for key in MACHINE}
        result.when, result.commit = run["datetime"][:10], run["commit_info"].get("id", "")[:7]
        result.quick |= about["quick"]
        result.loads += about["load"][:1]
        for entry in run["benchmarks"]:
            extra = entry["extra_info"]
            if "seconds" in extra:
                key = extra["case"], extra["engine"], extra["how"]
                before = result.figures.get(key)
                if before is None or max(extra["disturbed"], CALM) <= max(before["disturbed"], CALM):
                    result.figures[key] = {**extra, "rounds": entry["stats"]["rounds"]}
    return sorted((m for m in machines.values() if m.figures), key=lambda m: m.when)


def content(path: Path) -> dict[str, Any]:
    """Return what a file of measurements holds."""
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
