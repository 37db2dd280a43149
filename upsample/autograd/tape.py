"""The tape of reverse-mode differentiation: it records the steps of a call, and runs their gradients backward.

An op creates a `Step` if its gradient is needed: by `upsample.vjp`, which records steps on a `Tape`, or by torch's
autograd. Any other call runs without a tape.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from upsample import arrays
from upsample.autograd.step import Arrays, ShapedStep, Step
from upsample.errors import Raw, bad_type
from upsample.float_errors import quiet
from upsample.tensors import is_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "Tape",
    "apply",
    "current",
    "delivered",
    "follow",
    "followed",
    "not_differentiable",
    "record",
    "recording",
    "taped",
]

DIFFERENTIABLE = arrays.FLOATING | arrays.COMPLEX


@dataclass(frozen=True, slots=True)
class _Entry:
    step: Step
    inputs: tuple[int | None, ...]
    output: int
    kept: Arrays
    wanted: tuple[bool, ...]


def not_differentiable(op: str, name: str, x: Any) -> TypeError:
    """Return the error for an argument of a dtype that has no gradient."""
    rule = "there is no gradient by integers or bools"
    return bad_type(op, name, Raw(f"<dtype {arrays.dtype_name(x)}>"), rule, "convert it to floating")


class Tape:
    """The steps that lead from some arrays to a result.

    Parameters
    ----------
    op : str
        The operation, for errors.
    sources : mapping of str to array
        The arguments by name; each array occurs once.
    wanted : set of str
        The arguments whose gradients are needed.
    """

    def __init__(self, op: str, sources: Mapping[str, Any], wanted: set[str]) -> None:
        self._op = op
        self._names = {id(x): name for name, x in sources.items()}
        self._alive: dict[int, Any] = {
            id(x): x for x in sources.values()
        }  # an id belongs to an array while the array exists
        self._active = {id(x) for name, x in sources.items() if name in wanted}
        self._entries: list[_Entry] = []
        self._used: set[int] = set()

    def knows(self, x: Any) -> bool:
        """Return whether `x` is a wanted argument, or depends on one."""
        return id(x) in self._active or id(x) in self._names

    @quiet
    def follow(self, step: Step, inputs: Arrays) -> Arrays:
        """Run a step and record it."""
        for x in inputs[: step.differentiable]:
            if id(x) in self._names and arrays.dtype_name(x) not in DIFFERENTIABLE:
                raise not_differentiable(self._op, self._names[id(x)], x)
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
        """Return whether `result` is on the tape and depends on everything else on it."""
        left = {entry.output for entry in self._entries} - self._used
        return left == {id(result)}

    def uses(self, x: Any) -> bool:
        """Return whether `x` is an input of a step."""
        return id(x) in self._used

    @quiet
    def gradients(self, result: Any, grad: Any) -> dict[int, Any]:
        """Return the gradient of each array that `result` depends on, by id, from the gradient of `result`."""
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
"""Return the tape that records steps now, or None."""


@contextmanager
def recording(tape: Tape | None) -> Iterator[None]:
    """Record the steps of a block on `tape`, or on none."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


def taped(x: Any) -> bool:
    """Return whether steps with the input `x` are recorded."""
    tape = _tape.get()
    return tape is not None and tape.knows(x)


def followed(*inputs: Any) -> bool:
    """Return whether the gradient by one of the inputs is needed."""
    tape = _tape.get()
    if tape is not None and any(tape.knows(x) for x in inputs):
        return True
    if type(inputs[0]) is np.ndarray:
        return False
    return any(map(is_watched, inputs))


def record(step: Step, *inputs: Any) -> Arrays:
    """Run a step and record it; one of its inputs is `taped`."""
    tape = _tape.get()
    assert tape is not None
    with recording(None):
        return tape.follow(step, inputs)


def apply(step: ShapedStep, *inputs: Any) -> Arrays:
    """Run a step, and record it if the gradient by one of its inputs may be needed."""
    return follow(step, *inputs) if followed(*inputs) else step.run(*inputs)


def follow(step: ShapedStep, *inputs: Any) -> Arrays:
    """Run a step whose inputs are `followed`, for those who follow them."""
    return record(step, *inputs) if current() is not None else _torch_door()(step, inputs)


@lru_cache(maxsize=1)
def _torch_door() -> Callable[[ShapedStep, Arrays], Arrays]:
    door: Any = import_module("upsample.autograd.torch_function")
    follow: Callable[[ShapedStep, Arrays], Arrays] = door.follow
    return follow


def delivered(made: Any, out: Any) -> Any:
    """Copy the result of a taped step to `out`, unless it is None; in a graph of torch, the copy is an operator."""
    if out is None:
        return made
    out[...] = made
    return out
