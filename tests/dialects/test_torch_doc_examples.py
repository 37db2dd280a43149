"""The examples of torch's documentation, as numbers: they need no torch, and are compared with it where it is.

Every number here was printed by torch 2.13 or is in its documentation.
"""

import numpy as np
import pytest

import upsample

NO_TORCH = "torch is not installed; the recorded numbers are tested all the same"
SQUARE = np.arange(1.0, 5.0, dtype=np.float32).reshape(1, 1, 2, 2)
CORNER = np.pad(SQUARE, ((0, 0), (0, 0), (0, 1), (0, 1)))


# ------------------------------------------------------------------------------------------ MaxUnpool pages


def test_max_unpool2d_page_first_example() -> None:
    x = np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 1, 4, 4)
    y, indices = upsample.max_pool2d(x, 2, stride=2, return_indices=True)
    assert y.tolist() == [[[[6, 8], [14, 16]]]]
    assert indices.tolist() == [[[[5, 7], [13, 15]]]]
    back = upsample.max_unpool2d(y, indices, 2, stride=2)
    assert back.dtype == np.float32
    assert back.tolist() == [[[[0, 0, 0, 0], [0, 6, 0, 8], [0, 0, 0, 0], [0, 14, 0, 16]]]]


def test_max_unpool2d_page_second_example() -> None:
    """output_size=input.size() resolves which of two sizes was pooled; without it the call fails."""
    x = np.arange(1.0, 21.0, dtype=np.float32).reshape(1, 1, 4, 5)
    y, indices = upsample.max_pool2d(x, 2, stride=2, return_indices=True)
    expected = [[[[0, 0, 0, 0, 0], [0, 7, 0, 9, 0], [0, 0, 0, 0, 0], [0, 17, 0, 19, 0]]]]
    for size in (x.shape, list(x.shape), (4, 5)):
        assert upsample.max_unpool2d(y, indices, 2, stride=2, output_size=size).tolist() == expected
    with pytest.raises((ValueError, IndexError), match=r"^max_unpool2d"):
        upsample.max_unpool2d(y, indices, 2, stride=2)


def test_max_unpool1d_page() -> None:
    x = np.arange(1.0, 9.0, dtype=np.float32).reshape(1, 1, 8)
    pooled = upsample.max_pool1d(x, 2, stride=2, return_indices=True)
    assert upsample.max_unpool1d(*pooled, 2, stride=2).tolist() == [[[0, 2, 0, 4, 0, 6, 0, 8]]]
    x = np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 1, 9)
    pooled = upsample.max_pool1d(x, 2, stride=2, return_indices=True)
    sized = upsample.max_unpool1d(*pooled, 2, stride=2, output_size=x.shape)
    assert sized.tolist() == [[[0, 2, 0, 4, 0, 6, 0, 8, 0]]]
    assert upsample.max_unpool1d(*pooled, 2, stride=2).tolist() == [[[0, 2, 0, 4, 0, 6, 0, 8]]]


def test_max_unpool3d_page() -> None:
    """The page's kernel 3 and stride 2 on its 51x33x15 volume (of 2 channels, not 320)."""
    x = np.random.default_rng(0).standard_normal((1, 2, 51, 33, 15)).astype(np.float32)
    y, indices = upsample.max_pool3d(x, 3, stride=2, return_indices=True)
    assert y.shape == (1, 2, 25, 16, 7)
    back = upsample.max_unpool3d(y, indices, 3, stride=2)
    assert back.shape == x.shape
    kept = back != 0
    assert np.array_equal(back[kept], x[kept])
    assert np.array_equal(np.unique(back[kept]), np.unique(y))


# --------------------------------------------------------------------------------------------- Upsample page

UPSAMPLE_PAGE = [
    pytest.param(SQUARE, {"mode": "nearest"}, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]], id="nearest"),
    pytest.param(
        SQUARE,
        {"mode": "bilinear"},
        [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]],
        id="bilinear",
    ),
    pytest.param(
        SQUARE,
        {"mode": "bilinear", "align_corners": True},
        [
            [1, 1.3333, 1.6667, 2],
            [1.6667, 2, 2.3333, 2.6667],
            [2.3333, 2.6667, 3, 3.3333],
            [3, 3.3333, 3.6667, 4],
        ],
        id="bilinear, align_corners",
    ),
    pytest.param(
        CORNER,
        {"mode": "bilinear"},
        [
            [1.0000, 1.2500, 1.7500, 1.5000, 0.5000, 0.0000],
            [1.5000, 1.7500, 2.2500, 1.8750, 0.6250, 0.0000],
            [2.5000, 2.7500, 3.2500, 2.6250, 0.8750, 0.0000],
            [2.2500, 2.4375, 2.8125, 2.2500, 0.7500, 0.0000],
            [0.7500, 0.8125, 0.9375, 0.7500, 0.2500, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
        ],
        id="bilinear of 3x3",
    ),
    pytest.param(
        CORNER,
        {"mode": "bilinear", "align_corners": True},
        [
            [1.0000, 1.4000, 1.8000, 1.6000, 0.8000, 0.0000],
            [1.8000, 2.2000, 2.6000, 2.2400, 1.1200, 0.0000],
            [2.6000, 3.0000, 3.4000, 2.8800, 1.4400, 0.0000],
            [2.4000, 2.7200, 3.0400, 2.5600, 1.2800, 0.0000],
            [1.2000, 1.3600, 1.5200, 1.2800, 0.6400, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
        ],
        id="bilinear of 3x3, align_corners",
    ),
]


@pytest.mark.parametrize(("x", "keywords", "expected"), UPSAMPLE_PAGE)
def test_upsample_page(x: np.ndarray, keywords: dict, expected: list) -> None:
    y = upsample.interpolate(x, scale_factor=2, **keywords)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[0, 0], expected, rtol=0, atol=5.1e-5)  # the page prints four digits


