"""The peak of a call's memory beyond its input and its output, measured in a process of its own.

There the same call on next to no data comes first, so that nothing is imported or set up any more; then Linux forgets
the peak so far (``/proc/self/clear_refs``), the call is made once, and what its peak adds to the memory of before,
less the results, is what the call needed for itself. Threads' stacks, buffers of BLAS and compiled code that is loaded
late are in it, as they are for a user.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case

__all__ = ["peak"]

ROOT = Path(__file__).resolve().parents[1]
RIVALS = ("torch", "cv2", "PIL", "skimage", "scipy")


def peak(case: Case, engine: str) -> int | None:
    """Bytes beyond input and output; None where Linux does not tell."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        return None
    command = [sys.executable, "-m", "benchmarks.memory", case.id, engine, *(["--quick"] if case.quick else [])]
    path = os.pathsep.join(filter(None, (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))))
    told = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise RuntimeError(f"measuring the memory of {case.id}: {told.stderr}")
    return int(told.stdout)


def _jobs(case: Case) -> Any:
    """The module that makes this case's arrays and calls."""
    return import_module("benchmarks.bench_backward" if case.op.endswith("backward") else f"benchmarks.bench_{case.op}")


def _measured(case: Case, engine: str) -> int:
    """In a fresh process: call once on little, then once on all, and compare the memory before with the peak."""
    _call(case.small(), engine)
    module = _jobs(case)
    job = module.job(case)
    if hasattr(job.ours, "follow"):  # a gradient: the forward call is not what is measured
        job.ours.follow(engine)
    gc.collect()
    if hasattr(trim := ctypes.CDLL(None), "malloc_trim"):
        trim.malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    result = job.ours(*job.arguments, **job.options, engine=engine)
    highest = _status("VmHWM")
    results = result if isinstance(result, tuple) else (result,)
    return max(0, highest - before - sum(part.nbytes for part in results))


def _call(case: Case, engine: str) -> None:
    job = _jobs(case).job(case)
    job.ours(*job.arguments, **job.options, engine=engine)


def _status(name: str) -> int:
    """Bytes, as Linux tells them of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


if __name__ == "__main__":
    sys.modules.update(dict.fromkeys(RIVALS))  # importing them fails: they are not measured
    name, chosen, *rest = sys.argv[1:]
    (asked,) = (case for case in CASES if case.id == name)
    print(_measured(asked.small() if rest else asked, chosen))
