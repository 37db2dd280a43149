"""upsample.opencv against results that OpenCV recorded, on every engine and library."""

from __future__ import annotations

import backends
import dialect_recorded
import numpy as np
import pytest

import upsample
from upsample import opencv

FEW = {"strict": 12, "torch": 8, "jax": 180, "dask": 90, "emulated": 90}
"""Every how manieth call is made, where not all are; JAX compiles for each shape."""
LIBRARIES = ("numpy", "portable", "strided", *FEW)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("version", ["opencv", "opencv_older"])
def test_recorded(version: str, name: str) -> None:
    backend = backends.get(name)
    wrong = {}
    for call in dialect_recorded.calls(version)[:: FEW.get(name, 1)]:
        src = backend.make(call.args[0])
        with backend.active():
            made = getattr(opencv, call.function)(src, *call.args[1:], **call.options, **backend.options)
        assert type(made) is type(src)
        why = dialect_recorded.fault(call, backend.back(made))
        if why is not None:
            wrong[repr(call)] = why
        if name == "numpy":
            np.testing.assert_array_equal(src, call.args[0])
    assert wrong == {}


def test_a_batch_is_its_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 30, 20, 3), dtype=np.uint8)
    for mode in opencv.Interpolation:
        got = opencv.resize(images, (17, 11), interpolation=mode)
        np.testing.assert_array_equal(got, [opencv.resize(x, (17, 11), interpolation=mode) for x in images])
    np.testing.assert_array_equal(opencv.pyrDown(images), [opencv.pyrDown(x) for x in images])


@pytest.mark.parametrize("mode", ["LINEAR", "CUBIC", "LANCZOS4", "AREA"])
def test_jax_fuses_no_product_with_a_sum(mode: str) -> None:
    backend = backends.get("jax")
    x = np.random.default_rng(4).random((30, 26))
    for size in ((13, 11), (20, 17), (50, 61)):
        wanted = opencv.resize(x, size, interpolation=opencv.Interpolation[mode], engine="portable")
        made = backend.back(opencv.resize(backend.make(x), size, interpolation=opencv.Interpolation[mode]))
        np.testing.assert_array_equal(made, wanted)


def test_gradient() -> None:
    x = np.random.default_rng(1).random((9, 7, 3))
    for mode in opencv.Interpolation:
        for size, factors in (((10, 5), (0, 0)), ((7, 9), (0, 0)), (None, (0.5, 1 / 3)), (None, (0.5, 0.5))):
            y, pull = upsample.vjp(opencv.resize, x, size, *factors, interpolation=mode)
            g = np.random.default_rng(2).random(y.shape)
            np.testing.assert_allclose((y * g).sum(), (pull(g)[0] * x).sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: opencv.resize(x, None), ValueError, "dsize=None"),
        (lambda x: opencv.resize(x, (0, 4)), ValueError, "dsize[0]=0"),
        (lambda x: opencv.resize(x, (4.5, 4)), TypeError, "dsize[0]=4.5"),
        (lambda x: opencv.resize(x, None, 0.01, 0.01), ValueError, "fx, fy="),
        (lambda x: opencv.resize(x, (4, 4), interpolation=7), ValueError, "interpolation=7"),
        (lambda x: opencv.resize(x, (4, 4), interpolation="cubic"), TypeError, "interpolation='cubic'"),
        (lambda x: opencv.resize(x, (4, 4), version="6"), ValueError, "version='6'"),
        (lambda x: opencv.resize(x, (4, 4), version=5), TypeError, "version=5"),
        (lambda x: opencv.resize(x.astype("int64"), (4, 4)), TypeError, "int64"),
        (lambda x: opencv.resize(x[0], (4, 4)), ValueError, "src="),
        (lambda x: opencv.resize(x[:0], (4, 4)), ValueError, "src="),
        (lambda x: opencv.pyrDown(x, (9, 9)), ValueError, "dstsize=(9, 9)"),
        (lambda x: opencv.pyrDown(x, borderType=0), ValueError, "borderType=0"),
        (lambda x: opencv.pyrUp(x, (4, 4)), ValueError, "dstsize=(4, 4)"),
        (lambda x: opencv.pyrUp(x, borderType=1), ValueError, "borderType=1"),
    ],
)
def test_errors(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call(np.zeros((5, 6), dtype=np.uint8))
    assert words in str(caught.value)
