"""What must hold whatever the sizes: no expected values, only relations between results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tolerances
from drawn import repeatable
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from methods import METHODS, Method, every_method

import upsample
from upsample import chainer, reference
from upsample.plans.filters import FILTERS, keeps_samples

deterministic = repeatable(60)

MOVES = ("nearest", "nearest-exact")
KEEPS = [m for m in METHODS if keeps_samples(FILTERS[m.mode], -0.75)]
"""Those that copy an axis whose size stays."""
# the same in torch's words, by the number of spatial axes
TORCH = {
    ("nearest", 1): "nearest",
    ("nearest", 2): "nearest",
    ("nearest-exact", 1): "nearest-exact",
    ("nearest-exact", 2): "nearest-exact",
    ("area", 1): "area",
    ("area", 2): "area",
    ("linear", 1): "linear",
    ("linear", 2): "bilinear",
    ("cubic", 2): "bicubic",
    ("lanczos", 2): "lanczos",
}

sizes = st.integers(1, 40)
pairs = st.tuples(sizes, sizes)
seeds = st.integers(0, 2**32 - 1)
factors = st.integers(-8000, 8000).map(lambda k: k / 1000)  # nothing subnormal: its rounding is not relative


def noise(shape: tuple[int, ...], seed: int, dtype: str = "float64") -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 256, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def distinct(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole numbers from one up, none twice: maxima are unique and sums exact."""
    return (1.0 + np.random.default_rng(seed).permutation(math.prod(shape))).reshape(shape)


def resized(x: np.ndarray, shape: Any, axes: Any, method: Method, **options: Any) -> np.ndarray:
    return upsample.resize(x, shape, axes=axes, **method.options, **options)


# -------------------------------------------------------------------------------------------------- resize


@every_method
@deterministic
@given(small=pairs, large=pairs, seed=seeds)
def test_two_axes_are_one_after_the_other(
    small: tuple[int, int], large: tuple[int, int], seed: int, method: Method
) -> None:
    x = noise((*small, 2), seed)
    both = resized(x, large, (0, 1), method)
    for first in (0, 1):
        once = resized(x, large[first], first, method)
        twice = resized(once, large[1 - first], 1 - first, method)
        tolerances.assert_close(both, twice, exact=method.moves)


@every_method
@deterministic
@given(small=pairs, large=pairs, seed=seeds)
def test_uint8_rounds_as_promised(small: tuple[int, int], large: tuple[int, int], seed: int, method: Method) -> None:
    """Once, after all axes, within 0.55 of the exact value; values that only move are not rounded."""
    x = noise((*small, 2), seed, "uint8")
    both = resized(x, large, (0, 1), method)
    if method.moves:
        np.testing.assert_array_equal(both, resized(resized(x, large[1], 1, method), large[0], 0, method))
        return
    exact = resized(resized(x.astype(float), large[1], 1, method), large[0], 0, method)
    assert np.abs(both - np.clip(exact, 0, 255)).max() <= 0.55


@every_method
@deterministic
@given(small=pairs, large=pairs, value=factors, level=st.integers(0, 255))
def test_constant_images_stay_constant(
    small: tuple[int, int], large: tuple[int, int], value: float, level: int, method: Method
) -> None:
    assert (resized(np.full(small, level, dtype=np.uint8), large, (0, 1), method) == level).all()
    for dtype in ("float32", "float64", "float16"):
        constant = np.full(small, value, dtype=dtype)
        got = resized(constant, large, (0, 1), method)
        assert got.shape == large
        allowed = 0 if method.moves else tolerances.allowed(np.dtype(dtype), abs(float(constant[0, 0])))
        assert np.abs(got.astype(float) - float(constant[0, 0])).max() <= allowed


