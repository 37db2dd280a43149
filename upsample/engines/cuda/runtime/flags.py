"""Flags that kernels set and the host reads: bytes of pinned host memory, which a GPU writes directly.

A slot has a byte for each kind of error. A call that waits has a slot of its own. Calls that do not wait share a slot
if they have equal descriptions (`Finding`); a later call, or `upsample.synchronize`, reads the slot and raises the
error. Reading needs no wait for the GPU, and a captured CUDA graph sets the flags in each replay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

__all__ = ["BYTES", "SLOT", "Finding", "Flags"]

SLOT = 2
"""Bytes of a slot: one for each kind of error."""
_WAITING, _LATER = 64, 960
"""Number of slots for calls that wait, at one time, and for descriptions of calls that do not wait."""
_LATER_BEGIN = SLOT * _WAITING
"""Byte at which the slots of calls that do not wait begin."""
BYTES = SLOT * (_WAITING + _LATER)
"""Bytes of pinned memory that each device has."""
_ZEROS = bytes(SLOT * _LATER)
"""Slots in which no kernel has set a flag."""


class Finding(Protocol):
    """The description of calls that share a slot; it must be hashable."""

    def error(self, kind: int) -> Exception:
        """Return the error for the flag of a kind."""


class Flags:
    """The flags of a device.

    Parameters
    ----------
    host, device : array of uint8
        `BYTES` bytes of shared memory, as an array for NumPy and as an array for kernels.

    Attributes
    ----------
    take : callable
        Returns a free slot, as an array for kernels and as a view for the host; `release` frees it. Only repeated
        calls, which must be fast, use these instead of `waiting`. The caller must clear the slot.
    """

    def __init__(self, host: np.ndarray[Any, Any], device: Any) -> None:
        self._host, self._device = host, device
        host[...] = 0
        seen: memoryview = host.data  # faster to read and write than a NumPy array
        self._seen_later = seen[_LATER_BEGIN:]
        self._free: SimpleQueue[tuple[Any, memoryview]] = SimpleQueue()
        for begin in range(0, _LATER_BEGIN, SLOT):
            self._free.put((device[begin : begin + SLOT], seen[begin : begin + SLOT]))
        self.take, self.release = self._free.get, self._free.put
        self._lock = threading.Lock()
        self._later: dict[Finding, tuple[int, Any]] = {}

    @contextmanager
    def waiting(self) -> Iterator[tuple[Any, memoryview]]:
        """Yield a free, cleared slot, as an array for kernels and as a view for the host."""
        slot = self.take()
        try:
            slot[1][:] = bytes(SLOT)
            yield slot
        finally:
            self.release(slot)

    def later(self, finding: Finding) -> Any:
        """Return the slot of a description, as an array for kernels; descriptions without room share the last slot."""
        known = self._later.get(finding)
        if known is None:
            with self._lock:
                place = min(len(self._later), _LATER - 1)
                begin = _LATER_BEGIN + SLOT * place
                known = self._later.setdefault(finding, (begin, self._device[begin : begin + SLOT]))
        return known[1]

    def raise_found(self) -> None:
        """Raise the error of the first flag that an earlier call has set, and clear all flags."""
        if self._seen_later.tobytes() == _ZEROS:
            return
        with self._lock:
            found = self._host.copy()
            self._host[_LATER_BEGIN:] = 0
            for finding, (begin, _) in self._later.items():
                kinds = np.flatnonzero(found[begin : begin + SLOT])
                if kinds.size:
                    raise finding.error(int(kinds[-1]))
