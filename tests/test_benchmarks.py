"""The benchmarks work: every case runs once with next to no data, the page and the chart are made. Nothing is timed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upsample.engines.dispatch import ENGINES

ROOT = Path(__file__).resolve().parents[1]

for _name in ("pytest_benchmark", "threadpoolctl", "matplotlib"):
    pytest.importorskip(_name, reason=f'{_name} is not installed: pip install "upsample[bench]"')


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python` in the checkout, with the environment of this process and `variables`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "PYTEST_"))} | variables
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_a_quick_run_and_its_report(tmp_path: Path) -> None:
    from benchmarks.cases import CASES

    path = tmp_path / "quick.json"
    measured = run("-m", "benchmarks", "run", path, "--quick", OPENBLAS_CORETYPE="Haswell")
    assert measured.returncode == 0, measured.stdout[-4000:] + measured.stderr
    content = json.loads(path.read_text())
    assert path.stat().st_size < 500_000
    engines = {engine.name for engine in ENGINES if engine.unusable() is None} & {"cpu", "portable"}
    found = {(b["extra_info"]["case"], b["extra_info"]["engine"]) for b in content["benchmarks"]}
    assert found == {(case.id, engine) for case in CASES for engine in engines}
    for entry in content["benchmarks"]:
        assert "data" not in entry["stats"]
        assert entry["extra_info"]["ratios"]["copy"] > 0
    reported = run("-m", "benchmarks", "report", path)
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(case.id in page for case in CASES)
    assert "A quick run" in page
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("cpu.png", "overview.png"))


def test_a_spoiled_blas_is_refused() -> None:
    told = run("-m", "pytest", "benchmarks", "--collect-only", "-q", OPENBLAS_L2_SIZE="32")
    assert told.returncode == pytest.ExitCode.USAGE_ERROR
    assert "OPENBLAS_L2_SIZE in the environment can halve NumPy's matrix product" in told.stderr


def test_a_rival_with_other_results_is_not_timed() -> None:
    from benchmarks import pairs
    from upsample.command_line.bench.rivals import Rival

    ours = np.arange(12, dtype=np.float32).reshape(3, 4)

    def check(likeness: Any, theirs: np.ndarray) -> None:
        pairs._checked(Rival("rival", lambda: theirs, likeness, lambda y: (y,)), "fresh", (ours,), 1.0)

    for likeness in ("exact", "close", "family"):
        check(likeness, ours.copy())
        with pytest.raises(AssertionError, match="rival"):
            check(likeness, ours[::-1].copy())
    check("close", ours * np.float32(1 + 1e-7))
    with pytest.raises(AssertionError, match="off by"):
        check("close", ours * np.float32(1 + 1e-4))
    with pytest.raises(AssertionError, match="shape"):
        check("close", ours[:, :3])


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    from benchmarks import pairs
    from upsample.command_line.bench.rounds import Timing

    rivals = {"a": Timing(int, rounds=[2.0, 9.0, 8.0]), "slow": Timing(int, rounds=[30.0], once=True)}
    figures = pairs._figures(Timing(int, rounds=[1.0, 3.0, 2.0]), rivals)
    assert figures["ratios"] == {"a": 3.0, "slow": 15.0}
    assert figures["rivals"] == {"a": 8.0, "slow": 30.0}
    assert figures["timed_once"] == ["slow"]


def test_rounds_alternate_and_each_call_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import pairs
    from upsample.command_line.bench import devices
    from upsample.command_line.bench.rounds import Timing

    calls: list[str] = []
    monkeypatch.setattr(devices, "quiet", lambda: calls.append("quiet"))
    rivals = {name: Timing(lambda name=name: calls.append(name)) for name in ("a", "b")}
    ours = Timing(lambda: calls.append("ours"))
    before, sample = pairs._alternate(ours, rivals), pairs._repeat(ours)
    for _ in range(2):
        before()
        sample()
    rounds = [["quiet", *[name] * (pairs.WARM + 1)] for name in ("a", "b", "ours")] * 2
    assert calls == [call for round_ in rounds for call in round_]
    assert all(len(timing.rounds) == 2 for timing in rivals.values())


def test_quiet_waits_for_threads_that_work_without_the_gil() -> None:
    from upsample.command_line.bench.calm import quiet

    if not Path("/proc/self/task").exists():
        pytest.skip("only Linux tells what threads do")
    data = bytes(1 << 28)  # some tenths of a second, of which the process's clock notices every tick alone
    worker = threading.Thread(target=hashlib.sha256, args=(data,))
    worker.start()
    quiet()
    assert not worker.is_alive()


SPENDER = """
from types import SimpleNamespace
import numpy as np
from benchmarks import memory
from benchmarks.cases import CASES

def job(case):
    def call(engine):  # makes a result of 8 MiB by way of 24 more
        size = 2**16 if case.quick else 2**20
        return np.ones(3 * size)[:size].copy()
    return SimpleNamespace(ours=call, arguments=(), options={})

