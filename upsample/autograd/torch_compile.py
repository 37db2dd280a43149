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

from upsample.tensors import has_symbols

__all__ = ["opaque"]


class _Door:
    """Holds what goes into the graph; one for each function, since a trace reads it once."""

    call: Callable[..., Any] | None = None


def opaque(function: Callable[..., Any], *, open_sizes: bool) -> None:
    """Let torch.compile take calls of a function as they are.

    Parameters
    ----------
    function : callable
        A public function of a dialect.
    open_sizes : bool
        Whether the function takes tensors whose sizes are symbols: one graph then serves all sizes. If not, sizes are
        fixed, and torch compiles again for others.
    """
    door = _Door()

    def hand_over() -> None:
        if door.call is None:

            def call(*args: Any, **kwargs: Any) -> Any:
                if open_sizes:
                    return function(*args, **kwargs)
                return function(*map(_fixed, args), **{name: _fixed(value) for name, value in kwargs.items()})

            call.__name__ = function.__name__
            door.call = sys.modules["torch"].compiler.allow_in_graph(call)

    def traced(*args: Any, **kwargs: Any) -> Any:
        hand_over()
        return door.call(*args, **kwargs)  # type: ignore[misc]

    hand_over._dynamo_marked_constant = True  # type: ignore[attr-defined]
    function._torchdynamo_inline = traced  # type: ignore[attr-defined]


def _fixed(value: Any) -> Any:
    """Return a tensor whose sizes are numbers."""
    sizes = tuple(getattr(value, "shape", ()))
    return value.view([int(n) for n in sizes]) if has_symbols(sizes) else value
