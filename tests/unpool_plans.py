"""Unpoolings of every kind, and indices for them: what the kernels of unpooling and of its transpose are tested on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["DTYPES", "bits", "dtype_of", "own_indices", "plans"]

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *_INTEGERS, "float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def dtype_of(name: str) -> np.dtype:
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed: no bfloat16").bfloat16)
    return np.dtype(name)


def bits(a: np.ndarray) -> tuple[Any, ...]:
    return a.dtype, a.shape, a.tobytes()


@st.composite
def plans(draw: st.DrawFn) -> UnpoolPlan:
    axes = []
    tiles = draw(st.booleans())
    for left in reversed(range(draw(st.integers(1, 3)))):
        if tiles:
            small = draw(st.integers(1, 5)) * (1 if left else 4)
            kernel = draw(st.integers(1, 3)) if left else 2
            large = small * kernel + (draw(st.integers(-1, 1)) if left else 0)
            axes.append(WindowAxis(max(large, 1), small, kernel, kernel, 0, 1))
            continue
        small, kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
        padding, dilation = draw(st.integers(0, 3)), draw(st.integers(1, 3))
        large = (small - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
        axes.append(WindowAxis(max(large + draw(st.integers(0, 4)), 1), small, kernel, stride, padding, dilation))
    local = draw(st.booleans())
    duplicates = draw(st.sampled_from(["last", "sum"] if local else ["last", "sum", "error"]))
    return UnpoolPlan(tuple(axes), local, duplicates, draw(st.booleans()), deterministic=True)


def own_indices(plan: UnpoolPlan, rng: np.random.Generator, planes: int) -> np.ndarray:
    """Indices in their own windows, as a pooling makes them."""
    shape = (planes, *plan.small_shape)
    flat = np.zeros(shape, dtype=np.int64)
    for place, axis in enumerate(plan.axes):
        cells = np.arange(axis.small).reshape((-1,) + (1,) * (len(plan.axes) - place - 1))
        tap = rng.integers(0, axis.kernel, shape)
        if plan.local_indices:
            flat = flat * axis.kernel + tap
            continue
        position = cells * axis.stride - axis.padding + tap * axis.dilation
        first = cells * axis.stride - axis.padding + axis.first_inside()[cells] * axis.dilation
        position = np.where((position >= 0) & (position < axis.large), position, first)
        flat = flat * axis.large + position
    return flat
