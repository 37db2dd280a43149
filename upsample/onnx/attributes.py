"""ONNX attributes, checked and made into plain numbers.

ONNX writes lists of integers for windows, all begins before all ends for pads, and 0 or 1 for flags.
"""

from __future__ import annotations

from collections.abc import Sequence

from upsample import arrays
from upsample.arguments import integers, one_of
from upsample.arrays import Array
from upsample.errors import Raw, bad_type, bad_value

__all__ = ["AUTO_PADS", "check_spatial", "choice", "flag_of", "numbers_of", "pads_of", "same_sizes", "window_ints"]

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def check_spatial(op: str, argument: str, x: Array) -> int:
    """Return how many spatial axes an array has; ValueError if it has none, or one of no samples."""
    if x.ndim < 3:
        rule = f"it has {x.ndim} axes"
        raise bad_value(op, argument, Raw(f"<shape {tuple(x.shape)}>"), rule, "pass [N, C, *spatial], three or more")
    if 0 in x.shape[1:]:
        raise bad_value(op, argument, Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    return x.ndim - 2


def window_ints(
    op: str, argument: str, value: object, count: int, *, least: int, default: int | None
) -> tuple[int, ...]:
    """Return one int for each spatial axis; None is the default for all, or a TypeError without one."""
    if value is None and default is not None:
        return (default,) * count
    if not isinstance(value, (list, tuple)):
        raise bad_type(op, argument, value, "ONNX lists one integer per spatial axis", f"pass a list of {count} ints")
    return integers(op, argument, value, count, least=least, one_for_all=False)


def pads_of(op: str, value: object, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the padding at the begin and at the end of each spatial axis."""
    if value is None:
        return (0,) * count, (0,) * count
    if not isinstance(value, (list, tuple)):
        rule = "ONNX lists the begin of every spatial axis and then the end of every one"
        raise bad_type(op, "pads", value, rule, f"pass a list of {2 * count} ints")
    pads = integers(op, "pads", value, 2 * count, least=0, one_for_all=False)
    return pads[:count], pads[count:]


def choice(op: str, argument: str, value: object, known: Sequence[str]) -> str:
    """Return a text that is one of the known ones."""
    return one_of(op, argument, value, known, "ONNX does not define that value")


def flag_of(op: str, argument: str, value: object) -> bool:
    """Return a flag, which ONNX writes as 0 or 1."""
    if type(value).__name__ not in ("bool", "int", "int64") or value not in (0, 1):
        raise bad_type(op, argument, value, "the attribute is a flag", "pass 0 or 1")
    return bool(value)


def same_sizes(sizes: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of windows under SAME padding: the quotients, rounded up."""
    return tuple(-(-n // s) for n, s in zip(sizes, strides, strict=True))


def numbers_of(op: str, argument: str, value: object) -> list[float] | list[int]:
    """Return the entries of a list or of a small array of one axis, which this computes and copies to the host."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, Array) or value.ndim != 1:
        raise bad_type(op, argument, value, "a vector is needed", "pass a list, a tuple or an array of one axis")
    if arrays.is_abstract(value):
        rule = "the shape of the result depends on its values, which a trace does not have"
        raise bad_type(op, argument, Raw("<traced array>"), rule, "pass a list or a tuple")
    return arrays.entries(value)
