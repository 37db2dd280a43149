"""Steps as text: what a graph of torch's holds of them, in this process or in a file."""

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
"""Where all classes, and namespaces, of a step come from; a file may say something else."""


def written(step: ShapedStep) -> str:
    """Return a text that says all of a step."""
    return repr(_plain(step))


@cached
def read(text: str) -> ShapedStep:
    """Return the step that a text says; ValueError where it says something else."""
    return cast(ShapedStep, _made(literal_eval(text)))


def _plain(value: Any) -> Any:
    """Write objects as the name of their class and what they hold."""
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
    """Make of what was written what it was."""
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
