"""Share the description of parameters among functions that have the same ones.

A function over one axis has the parameters of the function over two. Its docstring describes only those that differ;
the decorator adds the other entries, so that ``help`` and the documentation show all of them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

__all__ = ["documented_like"]

_Documented = TypeVar("_Documented", bound=Callable[..., Any])
_TITLE = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def documented_like(original: Callable[..., Any]) -> Callable[[_Documented], _Documented]:
    """Add to a docstring what it omits: entries of Parameters, and the sections Returns and Raises.

    An entry that gives a type alone has the description of the original.

    Parameters
    ----------
    original : callable
        The function or class whose numpydoc docstring has them.

    Returns
    -------
    callable
        A decorator that changes the docstring only.
    """

    def complete(function: _Documented) -> _Documented:
        if function.__doc__ and original.__doc__:  # absent under python -OO
            function.__doc__ = _completed(function, _sections(function.__doc__), _sections(original.__doc__))
        return function

    return complete


def _completed(function: Callable[..., Any], own: dict[str, str], other: dict[str, str]) -> str:
    originals = _entries(other["Parameters"])
    entries = dict(originals)
    for name, entry in _entries(own.get("Parameters", "")).items():
        head, _, body = entry.partition("\n")
        entries[name] = f"{head}\n{body or originals[name].partition(chr(10))[2]}"
    names = [name for name in inspect.signature(function).parameters if name in entries]
    parameters = "\n".join(dict.fromkeys(entries[name] for name in names))
    sections = {"": own[""], "Parameters": parameters}
    sections |= {title: {**other, **own}[title] for title in ("Returns", "Raises") if title in {**other, **own}}
    sections |= {title: text for title, text in own.items() if title not in sections}
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" if title else text for title, text in sections.items())


@cache
def _sections(doc: str) -> dict[str, str]:
    """Return the text of each section of a numpydoc docstring by its title; the summary has none."""
    first, *rest = _TITLE.split(inspect.cleandoc(doc))
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return {"": first.strip(), **{title: text.strip() for title, text in pairs}}


def _entries(section: str) -> dict[str, str]:
    """Return the entries of a Parameters section by name; an entry of several names is repeated for each, alone."""
    found = {}
    for entry in re.split(r"\n(?=\S)", section) if section else []:
        head, _, body = entry.partition("\n")
        names, colon, kind = head.partition(" : ")
        for name in names.split(","):
            found[name.strip().lstrip("*")] = f"{name.strip()}{colon}{kind}\n{body}"
    return found
