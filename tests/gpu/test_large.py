"""Arrays past 2^31 elements: their far corner is that of the same op on the corner alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import upsample

pytestmark = pytest.mark.gpu

SIDE = 46_342
"""Its square is just over 2^31."""
CORNER = 40

WEIGHT = np.random.default_rng(1).standard_normal((1, 1, 2, 2)).astype(np.float16)

ENLARGED: dict[str, Callable[..., Any]] = {
    "nearest": lambda x, made: upsample.interpolate(x, scale_factor=2, engine="cuda"),
    "bilinear": lambda x, made: upsample.interpolate(x, scale_factor=2, mode="bilinear", engine="cuda"),
    "bicubic": lambda x, made: upsample.interpolate(x, scale_factor=2, mode="bicubic", engine="cuda"),
    "conv_transpose": lambda x, made: upsample.conv_transpose2d(x, made(WEIGHT), stride=2, engine="cuda"),
}


def needs(cupy: Any, gib: float) -> None:
    cupy.get_default_memory_pool().free_all_blocks()
    free = cupy.cuda.runtime.memGetInfo()[0] / 2**30
    if free < gib:
        pytest.skip(f"too little memory on the CUDA device: {gib} GiB are needed, {free:.1f} are free")


def image(cupy: Any, side: int) -> Any:
    """Numbers that all differ in the corner: a wrong offset reads others."""
    x = cupy.zeros((1, 1, side, side), dtype=np.float16)
    x[...] = cupy.arange(side, dtype=np.float32) % 97
    x[0, 0, -CORNER:, -CORNER:] = cupy.arange(CORNER * CORNER).reshape(CORNER, CORNER)
    return x


@pytest.mark.parametrize("name", ENLARGED)
def test_the_output_is_past_2_to_the_31(name: str, cupy: Any) -> None:
    needs(cupy, 8)
    x = image(cupy, SIDE // 2 + 1)
    result = ENLARGED[name](x, cupy.asarray)
    assert result.size > 2**31
    near = ENLARGED[name](cupy.ascontiguousarray(x[..., -CORNER:, -CORNER:]), cupy.asarray)
    np.testing.assert_array_equal(cupy.asnumpy(result[..., -60:, -60:]), cupy.asnumpy(near[..., -60:, -60:]))


def test_pool_and_unpool_past_2_to_the_31(cupy: Any) -> None:
    needs(cupy, 24)
    x = image(cupy, SIDE)
    values, indices = upsample.max_pool2d_with_indices(x, 2, engine="cuda")
    assert x.size > 2**31
    np.testing.assert_array_equal(values[..., -20:, -20:].get(), x[..., 1::2, 1::2][..., -20:, -20:].get())
    assert int(indices[0, 0, -1, -1]) == SIDE * SIDE - 1
    del x
    back = upsample.max_unpool2d(values, indices, 2, engine="cuda")
    np.testing.assert_array_equal(back[..., 1::2, 1::2][..., -20:, -20:].get(), values[..., -20:, -20:].get())
    assert not back[..., ::2, -40:].any()


def test_halving_from_past_2_to_the_31(cupy: Any) -> None:
    needs(cupy, 12)
    x = image(cupy, SIDE)
    for mode in ("bilinear", "bicubic"):
        options: dict[str, Any] = dict(scale_factor=0.5, mode=mode, antialias=True, engine="cuda")
        result = upsample.interpolate(x, **options)
        near = upsample.interpolate(cupy.ascontiguousarray(x[..., -CORNER:, -CORNER:]), **options)
        np.testing.assert_allclose(result[..., -14:, -14:].get(), near[..., -14:, -14:].get(), rtol=2e-3)
