"""Fixtures shared by all tests: the array backends, and skips that may not hide.

``UPSAMPLE_TEST_REQUIRE`` lists what must be present (torch, jax, dask, strict, ml_dtypes): there a skip for want of it
is a failure.
"""

from __future__ import annotations

import os

import backends
import pytest

REQUIRED = frozenset(filter(None, os.environ.get("UPSAMPLE_TEST_REQUIRE", "").split(",")))


def _required_but_absent(reason: str) -> list[str]:
    """The required libraries that a skip's reason says are not there."""
    if "not installed" not in reason and "could not import" not in reason:
        return []
    return [name for name in sorted(REQUIRED) if name in reason or backends.MODULES.get(name, name) in reason]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2])
        missing = _required_but_absent(reason)
        if missing:
            report.outcome = "failed"
            report.longrepr = f"skipped, though {', '.join(missing)} is required here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if report.skipped:
        reason = str(report.longrepr)
        missing = _required_but_absent(reason)
        if missing:
            report.outcome = "failed"
            report.longrepr = f"skipped, though {', '.join(missing)} is required here: {reason}"
    return report


@pytest.fixture(params=backends.NAMES)
def backend(request: pytest.FixtureRequest) -> backends.Backend:
    """One way of holding an array: a library, or a NumPy array of an unusual kind."""
    return backends.get(request.param)
