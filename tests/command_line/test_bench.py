"""``upsample bench``: every case runs and is compared, what is written, and what is said where something is missing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends import needs_numba, unusable

import upsample
from upsample.__main__ import main
from upsample.command_line import progress
from upsample.command_line.bench import calm, cases, command, measure, rivals, show
from upsample.command_line.bench.devices import Cpu, Cuda
from upsample.command_line.bench.difference import Likeness, difference

Complains = Callable[..., None]
OPTIONAL = ("torch", "cv2", "PIL", "skimage", "scipy", "rich", "matplotlib", "threadpoolctl")
ONE = "interpolate nearest"


def test_a_quick_run_measures_every_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    assert main(["bench", "--quick", "--device", "cpu", "--json", str(path)]) == 0
    said, complained = capsys.readouterr()
    assert complained == ""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [(c["case"], c["differs"]) for c in content["cases"]] == [(case.name, None) for case in cases.CASES]
    assert all(f"\n  {case.name} " in said for case in cases.CASES)
    found = rivals.versions("cpu")
    assert content["versions"].items() >= found.items()
    for measured in content["cases"]:
        assert measured["seconds"] > 0
        assert measured["rivals"]["copy"]["ratio"] > 0
        assert ("torch" in measured["rivals"]) == ("torch" in found)
        assert [name for name, r in measured["rivals"].items() if "differs" in r] == []
    assert set(found) <= {name for c in content["cases"] for name in c["rivals"]}
    assert "The figures mean nothing." in said
    assert "Faster than" not in said
    assert "\x1b" not in said


def test_every_function_with_a_fast_engine_is_measured() -> None:
    shown = {case.function for case in cases.CASES}
    assert shown >= {"interpolate", "resize", "max_pool2d", "max_unpool2d", "conv_transpose2d", "pixel_shuffle"}
    names = [(case.function, case.input, case.dtype, case.name, case.gradient) for case in cases.CASES]
    assert len(set(names)) == len(names)


def test_words_choose_cases(complains: Complains) -> None:
    assert {case.dtype for case in cases.matching("resize UINT8")} == {"uint8"}
    assert cases.matching(None) == cases.CASES
    assert main(["bench", "-k", "resize sideways"]) == 2
    complains("no case has all the words of -k 'resize sideways'", "max_unpool2d")


def test_a_rival_that_differs_is_told_and_not_timed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(case: cases.Case, device: Cpu, inputs: tuple, options: dict) -> list[rivals.Rival]:
        y = upsample.interpolate(*inputs, **options)
        return [rivals.Rival("torch", lambda: y + np.float32(0.01), "close", lambda y: (y,))]

    monkeypatch.setattr(measure, "rivals", wrong)
    assert main(["bench", "--quick", "--device", "cpu", "-k", ONE]) == 1
    said = capsys.readouterr().out
    assert "differs" in said
    assert "DIFFERS: interpolate nearest ×2, torch: off by 0.01" in said
    row = measure.measure(cases.matching(ONE)[0], Cpu(), "quick", None)
    assert row is not None
    assert not [line for line in show.summary([row], "cpu") if line.startswith("Faster than")]


def test_a_rival_that_fails_is_told_and_no_fault_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise NotImplementedError("no such kernel\nmore")

    path = tmp_path / "figures.json"
    monkeypatch.setattr(measure, "rivals", lambda *_: [rivals.Rival("torch", broken, "close", lambda y: (y,))])
    assert main(["bench", "--quick", "--device", "cpu", "-k", ONE, "--json", str(path)]) == 0
    said = capsys.readouterr().out
    assert "  fails\n" in said
    assert "Fails: interpolate nearest ×2, torch: NotImplementedError: no such kernel\n" in said
    (measured,) = json.loads(path.read_text(encoding="utf-8"))["cases"]
    assert measured["rivals"]["torch"] == {"fails": "NotImplementedError: no such kernel"}


@pytest.mark.parametrize("with_rich", [True, False])
def test_a_bar_on_a_terminal(with_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    if with_rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with show.bar(2) as begin:
        begin("first")
        begin("second")
    drawn = sys.stderr.getvalue()
    assert "second" in drawn
    assert "1/2" in drawn
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with show.bar(1) as begin:
        begin("first")
    assert sys.stderr.getvalue() == ""


def test_our_own_fault_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = measure._ours

    def spoiled(case, inputs, options, engine):
        call = real(case, inputs, options, engine)
        return call if engine == "portable" else lambda: call() + np.float32(1)

    monkeypatch.setattr(measure, "_ours", spoiled)
    monkeypatch.setattr(measure, "rivals", lambda *_: [])
    assert main(["bench", "--quick", "--device", "cpu", "-k", ONE]) == 1
    assert "the portable engine: off by 1" in capsys.readouterr().out


def _one_level(dtype: np.dtype, scale: float) -> float:
    return 1.0 if dtype == np.uint8 else 1e-5 * scale


@pytest.mark.parametrize("likeness", ["close", "family"])
def test_what_differs(likeness: Likeness) -> None:
    def off(a: np.ndarray, b: np.ndarray) -> str:
        return str(difference([a], [b], likeness, _one_level))

    x = np.random.default_rng(0).random((40, 50), dtype=np.float32)
    assert difference([x], [x * np.float32(1 + 2e-6)], likeness, _one_level) is None
    assert "shape" in off(x, x[1:])
    assert "off by" in off(x, x + np.float32(1))
    assert "off by nan" in off(x, x * np.float32("nan"))
    assert (off(x, x + np.float32(0.01)) == "None") == (likeness == "family")


def test_what_must_be_equal() -> None:
    x = np.arange(12, dtype=np.float32)
    assert difference([x], [x.copy()], "exact", _one_level) is None
    assert difference([x], [np.nextafter(x, np.float32(9))], "exact", _one_level) == "other values"
    large = np.arange(3, dtype=np.int64) + 2**25  # float32 has no odd numbers here
    assert difference([large], [large], "close", _one_level) is None
    assert difference([large], [large + 1], "close", _one_level) == "other values"


def test_the_chart_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "chart.png"
    assert main(["bench", "--quick", "--device", "cpu", "-k", "resize float32", "--plot", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert f"Wrote {path}." in capsys.readouterr().out


def test_the_chart_leaves_out_cases_without_a_rival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")

    def one(case: cases.Case, device: Cpu, inputs: tuple, options: dict) -> list[rivals.Rival]:
        made = upsample.resize(*inputs, **options)
        return [rivals.Rival("scipy", lambda: made, "close", lambda y: (y,))] if case.name == "linear ×2" else []

    path = tmp_path / "chart.svg"
    monkeypatch.setitem(sys.modules["matplotlib"].rcParams, "svg.fonttype", "none")
    for rivals_of, labels, legend in (
        (one, {"linear ×2"}, "scipy"),
        (lambda *_: [], {"linear ×2", "cubic ×2"}, "copy"),
    ):
        monkeypatch.setattr(measure, "rivals", rivals_of)
        assert main(["bench", "--quick", "--device", "cpu", "-k", "resize ×2 float32", "--plot", str(path)]) == 0
        text = path.read_text(encoding="utf-8")
        assert {name for name in ("linear ×2", "cubic ×2") if f">resize {name} float32</text>" in text} == labels
        assert f">{legend}</text>" in text
        assert "the figures mean nothing" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "chart.txt"], "the name must end in .png, .svg or .pdf"),
        (["--json", "absent/figures.json"], "No such file or directory"),
        (["--engine", "cuda", "--device", "cpu"], "cuda"),
        (["--engine", "cpu", "--device", "cuda"], "GPU"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    complains: Complains,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "chart.txt" in arguments:
        pytest.importorskip("matplotlib")
    if "cuda" in arguments and unusable("cuda") is None:
        pytest.skip("there is a GPU")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "measure", None)
    assert main(["bench", *arguments]) == 2
    complains("upsample bench: ", words)


def test_a_chart_needs_matplotlib(complains: Complains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert main(["bench", "--plot", "chart.png"]) == 2
    complains('pip install "upsample[demo]"')


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_threads_are_counted_from_one(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--threads", number]) == 2
    assert "is no number of threads" in capsys.readouterr().err


def test_threads_are_everyones_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.delenv("UPSAMPLE_NUM_THREADS", raising=False)
    before, ours = torch.get_num_threads(), upsample.get_num_threads()
    with calm.thread_count(3) as number:
        assert (number, torch.get_num_threads(), upsample.get_num_threads()) == (3, 3, 3)
    assert (torch.get_num_threads(), upsample.get_num_threads()) == (before, ours)


def test_rows_that_an_engine_cannot_run_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    needs_numba()
    assert main(["bench", "--quick", "--device", "cpu", "--engine", "cpu", "-k", "pixel_shuffle"]) == 0
    assert "1 more case is not for the cpu engine." in capsys.readouterr().out


def test_interrupted_it_shows_what_it_has(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = measure.measure

    def interrupted(case: cases.Case, *rest: object) -> object:
        if case.name == "bilinear ×2":
            raise KeyboardInterrupt
        return real(case, *rest)

    monkeypatch.setattr(command, "measure", interrupted)
    assert main(["bench", "--quick", "--device", "cpu", "-k", "interpolate"]) == 130
    said = capsys.readouterr().out
    assert "  nearest ×2" in said
    assert "  bilinear ×2" not in said
    assert "more case" not in said


def test_without_memory_it_shows_what_it_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("10 GB")

    monkeypatch.setattr(command, "measure", full)
    assert main(["bench", "--quick", "--device", "cpu", "-k", ONE]) == 1
    assert "upsample bench: out of memory: 10 GB\n" in capsys.readouterr().err


def test_it_needs_nothing_but_numpy() -> None:
    code = f"""
