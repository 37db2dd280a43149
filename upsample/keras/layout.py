"""Arguments that the functions of this dialect share."""

from __future__ import annotations

from collections.abc import Sequence

from upsample.errors import bad_type, bad_value

__all__ = ["choice", "is_channels_last"]


def choice(op: str, argument: str, value: object, known: Sequence[str]) -> str:
    """Return a name that is one of the known ones."""
    names = ", ".join(known)
    if not isinstance(value, str):
        raise bad_type(op, argument, value, "a name is needed", f"pass one of {names}")
    if value not in known:
        raise bad_value(op, argument, value, "Keras does not have it", f"pass one of {names}")
    return value


def is_channels_last(op: str, data_format: object) -> bool:
    """Return whether the channels are the last axis; None is Keras' default, which is that."""
    if data_format is None:
        return True
    return choice(op, "data_format", data_format, ("channels_last", "channels_first")) == "channels_last"
