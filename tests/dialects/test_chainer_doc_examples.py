"""The examples of Chainer's documentation pages, against computations that share no code with the package's engines."""

import numpy as np

from upsample import chainer, reference


def test_upsampling_2d_page() -> None:
    x = np.arange(1, 37).reshape(1, 1, 6, 6).astype("f")
    pooled, indexes = chainer.max_pooling_2d(x, 2, 2, return_indices=True)
    assert pooled.dtype == np.float32
    assert pooled.tolist() == [[[[8, 10, 12], [20, 22, 24], [32, 34, 36]]]]
    upsampled = chainer.upsampling_2d(pooled, indexes, 2, 2, 0, x.shape[2:])
    want = np.zeros((1, 1, 6, 6), "f")
    want[:, :, 1::2, 1::2] = pooled
    assert upsampled.dtype == np.float32
    np.testing.assert_array_equal(upsampled, want)
    np.testing.assert_array_equal(upsampled, reference.chainer_upsampling(pooled, indexes, 2, 2, 0, (6, 6)))


def test_deconvolution_2d_page() -> None:
    n, c_i, c_o, h_i, w_i, h_k, w_k, h_p, w_p, s_y, s_x = 10, 1, 3, 5, 10, 10, 10, 5, 5, 5, 5
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (n, c_i, h_i, w_i)).astype("f")
    W = rng.uniform(0, 1, (c_i, c_o, h_k, w_k)).astype("f")
    b = rng.uniform(0, 1, c_o).astype("f")
    y = chainer.deconvolution_2d(x, W, b, stride=(s_y, s_x), pad=(h_p, w_p))
    h_o, w_o = s_y * (h_i - 1) + h_k - 2 * h_p, s_x * (w_i - 1) + w_k - 2 * w_p
    assert y.shape == (n, c_o, h_o, w_o) == (10, 3, 20, 45)
    assert y.dtype == np.float32
    want = np.zeros((n, c_o, h_o + 2 * h_p, w_o + 2 * w_p))
    for i in range(h_i):
        for j in range(w_i):
            window = want[:, :, s_y * i : s_y * i + h_k, s_x * j : s_x * j + w_k]
            window += x[:, :, i, j, None, None].astype("d") * W[0]
    want = want[:, :, h_p:-h_p, w_p:-w_p] + b[:, None, None]
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        y, reference.chainer_deconvolution(x, W, b, stride=5, pad=5), rtol=0, atol=1e-5, strict=False
    )


def test_deconvolution_nd_page() -> None:
    """Both of its examples, smaller by a batch of 2: the default size, and one that is given."""
    x, W = np.ones((2, 3, 5, 10, 15), "f"), np.ones((3, 1, 10, 10, 10), "f")
    b = np.asarray([0.5], "f")
    y = chainer.deconvolution_nd(x, W, b, stride=(2, 4, 6), pad=(5, 5, 5))
    assert y.shape == (2, 1, 8, 36, 84)
    larger = chainer.deconvolution_nd(x, W, b, stride=(2, 4, 6), pad=(5, 5, 5), outsize=(9, 38, 87))
    assert larger.shape == (2, 1, 9, 38, 87)
    np.testing.assert_array_equal(larger[:, :, :8, :36, :84], y)


def test_max_pooling_2d_of_odd_sizes() -> None:
    """The documented difference of cover_all: 3 windows of 5 samples or 2."""
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    assert chainer.max_pooling_2d(x, 2).shape == (1, 1, 3, 3)
    assert chainer.max_pooling_2d(x, 2, cover_all=False).shape == (1, 1, 2, 2)
