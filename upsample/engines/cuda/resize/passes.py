"""Shared by the launches of a resize: an axis in canonical form, and a launch with its tables."""

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
"""A function that makes tables, its arguments, and the numbers of the tables that the kernel reads.

If the function is None, the kernel gets as many null pointers.
"""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an array of shape ``[outer, rule.in_size, inner]``."""

    outer: int
    rule: AxisRule
    inner: int


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A launch from one array to the next.

    Attributes
    ----------
    launch : Launch
        The launch; its arrays are the source, the target and the tables.
    tables : tuple of Request
        The tables.
    size : int
        Number of values of the target.
    dtype : str
        Dtype of the target.
    """

    launch: Launch
    tables: tuple[Request, ...]
    size: int
    dtype: str


def axis_of(shape: tuple[int, ...], axis: int, rule: AxisRule) -> Axis:
    """Return the canonical form of an axis of an array of `shape`."""
    return Axis(math.prod(shape[:axis]), rule, math.prod(shape[axis + 1 :]))
