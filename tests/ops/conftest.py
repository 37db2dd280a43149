"""Which engine the op tests run on: the one that a user's call takes, and the CUDA engine with emulated kernels."""

from __future__ import annotations

from collections.abc import Iterator

import backends
import pytest

_ON_EVERY_ENGINE = ("test_dtypes", "test_properties")
"""What is tested on NumPy arrays; `test_backends` has the emulated device among its backends."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in _ON_EVERY_ENGINE:
        metafunc.parametrize("taken", ["numpy", "emulated"], indirect=True)


@pytest.fixture(autouse=True)
def taken(request: pytest.FixtureRequest) -> Iterator[None]:
    """Makes calls on NumPy arrays take this engine."""
    with backends.get(getattr(request, "param", "numpy")).active():
        yield
