"""A file of doctests may skip only if an optional library is absent: a broken import is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULE = '{line}\n\ndef one():\n    """Return 1.\n\n    >>> one()\n    1\n    """\n    return 1\n'
BROKEN = {
    "broken_name": "from upsample.ops import nothing",
    "broken_ours": "import upsample.nothing",
    "broken_misspelt": "import nunpy",
    "broken_numpy": "from numpy import nothing",
    "broken_syntax": "def f(:",
    "broken_inside": "import math.nothing",
}
WHOLE = {
    "whole": "import math",
    "zarr_a": "import zarr",
    "zarr_b": "from zarr_a import one",  # fails because zarr_a is skipped
}
CONFTEST = f"""
import importlib.util, sys
sys.path.insert(0, {str(HERE)!r})
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "zarr" else find(name, *rest)
sys.modules["zarr"] = None
from optional_imports import pytest_make_collect_report
"""


def test_only_an_absent_optional_library_skips(tmp_path: Path) -> None:
    for name, line in {**BROKEN, **WHOLE}.items():
        (tmp_path / f"{name}.py").write_text(MODULE.format(line=line), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--doctest-modules", "--import-mode=importlib"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), "--continue-on-collection-errors"]
    done = subprocess.run([*command, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    words = done.stdout + done.stderr
    failed = {line.split()[1] for line in words.splitlines() if line.startswith("ERROR ")}
    assert failed == {f"{name}.py" for name in BROKEN}, words
    assert "1 passed, 2 skipped" in words
    assert words.count("zarr is not installed") == 2
