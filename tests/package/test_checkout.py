"""A checkout on Python's path works without being installed, and says which package it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import upsample

ROOT = Path(upsample.__file__).resolve().parents[1]

if not (ROOT / "kernels").is_dir():
    pytest.skip("upsample is installed, not a checkout", allow_module_level=True)


def run(code: str, *paths: Path) -> str:
    """Run code without site-packages: neither an installed upsample nor an editable one is found."""
    head = f"import sys; sys.path[:0] = {[str(ROOT), *map(str, paths)]!r}\n"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", head + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def numpys_folder(tmp_path: Path) -> Path:
    """A folder with NumPy and its libraries alone."""
    for name in ("numpy", "numpy.libs"):
        source = Path(np.__file__).parents[1] / name
        if source.is_dir():
            (tmp_path / name).symlink_to(source)
    return tmp_path


def test_the_kernels_are_found(tmp_path: Path) -> None:
    code = """
from upsample.engines.cuda.runtime import loader
print(loader.folder())
assert loader.source("pool").startswith('#line 1 "pool.cu"')
assert len(loader._headers()) == 16
"""
    assert Path(run(code, numpys_folder(tmp_path))) == ROOT / "kernels"


def test_numpy_arrays_need_no_other_package(tmp_path: Path) -> None:
    code = "import numpy, upsample; print(upsample.interpolate(numpy.ones((1, 1, 2, 2)), scale_factor=2).shape)"
    assert run(code, numpys_folder(tmp_path)) == "(1, 1, 4, 4)"


def test_a_missing_array_api_compat_is_named(tmp_path: Path) -> None:
    code = """
import upsample
try:
    upsample.interpolate(object(), scale_factor=2)
except ImportError as error:
    print(error)
"""
    says = "interpolate: array-api-compat is not installed, but arrays other than NumPy arrays need it"
    assert run(code, numpys_folder(tmp_path)) == f"{says}; pip install array-api-compat"
