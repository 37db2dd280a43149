"""How many threads a call uses: the order of those who say so, workers, containers, torch and threadpoolctl."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample.engines import cores, thread_count

VARIABLES = ("UPSAMPLE_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
COUNT = "import upsample; print(upsample.get_num_threads())"


def printed(code: str, **variables: str) -> list[str]:
    """What a new process prints, where only these variables about threads are set."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**kept, **variables})
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(thread_count, "_process", thread_count._Process())
    thread_count._process.knows_threadpoolctl = True
    monkeypatch.setattr(cores, "affinity", lambda: 8)
    monkeypatch.setattr(cores, "quota", lambda root, own: None)


def looked_up_anew() -> int:
    thread_count._process.default = None
    return upsample.get_num_threads()


def test_the_nearest_says_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_up_anew() == 8
    monkeypatch.setattr(cores, "quota", lambda root, own: 5.2)
    assert looked_up_anew() == 6  # five and a fifth of a core's time: the sixth thread is not idle
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert looked_up_anew() == 4
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert looked_up_anew() == 3
    monkeypatch.setenv("UPSAMPLE_NUM_THREADS", "12")
    assert looked_up_anew() == 12
    upsample.set_num_threads(2)
    assert upsample.get_num_threads() == 2
    with upsample.num_threads(7):
        assert upsample.get_num_threads() == 7
        with upsample.num_threads(1):
            assert upsample.get_num_threads() == 1
        assert upsample.get_num_threads() == 7
    assert upsample.get_num_threads() == 2
    upsample.set_num_threads(None)
    assert upsample.get_num_threads() == 12


def test_others_variables_never_ask_for_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "64")
        assert looked_up_anew() == 8
        for nonsense in ("", "0", "-2", "many", "9" * 40):
            monkeypatch.setenv(name, nonsense)
            assert looked_up_anew() == 8


def test_the_affinity_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_up_anew() == 8
    monkeypatch.setattr(cores, "affinity", lambda: 3)
    assert upsample.get_num_threads() == 3


