"""A bar on a terminal's stderr that moves from the first second, while kernels compile, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

__all__ = ["Steps", "shown"]

_T = TypeVar("_T")


class Steps:
    """The step in progress, and how many steps are done.

    Parameters
    ----------
    total : int or None
        The number of steps; None if it is not known yet.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = -1

    def begin(self, name: str) -> None:
        """Show that the next step begins."""
        self.done += 1

    def each(self, items: Sequence[_T]) -> Iterator[_T]:
        """Yield the items, each a step of its name."""
        self.total, self.done = len(items), -1
        for item in items:
            self.begin(str(item))
            yield item


class _Line(Steps):
    """One line of text, without rich."""

    def begin(self, name: str) -> None:
        super().begin(name)
        count = "" if self.total is None else f"{self.done}/{self.total} "
        print(f"\r\x1b[K{count}{name}", end="", file=sys.stderr, flush=True)


class _Bar(Steps):
    """Rich's bar, which a thread of its own redraws ten times a second."""

    def __init__(self, total: int | None, progress: Any) -> None:
        super().__init__(total)
        self._progress, self._task = progress, progress.add_task("", total=total)

    def begin(self, name: str) -> None:
        super().begin(name)
        self._progress.update(self._task, completed=self.done, total=self.total, description=name)


@contextmanager
def shown(total: int | None) -> Iterator[Steps]:
    """Show steps while the block runs; show nothing if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield Steps(total)
    elif find_spec("rich") is None:
        yield _Line(total)
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    else:
        rich, console = import_module("rich.progress"), import_module("rich.console").Console(stderr=True)
        columns = (rich.SpinnerColumn(), rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeElapsedColumn())
        with rich.Progress(
            *columns, rich.TextColumn("{task.description}"), console=console, transient=True
        ) as progress:
            yield _Bar(total, progress)
