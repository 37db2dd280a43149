"""Sums of outputs with very many taps, continued from piece to piece of their weights."""

from __future__ import annotations

from upsample.arrays import NDArray
from upsample.engines.cpu.runtime.compile import frozen, kernel
from upsample.engines.cpu.runtime.fma import fma

__all__ = ["add"]


@kernel
def _add(inputs: NDArray, weight: NDArray, sums: NDArray, inner: int) -> None:
    """Add products to flat sums, a plane after the other, in the order of `runtime.fma`."""
    taps = len(weight)
    for plane in range(len(sums) // inner):
        source, target = plane * taps * inner, plane * inner
        if inner == 1:
            total = sums[target]
            for t in range(taps):
                total = fma(inputs[source + t], weight[t], total)
            sums[target] = total
        else:
            for t in range(taps):
                for i in range(inner):
                    sums[target + i] = fma(inputs[source + t * inner + i], weight[t], sums[target + i])


def add(inputs: NDArray, weight: NDArray, sums: NDArray) -> None:
    """Add products; see `upsample.engines.long_axes.LongResize`."""
    _add(frozen(inputs.reshape(-1)), frozen(weight), sums.reshape(-1), sums.shape[1])
