"""The tests of a GPU pass on the double, and so do those that only the double can show."""

from __future__ import annotations

import re

import backends
import pytest
from emulator import build, preloaded

LEAST = {"engine": 60, "streams": 18, "double": 35, "repeated": 100, "dask": 7}
"""Tests that must pass: a selection that selects nothing is a failure."""
SOME = "bicubic-antialias or unpool-overlapping-sum or pool-adaptive or conv-k4s2 or conv-groups or channels-last"
SELECTED = {
    "engine": [
        "tests/gpu/test_engine.py",
        "-m",
        "gpu",
        "-k",
        "agrees_with_the_portable or plain_call or torch_tensors",
    ],
    "streams": ["tests/gpu/test_streams.py", "-m", "gpu", "-k", f"(nothing_waits or orders_the_call) and ({SOME})"],
    "double": ["tests/double/on_the_double.py"],
    "repeated": ["tests/double/repeated_on_the_double.py"],
    "dask": ["tests/double/dask_on_the_double.py"],
}


@pytest.mark.parametrize("name", SELECTED)
def test_passes_on_the_double(name: str) -> None:
    if (why := build.missing()) is not None:
        pytest.skip(why)
    backends.get("torch")
    root = build.HERE.parents[1]
    done = preloaded.run("plain", ["-m", "double", *SELECTED[name], f"--rootdir={root}"], seconds=900, folder=root)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert passed
    assert int(passed[1]) >= LEAST[name], done.stdout[-2000:]
