"""Dask arrays whose chunks are of CuPy: they stay so, and the CUDA engine runs on them.

Run by ``test_on_the_double.py``, in a process in which CuPy is the double.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import upsample
from double import memory

cupy: Any = pytest.importorskip("cupy")
da: Any = pytest.importorskip("dask.array")

VALUES = np.random.default_rng(0).standard_normal((2, 4, 12, 18)).astype("float32")
WEIGHT = np.random.default_rng(1).standard_normal((4, 3, 4, 4)).astype("float32")


def chunked(x: np.ndarray) -> Any:
    chunks = (1, -1, 5, 7)
    return da.from_array(cupy.asarray(x), chunks=chunks, asarray=False, name=False)


def unpooled(x: Any) -> Any:
    return upsample.max_unpool2d(*upsample.max_pool2d_with_indices(x, 2), 2)


CALLS: dict[str, Callable[[Any], Any]] = {
    "cubic": lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"),
    "area": lambda x: upsample.resize(x, (5, 7), axes=(2, 3), mode="area"),
    "pool": lambda x: upsample.max_pool2d(x, 3, 2, 1),
    "indices": lambda x: upsample.max_pool2d_with_indices(x, 2)[1],
    "unpool": unpooled,
    "shuffle": lambda x: upsample.pixel_shuffle(x, 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_chunks_stay_on_the_gpu_with_the_bits_of_the_cpu(name: str) -> None:
    call = CALLS[name]
    lazy = call(chunked(VALUES))
    assert isinstance(lazy._meta, cupy.ndarray)
    with memory.recording() as events:
        made = lazy.compute(scheduler="synchronous")
    assert isinstance(made, cupy.ndarray)
    assert name == "shuffle" or any(event.kind == "launch" for event in events)
    want = call(VALUES)
    assert (made.dtype, made.shape) == (want.dtype, want.shape)
    assert cupy.asnumpy(made).tobytes() == want.tobytes()


def test_transposed_convolution_and_its_gradients_stay_on_the_gpu() -> None:
    weight, bias = (da.from_array(cupy.asarray(x), asarray=False, name=False) for x in (WEIGHT, WEIGHT[0, :, 0, 0]))
    lazy, pull = upsample.vjp(upsample.conv_transpose2d, chunked(VALUES), weight, bias, stride=2, padding=1)
    want, back = upsample.vjp(upsample.conv_transpose2d, VALUES, WEIGHT, WEIGHT[0, :, 0, 0], stride=2, padding=1)
    grad = np.random.default_rng(2).standard_normal(want.shape).astype("float32")
    for one, other in zip((lazy, *pull(chunked(grad))), (want, *back(grad)), strict=True):
        assert isinstance(one._meta, cupy.ndarray)
        made = one.compute(scheduler="synchronous")
        assert isinstance(made, cupy.ndarray)
        np.testing.assert_allclose(cupy.asnumpy(made), other, rtol=1e-4, atol=1e-4)
