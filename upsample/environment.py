"""Values of this package's environment variables; one that means nothing is named in a warning, once."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection
from pathlib import Path

__all__ = ["ignore", "number", "word"]

_PACKAGE = str(Path(__file__).parent) + os.sep
_DIGITS = 9
"""More make no number of threads or of MiB that a machine has."""

_warned: set[tuple[str, str]] = set()


def number(name: str, least: int) -> int | None:
    """Return the integer in a variable, which may change at any time; None if it has none, or a smaller one."""
    text = os.environ.get(name, "")
    digits = text.strip()
    if digits.isdecimal() and len(digits) <= _DIGITS and int(digits) >= least:
        return int(digits)
    if text:
        ignore(name, text, f"it must be an integer of at least {least}")
    return None


def word(name: str, words: Collection[str]) -> str | None:
    """Return the word in a variable; None if it has none of the `words`."""
    text = os.environ.get(name, "")
    if text and text not in words:
        ignore(name, text, f"it must be one of {', '.join(words)}")
    return text if text in words else None


def ignore(name: str, text: str, rule: str) -> None:
    """Warn, once for each value, that a variable's value is ignored, in the name of this package's caller."""
    if (name, text) not in _warned:
        _warned.add((name, text))
        warnings.warn(f"{name}={text!r} is ignored: {rule}", stacklevel=_level())


def _level() -> int:
    """Return the stack level, seen from `ignore`, of the innermost frame outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
