"""How this package treats floating-point errors: it computes infinity and NaN, and NumPy reports nothing."""

from __future__ import annotations

import numpy as np

__all__ = ["quiet"]

quiet = np.errstate(all="ignore")
"""Decorates every function that computes with NumPy: no result may depend on the caller's ``np.errstate``.

NumPy would warn of infinities and NaN in the input, of weights that vanish, and of sums that a half dtype cannot hold;
no other array library does. Each thread has its own state.
"""
