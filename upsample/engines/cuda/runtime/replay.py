"""Record the launches of a call, and repeat them on other arrays without planning them again.

A launch depends on the shapes, dtypes and alignment of the arrays, which a repeated call shares, and on their
addresses, which it does not. `Recorder` is a `Device` that launches nothing: its arrays are `Slot`s, which have a shape
and a dtype alone, and it writes down which slot is which argument. What an op does to an array beside launches is
nothing that a `Slot` can do, so that the call raises and is not recorded.
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
    """An array of a recorded call.

    Attributes
    ----------
    place : int
        Its number among the arrays of the call: the inputs, then the others as they are made.
    shape, dtype : object
        Of the array.
    ptr : int
        The address modulo 16.
    """

    place: int
    shape: tuple[int, ...]
    dtype: Any
    ptr: int

    @property
    def data(self) -> Slot:
        """CuPy's name for where an array begins."""
        return self

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""
        return int(self.dtype.itemsize)


class Step(NamedTuple):
    """A launch.

    Attributes
    ----------
    launch : Launch
        What runs.
    arguments : tuple
        Arrays that all calls share, scalars, and None in the holes.
    holes : tuple of (int, int)
        Which argument is the array of which slot.
    """

    launch: Launch
    arguments: tuple[Any, ...]
    holes: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Program:
    """What a call does.

    Attributes
    ----------
    steps : list of Step
        Its launches, in order.
    made : list of (bool, shape, dtype)
        The arrays behind the inputs: results (True) and scratch memory.
    raises_found : bool
        Whether the errors of earlier calls are raised first.
    flags : int or None
        The slot of the flags that decide whether the call goes as recorded.
    waits : int or None
        After so many steps the flags are read.
    """

    steps: list[Step] = field(default_factory=list)
    made: list[tuple[bool, tuple[int, ...], Any]] = field(default_factory=list)
    raises_found: bool = False
    flags: int | None = None
    waits: int | None = None


class Recorder:
    """A device that writes down what a call would do on `gpu`; see `Device`.

    Parameters
    ----------
    gpu : Device
        Whose tables and limits the call has.
    inputs : tuple of array
        The arrays of the call: contiguous, aligned, no result.
    """

    def __init__(self, gpu: Device, inputs: tuple[Any, ...], remainder: Callable[[Any], int]) -> None:
        self._gpu, self._count = gpu, len(inputs)
        self.xp, self.index_limit = gpu.xp, gpu.index_limit
        self.processors, self.shared_limit = gpu.processors, gpu.shared_limit
        self.program = Program()
        self.flags: Any = _RecordedFlags(self)
        self._inputs: dict[int, Slot] = {}
        for place, x in enumerate(inputs):
            seen = gpu.view(x)
            self._inputs.setdefault(id(x), Slot(place, tuple(seen.shape), seen.dtype, remainder(x)))

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
        """Write down an array; allocators begin arrays at multiples of 16 bytes."""
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
    """The flags of a `Recorder`: a wait finds nothing."""

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
        """See `Flags`; before the launches, or once the call has waited for them."""
        self._recorder.program.raises_found = True
