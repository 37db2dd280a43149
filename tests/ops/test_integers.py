"""Arrays of integers: rounded once, to nearest, ties to even, and clamped, on every engine; and the other arithmetics.

Expected values are made in exact fractions, from the formulas of `resize`'s docstring.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import noise
from emulator.device import EmulatedDevice

import upsample
from upsample import reference
from upsample.engines.cuda.runtime.device import emulating
from upsample.ops.resize import resize as run_plan
from upsample.plans.arithmetic import NEAREST, Arithmetic, Ties
from upsample.plans.resize import AxisRule, ResizePlan, Rounding

DTYPES = ["int8", "int16", "uint16", "int32", "uint32"]
ENGINES = ["portable", "cpu", "cuda"]

Taps = list[list[tuple[int, Fraction]]]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an engine, inside of which NumPy arrays run on it."""
    if request.param == "cpu":
        pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
    if request.param != "cuda":
        yield request.param
        return
    with emulating(EmulatedDevice(order=7)):
        yield "cuda"


def numbers(dtype: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Any numbers of a dtype, its least and largest among them."""
    info = np.iinfo(dtype)
    x = np.random.default_rng([seed, *shape]).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    x.flat[: 4 * (x.size // 8)] = np.resize([info.min, info.max, info.max, info.min], 4 * (x.size // 8))
    return x


def linear(n: int, o: int) -> Taps:
    taps = []
    for i in range(o):
        c = max((i + Fraction(1, 2)) * n / o - Fraction(1, 2), Fraction(0))
        j = min(math.floor(c), n - 1)
        t = min(c - j, Fraction(1))
        taps.append([(j, 1 - t), (min(j + 1, n - 1), t)])
    return taps


def area(n: int, o: int) -> Taps:
    taps = []
    for i in range(o):
        low, high = i * n // o, -(-(i + 1) * n // o)
        taps.append([(j, Fraction(1, high - low)) for j in range(low, high)])
    return taps


def exact(x: np.ndarray, taps: tuple[Taps, Taps], settle: Callable[[Fraction], int], each_axis: bool) -> np.ndarray:
    """Filter two axes in fractions, the last one first."""
    info = np.iinfo(x.dtype)

    def whole(value: Fraction) -> int:
        return min(max(settle(value), int(info.min)), int(info.max))

    rows = [[sum(int(row[j]) * w for j, w in tap) for tap in taps[1]] for row in x]
    if each_axis:
        rows = [[whole(value) for value in row] for row in rows]
    made = [[whole(sum(rows[j][k] * w for j, w in tap)) for k in range(len(rows[0]))] for tap in taps[0]]
    return np.asarray(made, dtype=x.dtype)


SIZES = [
    ((5, 4), (10, 8)),
    ((5, 4), (30, 7)),
    ((12, 12), (2, 2)),
    ((9, 12), (4, 3)),
    ((12, 8), (6, 4)),
    ((3, 7), (3, 21)),
]


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("mode", ["linear", "area"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nearest_and_ties_to_even(engine: str, dtype: str, mode: str, shape: Any, size: Any) -> None:
    x = numbers(dtype, *shape)
    make = {"linear": linear, "area": area}[mode]
    want = exact(x, (make(shape[0], size[0]), make(shape[1], size[1])), round, each_axis=False)
    np.testing.assert_array_equal(upsample.resize(x, size, mode=mode, engine=engine), want)


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos", "area"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_half_a_level(engine: str, dtype: str, mode: str, antialias: bool) -> None:
    if mode == "area" and antialias:
        pytest.skip("area has no antialias: it is an average already")
    for shape, size, axes in [
        ((17, 13, 3), (9, 29), (0, 1)),
        ((2, 40, 5), (3, 11), (0, 1)),
        ((4, 5, 6), (9, 3, 7), (0, 1, 2)),
    ]:
        x = numbers(dtype, *shape)
        got = upsample.resize(x, size, axes=axes, mode=mode, antialias=antialias, engine=engine)
        assert got.dtype == x.dtype
        info = np.iinfo(dtype)
        want = reference.resize(x.astype(float), size, axes=axes, mode=mode, antialias=antialias)
        off = np.abs(got.astype(float) - np.clip(want, info.min, info.max))
        assert off.max() <= 0.5 + 2.0**-17 + 2.0**-48 * info.max  # the grain of ties, and what float64 rounds


@pytest.mark.parametrize("dtype", DTYPES)
def test_engines_agree_bit_for_bit(dtype: str) -> None:
    pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
    for (n, o), mode in itertools.product([(120, 20), (60, 180), (90, 27)], ["linear", "area", "cubic"]):
        x = numbers(dtype, n, n)
        made = [upsample.resize(x, (o, o), mode=mode, engine=name) for name in ("portable", "cpu")]
        np.testing.assert_array_equal(*made)


def test_no_bias() -> None:
    """Five halvings of noise, each rounded once, ties to even: the mean stays where it is."""
    x = noise(256, 256, dtype="uint8").astype(np.uint16)
    mean = x.mean()
    for _ in range(5):
        x = upsample.resize(x, scale=0.5, mode="area")
    assert abs(x.mean() - mean) < 0.2  # rounded up, or after each axis, it is 0.6 or 2.4


BYTES = [
    # shape, size, axes: no axis grows
    ((64, 48, 3), (32, 24), (0, 1)),
    ((40, 33, 3), (23, 33), (0, 1)),
    ((3, 64, 80), (31, 77), (1, 2)),
    ((2, 37, 40, 20), (17, 11), (1, 2)),
    ((70, 200), (7, 9), (0, 1)),
    ((33, 50), (20,), (0,)),
    ((33, 50), (20,), (1,)),
    ((9, 12, 14), (4, 12, 5), (0, 1, 2)),
    ((6, 5, 4, 8), (3, 3, 2, 7), (0, 1, 2, 3)),
    ((11, 17, 3), (22, 34), (0, 1)),
    ((11, 17, 4), (25, 31), (0, 1)),
    ((2, 9, 40), (27, 90), (1, 2)),
    ((30, 20, 3), (45, 11), (0, 1)),
    ((30, 20, 3), (11, 45), (0, 1)),
    ((7, 50), (31,), (0,)),
    ((5, 6, 7), (8, 9, 20), (0, 1, 2)),
]


def black_and_white(*shape: int) -> np.ndarray:
    """Bytes, half of them at the ends, where weights overshoot."""
    x = numbers("uint8", *shape)
    x.flat[::2] = np.random.default_rng(1).choice(np.asarray([0, 255], dtype=np.uint8), x[...].flat[::2].size)
    return x


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos", "area", ("nearest", "cubic")], ids=str)
@pytest.mark.parametrize("antialias", [False, True])
def test_bytes_are_rounded_once(engine: str, mode: Any, antialias: bool) -> None:
    if antialias and ("area" in mode or not isinstance(mode, str)):
        pytest.skip("no antialias")
    for shape, size, axes in BYTES:
        if not isinstance(mode, str) and len(axes) != 2:
            continue
        x = black_and_white(*shape)
        got = upsample.resize(x, size, axes=axes, mode=mode, antialias=antialias, engine=engine)
        want = upsample.resize(x.astype(float), size, axes=axes, mode=mode, antialias=antialias, engine="portable")
        assert got.dtype == np.uint8
        assert np.abs(got - np.clip(want, 0, 255)).max() <= 0.55
        same = upsample.resize(x, size, axes=axes, mode=mode, antialias=antialias, engine="portable")
        np.testing.assert_array_equal(got, same)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_bytes_in_mode_area(engine: str, shape: Any, size: Any) -> None:
    """Weights that are powers of two are exact, and so are ties; others miss them by less than a thirtieth."""
    x = numbers("uint8", *shape)
    got = upsample.resize(x, size, mode="area", engine=engine)
    want = exact(x, (area(shape[0], size[0]), area(shape[1], size[1])), round, each_axis=False)
    off = np.abs(got.astype(int) - want)
    assert off.max() <= 1
    if all(n % o == 0 and n // o in (1, 2, 4) for n, o in zip(shape, size, strict=True)):
        assert off.max() == 0


def test_no_bias_in_bytes(engine: str) -> None:
    for mode in ("area", "linear"):
        x = noise(128, 128, dtype="uint8")
        mean = x.mean()
        for _ in range(4):
            x = upsample.resize(x, scale=0.5, mode=mode, engine=engine)
        assert abs(x.mean() - mean) < 0.3  # after each axis, ties up, it is 2


def test_bytes_with_large_weights(engine: str) -> None:
    """Keys' a of 40, or four axes of lanczos: 16-bit numbers would not hold what is between the axes."""
    x = black_and_white(12, 13)
    got = upsample.resize(x, (7, 9), mode="cubic", cubic_coeff=-40.0, engine=engine)
    want = upsample.resize(x.astype(float), (7, 9), mode="cubic", cubic_coeff=-40.0, engine="portable")
    assert np.abs(got - np.clip(want, 0, 255)).max() <= 0.5001
    x = black_and_white(6, 7, 8, 9)
    got = upsample.resize(x, (5, 6, 7, 8), mode="lanczos", engine=engine)
    want = upsample.resize(x.astype(float), (5, 6, 7, 8), mode="lanczos", engine="portable")
    assert np.abs(got - np.clip(want, 0, 255)).max() <= 0.5001


def away(value: Fraction) -> int:
    return math.copysign(1, value) * math.floor(abs(value) + Fraction(1, 2))  # type: ignore[return-value]


SETTLED: dict[Ties, Callable[[Fraction], int]] = {
    Ties.EVEN: round,
    Ties.AWAY: away,
    Ties.UP: lambda value: math.floor(value + Fraction(1, 2)),
    Ties.CUT: math.trunc,
}


@pytest.mark.parametrize("ties", list(Ties), ids=lambda ties: ties.value)
@pytest.mark.parametrize("each_axis", [False, True])
@pytest.mark.parametrize("sums", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_every_arithmetic(engine: str, ties: Ties, each_axis: bool, sums: str, dtype: str) -> None:
    """Sums are exact in both precisions: weights are fourths, numbers small or at the ends of the dtype."""
    x = numbers(dtype, 9, 14) if dtype == "uint8" or sums == "float64" else numbers("int8", 9, 14).astype(dtype)
    want = exact(x, (linear(9, 18), linear(14, 7)), SETTLED[ties], each_axis)
    rules = [AxisRule(n, o, "linear", (n, o), False, False, 0.0, Rounding.FLOAT64) for n, o in ((9, 18), (14, 7))]
    plan = ResizePlan((1, 2), tuple(rules), arithmetic=Arithmetic(sums, ties, each_axis))
    got = run_plan(x[None], op="resize", arguments=("x", "shape"), xp=np, plan=plan, out=None, engine=engine)
    np.testing.assert_array_equal(got[0], want)


def test_clamped(engine: str) -> None:
    """Cubic weights overshoot beside an edge between the least and the largest number."""
    for dtype in DTYPES:
        info = np.iinfo(dtype)
        x = np.repeat(np.asarray([info.min, info.max], dtype=dtype), 8)
        got = upsample.resize(np.stack([x, x[::-1]]), 50, axes=1, mode="cubic", engine=engine)
        assert got.min() == info.min
        assert got.max() == info.max
        assert (np.diff(got[0].astype(float)) >= 0).all()


def test_the_fraction_of_a_cast_is_not_lost(engine: str) -> None:
    x = np.asarray([2**31 - 1, 2**31 - 2, 0, -(2**31)], dtype=np.int32)
    np.testing.assert_array_equal(upsample.resize(x, 4, engine=engine), x)
    assert upsample.resize(x, 2, mode="area", engine=engine).tolist() == [2147483646, -1073741824]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_64_bits_are_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"sums of 64-bit integers.*int32.*float64.*nearest"):
        upsample.resize(np.zeros((4, 4), dtype=dtype), 3, axes=0)


def test_transposed_plans_keep_their_arithmetic() -> None:
    rule = AxisRule(4, 8, "linear", (4, 8), False, False, 0.0, Rounding.FLOAT64)
    assert ResizePlan((0,), (rule,), arithmetic=NEAREST).transpose().arithmetic == NEAREST


class TestJax:
    """Without jax_enable_x64 there is no float64."""

    def test_sixteen_bits(self) -> None:
        jax = pytest.importorskip("jax", reason="jax is not installed")
        x = numbers("uint16", 9, 12)
        with jax.enable_x64(False):
            got = np.asarray(upsample.resize(jax.numpy.asarray(x), (4, 20), mode="cubic"))
        want = upsample.resize(x, (4, 20), mode="cubic")
        assert got.dtype == x.dtype
        assert np.abs(got.astype(int) - want.astype(int)).max() <= 1  # where float32 sums fall on the other side

    def test_thirty_two_bits_are_refused(self) -> None:
        jax = pytest.importorskip("jax", reason="jax is not installed")
        with jax.enable_x64(False), pytest.raises(TypeError, match="jax_enable_x64"):
            upsample.resize(jax.numpy.zeros((4, 4), dtype="int32"), 3, axes=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_libraries(dtype: str) -> None:
    x = numbers(dtype, 9, 12)
    want = upsample.resize(x, (4, 20), mode="cubic")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    got = upsample.resize(torch.from_numpy(x), (4, 20), mode="cubic")
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(
        upsample.resize(torch.from_numpy(x), (4, 20), mode="cubic", engine="portable").numpy(), want
    )
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    np.testing.assert_array_equal(np.asarray(upsample.resize(strict.asarray(x), (4, 20), mode="cubic")), want)
    dask = pytest.importorskip("dask.array", reason="dask is not installed")
    np.testing.assert_array_equal(upsample.resize(dask.from_array(x), (4, 20), mode="cubic").compute(), want)
