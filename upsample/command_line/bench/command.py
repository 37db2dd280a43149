"""The command: check its options, measure, and show the results."""

from __future__ import annotations

import datetime
import platform
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from upsample.command_line import info
from upsample.command_line.bench import rivals, show
from upsample.command_line.bench.calm import Others, thread_count
from upsample.command_line.bench.cases import CASES, Case, matching
from upsample.command_line.bench.devices import Cpu, Cuda, Device
from upsample.command_line.bench.measure import Row, measure
from upsample.engines.dispatch import ENGINES

__all__ = ["Wish", "bench"]

DISTURBED = 0.1
"""Share of the processor; if other processes use more, the output calls its figures rough."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command.

    Attributes
    ----------
    words : str or None
        Words that choose cases.
    device, engine : str or None
        The device and the engine; None is the fastest.
    threads : int or None
        Number of threads on the CPU.
    quick : bool
        One round on tiny arrays.
    json, plot : str or None
        Files to write.
    """

    words: str | None
    device: str | None
    engine: str | None
    threads: int | None
    quick: bool
    json: str | None
    plot: str | None


class Refused(Exception):
    """The reason why nothing was measured, in one line."""


def bench(wish: Wish) -> int:
    """Measure, and print a table.

    Parameters
    ----------
    wish : Wish
        The options.

    Returns
    -------
    int
        0; 1 if a result differs, or memory does not suffice; 2 if an argument is wrong or a package is missing; 130 if
        interrupted. If it stops early, it prints the table of the cases measured so far.
    """
    try:
        cases, device = _cases(wish), _device(wish)
        _check_files(wish)
    except (Refused, OSError) as error:
        print(f"upsample bench: {error}", file=sys.stderr)
        return 2
    size = "quick" if wish.quick else device.name
    rows: list[Row] = []
    with thread_count(wish.threads) as number:
        about = _about(device, number)
        print(_heading(about), *(line for line in info.blas() if line.startswith("warning")), "", sep="\n")
        others = Others()
        stopped = _run(cases, device, size, wish.engine, rows)
        about["disturbed"] = round(others.share(), 3)
    if rows:
        print(show.table(rows, size), "", *show.summary(rows, size), sep="\n")
        _write(wish, rows, about, size)
    for line in _remarks(wish, about, 0 if stopped else len(cases) - len(rows)):
        print(line)
    return stopped or int(any(row.wrong for row in rows))


def _cases(wish: Wish) -> tuple[Case, ...]:
    cases = matching(wish.words)
    if not cases:
        functions = ", ".join(dict.fromkeys(case.function for case in CASES))
        raise Refused(f"no case has all the words of -k {wish.words!r}; the functions are {functions}")
    return cases


def _device(wish: Wish) -> Device:
    why = {engine.name: engine.unusable() for engine in ENGINES}
    chosen = wish.device or ("cuda" if why["cuda"] is None and wish.engine != "cpu" else "cpu")
    if chosen == "cuda" and why["cuda"] is not None:
        raise Refused(f"there is no GPU to measure: {why['cuda']}")
    if wish.engine is not None and why[wish.engine] is not None:
        raise Refused(f"the {wish.engine} engine cannot run here: {why[wish.engine]}")
    if {"cpu": "cuda", "cuda": "cpu"}[chosen] == wish.engine:
        raise Refused(f"--engine {wish.engine} does not run on --device {chosen}")
    return Cuda() if chosen == "cuda" else Cpu()


def _check_files(wish: Wish) -> None:
    """Raise before the measurement if the results could not be written."""
    if wish.plot is not None and find_spec("matplotlib") is None:
        raise Refused('--plot needs matplotlib: pip install "upsample[demo]"')
    if wish.plot is not None and Path(wish.plot).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise Refused(f"--plot {wish.plot}: the name must end in .png, .svg or .pdf")
    for path in map(Path, filter(None, (wish.json, wish.plot))):
        was_there = path.exists()
        with path.open("a", encoding="utf-8"):
            pass
        if not was_there:  # the measurement may fail
            path.unlink()


def _about(device: Device, number: int) -> dict[str, Any]:
    packages = dict(info.versions())
    kept = {name: packages[name] for name in ("upsample", "numpy", "numba") if name in packages}
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": device.name,
        "processor": device.about(),
        "threads": number,
        "python": platform.python_version(),
        "versions": {**kept, **rivals.versions(device.name)},
    }


def _heading(about: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    count = about["threads"]
    threads = f"; {count} thread{'s' * (count > 1)}" if about["device"] == "cpu" else ""
    return f"{about['processor']}{threads}\n{found}"


def _run(cases: tuple[Case, ...], device: Device, size: str, engine: str | None, rows: list[Row]) -> int:
    """Measure the cases; return 0, or the exit status if it stopped early."""
    try:
        with show.bar(len(cases)) as begin:
            for case in cases:
                begin(f"{case.function} {case.name}")
                row = measure(case, device, size, engine)
                rows += [] if row is None else [row]
    except KeyboardInterrupt:
        return 130
    except MemoryError as error:  # of the host or a GPU; the next case would fail, too
        print(f"upsample bench: out of memory: {error}", file=sys.stderr)
        return 1
    return 0


def _write(wish: Wish, rows: list[Row], about: dict[str, Any], size: str) -> None:
    if wish.json is not None:
        Path(wish.json).write_text(show.document(rows, about, size), encoding="utf-8")
        print(f"Wrote {wish.json}.")
    if wish.plot is not None:
        show.chart(rows, _heading(about), size, Path(wish.plot))
        print(f"Wrote {wish.plot}.")


def _remarks(wish: Wish, about: dict[str, Any], left: int) -> list[str]:
    absent = [name for name in rivals.taking_part(about["device"]) if name not in about["versions"]]
    lines = [f"{left} more case{'s are' if left > 1 else ' is'} not for the {wish.engine} engine."] if left else []
    lines += [f"Not installed, so not measured: {', '.join(absent)}."] if absent else []
    why = next(engine.unusable() for engine in ENGINES if engine.name == "cpu")
    if about["device"] == "cpu" and wish.engine is None and why is not None:
        lines.append(f"Without the compiled engine, which is several times faster: {why}.")
    if wish.quick:
        lines.append("A quick run: one call of next to no data. The figures mean nothing.")
    elif about["disturbed"] > DISTURBED:
        lines.append(f"Rough figures: other processes took {about['disturbed']:.0%} of the processor meanwhile.")
    return lines
