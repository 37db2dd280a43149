"""How far a result may be from the float64 reference, by dtype, with the reason.

Kept in one table: a tolerance that grows shows in review.
"""

from __future__ import annotations

import numpy as np

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}

ROUNDINGS = 64
"""A sum of some dozen products, each rounded a few times, in the dtype it is summed in."""


def name_of(dtype: np.dtype) -> str:
    return np.dtype(dtype).newbyteorder("=").name


def allowed(dtype: np.dtype, scale: float) -> float:
    """Return the largest deviation of arithmetic in `dtype` on values up to `scale`."""
    name = name_of(dtype)
    if name in ("float16", "bfloat16"):  # summed in float32 and rounded once: half an ulp, and one for the tie
        return EPS[name] * scale
    if name == "uint8":  # each axis rounds; ties fall either way
        return 1.0
    if name.startswith("complex"):
        name = "float32" if name == "complex64" else "float64"
    return ROUNDINGS * EPS[name] * scale if name in EPS else 0.0


def assert_close(got: np.ndarray, want: np.ndarray, exact: bool, margin: float = 1.0) -> None:
    """Assert equality, bit for bit where values only move, else within the dtype's tolerance."""
    assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}"
    if exact:
        np.testing.assert_array_equal(got, want)
        return
    wide = np.complex128 if np.iscomplexobj(got) or np.iscomplexobj(want) else np.float64
    g, w = got.astype(wide), want.astype(wide)
    finite = np.isfinite(w)
    np.testing.assert_array_equal(np.isnan(g), np.isnan(w))
    np.testing.assert_array_equal(g[~finite & ~np.isnan(w)], w[~finite & ~np.isnan(w)])
    if finite.any():
        scale = max(1.0, float(np.abs(w[finite]).max()))
        worst = float(np.abs(g[finite] - w[finite]).max())
        limit = margin * allowed(got.dtype, scale)
        assert worst <= limit, f"off by {worst:.3g}, allowed {limit:.3g}"
