"""The emulated device that the kernels' tests run on, and which of two kernels do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulator.device import EmulatedDevice
from emulator.trials import ORDERS

from upsample.engines.cuda.conv_transpose import driver as conv_transpose
from upsample.engines.cuda.conv_transpose import weight_grad
from upsample.engines.cuda.runtime.device import emulating


@pytest.fixture(params=ORDERS, ids=lambda order: {0: "forward", 1: "backward"}.get(order, "shuffled"))
def gpu(request: pytest.FixtureRequest) -> Iterator[EmulatedDevice]:
    """An emulated device, on which the CUDA engine runs NumPy arrays, in several orders of its threads."""
    device = EmulatedDevice(order=request.param)
    with emulating(device):
        yield device


@pytest.fixture(params=["products", "direct"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By which kernels convolutions and their gradients are made, whatever the choice would be."""
    for module in (conv_transpose, weight_grad):
        monkeypatch.setattr(module, "_is_direct", lambda *_: request.param == "direct")
    return str(request.param)
