"""A pytest plugin: the doctests of a file skip only if a library that the file imports is optional and absent.

A conftest's hooks apply to the files below its folder alone. This plugin applies to `upsample/` too.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule

OPTIONAL = frozenset(
    [
        "PIL",
        "PyInstaller",
        "array_api_strict",
        "cupy",
        "dask",
        "hypothesis",
        "jax",
        "llvmlite",
        "matplotlib",
        "ml_dtypes",
        "numba",
        "onnx",
        "pytest_benchmark",
        "rich",
        "selenium",
        "threadpoolctl",
        "torch",
        "zarr",
    ]
)
"""Modules that may be absent."""
_SKIPPED: dict[str, str] = {}
"""Files that skipped, with the library that is absent: an import of one of them fails, too."""


def absent_library(error: BaseException | None) -> str | None:
    """Return the optional library whose absence made an import fail; None if the file itself is broken."""
    while error is not None and not isinstance(error, ImportError):
        error = error.__cause__
    if error is None:
        return None
    if not isinstance(error, ModuleNotFoundError):  # a name that a skipped file would have defined
        return _SKIPPED.get(str(Path(error.path or "").resolve()))
    name = (error.name or "").partition(".")[0]
    found = find_spec(name) if name in OPTIONAL else None
    is_absent = found is None or found.origin is None  # tests/dask is a namespace package of this name
    return name if name in OPTIONAL and is_absent else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if report.failed and isinstance(collector, DoctestModule):
        absent = absent_library(report.call.excinfo.value)
        if absent is not None:
            _SKIPPED[str(collector.path.resolve())] = absent
            report.outcome, report.longrepr = "skipped", (str(collector.path), 1, f"{absent} is not installed")
    return report
