"""The references give the recorded results of Chainer 7.8.1, within the rounding that it shows itself."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from upsample import reference

FOLDER = Path(__file__).parents[1] / "conformance"

FUNCTIONS = {
    "max_pooling": reference.chainer_max_pooling,
    "unpooling": reference.chainer_unpooling,
    "upsampling": reference.chainer_upsampling,
    "deconvolution": reference.chainer_deconvolution,
    "resize_images": reference.chainer_resize_images,
    "depth2space": reference.depth2space,
    "space2depth": reference.space2depth,
}


@functools.cache
def recorded():
    spec = importlib.util.spec_from_file_location("golden_io", FOLDER / "golden_io.py")
    golden_io = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden_io)
    return [case for case in golden_io.load(str(FOLDER / "chainer_open")) if not case.quirk]


def differences(case):
    function = FUNCTIONS.get(case.op) or FUNCTIONS[case.op.rpartition("_")[0]]
    kwargs = dict(case.kwargs)
    indexes = kwargs.pop("return_indices", False)
    before = [a.copy() for a in case.args]
    result = function(*case.args, **kwargs)
    got = dict(zip(("y", "indexes"), result, strict=True)) if isinstance(result, tuple) else {"y": result}
    assert indexes == ("indexes" in case.outputs)
    for name, want in case.outputs.items():
        ours = got[name]
        if ours.shape != want.shape:
            yield f"{case}: {name} has the shape {ours.shape}, not {want.shape}"
        elif want.dtype.kind != "f":
            if ours.dtype != want.dtype or (ours != want).any():
                yield f"{case}: {name} differs"
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                ours, want = ours.astype(np.float64), want.astype(np.float64)
                near = np.abs(ours - want) <= case.tolerance(name)
            if not (near | (ours == want) | (np.isnan(ours) & np.isnan(want))).all():
                yield f"{case}: {name} differs"
    if any(a.tobytes() != b.tobytes() for a, b in zip(case.args, before, strict=True)):
        yield f"{case}: an argument was changed"


COUNTS = {
    "deconvolution_1d": 49,
    "deconvolution_2d": 289,
    "deconvolution_3d": 37,
    "deconvolution_nd": 154,
    "depth2space": 49,
    "max_pooling_1d": 47,
    "max_pooling_2d": 317,
    "max_pooling_3d": 38,
    "max_pooling_nd": 165,
    "resize_images": 239,
    "space2depth": 53,
    "unpooling_1d": 38,
    "unpooling_2d": 215,
    "unpooling_3d": 32,
    "unpooling_nd": 156,
    "upsampling_2d": 464,
}


@pytest.mark.parametrize("op", COUNTS)
def test_recorded_results(op):
    cases = [case for case in recorded() if case.op == op]
    assert len(cases) == COUNTS[op]
    wrong = [line for case in cases for line in differences(case)]
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
