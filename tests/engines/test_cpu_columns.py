"""Planes of one column run as rows: the same values, indices and bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from backends import needs_numba

import upsample

needs_numba()


def values(shape: tuple[int, ...], dtype: str) -> Any:
    return np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(2, 3, 50, 1), (1, 2, 7, 6, 1), (1, 2, 1, 1)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 1, 1), (5, 2, 2), (70, 1, 30)])
def test_pooling(shape: tuple[int, ...], kernel: int, stride: int | None, padding: int) -> None:
    x, free = values(shape, "float32"), len(shape) - 3
    window = (*(min(kernel, n) for n in shape[2:-1]), 1)
    strides = None if stride is None else (*[stride] * free, 1)
    paddings = (*(min(padding, k // 2) for k in window[:-1]), 0)
    function = getattr(upsample, f"max_pool{free + 1}d_with_indices")
    got, places = function(x, window, strides, paddings, engine="cpu")
    wanted, indices = function(x, window, strides, paddings, engine="portable")
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(places, indices)


def test_adaptive_pooling() -> None:
    x = values((2, 3, 50, 1), "float64")
    for size in ((7, 1), (1, 1), (50, 1)):
        for got, wanted in zip(
            upsample.adaptive_max_pool2d_with_indices(x, size, engine="cpu"),
            upsample.adaptive_max_pool2d_with_indices(x, size, engine="portable"),
            strict=True,
        ):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("channels", "groups", "size", "kernel", "stride", "padding"), [
    (3, 1, 9, 4, 2, 1), (40, 1, 9, 4, 2, 1), (4, 2, 9, 3, 1, 1), (40, 1, 200, 3, 1, 1), (1, 1, 300, 2, 2, 0),
])  # fmt: skip
def test_transposed_convolution(
    dtype: str, channels: int, groups: int, size: int, kernel: int, stride: int, padding: int
) -> None:
    x, weight = values((2, channels, size, 1), dtype), values((channels, 5, kernel, 1), dtype)
    bias, options = values((5 * groups,), dtype), {"groups": groups, "engine": "cpu"}
    column, pull = upsample.vjp(upsample.conv_transpose2d, x, weight, bias, (stride, 3), (padding, 0), **options)
    row, pull_row = upsample.vjp(upsample.conv_transpose1d, x[..., 0], weight[..., 0], bias, stride, padding, **options)
    assert column[..., 0].tobytes() == row.tobytes()
    assert pull(column)[0][..., 0].tobytes() == pull_row(row)[0].tobytes()
    out = np.empty_like(column)
    assert upsample.conv_transpose2d(x, weight, bias, (stride, 3), (padding, 0), out=out, **options) is out
    assert out.tobytes() == column.tobytes()
    wanted = upsample.conv_transpose2d(x, weight, bias, (stride, 3), (padding, 0), groups=groups, engine="portable")
    tolerances.assert_close(column, wanted, exact=False, margin=2.0)
