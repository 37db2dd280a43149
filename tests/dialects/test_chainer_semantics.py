"""What one would get wrong about Chainer's functions, by name, and their signatures."""

import inspect

import numpy as np
import pytest

from upsample import chainer

X = np.asarray([[[[1.0, 2.0], [3.0, 4.0]]]])
INF, NAN = np.inf, np.nan

SIGNATURES = {
    "max_pooling": "x, ksize, stride=None, pad=0, cover_all=True, return_indices=False",
    "unpooling": "x, ksize, stride=None, pad=0, outsize=None, cover_all=True",
    "deconvolution": "x, W, b=None, stride=1, pad=0, outsize=None, dilate=1, groups=1",
    "deconvolution_2d": "x, W, b=None, stride=1, pad=0, outsize=None, *, dilate=1, groups=1",
    "upsampling_2d": "x, indexes, ksize, stride=None, pad=0, outsize=None, cover_all=True",
    "resize_images": "x, output_shape, *, mode='bilinear', align_corners=True",
    "depth2space": "X, r",
    "space2depth": "X, r",
}


@pytest.mark.parametrize("op", chainer.__all__)
def test_signature(op: str) -> None:
    want = SIGNATURES.get(op) or SIGNATURES[op.rpartition("_")[0]]
    own = inspect.signature(getattr(chainer, op))
    kept = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in own.parameters.values()
        if p.name not in ("out", "engine", "precision", "removed")
    ]
    assert str(own.replace(parameters=kept, return_annotation=inspect.Signature.empty)) == f"({want})"
    for name in ("out", "engine"):
        assert own.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


class TestMaxPooling:
    def test_indices_count_in_the_window(self) -> None:
        x = np.arange(16.0).reshape(1, 1, 4, 4)
        assert chainer.max_pooling_2d(x, 2, return_indices=True)[1].tolist() == [[[[3, 3], [3, 3]]]]

    def test_padding_counts_in_the_indices(self) -> None:
        x = np.arange(16.0).reshape(1, 1, 4, 4)
        _, indexes = chainer.max_pooling_2d(x, (2, 3), (2, 1), (0, 1), return_indices=True)
        assert indexes.dtype == np.int64
        assert indexes.tolist() == [[[[5, 5, 5, 4], [5, 5, 5, 4]]]]

    def test_of_equal_maxima_the_first_wins(self) -> None:
        _, indexes = chainer.max_pooling_2d(np.ones((1, 1, 3, 3)), 3, return_indices=True)
        assert indexes.item() == 0

    def test_the_first_nan_wins(self) -> None:
        x = np.asarray([[[9.0, NAN, NAN, 1.0]]])
        y, indexes = chainer.max_pooling_1d(x, 4, return_indices=True)
        assert np.isnan(y).all()
        assert indexes.item() == 1

    def test_a_window_of_padding_only_is_minus_infinity_at_0(self) -> None:
        y, indexes = chainer.max_pooling_1d(np.asarray([[[5.0]]]), 1, 1, 1, return_indices=True)
        assert y.tolist() == [[[-INF, 5.0, -INF]]]
        assert indexes.tolist() == [[[0, 0, 0]]]

    def test_minus_infinity_beats_the_padding_only_in_place(self) -> None:
        y, indexes = chainer.max_pooling_1d(np.asarray([[[-INF, -INF]]]), 2, 1, 1, return_indices=True)
        assert y.tolist() == [[[-INF, -INF, -INF]]]
        assert indexes.tolist() == [[[0, 0, 0]]]

    @pytest.mark.parametrize(("n", "k", "s", "cover", "leave"), [(5, 2, 2, 3, 2), (4, 3, 2, 2, 1)])
    def test_sizes(self, n: int, k: int, s: int, cover: int, leave: int) -> None:
        x = np.zeros((1, 1, n))
        assert chainer.max_pooling_1d(x, k, s).shape == (1, 1, cover)
        assert chainer.max_pooling_1d(x, k, s, cover_all=False).shape == (1, 1, leave)

    def test_an_empty_batch_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"max_pooling_2d: x=<shape \(0, 1, 2, 2\)>"):
            chainer.max_pooling_2d(np.zeros((0, 1, 2, 2)), 2)

    def test_one_entry_does_not_stand_for_two(self) -> None:
        with pytest.raises(ValueError, match="max_pooling_2d: ksize="):
            chainer.max_pooling_2d(X, (2,))


