"""Gradients that JAX compiles while it has no float64, as it is by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import upsample

jax = pytest.importorskip("jax")

W = np.random.default_rng(1).random((2, 3, 3), dtype=np.float32)
OPS: dict[str, Callable[[Any], Any]] = {
    "interpolate": lambda x: upsample.interpolate(x, size=9, mode="linear"),
    "area": lambda x: upsample.interpolate(x, size=4, mode="area"),
    "max_pool1d": lambda x: upsample.max_pool1d(x, 2),
    "conv_transpose1d": lambda x: upsample.conv_transpose1d(
        x, W if isinstance(x, np.ndarray) else jax.numpy.asarray(W)
    ),
}


@pytest.mark.parametrize("name", OPS)
def test_compiled_gradients_without_float64_are_those_of_numpy(name: str) -> None:
    x = np.random.default_rng(0).random((1, 2, 6), dtype=np.float32)
    y, pull = upsample.vjp(OPS[name], x)
    with jax.enable_x64(False):
        made = jax.jit(jax.grad(lambda x: (OPS[name](x) ** 2).sum()))(jax.numpy.asarray(x))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, pull(2 * y)[0], 1e-5, 1e-5)
