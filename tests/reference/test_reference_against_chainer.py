"""The references give the recorded results of Chainer 7.8.1, within the rounding that it shows itself."""

import numpy as np
import pytest
from chainer_recorded import COUNTS, complaints, recorded

from upsample import reference

FUNCTIONS = {
    "max_pooling": reference.chainer_max_pooling,
    "unpooling": reference.chainer_unpooling,
    "upsampling": reference.chainer_upsampling,
    "deconvolution": reference.chainer_deconvolution,
    "resize_images": reference.chainer_resize_images,
    "depth2space": reference.depth2space,
    "space2depth": reference.space2depth,
}


def called(op):
    """The reference of an op, called as Chainer is: with indexes where they are asked for."""
    function = FUNCTIONS.get(op) or FUNCTIONS[op.rpartition("_")[0]]

    def call(*args, return_indices=False, **kwargs):
        result = function(*args, **kwargs)
        return result[0] if isinstance(result, tuple) and not return_indices else result

    return call


@pytest.mark.parametrize("op", COUNTS)
def test_recorded_results(op):
    cases = [case for case in recorded() if case.op == op and not case.quirk]
    assert len(cases) == COUNTS[op][0]
    wrong = [line for case in cases for line in complaints(case, called(op), wide=True)]
    assert not wrong, f"{len(wrong)} of {len(cases)} cases:\n" + "\n".join(wrong[:5])


def test_a_negative_index_counts_from_the_end_of_its_window():
    x = np.array([[[[1.0, 2.0]]]])
    negative = reference.chainer_upsampling(x, np.array([[[[-1, -4]]]]), 2, cover_all=False)
    positive = reference.chainer_upsampling(x, np.array([[[[3, 0]]]]), 2, cover_all=False)
    np.testing.assert_array_equal(negative, positive)


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_outside_of_the_window_is_refused(index):
    with pytest.raises(IndexError):
        reference.chainer_upsampling(np.ones((1, 1, 1, 1)), np.array([[[[index]]]]), 2)


def test_upsampling_inverts_pooling_in_three_dimensions():
    x = np.random.default_rng(0).permutation(2 * 4 * 6 * 2).reshape(1, 2, 4, 6, 2).astype(float)
    values, indexes = reference.chainer_max_pooling(x, 2)
    back = reference.chainer_upsampling(values, indexes, 2, cover_all=False)
    np.testing.assert_array_equal(back, np.where(np.isin(x, values), x, 0))
