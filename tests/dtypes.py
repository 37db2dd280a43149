"""NumPy's dtypes by their names; bfloat16 is that of ml_dtypes."""

from __future__ import annotations

import numpy as np
import pytest

__all__ = ["MOVABLE", "dtype_of"]

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
MOVABLE = ("bool", *_INTEGERS, "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
"""Those of arrays whose values only move."""


def dtype_of(name: str) -> np.dtype:
    """Return a dtype, or skip where ml_dtypes is absent."""
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: no bfloat16").bfloat16)
    return np.dtype(name)
