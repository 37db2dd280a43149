"""The emulated device that the kernels' tests run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulator.device import EmulatedDevice
from emulator.trials import ORDERS

from upsample.engines.cuda.device import emulating


@pytest.fixture(params=ORDERS, ids=lambda order: {0: "forward", 1: "backward"}.get(order, "shuffled"))
def gpu(request: pytest.FixtureRequest) -> Iterator[EmulatedDevice]:
    """An emulated device, on which the CUDA engine runs NumPy arrays, in several orders of its threads."""
    device = EmulatedDevice(order=request.param)
    with emulating(device):
        yield device