@pytest.mark.parametrize("method", KEEPS, ids=str)
@deterministic
@given(shape=pairs, seed=seeds)
def test_the_same_size_is_the_same_image(shape: tuple[int, int], seed: int, method: Method) -> None:
    for dtype in ("float32", "float64", "uint8"):
        x = noise(shape, seed, dtype)
        same = resized(x, shape, (0, 1), method)
        np.testing.assert_array_equal(same, x)
        assert not np.may_share_memory(same, x)
        name = TORCH.get((method.mode, 2))
        lacking = name == "lanczos" and not method.antialias
        if name is None or lacking or (name == "area" and dtype == "uint8"):
            continue
        aligned = {"align_corners": True} if method.corners else {}
        again = upsample.interpolate(x[None, None], size=shape, mode=name, antialias=method.antialias, **aligned)
        np.testing.assert_array_equal(again[0, 0], x)


@pytest.mark.parametrize("antialias", [False, True])
@deterministic
@given(shape=pairs, seed=seeds)
def test_mitchell_blurs_at_the_same_size(shape: tuple[int, int], seed: int, antialias: bool) -> None:
    """Its weights at whole distances are 1/18, 8/9 and 1/18; antialiased, they are cut off at the border."""
    x = noise(shape, seed)
    wanted, border = x, {"mode": "constant"} if antialias else {"mode": "edge"}
    for axis in (0, 1):
        sums = [np.pad(y, [(int(a == axis),) * 2 for a in (0, 1)], **border) for y in (wanted, np.ones(shape))]
        n = shape[axis]
        near = [[y.take(range(k, k + n), axis) for k in range(3)] for y in sums]
        total, weight = (a + 16 * b + c for a, b, c in near)
        wanted = total / weight
    got = upsample.resize(x, shape, mode="mitchell", antialias=antialias)
    tolerances.assert_close(got, wanted, exact=False)


@pytest.mark.parametrize("method", [m for m in METHODS if not m.corners and not m.moves], ids=str)
@deterministic
@given(small=pairs, large=pairs, seed=seeds)
def test_a_mirrored_image_gives_the_mirrored_result(
    small: tuple[int, int], large: tuple[int, int], seed: int, method: Method
) -> None:
    x = noise(small, seed)
    got = resized(x, large, (0, 1), method)
    tolerances.assert_close(resized(x[::-1], large, (0, 1), method), got[::-1], exact=False)
    tolerances.assert_close(resized(x[:, ::-1], large, (0, 1), method), got[:, ::-1], exact=False)


@every_method
@deterministic
@given(shape=st.tuples(sizes, sizes, st.integers(1, 9)), large=pairs, seed=seeds)
def test_the_order_of_axes_does_not_matter(
    shape: tuple[int, int, int], large: tuple[int, int], seed: int, method: Method
) -> None:
    x = noise(shape, seed, "float32")
    straight = resized(x, large, (0, 2), method)
    np.testing.assert_array_equal(resized(x, large[::-1], (2, 0), method), straight)
    np.testing.assert_array_equal(resized(x, large, (-3, -1), method), straight)
    # nor where the axes lie: another layout of the same image
    moved = np.moveaxis(x, 1, 0)
    other = resized(moved, large, (1, 2), method)
    tolerances.assert_close(np.moveaxis(other, 0, 1), straight, exact=method.moves)


@every_method
@deterministic
@given(small=pairs, large=pairs, seed=seeds, a=factors, b=factors)
def test_resize_is_linear(
    small: tuple[int, int], large: tuple[int, int], seed: int, a: float, b: float, method: Method
) -> None:
    check_linear(lambda x: resized(x, large, (0, 1), method), small, seed, a, b)


def check_linear(f: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], seed: int, a: float, b: float) -> None:
    x, y = noise(shape, seed), noise(shape, seed + 1)
    wanted = a * f(x) + b * f(y)
    got = f(a * x + b * y)
    scale = (abs(a) + abs(b)) * max(1.0, float(np.abs(x).max(initial=0)), float(np.abs(y).max(initial=0)))
    scale = max(scale, float(np.abs(wanted).max(initial=0)))
    assert np.abs(got - wanted).max(initial=0) <= tolerances.allowed(np.dtype("float64"), scale)