class TestUnpooling:
    def test_2_by_2_gives_3_by_3(self) -> None:
        assert chainer.unpooling_2d(X, 2).tolist() == [[[[1, 1, 2], [1, 1, 2], [3, 3, 4]]]]
        assert chainer.unpooling_2d(X, 2, cover_all=False).shape == (1, 1, 4, 4)

    def test_overlaps_add(self) -> None:
        y = chainer.unpooling_2d(X, 3, 2, cover_all=False)
        assert y[0, 0, 0].tolist() == [1, 1, 3, 2, 2]
        assert y[0, 0, 2, 2] == 10

    @pytest.mark.parametrize(("cover_all", "legal"), [(True, {4, 5}), (False, {5, 6})])
    @pytest.mark.parametrize("op", ["unpooling_1d", "unpooling_nd"])
    def test_legal_outsizes(self, op: str, cover_all: bool, legal: set[int]) -> None:
        for size in range(-1, 9):
            if size in legal:
                y = getattr(chainer, op)(X[0], 3, 2, outsize=(size,), cover_all=cover_all)
                assert y.shape == (1, 2, size)
            else:
                with pytest.raises(ValueError, match=rf"{op}: outsize=\({size},\), but"):
                    getattr(chainer, op)(X[0], 3, 2, outsize=(size,), cover_all=cover_all)

    def test_outsize_may_skip_an_axis_in_two_dimensions_only(self) -> None:
        assert chainer.unpooling_2d(X, 2, outsize=(None, 4)).shape == (1, 1, 3, 4)
        with pytest.raises(TypeError, match=r"unpooling_nd: outsize\[0\]=None"):
            chainer.unpooling_nd(X, 2, outsize=(None, 4))

    def test_a_result_without_positions_is_refused(self) -> None:
        with pytest.raises(ValueError, match="unpooling_2d: outsize=None, but spatial axis 1 would have size 0"):
            chainer.unpooling_2d(X[:, :, :, :1], (1, 2), 1, (0, 1), cover_all=False)

    def test_nan_and_infinity_stay_in_their_windows(self) -> None:
        y = chainer.unpooling_1d(np.asarray([[[NAN, 1.0, INF]]]), 2, cover_all=False)
        np.testing.assert_array_equal(y, [[[NAN, NAN, 1, 1, INF, INF]]])

    def test_several_images_and_channels_do_not_mix(self) -> None:
        x = np.arange(12.0).reshape(2, 3, 2)
        np.testing.assert_array_equal(chainer.unpooling_1d(x, 2, cover_all=False), np.repeat(x, 2, axis=2))


class TestUpsampling:
    def test_values_that_meet_add(self) -> None:
        y = chainer.upsampling_2d(X, np.asarray([[[[8, 6], [2, 0]]]]), 3, 2, cover_all=False)
        want = np.zeros((1, 1, 5, 5))
        want[0, 0, 2, 2] = 10
        np.testing.assert_array_equal(y, want)

    def test_negative_indices_wrap(self) -> None:
        ends = np.full((1, 1, 2, 2), -1)
        np.testing.assert_array_equal(
            chainer.upsampling_2d(X, ends, 2, cover_all=False), chainer.upsampling_2d(X, ends + 4, 2, cover_all=False)
        )

    def test_positions_in_the_padding_are_dropped(self) -> None:
        y = chainer.upsampling_2d(X, np.zeros((1, 1, 2, 2), np.uint8), 2, pad=1, cover_all=False)
        assert y.tolist() == [[[[0, 0], [0, 4]]]]

    def test_bool_indices(self) -> None:
        y = chainer.upsampling_2d(X, np.asarray([[[[True, False], [False, True]]]]), (1, 2), cover_all=False)
        assert y.tolist() == [[[[0, 1, 2, 0], [3, 0, 0, 4]]]]

    @pytest.mark.parametrize("bad", [4, 1000, -5])
    def test_an_index_outside_the_window_raises(self, bad: int) -> None:
        with pytest.raises(IndexError, match="upsampling_2d: "):
            chainer.upsampling_2d(X, np.full((1, 1, 2, 2), bad), 2)

    @pytest.mark.parametrize("indexes", [[[[[0, 0], [0, 0]]]], np.zeros((1, 1, 2, 2))])
    def test_lists_and_floats_are_no_indices(self, indexes: object) -> None:
        with pytest.raises(TypeError, match="upsampling_2d: indexes="):
            chainer.upsampling_2d(X, indexes, 2)

    def test_it_undoes_max_pooling_of_any_size(self) -> None:
        rng = np.random.default_rng(0)
        for cover_all in (True, False):
            for n in range(3, 9):
                x = rng.permutation(n * n).reshape(1, 1, n, n) + 1.0
                y, indexes = chainer.max_pooling_2d(x, 2, 2, cover_all=cover_all, return_indices=True)
                back = chainer.upsampling_2d(y, indexes, 2, 2, outsize=(n, n), cover_all=cover_all)
                np.testing.assert_array_equal(back, np.where(np.isin(x, y), x, 0))


