"""How torch.compile sees the public functions: each as one call in its graph, not looked into.

torch has no way to say so before it is imported, and importing it is not ours to do. But its compiler, where it meets
a function with an attribute ``_torchdynamo_inline``, traces that one instead, and a function marked
``_dynamo_marked_constant`` (as `torch.compiler.assume_constant_result` does) it calls while it traces. Ours then hands
the function over by `torch.compiler.allow_in_graph`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["opaque"]


class _Door:
    """Holds what goes into the graph; one for each function, since a trace reads it once."""

    call: Callable[..., Any] | None = None


def _sized(value: Any) -> Any:
    """A tensor whose sizes are symbols, as they become at the second shape, under sizes that are numbers.

    A plan is made for numbers; torch compiles again for other ones.
    """
    sizes = getattr(value, "shape", ())
    return value if all(type(n) is int for n in sizes) else value.view([int(n) for n in sizes])


def opaque(function: Callable[..., Any]) -> None:
    """Let torch.compile take calls of a function as they are."""
    door = _Door()

    def hand_over() -> None:
        if door.call is None:

            def call(*args: Any, **kwargs: Any) -> Any:
                return function(*map(_sized, args), **{name: _sized(value) for name, value in kwargs.items()})

            call.__name__ = function.__name__
            door.call = sys.modules["torch"].compiler.allow_in_graph(call)

    def traced(*args: Any, **kwargs: Any) -> Any:
        hand_over()
        return door.call(*args, **kwargs)  # type: ignore[misc]

    hand_over._dynamo_marked_constant = True  # type: ignore[attr-defined]
    function._torchdynamo_inline = traced  # type: ignore[attr-defined]
