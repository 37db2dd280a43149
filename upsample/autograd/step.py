"""What a step is to the tape and to torch: an op with its gradient, and all its arguments except the arrays."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

__all__ = ["Arrays", "ShapedStep", "Step"]

Arrays: TypeAlias = tuple[Any, ...]
"""Arrays, or None in the place of an array that is absent."""


class Step(Protocol):
    """One op with all its arguments but the arrays.

    Of the inputs the first `differentiable` have gradients; the others are indices. Of the outputs the first has one.
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

    def push(self, inputs: Arrays, outputs: Arrays, tangents: Arrays) -> Any:
        """Return the tangent of the first output, given those of the inputs: None for an input without one.

        At least one input has a tangent.
        """
        ...
