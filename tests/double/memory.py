"""Memory of the double: who allocated it, on which device, and which stream wrote it last."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Block", "Event", "Misuse", "checked_read", "is_written_by", "record", "recording", "seen_by_all", "written"]


class Misuse(Exception):
    """What a GPU would not refuse, and would do wrongly at times."""


@dataclass(frozen=True)
class Event:
    """One call: "allocate", "copy", "launch" or "wait"."""

    kind: str
    device: int
    stream: int
    allocator: str
    what: str


record: list[Event] = []


@contextmanager
def recording() -> Iterator[list[Event]]:
    """Yield the events of this block alone."""
    begin = len(record)
    some: list[Event] = []
    try:
        yield some
    finally:
        some += record[begin:]


@dataclass(eq=False)
class Block:
    """An allocation.

    Attributes
    ----------
    buffer : array of uint8
        The memory.
    allocator : str
        "pool", "direct" or "torch".
    device : int
        Its GPU.
    stream : int or None
        The last stream that wrote it, until something waits for that stream.
    """

    buffer: np.ndarray
    allocator: str
    device: int
    stream: int | None = None
    _: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _blocks.add(self)


_blocks: weakref.WeakSet[Block] = weakref.WeakSet()


def written(block: Block, stream: int) -> None:
    """Note that work queued on a stream writes a block."""
    block.stream = stream


def checked_read(block: Block, stream: int, what: str) -> None:
    """Raise `Misuse` where a stream would read a block too early."""
    if block.stream is not None and block.stream != stream:
        raise Misuse(f"{what}: stream {stream} reads memory that stream {block.stream} writes, and nothing waited")


pinned: list[tuple[np.ndarray, Block]] = []
"""Page-locked memory as the host sees it, and as a GPU does."""


def write_pinned() -> None:
    """Let GPUs see what the host wrote, where no launch may be writing."""
    for host, block in pinned:
        if block.stream is None:
            block.buffer[...] = host


def is_written_by(stream: int) -> bool:
    """Say whether a stream has written memory that is still in use, and nothing waited for it since."""
    return any(block.stream == stream for block in list(_blocks))


def seen_by_all(stream: int | None) -> None:
    """Note that the host waited for a stream, or for all of them: later work of any stream sees what it wrote."""
    for host, block in pinned:
        if block.stream is not None:
            host[...] = block.buffer
    for block in list(_blocks):
        if stream is None or block.stream == stream:
            block.stream = None
