"""A Numba that is there and broken: the portable engine runs, and `info`, `explain` and ``engine="cpu"`` say why."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends import needs_numba

from hostile import worlds

ABOUT = """
import contextlib, io
def about():
    choice = upsample.explain(upsample.interpolate, x, **call)
    try:
        upsample.interpolate(x, engine="cpu", **call)
    except ValueError as error:
        refused = str(error)
    from upsample.__main__ import main
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        main(["info"])
    return {"engine": choice.engine, "why": choice.reasons["cpu"], "refused": refused, "info": shown.getvalue()}
"""

BROKEN = {
    "NumPy is too new": (
        {"numba/__init__.py": "raise ImportError('Numba needs NumPy 2.4 or less. Got NumPy 3.0.')"},
        "Numba is installed, but cannot be imported: Numba needs NumPy 2.4 or less. Got NumPy 3.0.",
    ),
    "a library is missing": (
        {"numba/__init__.py": "import llvmlite", "llvmlite/__init__.py": "raise OSError('libz.so.1: cannot open')"},
        "Numba is installed, but cannot be imported: libz.so.1: cannot open",
    ),
    "an exception without words": (
        {"numba/__init__.py": "raise RuntimeError"},
        "Numba is installed, but cannot be imported: RuntimeError",
    ),
    "another Numba's insides": (
        {"numba/__init__.py": "class config:\n    DISABLE_JIT = 0\n"},
        "Numba is installed, but cannot be imported: No module named 'numba.core'",
    ),
}


def check(expected: str, **variables: str) -> None:
    got = worlds.said(ABOUT + worlds.RESULT, **variables)
    assert got["same"]
    assert got["engine"] == "portable"
    assert got["why"].startswith(expected)
    assert got["refused"].startswith(f"interpolate: engine='cpu', but it cannot run: {expected}")
    assert f"not usable: {expected}" in got["info"]


@pytest.mark.parametrize("world", BROKEN)
def test_a_broken_numba(world: str, tmp_path: Path) -> None:
    files, expected = BROKEN[world]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    check(expected, PYTHONPATH=str(tmp_path))


def test_numba_told_not_to_compile() -> None:
    needs_numba()
    check("NUMBA_DISABLE_JIT is set", NUMBA_DISABLE_JIT="1")