# ------------------------------------------------------------- arange(12) and arange(18), both align_corners

THIRD = 1 / 3
# Channel 0; channel c is larger by c times the size of a plane, since the weights add up to 1.
ARANGE_TO_4X4 = {
    ("bilinear", False, 2): [
        [0.0, 0.25, 0.75, 1.0],
        [0.5, 0.75, 1.25, 1.5],
        [1.5, 1.75, 2.25, 2.5],
        [2.0, 2.25, 2.75, 3.0],
    ],
    ("bilinear", True, 2): [
        [0.0, THIRD, 2 * THIRD, 1.0],
        [2 * THIRD, 1.0, 4 * THIRD, 5 * THIRD],
        [4 * THIRD, 5 * THIRD, 2.0, 7 * THIRD],
        [2.0, 7 * THIRD, 8 * THIRD, 3.0],
    ],
    ("bicubic", False, 2): [
        [-0.31640625, 0.015625, 0.5625, 0.89453125],
        [0.34765625, 0.6796875, 1.2265625, 1.55859375],
        [1.44140625, 1.7734375, 2.3203125, 2.65234375],
        [2.10546875, 2.4375, 2.984375, 3.31640625],
    ],
    ("bicubic", True, 2): [
        [0.0, 0.314814814815, 0.685185185185, 1.0],
        [0.62962962963, 0.944444444444, 1.314814814815, 1.62962962963],
        [1.37037037037, 1.685185185185, 2.055555555556, 2.37037037037],
        [2.0, 2.314814814815, 2.685185185185, 3.0],
    ],
    ("bilinear", False, 3): [
        [0.0, 0.625, 1.375, 2.0],
        [1.875, 2.5, 3.25, 3.875],
        [4.125, 4.75, 5.5, 6.125],
        [6.0, 6.625, 7.375, 8.0],
    ],
    ("bilinear", True, 3): [
        [0.0, 2 * THIRD, 4 * THIRD, 2.0],
        [2.0, 8 * THIRD, 10 * THIRD, 4.0],
        [4.0, 14 * THIRD, 16 * THIRD, 6.0],
        [6.0, 20 * THIRD, 22 * THIRD, 8.0],
    ],
    ("bicubic", False, 3): [
        [-0.287109375, 0.314453125, 1.2548828125, 1.8564453125],
        [1.517578125, 2.119140625, 3.0595703125, 3.6611328125],
        [4.3388671875, 4.9404296875, 5.880859375, 6.482421875],
        [6.1435546875, 6.7451171875, 7.685546875, 8.287109375],
    ],
    ("bicubic", True, 3): [
        [0.0, 0.574074074074, 1.425925925926, 2.0],
        [1.722222222222, 2.296296296296, 3.148148148148, 3.722222222222],
        [4.277777777778, 4.851851851852, 5.703703703704, 6.277777777778],
        [6.0, 6.574074074074, 7.425925925926, 8.0],
    ],
}


def arange_of(n: int, dtype: str) -> np.ndarray:
    """arange(12) as 1x3x2x2, or arange(18) as 1x2x3x3."""
    return np.arange(12 if n == 2 else 18, dtype=dtype).reshape(1, -1, n, n)


# float64: the twelve digits recorded; float32: 64 eps of the largest input (torch itself is off by 1e-5).
WITHIN = {"float64": 1e-11, "float32": 64 * 2.0**-23 * 17}


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize(("mode", "align_corners", "n"), ARANGE_TO_4X4)
def test_arange_to_4x4(mode: str, align_corners: bool, n: int, dtype: str) -> None:
    x = arange_of(n, dtype)
    planes = np.asarray(ARANGE_TO_4X4[mode, align_corners, n])
    expected = np.stack([planes + c * n * n for c in range(x.shape[1])])[None]
    y = upsample.interpolate(x, size=(4, 4), mode=mode, align_corners=align_corners)
    assert y.dtype == dtype
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=WITHIN[dtype])
    if not align_corners:
        unset = upsample.interpolate(x, size=4, mode=mode)
        assert np.array_equal(unset, y)


