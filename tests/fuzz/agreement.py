"""Whether a result agrees with the reference: bit for bit where values move, else within the roundings of its dtype."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tolerances import EPS, ROUNDINGS, name_of

from fuzz.expected import Want, held

__all__ = ["assert_agrees"]


def assert_agrees(got: tuple[np.ndarray, ...], wanted: Want, without: Callable[[], Want] | None) -> None:
    """Compare the results of a call.

    Parameters
    ----------
    got : tuple of array
        Of the call.
    wanted : Want
        Of the reference.
    without : callable or None
        What the reference says of the same call whose NaNs and infinities are zeros; asked only where one of two
        results is finite and the other is not, which rounded coordinates explain where a weight is next to nothing.
    """
    assert len(got) == len(wanted.arrays), f"{len(got)} results, not {len(wanted.arrays)}"
    for one, other in zip(got, wanted.arrays, strict=True):
        _assert_one(held(one), other, wanted, without)


def _assert_one(got: np.ndarray, want: np.ndarray, wanted: Want, without: Callable[[], Want] | None) -> None:
    assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}"
    if wanted.exact:
        assert want.dtype == got.dtype or got.dtype.name == "bfloat16", f"{got.dtype}, not {want.dtype}"
        np.testing.assert_array_equal(got.astype(want.dtype), want)
        return
    if wanted.between is not None:
        low, high = wanted.between
        right = (got >= low) & (got <= high)
        assert right.all(), f"{_said(got, low, right, np.zeros(got.shape))}, up to {high[~right][0]}"
        return
    wide = np.complex128 if np.iscomplexobj(want) else np.float64
    with np.errstate(all="ignore"):
        g = got.astype(wide)
        slack = _slack(got.dtype, want, wanted.bound)
        if wanted.divisors is not None:  # what is lost of a sum is divided, too
            slack = slack + (slack * (1 + np.abs(np.nan_to_num(want)))) / np.maximum(wanted.divisors, 2.0**-17)
        most = _largest(got.dtype)
        w = np.where(np.abs(want) > most, np.sign(want) * np.inf, want) if want.dtype.kind == "f" else want
        near = np.abs(g - w) <= slack
        same = near | (g == w) | (np.isnan(g) & np.isnan(w))
        if wanted.divisors is not None:
            same |= (wanted.divisors > 2.0**-17) & (wanted.divisors < 2.0**-15)
        same |= (np.abs(want) + slack > most) & (np.abs(g) + slack > most)  # rounds to the largest number, or past it
        if (
            want.dtype.kind == "c" or wanted.mixes or not wanted.bound < most
        ):  # how parts mix, or what overflows first, is not laid down
            same |= ~np.isfinite(g) & ~np.isfinite(w)
        if not wanted.bound < max(
            most, float(np.finfo(np.float32).max)
        ):  # a partial sum may have passed what sums hold
            same |= ~np.isfinite(g)
    if not same.all() and without is not None and not np.isfinite(want).all():
        same |= _is_a_rounded_tap(g, w, without, slack)
    assert same.all(), _said(g, w, same, slack)


def _is_a_rounded_tap(got: np.ndarray, want: np.ndarray, without: Callable[[], Want], slack: np.ndarray) -> np.ndarray:
    """One of the two is finite, and what the zeroed reference says: the other took a NaN at a weight of nothing."""
    clean = without().arrays[0]
    finite = np.where(np.isfinite(got), got, want)
    return (np.isfinite(got) ^ np.isfinite(want)) & (np.abs(finite - clean) <= 2 * slack)


def _slack(dtype: np.dtype, want: np.ndarray, bound: float) -> np.ndarray:
    """How far each element may be off: a rounding of its own, and those of the sum that it is."""
    name = name_of(dtype)
    if dtype.kind in "iu":  # as torch, `interpolate` rounds bytes after each axis; ties fall either way
        return np.full(want.shape, 1.0 if dtype == np.uint8 else 0.0)
    if name.startswith("complex"):
        name = "float32" if name == "complex64" else "float64"
    summed = EPS["float64"] if name == "float64" else EPS["float32"]
    each = np.where(np.isfinite(want), np.abs(want), 0.0)
    return EPS[name] * each + 2 * ROUNDINGS * summed * max(bound, 1e-30) + _least(name)


def _least(name: str) -> float:
    """The spacing of the smallest numbers."""
    return {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}[name]


def _largest(dtype: np.dtype) -> float:
    if dtype.name == "bfloat16":
        return 3.3895314e38
    return float(np.finfo(dtype).max) if dtype.kind in "fc" else np.inf


def _said(got: np.ndarray, want: np.ndarray, same: np.ndarray, slack: np.ndarray) -> str:
    place = tuple(int(i) for i in np.argwhere(~same)[0])
    return (
        f"{(~same).sum()} of {same.size} differ, first at {place}: {got[place]}, not {want[place]} ± {slack[place]:.3g}"
    )
