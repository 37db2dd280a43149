"""What JAX arrays have that other arrays have not: several devices, or none that they must stay on."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["is_movable", "is_spread", "is_tracer"]


def is_movable(x: object) -> bool:
    """Return whether JAX moves an array to other devices when a call needs it there."""
    jax: Any = sys.modules.get("jax")
    if jax is None or not isinstance(x, jax.Array):
        return False
    return is_tracer(x) or not x.committed


def is_tracer(x: object) -> bool:
    """Return whether JAX traces a function, and this stands for an array of it without values."""
    jax: Any = sys.modules.get("jax")
    return jax is not None and isinstance(x, jax.core.Tracer)


def is_spread(device: object) -> bool:
    """Return whether a device is JAX's sharding over several devices, which small tables could not be divided by."""
    return len(getattr(device, "device_set", ())) > 1
