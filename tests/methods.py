"""Every interpolation method as `resize` has it: mode, antialias, align_corners. A new one is tested by being there."""

from __future__ import annotations

import pytest

from upsample.plans.filters import FILTERS, Weighted

__all__ = ["METHODS", "every_method"]

METHODS = tuple(
    (mode, antialias, corners)
    for mode, method in FILTERS.items()
    for antialias, corners in (
        (False, False),
        *([(True, False)] if isinstance(method, Weighted) else []),
        *([(False, True)] if isinstance(method, Weighted) and method.knows_corners else []),
    )
)
every_method = pytest.mark.parametrize(
    ("mode", "antialias", "corners"), METHODS, ids=[f"{m}{'-antialias' * a}{'-corners' * c}" for m, a, c in METHODS]
)
