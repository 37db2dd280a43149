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
        The C-contiguous array that the kernel writes: the result, or scratch memory if `out` is not contiguous or not
        aligned.
    """

    def __init__(
        self, gpu: Device, xp: ModuleType, shape: tuple[int, ...], like: Array, dtype: Any, out: Array | None
    ) -> None:
        self._out = out
        self._array: Any = out
        if out is None or not arrays.is_contiguous(out) or _is_foreign(out) or not is_aligned(gpu.view(out)):
            self._array = gpu.result(xp, shape, dtype, like)
        self.memory = gpu.view(self._array)

    def finished(self) -> Array:
        """Return the result, or copy it to `out` and return `out`."""
        if self._out is not None and self._array is not self._out:
            target: Any = self._out
            target[...] = self._array
            return self._out
        result: Array = self._array
        return result


def _is_foreign(x: Any) -> bool:
    """Tell whether the bits in memory differ from the values: lazy conjugates and negatives, other byte orders."""
    if hasattr(x, "is_conj"):
        return bool(x.is_conj() or x.is_neg())
    return not getattr(x.dtype, "isnative", True)
