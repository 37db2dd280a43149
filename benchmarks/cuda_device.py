"""The measured GPU, and its clock of CUDA events. Without a GPU, a dry run uses the emulator of the tests."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from gpu.delay import delaying

from upsample.command_line.bench.devices import Cpu, Cuda
from upsample.command_line.info import version_of

__all__ = ["Device", "Emulated", "Gpu", "clock", "device", "emulated", "use"]


@dataclass(frozen=True)
class Reading:
    """An event in a stream. The difference of two waits for the later one and is in seconds of the GPU."""

    event: Any

    def __sub__(self, earlier: Reading) -> float:
        import cupy

        self.event.synchronize()
        return float(cupy.cuda.get_elapsed_time(earlier.event, self.event)) / 1e3


class Gpu(Cuda):
    """CuPy's current device and its null stream, which torch uses too.

    Attributes
    ----------
    cache : int
        Bytes of the L2 cache.
    ahead : float
        Seconds that the GPU is kept busy before a measurement begins.
    """

    emulated = False

    def __init__(self) -> None:
        super().__init__()
        cupy = self._cupy
        self._properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self._delay = delaying(cupy)  # what is measured behind it has no gaps for the host in it
        self._running = False
        self.cache = int(self._properties["l2CacheSize"])
        self.ahead = 0.0

    def active(self) -> AbstractContextManager[object]:
        """Within it, our calls run on this device."""
        return nullcontext()

    def zoom(self) -> Callable[..., Any] | None:
        from cupyx.scipy.ndimage import zoom

        return zoom

    def rotating_copy(self, volume: int, sets: int) -> Callable[[], object]:
        """Return a copy on the device that reads and writes `volume` bytes together, in `sets` pairs of arrays."""
        size = max(-(-volume // 1024) * 512, 512)  # so that the second row is aligned, too
        pairs = itertools.cycle([self._cupy.ones((2, size), dtype=np.uint8) for _ in range(sets)])

        def copy() -> None:
            source, target = next(pairs)
            target.data.copy_from_device_async(source.data, source.nbytes)

        return copy

    def now(self) -> Reading:
        """Record an event; before every second one, which begins a measurement, the GPU is kept busy for `ahead`."""
        self._running = not self._running
        if self._running and self.ahead:
            self._delay(self.ahead)
        event = self._cupy.cuda.Event()
        event.record()
        return Reading(event)

    def settle(self) -> None:
        """Wait for the GPU; the next reading begins a measurement."""
        self._cupy.cuda.Device().synchronize()
        self._running, self.ahead = False, 0.0

    def clear(self) -> None:
        """Release the memory in the pools of CuPy and torch."""
        self._cupy.get_default_memory_pool().free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()

    def machine(self) -> dict[str, Any]:
        """Return the device and the versions of what runs on it."""
        runtime = self._cupy.cuda.runtime
        found = {
            "device": self._properties["name"].decode(),
            "driver": _dotted(runtime.driverGetVersion()),
            "runtime": _dotted(runtime.runtimeGetVersion()),
            "nvrtc": ".".join(map(str, self._cupy.cuda.nvrtc.getVersion())),
            "cupy": self._cupy.__version__,
            "processors": int(self._properties["multiProcessorCount"]),
            "cache": self.cache,
            "emulated": False,
        }
        if version_of("torch"):
            import torch

            found |= {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
        return found


class Emulated(Cpu):
    """NumPy arrays on the emulator of the tests; torch on the CPU and scipy are rivals. Its seconds mean nothing."""

    emulated = True
    cache, ahead = 0, 0.0

    def __init__(self) -> None:
        from emulator.device import EmulatedDevice

        self._device = EmulatedDevice()

    def active(self) -> AbstractContextManager[object]:
        from upsample.engines.cuda.runtime.device import emulating

        return emulating(self._device)

    def zoom(self) -> Callable[..., Any] | None:
        try:
            from scipy.ndimage import zoom
        except ImportError:
            return None
        return zoom  # type: ignore[no-any-return, unused-ignore]

    def rotating_copy(self, volume: int, sets: int) -> Callable[[], object]:
        return self.copying(volume)

    def now(self) -> float:
        return time.perf_counter()

    def settle(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def machine(self) -> dict[str, Any]:
        return {"device": "the tests' emulator", "emulated": True}


Device = Gpu | Emulated
_chosen: list[type[Device]] = [Gpu]


def use(kind: type[Device]) -> None:
    """Choose the device, before anything asks for it."""
    _chosen[0] = kind


def emulated() -> bool:
    """Say whether this is a dry run."""
    return _chosen[0] is Emulated


@cache
def device() -> Device:
    """The one that is measured."""
    return _chosen[0]()


def clock() -> Any:
    """pytest-benchmark's timer: what it subtracts and keeps are seconds of the GPU."""
    return device().now()


def _dotted(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
