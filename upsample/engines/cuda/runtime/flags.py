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
BYTES = SLOT * (_WAITING + _LATER)
"""Bytes of pinned memory that each device has."""


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
    """

    def __init__(self, host: np.ndarray[Any, Any], device: Any) -> None:
        self._host, self._device = host, device
        host[...] = 0
        self._free: SimpleQueue[tuple[Any, np.ndarray[Any, Any]]] = SimpleQueue()
        for begin in range(0, SLOT * _WAITING, SLOT):
            self._free.put((device[begin : begin + SLOT], host[begin : begin + SLOT]))
        self._lock = threading.Lock()
        self._later: dict[Finding, tuple[int, Any]] = {}

    @contextmanager
    def waiting(self) -> Iterator[tuple[Any, np.ndarray[Any, Any]]]:
        """Yield a slot that no other call has, all zeros: as kernels and as NumPy have it."""
        slot = self._free.get()
        try:
            slot[1][...] = 0
            yield slot
        finally:
            self._free.put(slot)

    def later(self, finding: Finding) -> Any:
        """Return the slot of a description, as kernels have it; the last slot is for all that have no more room."""
        known = self._later.get(finding)
        if known is None:
            with self._lock:
                place = min(len(self._later), _LATER - 1)
                begin = SLOT * (_WAITING + place)
                known = self._later.setdefault(finding, (begin, self._device[begin : begin + SLOT]))
        return known[1]

    def raise_found(self) -> None:
        """Raise the error of the first flag that an earlier call has set; all flags are zero again then."""
        begin = SLOT * _WAITING
        if not self._host[begin:].any():
            return
        with self._lock:
            found = self._host[begin:].copy()
            self._host[begin:] = 0
            for finding, (place, _) in self._later.items():
                kinds = np.flatnonzero(found[place - begin : place - begin + SLOT])
                if kinds.size:
                    raise finding.error(int(kinds[-1]))
