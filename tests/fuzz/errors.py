"""How the error of a call may read: in this package's form, or, of a signature, as Python says it."""

from __future__ import annotations

import re

__all__ = ["is_pythons_own", "reads_well"]

_FORM = re.compile(r"^[\w.]+: [^=]+=.*, but .+; .+$", re.S)
_PYTHONS_OWN = re.compile(
    r"^([\w.]+\(\) (missing|got an unexpected|got multiple|takes)\b"
    r"|missing a required|got an unexpected|multiple values|too many positional)"
)


def is_pythons_own(error: Exception) -> bool:
    """Whether it says that the arguments do not fit the signature."""
    return type(error) is TypeError and _PYTHONS_OWN.match(str(error)) is not None


def reads_well(error: Exception) -> bool:
    """Whether an error is of a kind and a form that is promised."""
    return type(error) in (TypeError, ValueError, IndexError) and (
        is_pythons_own(error) or _FORM.match(str(error)) is not None
    )
