"""Processes in hostile worlds: what they print, and the variables that they see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SETTINGS = ("UPSAMPLE_", "NUMBA_", "XDG_CACHE_HOME", "PYTHONPATH")

RESULT = """
import json, sys
import numpy as np, upsample
x = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
call = dict(scale_factor=2)
y = upsample.interpolate(x, **call)
z = upsample.interpolate(x, engine="portable", **call)
print(json.dumps({"same": y.tobytes() == z.tobytes(), **dict(about())}))
"""
"""One small call; `about` is defined before it, and says what else is to be printed."""

COMPILED = """
def about():
    from upsample.engines.cpu.runtime import kernel_cache
    choice = upsample.explain(upsample.interpolate, x, **call)
    return {
        "engine": choice.engine, "reasons": dict(choice.reasons), "problems": kernel_cache.problems(),
        "folders": [str(folder) for folder in kernel_cache.folders()], "compiled": kernel_cache.compiled(),
        "package": upsample.__file__,
    }
"""
"""What happened to the kernels of a call."""


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what steers caches and compilers, and with these variables.

    The compiled engine is loaded by the first call.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {**kept, "UPSAMPLE_COMPILE": "eager", **variables}


def run(code: str, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process, by the command `before` if there is one; warnings are errors.

    The current folder, which may hold a checkout, is not on the path (``-P``).
    """
    command = [*before, sys.executable, "-P", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment(**variables), check=False)


def said(code: str, *before: str, **variables: str) -> dict[str, Any]:
    """Return the JSON that code prints in its last line; any exception fails the test."""
    process = run(code, *before, **variables)
    assert (process.returncode, process.stderr) == (0, ""), process.stderr[-2000:]
    found: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return found


def without_privileges() -> tuple[str, ...]:
    """Return the command before another by which the superuser, too, obeys the permissions of files."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise FileNotFoundError("setpriv")
    dropped = "-dac_override,-dac_read_search"
    return (setpriv, f"--bounding-set={dropped}", f"--inh-caps={dropped}")


def read_only(folder: Path) -> Path:
    """Return a folder, made if need be, in which a process that obeys permissions can create nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder
