"""torch.autocast, which torch's own convolutions follow and a function made of other calls has to ask for."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array

__all__ = ["autocast"]


def autocast(xp: ModuleType, *given: Array | None) -> tuple[Any, ...]:
    """Return tensors in the dtype of the ``torch.autocast`` they are in, as torch does; other arrays as they are.

    float64, complex numbers and integers stay, as in torch. The conversion is torch's: autograd follows it.
    """
    if arrays.library(xp) != "torch":
        return given
    torch: Any = sys.modules["torch"]
    device: Any = arrays.device_of(given[0])
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return given
    dtype = torch.get_autocast_dtype(device.type)
    return tuple(
        x.to(dtype) if x is not None and x.is_floating_point() and x.dtype != torch.float64 else x  # type: ignore[attr-defined]
        for x in given
    )
