"""``python -m benchmarks run NAME`` measures; ``python -m benchmarks report FILE...`` makes the page and the chart."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.conftest import ROOT, SPOILERS

HERE = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="measure; what follows NAME goes to pytest, such as -k bicubic")
    run.add_argument("name", metavar="NAME", help="writes benchmarks/results/NAME.json; or a path in .json")
    run.add_argument("--quick", action="store_true", help="one round of next to no data, to see that everything works")
    report = commands.add_parser("report", help="JSON files to README.md and cpu.png beside the first")
    report.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="where two measured a case, the later holds"
    )
    report.add_argument("--output", type=Path, metavar="FOLDER", help="where both go")
    given, rest = parser.parse_known_args(argv)
    if given.command == "run":
        _run(given.name, given.quick, rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    from benchmarks.report import write

    return write(given.files, given.output or given.files[0].parent)


def _run(name: str, quick: bool, rest: Sequence[str]) -> NoReturn:
    """Become pytest, without the variables that spoil OpenBLAS; interrupted, it writes what it has."""
    path = Path(name).resolve() if name.endswith(".json") else HERE / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in SPOILERS}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3 and not quick:
        print(f"The load of this machine is {load:.2f}: what else runs will show in the figures.", file=sys.stderr)
    command = [sys.executable, "-m", "pytest", str(HERE), f"--benchmark-json={path}", "-q", "-p", "no:cacheprovider"]
    command += ["--benchmark-columns=median,iqr,rounds", "--benchmark-sort=name", "--benchmark-disable-gc"]
    command += ["--benchmark-time-unit=ms", *map(str, rest), *(["--quick"] if quick else [])]
    sys.stderr.flush()
    os.chdir(ROOT)
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    sys.exit(main())
