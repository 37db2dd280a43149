"""How an error reads: operation, argument, value received, rule, remedy.

Every exception of the package is made here, so that each names the same five things in the same order.
ValueError is for values and shapes, TypeError for types and dtypes, IndexError for indices.
"""

from __future__ import annotations

__all__ = ["bad_index", "bad_type", "bad_value", "missing_package"]

_LONGEST_VALUE = 80


def bad_value(op: str, argument: str, value: object, rule: str, remedy: str) -> ValueError:
    """Return the ValueError that says what is wrong with a value or a shape."""
    return ValueError(_message(op, argument, value, rule, remedy))


def bad_type(op: str, argument: str, value: object, rule: str, remedy: str) -> TypeError:
    """Return the TypeError that says what is wrong with a type or a dtype."""
    return TypeError(_message(op, argument, value, rule, remedy))


def bad_index(op: str, argument: str, value: object, rule: str, remedy: str) -> IndexError:
    """Return the IndexError that says which index is out of range."""
    return IndexError(_message(op, argument, value, rule, remedy))


def missing_package(op: str, package: str, rule: str) -> ImportError:
    """Return the ImportError that says which package to install."""
    return ImportError(f"{op}: {package} is not installed, but {rule}; pip install {package}")


def _message(op: str, argument: str, value: object, rule: str, remedy: str) -> str:
    return f"{op}: {argument}={_shown(value)}, but {rule}; {remedy}"


def _shown(value: object) -> str:
    """A short repr; a Raw string stands as it is, so that a message can say ``dtype int32``."""
    try:
        text = value if isinstance(value, Raw) else repr(value)
    except Exception:  # an int of thousands of digits, an object whose repr fails
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


class Raw(str):
    """Text that an error shows without quotes."""

    __slots__ = ()
