"""Arguments as the dialects take them, checked and made into tuples of plain Python numbers.

Everything is converted before a plan's cache sees it, or ``(4.0, 4.0)`` would slip in after ``(4, 4)``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias, cast

import numpy as np

from upsample import arrays
from upsample.arrays import Array, dtype_name
from upsample.errors import Raw, bad_type, bad_value
from upsample.tensors import is_symbol

__all__ = [
    "IntOrInts",
    "NumberOrNumbers",
    "as_tuple",
    "axes_of",
    "check_addressable",
    "check_dtype",
    "check_known",
    "check_no_factor",
    "check_rank",
    "check_room",
    "flag",
    "integer",
    "integers",
    "is_empty",
    "number",
    "numbers",
    "one_of",
    "scaled_size",
    "sizes_after",
]

IntOrInts: TypeAlias = int | Sequence[int]
NumberOrNumbers: TypeAlias = float | Sequence[float]

_ADDRESSABLE = 2**63 - 1
"""Bytes that a 64-bit address can count."""
_ROOMY = 2**32
"""Bytes: smaller results skip the allocation probe, which may itself allocate."""
_EXACT = 2**20
"""Numerators and denominators of factors below it, times the size of an axis in memory, are exact in float64."""
_LONGEST = 2**48
"""Positions: more than any axis has; Python multiplies two such numbers exactly."""


def integer(op: str, argument: str, value: object, *, least: int | None = None) -> int:
    """Return an int; bool, float and text are a TypeError, less than `least` a ValueError."""
    return _integer(op, argument, value, least, "pass an int")


def _integer(op: str, argument: str, value: object, least: int | None, remedy: str) -> int:
    if is_symbol(value):
        return cast(int, value)
    try:
        result = value if type(value) is int else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        result = None
    if result is None or isinstance(value, bool):
        raise bad_type(op, argument, value, "it must be an integer", remedy)
    if least is not None and result < least:
        raise bad_value(op, argument, value, f"it must be at least {least}", f"pass {least} or more")
    if abs(result) > _LONGEST:
        raise bad_value(op, argument, value, "it is past what memory can address", "pass a smaller number")
    return result


def as_tuple(value: object) -> object:
    """Return the entries of what NumPy takes as a shape, a sequence or an array of one axis; others as they are."""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return value
    if isinstance(value, Sequence):
        return tuple(value)
    several = hasattr(value, "dtype") and len(getattr(value, "shape", ())) == 1 and hasattr(value, "tolist")
    return tuple(value.tolist()) if several and not arrays.is_masked(value) else value  # type: ignore[attr-defined]


def is_empty(value: object) -> bool:
    """Return whether a value is a sequence of nothing, by which torch means a default."""
    return isinstance(as_tuple(value), tuple) and not as_tuple(value)


def integers(
    op: str, argument: str, value: object, count: int, *, least: int | None = None, one_for_all: bool = True
) -> tuple[int, ...]:
    """Return `count` ints from one int or from a sequence of `count` (or, `one_for_all`, of one)."""
    remedy = "pass an int" if count == 1 else f"pass an int or a tuple of {count}"
    entries = as_tuple(value)
    if not isinstance(entries, tuple):
        return (_integer(op, argument, value, least, remedy),) * count
    items = tuple(integer(op, f"{argument}[{i}]", v, least=least) for i, v in enumerate(entries))
    if len(items) == 1 and one_for_all:
        return items * count
    if len(items) != count:
        raise bad_value(op, argument, value, f"it has {len(items)} entries", remedy)
    return items


def check_no_factor(op: str, argument: str, value: object, factor: str) -> None:
    """Raise TypeError for a float where sizes are wanted, and say by which argument a factor is given."""
    several = as_tuple(value)
    if any(isinstance(v, (float, np.floating)) for v in (several if isinstance(several, tuple) else (value,))):
        raise bad_type(op, argument, value, "a size counts samples", f"pass ints, or a factor as {factor}=")


def number(op: str, argument: str, value: object) -> float:
    """Return a finite float; bool and text are a TypeError, NaN and infinity a ValueError."""
    try:
        result = float(value) if _is_real(value) else None  # type: ignore[arg-type]
    except OverflowError:  # an int past the largest float
        result = math.inf
    except (TypeError, ValueError):
        result = None
    if result is None:
        raise bad_type(op, argument, value, "it must be a number", "pass a float")
    if not math.isfinite(result):
        raise bad_value(op, argument, value, "it must be finite", "pass a finite number")
    return result


def _is_real(value: object) -> bool:
    """Whether `float` may be asked: it would parse text, and drop an imaginary part or a mask with a warning."""
    if isinstance(value, (bool, str, bytes, bytearray)) or arrays.is_masked(value):
        return False
    if hasattr(value, "dtype"):
        return getattr(value, "ndim", 1) == 0 and dtype_name(cast(Array, value)) in arrays.FLOATING | arrays.INTEGER
    return True


def numbers(op: str, argument: str, value: object, count: int) -> tuple[float, ...]:
    """Return `count` floats from one number or from a sequence of `count`."""
    entries = as_tuple(value)
    if not isinstance(entries, tuple):
        return (number(op, argument, value),) * count
    if len(entries) != count:
        raise bad_value(op, argument, value, f"it has {len(entries)} entries", f"pass one number or {count}")
    return tuple(number(op, f"{argument}[{i}]", v) for i, v in enumerate(entries))


def scaled_size(op: str, argument: str, n: float, scale: float) -> int:
    """Return ``floor(n * scale)``; ValueError where that leaves no sample, or is no number of samples."""
    if is_symbol(n):
        return _scaled_symbol(n, scale)
    size = n * scale
    if size < 1.0 or size >= 2.0**63:
        rule = f"it makes {n} samples into {size:.6g}"
        raise bad_value(op, argument, scale, rule, "pass a scale that leaves at least one sample")
    return int(size)


def one_of(op: str, argument: str, value: object, known: Collection[str], unknown: str) -> str:
    """Return a name that is one of the known ones; `unknown` is the rule that another name breaks."""
    remedy = f"pass one of {', '.join(known)}"
    if not isinstance(value, str):
        raise bad_type(op, argument, value, "it must be a name", remedy)
    if value not in known:
        raise bad_value(op, argument, value, unknown, remedy)
    return value


def axes_of(op: str, argument: str, value: Sequence[object], array: str, ndim: int) -> tuple[int, ...]:
    """Return different axes of an array, counted from 0."""
    axes = []
    for place, entry in enumerate(value):
        axis = integer(op, f"{argument}[{place}]", entry)
        if not -ndim <= axis < ndim:
            raise bad_value(op, argument, value, f"{array} has {ndim} axes", f"pass {-ndim} to {ndim - 1}")
        axes.append(axis % ndim)
    if len(set(axes)) != len(axes):
        raise bad_value(op, argument, value, "one axis is named twice", "name each once")
    return tuple(axes)


def sizes_after(
    op: str, argument: str, before: tuple[int, ...], sizes: tuple[int, ...] | None, scales: tuple[float, ...] | None
) -> tuple[int, ...]:
    """Return `sizes`, or those that `scales` make of `before`."""
    if sizes is not None:
        return sizes
    assert scales is not None
    return tuple(scaled_size(op, argument, n, scale) for n, scale in zip(before, scales, strict=True))


def _scaled_symbol(n: Any, scale: float) -> int:
    """Return ``floor(n * scale)`` of a symbol: an expression of integers, if no product is rounded."""
    over, under = scale.as_integer_ratio()
    if abs(over) < _EXACT and under < _EXACT:
        return cast(int, n * over // under)
    return cast(int, import_module("torch").sym_int(n * scale))


def flag(op: str, argument: str, value: object) -> bool:
    """Return a bool; anything else is a TypeError, or ``align_corners="False"`` would be true."""
    if value is True or value is False:
        return value
    if type(value).__name__ == "bool":  # numpy.bool
        return bool(value)
    raise bad_type(op, argument, value, "it must be a bool", "pass True or False")


def check_rank(op: str, argument: str, x: Array, ranks: Collection[int], layout: str) -> None:
    """Raise ValueError unless the array has one of the `ranks`; `layout` says what they mean."""
    if x.ndim not in ranks:
        wanted = " or ".join(str(r) for r in sorted(ranks))
        raise bad_value(
            op, argument, Raw(f"<shape {tuple(x.shape)}>"), f"it has {x.ndim} axes", f"pass {wanted}: {layout}"
        )


def check_known(op: str, argument: str, x: Array, axes: Collection[int]) -> None:
    """Raise ValueError unless the sizes of axes are numbers; those of a graph that JAX exports may be symbols."""
    if not all(hasattr(x.shape[axis], "__index__") for axis in axes):
        rule = f"the sizes of axes {tuple(axes)} must be numbers, because windows and weights follow from them"
        remedy = "export with numbers in their place; other sizes may be symbols"
        raise bad_value(op, argument, Raw(f"<shape {tuple(x.shape)}>"), rule, remedy)


def check_dtype(op: str, argument: str, x: Array, allowed: Collection[str], remedy: str) -> str:
    """Return the name of the array's dtype, a TypeError unless it is one of `allowed`."""
    name = dtype_name(x)
    if name not in allowed:
        raise bad_type(op, argument, Raw(f"<dtype {name}>"), "this op does not take that dtype", remedy)
    return name


def check_addressable(op: str, argument: str, value: object, shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse a result whose bytes a 64-bit address cannot count, before anything is allocated.

    A symbolic size, of a graph that JAX or torch exports, is not counted.
    """
    if math.prod(n for n in shape if isinstance(n, int) and n) * itemsize > _ADDRESSABLE:
        raise bad_value(
            op, argument, value, f"a result of shape {shape} is past what memory can address", "ask for less"
        )


def check_room(xp: ModuleType, x: Array, shape: tuple[int, ...]) -> None:
    """Let the library of `x` refuse a result that memory cannot hold, before tables as long as its axes are made."""
    if arrays.can_assign(xp) and math.prod(shape) * arrays.itemsize(x) > _ROOMY:
        xp.empty(shape, dtype=x.dtype, device=arrays.device_of(x))
