"""NaN on its way through `resize`: which outputs it reaches, and ``nan="omit"``, against a loop in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import backends
import numpy as np
import pytest
from cases import noise
from dtypes import dtype_of
from emulator.device import EmulatedDevice

import upsample
from upsample import reference
from upsample.engines.cuda.runtime.device import emulating

MODES = [
    ("nearest", False),
    ("nearest-exact", False),
    ("linear", False),
    ("linear", True),
    ("cubic", False),
    ("area", False),
]
SIZES = [((9, 11), (5, 17)), ((12, 10), (24, 5)), ((7, 8), (7, 3))]


@pytest.fixture(params=["portable", "cpu", "cuda"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an engine, inside of which NumPy arrays run on it."""
    if request.param == "cpu":
        pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
    if request.param != "cuda":
        yield request.param
        return
    with emulating(EmulatedDevice(order=7)):
        yield "cuda"


def holes(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray:
    """Noise of which a corner, a row and a fifth of the rest are missing."""
    x = noise(*shape).astype(dtype_of(dtype))
    x[np.random.default_rng(3).random(shape) < 0.2] = math.nan
    x[:4, :4] = math.nan
    x[-1] = math.nan
    return x


def matrix(n: int, o: int, mode: str, antialias: bool) -> np.ndarray:
    """The weights of an axis, ``[o, n]``: what the reference makes of each unit vector."""
    columns = [reference.resize(unit, (o,), axes=(0,), mode=mode, antialias=antialias) for unit in np.eye(n)]
    return np.stack(columns, axis=1).astype(float)


def omitted(x: np.ndarray, size: tuple[int, int], mode: str, antialias: bool) -> np.ndarray:
    """A loop: for each output the weighted mean of the samples that are there."""
    down, along = (matrix(n, o, mode, antialias) for n, o in zip(x.shape, size, strict=True))
    y = np.full(size, math.nan)
    for i, k in itertools.product(range(size[0]), range(size[1])):
        total = weights = 0.0
        for j, m in itertools.product(range(x.shape[0]), range(x.shape[1])):
            if not math.isnan(x[j, m]):
                total += down[i, j] * along[k, m] * float(x[j, m])
                weights += down[i, j] * along[k, m]
        if abs(weights) >= 2.0**-16:
            y[i, k] = total / weights
    return y


@pytest.mark.parametrize(("mode", "antialias"), MODES)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_omitted(engine: str, mode: str, antialias: bool, shape: Any, size: Any) -> None:
    x = holes(shape)
    got = upsample.resize(x, size, mode=mode, antialias=antialias, nan="omit", engine=engine)
    np.testing.assert_allclose(got, omitted(x, size, mode, antialias), rtol=1e-9, atol=1e-12)
    assert np.isnan(got).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64", "complex128"])
def test_dtypes(engine: str, dtype: str) -> None:
    x = holes((9, 11), dtype)
    got = upsample.resize(x, (5, 17), nan="omit", engine=engine)
    assert got.dtype == x.dtype
    want = omitted(x.real.astype(float), (5, 17), "linear", False)
    rtol = {"float16": 2e-3, "bfloat16": 1.6e-2, "complex128": 1e-9}.get(dtype, 1e-4)
    np.testing.assert_allclose(got.real.astype(float), want, rtol=rtol, atol=rtol)


def test_nothing_missing_changes_no_bit(engine: str) -> None:
    x = noise(9, 11)
    for mode, antialias in MODES:
        plain, got = (
            upsample.resize(x, (5, 17), mode=mode, antialias=antialias, nan=nan, engine=engine)
            for nan in ("propagate", "omit")
        )
        np.testing.assert_array_equal(got, plain)
    x[0, 0] = math.nan  # which the portable engine sums in another order where NaN must not spread
    plain, got = (upsample.resize(x, (5, 17), nan=nan, engine=engine) for nan in ("propagate", "omit"))
    np.testing.assert_allclose(got[~np.isnan(plain)], plain[~np.isnan(plain)], rtol=1e-5, atol=1e-6)
    assert not np.isnan(got).any()


def test_integers_have_none_and_out_is_filled() -> None:
    x = noise(9, 11, dtype="uint8")
    np.testing.assert_array_equal(upsample.resize(x, (5, 17), nan="omit"), upsample.resize(x, (5, 17)))
    y, out = holes((9, 11)), np.zeros((5, 17))
    assert upsample.resize(y, (5, 17), nan="omit", out=out) is out
    np.testing.assert_array_equal(out, upsample.resize(y, (5, 17), nan="omit"))


def test_gradient(engine: str) -> None:
    """Against differences: what is there moves the outputs, what is missing has a gradient of zero."""
    x = holes((5, 6))
    y, pullback = upsample.vjp(upsample.resize, x, (4, 7), nan="omit", engine=engine)
    g = np.random.default_rng(0).standard_normal(y.shape)
    (grad,) = pullback(g)
    for place in np.ndindex(*x.shape):
        if np.isnan(x[place]):
            assert grad[place] == 0.0
            continue
        moved = x.copy()
        moved[place] += 1.0
        difference = upsample.resize(moved, (4, 7), nan="omit", engine=engine) - y
        np.testing.assert_allclose(grad[place], np.nansum(difference * g), atol=1e-9)


def test_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = holes((5, 6))
    y, pullback = upsample.vjp(upsample.resize, x, (4, 7), nan="omit")
    t = torch.asarray(x).requires_grad_()
    made = upsample.resize(t, (4, 7), nan="omit")
    np.testing.assert_array_equal(made.detach().numpy(), y)
    made.nansum().backward()
    np.testing.assert_allclose(t.grad.numpy(), pullback(np.ones_like(y))[0], atol=1e-12)


def test_other_libraries() -> None:
    x = holes((9, 11), "float32")
    want = upsample.resize(x, (5, 17), nan="omit")
    dask = pytest.importorskip("dask.array", reason="dask is not installed")
    got = upsample.resize(dask.from_array(x, chunks=(4, 5)), (5, 17), nan="omit")
    np.testing.assert_allclose(got.compute(), want, rtol=1e-4, atol=1e-5)
    jax = pytest.importorskip("jax", reason="jax is not installed")
    resize: Callable[[Any], Any] = lambda a: upsample.resize(a, (5, 17), nan="omit")  # noqa: E731
    for call in (resize, jax.jit(resize)):
        np.testing.assert_allclose(np.asarray(call(jax.numpy.asarray(x))), want, rtol=1e-4, atol=1e-5)
    total = jax.grad(lambda a: jax.numpy.nansum(resize(a)))(jax.numpy.asarray(x))
    y, pullback = upsample.vjp(upsample.resize, x, (5, 17), nan="omit")
    np.testing.assert_allclose(np.asarray(total), pullback(np.ones_like(y))[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("mode", "reach"), [("linear", 1), ("cubic", 2), ("lanczos", 3)])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("o", [7, 20, 41])
def test_a_nan_reaches_what_the_docstring_says(engine: str, mode: str, reach: int, antialias: bool, o: int) -> None:
    n, at = 20, 9
    x = np.zeros((2, n))
    x[:, at] = math.nan
    y = upsample.resize(x, o, axes=1, mode=mode, antialias=antialias, engine=engine)
    distance = np.abs((np.arange(o) + 0.5) * n / o - 0.5 - at)
    reach = reach * max(1.0, n / o) if antialias else reach
    if n == o:  # an axis that keeps its size and samples is copied
        np.testing.assert_array_equal(np.isnan(y[0]), np.arange(n) == at)
        return
    assert np.isnan(y[:, distance < reach - 1e-9]).all()
    assert not np.isnan(y[:, distance > reach + 1e-9]).any()


def test_area_and_nearest_reach() -> None:
    x = np.zeros(10)
    x[4] = math.nan
    assert np.flatnonzero(np.isnan(upsample.resize(x, 4, mode="area"))).tolist() == [1]
    assert np.flatnonzero(np.isnan(upsample.resize(x, 20, mode="nearest"))).tolist() == [8, 9]


@pytest.mark.parametrize(
    ("value", "error"), [("drop", ValueError), (np.asarray([]), TypeError), (None, TypeError), (True, TypeError)]
)
def test_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"resize: nan=.*pass 'propagate' or 'omit'"):
        upsample.resize(np.zeros((4, 4)), (2, 2), nan=value)


# ------------------------------------------------------------------------------------------ samples of weight zero

LIBRARIES = ("numpy", "portable", "strict", "torch", "dask", "jax", "emulated")
inf, nan = math.inf, math.nan
EXACT_PLACES = [
    ([0, nan], 4, {}, [0, nan, nan, nan]),
    ([nan, 0], 4, {}, [nan, nan, nan, 0]),
    ([0, inf], 3, {"align_corners": True}, [0, inf, inf]),
    ([0, 1, nan, 3, 4], 9, {"align_corners": True}, [0, 0.5, 1, nan, nan, nan, 3, 3.5, 4]),
    ([0, 1, nan, 3], 12, {}, [0, 0, 1 / 3, 2 / 3, 1, nan, nan, nan, nan, nan, 3, 3]),
    ([-inf, 1, 0, 1], 12, {"mode": "cubic", "boundary": "edge"}, None),
    ([0, 1, nan, 3, 4, 5], 18, {"mode": "cubic"}, None),
    ([0, 1, nan, 3, 4, 5], 18, {"mode": "mitchell"}, None),
    ([0, 1, nan, 3, 4, 5], 18, {"mode": "cubic", "boundary": "reflect"}, None),
    ([0, 1, nan, 3, 4, 5], 3, {"mode": "linear", "antialias": True}, None),
]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(("samples", "size", "options", "want"), EXACT_PLACES)
def test_a_sample_of_weight_zero_does_not_count(
    samples: list[float], size: int, options: dict[str, Any], want: list[float] | None, name: str
) -> None:
    """Its place is that of the weights' zeros: what the same call makes of a unit vector in its place."""
    x = np.asarray(samples, dtype=float)
    finite = np.isfinite(x)
    unit = upsample.resize(np.where(finite, 0.0, 1.0), size, **options)
    clean = upsample.resize(np.where(finite, x, 0.0), size, **options)
    backend = backends.get(name)
    with backend.active():
        got = backend.back(upsample.resize(backend.make(x), size, **options, **backend.options))
    np.testing.assert_array_equal(np.isfinite(got), unit == 0.0)
    assert 0 < (unit == 0.0).sum() < size
    np.testing.assert_allclose(got[unit == 0.0], clean[unit == 0.0], rtol=1e-12, atol=1e-12)
    if want is not None:
        np.testing.assert_allclose(got, want, rtol=1e-12)
    if np.isinf(x).any():
        np.testing.assert_array_equal(got[unit != 0.0], (x[~finite] * unit[unit != 0.0]))


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3), (3, 7, 9, 20)])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_every_kernel_says_the_same(engine: str, mode: str, shape: tuple[int, ...]) -> None:
    axes = (0, 1) if len(shape) < 4 else (1, 2)
    sizes = tuple(n * f for n, f in zip((7, 9), (3, 5), strict=True))
    for dtype in ("float32", "float64"):
        x = noise(*shape).astype(dtype)
        place = tuple(n // 2 for n in shape)
        bad = x.copy()
        bad[place] = nan
        got, clean = (upsample.resize(y, sizes, axes=axes, mode=mode, engine=engine) for y in (bad, x))
        reached = np.isnan(got)
        along = [f * 2 - 1 if mode == "linear" else f * 4 - 3 for f in (3, 5)]
        assert reached.sum() == math.prod(along)
        slack = 1e-5 if engine == "portable" else 0.0  # it sums in another order where NaN must not spread
        np.testing.assert_allclose(got[~reached], clean[~reached], rtol=slack, atol=slack)


def test_torchs_dialect_keeps_torchs_rule(engine: str) -> None:
    x = np.asarray([[[0.0, inf]]])
    got = upsample.interpolate(x, size=3, mode="linear", align_corners=True, engine=engine)
    np.testing.assert_array_equal(got, [[[nan, inf, nan]]])