@every_method
@deterministic
@given(small=pairs, large=pairs, batch=st.integers(1, 5), seed=seeds)
def test_a_batch_is_its_images(
    small: tuple[int, int], large: tuple[int, int], batch: int, seed: int, method: Method
) -> None:
    for dtype in ("float32", "uint8"):
        x = noise((batch, *small), seed, dtype)
        whole = resized(x, large, (1, 2), method)
        np.testing.assert_array_equal(resized(x, large, (1, 2), method), whole)  # the same bits twice
        for k in range(batch):
            alone = resized(x[k : k + 1], large, (1, 2), method)[0]
            tolerances.assert_close(alone, whole[k], exact=method.moves or dtype == "uint8")


@every_method
@deterministic
@given(small=pairs, large=pairs, shift=st.integers(0, 6), seed=seeds)
def test_rolled_channels_give_the_rolled_result(
    small: tuple[int, int], large: tuple[int, int], shift: int, seed: int, method: Method
) -> None:
    x = noise((*small, 5), seed, "float32")
    wanted = np.roll(resized(x, large, (0, 1), method), shift, axis=2)
    got = resized(np.roll(x, shift, axis=2), large, (0, 1), method)
    tolerances.assert_close(got, wanted, exact=method.moves)


@pytest.mark.parametrize("mode", MOVES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "float16"])
@deterministic
@given(n=st.integers(1, 200), o=st.integers(1, 400), factor=st.floats(0.05, 8))
def test_nearest_never_steps_back(n: int, o: int, factor: float, mode: str, dtype: str) -> None:
    assume(n * factor >= 1)
    x = np.arange(n).astype(dtype)
    for got in (
        upsample.interpolate(x[None, None], size=o, mode=mode)[0, 0],
        upsample.interpolate(x[None, None], scale_factor=factor, mode=mode)[0, 0],
        upsample.resize(x, o, mode=mode),
        upsample.resize(x, scale=factor, mode=mode),
    ):
        index = got.astype(int)
        assert (index == got).all()
        assert 0 <= index.min() <= index.max() < n
        assert (np.diff(index) >= 0).all()
        if mode == "nearest":
            assert index[0] == 0
        if len(got) == o and o >= n and mode == "nearest-exact" and dtype == "float64" and o % n == 0:
            assert (np.bincount(index, minlength=n) == o // n).all()


def in_torch(rank: int) -> Any:
    """The methods that torch has on `rank` spatial axes."""
    having = [
        m
        for m in METHODS
        if (m.mode, rank) in TORCH and not (m.antialias and rank != 2) and (m.antialias or m.mode != "lanczos")
    ]
    return pytest.mark.parametrize("method", having, ids=str)


def check_torchs_words(x: np.ndarray, method: Method, sizes: dict[str, Any], torchs_sizes: dict[str, Any]) -> None:
    """`interpolate` does as `resize` does; float64 coordinates are rounded once there and twice here."""
    words = dict(mode=TORCH[method.mode, x.ndim], antialias=method.antialias, **torchs_sizes)
    got = upsample.interpolate(x[None, None], **words, **({"align_corners": True} if method.corners else {}))[0, 0]
    wanted = upsample.resize(x, **method.options, cubic_coeff=-0.5 if method.antialias else -0.75, **sizes)
    tolerances.assert_close(got, wanted, exact=method.moves, margin=4.0)


@in_torch(1)
@deterministic
@given(n=sizes, o=sizes, seed=seeds)
def test_resize_and_interpolate_agree_on_one_axis(n: int, o: int, seed: int, method: Method) -> None:
    check_torchs_words(noise((n,), seed), method, {"shape": o}, {"size": o})


@in_torch(2)
@deterministic
@given(small=pairs, large=pairs, seed=seeds)
def test_resize_and_interpolate_agree_on_sizes(
    small: tuple[int, int], large: tuple[int, int], seed: int, method: Method
) -> None:
    check_torchs_words(noise(small, seed), method, {"shape": large}, {"size": large})


@in_torch(2)
@deterministic
@given(
    small=pairs,
    scale=st.tuples(*[st.sampled_from((0.25, 0.5, 0.75, 1.0, 1.37, 1.5, 2.0, 2.6, 3.0))] * 2),
    seed=seeds,
)
def test_resize_and_interpolate_agree_on_factors(
    small: tuple[int, int], scale: tuple[float, float], seed: int, method: Method
) -> None:
    # torch leaves an axis alone whose size stays, whatever the factor; resize does what it is told
    assume(all(int(n * f) >= 1 and (f == 1.0 or int(n * f) != n) for n, f in zip(small, scale, strict=True)))
    check_torchs_words(noise(small, seed), method, {"scale": scale}, {"scale_factor": scale})


# ----------------------------------------------------------------------------------------- pool and unpool

spatials = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Spatial shape, kernel, stride and padding of a pooling that fits."""
    shape = draw(spatials)
    kernel = tuple(draw(st.integers(1, min(n, 4))) for n in shape)
    stride = tuple(draw(st.integers(1, 4)) for _ in shape)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return shape, kernel, stride, padding


def torchs(name: str, rank: int, suffix: str = "") -> Callable[..., Any]:
    return getattr(upsample, f"{name}{rank}d{suffix}")


@deterministic
@given(window=pools(), ceil=st.booleans(), seed=seeds)
def test_unpooling_puts_maxima_back_where_they_were(window: Any, ceil: bool, seed: int) -> None:
    shape, kernel, stride, padding = window
    rank = len(shape)
    x = distinct((2, 3, *shape), seed)
    maxima, indices = torchs("max_pool", rank, "_with_indices")(x, kernel, stride, padding, ceil_mode=ceil)
    wanted, places = reference.max_pool(x, kernel, stride, padding, 1, ceil, spatial=rank)
    np.testing.assert_array_equal(maxima, wanted)
    np.testing.assert_array_equal(indices, places)
    flat = x.reshape(2, 3, -1)
    np.testing.assert_array_equal(np.take_along_axis(flat, indices.reshape(2, 3, -1), 2), maxima.reshape(2, 3, -1))
    named = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(named, indices.reshape(2, 3, -1), True, axis=2)
    default = [(h - 1) * s - 2 * p + k for h, k, s, p in zip(maxima.shape[2:], kernel, stride, padding, strict=True)]
    assume(all(d - s < n < d + s for d, n, s in zip(default, shape, stride, strict=True)))
    back = torchs("max_unpool", rank)(maxima, indices, kernel, stride, padding, output_size=shape)
    np.testing.assert_array_equal(back.reshape(flat.shape), np.where(named, flat, 0.0))


@deterministic
@given(window=pools(), cover=st.booleans(), seed=seeds)
def test_chainers_upsampling_puts_maxima_back_where_they_were(window: Any, cover: bool, seed: int) -> None:
    shape, kernel, stride, padding = ((*w, *w)[:2] for w in window)
    x = distinct((2, 3, *shape), seed)
    maxima, indexes = chainer.max_pooling_2d(x, kernel, stride, padding, cover, True)
    wanted, places = reference.chainer_max_pooling(x, kernel, stride, padding, cover)
    np.testing.assert_array_equal(maxima, wanted)
    np.testing.assert_array_equal(indexes, places)
    assume(np.isfinite(maxima).all())  # cover_all can make a window of padding only
    back = chainer.upsampling_2d(maxima, indexes, kernel, stride, padding, shape, cover)
    # each window that found x[p] to be its maximum brings it back, and they add
    times = back / x
    np.testing.assert_array_equal(times, np.rint(times))
    assert (times >= 0).all()
    assert times.sum() == maxima.size
    np.testing.assert_array_equal(
        back, reference.chainer_upsampling(maxima, indexes, kernel, stride, padding, shape, cover)
    )


@st.composite
def unpoolings(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any], tuple[int, ...]]:
    """Cells, the window's arguments, and the size of the plane."""
    cells = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    kernel = tuple(draw(st.integers(1, 4)) for _ in cells)
    stride = tuple(draw(st.integers(1, 4)) for _ in cells)
    dilation = tuple(draw(st.integers(1, 2)) for _ in cells)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    default = [
        (h - 1) * s - 2 * p + d * (k - 1) + 1
        for h, k, s, p, d in zip(cells, kernel, stride, padding, dilation, strict=True)
    ]
    size = tuple(draw(st.integers(max(1, d - s + 1), max(1, d + s - 1))) for d, s in zip(default, stride, strict=True))
    assume(all(d - s < n < d + s for d, n, s in zip(default, size, stride, strict=True)))
    window = dict(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, output_size=size)
    return cells, window, size


def indices_of(kind: str, shape: tuple[int, ...], window: dict[str, Any], seed: int) -> np.ndarray:
    """Random positions: anywhere in the plane, all in their windows, or in their windows except for one."""
    rng = np.random.default_rng(seed)
    size = window["output_size"]
    anywhere = rng.integers(0, math.prod(size), shape)
    if kind == "anywhere":
        return anywhere
    places = []
    rank = len(size)
    for axis in range(rank):
        k, s, p, d = (window[name][axis] for name in ("kernel_size", "stride", "padding", "dilation"))
        cell = np.arange(shape[-rank + axis]).reshape((-1,) + (1,) * (rank - axis - 1))
        places.append(cell * s - p + rng.integers(0, k, shape) * d)
    inside = np.logical_and.reduce([(y >= 0) & (y < n) for y, n in zip(places, size, strict=True)])
    flat = np.ravel_multi_index([np.clip(y, 0, n - 1) for y, n in zip(places, size, strict=True)], size)
    indices = np.where(inside, flat, anywhere)
    if kind == "one stray":
        indices.reshape(-1)[rng.integers(indices.size)] = rng.integers(math.prod(size))
    return indices


def looped(x: np.ndarray, indices: np.ndarray, size: tuple[int, ...], rule: str) -> np.ndarray:
    rank = len(size)
    planes = math.prod(x.shape[:-rank])
    result = np.zeros((planes, math.prod(size)), dtype=x.dtype)
    for plane, (values, places) in enumerate(zip(x.reshape(planes, -1), indices.reshape(planes, -1), strict=True)):
        for value, place in zip(values, places, strict=True):
            result[plane, place] = value if rule == "last" else result[plane, place] + value
    return result.reshape(*x.shape[:-rank], *size)


@pytest.mark.parametrize("rule", ["last", "sum"])
@pytest.mark.parametrize("kind", ["anywhere", "in their windows", "one stray"])
@settings(deterministic, max_examples=150)
@given(unpooling=unpoolings(), batched=st.booleans(), seed=seeds)
def test_duplicates_against_a_loop(unpooling: Any, batched: bool, seed: int, kind: str, rule: str) -> None:
    cells, window, size = unpooling
    x = distinct((2, 3, *cells) if batched else (3, *cells), seed)
    indices = indices_of(kind, x.shape, window, seed)
    function = torchs("max_unpool", len(cells))
    wanted = looped(x, indices, size, rule)
    np.testing.assert_array_equal(function(x, indices, **window, duplicates=rule), wanted)
    for dtype in ("int64", "int32", "float32"):
        got = function(x.astype(dtype), indices.astype("int32"), **window, duplicates=rule)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wanted)


