"""Shared by the launches of a resize: their canonical axes, and a launch with its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from upsample.engines.cuda.runtime.launch import Launch
from upsample.plans.resize import AxisRule

__all__ = ["Axis", "Pass", "Request", "axis_of"]

Request: TypeAlias = tuple[
    Callable[..., tuple[np.ndarray[Any, Any], ...]] | None, tuple[Hashable, ...], tuple[int, ...]
]
"""A maker of tables, its arguments, and which of the tables the kernel takes; no maker: so many null pointers."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an array that is taken as [outer, rule.in_size, inner]."""

    outer: int
    rule: AxisRule
    inner: int


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A launch from one array to the next.

    Attributes
    ----------
    launch : Launch
        Its arrays are the source, the target and the tables.
    tables : tuple of Request
        What tables.
    size : int
        Values of the target.
    dtype : str
        Of the target.
    """

    launch: Launch
    tables: tuple[Request, ...]
    size: int
    dtype: str


def axis_of(shape: tuple[int, ...], axis: int, rule: AxisRule) -> Axis:
    """See an array of `shape` from one of its axes."""
    return Axis(math.prod(shape[:axis]), rule, math.prod(shape[axis + 1 :]))