import sys
for name in (*{OPTIONAL!r}, "jax", "numba", "cupy", "ml_dtypes"):
    sys.modules[name] = None
from upsample.__main__ import main
sys.exit(main(["bench", "--quick"]))
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "Not installed, so not measured: torch, OpenCV, Pillow, skimage, scipy." in run.stdout
    assert 'pip install "upsample[cpu]"' in run.stdout


def test_on_a_gpu_events_are_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for CuPy, whose clock says what its events were told."""
    events: list[str] = []

    class Event:
        def record(self) -> None:
            self.at = len(events)
            events.append("record")

        def synchronize(self) -> None:
            events.append("synchronize")

    runtime = SimpleNamespace(deviceSynchronize=lambda: events.append("settle"))
    cuda = SimpleNamespace(
        Event=Event, runtime=runtime, get_elapsed_time=lambda a, b: 8000.0 * (b.at - a.at), Device=SimpleNamespace
    )
    cupy = SimpleNamespace(
        cuda=cuda, ndarray=np.ndarray, asarray=np.asarray, asnumpy=np.asarray, ones=np.ones, copyto=np.copyto
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    device = Cuda()
    assert device.seconds(lambda: events.append("call"), 3) == pytest.approx(4 * 8 / 3)
    assert events == ["record", "call", "call", "call", "record", "synchronize"]
    monkeypatch.setattr(measure, "rivals", lambda *_: [])
    row = measure.measure(cases.matching(ONE)[0], device, "quick", None)
    assert row is not None
    assert row.wrong == {}
    assert "settle" in events
    assert "nearest ×2" in show.table([row], "quick")


def test_quiet_waits_for_a_thread_at_work() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("only Linux tells the state of a thread")
    end = time.perf_counter() + 0.3

    def spin() -> None:
        while time.perf_counter() < end:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    calm.quiet()
    assert time.perf_counter() >= end
    thread.join()
    begin = time.perf_counter()
    calm.quiet()
    assert time.perf_counter() - begin < 0.5


@pytest.mark.parametrize("before", [None, "old figures"])
def test_nothing_is_left_where_nothing_was_measured(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the first case: no empty file, and a file that was there as it was."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "figures.json"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    monkeypatch.setattr(command, "measure", interrupted)
    assert main(["bench", "--quick", "--device", "cpu", "-k", ONE, "--json", str(path)]) == 130
    assert (path.read_text(encoding="utf-8") if path.exists() else None) == before
