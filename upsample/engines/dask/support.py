"""Decide which calls the Dask engine supports."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from upsample.arrays import Array

__all__ = ["supports", "unusable"]


def unusable() -> str | None:
    """Return None, or in words why the engine is of no use on this machine; Dask is looked for, not imported."""
    return None if find_spec("dask") is not None else 'Dask is not installed: pip install "upsample[dask]"'


def supports(task: str, plan: object, x: Array) -> str | None:
    """Return None, or in words why this engine does not carry out `plan` on `x`."""
    module: Any = sys.modules.get("dask.array")
    if module is None or not isinstance(x, module.Array):
        return "it takes Dask arrays only"
    block: Any = x
    cupy: Any = sys.modules.get("cupy")
    if not isinstance(block._meta, np.ndarray) and not (cupy is not None and isinstance(block._meta, cupy.ndarray)):
        return f"its blocks are of {type(block._meta).__name__}, neither of NumPy nor of CuPy"
    return None