@deterministic
@given(unpooling=unpoolings(), seed=seeds)
def test_the_first_duplicate_is_named(unpooling: Any, seed: int) -> None:
    cells, window, size = unpooling
    x = distinct((2, *cells), seed)
    indices = np.random.default_rng(seed).integers(0, math.prod(size), x.shape)
    function = torchs("max_unpool", len(cells))
    seen: set[tuple[int, int]] = set()
    for place in np.ndindex(*x.shape):
        name = (place[0], int(indices[place]))
        if name in seen:
            with pytest.raises(ValueError, match="earlier cell") as caught:
                function(x, indices, **window, duplicates="error")
            assert str(caught.value).split("=")[0].endswith(f"[{', '.join(map(str, place))}]")
            return
        seen.add(name)
    got = function(x, indices, **window, duplicates="error")
    np.testing.assert_array_equal(got, looped(x, indices, size, "last"))


@deterministic
@given(unpooling=unpoolings(), seed=seeds, a=factors, b=factors)
def test_unpooling_is_linear(unpooling: Any, seed: int, a: float, b: float) -> None:
    cells, window, _ = unpooling
    shape = (2, 3, *cells)
    function = torchs("max_unpool", len(cells))
    for kind in ("anywhere", "in their windows"):
        indices = indices_of(kind, shape, window, seed)
        check_linear(lambda x, i=indices: function(x, i, **window, duplicates="sum"), shape, seed, a, b)


