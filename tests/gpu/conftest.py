"""The GPU, or the reason in words why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backends
import pytest

from gpu.delay import delaying


@pytest.fixture(autouse=True)
def cupy() -> Iterator[Any]:
    backends.get("cupy")
    import cupy

    yield cupy
    cupy.cuda.Device().synchronize()


@pytest.fixture(params=["cupy", "torch-cuda"])
def backend(request: pytest.FixtureRequest) -> backends.Backend:
    return backends.get(request.param)


@pytest.fixture
def delay(cupy: Any) -> Any:
    """``delay(seconds)`` keeps the current stream busy for so long."""
    return delaying(cupy)
