"""The protocol of a step: an op with its gradient, and all its arguments except the arrays."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

__all__ = ["Arrays", "ShapedStep", "Step"]

Arrays: TypeAlias = tuple[Any, ...]
"""Arrays; None stands for an omitted array."""


class Step(Protocol):
    """One op with all its arguments except the arrays.

    The first `differentiable` inputs have gradients; the others are indices. Only the first output has a gradient.
    """

    @property
    def differentiable(self) -> int: ...

    def run(self, *inputs: Any) -> Arrays:
        """Return the outputs."""
        ...

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: tuple[bool, ...]) -> Arrays:
        """Return the arrays that `pull` needs for the `wanted` inputs."""
        ...

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        """Return the gradients of the `wanted` inputs, given that of the output; None for the others."""
        ...


class ShapedStep(Step, Protocol):
    """A step that torch can follow: forwards too, and under torch.compile, which asks for shapes before it runs."""

    def shapes(self, *inputs: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the outputs, given those of the inputs."""
        ...

    @property
    def op(self) -> str:
        """The name of the operation in its dialect, for errors."""
        ...

    def takes(self, *shapes: Any) -> bool:
        """Return whether the step is made for inputs of these shapes: a trace may hand over others."""
        ...

    def over(self, count: int, is_batched: tuple[bool, ...]) -> tuple[ShapedStep, tuple[bool, ...]] | None:
        """Return the step that does the same to `count` elements at once, and which inputs it takes batched.

        Batches are leading axes. `is_batched` tells which inputs have one; an absent input has none. None means that
        no step does that.
        """
        ...

    def push(self, inputs: Arrays, outputs: Arrays, tangents: Arrays) -> Any:
        """Return the tangent of the first output, given those of the inputs: None for an input without one.

        At least one input has a tangent.
        """
        ...
