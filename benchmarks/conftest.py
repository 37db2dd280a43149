"""pytest finds `bench_*` here, knows ``--quick``, and writes down the machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--again", nargs="+", type=Path, help="benchmarks: only what these JSON files lack, or disturbed")
    about = "benchmarks: seconds in all to wait for other processes (180)"
    parser.addoption("--patience", type=float, default=180.0, help=about)
    parser.addoption("--cuda", action="store_true", help="benchmarks: what runs on a GPU, and nothing else")
    about = "benchmarks: as --cuda --quick, but the kernels run on the tests' emulator, to see that all works"
    parser.addoption("--emulated", action="store_true", help=about)
    parser.addoption("--quick", action="store_true", help="benchmarks: one round of next to no data, to see it work")


def pytest_configure(config: pytest.Config) -> None:
    from upsample.command_line.info import SPOILERS

    set_ = [name for name in SPOILERS if name in os.environ]
    if set_:
        raise pytest.UsageError(
            f"{' and '.join(set_)} in the environment can halve NumPy's matrix product: unset, or "
            "run `python -m benchmarks run NAME`, which does"
        )
    os.environ.setdefault("UPSAMPLE_COMPILE", "eager")
    os.environ["UPSAMPLE_BENCHMARK_PATIENCE"] = str(config.getoption("--patience"))
    if config.getoption("--emulated"):
        from benchmarks import cuda_device

        config.option.cuda = config.option.quick = True
        cuda_device.use(cuda_device.Emulated)
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without --cuda there is no bench_cuda.py, and with it nothing else."""
    if not collection_path.name.startswith("bench_"):
        return None
    return True if (collection_path.name == "bench_cuda.py") != config.getoption("--cuda") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    files = config.getoption("--again")
    if files:
        from benchmarks.machine import CALM

        entries = [entry for path in files for entry in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]]
        done = {entry["name"] for entry in entries if entry["extra_info"]["disturbed"] <= CALM}
        config.hook.pytest_deselected(items=[item for item in items if item.name in done])
        items[:] = [item for item in items if item.name not in done]


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    from benchmarks import machine

    machine_info.clear()
    machine_info.update(machine.about(), quick=bool(config.getoption("--quick")))
    if config.getoption("--cuda"):
        from benchmarks import cuda_device
        from upsample.engines.cuda import support

        if cuda_device.emulated() or support.unusable() is None:
            machine_info["cuda"] = cuda_device.device().machine()


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Keep what the report needs: no raw rounds, rounded numbers."""
    for entry in output_json["benchmarks"]:
        entry["stats"] = {
            key: float(f"{value:.6g}") if isinstance(value, float) else value
            for key, value in entry["stats"].items()
            if key in ("min", "max", "mean", "stddev", "median", "iqr", "rounds", "iterations")
        }
        for key in ("params", "param", "options", "fullname", "group"):
            entry.pop(key, None)