class TestDeconvolution:
    @pytest.mark.parametrize("size", range(8))
    def test_legal_outsizes(self, size: int) -> None:
        x, W = np.asarray([[[1.0, 2.0]]]), np.asarray([[[1.0, 10.0, 100.0]]])
        if size in (4, 5, 6):
            y = chainer.deconvolution_1d(x, W, stride=2, outsize=(size,))
            assert y.tolist() == [[[1, 10, 102, 20, 200, 0][:size]]]
        else:
            with pytest.raises(ValueError, match=rf"deconvolution_1d: outsize=\({size},\), but .* 4 to 6"):
                chainer.deconvolution_1d(x, W, stride=2, outsize=(size,))

    def test_a_bias_of_one_element_is_for_all_channels(self) -> None:
        W = np.ones((1, 3, 1, 1))
        y = chainer.deconvolution_2d(X, W, np.asarray([5.0]))
        np.testing.assert_array_equal(y, np.broadcast_to(X + 5, (1, 3, 2, 2)))

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    @pytest.mark.parametrize("other", ["float16", "float32", "float64"])
    def test_the_result_has_the_dtype_of_x(self, dtype: str, other: str) -> None:
        W = np.asarray([[[[3.0]]]], other)
        y = chainer.deconvolution_2d(X.astype(dtype), W)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, 3 * X)

    def test_a_wider_weight_is_not_rounded_first(self) -> None:
        x, W = np.asarray([[[0.25]]], np.float16), np.asarray([[[2.0**17]]])
        assert chainer.deconvolution_1d(x, W).tolist() == [[[2.0**15]]]

    def test_bias_of_another_dtype(self) -> None:
        W, b = np.ones((1, 1, 1, 1)), np.ones(1, np.float32)
        with pytest.raises(TypeError, match="deconvolution_2d: b=<dtype float32>"):
            chainer.deconvolution_2d(X, W, b)
        np.testing.assert_array_equal(chainer.deconvolution_nd(X, W, b), X + 1)

    def test_keywords_of_old(self) -> None:
        W = np.ones((1, 1, 1, 1))
        with pytest.raises(ValueError, match="deconvolution_2d: deterministic=True"):
            chainer.deconvolution_2d(X, W, deterministic=True)
        with pytest.raises(TypeError, match="deconvolution_2d: output_padding=1"):
            chainer.deconvolution_2d(X, W, output_padding=1)

    def test_dilation_and_groups(self) -> None:
        x, W = np.asarray([[[1.0, 2.0], [3.0, 4.0]]]), np.asarray([[[1.0, 10.0]], [[1.0, 100.0]]])
        y = chainer.deconvolution_1d(x, W, dilate=2, groups=2)
        assert y.tolist() == [[[1, 2, 10, 20], [3, 4, 300, 400]]]


class TestResizeImages:
    ROW = np.asarray([[[[0.0, 10.0]]]], np.float32)

    def test_0_and_10(self) -> None:
        np.testing.assert_allclose(chainer.resize_images(self.ROW, (1, 4))[0, 0, 0], [0, 10 / 3, 20 / 3, 10], rtol=1e-6)
        halves = chainer.resize_images(self.ROW, (1, 4), align_corners=False)
        assert halves.tolist() == [[[[0, 2.5, 7.5, 10]]]]

    def test_one_output_is_the_first_sample(self) -> None:
        assert chainer.resize_images(self.ROW, (1, 1)).item() == 0
        assert chainer.resize_images(self.ROW, (1, 1), align_corners=False).item() == 5

    @pytest.mark.parametrize("align_corners", [True, False])
    def test_nearest_ignores_align_corners(self, align_corners: bool) -> None:
        y = chainer.resize_images(self.ROW, (2, 5), mode="nearest", align_corners=align_corners)
        assert y.tolist() == [[[[0, 0, 0, 10, 10]] * 2]]

    @pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
    def test_float32_only(self, dtype: str) -> None:
        with pytest.raises(TypeError, match=f"resize_images: x=<dtype {dtype}>"):
            chainer.resize_images(self.ROW.astype(dtype), (1, 4))

    def test_mode_and_size(self) -> None:
        with pytest.raises(ValueError, match="resize_images: mode='bicubic'"):
            chainer.resize_images(self.ROW, (1, 4), mode="bicubic")
        with pytest.raises(TypeError, match="resize_images: output_shape=4"):
            chainer.resize_images(self.ROW, 4)
        with pytest.raises(TypeError):
            chainer.resize_images(self.ROW, (1, 4), "nearest")


class TestDepthAndSpace:
    def test_the_block_counts_before_the_channel(self) -> None:
        x = np.arange(8.0).reshape(1, 8, 1, 1)
        assert chainer.depth2space(x, 2).tolist() == [[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]

    def test_there_and_back(self) -> None:
        x = np.arange(2.0 * 18 * 2 * 3).reshape(2, 18, 2, 3)
        np.testing.assert_array_equal(chainer.space2depth(chainer.depth2space(x, 3), 3), x)

    def test_floating_only(self) -> None:
        with pytest.raises(TypeError, match="space2depth: X=<dtype int64>"):
            chainer.space2depth(np.zeros((1, 1, 2, 2), np.int64), 2)
