"""What a call did, step by step, so that gradients can go back.

An op hands itself over as a `Step` where somebody wants its gradient: `upsample.vjp`, which records steps on a `Tape`,
or torch's autograd, which follows tensors by itself. In any other call nothing of this runs.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from upsample import arrays
from upsample.autograd.step import Arrays, ShapedStep, Step
from upsample.errors import Raw, bad_type
from upsample.float_errors import quiet
from upsample.tensors import is_transformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Tape", "apply", "current", "follow", "followed", "record", "recording", "taped"]

DIFFERENTIABLE = arrays.FLOATING | arrays.COMPLEX


@dataclass(frozen=True, slots=True)
class _Entry:
    step: Step
    inputs: tuple[int | None, ...]
    output: int
    kept: Arrays
    wanted: tuple[bool, ...]


class Tape:
    """The steps that lead from some arrays to a result.

    Parameters
    ----------
    op : str
        For errors.
    sources : mapping of str to array
        The arguments by name; no array is there twice.
    wanted : set of str
        The arguments whose gradients will be asked for.
    """

    def __init__(self, op: str, sources: Mapping[str, Any], wanted: set[str]) -> None:
        self._op = op
        self._names = {id(x): name for name, x in sources.items()}
        self._alive: dict[int, Any] = {id(x): x for x in sources.values()}  # a number is an array's while it lives
        self._active = {id(x) for name, x in sources.items() if name in wanted}
        self._entries: list[_Entry] = []
        self._used: set[int] = set()

    def knows(self, x: Any) -> bool:
        """Whether `x` is an argument, or was made of one that is wanted."""
        return id(x) in self._active or id(x) in self._names

    @quiet
    def follow(self, step: Step, inputs: Arrays) -> Arrays:
        """Run a step and write it down."""
        for x in inputs[: step.differentiable]:
            if id(x) in self._names and arrays.dtype_name(x) not in DIFFERENTIABLE:
                name = self._names[id(x)]
                rule = "there is no gradient by integers or bools"
                raise bad_type(self._op, name, Raw(f"<dtype {arrays.dtype_name(x)}>"), rule, "convert it to floating")
        self._used.update(id(x) for x in inputs if id(x) in self._alive)
        outputs = step.run(*inputs)
        wanted = tuple(place < step.differentiable and id(x) in self._active for place, x in enumerate(inputs))
        if any(wanted):
            kept = step.keep(inputs, outputs, wanted)
            made = outputs[0]
            self._alive[id(made)] = made
            self._active.add(id(made))
            self._entries.append(_Entry(step, tuple(map(id, inputs)), id(made), kept, wanted))
        return outputs

    def made(self, result: Any) -> bool:
        """Whether `result` is the tape's, and everything else on the tape went into it."""
        left = {entry.output for entry in self._entries} - self._used
        return left == {id(result)}

    def uses(self, x: Any) -> bool:
        """Whether a step took `x`."""
        return id(x) in self._used

    @quiet
    def gradients(self, result: Any, grad: Any) -> dict[int, Any]:
        """Return the gradient of each array, by number, that `result` is made of, given that of `result`."""
        found = {id(result): grad}
        for entry in reversed(self._entries):
            given = found.pop(entry.output, None)
            if given is None:
                continue
            for number, share in zip(entry.inputs, entry.step.pull(entry.kept, given, entry.wanted), strict=True):
                if share is not None and number is not None:
                    found[number] = share if number not in found else found[number] + share
        return found


_tape: ContextVar[Tape | None] = ContextVar("upsample_tape", default=None)
current: Callable[[], Tape | None] = _tape.get
"""Return the tape that steps are written on here, or None."""


@contextmanager
def recording(tape: Tape | None) -> Iterator[None]:
    """Within this block, steps are written on `tape`, or on none."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


def taped(x: Any) -> bool:
    """Say whether what is made of `x` is being written down."""
    tape = _tape.get()
    return tape is not None and tape.knows(x)


def followed(*inputs: Any) -> bool:
    """Say whether anybody wants gradients by one of the inputs."""
    tape = _tape.get()
    if tape is not None and any(tape.knows(x) for x in inputs):
        return True
    if type(inputs[0]) is np.ndarray:
        return False
    return any(arrays.requires_grad(x) or is_transformed(x) for x in inputs) or arrays.is_compiling(inputs[0])


def record(step: Step, *inputs: Any) -> Arrays:
    """Run a step, and write it down: one of the inputs is `taped`."""
    tape = _tape.get()
    assert tape is not None
    with recording(None):
        return tape.follow(step, inputs)


def apply(step: ShapedStep, *inputs: Any) -> Arrays:
    """Run a step, and follow it if the gradient by one of its inputs may be asked for."""
    return follow(step, *inputs) if followed(*inputs) else step.run(*inputs)


def follow(step: ShapedStep, *inputs: Any) -> Arrays:
    """Run a step for those who want its gradient."""
    if current() is not None:
        return record(step, *inputs)
    if "torch" in sys.modules and followed(*inputs):
        door: Any = import_module("upsample.autograd.torch_function")
        outputs: Arrays = door.follow(step, inputs)
        return outputs
    return step.run(*inputs)