memory._jobs = lambda case: SimpleNamespace(job=job)
print(memory._measured(CASES[0], "portable"))
"""


def test_the_peak_of_memory_is_the_calls_own() -> None:
    """In processes of their own: what others left in this one's would be used again."""
    from benchmarks import memory
    from benchmarks.cases import CASES

    found = memory.peak(next(case for case in CASES if case.id == "max_unpool 2/2, C").small(), "portable")
    if found is None:
        pytest.skip("only Linux tells the peak")
    assert 0 <= found < 2**23
    told = run("-c", SPENDER)
    assert 22 < int(told.stdout) / 2**20 < 28, told.stderr


def _measured(path: Path, when: str, cpu: str, ratios: dict[str, float], disturbed: float = 0.0) -> Path:
    """A file as a run writes it: for each way one figure of "bilinear ×2, C"."""
    entries: list[dict[str, Any]] = []
    for way, ratio in ratios.items():
        engine, how = way.split("-")
        extra = dict(case="bilinear ×2, C", engine=engine, how=how, threads=2, calls=1, seconds=0.002)
        extra |= dict(
            disturbed=disturbed, rivals={"torch": 0.002 * ratio, "copy": 0.001}, ratios={"torch": ratio, "copy": 0.5}
        )
        entries.append(dict(extra_info=extra | dict(timed_once=[]), stats=dict(rounds=9)))
    about = dict(cpu=cpu, system="Linux", python="3.11", versions={"torch": "2.13"}, blas="openblas", threads=2)
    about |= dict(load=[0.1], quick=False)
    content = dict(
        datetime=f"{when}T00:00:00", machine_info=about, commit_info={"id": "abcdef0123"}, benchmarks=entries
    )
    path.write_text(json.dumps(content))
    return path


def test_the_page_says_what_is_under_its_goal(tmp_path: Path) -> None:
    from benchmarks import measurements, report

    old = _measured(tmp_path / "b.json", "2026-01-01", "one", {"cpu-fresh": 2.0, "cpu-out": 2.499})
    new = _measured(tmp_path / "a.json", "2026-01-02", "one", {"cpu-fresh": 2.5, "portable-fresh": 1.0})
    other = _measured(tmp_path / "c.json", "2025-01-01", "two", {"cpu-fresh": 1.0})
    machines = measurements.read([new, other, old])
    assert [m.machine["cpu"] for m in machines] == ["two", "one"]
    page = report.page(machines[1:])
    assert "| A not measured, B not measured (5); C 2.50× (2.5) |" in page
    assert "- bilinear ×2: C portable, fresh 1.00× of 2×.\n" in page  # 2.499 reads 2.50: the goal, as printed
    assert "| bilinear ×2, C | 3.5 ms | 5 ms | 2 ms, 2.50× | 2 ms, 2.50× | **2 ms, 1.00×** | 50 / 50 / 50 |  |" in page
    assert "- bilinear ×2: C compiled, fresh 1.00× of 2.5×.\n" in report.page(machines[:1])
    assert report.write([new, other, old], tmp_path / "made") == 0
    made = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert made.index("## one, 2026-01-02") < made.index("## two, 2025-01-01")


def test_a_disturbed_figure_replaces_no_calm_one(tmp_path: Path) -> None:
    from benchmarks import measurements

    calm = _measured(tmp_path / "a.json", "2026-01-01", "one", {"cpu-fresh": 2.0}, 0.04)
    disturbed = _measured(tmp_path / "b.json", "2026-01-02", "one", {"cpu-fresh": 3.0, "cpu-out": 3.0}, 0.2)
    later = _measured(tmp_path / "c.json", "2026-01-03", "one", {"cpu-out": 4.0}, 0.05)
    (machine,) = measurements.read([disturbed, later, calm])
    assert {key[2]: figures["ratios"]["torch"] for key, figures in machine.figures.items()} == {
        "fresh": 2.0,
        "out": 4.0,
    }


def test_only_what_was_disturbed_is_measured_again(tmp_path: Path) -> None:
    names = [f"bench_tiny[tiny-others-max_pool-{way}]" for way in ("cpu-fresh", "cpu-out")]
    entries = [dict(name=n, extra_info=dict(disturbed=d)) for n, d in zip(names, (0.05, 0.06), strict=True)]
    path = tmp_path / "before.json"
    path.write_text(json.dumps(dict(benchmarks=entries)))
    options = ("--collect-only", "-q", "-k", "max_pool and cpu", "--again", path)
    told = run("-m", "pytest", "benchmarks/bench_tiny.py", *options)
    assert told.returncode == 0, told.stdout
    assert names[0] not in told.stdout
    assert names[1] in told.stdout


def test_other_processes_are_noticed() -> None:
    from benchmarks.machine import Others

    code = "while True: pass"
    if not Path("/proc/stat").exists():
        pytest.skip("only Linux tells what other processes take")
    others = Others()
    with subprocess.Popen([sys.executable, "-c", code]) as busy:
        time.sleep(0.5)
        busy.kill()
    assert 0 < others.share() <= 1


def test_files_without_figures_make_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import report

    assert report.write([_measured(tmp_path / "a.json", "2026-01-01", "one", {})], tmp_path) == 1
    assert "no figures" in capsys.readouterr().err
    assert not (tmp_path / "README.md").exists()
