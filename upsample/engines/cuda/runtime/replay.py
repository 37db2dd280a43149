"""Record the launches of a call, so that other calls can replay them without planning.

A launch depends on the shapes, dtypes and alignment of the arrays, which repeated calls share, and on the addresses,
which they do not. `Recorder` is a `Device` that launches nothing. Its arrays are `Slot`s, which have only a shape and a
dtype, and it records the slot of each argument. If an op does more with an array than launch kernels, `Slot` raises,
and the call is not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample.engines.cuda.runtime.device import Device
from upsample.engines.cuda.runtime.flags import SLOT, Finding, Flags
from upsample.engines.cuda.runtime.launch import Launch

__all__ = ["Program", "Recorder", "Slot", "Unrecorded"]


class Unrecorded(Exception):
    """A call does more than launch kernels on its arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A placeholder for an array of a recorded call.

    Attributes
    ----------
    place : int
        Number of the array among those of the call: first the inputs, then the others in the order of allocation.
    shape, dtype : object
        Shape and dtype of the array.
    ptr : int
        The address modulo 16.
    """

    place: int
    shape: tuple[int, ...]
    dtype: Any
    ptr: int

    @property
    def data(self) -> Slot:
        """The object with the attribute `ptr`, as of a CuPy array."""
        return self

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return int(self.dtype.itemsize)


class Step(NamedTuple):
    """A recorded launch.

    Attributes
    ----------
    launch : Launch
        The launch.
    arguments : tuple
        Tables that all calls share, scalars, and None in the place of each call's own array.
    holes : tuple of (int, int)
        Number of such an argument, and number of its slot.
    """

    launch: Launch
    arguments: tuple[Any, ...]
    holes: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Program:
    """The recording of a call.

    Attributes
    ----------
    steps : list of Step
        The launches, in order.
    made : list of (bool, shape, dtype)
        The arrays that the call allocates: results (True) and scratch memory.
    raises_found : bool
        Whether the call first raises the errors of earlier calls.
    flags : int or None
        Slot of the flags that decide whether the call can be replayed to its end.
    waits : int or None
        Number of steps after which the call waits and reads the flags.
    """

    steps: list[Step] = field(default_factory=list)
    made: list[tuple[bool, tuple[int, ...], Any]] = field(default_factory=list)
    raises_found: bool = False
    flags: int | None = None
    waits: int | None = None


class Recorder:
    """A device that records what a call would do on `gpu`; see `Device`.

    Parameters
    ----------
    gpu : Device
        The device whose tables and limits the call uses.
    inputs : tuple of array
        The input arrays of the call, contiguous and aligned.
    """

    def __init__(self, gpu: Device, inputs: tuple[Any, ...], remainder: Callable[[Any], int]) -> None:
        self._gpu, self._count = gpu, len(inputs)
        self.xp, self.index_limit = gpu.xp, gpu.index_limit
        self.processors, self.shared_limit = gpu.processors, gpu.shared_limit
        self.program = Program()
        self.flags: Any = _RecordedFlags(self)
        self._inputs: dict[int, Slot] = {}
        for place, x in enumerate(inputs):
            view = gpu.view(x)
            self._inputs.setdefault(id(x), Slot(place, tuple(view.shape), view.dtype, remainder(x)))

    def wait(self) -> None:
        """See `Device`."""
        self.program.waits = len(self.program.steps)

    def borrow(self, x: Any) -> Any:
        """See `Device`."""
        return self.view(x)

    def view(self, x: Any) -> Any:
        """See `Device`."""
        if isinstance(x, Slot):
            return x
        if id(x) not in self._inputs:
            raise Unrecorded
        return self._inputs[id(x)]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `Device`."""
        return self.make(False, shape, np.dtype(dtype))

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Any) -> Any:
        """See `Device`."""
        return self.make(True, shape, dtype)

    def make(self, is_result: bool, shape: tuple[int, ...], dtype: Any) -> Slot:
        """Record an allocation; allocators align arrays to 16 bytes."""
        self.program.made.append((is_result, tuple(shape), dtype))
        return Slot(self._count + len(self.program.made) - 1, tuple(shape), dtype, 0)

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """See `Device`."""
        return self._gpu.tables(make, *key)

    def launch(self, launch: Launch, *given: Any) -> None:
        """See `Device`."""
        if launch.is_empty:
            return
        holes = tuple((place, x.place) for place, x in enumerate(given) if isinstance(x, Slot))
        arguments = tuple(None if isinstance(x, Slot) else x for x in given)
        self.program.steps.append(Step(launch, (*arguments, *launch.scalars), holes))

    @property
    def later(self) -> Flags:
        """The device's own flags."""
        return self._gpu.flags


class _RecordedFlags:
    """The flags of a `Recorder`; none is ever set."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @contextmanager
    def waiting(self) -> Iterator[tuple[Any, memoryview]]:
        """See `Flags`."""
        program = self._recorder.program
        if program.flags is not None:
            raise Unrecorded
        flags = self._recorder.make(False, (SLOT,), np.dtype(np.uint8))
        program.flags = flags.place
        yield flags, memoryview(bytes(SLOT))

    def later(self, finding: Finding) -> Any:
        """See `Flags`."""
        return self._recorder.later.later(finding)

    def raise_found(self) -> None:
        """See `Flags`; a replay raises before its launches, or after it has waited for them."""
        self._recorder.program.raises_found = True
