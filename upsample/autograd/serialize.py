"""Write steps as text, which a torch graph contains, in this process or in a file."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from upsample.autograd.step import ShapedStep
from upsample.caches import cached
from upsample.plans.plan_cache import OpenResize
from upsample.tensors import is_symbol

__all__ = ["read", "written"]

_OWN, _COMPAT = "upsample.", "array_api_compat."
"""Where all classes, and namespaces, of a step come from; a file may say something else."""
_OPEN = ""
"""Stands for the name of a class before the place of a size that is a symbol."""


def written(step: ShapedStep) -> tuple[str, list[Any]]:
    """Return a text that says all of a step except the sizes that are symbols, and these."""
    symbols: list[Any] = []
    return repr(_plain(step, symbols)), symbols


def read(text: str, sizes: Sequence[Any]) -> ShapedStep:
    """Return the step that a text says, with the sizes that it leaves open; ValueError if it says something else."""
    if any(map(is_symbol, sizes)):
        return cast(ShapedStep, _made(literal_eval(text), sizes))
    return _kept(text, tuple(sizes))


@cached
def _kept(text: str, sizes: tuple[int, ...]) -> ShapedStep:
    return cast(ShapedStep, _made(literal_eval(text), sizes))


def _plain(value: Any, symbols: list[Any]) -> Any:
    """Write objects as the name of their class and what they hold."""
    if isinstance(value, tuple):
        items = tuple(_plain(v, symbols) for v in value)
        return items if type(value) is tuple else {f"{type(value).__module__}:{type(value).__qualname__}": items}
    if is_symbol(value):
        symbols.append(value)
        return {_OPEN: len(symbols) - 1}
    if isinstance(value, ModuleType):
        return {value.__name__: None}
    if hasattr(value, "dtype"):  # a size of a tensor that torch.jit.trace follows
        return int(value)
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if is_dataclass(value):
        return {name: tuple(_plain(getattr(value, field.name), symbols) for field in fields(value) if field.init)}
    if isinstance(value, Enum):
        return {name: value.name}
    return value if type(value) in (int, float, bool, str, type(None)) else {name: str(value)}


def _made(value: Any, sizes: Sequence[Any]) -> Any:
    """Return the value that was serialized."""
    if isinstance(value, tuple):
        return tuple(_made(v, sizes) for v in value)
    if not isinstance(value, dict):
        return value
    ((name, held),) = value.items()
    if name == _OPEN:
        return sizes[held]
    module, _, kind = name.partition(":")
    if not kind and module.startswith(_COMPAT):
        return import_module(module)
    found: Any = getattr(import_module(module), kind, None) if module.startswith(_OWN) else None
    if is_dataclass(found):
        made = found(*(_made(v, sizes) for v in held))  # type: ignore[operator]
        return made.closed() if isinstance(made, OpenResize) else made
    if isinstance(found, type) and issubclass(found, tuple):
        return found(*(_made(v, sizes) for v in held))
    if isinstance(found, type) and issubclass(found, Enum):
        return found[held]
    if isinstance(found, type) and issubclass(found, str):
        return found(held)
    raise ValueError(f"this is no step: {name}")
