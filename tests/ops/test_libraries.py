"""What only some libraries have: gradients, traces, devices, mixtures."""

from __future__ import annotations

from typing import Any

import backends
import numpy as np
import pytest
from cases import CASES, Case

import upsample

REAL = [case for case in CASES if "max_" not in case.id]


def test_mixed_libraries_are_named() -> None:
    strict = backends.get("strict")
    x = np.zeros((2, 1, 3, 3), dtype=np.float32)
    with pytest.raises(
        TypeError, match=r"conv_transpose2d: weight=<array of array_api_strict>.*input is an array of numpy"
    ):
        upsample.conv_transpose2d(x, strict.make(x))
    with pytest.raises(TypeError, match="interpolate: out=<array of array_api_strict>"):
        upsample.interpolate(x, size=3, out=strict.make(x))


def test_mixed_devices_are_named() -> None:
    backends.get("strict")
    import array_api_strict as xp

    x = xp.asarray(np.zeros((2, 1, 3, 3), dtype=np.float32))
    other = xp.asarray(np.zeros((2, 1, 3, 3), dtype=np.float32), device=xp.Device("device1"))
    with pytest.raises(TypeError, match=r"weight=<array on device .*device1"):
        upsample.conv_transpose2d(x, other)


def test_the_result_is_on_the_device_of_the_input() -> None:
    backends.get("strict")
    import array_api_strict as xp

    device = xp.Device("device1")
    x = xp.asarray(np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4), device=device)
    y, i = upsample.max_pool2d_with_indices(x, 2)
    for result in (
        upsample.interpolate(x, size=(3, 5), mode="bicubic"),
        upsample.interpolate(x, size=(3, 5)),
        upsample.conv_transpose2d(x, xp.ones((2, 3, 2, 2), dtype=xp.float32, device=device)),
        upsample.max_unpool2d(y, i, 2),
        upsample.pixel_unshuffle(x, 2),
        y,
        i,
    ):
        assert result.device == device


@pytest.mark.parametrize("case", REAL, ids=repr)
def test_torch_autograd_follows(case: Case) -> None:
    torch_backend = backends.get("torch")
    import torch

    args = [torch_backend.make(a.astype(np.float64)).requires_grad_() for a in case.arrays]
    if 0 in args[0].shape:
        pytest.skip("an empty batch has no gradient to compare")

    def function(*arrays: Any) -> Any:
        return case.function(*arrays, **case.options)

    assert torch.autograd.gradcheck(function, tuple(args), fast_mode=True)


def test_torch_autograd_through_pool_and_unpool() -> None:
    torch_backend = backends.get("torch")
    import torch

    x = torch_backend.make(np.random.default_rng(0).permutation(50).reshape(1, 2, 5, 5).astype(np.float64))
    x.requires_grad_()

    def function(x: Any) -> Any:
        values, indices = upsample.max_pool2d_with_indices(x, 3, 2, 1)
        return upsample.max_unpool2d(values, indices, 3, 2, 1)

    assert torch.autograd.gradcheck(function, (x,))


def test_out_under_autograd_is_refused() -> None:
    torch_backend = backends.get("torch")
    x = torch_backend.make(np.zeros((1, 1, 2, 2)))
    out = torch_backend.make(np.zeros((1, 1, 4, 4)))
    with pytest.raises(ValueError, match="autograd"):
        upsample.interpolate(x.requires_grad_(), size=4, out=out)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_under_jit(case: Case) -> None:
    jax_backend = backends.get("jax")
    import jax

    args = [jax_backend.make(a) for a in case.arrays]
    plain = case.function(*args, **case.options)
    traced = jax.jit(lambda *a: case.function(*a, **case.options))(*args)
    assert (traced is None) == (plain is None)
    for a, b in zip(jax.tree.leaves(traced), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("duplicates", ["last", "sum"])
def test_unpool_under_jit_takes_indices_anywhere_and_drops_those_outside(duplicates: str) -> None:
    jax_backend = backends.get("jax")
    import jax

    indices = jax_backend.make(np.asarray([[[15, 0], [15, 99]]]))
    values = jax_backend.make(np.asarray([[[1.0, 2.0], [3.0, 4.0]]]))
    got = np.asarray(jax.jit(lambda v, i: upsample.max_unpool2d(v, i, 2, duplicates=duplicates))(values, indices))
    assert np.flatnonzero(got).tolist() == [0, 15]
    assert got[0, 3, 3] == (3.0 if duplicates == "last" else 4.0)


def test_without_64_bits_jax_gets_32_bit_indices() -> None:
    jax_backend = backends.get("jax")
    import jax

    with jax.enable_x64(False):
        values, indices = upsample.max_pool2d_with_indices(jax_backend.make(np.ones((1, 4, 4), dtype=np.float32)), 2)
        assert indices.dtype == np.int32
        assert upsample.max_unpool2d(values, indices, 2).dtype == np.float32
        picture = jax_backend.make(np.arange(100, dtype=np.uint8).reshape(10, 10))
        assert upsample.resize(picture, (3, 3), antialias=True).dtype == np.uint8


def test_dask_stays_lazy() -> None:
    dask_backend = backends.get("dask")
    x = dask_backend.make(np.random.default_rng(0).random((2, 3, 8, 8)))
    for result in (upsample.interpolate(x, scale_factor=2, mode="bicubic"), upsample.max_pool2d(x, 2)):
        assert type(result) is type(x)