@st.composite
def spreads(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Cells, and ksize, stride, pad, cover_all and outsize as Chainer's unpooling_nd takes them."""
    cells = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    kernel = tuple(draw(st.integers(1, 4)) for _ in cells)
    stride = tuple(draw(st.integers(1, 4)) for _ in cells)
    pad = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    cover = draw(st.booleans())
    least = [s * (h - 1) + k - 2 * p - (s - 1) * cover for h, k, s, p in zip(cells, kernel, stride, pad, strict=True)]
    outsize = tuple(n + draw(st.integers(0, s - 1)) for n, s in zip(least, stride, strict=True))
    assume(min(outsize) >= 1)
    return cells, dict(ksize=kernel, stride=stride, pad=pad, cover_all=cover, outsize=outsize)


@deterministic
@given(spread=spreads(), seed=seeds, a=factors, b=factors)
def test_chainers_unpooling_is_linear(spread: Any, seed: int, a: float, b: float) -> None:
    cells, window = spread
    check_linear(lambda x: chainer.unpooling_nd(x, **window), (2, 3, *cells), seed, a, b)
    if len(cells) == 2:
        indexes = np.random.default_rng(seed).integers(0, math.prod(window["ksize"]), (2, 3, *cells))
        check_linear(lambda x: chainer.upsampling_2d(x, indexes, **window), (2, 3, *cells), seed, a, b)


@deterministic
@given(spread=spreads(), seed=seeds)
def test_chainers_unpooling_against_a_loop(spread: Any, seed: int) -> None:
    cells, window = spread
    rank = len(cells)
    x = distinct((2, *cells), seed)
    wanted = np.zeros((2, *window["outsize"]))
    local = np.zeros((2, *window["outsize"]))
    kernel = window["ksize"]
    indexes = np.random.default_rng(seed).integers(-math.prod(kernel), math.prod(kernel), x.shape)
    for place in np.ndindex(*x.shape):
        for number, tap in enumerate(np.ndindex(*kernel)):
            y = tuple(i * s - p + t for i, s, p, t in zip(place[1:], window["stride"], window["pad"], tap, strict=True))
            if all(0 <= at < n for at, n in zip(y, window["outsize"], strict=True)):
                wanted[(place[0], *y)] += x[place]
                if indexes[place] in (number, number - math.prod(kernel)):
                    local[(place[0], *y)] += x[place]
    np.testing.assert_array_equal(chainer.unpooling_nd(x[:, None], **window)[:, 0], wanted)
    if rank == 2:
        got = chainer.upsampling_2d(x[:, None], indexes[:, None], **window)
        np.testing.assert_array_equal(got[:, 0], local)


@deterministic
@given(window=pools(), batch=st.integers(1, 4), seed=seeds)
def test_pools_and_unpools_take_a_batch_image_by_image(window: Any, batch: int, seed: int) -> None:
    shape, kernel, stride, padding = window
    rank = len(shape)
    x = np.random.default_rng(seed).integers(0, 5, (batch, 2, *shape)).astype("float32")  # many ties
    maxima, indices = torchs("max_pool", rank, "_with_indices")(x, kernel, stride, padding)
    np.testing.assert_array_equal(indices, reference.max_pool(x, kernel, stride, padding, spatial=rank)[1])
    options = dict(kernel_size=kernel, stride=stride, padding=padding)
    default = [(h - 1) * s - 2 * p + k for h, k, s, p in zip(maxima.shape[2:], kernel, stride, padding, strict=True)]
    if all(d - s < n < d + s for d, n, s in zip(default, shape, stride, strict=True)):
        options["output_size"] = shape
        back = torchs("max_unpool", rank)(maxima, indices, **options)
    else:
        back = None
    for k in range(batch):
        for one in (slice(k, k + 1), k):  # with the batch axis and without
            m, i = torchs("max_pool", rank, "_with_indices")(x[one], kernel, stride, padding)
            np.testing.assert_array_equal(m, maxima[one])
            np.testing.assert_array_equal(i, indices[one])
            if back is not None:
                np.testing.assert_array_equal(torchs("max_unpool", rank)(m, i, **options), back[one])


# --------------------------------------------------------------------------------- transposed convolution


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of input and weight, and stride, padding, output_padding, dilation and groups."""
    groups = draw(st.integers(1, 3))
    cells = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    kernel = tuple(draw(st.integers(1, 4)) for _ in cells)
    stride = tuple(draw(st.integers(1, 4)) for _ in cells)
    dilation = tuple(draw(st.integers(1, 3)) for _ in cells)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    padding = tuple(draw(st.integers(0, d * (k - 1) // 2)) for d, k in zip(dilation, kernel, strict=True))
    channels = groups * draw(st.integers(1, 2))
    each = draw(st.integers(1, 3))
    options = dict(stride=stride, padding=padding, output_padding=more, dilation=dilation, groups=groups)
    return (draw(st.integers(1, 3)), channels, *cells), (channels, each, *kernel), options


@deterministic
@given(call=convolutions(), seed=seeds, a=factors, b=factors)
def test_transposed_convolution_is_linear(call: Any, seed: int, a: float, b: float) -> None:
    shape, weight, options = call
    function = torchs("conv_transpose", len(shape) - 2)
    x, w = noise(shape, seed), noise(weight, seed + 2)
    check_linear(lambda x: function(x, w, **options), shape, seed, a, b)
    check_linear(lambda w: function(x, w, **options), weight, seed, a, b)


@deterministic
@given(call=convolutions(), seed=seeds)
def test_a_delta_inserts_zeros(call: Any, seed: int) -> None:
    """A weight that is one at one tap, from each channel to itself, spreads the samples a stride apart."""
    shape, weight, options = call
    channels, kernel = shape[1], weight[2:]
    rng = np.random.default_rng(seed)
    tap = tuple(int(rng.integers(k)) for k in kernel)
    w = np.zeros((channels, channels, *kernel))
    w[(np.arange(channels), np.arange(channels), *tap)] = 1.0
    x = distinct(shape, seed)
    got = torchs("conv_transpose", len(kernel))(x, w, **{**options, "groups": 1})
    wanted = np.zeros(got.shape)
    for place in np.ndindex(*shape[2:]):
        y = tuple(
            i * s - p + t * d
            for i, s, p, t, d in zip(
                place, options["stride"], options["padding"], tap, options["dilation"], strict=True
            )
        )
        if all(0 <= at < n for at, n in zip(y, got.shape[2:], strict=True)):
            wanted[(..., *y)] = x[(..., *place)]
    np.testing.assert_array_equal(got, wanted)


@deterministic
@given(call=convolutions(), seed=seeds)
def test_groups_are_convolutions_of_their_own(call: Any, seed: int) -> None:
    shape, weight, options = call
    function = torchs("conv_transpose", len(shape) - 2)
    groups = options["groups"]
    x, w = noise(shape, seed), noise(weight, seed + 2)
    whole = function(x, w, **options)
    alone = {**options, "groups": 1}
    parts = [
        function(xs, ws, **alone)
        for xs, ws in zip(np.split(x, groups, axis=1), np.split(w, groups, axis=0), strict=True)
    ]
    tolerances.assert_close(whole, np.concatenate(parts, axis=1), exact=False)
    for k in range(shape[0]):
        tolerances.assert_close(function(x[k], w, **options), whole[k], exact=False)
    np.testing.assert_array_equal(function(x, w, **options), whole)  # the same bits twice


@deterministic
@given(call=convolutions(), less=st.integers(0, 3), seed=seeds)
def test_chainers_deconvolution_is_torchs(call: Any, less: int, seed: int) -> None:
    shape, weight, options = call
    rank = len(shape) - 2
    # Chainer has no output_padding: it says the size, up to one stride from the default
    more = tuple(min(o, s - 1) for o, s in zip(options["output_padding"], options["stride"], strict=True))
    options = {**options, "output_padding": more}
    x, w = noise(shape, seed), noise(weight, seed + 2)
    bias = noise((weight[1] * options["groups"],), seed + 3)
    wanted = torchs("conv_transpose", rank)(x, w, bias, **options)
    said = dict(stride=options["stride"], pad=options["padding"], groups=options["groups"], dilate=options["dilation"])
    got = chainer.deconvolution_nd(x, w, bias, outsize=wanted.shape[2:], **said)
    np.testing.assert_array_equal(got, wanted)
    named = getattr(chainer, f"deconvolution_{rank}d")
    np.testing.assert_array_equal(named(x, w, bias, outsize=wanted.shape[2:], **said), wanted)
    if not any(more):
        np.testing.assert_array_equal(named(x, w, bias, **said), wanted)
        smaller = tuple(max(1, n - min(less, s - 1)) for n, s in zip(wanted.shape[2:], options["stride"], strict=True))
        cut = named(x, w, bias, outsize=smaller, **said)
        np.testing.assert_array_equal(cut, wanted[(..., *map(slice, smaller))])


@deterministic
@given(call=convolutions(), shift=st.integers(0, 3), seed=seeds)
def test_rolled_output_channels_roll_the_result(call: Any, shift: int, seed: int) -> None:
    shape, weight, options = call
    options = {**options, "groups": 1}
    function = torchs("conv_transpose", len(shape) - 2)
    x, w = noise(shape, seed), noise(weight, seed + 2)
    tolerances.assert_close(
        function(x, np.roll(w, shift, axis=1), **options), np.roll(function(x, w, **options), shift, axis=1), False
    )


# ----------------------------------------------------------------------------------------------- shuffling


@deterministic
@given(
    lead=st.lists(st.integers(0, 3), max_size=2).map(tuple),
    size=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    factor=st.integers(1, 4),
    seed=seeds,
)
@example(lead=(2,), size=(3, 2, 4), factor=3, seed=0)
def test_shuffling_there_and_back(lead: tuple[int, ...], size: tuple[int, int, int], factor: int, seed: int) -> None:
    channels, height, width = size
    coarse = noise((*lead, channels * factor**2, height, width), seed)
    fine = noise((*lead, channels, height * factor, width * factor), seed)
    assert upsample.pixel_shuffle(coarse, factor).shape == fine.shape
    np.testing.assert_array_equal(upsample.pixel_unshuffle(upsample.pixel_shuffle(coarse, factor), factor), coarse)
    np.testing.assert_array_equal(upsample.pixel_shuffle(upsample.pixel_unshuffle(fine, factor), factor), fine)
    if len(lead) == 1:
        assert chainer.depth2space(coarse, factor).shape == fine.shape
        np.testing.assert_array_equal(chainer.space2depth(chainer.depth2space(coarse, factor), factor), coarse)
        np.testing.assert_array_equal(chainer.depth2space(chainer.space2depth(fine, factor), factor), fine)


@deterministic
@given(size=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), factor=st.integers(1, 4), seed=seeds)
def test_the_orders_of_channels_differ_by_a_transposition(size: tuple[int, int, int], factor: int, seed: int) -> None:
    channels, height, width = size
    x = noise((2, channels * factor**2, height, width), seed)
    swapped = x.reshape(2, factor**2, channels, height, width).swapaxes(1, 2).reshape(x.shape)
    np.testing.assert_array_equal(chainer.depth2space(x, factor), upsample.pixel_shuffle(swapped, factor))


@deterministic
@given(factor=st.integers(1, 3), size=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)), seed=seeds)
def test_shuffling_is_a_transposed_convolution(factor: int, size: tuple[int, int, int], seed: int) -> None:
    """With one weight a tap, channel c r² + i r + j goes to tap (i, j) of channel c."""
    channels, height, width = size
    x = noise((2, channels * factor**2, height, width), seed)
    w = np.zeros((channels * factor**2, channels, factor, factor))
    for c, i, j in itertools.product(range(channels), range(factor), range(factor)):
        w[(c * factor + i) * factor + j, c, i, j] = 1.0
    got = upsample.conv_transpose2d(x, w, stride=factor)
    np.testing.assert_array_equal(got, upsample.pixel_shuffle(x, factor))
