"""An interpolation method is one entry in the registry: a new one works on every engine, as its formula says."""

from __future__ import annotations

import sys
from math import floor
from types import MappingProxyType

import numpy as np
import pytest

import upsample
from upsample.engines.dispatch import ENGINES
from upsample.plans import filters

USABLE = [engine.name for engine in ENGINES if engine.name not in ("cuda", "dask", "jax") and engine.unusable() is None]


def mitchell(distance: np.ndarray, _: float) -> np.ndarray:
    """Mitchell and Netravali's kernel of 1988 with B = C = 1/3, which blurs even what it does not resize."""
    x = np.abs(distance)
    near = (7 * x - 12) * x * x + 16 / 3
    far = ((-7 / 3 * x + 12) * x - 20) * x + 32 / 3
    return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6


def by_hand(x: np.ndarray, size: int, antialias: bool) -> np.ndarray:
    """The formula in plain loops; beyond the border the edge repeats, but under antialias the filter is cut off."""
    made, step = [], len(x) / size
    wide = max(step, 1.0) if antialias else 1.0
    for i in range(size):
        centre = (i + 0.5) * step - 0.5
        places = range(floor(centre - 2 * wide), floor(centre + 2 * wide) + 2)
        if antialias:
            places = [j for j in places if 0 <= j < len(x)]
        weights = [float(mitchell(np.asarray((j - centre) / wide), 0.0)) for j in places]
        made.append(sum(w * x[min(max(j, 0), len(x) - 1)] for w, j in zip(weights, places, strict=True)) / sum(weights))
    return np.asarray(made)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more entry, as in `FILTERS`."""
    method = filters.Weighted(support=2, weight=mitchell, knows_corners=False, stops_at_edge=False)
    table = MappingProxyType({**filters.FILTERS, "bell": method})
    for name in [n for n, m in sys.modules.items() if n.startswith("upsample") and hasattr(m, "FILTERS")]:
        monkeypatch.setattr(sys.modules[name], "FILTERS", table)


@pytest.mark.parametrize("engine", USABLE)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [23, 11, 5, 1])
def test_it_is_resampled_by_its_formula(size: int, antialias: bool, engine: str) -> None:
    x = np.random.default_rng(0).random(11)
    got = upsample.resize(x, size, mode="bell", antialias=antialias, engine=engine)
    np.testing.assert_allclose(got, by_hand(x, size, antialias), rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", USABLE)
def test_its_gradient_is_the_transpose(engine: str) -> None:
    rng = np.random.default_rng(0)
    x, g = rng.random((7, 8)), rng.random((14, 16))
    y, pullback = upsample.vjp(upsample.resize, x, scale=2, mode="bell", engine=engine)
    (grad,) = pullback(g)
    assert np.vdot(y, g) == pytest.approx(np.vdot(x, grad), rel=1e-12)


def test_the_documentation_of_resize_names_every_method() -> None:
    absent = [name for name in filters.FILTERS if f'``"{name}"``' not in (upsample.resize.__doc__ or "")]
    assert absent == ["bell"]


def test_messages_know_it() -> None:
    with pytest.raises(ValueError, match=r"pass one of nearest.*bell"):
        upsample.resize(np.ones(3), 5, mode="bel")
    with pytest.raises(ValueError, match=r"omit it, or use linear, cubic, spline2, spline3, spline4, spline5$"):
        upsample.resize(np.ones(3), 5, mode="bell", align_corners=True)


def test_who_keeps_samples() -> None:
    blur = {"hamming", "mitchell", "bell"}
    for name in set(filters.FILTERS) - blur:
        assert filters.keeps_samples(filters.FILTERS[name], -0.75), name
    (blurring,) = (m for n, m in sys.modules["upsample.native"].FILTERS.items() if n == "bell")
    assert not filters.keeps_samples(blurring, 0.0)
