"""Flags that kernels set and the host reads: bytes of page-locked (pinned) host memory, which a GPU writes directly.

A slot has a byte for each kind of finding. A call that waits takes a slot of its own. Calls that do not wait share the
slot of their description; a later call, or `upsample.synchronize`, reads it and raises the error. Reading costs no wait
for the GPU, and a CUDA graph that captured a call reports in each replay.
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
"""Bytes of a slot: one for each kind of finding."""
_WAITING, _LATER = 64, 960
"""Slots for calls that wait, which threads take from each other, and for descriptions of calls that do not."""
_LATER_BEGIN = SLOT * _WAITING
"""Byte at which the slots of calls that do not wait begin."""
BYTES = SLOT * (_WAITING + _LATER)
"""Bytes of pinned memory that each device has."""
_ZEROS = bytes(SLOT * _LATER)
"""Slots in which no kernel has set a flag."""


class Finding(Protocol):
    """What calls that share a slot have in common; hashable."""

    def error(self, kind: int) -> Exception:
        """Return the error for the flag of a kind."""


class Flags:
    """The flags of a device.

    Parameters
    ----------
    host, device : array of uint8
        The same `BYTES` bytes, as NumPy and as kernels have them.

    Attributes
    ----------
    take : callable
        Returns a slot that no other call has, as kernels have it and as the host reads it; `release` takes it back.
        Only repeated calls, which must be fast, use these instead of `waiting`. The caller makes the slot zero.
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
        """Yield a slot that no other call has, all zeros: as kernels have it and as the host reads it."""
        slot = self.take()
        try:
            slot[1][:] = bytes(SLOT)
            yield slot
        finally:
            self.release(slot)

    def later(self, finding: Finding) -> Any:
        """Return the slot of a description, as kernels have it; the last slot is for all that have no more room."""
        known = self._later.get(finding)
        if known is None:
            with self._lock:
                place = min(len(self._later), _LATER - 1)
                begin = _LATER_BEGIN + SLOT * place
                known = self._later.setdefault(finding, (begin, self._device[begin : begin + SLOT]))
        return known[1]

    def raise_found(self) -> None:
        """Raise the error of the first flag that an earlier call has set; all flags are zero again then."""
        if self._seen_later.tobytes() == _ZEROS:
            return
        with self._lock:
            found = self._host.copy()
            self._host[_LATER_BEGIN:] = 0
            for finding, (begin, _) in self._later.items():
                kinds = np.flatnonzero(found[begin : begin + SLOT])
                if kinds.size:
                    raise finding.error(int(kinds[-1]))
