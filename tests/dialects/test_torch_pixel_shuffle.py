"""upsample.pixel_shuffle and pixel_unshuffle against live torch: values that only move."""

import itertools

import numpy as np
import pytest
import torch_live as live

import upsample

DTYPES = (*live.FLOATS, "uint8", "int8", "int16", "int32", "int64", "bool", "complex64", "complex128")
LEADING = ((), (2,), (1,), (2, 3), (0,), (2, 0, 3))
SHAPES = [
    (leading, channels, factor, height, width)
    for leading, channels, factor, (height, width) in itertools.product(
        LEADING, (1, 2, 3), (1, 2, 3), ((1, 1), (2, 3), (4, 1))
    )
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_shuffle_and_unshuffle(dtype: str) -> None:
    def check(case: tuple) -> None:
        leading, c, r, h, w = case
        x = live.values((*leading, c * r * r, h, w), dtype, 1)
        if dtype in live.FLOATS and x.size > 4:
            x.reshape(-1)[:4] = (np.nan, np.inf, -np.inf, -0.0)
        there = live.call("pixel_shuffle", x, r)
        live.assert_same_bits(upsample.pixel_shuffle(x, r), there)
        if x.size:  # torch's pixel_unshuffle of an empty array: see below
            live.assert_same_bits(upsample.pixel_unshuffle(there, r), live.call("pixel_unshuffle", there, r))
        live.assert_same_bits(upsample.pixel_unshuffle(there, r), x)

    assert live.run_all(SHAPES, check) == len(SHAPES)


def test_torch_contradicts_itself_in_pixel_unshuffle_of_an_empty_batch() -> None:
    """torch's CPU kernel returns the input's own shape; its shape function returns the documented one, as we do."""
    x = np.empty((0, 1, 2, 2), dtype=np.float32)
    on_meta = live.torch.nn.functional.pixel_unshuffle(live.to_torch(x).to("meta"), 2)
    assert live.call("pixel_unshuffle", x, 2).shape == (0, 1, 2, 2)
    assert tuple(on_meta.shape) == (0, 4, 1, 1)
    assert upsample.pixel_unshuffle(x, 2).shape == (0, 4, 1, 1)


def test_names() -> None:
    x = live.values((2, 8, 3, 5), "float32", 2)
    y = upsample.pixel_shuffle(input=x, upscale_factor=2)
    live.assert_same_bits(y, live.call("pixel_shuffle", x, 2))
    live.assert_same_bits(upsample.pixel_unshuffle(input=y, downscale_factor=2), x)


def test_foreign_layouts() -> None:
    plain = live.values((2, 8, 3, 5), "float32", 3)
    expected = live.call("pixel_shuffle", plain, 2)
    for x in live.layouts(plain):
        live.assert_same_bits(upsample.pixel_shuffle(x, 2), expected)
    strided = np.repeat(expected, 2, axis=-1)[..., ::2]
    live.assert_same_bits(upsample.pixel_unshuffle(strided, 2), plain)


def test_grid_is_as_large_as_promised() -> None:
    assert 3 * len(SHAPES) * len(DTYPES) >= 5000


def test_a_planted_fault_is_seen() -> None:
    """Chainer's channel order and a swapped pair of axes are failures."""
    x = live.values((1, 8, 2, 2), "int32", 4)
    good = live.call("pixel_shuffle", x, 2)
    depth_first = x.reshape(1, 2, 2, 2, 2, 2).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 4)
    for fault in (depth_first, good.swapaxes(2, 3), good.astype(np.int64), good[..., :-1]):
        with pytest.raises(AssertionError):
            live.assert_same_bits(fault, good)