@pytest.mark.parametrize("nonsense", ["0", "-2", "many", "1.5"])
def test_nonsense_is_named_once(nonsense: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_NUM_THREADS", nonsense)
    with pytest.warns(UserWarning, match=f"UPSAMPLE_NUM_THREADS='{nonsense}' is ignored") as seen:
        assert upsample.get_num_threads() == 8
    assert seen[0].filename == __file__
    assert upsample.get_num_threads() == 8


@pytest.mark.parametrize("call", [upsample.set_num_threads, lambda count: upsample.num_threads(count).__enter__()])
def test_what_is_no_number_of_threads(call) -> None:  # type: ignore[no-untyped-def]
    for value, error in ((0, ValueError), (-1, ValueError), (1.0, TypeError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^(set_)?num_threads: count="):
            call(value)
    assert upsample.get_num_threads() == 8


def test_a_block_is_of_one_python_thread() -> None:
    seen: list[int] = []
    with upsample.num_threads(3):
        other = threading.Thread(target=lambda: seen.append(upsample.get_num_threads()))
        other.start()
        other.join()
    assert seen == [8]


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({"a/b/cpu.max": "150000 100000", "a/cpu.max": "max 100000"}, "0::/a/b", 1.5),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, "0::/a/b", 0.5),
        ({"cpu.max": "200000 100000"}, "0::/docker/1234", 2.0),  # a container sees its own group as the root
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"unified/a/cpu.max": "300000 100000"}, "0::/a", 3.0),
        (
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/a",
            None,
        ),
        (
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/a",
            2.5,
        ),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, "3:cpuset:/x\n4:cpu,cpuacct:/a", 1.0),
        ({"cpuset/cpu.max": "100000 100000"}, "4:cpuset:/", None),
        ({"cpu.max": "nonsense"}, "0::/", None),
        ({"cpu.max": "100000 0"}, "0::/", None),
        ({}, "0::/", None),
        ({}, "nonsense", None),
    ],
)
def test_quotas_of_both_versions(files: dict[str, str], own: str, expected: float | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    assert QUOTA(tmp_path, tmp_path / "own") == expected
    assert QUOTA(tmp_path, tmp_path / "absent") is None


QUOTA = cores.quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity to follow")
def test_a_process_of_one_core() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    assert printed(code + COUNT) == ["1"]
    assert printed(code + COUNT, UPSAMPLE_NUM_THREADS="3") == ["3"]


WORKERS = """
import multiprocessing, concurrent.futures, os
import upsample
from upsample.engines import cores
cores.affinity = lambda: 8

def count(_):
    return upsample.get_num_threads()

if __name__ == "__main__":
    upsample.set_num_threads(5)
    context = multiprocessing.get_context("fork")
    with upsample.num_threads(4), context.Pool(2) as pool:
        print(*pool.map(count, range(2)))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        print(*pool.map(count, range(2)))
    child = os.fork()  # no worker: a server that forks itself, for instance
    if child == 0:
        print(count(0), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(count(0))
"""


@FORKS
def test_workers_of_multiprocessing_use_one_thread() -> None:
    """Also where the parent was told of more; the environment is told to every process."""
    assert printed("import warnings; warnings.simplefilter('ignore')" + WORKERS) == ["1"] * 4 + ["5", "5"]
    told = printed("import warnings; warnings.simplefilter('ignore')" + WORKERS, OMP_NUM_THREADS="2")
    assert told == ["2"] * 4 + ["5", "5"]


def test_workers_of_joblib_share_the_cores() -> None:
    pytest.importorskip("joblib", reason="joblib is not installed, and this test runs its workers")
    code = (
        "import joblib, upsample\n"
        "print(*joblib.Parallel(2)(joblib.delayed(upsample.get_num_threads)() for _ in range(2)))\n"
        "with joblib.parallel_config(backend='loky', inner_max_num_threads=1):\n"
        "    print(*joblib.Parallel(2)(joblib.delayed(upsample.get_num_threads)() for _ in range(2)))\n"
    )
    expected = str(max(1, (os.cpu_count() or 1) // 2)) if cores.usable() > 1 else "1"
    got = printed(code)
    assert got[2:] == ["1", "1"]
    assert all(1 <= int(count) <= max(1, int(expected)) for count in got[:2])


DATA = """
import torch, upsample
from upsample.engines import cores
cores.affinity = lambda: 8
class Counts(torch.utils.data.Dataset):
    def __len__(self): return 2
    def __getitem__(self, index): return upsample.get_num_threads(), torch.get_num_threads()
for ours, theirs in torch.utils.data.DataLoader(Counts(), num_workers=1, batch_size=None):
    print(ours, theirs)
"""


@FORKS
def test_workers_of_a_data_loader_use_one_thread() -> None:
    pytest.importorskip("torch", reason="torch is not installed, and this test runs its workers")
    assert printed(DATA, OMP_NUM_THREADS="4") == ["1", "1", "1", "1"]


def test_tensors_follow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_numba()
    torch = pytest.importorskip("torch", reason="torch is not installed, and this test calls with its tensors")
    from upsample.engines import threads

    asked: list[int] = []
    original = threads.get_num_threads
    monkeypatch.setattr(threads, "get_num_threads", lambda: asked.append(original()) or asked[-1])
    before = torch.get_num_threads()
    x = torch.zeros(1, 8, 256, 256)
    try:
        torch.set_num_threads(3)
        upsample.interpolate(x, scale_factor=2, engine="cpu")
        assert set(asked) == {3}
        with upsample.num_threads(2):
            upsample.interpolate(x, scale_factor=2, engine="cpu")
        assert asked[-1] == 2
        upsample.interpolate(x.numpy(), scale_factor=2, engine="cpu")
        assert asked[-1] == 8
    finally:
        torch.set_num_threads(before)


def test_threadpoolctl_sees_and_limits_us() -> None:
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed, and this test asks it")
    code = """
import threadpoolctl, upsample
from upsample.engines import cores
cores.affinity = lambda: 8
before = upsample.get_num_threads()
(pool,) = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "upsample"]
print(pool["num_threads"] == before)
with threadpoolctl.threadpool_limits(1):
    print(upsample.get_num_threads())
    with upsample.num_threads(4):
        print(upsample.get_num_threads())
with threadpoolctl.threadpool_limits(1, user_api="blas"):
    print(upsample.get_num_threads() == before)
print(upsample.get_num_threads() == before)
upsample.set_num_threads(before + 1)
print(upsample.get_num_threads() - before)
"""
    assert printed(code) == ["True", "1", "1", "True", "True", "1"]


@pytest.mark.parametrize("imports", ["import threadpoolctl, upsample", "import upsample, threadpoolctl"])
def test_threadpoolctl_limits_the_first_call(imports: str) -> None:
    """The first question after the imports is inside of a block."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed, and this test asks it")
    code = f"""
{imports}
from upsample.engines import cores
cores.affinity = lambda: 8
with threadpoolctl.threadpool_limits(1):
    print(upsample.get_num_threads())
print(upsample.get_num_threads() > 1)
print([pool["num_threads"] > 1 for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "upsample"])
"""
    assert printed(code) == ["1", "True", "[True]"]


def test_no_result_depends_on_it() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 65, 67)).astype(np.float32)
    results = []
    for count in (1, 2, 5):
        with upsample.num_threads(count):
            results.append(upsample.interpolate(x, scale_factor=2.5, mode="bicubic").tobytes())
    assert len(set(results)) == 1
