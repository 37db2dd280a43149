"""What the kernels' tests share: the orders of the threads, drawn examples, and faults that are planted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from emulator.device import EmulatedDevice
from emulator.preloaded import SANITIZED
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.cuda.runtime.launch import Launch

__all__ = ["ORDERS", "Faulty", "differs", "entries", "examples", "faults_are_planted"]

ORDERS = (7,) if SANITIZED else (0, 1, 7)
"""Of threads and blocks: forward, backward, shuffled; a sanitizer does not need each to see a fault."""

faults_are_planted = pytest.mark.skipif(SANITIZED, reason="faults are looked for in numbers here")


def examples(count: int) -> settings:
    """So many drawn examples, a fifth under a sanitizer, on a device of the fixture `gpu`, which all of them share."""
    count = count // 5 if SANITIZED else count
    return settings(deadline=None, max_examples=count, suppress_health_check=[HealthCheck.function_scoped_fixture])


def entries(gpu: EmulatedDevice) -> list[str]:
    """Names of the kernels that ran since the last call."""
    ran = [launch.kernel.entry for launch in gpu.launches]
    gpu.launches.clear()
    return ran


class Faulty(EmulatedDevice):
    """A fault in one of the files, by which others are launched as they are."""

    def __init__(self, file: str, fault: tuple[str, str], order: int) -> None:
        super().__init__(order=order)
        self._planted = file, fault

    def launch(self, launch: Launch, *given: Any) -> None:
        file, fault = self._planted
        self._fault = fault if launch.kernel.file == file else None
        super().launch(launch, *given)


def differs(file: str, fault: tuple[str, str], run: Callable[[], Any], want: np.ndarray) -> bool:
    """Say whether a fault changes a result in some order of the threads."""
    for order in ORDERS:
        with emulating(Faulty(file, fault, order)):
            if not np.array_equal(run(), want):
                return True
    return False