def test_arange_to_4x4_tells_the_cases_apart() -> None:
    """The recorded numbers of two cases are never close: a swapped mode or flag cannot pass."""
    keys = list(ARANGE_TO_4X4)
    for k, one in enumerate(keys):
        for other in keys[k + 1 :]:
            if one[2] == other[2]:
                assert np.abs(np.subtract(ARANGE_TO_4X4[one], ARANGE_TO_4X4[other])).max() > 0.05


# ------------------------------------------------------------------------------------------- larger arrays


@pytest.mark.parametrize(
    ("request_", "shape"),
    [
        ({"size": (28, 56)}, (4, 512, 28, 56)),
        ({"size": 28}, (4, 512, 28, 28)),
        ({"scale_factor": (4, 8)}, (4, 512, 56, 112)),
        ({"scale_factor": 4}, (4, 512, 56, 56)),
    ],
    ids=["size (28, 56)", "size 28", "scale (4, 8)", "scale 4"],
)
def test_feature_maps(request_: dict, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).standard_normal((4, 512, 14, 14)).astype(np.float32)
    y = upsample.interpolate(x, **request_)
    assert y.shape == shape
    assert y.dtype == np.float32
    rows, columns = shape[2] // 14, shape[3] // 14
    for i in range(rows):
        for j in range(columns):
            assert np.array_equal(y[:, :, i::rows, j::columns], x)
    part = upsample.interpolate(x[:1, :8], mode="bilinear", **request_)
    assert part.shape == (1, 8, *shape[2:])


def test_pixel_shuffle_page() -> None:
    x = np.random.default_rng(2).standard_normal((1, 9, 4, 4)).astype(np.float32)
    y = upsample.pixel_shuffle(x, 3)
    assert y.shape == (1, 1, 12, 12)
    assert np.array_equal(y[0, 0, 1::3, 2::3], x[0, 5])
    assert np.array_equal(upsample.pixel_unshuffle(y, 3), x)


def test_conv_transpose2d_page() -> None:
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((1, 4, 5, 5)), rng.standard_normal((4, 8, 3, 3))
    y = upsample.conv_transpose2d(x, w, padding=1)
    assert y.shape == (1, 8, 5, 5)
    whole = upsample.conv_transpose2d(x, w)
    np.testing.assert_allclose(y, whole[..., 1:-1, 1:-1], rtol=0, atol=1e-13)
    np.testing.assert_allclose(whole[0, :, 0, 0], x[0, :, 0, 0] @ w[:, :, 0, 0], rtol=0, atol=1e-13)


# ------------------------------------------------------------------------------------------------ live torch


def test_recorded_numbers_are_live_torchs() -> None:
    pytest.importorskip("torch", reason=NO_TORCH)
    import torch_live as live

    for (mode, align_corners, n), planes in ARANGE_TO_4X4.items():
        for dtype in ("float64", "float32"):
            x = arange_of(n, dtype)
            keywords = {"size": (4, 4), "mode": mode, "align_corners": align_corners}
            theirs = live.call("interpolate", x, **keywords)
            np.testing.assert_allclose(theirs[0, 0], planes, rtol=0, atol=WITHIN[dtype])
            live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)
    for param in UPSAMPLE_PAGE:
        x, keywords, expected = param.values
        keywords = {**keywords, "scale_factor": 2}
        theirs = live.call("interpolate", x, **keywords)
        np.testing.assert_allclose(theirs[0, 0], expected, rtol=0, atol=5.1e-5)
        live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 1, 4, 5), (2, 3, 7, 9)])
def test_unpool_examples_are_live_torchs(shape: tuple[int, ...]) -> None:
    pytest.importorskip("torch", reason=NO_TORCH)
    import torch_live as live

    x = np.arange(1.0, 1.0 + np.prod(shape), dtype=np.float32).reshape(shape)
    y, indices = live.call("max_pool2d", x, 2, 2, return_indices=True)
    theirs = live.call("max_unpool2d", y, indices, 2, 2, output_size=shape)
    live.assert_same_bits(upsample.max_unpool2d(y, indices, 2, 2, output_size=shape), theirs)


def test_feature_maps_are_live_torchs() -> None:
    pytest.importorskip("torch", reason=NO_TORCH)
    import torch_live as live

    x = np.random.default_rng(4).standard_normal((1, 16, 14, 14)).astype(np.float32)
    for request in ({"size": (28, 56)}, {"size": 28}, {"scale_factor": (4, 8)}, {"scale_factor": 4}):
        for mode in ("nearest", "bilinear", "bicubic"):
            keywords = {**request, "mode": mode}
            live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)
