"""The GPU's benchmarks work: a dry run on the emulator, from the command to the page. Nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from compiler import nvrtc
from emulator import build
from emulator.listing import every, listed
from gpu import delay
from test_benchmarks import _importable, run  # noqa: F401  # the fixture

for _name in ("pytest_benchmark", "threadpoolctl", "matplotlib"):
    pytest.importorskip(_name, reason=f'{_name} is not installed: pip install "upsample[bench]"')


def test_a_dry_run_and_its_report(tmp_path: Path) -> None:
    why = build.missing()
    if why is not None:
        pytest.skip(why)
    from benchmarks.cuda_cases import CUDA_CASES

    path = tmp_path / "dry.json"
    measured = run("-m", "benchmarks", "run", path, "--emulated")
    assert measured.returncode == 0, measured.stdout[-4000:] + measured.stderr
    content = json.loads(path.read_text())
    assert content["machine_info"]["cuda"]["emulated"]
    found = {(b["extra_info"]["case"], b["extra_info"]["who"]) for b in content["benchmarks"]}
    assert {(case.id, who) for case in CUDA_CASES for who in ("upsample", "copy")} <= found
    for entry in content["benchmarks"]:
        assert entry["stats"]["median"] > 0
        assert entry["extra_info"]["volume"] > 0
    reported = run("-m", "benchmarks", "report", path)
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "CUDA.md").read_text(encoding="utf-8")
    assert all(f"| {case.id} |" in page for case in CUDA_CASES)
    assert "A dry run without a GPU" in page
    assert not (tmp_path / "README.md").exists()


def test_other_runs_have_no_cuda() -> None:
    for options, ours, theirs in (([], "bench_tiny", "bench_cuda"), (["--cuda"], "bench_cuda", "bench_tiny")):
        told = run("-m", "pytest", "benchmarks", "--collect-only", "-q", *options)
        assert told.returncode == 0, told.stdout
        assert f"{ours}.py::" in told.stdout
        assert f"{theirs}.py::" not in told.stdout


def test_without_a_gpu_the_run_says_why() -> None:
    from upsample.engines.cuda import support

    if support.unusable() is None:
        pytest.skip("there is a GPU")
    told = run("-m", "pytest", "benchmarks", "--cuda", "-q", "-rs", "-k", "tiny and upsample")
    assert "CuPy is" in told.stdout


def test_a_wrong_result_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import cuda_calls, cuda_device
    from benchmarks.cuda_cases import CUDA_CASES

    gpu = SimpleNamespace(active=cuda_device.nullcontext, numpy=np.asarray)
    monkeypatch.setattr(cuda_calls, "device", lambda: gpu)
    case = next(c for c in CUDA_CASES if c.op == "resize" and c.dtype == "float32").small()
    x = np.arange(96, dtype=np.float32).reshape(2, 3, 4, 4)

    def last_is_wrong(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[-1, -1, 0, 0] += 1
        return x

    calls = {"right": lambda x: x.copy(), "wrong": last_is_wrong, "short": lambda x: x[..., 1:]}
    made = cuda_calls.Job([(x,)], calls, lambda x: x, spline=False, volume=1)
    monkeypatch.setattr(cuda_calls, "job", lambda case: made)
    cuda_calls.check(case, "right")
    with pytest.raises(AssertionError, match="wrong: off by 1"):
        cuda_calls.check(case, "wrong")
    with pytest.raises(AssertionError, match="short: its shape"):
        cuda_calls.check(case, "short")


class Events:
    """CUDA's events, on a clock that each launch sets forward."""

    def __init__(self) -> None:
        self.now, self.delays, self.waited = 0.0, list[float](), 0

    def Event(self) -> Any:
        event = SimpleNamespace(at=None)
        event.record = lambda: setattr(event, "at", self.now)

        def synchronize() -> None:
            self.waited += 1

        event.synchronize = synchronize
        return event

    def get_elapsed_time(self, begin: Any, end: Any) -> float:
        return (end.at - begin.at) * 1e3


