"""Cuts a failing call down to what is wrong with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from fuzz import checks
from fuzz.calls import Call
from fuzz.values import CHANGES

__all__ = ["reduced"]


def reduced(call: Call, ordinary: bool, error: BaseException) -> str:
    """Return a smaller call that fails in the same way, and how."""
    best, kind = error, type(error)
    again = not ordinary  # a part of an ordinary call need not be one
    while again:
        again = False
        for smaller in _smaller(call):
            failure = _failure(smaller)
            if type(failure) is kind and _line(failure) == _line(best):
                call, best, again = smaller, failure, True
                break
    return f"{call}\n{best}"


def _failure(call: Call) -> BaseException | None:
    for turn in range(17):
        try:
            checks.check(call, False, lambda words, turn=turn: words[turn % len(words)])
        except BaseException as error:
            return error
    return None


def _line(error: BaseException) -> tuple[str, int]:
    """Where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)


def _smaller(call: Call) -> Iterator[Call]:
    """The calls with one argument less, or one change undone."""
    for part in ("given", "made"):
        arguments = getattr(call, part)
        for name, written in arguments.items():
            yield replace(call, **{part: {key: text for key, text in arguments.items() if key != name}})
            node = ast.parse(written, mode="eval").body
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CHANGES:
                yield replace(call, **{part: {**arguments, name: ast.unparse(node.args[0])}})
