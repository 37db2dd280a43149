"""The engine for JAX arrays: results of the portable engine, and a graph that does not grow with taps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample import chainer

jax = pytest.importorskip("jax", reason="jax is not installed")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy


def test_explain_names_the_engine() -> None:
    choice = upsample.explain(upsample.max_pool2d, jnp.zeros((1, 1, 4, 4)), 2)
    assert choice.engine == "jax"
    assert "within a few units in the last place" in str(choice)
    assert upsample.explain(upsample.max_pool2d, np.zeros((1, 1, 4, 4)), 2).reasons["jax"] == "it takes JAX arrays only"


LONG: dict[str, tuple[Callable[[Any, int], Any], bool]] = {
    "adaptive_max_pool1d": (lambda x, n: upsample.adaptive_max_pool1d(x[..., : 7 * n + 3], 7), True),
    "max_pool1d": (lambda x, n: upsample.max_pool1d(x, n, stride=2, padding=n // 2), True),
    "max_pooling_2d": (lambda x, n: chainer.max_pooling_2d(x[None], (1, n), stride=3), True),
    "conv_transpose1d": (
        lambda x, n: upsample.conv_transpose1d(x, jnp.ones((2, 1, n), x.dtype), stride=3),
        True,
    ),
    "conv_transpose1d dilated": (
        lambda x, n: upsample.conv_transpose1d(x, jnp.ones((2, 1, n), x.dtype), stride=3, dilation=2),
        True,
    ),
    "unpooling_2d": (lambda x, n: chainer.unpooling_2d(x[None], (1, n)), True),
    "max_unpool1d": (
        lambda x, n: upsample.max_unpool1d(*upsample.max_pool1d_with_indices(x[..., : n * 9], n), n),
        True,
    ),
    "upsampling_2d": (
        lambda x, n: chainer.upsampling_2d(x[None], jnp.zeros((1, *x.shape), dtype=int), (1, n)),
        True,
    ),
    "area": (lambda x, n: upsample.interpolate(x[..., : 5 * n], size=5, mode="area"), True),
    "lanczos": (
        lambda x, n: upsample.resize(x[..., : 5 * n], (5,), axes=(2,), mode="lanczos", antialias=True),
        True,
    ),
    "lanczos of bytes": (
        lambda x, n: upsample.resize(
            (x[..., : 5 * n] * 9).astype(jnp.uint8), (5,), axes=(2,), mode="lanczos", antialias=True
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_the_graph_does_not_grow_with_taps(name: str) -> None:
    function, is_differentiable = LONG[name]
    x = jnp.asarray(noise(2, 2, 10_000))

    def operations(taps: int, grad: bool) -> int:
        def run(x: Any) -> Any:
            return function(x, taps)

        traced = jax.jit(jax.grad(lambda x: run(x).sum()) if grad else run).lower(x)
        return int(traced.as_text().count(" = "))

    for grad in (False, True)[: 1 + is_differentiable]:
        assert operations(1000, grad) <= 1.5 * operations(100, grad)


def test_the_gradient_of_a_resize_is_no_scatter() -> None:
    def loss(x: Any) -> Any:
        return upsample.interpolate(x, size=(7, 9), mode="bicubic").sum()

    assert "scatter" not in jax.jit(jax.grad(loss)).lower(jnp.ones((1, 1, 4, 4))).as_text()


def spoilt(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Put some special values into half of the arrays."""
    if rng.random() < 0.5:
        x.reshape(-1)[rng.integers(x.size, size=3)] = rng.choice([np.nan, np.inf, -np.inf, -0.0], size=3)
    return x


def assert_same(got: Any, wanted: Any, tolerance: float) -> None:
    assert got.dtype == wanted.dtype
    if tolerance:
        np.testing.assert_allclose(np.asarray(got, np.float64), wanted.astype(np.float64), tolerance, tolerance)
    else:
        np.testing.assert_array_equal(np.asarray(got), wanted)


def assert_agrees(function: Callable[..., Any], arrays: tuple[np.ndarray, ...], tolerance: float) -> None:
    """Compare values, and gradients by the pullback, with those of the portable engine."""
    wanted, pullback = upsample.vjp(lambda *given: function(*given, engine="portable"), *arrays)
    got, own = upsample.vjp(lambda *given: function(*given), *map(jnp.asarray, arrays))
    results = (wanted, got) if isinstance(wanted, tuple) else ((wanted,), (got,))
    for w, g in zip(*results, strict=True):
        assert_same(g, w, tolerance if w.dtype.kind == "f" else 0)
    grad = np.random.default_rng(1).standard_normal(results[0][0].shape).astype(results[0][0].dtype)
    for w, g in zip(pullback(grad), own(jnp.asarray(grad)), strict=True):
        assert_same(g, w, max(20 * tolerance, 1e-5))