def test_the_clock_waits_for_nothing_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay comes before the first event of a pair, and only the difference of two waits."""
    import sys

    from benchmarks import cuda_device

    events = Events()
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=events))
    gpu = cuda_device.Gpu.__new__(cuda_device.Gpu)
    gpu._cupy, gpu._running, gpu.ahead = SimpleNamespace(cuda=events), False, 0.25
    gpu._delay = events.delays.append
    for lasts in (3.0, 5.0):
        begin = gpu.now()
        events.now += lasts
        end = gpu.now()
        waited = events.waited
        assert end - begin == pytest.approx(lasts)
        assert events.waited == waited + 1
    assert events.delays == [0.25, 0.25]


@pytest.mark.parametrize("version", nvrtc.VERSIONS)
def test_the_delay_compiles(version: str) -> None:
    why = nvrtc.missing(version)
    if why is not None:
        pytest.skip(why)
    assert nvrtc.compiled_text(delay.TEXT, "delay", version=version, arch="sm_90").cubin


def test_what_is_under_its_goal() -> None:
    from benchmarks import cuda_report

    about = dict(device="one", emulated=False, driver="13.0")
    machine = dict(cpu="x", python="3", system="Linux", quick=False, cuda=about)
    figures = {"upsample": 2e-3, "torch": 5e-3, "copy": 1.5e-3}
    entries = [
        dict(extra_info=dict(case="bicubic ×2, photos, float32", who=who, host=1e-5, volume=4e9), stats=dict(median=s))
        for who, s in figures.items()
    ]
    content = dict(datetime="2026-01-01T", machine_info=machine, commit_info={}, benchmarks=entries)
    page = cuda_report.page([content])
    assert page is not None
    assert "- bicubic ×2, photos, float32: 2.50× torch, goal 3×" in page
    assert "| bicubic ×2, photos, float32 | 2 ms | 2000 | 75 (75) | 5 ms | 2.50 (3) | – | 10 µs |" in page
    assert "not measured: nearest ×2, images, float32; " in page
    assert cuda_report.page([]) is None


LISTING = """
.text.walks:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/               @P0 LDG.E.128.CONSTANT R4, desc[UR4][R2.64] ;
.L_x_2:
.L_x_3:
        /*0020*/                   LDG.E.U16 R8, desc[UR4][R6.64] ;
        /*0030*/                   FFMA R4, R4, R5, R6 ;
        /*0040*/              @!P1 BRA `(.L_x_3) ;
        /*0050*/                   STG.E.64 desc[UR4][R2.64], R4 ;
        /*0060*/              @!P2 BRA `(.L_x_1) ;
        /*0070*/                   EXIT ;
