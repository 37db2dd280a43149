"""Arguments that the functions of this dialect share."""

from __future__ import annotations

from collections.abc import Sequence

from upsample.arguments import one_of

__all__ = ["choice", "is_channels_last"]


def choice(op: str, argument: str, value: object, known: Sequence[str]) -> str:
    """Return a name that is one of the known ones."""
    return one_of(op, argument, value, known, "Keras does not have it")


def is_channels_last(op: str, data_format: object) -> bool:
    """Return whether the channels are the last axis; None is Keras' default, which is that."""
    if data_format is None:
        return True
    return choice(op, "data_format", data_format, ("channels_last", "channels_first")) == "channels_last"