@pytest.mark.parametrize("seed", range(4))
def test_values_and_gradients_are_those_of_the_portable_engine(seed: int) -> None:
    """With values that are not finite, windows larger than planes, strides larger than windows, and dilations."""
    rng = np.random.default_rng(seed)
    small, kernel = rng.integers(1, 6, 2), rng.integers(1, 8, 2)
    stride, dilation = rng.integers(1, 5, 2).tolist(), rng.choice([1, 1, 2], 2).tolist()
    x = spoilt(rng, rng.standard_normal((2, 4, *small)))
    weight = spoilt(rng, rng.standard_normal((4, 3, *kernel)))
    for groups in (1, 2):
        options = {"stride": stride, "dilation": dilation, "groups": groups}
        assert_agrees(lambda x, w, **k: upsample.conv_transpose2d(x, w, **(k | options)), (x, weight), 1e-12)  # noqa: B023
    image = spoilt(rng, rng.integers(-2, 3, (1, 2, 9, 11)).astype(np.float32))
    window = {"kernel_size": kernel.tolist(), "stride": stride, "padding": (kernel // 2).tolist()}
    assert_agrees(lambda x, **k: upsample.max_pool2d(x, return_indices=True, **window, **k), (image,), 0)
    local = {"ksize": kernel.tolist(), "stride": stride, "pad": (kernel // 2).tolist(), "return_indices": True}
    assert_agrees(lambda x, **k: chainer.max_pooling_2d(x, **local, **k), (image,), 0)
    sizes = rng.integers(1, 15, 2).tolist()
    assert_agrees(lambda x, **k: upsample.adaptive_max_pool2d(x, sizes, **k), (image,), 0)
    mode = rng.choice(["linear", "cubic", "lanczos"])
    resampled = {"axes": (2, 3), "mode": str(mode), "antialias": bool(seed % 2)}
    assert_agrees(lambda x, **k: upsample.resize(x, sizes, **resampled, **k), (image,), 1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves_are_summed_in_float32(dtype: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    x, weight = (noise(2, 3, 8, 9).astype(kind), noise(3, 2, 3, 3).astype(kind))
    ulp = 2.0 ** (-7 if dtype == "bfloat16" else -10)
    for function, arrays in (
        (lambda x, **k: upsample.interpolate(x, size=(3, 20), mode="bilinear", **k), (x,)),
        (lambda x, w, **k: upsample.conv_transpose2d(x, w, stride=2, **k), (x, weight)),
        (lambda x, **k: upsample.max_pool2d(x, 3, 1, 1, **k), (x,)),
    ):
        wanted = function(*arrays, engine="portable").astype(np.float64)
        got = function(*map(jnp.asarray, arrays))
        assert got.dtype == kind
        assert np.abs(np.asarray(got, np.float64) - wanted).max() <= ulp * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint32"])
@pytest.mark.parametrize("mode", ["nearest", "cubic", "area"])
def test_integers_have_the_same_bits(dtype: str, mode: str) -> None:
    x = np.random.default_rng(0).integers(0, 200, (30, 41)).astype(dtype)
    for shape in ((7, 50), (45, 9)):
        for antialias in (False, True)[: 1 + (mode == "cubic")]:
            wanted = upsample.resize(x, shape, mode=mode, antialias=antialias, engine="portable")
            assert_same(upsample.resize(jnp.asarray(x), shape, mode=mode, antialias=antialias), wanted, 0)


def test_integers_are_convolved_exactly() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-9, 9, (2, 4, 3, 5)), rng.integers(-9, 9, (4, 3, 4, 2))
    wanted = upsample.conv_transpose2d(x, weight, stride=(3, 1), padding=1, engine="portable")
    assert_same(upsample.conv_transpose2d(jnp.asarray(x), jnp.asarray(weight), stride=(3, 1), padding=1), wanted, 0)


TRANSFORMED: dict[str, Callable[[Any], Any]] = {
    "resize": lambda x: upsample.interpolate(x, size=(3, 9), mode="bicubic"),
    "nearest": lambda x: upsample.interpolate(x, size=(3, 9)),
    "pool": lambda x: upsample.max_pool2d(x, 3, 2, 1),
    "unpool": lambda x: upsample.max_unpool2d(x, jnp.broadcast_to(5 + jnp.zeros(x.shape, int), x.shape), 2),
    "conv": lambda x: upsample.conv_transpose2d(x, jnp.asarray(noise(1, 2, 3, 3).astype(np.float64)), stride=2),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transforms_of_jax(name: str) -> None:
    function = TRANSFORMED[name]
    x, tangent = jnp.asarray(noise(4, 1, 1, 4, 5).astype(np.float64)), jnp.asarray(noise(1, 1, 4, 5))
    batched = jax.vmap(function)(x)
    np.testing.assert_allclose(batched, jnp.stack([function(one) for one in x]), 1e-12)

    def loss(x: Any) -> Any:
        return (function(x) ** 3).sum()

    slope = jax.grad(loss)(x[0])
    np.testing.assert_allclose(jax.jvp(loss, (x[0],), (tangent.astype(x.dtype),))[1], (slope * tangent).sum(), 1e-9)
    np.testing.assert_allclose(jax.vmap(jax.grad(loss))(x)[0], slope, 1e-9, 1e-12)
    forward = jax.jvp(jax.grad(loss), (x[0],), (tangent.astype(x.dtype),))[1]
    np.testing.assert_allclose(forward, jax.grad(lambda x: (jax.grad(loss)(x) * tangent).sum())(x[0]), 1e-9, 1e-12)


def test_sums_of_runs_are_those_of_the_scatter() -> None:
    """GPUs use the former, CPUs the latter."""
    from upsample.engines.jax.unpool.driver import scattered, summed_runs

    rng = np.random.default_rng(0)
    values, rows = (
        jnp.asarray(rng.integers(-9, 9, (3, 50)).astype(np.float64)),
        jnp.asarray(rng.integers(0, 21, (3, 50))),
    )
    np.testing.assert_array_equal(summed_runs(20, values, rows), scattered(20, values, rows))


SHARDED = """
import jax, numpy as np, upsample
from upsample import chainer
jax.config.update("jax_numpy_rank_promotion", "raise")
from jax.sharding import Mesh, NamedSharding, PartitionSpec

def calls(x, weight):
    y, back = upsample.vjp(upsample.interpolate, x, size=(7, 25), mode="bicubic")
    z, through = upsample.vjp(upsample.conv_transpose2d, x, weight, stride=2)
    values, indices = upsample.max_pool2d_with_indices(x, 2)
    yield from (y, *back(y), z, *through(z), values, indices)
    yield upsample.interpolate(x, size=(7, 25))
    yield upsample.adaptive_max_pool2d(x, 5)
    for duplicates in ("last", "sum", "error"):
        yield upsample.max_unpool2d(values, indices, 2, duplicates=duplicates)
    yield upsample.pixel_shuffle(x, 2)
    yield chainer.unpooling_2d(x, 3)
    yield chainer.max_pooling_2d(x, 3, 2)

rng = np.random.default_rng(0)
x, weight = rng.random((4, 8, 12, 12), dtype=np.float32), rng.random((8, 4, 3, 3), dtype=np.float32)
wanted = list(calls(x, weight))
mesh = Mesh(np.array(jax.devices()), ("devices",))
for axis in range(4):
    spread = NamedSharding(mesh, PartitionSpec(*[None] * axis, "devices"))
    for got, want in zip(calls(jax.device_put(x, spread), jax.numpy.asarray(weight)), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
        assert len(got.devices()) == 4
one, other = (jax.device_put(x, device) for device in jax.devices()[:2])
try:
    upsample.max_unpool2d(one, other.astype(int), 2, output_size=(24, 24))
    raise SystemExit("devices were mixed")
except TypeError as error:
    assert "all arrays must be on one device" in str(error)
"""


def test_arrays_on_several_devices_and_without_rank_promotion() -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", SHARDED], check=True, env=os.environ | flags)


EXPORTED: dict[str, Callable[[Any], Any]] = TRANSFORMED | {
    "area": lambda x: upsample.resize(x, (3, 3), axes=(2, 3), mode="area"),
    "adaptive": lambda x: upsample.adaptive_max_pool2d(x, 3),
    "sum": lambda x: upsample.max_unpool2d(
        *upsample.max_pool2d_with_indices(x, 2), 2, output_size=(4, 5), duplicates="sum"
    ),
    "unpooling_2d": lambda x: chainer.unpooling_2d(x, 3),
    "shuffle": lambda x: upsample.pixel_shuffle(jnp.concatenate([x] * 4, axis=1), 2),
    "gradient": lambda x: jax.grad(lambda x: (upsample.max_pool2d(x, 2) ** 2).sum())(x),
    "pullback": lambda x: upsample.vjp(upsample.interpolate, x, scale_factor=2)[1](
        jnp.concatenate([x] * 4, 2).reshape(x.shape[0], 1, 8, 10)
    )[0],
}


@pytest.mark.parametrize("name", EXPORTED)
def test_export_with_a_symbolic_batch(name: str) -> None:
    function = EXPORTED[name]
    (batch,) = jax.export.symbolic_shape("batch")
    exported = jax.export.export(jax.jit(function))(jax.ShapeDtypeStruct((batch, 1, 4, 5), np.float64))
    x = jnp.asarray(noise(3, 1, 4, 5).astype(np.float64))
    np.testing.assert_allclose(exported.call(x), function(x), 1e-12, 1e-12)


@pytest.mark.parametrize("name", ["resize", "pool", "conv"])
def test_symbolic_spatial_sizes_are_refused_in_words(name: str) -> None:
    batch, height = jax.export.symbolic_shape("batch, height")
    with pytest.raises(
        ValueError, match=r"input=<shape \(batch, 1, height, 5\)>, but the sizes of axes \(2, 3\) must be"
    ):
        jax.export.export(jax.jit(TRANSFORMED[name]))(jax.ShapeDtypeStruct((batch, 1, height, 5), np.float64))
