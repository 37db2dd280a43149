"""The compiled engine's resize against the reference and the portable engine."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tolerances
from backends import LAYOUTS, Backend, get, needs_numba
from cases import CASES, Case, noise
from dtypes import dtype_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import upsample
from upsample.caches import Cache

needs_numba()

RESIZES = [case for case in CASES if case.id.startswith(("interpolate", "resize"))]
FILTERS = ["linear", "cubic", "lanczos", "area"]
POINTS = ["nearest", "nearest-exact"]


def values(dtype: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Noise of any dtype."""
    if dtype.startswith("complex"):
        return (noise(*shape, seed=seed) + 1j * noise(*shape, seed=seed + 1)).astype(dtype)
    if "float" in dtype:
        return noise(*shape, seed=seed).astype(dtype_of(dtype))
    bits = np.random.default_rng([seed, *shape]).integers(0, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    return (bits[..., 0] > 127) if dtype == "bool" else bits.view(dtype)[..., 0]


def same_as_portable(x: np.ndarray, *args: Any, function: Any = upsample.resize, exact: bool, **options: Any) -> None:
    """Assert that both engines give the same result, NaN and infinity included."""
    with np.errstate(all="ignore"):
        wanted = function(x, *args, **options, engine="portable")
    got = function(x, *args, **options, engine="cpu")
    assert got.dtype == wanted.dtype
    if got.dtype.kind == "c":  # each part is a number of its own, finite or not
        got, wanted = got.view(got.real.dtype), wanted.view(got.real.dtype)
    tolerances.assert_close(got, wanted, exact or x.dtype == np.uint8, margin=2.0)


def forget_calls(patch: pytest.MonkeyPatch) -> None:
    """Make every call be worked out anew."""
    from upsample.engines.cpu.resize import driver as resize
    from upsample.ops import call_cache

    patch.setattr(resize, "_works", Cache())
    patch.setattr(call_cache, "_known", Cache())


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", RESIZES, ids=repr)
def test_cases(case: Case, kind: str) -> None:
    backend: Backend = get(kind)
    (x,) = (backend.make(a) for a in case.arrays)
    before = x.copy()
    got = case.function(x, **case.options, engine="cpu")
    assert got.dtype == x.dtype
    tolerances.assert_close(got, np.asarray(case.expected(*case.arrays)), case.exact, case.margin)
    np.testing.assert_array_equal(x, before)
    out = backend.make(np.full(got.shape, 99, dtype=case.arrays[0].dtype))
    out.flags.writeable = True
    assert case.function(x, **case.options, engine="cpu", out=out) is out
    np.testing.assert_array_equal(out, got)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "complex128", "uint8"])
@pytest.mark.parametrize("mode", FILTERS)
@pytest.mark.parametrize("antialias", [False, True])
def test_filters_of_every_dtype(dtype: str, mode: str, antialias: bool) -> None:
    if mode == "area" and antialias:
        pytest.skip("area has no antialias: it is an average already")
    for shape, size in (((2, 9, 7), (2, 18, 14)), ((2, 12, 14, 3), (2, 6, 7, 3)), ((40, 30, 20), (23, 41, 31))):
        x = values(dtype, *shape)
        same_as_portable(x, size, mode=mode, antialias=antialias, exact=False)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "int32", "float64", "complex64", "complex128"]
)
@pytest.mark.parametrize("mode", POINTS)
def test_moves_of_every_dtype(dtype: str, mode: str) -> None:
    for shape, size in (
        ((2, 9, 7), (2, 18, 14)),
        ((2, 9, 7, 3), (2, 18, 14, 3)),
        ((8, 6, 5, 70), (5, 9, 11, 70)),
        ((5, 300), (11, 300)),
        ((4, 5, 6), (7, 5, 3)),
    ):
        x = values(dtype, *shape)
        got = upsample.resize(x, size, mode=mode, engine="cpu")
        wanted = upsample.resize(x, size, mode=mode, engine="portable")
        assert got.dtype == wanted.dtype
        assert got.tobytes() == wanted.tobytes()


