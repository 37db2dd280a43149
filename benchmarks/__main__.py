"""``python -m benchmarks run NAME`` measures, on a GPU where NAME is cuda; ``report FILE...`` makes pages and a chart.

``sass`` counts the instructions of the kernels. ``first-gpu FOLDER``: ten minutes on a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.conftest import ROOT
from upsample.command_line.info import SPOILERS

HERE = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="measure; what follows NAME goes to pytest, such as -k bicubic")
    run.add_argument("name", metavar="NAME", help="writes benchmarks/results/NAME.json; or a path in .json")
    run.add_argument("--cuda", action="store_true", help="on a GPU; NAME cuda says so too")
    run.add_argument("--emulated", action="store_true", help="no GPU: the kernels on the tests' emulator, quick")
    run.add_argument("--quick", action="store_true", help="one round of next to no data, to see that everything works")
    report = commands.add_parser("report", help="JSON files to README.md and charts beside the first")
    report.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="where two measured a case, the later holds"
    )
    report.add_argument("--output", type=Path, metavar="FOLDER", help="where both go")
    sass = commands.add_parser("sass", help="counts the kernels' instructions: no GPU needed, nothing measured")
    sass.add_argument("--output", type=Path, metavar="FOLDER", default=HERE / "results")
    first = commands.add_parser("first-gpu", help="compiles, tests and measures on a GPU in ten minutes")
    first.add_argument("folder", type=Path, metavar="FOLDER", help="receives what each stage prints, and bench.json")
    first.add_argument("--double", action="store_true", help="no GPU: a dry run on the tests' double of CuPy")
    first.add_argument("--go-on", action="store_true", help="also where the smoke test failed")
    given, rest = parser.parse_known_args(argv)
    if given.command == "run":
        chosen = [f"--{name}" for name in ("cuda", "emulated", "quick") if getattr(given, name)]
        _run(given.name, [*chosen, *(["--cuda"] if given.name == "cuda" else [])], rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if given.command == "first-gpu":
        from benchmarks.first_gpu import main as first_gpu

        return first_gpu(given.folder.resolve(), double=given.double, go_on=given.go_on)
    if given.command == "sass":
        from benchmarks.sass import write as write_sass

        return write_sass(given.output)
    from benchmarks.report import write

    return write(given.files, given.output or given.files[0].parent)


def _run(name: str, chosen: Sequence[str], rest: Sequence[str]) -> NoReturn:
    """Become pytest, without the variables that spoil OpenBLAS; interrupted, it writes what it has."""
    path = Path(name).resolve() if name.endswith(".json") else HERE / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in SPOILERS}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3 and not chosen:
        print(f"The load of this machine is {load:.2f}: what else runs will show in the figures.", file=sys.stderr)
    command = [sys.executable, "-m", "pytest", str(HERE), f"--benchmark-json={path}", "-q", "-p", "no:cacheprovider"]
    command += ["--benchmark-columns=median,iqr,rounds", "--benchmark-sort=name", "--benchmark-disable-gc"]
    command += ["--benchmark-time-unit=ms", *map(str, rest), *chosen]
    sys.stderr.flush()
    os.chdir(ROOT)
    os.execve(sys.executable, command, environment)


if __name__ == "__main__":
    sys.exit(main())
