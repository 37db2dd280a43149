"""What ``UPSAMPLE_TEST_REQUIRE`` demands of a GPU: a run in which nothing ran on one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from upsample.engines.cuda import support

TESTS = Path(__file__).parent


def told(*arguments: str, require: str) -> tuple[int, str]:
    # without what steers the run outside: with UPSAMPLE_TEST_PASSED, tests that passed there would be left out here
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "UPSAMPLE_TEST_"))} | {
        "UPSAMPLE_TEST_REQUIRE": require
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_tests_on_a_gpu_may_not_be_skipped() -> None:
    why = support.unusable()
    if why is None or "not installed" in why:
        pytest.skip("there is a GPU" if why is None else why)
    chosen = ("-m", "gpu", str(TESTS / "gpu" / "test_large.py"))
    status, words = told(*chosen, require="")
    assert (status, "skipped" in words) == (0, True)
    status, words = told(*chosen, require="gpu")
    assert status == 1
    assert "skipped, though gpu is required here" in words


def test_no_test_on_a_gpu_is_a_failure() -> None:
    chosen = str(TESTS / "plans" / "test_shuffle.py")
    assert told(chosen, require="")[0] == 0
    status, words = told(chosen, require="gpu")
    assert status == 1
    assert "a GPU is required here, and no test on one passed" in words
