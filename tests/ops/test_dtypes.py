"""Every dtype an op takes, against the reference on the same rounded values."""

from __future__ import annotations

import numpy as np
import pytest
import tolerances
from cases import noise, shuffled
from dtypes import dtype_of

import upsample
from upsample import reference

MOVED = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]


def values(dtype: str, *shape: int) -> np.ndarray:
    if dtype == "bool":
        return noise(*shape) > 0
    if dtype in COMPLEX:
        return (noise(*shape) + 1j * noise(*shape, seed=1)).astype(dtype)
    if dtype in MOVED:
        info = np.iinfo(dtype)
        return np.random.default_rng(0).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return noise(*shape).astype(dtype_of(dtype))


@pytest.mark.parametrize("dtype", [*MOVED, *FLOATS, "bfloat16", *COMPLEX])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest(dtype: str, mode: str) -> None:
    x = values(dtype, 2, 3, 5, 4)
    got = upsample.interpolate(x, size=(9, 3), mode=mode)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, reference.interpolate(x, size=(9, 3), mode=mode))


@pytest.mark.parametrize("dtype", [*MOVED, *FLOATS, "bfloat16"])
def test_pool_and_unpool(dtype: str) -> None:
    x = values(dtype, 2, 3, 7, 6)
    got, indices = upsample.max_pool2d_with_indices(x, 3, 2, 1)
    wanted, places = reference.max_pool(x, 3, 2, 1, spatial=2)
    assert got.dtype == x.dtype
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(indices, places)
    back = upsample.max_unpool2d(got, indices, 3, 2, 1, output_size=(7, 6))
    assert back.dtype == x.dtype
    assert set(np.unique(back[back != 0])) <= set(np.unique(x))


@pytest.mark.parametrize("dtype", [*MOVED, *FLOATS, "bfloat16", *COMPLEX])
def test_unpool_and_shuffle(dtype: str) -> None:
    x = values(dtype, 1, 4, 3, 2)
    indices = np.broadcast_to(np.asarray([[0, 3], [8, 11], [16, 19]]), x.shape)
    flat = upsample.max_unpool2d(x, indices, 2).reshape(1, 4, -1)
    np.testing.assert_array_equal(flat[..., [0, 3, 8, 11, 16, 19]], x.reshape(1, 4, -1))
    np.testing.assert_array_equal(upsample.pixel_unshuffle(upsample.pixel_shuffle(x, 2), 2), x)


@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16", *COMPLEX])
@pytest.mark.parametrize(
    ("mode", "antialias"), [("bilinear", False), ("bicubic", False), ("area", False), ("lanczos", True)]
)
def test_filters(dtype: str, mode: str, antialias: bool) -> None:
    x = values(dtype, 2, 3, 9, 7)
    got = upsample.interpolate(x, size=(5, 11), mode=mode, antialias=antialias)
    assert got.dtype == x.dtype
    wide = x.astype(np.complex128 if dtype in COMPLEX else np.float64)
    wanted = reference.interpolate(wide, size=(5, 11), mode=mode, antialias=antialias)
    tolerances.assert_close(got, wanted, exact=False)


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos", "area"])
@pytest.mark.parametrize("antialias", [False, True])
def test_uint8(mode: str, antialias: bool) -> None:
    if mode == "area" and antialias:
        pytest.skip("area has no antialias: it is an average already")
    x = noise(40, 30, 3, dtype="uint8")
    got = upsample.resize(x, (23, 41), axes=(0, 1), mode=mode, antialias=antialias)
    assert got.dtype == np.uint8
    wanted = reference.resize(x, (23, 41), axes=(0, 1), mode=mode, antialias=antialias)
    # 16-bit weights; the reference's are float64: one level where a sum is near the middle of two
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("dtype", [*FLOATS, "bfloat16", *COMPLEX, "int64"])
def test_transposed_convolution(dtype: str) -> None:
    if dtype == "int64":
        x, w = shuffled(2, 4, 3, 5).astype(dtype), shuffled(4, 3, 3, 2).astype(dtype)
    else:
        x, w = values(dtype, 2, 4, 3, 5), values(dtype, 4, 3, 3, 2)
    got = upsample.conv_transpose2d(x, w, stride=2, padding=1)
    assert got.dtype == x.dtype
    wide = np.complex128 if dtype in COMPLEX else np.float64
    wanted = reference.conv_transpose(x.astype(wide), w.astype(wide), stride=2, padding=1)
    tolerances.assert_close(got, wanted.astype(got.dtype) if dtype == "int64" else wanted, exact=dtype == "int64")


def test_infinity_in_one_part_leaves_the_other() -> None:
    x = np.zeros((1, 1, 4), dtype=np.complex64)
    x[0, 0, 1] = complex(np.inf, 1.0)
    got = upsample.interpolate(x, size=7, mode="linear")
    assert np.isfinite(got.imag).all()
    assert np.isinf(got.real).any()


@pytest.mark.parametrize("rule", ["last", "sum"])
def test_duplicates(rule: str) -> None:
    x = np.asarray([[[1.0, 2.0], [3.0, 4.0]]], dtype=np.float16)
    indices = np.asarray([[[5, 5], [0, 5]]])
    got = upsample.max_unpool2d(x, indices, 3, 1, output_size=(4, 4), duplicates=rule)
    assert got[0, 1, 1] == (4.0 if rule == "last" else 7.0)
    assert got[0, 0, 0] == 3.0