@st.composite
def _calls(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    ndim = draw(st.integers(1, 4))
    limit = {1: 90, 2: 40, 3: 20, 4: 8}[ndim]
    shape = tuple(draw(st.integers(1, limit)) for _ in range(ndim))
    axes = tuple(draw(st.permutations(range(ndim)))[: draw(st.integers(1, ndim))])
    mode = draw(st.sampled_from([*FILTERS, *POINTS]))
    size = tuple(shape[a] * 2 if draw(st.booleans()) else draw(st.integers(1, limit)) for a in axes)
    dtype = draw(st.sampled_from(["float32", "float64", "uint8", "complex64", "float16"]))
    options: dict[str, Any] = {"shape": size, "axes": axes, "mode": mode}
    options["antialias"] = mode in FILTERS[:3] and draw(st.booleans())
    options["align_corners"] = mode in FILTERS[:2] and not options["antialias"] and draw(st.booleans())
    x = values(dtype, *shape, seed=draw(st.integers(0, 99)))
    if dtype != "uint8" and draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            place = tuple(draw(st.integers(0, n - 1)) for n in shape)
            x[place] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return x, options


@given(_calls(), st.sampled_from([300, 3000, 1 << 20]), st.sampled_from([(1, 1 << 18), (300, 1 << 18), (300, 600)]))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_call(call: tuple[np.ndarray, dict[str, Any]], job: int, ring: tuple[int, int]) -> None:
    from upsample.engines.cpu.resize import float_2x_fused, strips

    x, options = call
    with pytest.MonkeyPatch.context() as patch:
        forget_calls(patch)
        for name, value in dict(_JOB_BYTES=job, _MOST_BYTES=job, _STRIP=4).items():
            patch.setattr(strips, name, value)
        for name, value in zip(("_GROUP_BYTES", "RING_BYTES"), ring, strict=True):
            patch.setattr(float_2x_fused, name, value)
        same_as_portable(x, exact=options["mode"] in POINTS, **options)


def test_short_rows_go_as_one_only_where_one_follows_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a job has one sample of an axis between the resized ones, its rows lie apart."""
    from upsample.engines.cpu.resize import strips

    forget_calls(monkeypatch)
    for name in ("_JOB_BYTES", "_MOST_BYTES"):
        monkeypatch.setattr(strips, name, 300)
    same_as_portable(values("float32", 2, 2, 4, 4), (4, 8), axes=(0, 2), mode="linear", exact=False)


@pytest.mark.parametrize("group", [1, 500, 1 << 13])
@pytest.mark.parametrize("size", [(26, 42), (19, 42), (9, 26, 42), (40, 42)])
@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
def test_doubled_rows_in_a_ring(monkeypatch: pytest.MonkeyPatch, mode: str, size: tuple[int, ...], group: int) -> None:
    from upsample.engines.cpu.resize import driver as resize
    from upsample.engines.cpu.resize import float_2x_fused

    forget_calls(monkeypatch)
    monkeypatch.setattr(float_2x_fused, "_GROUP_BYTES", group)
    x = values("float32", 2, *(5, 13, 21)[-len(size) :])
    axes = tuple(range(1, x.ndim))
    same_as_portable(x, size, axes=axes, mode=mode, exact=False)
    (work,) = resize._works.values()
    kernels = [step.function for step in work.task.strips[0].passes]  # type: ignore[union-attr]
    assert (float_2x_fused.doubled in kernels) == (mode != "lanczos")
    for place in ((0, 0), (3, 5), (6, 10), (12, 1)):
        again = x.copy()
        again[(0,) * (x.ndim - 2) + place] = np.inf
        same_as_portable(again, size, axes=axes, mode=mode, exact=False)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64"])
@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
def test_rows_by_permutations(dtype: str, mode: str) -> None:
    from upsample.engines.cpu.resize import float_simd

    sizes = ((2, 30, 37), (41, 51)), ((1, 5, 14), (7, 28)), ((3, 14, 14), (19, 19)), ((9, 8, 8), (13, 11))
    for shape, size in (*sizes, ((2, 13, 300), (13, 411)), ((4, 6, 20, 3), (8, 29)), ((4, 6, 20, 5), (6, 41))):
        x = values(dtype, *shape)
        same_as_portable(x, size, axes=(1, 2), mode=mode, exact=False)
        for place, value in (((0, 0, 0), np.inf), ((0, 3, 5), np.nan), ((0, 4, shape[2] - 1), -np.inf)):
            x[place] = value
            same_as_portable(x, size, axes=(1, 2), mode=mode, exact=False)
    if float_simd.can("float32"):
        assert float_simd.rows.signatures  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
@pytest.mark.parametrize("inner", [1, 2, 3, 7, 14])
def test_vectors_read_and_write_no_further_than_the_row(mode: str, inner: int) -> None:
    from upsample.engines.cpu.resize import float_simd
    from upsample.engines.cpu.resize.taps import reach
    from upsample.plans.resize import AxisRule, Rounding

    if not float_simd.can("float32"):
        pytest.skip("no permutations on this processor")
    joints = set()
    for n, factor, (begin, end) in itertools.product((4, 14, 33, 128), (1.0, 1.37, 2.0, 3.3), ((0, None), (5, 40))):
        out = int(n * factor) + 1
        rule = AxisRule(n, out, mode, (float(n), float(out)), False, False, -0.75, Rounding.FLOAT64)
        span, whole = (min(begin, out - 1), min(end or out, out)), end is None
        low, high = (0, n) if whole else reach(rule, *span)
        chosen = float_simd.chosen(rule, span, "float32", inner, (low, high), whole)
        if chosen is None:
            continue
        joint, first, base, lanes, weight = chosen[1]
        taps, size = len(weight) // len(lanes), len(lanes) // len(first)
        joints.add(joint)
        assert first.min() == 0
        assert first.max() == joint * (span[1] - span[0]) * inner - size
        assert base.min() >= low * inner
        assert base.max() + (taps - 1) * inner + size <= (low + joint * (high - low)) * inner
        assert lanes.min() >= 0
        assert lanes.max() < size
    assert joints
    assert inner > 1 or len(joints) > 1


def test_a_ring_that_is_too_large_for_some_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample.engines.cpu.resize import driver as resize
    from upsample.engines.cpu.resize import float_2x_fused, strips

    monkeypatch.setattr(resize, "_works", Cache())
    for name, value in dict(_JOB_BYTES=2400, _MOST_BYTES=2400, _STRIP=4).items():
        monkeypatch.setattr(strips, name, value)
    x, passes = values("float32", 40, 20), set()
    for rows in range(3, 16):
        monkeypatch.setattr(float_2x_fused, "RING_BYTES", rows * 40 * 4)
        resize._works.clear()
        same_as_portable(x, (57, 40), axes=(0, 1), mode="cubic", exact=False)
        (work,) = resize._works.values()
        passes.add(len(work.task.strips[0].passes))  # type: ignore[union-attr]
    assert passes == {1, 2}


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_inputs_that_no_output_is_made_of(dtype: str) -> None:
    for shape in ((1, 1, 10, 10), (2, 3, 30, 11), (3, 12, 12, 12)):
        for size in (1, 2, 3):
            for last in (1, 5, 40):
                sizes = (size,) * (len(shape) - 2) + (last,)
                for mode in ("linear", "cubic"):
                    axes = tuple(range(1, len(shape)))
                    same_as_portable(values(dtype, *shape), sizes, axes=axes, mode=mode, exact=False)
    x = values(dtype, 3, 50, 40)
    for scale in (1.02, 1.37, 2.17, 0.73):
        same_as_portable(x, scale=scale, axes=(1, 2), mode="cubic", exact=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "area"])
@pytest.mark.parametrize("size", [(24, 18), (12, 9), (6, 5), (17, 12), (5, 30)])
def test_what_is_not_finite_reaches_what_it_reaches_in_portable(value: float, mode: str, size: tuple[int, int]) -> None:
    for row in range(12):
        for column in (0, 1, 4, 7, 8):
            x = noise(1, 1, 12, 9)
            x[0, 0, row, column] = value
            same_as_portable(x, size, function=upsample.interpolate, mode=mode, exact=False)


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("mode", ["area", "linear", "cubic"])
def test_a_whole_factor_down(mode: str, factor: int) -> None:
    x = noise(3, 6 * factor, 37 * factor)
    for shape in ((6, 37), (6 * factor, 37), (3, 37)):
        same_as_portable(x, shape, axes=(1, 2), mode=mode, exact=False)
    for row, column in ((0, 0), (2 * factor, 18 * factor + 1), (6 * factor - 1, 37 * factor - 1)):
        again = x.copy()
        again[1, row, column] = np.inf
        same_as_portable(again, (6, 37), axes=(1, 2), mode=mode, exact=False)


@pytest.mark.parametrize("antialias", [False, True])
def test_two_infinities_of_both_signs(antialias: bool) -> None:
    x = noise(1, 1, 12, 9)
    x[0, 0, 3, 2], x[0, 0, 4, 4], x[0, 0, 11, 8] = np.inf, -np.inf, np.inf
    for mode in ("bilinear", "bicubic"):
        for size in ((24, 18), (7, 5), (12, 9)):
            same_as_portable(x, size, function=upsample.interpolate, mode=mode, antialias=antialias, exact=False)


@pytest.mark.parametrize("inner", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("size", [(24, 18), (6, 18), (7, 30)])
def test_infinity_beside_channels(inner: int, size: tuple[int, int]) -> None:
    for row, column in ((0, 0), (1, 1), (5, 7), (11, 8), (10, 4)):
        x = noise(12, 9, inner)
        x[row, column, inner // 2] = np.inf
        for mode in ("linear", "cubic", "lanczos"):
            same_as_portable(x, size, axes=(0, 1), mode=mode, exact=False)


def test_zeros_keep_their_sign_where_values_only_move() -> None:
    x = np.full((1, 2, 6, 5), -0.0, dtype=np.float32)
    assert np.signbit(upsample.interpolate(x, scale_factor=2, mode="nearest", engine="cpu")).all()
    assert not np.signbit(upsample.interpolate(x, scale_factor=2, mode="bilinear", engine="cpu")).any()


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 300, 200), dict(shape=(600, 400), axes=(1, 2), mode="linear")),
        ((4, 300, 200), dict(shape=(411, 274), axes=(1, 2), mode="cubic")),
        ((4, 300, 200), dict(shape=(150, 100), axes=(1, 2), mode="cubic", antialias=True)),
        ((300, 200, 3), dict(shape=(600, 400), axes=(0, 1), mode="cubic")),
        ((300, 200, 20), dict(shape=(411, 274), axes=(0, 1), mode="nearest")),
        ((40, 30, 90), dict(shape=(80, 60, 180), mode="linear")),
        ((3, 2_000_000), dict(shape=(3, 2_500_000), mode="nearest")),
    ],
)
def test_one_thread_and_two_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, dtype: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    x = values(dtype, *shape)
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("UPSAMPLE_NUM_THREADS", threads)
        results.append(upsample.resize(x, **options, engine="cpu"))
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    exact = options["mode"] == "nearest"
    tolerances.assert_close(
        results[0], upsample.resize(x, **options, engine="portable"), exact or dtype == "uint8", 2.0
    )


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((5, 400), dict(shape=(9, 800), mode="linear")),
        ((5, 400), dict(shape=(9, 301), mode="cubic", antialias=True)),
        ((50, 40), dict(shape=(9, 80), axes=(0, 1), mode="cubic", align_corners=True)),
        ((20, 30, 21), dict(shape=(40, 7, 21), mode="linear")),
        ((20, 30, 3), dict(shape=(40, 7), axes=(0, 1), mode="cubic")),
        ((9, 40, 20), dict(shape=(5, 60, 25), mode="linear")),
        ((9, 7, 20, 5), dict(shape=(5, 60), axes=(0, 2), mode="cubic")),
        ((5000,), dict(shape=(6000,), mode="linear")),
        ((3, 50, 40), dict(shape=(3, 120, 40), mode="area")),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16", "complex64"])
def test_strips_in_two_directions(
    monkeypatch: pytest.MonkeyPatch, dtype: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    from upsample.engines.cpu.resize import strips

    forget_calls(monkeypatch)
    for name, value in dict(_JOB_BYTES=4000, _MOST_BYTES=4000, _STRIP=4).items():
        monkeypatch.setattr(strips, name, value)
    x = values(dtype, *shape)
    same_as_portable(x, **options, exact=False)
    if dtype != "uint8":
        x[tuple(n // 2 for n in shape)] = np.inf
        same_as_portable(x, **options, exact=False)


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
@pytest.mark.parametrize("shape", [(1, 14, 14), (12, 14, 14), (137, 14, 14), (300, 5, 9), (40, 9, 17), (7, 9, 31)])
def test_bytes_of_short_rows(mode: str, shape: tuple[int, ...]) -> None:
    x = values("uint8", *shape)
    for size in ((28, 28), (19, 19), (14, 17), (6, 33), (7, 7)):
        wanted = upsample.resize(x, size, axes=(1, 2), mode=mode, engine="portable")
        guarded = np.full(wanted.size + 128, 77, dtype=np.uint8)
        out = guarded[64 : 64 + wanted.size].reshape(wanted.shape)
        upsample.resize(x, size, axes=(1, 2), mode=mode, out=out, engine="cpu")
        np.testing.assert_array_equal(out, wanted)
        assert (guarded[:64] == 77).all()
        assert (guarded[64 + wanted.size :] == 77).all()


@pytest.mark.parametrize("mode", [*FILTERS, *POINTS])
@pytest.mark.parametrize("size", [(3, 41), (13, 7), (26, 26), (29, 31)])
def test_nothing_beside_the_array_is_read_or_written(mode: str, size: tuple[int, int]) -> None:
    n = 13 * 13
    guarded = np.full(n + 128, np.nan, dtype=np.float32)
    guarded[64 : 64 + n] = noise(n)
    x = guarded[64 : 64 + n].reshape(13, 13)
    m = size[0] * size[1]
    out = np.full(m + 128, 77.0, dtype=np.float32)
    upsample.resize(x, size, mode=mode, out=out[64 : 64 + m].reshape(size), engine="cpu")
    assert np.isfinite(out).all()
    assert (out[:64] == 77).all()
    assert (out[64 + m :] == 77).all()
    np.testing.assert_array_equal(
        out[64 : 64 + m].reshape(size), upsample.resize(x.copy(), size, mode=mode, engine="cpu")
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(6, 4), (19, 38), (26, 70), (26, 1400)])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_stores_past_the_caches_are_the_same(
    monkeypatch: pytest.MonkeyPatch, mode: str, size: tuple[int, int], dtype: str
) -> None:
    from upsample.engines.cpu.resize import driver as resize
    from upsample.engines.cpu.resize import float_2x_fused
    from upsample.engines.cpu.runtime import nontemporal

    x = values(dtype, 3, 13, size[1] // 2)
    wanted = upsample.resize(x, size, axes=(1, 2), mode=mode, engine="cpu")
    forget_calls(monkeypatch)
    monkeypatch.setattr(nontemporal, "_LEAST", 0)
    for start in (0, 1, 5):  # where a cache line begins
        out = np.full(wanted.size + 16, 7, dtype=dtype)
        part = out[start : start + wanted.size].reshape(wanted.shape)
        upsample.resize(x, size, axes=(1, 2), mode=mode, out=part, engine="cpu")
        np.testing.assert_array_equal(part, wanted)
        assert (out[:start] == 7).all()
        assert (out[start + wanted.size :] == 7).all()
    if size[1] > 4:
        (work,) = resize._works.values()
        assert work.past is not None
        assert {step.function for strip in work.past.strips for step in strip.passes} == {float_2x_fused.doubled}


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((3, 40, 30), (55, 41)), ((3, 9, 40, 30), (18, 80, 60)), ((2, 9, 8, 40), (18, 16)), ((2, 9, 900, 3), (18, 1800))],
)
@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
def test_columns_stored_past_the_caches_are_the_same(
    monkeypatch: pytest.MonkeyPatch, mode: str, shape: tuple[int, ...], size: tuple[int, ...], dtype: str
) -> None:
    from upsample.engines.cpu.resize import driver as resize
    from upsample.engines.cpu.resize import float_kernels
    from upsample.engines.cpu.runtime import nontemporal

    x, axes = values(dtype, *shape), tuple(range(1, 1 + len(size)))
    wanted = upsample.resize(x, size, axes=axes, mode=mode, engine="cpu")
    forget_calls(monkeypatch)
    monkeypatch.setattr(nontemporal, "_LEAST", 0)
    for start in (0, 1, 5):
        out = np.full(wanted.size + 16, 7, dtype=dtype)
        part = out[start : start + wanted.size].reshape(wanted.shape)
        upsample.resize(x, size, axes=axes, mode=mode, out=part, engine="cpu")
        np.testing.assert_array_equal(part, wanted)
        assert (out[:start] == 7).all()
        assert (out[start + wanted.size :] == 7).all()
    (work,) = resize._works.values()
    assert work.past is not None
    assert {strip.passes[-1].function for strip in work.past.strips} == {float_kernels.columns}


def test_one_compiled_signature() -> None:
    from upsample.engines.cpu.resize import float_2x_fused, float_kernels, float_simd, nearest, uint8_kernels

    kernels = [
        value
        for module in (float_kernels, uint8_kernels, float_2x_fused, float_simd, nearest)
        for value in vars(module).values()
        if hasattr(value, "signatures") and value.__module__ == module.__name__
    ]

    def calls(x: np.ndarray) -> None:
        for mode in ("nearest", "linear", "cubic"):
            for size in ((26, 26), (13, 26), (17, 9), (6, 13)):
                upsample.resize(x, size, mode=mode, engine="cpu")

    x = noise(13, 13)
    calls(x)
    before = [len(k.signatures) for k in kernels]
    assert sum(before) > 0
    x.flags.writeable = False
    calls(x)
    calls(noise(13, 14)[:, 1:])
    calls(noise(13, 13)[::-1])
    upsample.resize(noise(60)[::-2], 45, mode="linear", engine="cpu")
    upsample.resize(noise(13, 26)[:, ::2], (26, 26), mode="linear", engine="cpu")
    calls(np.frombuffer(b"\0" + x.tobytes(), dtype=np.float32, offset=1).reshape(13, 13))
    assert [len(k.signatures) for k in kernels] == before
    assert max(before) <= 6  # values of four sizes move; bytes are stored in 8 or more bits between axes


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "complex64"])
@pytest.mark.parametrize("channels", [2, 4, 8])
def test_nearest_moves_a_pixel_as_one_value(dtype: str, channels: int) -> None:
    """Samples of 2, 4 and 8 bytes: the first call, the cached one, and one whose array is not aligned for it."""
    x = np.arange(30 * 40 * channels).reshape(30, 40, channels).astype(dtype)
    size = x.dtype.itemsize
    shifted = np.zeros(x.nbytes + size, np.uint8)[size:].view(dtype).reshape(x.shape)
    shifted[...] = x
    expected = x[np.arange(45) * 2 // 3][:, np.arange(60) * 2 // 3]
    for array in (x, x, shifted, shifted):
        result = upsample.resize(array, (45, 60), axes=(0, 1), mode="nearest", engine="cpu")
        np.testing.assert_array_equal(result, expected)


def test_one_long_window_takes_few_tables_of_its_length() -> None:
    x = np.random.default_rng(0).random((1, 1, 1_234_577), dtype=np.float32)
    upsample.interpolate(x[..., :1000], size=1, mode="area", engine="cpu")
    tracemalloc.start()
    try:
        upsample.interpolate(x, size=1, mode="area", engine="cpu")
        assert tracemalloc.get_traced_memory()[1] < 8 * x.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", ["area", "linear"])
@pytest.mark.parametrize("scale", [1.5, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_strips_of_growing_bytes_have_rows_enough_to_be_transposed(mode: str, scale: float, channels: int) -> None:
    """Kernels for rows of bytes filter fewer input rows one by one, which takes eight times as long."""
    from upsample.engines.cpu.resize import strips, uint8_intrinsics

    seen = []
    plan_filter = strips.plan_filter

    def noted(*given: Any, **options: Any) -> Any:
        seen.append(plan_filter(*given, **options))
        return seen[-1]

    x = np.zeros((256, 1024, channels), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "plan_filter", noted)
        upsample.resize(x, scale=scale, axes=(0, 1), mode=mode, engine="cpu")
    for task in seen:
        assert min(strip.passes[0].outer for strip in task.strips[:-1] or task.strips) >= uint8_intrinsics.SIDE
