"""upsample.pillow against results that Pillow recorded, on every engine and library."""

from __future__ import annotations

from typing import Any

import backends
import dialect_recorded
import numpy as np
import pytest

import upsample
from upsample import pillow

FEW = {"strict": 12, "torch": 8, "jax": 180, "dask": 90, "emulated": 90}
"""Every how manieth call is made, where not all are; JAX compiles for each shape."""
LIBRARIES = ("numpy", "portable", "strided", *FEW)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("version", ["pillow", "pillow_older"])
def test_recorded(version: str, name: str) -> None:
    backend = backends.get(name)
    wrong = {}
    for call in dialect_recorded.calls(version)[:: FEW.get(name, 1)]:
        image = backend.make(call.args[0])
        with backend.active():
            made = getattr(pillow, call.function)(image, *call.args[1:], **call.options, **backend.options)
        assert type(made) is type(image)
        got = backend.back(made)
        why = dialect_recorded.fault(call, got)
        if why is not None or not np.array_equal(got, call.result):
            wrong[repr(call)] = why or "not the same bits"
        if call.tag.startswith("resize NEAREST") and name == "numpy":
            np.testing.assert_array_equal(image, call.args[0])
    assert wrong == {}


def test_jax_without_x64() -> None:
    """Bytes have the same bits; sums of uint16 are in float32, and those of int32 are refused."""
    backend = backends.get("jax")
    import jax

    context: Any = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    for function, dtype, count in (("reduce", "uint8", 2), ("resize", "uint8", 1), ("resize", "uint16", 1)):
        calls = [c for c in dialect_recorded.calls("pillow") if (c.function, c.args[0].dtype) == (function, dtype)]
        for call in calls[:count]:
            with context(False):
                image = backend.make(call.args[0])
                made = backend.back(getattr(pillow, call.function)(image, *call.args[1:], **call.options))
            far = np.abs(made.astype(np.int64) - call.result).max()
            assert far <= (1 if dtype == "uint16" else 0)
    with context(False):
        wide = backend.make(np.zeros((4, 4), np.int32))
        for function in (pillow.reduce, lambda x, _: pillow.resize(x, (2, 2))):
            with pytest.raises(TypeError, match="jax_enable_x64"):
                function(wide, 2)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_batch_is_its_images(mode: str) -> None:
    bands = {"RGB": (3,), "L": (), "RGBA": (4,)}[mode]
    images = np.random.default_rng(0).integers(0, 256, (3, 30, 20, *bands), dtype=np.uint8)
    if not bands:
        images = images[None]
    got = pillow.resize(images, (17, 11), pillow.LANCZOS)
    wanted = [pillow.resize(image, (17, 11), pillow.LANCZOS) for image in images.reshape(-1, 30, 20, *bands)]
    np.testing.assert_array_equal(got.reshape(len(wanted), 11, 17, *bands), wanted)


def test_gradient() -> None:
    x = np.random.default_rng(1).random((9, 7), dtype=np.float32)
    for resample in pillow.Resampling:
        for size, box in (((10, 5), None), ((7, 9), None), ((4, 4), (1, 2, 5, 6)), ((3, 4), (1.5, 0, 6.25, 9))):
            y, pull = upsample.vjp(pillow.resize, x, size, resample, box)
            g = np.random.default_rng(2).random(y.shape, dtype=np.float32)
            np.testing.assert_allclose((y * g).sum(), (pull(g)[0] * x).sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: pillow.resize(x, (0, 4)), ValueError, "size[0]=0"),
        (lambda x: pillow.resize(x, (4, 4.5)), TypeError, "size[1]=4.5"),
        (lambda x: pillow.resize(x, (4, 4), 9), ValueError, "resample=9"),
        (lambda x: pillow.resize(x, (4, 4), "cubic"), TypeError, "resample='cubic'"),
        (lambda x: pillow.resize(x, (4, 4), box=(0, 0, 9, 4)), ValueError, "box="),
        (lambda x: pillow.resize(x, (4, 4), box=(0, 0, 4)), ValueError, "box="),
        (lambda x: pillow.resize(x, (4, 4), reducing_gap=0.5), ValueError, "reducing_gap=0.5"),
        (lambda x: pillow.resize(x, (4, 4), version="14"), ValueError, "version='14'"),
        (lambda x: pillow.resize(x, (4, 4), version=13), TypeError, "version=13"),
        (lambda x: pillow.resize(x, (4, 4), mode="CMYK"), ValueError, "mode='CMYK'"),
        (lambda x: pillow.resize(x, (4, 4), mode="X"), ValueError, "mode='X'"),
        (lambda x: pillow.resize(x, (4, 4), mode="F"), ValueError, "mode='F'"),
        (lambda x: pillow.resize(x.astype("float64"), (4, 4)), TypeError, "float64"),
        (lambda x: pillow.resize(x[0], (4, 4)), ValueError, "image="),
        (lambda x: pillow.resize(x[:0], (4, 4)), ValueError, "image="),
        (lambda x: pillow.resize(np.zeros((4, 4, 5), "uint8"), (4, 4)), ValueError, "image="),
        (lambda x: pillow.reduce(x, 0), ValueError, "factor=0"),
        (lambda x: pillow.reduce(x, 2, (0, 0, 9, 4)), ValueError, "box="),
        (lambda x: pillow.reduce(x.astype("uint16"), 2), TypeError, "uint16"),
        (lambda x: pillow.reduce(x > 0, 2), ValueError, "image="),
    ],
)
def test_errors(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call(np.zeros((5, 6), dtype=np.uint8))
    assert words in str(caught.value)
