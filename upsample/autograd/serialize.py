"""Write steps as text, which a torch graph contains, in this process or in a file."""

from __future__ import annotations

from ast import literal_eval
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from upsample.autograd.step import ShapedStep
from upsample.caches import cached

__all__ = ["read", "written"]

_OWN, _COMPAT = "upsample.", "array_api_compat."
"""Packages whose classes and namespaces a step may have; a file may name others, which are refused."""


def written(step: ShapedStep) -> str:
    """Return a step as text."""
    return repr(_plain(step))


@cached
def read(text: str) -> ShapedStep:
    """Return the step of a text; ValueError if the text is no step."""
    return cast(ShapedStep, _made(literal_eval(text)))


def _plain(value: Any) -> Any:
    """Write an object as the name of its class and its fields."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, ModuleType):
        return {value.__name__: None}
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if is_dataclass(value):
        return {name: tuple(_plain(getattr(value, field.name)) for field in fields(value) if field.init)}
    if isinstance(value, Enum):
        return {name: value.name}
    return value if type(value) in (int, float, bool, str, type(None)) else {name: str(value)}


def _made(value: Any) -> Any:
    """Return the object that was written."""
    if isinstance(value, tuple):
        return tuple(map(_made, value))
    if not isinstance(value, dict):
        return value
    ((name, held),) = value.items()
    module, _, kind = name.partition(":")
    if not kind and module.startswith(_COMPAT):
        return import_module(module)
    found: Any = getattr(import_module(module), kind, None) if module.startswith(_OWN) else None
    if is_dataclass(found):
        return found(*map(_made, held))  # type: ignore[operator]
    if isinstance(found, type) and issubclass(found, Enum):
        return found[held]
    if isinstance(found, type) and issubclass(found, str):
        return found(held)
    raise ValueError(f"this is no step: {name}")
