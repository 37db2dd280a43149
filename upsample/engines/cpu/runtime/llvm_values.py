"""LLVM code that several vector kernels need: unaligned loads, unaligned stores and broadcasts."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

__all__ = ["load", "splat", "store"]

_LANE = ir.IntType(32)


def _at(builder: Any, pointer: Any, place: Any, kind: Any) -> Any:
    """Return a pointer to a value of `kind` that begins at element `place`."""
    return builder.bitcast(builder.gep(pointer, [place]), kind.as_pointer())


def load(builder: Any, pointer: Any, place: Any, kind: Any) -> Any:
    """Load a value of `kind` that begins at element `place`, aligned or not."""
    return builder.load(_at(builder, pointer, place, kind), align=1)


def store(builder: Any, value: Any, pointer: Any, place: Any) -> None:
    """Store a value from element `place` on, aligned or not."""
    builder.store(value, _at(builder, pointer, place, value.type), align=1)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """Broadcast a value to all lanes of a vector."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    one = builder.insert_element(undefined, value, _LANE(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_LANE, lanes), [0] * lanes))