.L_x_4:
        /*0080*/                   BRA `(.L_x_4);
        /*0090*/                   NOP;
.text.goes:
        /*0000*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;
        /*0010*/                   EXIT ;
"""


def test_instructions_are_counted() -> None:
    from benchmarks import sass

    codes = sass.parsed(LISTING)
    assert [i.name for i in codes["goes"]] == ["IMAD.MOV.U32", "EXIT"]
    assert sass.hot_loop(codes["goes"]) == []
    whole = dict(all=8, FMA=1, branches=3, other=1)
    loads = {"global loads": 2, "global loads 128": 1, "global loads 16": 1}
    assert sass.counts(codes["walks"]) == whole | loads | {"global stores": 1, "global stores 64": 1}
    loop = {"global loads": 1, "global loads 16": 1, "FMA": 1, "branches": 1, "all": 3}
    assert sass.counts(sass.hot_loop(codes["walks"])) == loop


def test_a_loop_around_a_poorer_loop_is_the_hot_one() -> None:
    """As in conv_weight.cu, where places are worked out between the products."""
    from benchmarks import sass
    from benchmarks.sass import Instruction

    names = ["LDS", "HMMA.16816.F32", "LDG.E", "BRA", "HMMA.16816.F32", "BRA", "EXIT"]
    code = [Instruction(place, name, {3: 2, 5: 0}.get(place)) for place, name in enumerate(names)]
    assert [i.place for i in sass.hot_loop(code)] == [0, 1, 4, 5]


@pytest.mark.parametrize(
    ("registers", "threads", "share"),
    [(32, 256, 1.0), (33, 256, 0.75), (64, 256, 0.5), (128, 256, 0.25), (255, 256, 0.125), (16, 32, 0.5)],
)
def test_occupancy(registers: int, threads: int, share: float) -> None:
    from benchmarks import sass

    assert sass.occupancy(registers, threads) == share


def test_a_kernels_machine_code_is_described() -> None:
    from benchmarks import sass

    why = nvrtc.missing("13") or (None if sass._nvdisasm() else "nvdisasm is not installed")
    if why is not None:
        pytest.skip(why)
    (first, *_) = listed("pool")
    tool = sass._nvdisasm()
    assert tool is not None
    (found,) = sass._described([first], tool, "13").values()
    assert found["threads"] == 256
    assert found["registers"] <= 255
    assert found["whole"]["global loads"] > 0
    assert found["whole"]["global stores"] > 0
    assert found["loop"]["all"] < found["whole"]["all"]


def test_the_counted_kernels_are_todays() -> None:
    """Where this fails: ``python -m benchmarks sass``, two minutes."""
    from benchmarks.first_gpu import ROOT

    counted = json.loads((ROOT / "benchmarks/results/sass.json").read_text(encoding="utf-8"))["kernels"]
    assert set(counted) == {str(kernel) for kernel in every()}


@pytest.mark.parametrize("double", [False, True])
def test_the_first_ten_minutes_on_a_gpu_fit(double: bool, tmp_path: Path) -> None:
    from benchmarks import first_gpu

    made = first_gpu.stages(tmp_path, double=double)
    assert [stage.name for stage in made] == ["compile", "smoke", "engine", "streams", "bench", "memcheck"]
    assert sum(stage.seconds for stage in made) <= 525
    for word in (part for stage in made for part in stage.command if part.startswith("tests/")):
        assert (first_gpu.ROOT / word).is_file()


@pytest.mark.parametrize(("stage", "least"), [("engine", 700), ("streams", 180)])
def test_the_first_ten_minutes_select_tests(
    stage: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with a typing error would select nothing, and a GPU is at hand for minutes."""
    from benchmarks import first_gpu

    monkeypatch.setattr(first_gpu, "_installed", lambda name: False)  # pytest-xdist's options are not for here
    (found,) = (s for s in first_gpu.stages(tmp_path, double=False) if s.name == stage)
    words = found.command[1:]
    told = run(*words, "--collect-only")
    assert told.returncode == 0, told.stdout[-2000:]
    selected = [line for line in told.stdout.splitlines() if "::" in line]
    assert len(selected) >= least
    for file in (word for word in words if word.startswith("tests/")):
        assert any(line.startswith(file) for line in selected), file


def test_the_first_ten_minutes_select_benchmarks() -> None:
    from benchmarks import cuda_calls, first_gpu

    told = run("-m", "pytest", "benchmarks", "--cuda", "--collect-only", "-q", "-k", first_gpu.CASES)
    assert told.returncode == 0, told.stdout[-2000:]
    selected = [line for line in told.stdout.splitlines() if "::" in line]
    for part in first_gpu.CASES.split(" or "):
        assert any(part in line for line in selected), f"{part!r} selects nothing"
    assert 15 <= len(selected) / len(cuda_calls.WHO) <= 25


def test_a_failed_smoke_test_ends_the_first_ten_minutes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from benchmarks import first_gpu

    fails = [first_gpu.Stage(name, 20, (sys.executable, "-c", "raise SystemExit(3)")) for name in ("smoke", "engine")]
    monkeypatch.setattr(first_gpu, "stages", lambda folder, double: fails)
    assert first_gpu.main(tmp_path, double=False, go_on=False) == 1
    assert "== smoke: 3" in capsys.readouterr().out
    assert first_gpu.main(tmp_path, double=False, go_on=True) == 2


def test_a_stage_out_of_time_writes_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from benchmarks import first_gpu

    code = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('what there is')"
    monkeypatch.setattr(first_gpu, "GRACE", 2.0)
    monkeypatch.setattr(
        first_gpu, "stages", lambda folder, double: [first_gpu.Stage("bench", 4, (sys.executable, "-c", code))]
    )
    assert first_gpu.main(tmp_path, double=False, go_on=False) == 1
    assert "== bench: out of time" in (told := capsys.readouterr().out)
    assert "what there is" in told
