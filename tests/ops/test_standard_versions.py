"""Every op, its gradient and its error under each version of the Array API, and without each optional part of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import backends
import numpy as np
import pytest
import tolerances
from cases import CASES, noise

import upsample
from upsample import chainer, jax, onnx, opencv, skimage, tensorflow

FLAGS: dict[str, dict[str, Any]] = {
    **{version: {"api_version": version} for version in ("2021.12", "2022.12", "2023.12", "2024.12")},
    "without boolean indexing": {"boolean_indexing": False},
    "without data-dependent shapes": {"data_dependent_shapes": False},
    "without extensions": {"enabled_extensions": ()},
}


@pytest.fixture(params=FLAGS)
def strict(request: pytest.FixtureRequest) -> Iterator[backends.Backend]:
    backend = backends.get("strict")
    import array_api_strict as xp

    def back(x: Any) -> np.ndarray:
        with xp.ArrayAPIStrictFlags(api_version="2024.12"):  # NumPy's way to ask for memory is of a later version
            return backend.back(x)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 2021.12 version", UserWarning)
        with xp.ArrayAPIStrictFlags(**FLAGS[request.param]):
            yield replace(backend, back=back)


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def test_ops_and_gradients(strict: backends.Backend) -> None:
    for case in CASES:
        args = [strict.make(x) for x in case.arrays]
        result, pullback = upsample.vjp(case.function, *args, **case.options)
        results, expected = as_tuple(result), as_tuple(case.expected(*case.arrays))
        for got, wanted in zip(results, expected, strict=True):
            tolerances.assert_close(strict.back(got), np.asarray(wanted), case.exact, case.margin)
        _, own = upsample.vjp(case.function, *case.arrays, **case.options)
        for got, wanted in zip(pullback(results[0]), own(strict.back(results[0])), strict=True):
            if wanted is not None:
                np.testing.assert_allclose(strict.back(got), wanted, 1e-4, 1e-4)


BYTES = np.random.default_rng(0).integers(0, 256, (9, 11), dtype=np.uint8)
PLANES = noise(1, 2, 6, 8)
BELOW = np.full((1, 1, 4, 4), -np.inf, dtype=np.float32)
CALLS = {
    "bytes": lambda x: upsample.resize(x(BYTES), (20, 5), mode="cubic", antialias=True),
    "shorts": lambda x: upsample.resize(x(BYTES.astype(np.int16)), (20, 5), mode="cubic"),
    "nearest": lambda x: upsample.resize(x(BYTES), (20, 5), mode="nearest"),
    "OpenCV, area": lambda x: opencv.resize(x(BYTES), (5, 4), interpolation=opencv.INTER_AREA),
    "OpenCV, cubic": lambda x: opencv.resize(x(BYTES), (5, 40), interpolation=opencv.INTER_CUBIC),
    "scikit-image": lambda x: skimage.resize(x(BYTES.astype(np.int16)), (5, 6)),
    "TensorFlow": lambda x: tensorflow.resize(x(BYTES[None, ..., None]), (5, 6)),
    "ONNX": lambda x: onnx.resize(x(PLANES), scales=(1, 1, 2, 2), mode="cubic"),
    "JAX": lambda x: jax.resize(x(PLANES), (1, 2, 3, 4), "cubic"),
    "Chainer": lambda x: chainer.resize_images(x(PLANES), (5, 6)),
    "padding alone": lambda x: upsample.max_pool2d(x(BELOW), 3, 2, 1, return_indices=True),
    "bytes pooled": lambda x: upsample.max_pool1d(x(BYTES[None]), 3, return_indices=True),
    "indices anywhere": lambda x: upsample.max_unpool1d(
        x(np.asarray([[1.0, 2.0, 3.0]])), x(np.asarray([[5, 0, 5]])), 2, duplicates="sum"
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_other_dtypes_and_dialects(name: str, strict: backends.Backend) -> None:
    wanted, got = CALLS[name](np.asarray), CALLS[name](strict.make)
    for w, g in zip(as_tuple(wanted), as_tuple(got), strict=True):
        np.testing.assert_allclose(strict.back(g), w, 1e-5, 1e-5)


def test_bad_indices_are_named(strict: backends.Backend) -> None:
    values, indices = strict.make(np.zeros((1, 2))), strict.make(np.asarray([[0, 9]]))
    with pytest.raises(IndexError, match=r"indices\[0, 1\]=9"):
        upsample.max_unpool1d(values, indices, 2)
    with pytest.raises(ValueError, match="an earlier cell"):
        upsample.max_unpool1d(values, strict.make(np.asarray([[1, 1]])), 2, duplicates="error")
