"""Eight threads at once come to what one comes to, bit for bit: every function and layer, engine and gradient."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.together import at_once, jobs

TESTS = Path(__file__).resolve().parents[1]


def test_eight_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_NUM_THREADS", "3")
    work = jobs(6, ("f4", "f8", "f2", "c8", "i8", "i4", "u1"))
    before = [[x.tobytes() for x in job.given.values() if hasattr(x, "tobytes")] for job in work]
    alone = [job() for job in work]
    for results in at_once(work):
        for job, wanted, got in zip(work, alone, results, strict=True):
            assert got == wanted, f"{job.name}: {got!r:.300}, not {wanted!r:.300}"
    assert before == [[x.tobytes() for x in job.given.values() if hasattr(x, "tobytes")] for job in work]
    assert sum(isinstance(result, tuple) for result in alone) > 0.8 * len(alone)


def test_eight_threads_in_a_fresh_process(tmp_path: Path) -> None:
    """Nothing is imported, compiled, or kept when they begin."""
    env = {**os.environ, "UPSAMPLE_CACHE_DIR": str(tmp_path), "UPSAMPLE_NUM_THREADS": "3", "PYTHONPATH": str(TESTS)}
    got = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fuzz.together"], env=env, capture_output=True, text=True, timeout=380
    )
    assert got.returncode == 0, got.stderr[-3000:]
    assert "refused" in got.stdout
