"""The command itself: version, help, and what is mistyped."""

from __future__ import annotations

import subprocess
import sys

import pytest

import upsample
from upsample.__main__ import main


def test_version_help_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"upsample {upsample.__version__}\n"
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "demo" in said
    assert "info" in said
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: upsample")
    assert main(["dem"]) == 2
    assert main(["demo", "--engine", "gpu"]) == 2
    assert "portable" in capsys.readouterr().err


def test_python_m_upsample() -> None:
    command = [sys.executable, "-m", "upsample"]
    for arguments, status, word in ((["--version"], 0, upsample.__version__), ([], 2, "usage: upsample")):
        run = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert run.returncode == status
        assert word in run.stdout + run.stderr
