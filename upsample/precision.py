"""How a GPU multiplies float32 factors: what callers ask for, and torch's own setting."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from upsample.errors import bad_type, bad_value

__all__ = ["PRECISIONS", "precision_of"]

PRECISIONS = ("float32", "tf32x3", "tf32")
"""Exactly, as three products of TF32 on tensor cores, or rounded to TF32."""
_FIRST_WITH_TF32 = (8, 0)


def precision_of(op: str, precision: object, x: object) -> str:
    """Return one of `PRECISIONS`.

    Parameters
    ----------
    op : str
        The operation, for errors.
    precision : object
        What the caller gave; None is torch's own setting for a torch tensor on a GPU, and otherwise "float32".
    x : array
        The input.

    Examples
    --------
    >>> precision_of("conv_transpose2d", None, object())
    'float32'
    """
    if precision is None:
        return _torchs(x) if getattr(x, "is_cuda", False) else "float32"
    if not isinstance(precision, str):
        raise bad_type(op, "precision", precision, "a string is wanted", f"pass None or one of {PRECISIONS}")
    if precision not in PRECISIONS:
        raise bad_value(op, "precision", precision, "it is unknown", f"pass None or one of {PRECISIONS}")
    return precision


def _torchs(tensor: Any) -> str:
    """Return what torch's own convolution would do: TF32 by default, on GPUs that have it."""
    cudnn: Any = sys.modules["torch"].backends.cudnn
    conv = getattr(cudnn, "conv", None)  # torch 2.9 and later; reading the older flag may raise there
    allowed = cudnn.allow_tf32 if conv is None else conv.fp32_precision == "tf32"
    return "tf32" if allowed and _capability(tensor.device.index) >= _FIRST_WITH_TF32 else "float32"


@lru_cache(maxsize=64)
def _capability(device: int) -> tuple[int, int]:
    made: tuple[int, int] = sys.modules["torch"].cuda.get_device_capability(device)
    return made
