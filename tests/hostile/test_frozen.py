"""A program frozen by PyInstaller: engines are imported by name, and it has no sources."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from backends import needs_numba

import upsample
from hostile import worlds
from upsample import kernels

PROGRAM = """
import json
import numpy as np
import upsample

x = np.arange(48, dtype=np.float32).reshape(1, 1, 6, 8)
y = upsample.interpolate(x, scale_factor=2, engine="cpu")
values, indices = upsample.max_pool2d_with_indices(x, 2, engine="portable")
back = upsample.max_unpool2d(values, indices, 2)
made, pullback = upsample.vjp(upsample.max_pool2d, x, 2)
from upsample.engines.cpu.runtime import kernel_cache
print(json.dumps({
    "same": y.tobytes() == upsample.interpolate(x, scale_factor=2, engine="portable").tobytes(),
    "sum": float(back.sum() + pullback(made)[0].sum()),
    "compiled": kernel_cache.compiled(), "problems": kernel_cache.problems(),
}))
"""


NOT_OURS = ("IPython", "matplotlib", "pygments", "pytest", "setuptools", "sphinx")
"""Numba's own hook brings them along where they are installed."""


def test_a_frozen_program(tmp_path: Path) -> None:
    """The second run of the program loads the kernels that the first compiled; no other library comes along."""
    pytest.importorskip("PyInstaller", reason="PyInstaller is not installed, and this test freezes a program")
    needs_numba()
    if not any(entry.value.startswith("upsample.") for entry in metadata.entry_points(group="pyinstaller40")):
        pytest.skip("upsample is not installed, so PyInstaller does not find its hook")
    site = tmp_path / "site"  # PyInstaller looks for files in folders, which an editable installation is not
    unread = shutil.ignore_patterns("__pycache__", "kernels")
    shutil.copytree(Path(upsample.__file__).parent, site / "upsample", ignore=unread)
    shutil.copytree(Path(kernels.__file__).parent, site / "upsample" / "kernels")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-P", "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "program.py"]
    command += [word for name in NOT_OURS for word in ("--exclude-module", name)]
    variables = worlds.environment(PYTHONPATH=str(site))
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=variables, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    program = next(path for path in (tmp_path / "dist").rglob("program*") if path.is_file())
    results = []
    for _ in range(2):
        variables = worlds.environment(UPSAMPLE_CACHE_DIR=str(tmp_path / "kernels"))
        run = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, env=variables, check=False)
        assert run.returncode == 0, run.stderr[-3000:]
        results.append(json.loads(run.stdout))
    assert [result["same"] for result in results] == [True, True]
    assert results[0]["compiled"] > 0
    assert results[1]["compiled"] == 0
    assert results[1]["problems"] == []
    assert any(path.suffix == ".cu" for path in (tmp_path / "dist").rglob("*"))
    brought = {path.name for path in (tmp_path / "dist").rglob("*") if path.is_dir()}
    assert not brought & {"torch", "jax", "cupy", "dask", "scipy", "PIL"}
