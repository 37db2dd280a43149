"""Allocate the result of a kernel: a new array of the caller's library, or `out`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cuda.runtime.device import Device, is_aligned

__all__ = ["Target"]


class Target:
    """The result of a call.

    Attributes
    ----------
    memory : device array
        Row-major, without gaps: what the kernel writes. Scratch memory where `out` has gaps, or values that are not
        aligned.
    """

    def __init__(
        self, gpu: Device, xp: ModuleType, shape: tuple[int, ...], like: Array, dtype: Any, out: Array | None
    ) -> None:
        self._out = out
        self._made: Any = out
        if out is None or not arrays.is_contiguous(out) or _is_foreign(out) or not is_aligned(gpu.view(out)):
            self._made = gpu.result(xp, shape, dtype, like)
        self.memory = gpu.view(self._made)

    def finished(self) -> Array:
        """Return the result, or `out`, which then holds it."""
        if self._out is not None and self._made is not self._out:
            target: Any = self._out
            target[...] = self._made
            return self._out
        result: Array = self._made
        return result


def _is_foreign(x: Any) -> bool:
    """Say whether memory holds other bits than the values: torch's lazy conjugates and negatives, other byte orders."""
    if hasattr(x, "is_conj"):
        return bool(x.is_conj() or x.is_neg())
    return not getattr(x.dtype, "isnative", True)
