"""The emulated device that the kernels' tests run on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from emulator import build
from emulator.device import EmulatedDevice

from upsample.engines.cuda.device import emulating


def sanitizer() -> str:
    """The one that this process was started under (see `emulator.preloaded`)."""
    return os.environ.get("UPSAMPLE_EMULATOR", "plain")


@pytest.fixture(params=[0, 1, 7], ids=["forward", "backward", "shuffled"])
def gpu(request: pytest.FixtureRequest) -> Iterator[EmulatedDevice]:
    """An emulated device, on which the CUDA engine runs NumPy arrays, in several orders of its threads."""
    why = build.missing()
    if why is not None:
        pytest.skip(why)
    device = EmulatedDevice(sanitizer=sanitizer(), order=request.param)
    with emulating(device):
        yield device
