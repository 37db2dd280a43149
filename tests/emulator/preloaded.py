"""Runs Python in a process of its own under a sanitizer, whose library must be loaded before Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["SANITIZED", "SANITIZER", "run"]

SANITIZER = os.environ.get("UPSAMPLE_EMULATOR", "plain")
"""The one that this process was started under."""
SANITIZED = SANITIZER != "plain"

_LIBRARIES = {"address": "libasan.so", "thread": "libtsan.so"}
_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1",
}


def run(
    sanitizer: str, arguments: list[str], *, seconds: int, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python *arguments`` with the tests on the path; its output is one text in `stdout`."""
    environment = dict(os.environ, **_OPTIONS, OPENBLAS_NUM_THREADS="1", UPSAMPLE_EMULATOR=sanitizer)
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    if sanitizer in _LIBRARIES:
        command = ["g++", f"-print-file-name={_LIBRARIES[sanitizer]}"]
        environment["LD_PRELOAD"] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=seconds,
        cwd=folder,
        check=False,
    )
