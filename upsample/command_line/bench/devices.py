"""The measured devices and their clocks: NumPy and wall time, or CuPy and CUDA events."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from upsample.command_line import info
from upsample.command_line.bench.calm import quiet
from upsample.engines import threads
from upsample.engines.thread_count import get_num_threads

__all__ = ["Cpu", "Cuda", "Device"]


class Device(Protocol):
    """A device with its arrays, its clock and its copy."""

    name: str

    def about(self) -> str:
        """Return the processor's name."""

    def array(self, x: NDArray[Any]) -> Any:
        """Copy a NumPy array to the device."""

    def numpy(self, x: Any) -> NDArray[Any]:
        """Copy an array or a torch tensor to NumPy."""

    def tensor(self, x: Any) -> Any:
        """Return a torch tensor that shares the memory of an array."""

    def settle(self) -> None:
        """Wait until the device is idle."""

    def seconds(self, call: Callable[[], object], calls: int) -> float:
        """Return the seconds of one of `calls` calls, including the release of results."""

    def copying(self, volume: int) -> Callable[[], object]:
        """Return a call that copies, and so reads and writes `volume` bytes together."""


class Cpu:
    """NumPy arrays."""

    name = "cpu"

    def about(self) -> str:
        return info.cpu()

    def array(self, x: NDArray[Any]) -> Any:
        return x

    def numpy(self, x: Any) -> NDArray[Any]:
        return np.asarray(x)

    def tensor(self, x: Any) -> Any:
        return import_module("torch").from_numpy(x)

    def settle(self) -> None:
        quiet()

    def seconds(self, call: Callable[[], object], calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - begin) / calls

    def copying(self, volume: int) -> Callable[[], object]:
        number = get_num_threads()
        source, target = np.ones((2, max(volume // 2, 1)), dtype=np.uint8)
        step = -(-source.size // number) if volume > 2**17 else source.size  # one thread is faster for less
        parts = [(target[i : i + step], source[i : i + step]) for i in range(0, source.size, step)]
        return lambda: threads.each_block(lambda block: np.copyto(*parts[block]), len(parts))


class Cuda:
    """CuPy arrays on the current device and its current stream, timed by events before and after the calls.

    The host does not wait between calls. If it is slower than the GPU, its own time is measured.
    """

    name = "cuda"

    def __init__(self) -> None:
        self._cupy: Any = import_module("cupy")

    def about(self) -> str:
        number: int = self._cupy.cuda.Device().id
        return info.cuda()[number]

    def array(self, x: NDArray[Any]) -> Any:
        return self._cupy.asarray(x)

    def numpy(self, x: Any) -> NDArray[Any]:
        made: NDArray[Any] = self._cupy.asnumpy(x) if isinstance(x, self._cupy.ndarray) else x.cpu().numpy()
        return made

    def tensor(self, x: Any) -> Any:
        return import_module("torch").from_dlpack(x)

    def settle(self) -> None:
        self._cupy.cuda.runtime.deviceSynchronize()

    def seconds(self, call: Callable[[], object], calls: int) -> float:
        begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(begin, end)) / 1e3 / calls

    def copying(self, volume: int) -> Callable[[], object]:
        size = max(-(-volume // 1024) * 512, 512)  # so that the second row is aligned, too
        source, target = self._cupy.ones((2, size), dtype=np.uint8)
        return lambda: self._cupy.copyto(target, source)
