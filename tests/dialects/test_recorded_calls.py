"""The dialects of TensorFlow, Keras, JAX and SciPy against recorded calls of the originals."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from typing import Any

import backends
import dialect_recorded
import numpy as np
import pytest

import upsample
import upsample.jax
import upsample.keras
import upsample.scipy
import upsample.skimage
import upsample.tensorflow

DIALECTS = ("jax", "keras", "scipy", "tensorflow")
LIBRARIES = ("numpy", "portable", "strict", "torch", "dask", "jax", "jax without x64", "emulated")
MOST = {"strict": 60, "torch": 60, "dask": 10, "jax": 4, "jax without x64": 4, "emulated": 4}
"""Calls per dialect, where not all are made; JAX compiles for each shape."""
LACKED = {"strict": ("float16",), "jax without x64": ("float64",)}
"""Dtypes that a library lacks."""


def without_x64() -> Any:
    import jax

    return jax.enable_x64(False) if hasattr(jax, "enable_x64") else jax.experimental.disable_x64()


def run(call: dialect_recorded.Call, dialect: str, backend: backends.Backend) -> np.ndarray:
    given = [backend.make(a) if isinstance(a, np.ndarray) else a for a in call.args]
    function = getattr(import_module(f"upsample.{dialect}"), call.function)
    with np.errstate(all="raise"):  # no result depends on the caller's state
        result = function(*given, **call.options, **backend.options)
    assert type(result) is type(given[0])
    np.testing.assert_array_equal(backend.back(given[0]), call.args[0])
    return backend.back(result)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_recorded(dialect: str, name: str) -> None:
    backend = backends.get(name.split()[0])
    if (dialect, name) == ("scipy", "jax without x64"):
        pytest.skip("there are no float64 sums, on which SciPy's results and dtypes depend")
    calls = dialect_recorded.calls(dialect)
    context = without_x64() if "without" in name else nullcontext()
    wrong, exact = {}, 0
    with context, backend.active():
        for call in calls[:: len(calls) // MOST.get(name, len(calls))]:
            if call.args[0].dtype in LACKED.get(name, ()):
                continue
            got = run(call, dialect, backend)
            exact += np.array_equal(got, call.result)
            if (fault := dialect_recorded.fault(call, got)) is not None:
                wrong[repr(call)] = fault
    assert wrong == {}
    assert exact > 0


EXACT = ("bicubic", "gaussian", "mitchellcubic", "keyscubic", "triangle", "box", "area", "bilinear")
"""Kinds of calls of TensorFlow whose order of sums can be kept; bilinear by its antialiased kernel."""


@pytest.mark.parametrize("engine", ["portable", "cpu"])
def test_tensorflow_to_the_bit(engine: str) -> None:
    if (why := backends.unusable(engine)) is not None:
        pytest.skip(why)
    same, others, refused = 0, [], 0
    for call in dialect_recorded.calls("tensorflow"):
        function = getattr(upsample.tensorflow, call.function)
        if call.function in ("resize_bilinear", "resize_nearest_neighbor") or call.tag.split()[1] not in EXACT:
            continue
        try:
            made = function(*call.args, **call.options, exact=True, engine=engine)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="exact=True"):
                function(*call.args, **call.options, exact=True)
            continue
        if np.array_equal(made, call.result):
            same += 1
        else:
            others.append(call)
    assert same > 300
    assert refused > 100
    assert {call.tag.split()[1] for call in others} <= {"area"}  # where a rounding reaches past the image
    assert len(others) <= 2


def test_zoom_without_float64() -> None:
    backend = backends.get("jax")
    x = np.random.default_rng(0).random((9, 7), dtype=np.float32)
    with without_x64():
        for mode in ("mirror", "nearest", "constant"):
            made = backend.back(upsample.scipy.zoom(backend.make(x), (2.5, 0.7), mode=mode))
            assert made.dtype == np.float32
            np.testing.assert_allclose(made, upsample.scipy.zoom(x, (2.5, 0.7), mode=mode), atol=3e-6)


def test_every_function_is_recorded() -> None:
    for dialect in DIALECTS:
        module = import_module(f"upsample.{dialect}")
        unseen = set(module.__all__) - {call.function for call in dialect_recorded.calls(dialect)}
        assert unseen == ({"resize", "up_sampling_1d", "up_sampling_3d"} if dialect == "keras" else set())


@pytest.mark.parametrize("name", ["numpy", "portable", "torch", "emulated"])
def test_no_axis_to_resize(name: str) -> None:
    x = np.arange(6.0).reshape(2, 3)
    backend = backends.get(name)
    with backend.active():
        result = upsample.resize(backend.make(x), (), axes=(), **backend.options)
    np.testing.assert_array_equal(backend.back(result), x)


CALLS: tuple[tuple[Any, tuple[int, ...], dict[str, Any]], ...] = (
    (upsample.tensorflow.resize, (1, 5, 4, 2), dict(size=(3, 7))),
    (upsample.tensorflow.resize, (5, 4, 2), dict(size=(7, 3), method="bicubic")),
    (upsample.tensorflow.resize, (5, 4, 2), dict(size=(2, 3), method="bicubic", antialias=True)),
    (upsample.tensorflow.resize, (5, 4, 2), dict(size=(3, 7), method="nearest")),
    (upsample.tensorflow.resize_area, (5, 4, 2), dict(size=(3, 3))),
    (
        upsample.tensorflow.scale_and_translate,
        (5, 4, 2),
        dict(size=(6, 5), scale=(1.5, 0.7), translation=(1.25, -2.5), kernel_type="lanczos5"),
    ),
    (upsample.jax.resize, (5, 4), dict(shape=(3, 7), method="lanczos3")),
    (upsample.jax.resize, (5, 4), dict(shape=(8, 4), method="area")),
    (
        upsample.jax.scale_and_translate,
        (5, 4),
        dict(
            shape=(6, 4),
            spatial_dims=(0,),
            scale=(0.7,),
            translation=(2.5,),
            method="cubic-pytorch",
            antialias=False,
        ),
    ),
    (upsample.keras.up_sampling_2d, (1, 3, 4, 2), dict(size=(2, 3), interpolation="bicubic")),
    (upsample.keras.up_sampling_3d, (1, 2, 3, 2, 2), dict(size=(2, 1, 3))),
    (upsample.scipy.zoom, (5, 4), dict(zoom=(1.7, 0.6))),
    (upsample.scipy.zoom, (5, 4), dict(zoom=2.5, order=5, mode="grid-wrap", grid_mode=True)),
    (upsample.scipy.zoom, (5, 4), dict(zoom=1.5, order=2, mode="nearest")),
    (upsample.scipy.zoom, (5, 4), dict(zoom=1.5, order=1, mode="reflect", grid_mode=True)),
    (upsample.skimage.resize, (7, 8, 2), dict(output_shape=(4, 5), mode="wrap", clip=False)),
    (upsample.skimage.pyramid_expand, (5, 4), dict(order=3)),
)


@pytest.mark.parametrize(("function", "shape", "options"), CALLS)
def test_gradient(function: Any, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """A resize is linear: its gradient is its transposed matrix."""
    rng = np.random.default_rng(0)
    x, step = rng.standard_normal((2, *shape)).astype(np.float32)
    y, pullback = upsample.vjp(function, x, **options)
    grad = rng.standard_normal(y.shape).astype(np.float32)
    (back,) = pullback(grad)
    assert (back.shape, back.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose((function(step, **options) * grad).sum(), (back * step).sum(), rtol=1e-4, atol=1e-5)


def test_gradient_of_a_transposed_convolution() -> None:
    rng = np.random.default_rng(1)
    x, kernel = rng.standard_normal((2, 4, 3, 2)), rng.standard_normal((3, 2, 4, 2))
    y, pullback = upsample.vjp(upsample.keras.conv_transpose, x, kernel, strides=(2, 1), padding="same")
    assert y.shape == (2, 8, 3, 4)
    for given, back in zip((x, kernel), pullback(y), strict=True):
        assert back.shape == given.shape
        np.testing.assert_allclose((back * given).sum(), (y * y).sum())


def test_options_of_keras_that_are_missing_take_no_place() -> None:
    x = np.ones((1, 3, 4, 2), np.float32)  # the fifth argument of Keras is crop_to_aspect_ratio
    with pytest.raises(TypeError, match="positional"):
        upsample.keras.resize(x, (2, 2), "bilinear", False, "channels_first")  # type: ignore[misc]
    assert upsample.keras.resize(x, (2, 2), data_format="channels_first").shape == (1, 3, 2, 2)


def test_integers_of_keras_are_rounded_and_saturated() -> None:
    x = np.asarray([0, 255, 0, 255, 255], np.uint8).reshape(1, 1, 5, 1)
    made = upsample.keras.up_sampling_2d(x, (1, 3), "bicubic")
    exact = upsample.keras.up_sampling_2d(x.astype(np.float32), (1, 3), "bicubic")
    np.testing.assert_array_equal(made, np.clip(np.rint(exact), 0, 255).astype(np.uint8))
    assert exact.min() < 0
    assert exact.max() > 255


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: upsample.tensorflow.resize(x, 4), TypeError, "resize: size=4"),
        (lambda x: upsample.tensorflow.resize(x, (0, 4)), ValueError, "size[0]=0"),
        (lambda x: upsample.tensorflow.resize(x, (4, 4), "cubic"), ValueError, "method='cubic'"),
        (lambda x: upsample.tensorflow.resize(x[0], (4, 4)), ValueError, "images="),
        (lambda x: upsample.tensorflow.resize(x + 1j, (4, 4)), TypeError, "complex128"),
        (lambda x: upsample.tensorflow.resize_bilinear(x, (4, 4), True, True), ValueError, "half_pixel_centers=True"),
        (
            lambda x: upsample.tensorflow.scale_and_translate(x, (4, 4), (0, 1), (0, 0)),
            ValueError,
            "scale=(0, 1)",
        ),
        (lambda x: upsample.jax.resize(x, (4, 4), "linear"), ValueError, "shape="),
        (lambda x: upsample.jax.resize(x, (4, 4, 0), "linear"), ValueError, "shape="),
        (lambda x: upsample.jax.resize(x, (4, 4, 4), "spline"), ValueError, "method='spline'"),
        (
            lambda x: upsample.jax.scale_and_translate(x, (3, 4, 2), (0, 0), (1, 1), (0, 0), "linear"),
            ValueError,
            "spatial_dims",
        ),
        (
            lambda x: upsample.jax.scale_and_translate(x, (3, 4, 9), (0,), (1,), (0,), "linear"),
            ValueError,
            "axis 2",
        ),
        (lambda x: upsample.keras.up_sampling_2d(x), ValueError, "inputs="),
        (lambda x: upsample.keras.up_sampling_1d(x, 0), ValueError, "size=0"),
        (lambda x: upsample.keras.resize(x, (4, 4), "lanczos3", backend="torch"), ValueError, "interpolation"),
        (lambda x: upsample.keras.conv_transpose(x, np.ones((3, 1, 3))), ValueError, "kernel="),
        (lambda x: upsample.keras.conv_transpose(x, np.ones((3, 1, 2)), padding="full"), ValueError, "padding='full'"),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call(np.ones((3, 4, 2)))
    assert words in str(caught.value)
