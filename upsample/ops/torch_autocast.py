"""torch.autocast, which torch's own ops follow and a function made of other calls has to ask for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array, ArrayT
from upsample.ops.taped_casts import convert

__all__ = ["in_autocast_dtype", "in_float32"]

_IN_FLOAT32: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "cpu": frozenset(
            {"max_unpool1d", "max_unpool2d", "max_unpool3d", "max_pool3d", "adaptive_max_pool3d", "area3d"}
        ),
        "cuda": frozenset(
            {"nearest1d", "nearest2d", "nearest3d", "nearest-exact1d", "nearest-exact2d", "nearest-exact3d"}
            | {"linear1d", "bilinear2d", "trilinear3d", "bicubic2d"}
        ),
    }
)
"""What torch runs in float32, by device: ``ATen/autocast_mode.{h,cpp}`` of torch 2.13, found by calls on the CPU."""


def in_autocast_dtype(xp: ModuleType, *given: Array | None) -> tuple[Any, ...]:
    """Return tensors in the dtype of the ``torch.autocast`` they are in, as torch does; other arrays as they are."""
    device = _device(xp, given[0])
    if device is None:
        return given
    dtype = sys.modules["torch"].get_autocast_dtype(device)
    return tuple(x if x is None else _converted(xp, x, dtype) for x in given)


def in_float32(xp: ModuleType, op: str, x: ArrayT) -> ArrayT:
    """Return a tensor in float32 if ``torch.autocast`` runs the op so on its device, any other array as it is.

    Parameters
    ----------
    xp : module
        Namespace of `x`.
    op : str
        torch's name of the op, or a mode of interpolate and its axes.
    x : array
        The input.
    """
    device = _device(xp, x)
    return x if device is None or op not in _IN_FLOAT32.get(device, ()) else _converted(xp, x, xp.float32)


def _device(xp: ModuleType, x: Any) -> str | None:
    """Return the type of a tensor's device if autocast is on there."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch._C._is_any_autocast_enabled() or arrays.library(xp) != "torch":
        return None
    device: str = x.device.type
    return device if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device) else None


def _converted(xp: ModuleType, x: Any, dtype: Any) -> Any:
    """Convert, but for float64, complex numbers and integers, which stay, as in torch."""
    return convert(xp, x, dtype) if arrays.dtype_name(x) in ("float16", "bfloat16", "float32") else x
