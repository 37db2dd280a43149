"""Every op under NVIDIA's compute-sanitizer, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpu.calls import CALLS

pytestmark = pytest.mark.gpu


SECONDS = 600
"""Memcheck makes calls some twenty times slower; racecheck, synccheck and initcheck take hours and find what the
emulator finds (`emulator`): ``compute-sanitizer --tool racecheck python -m gpu.calls`` runs one by hand."""


def test_memcheck_finds_no_fault() -> None:
    sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(sanitizer).exists():
        pytest.skip("compute-sanitizer, of CUDA's toolkit, is not on the path")
    tests = str(Path(__file__).resolve().parents[1])
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
    command = [sanitizer, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-m", "gpu.calls"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode() + (late.stderr or b"").decode()
        assert "ERROR SUMMARY: 0" in text or "=========" not in text.replace("========= COMPUTE-SANITIZER", ""), text
        pytest.fail(f"no fault in {SECONDS} seconds, but not all calls were made: {text[-2000:]}")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert set(done.stdout.split()) >= {call.id for call in CALLS}
