"""Every interpolation method as `resize` has it: mode, antialias, align_corners. A new one is tested by being there."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from upsample.plans.filters import FILTERS, Point, Weighted

__all__ = ["METHODS", "Method", "every_method"]


class Method(NamedTuple):
    """A way to resample an axis."""

    mode: str
    antialias: bool
    corners: bool

    def __str__(self) -> str:
        return self.mode + "-antialias" * self.antialias + "-corners" * self.corners

    @property
    def moves(self) -> bool:
        """Whether values only move."""
        return isinstance(FILTERS[self.mode], Point)

    @property
    def options(self) -> dict[str, Any]:
        """As `resize` takes it."""
        return dict(mode=self.mode, antialias=self.antialias, align_corners=self.corners)


METHODS = tuple(
    Method(mode, antialias, corners)
    for mode, method in FILTERS.items()
    if mode not in ("spline2", "spline4", "spline5")  # spline3 does for all
    for antialias, corners in (
        (False, False),
        *([(True, False)] if isinstance(method, Weighted) else []),
        *([(False, True)] if isinstance(method, Weighted) and method.knows_corners else []),
    )
)
every_method = pytest.mark.parametrize("method", METHODS, ids=str)
