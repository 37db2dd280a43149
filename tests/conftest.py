"""Fixtures shared by all tests: the array backends, and skips that may not hide.

``UPSAMPLE_TEST_REQUIRE`` lists what must be present (torch, jax, dask, strict, ml_dtypes): there a skip for want of it
is a failure. With gpu in it, a run in which no test marked gpu passed fails too.

``UPSAMPLE_TEST_PASSED`` names a file. A run in which it does not exist writes the tests that passed to it; a later run,
with more libraries installed, leaves these out and runs those that were skipped or failed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import backends
import optional_imports
import pytest

from upsample.engines import thread_count

os.environ.setdefault("UPSAMPLE_COMPILE", "eager")  # the order of tests must not decide which engine runs
REQUIRED = frozenset(filter(None, os.environ.get("UPSAMPLE_TEST_REQUIRE", "").split(",")))


_PASSED_ON_GPU = pytest.StashKey[bool]()
_PASSED_FILE = Path(os.environ["UPSAMPLE_TEST_PASSED"]) if "UPSAMPLE_TEST_PASSED" in os.environ else None
_PASSED_BEFORE = (
    frozenset(_PASSED_FILE.read_text(encoding="utf-8").splitlines())
    if _PASSED_FILE is not None and _PASSED_FILE.exists()
    else None
)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(optional_imports, "optional_imports")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if _PASSED_FILE is not None and _PASSED_BEFORE is None and report.when == "call" and report.passed:
        with _PASSED_FILE.open("a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if find_spec("zarr") is None:  # the example of a docstring cannot skip itself
        for item in items:
            if item.nodeid.startswith("upsample/pyramid/"):
                item.add_marker(pytest.mark.skip(reason="zarr is not installed"))
    if _PASSED_BEFORE is not None:
        left_out = [item for item in items if item.nodeid in _PASSED_BEFORE]
        items[:] = [item for item in items if item.nodeid not in _PASSED_BEFORE]
        config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if "gpu" in REQUIRED and not session.config.option.collectonly and _PASSED_ON_GPU not in session.config.stash:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if "gpu" in REQUIRED and _PASSED_ON_GPU not in config.stash:
        terminalreporter.write_line("FAILED: a GPU is required here, and no test on one passed", red=True)


def _required_but_absent(reason: str) -> list[str]:
    """The required libraries that a skip's reason says are not there."""
    if "gpu" in REQUIRED and "no CUDA device" in reason:
        return ["gpu"]
    if "not installed" not in reason and "could not import" not in reason:
        return []
    words = {word.strip(".") for word in re.findall(r"[\w.]+", reason.lower())}  # PIL is in "compiled", too
    return [name for name in sorted(REQUIRED) if words & {name.lower(), backends.MODULES.get(name, name).lower()}]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.when == "call" and report.passed and item.get_closest_marker("gpu"):
        item.config.stash[_PASSED_ON_GPU] = True
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


@pytest.fixture(autouse=True)
def _no_number_of_threads_is_left() -> Iterator[None]:
    """A test that sets one for the process resets it: later tests would run with it, in some orders only."""
    yield
    left, thread_count._process.setting = thread_count._process.setting, None
    assert left is None, "set_num_threads was called and not reset: use `with upsample.num_threads(count)`"


_MARKED = [pytest.param(n, marks=pytest.mark.gpu) if n in backends.ON_GPU else n for n in backends.NAMES]


@pytest.fixture(params=_MARKED)
def backend(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    """One way of holding an array: a library, or a NumPy array of an unusual kind."""
    chosen = backends.get(request.param)
    with chosen.active():
        yield chosen
