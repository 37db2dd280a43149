"""<A x, y> = <x, Aᵀ y>: the gradient of a linear op is its transpose, in float64 to 1e-12, for any size and layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from drawn import repeatable
from hypothesis import assume, example, given
from hypothesis import strategies as st
from methods import Method, every_method

import upsample
from upsample import chainer

quick = repeatable(40)
every_engine = pytest.mark.parametrize("engine", [None, "portable"])
sizes = st.integers(1, 24)
seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from(["contiguous", "last", "strided", "reversed"])


def noise(shape: tuple[int, ...], seed: int, layout: str = "contiguous") -> np.ndarray:
    """Values in an array of some layout in memory."""
    x = np.random.default_rng([seed, *shape]).standard_normal(shape)
    if layout == "last" and len(shape) > 2:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if layout == "strided":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if layout == "reversed":
        back = (slice(None, None, -1),) * len(shape)
        return x[back].copy()[back]
    return x


def assert_adjoint(layout: str, function: Any, x: np.ndarray, *rest: Any, **options: Any) -> None:
    """`function` is linear in `x`; the gradient is pulled back from an array of the same layout."""
    before = x.copy()
    output, pullback = upsample.vjp(function, x, *rest, **options)
    y = noise(output.shape, 1, layout)
    (back, *others) = pullback(y)
    assert back.shape == x.shape
    assert back.dtype == x.dtype
    assert all(g is None or g.shape for g in others)
    left, right = float(np.sum(output * y)), float(np.sum(x * back))
    scale = max(1.0, float(np.linalg.norm(output)) * float(np.linalg.norm(y)))
    assert abs(left - right) <= 1e-12 * scale, f"{left} and {right}"
    np.testing.assert_array_equal(x, before)


@every_engine
@every_method
@quick
@given(small=st.tuples(sizes, sizes), large=st.tuples(sizes, sizes), axes=st.permutations(range(4)), seed=seeds,
       layout=layouts)  # fmt: skip
def test_resize(
    small: tuple,
    large: tuple,
    axes: list,
    seed: int,
    layout: str,
    method: Method,
    engine: Any,
) -> None:
    shape = [2, 3, 2, 1]
    for axis, n in zip(axes, small, strict=False):
        shape[axis] = n
    options = dict(axes=tuple(axes[:2]), **method.options, engine=engine)
    assert_adjoint(layout, upsample.resize, noise(tuple(shape), seed, layout), large, **options)


@every_engine
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"])
@quick
@given(n=st.lists(sizes, min_size=3, max_size=3), factor=st.floats(0.25, 4.0), seed=seeds, layout=layouts)
@example(n=[1, 1, 1], factor=3.9, seed=0, layout="contiguous")
@example(n=[24, 24, 24], factor=0.25, seed=0, layout="last")
def test_interpolate(n: list, factor: float, seed: int, layout: str, mode: str, engine: Any) -> None:
    rank = {"linear": 1, "trilinear": 3}.get(mode, 2)
    spatial = tuple(n[:rank]) if rank < 3 else tuple(min(k, 6) for k in n)
    assume(min(spatial) * factor >= 1)
    x = noise((2, 3, *spatial), seed, layout)
    assert_adjoint(layout, upsample.interpolate, x, scale_factor=factor, mode=mode, engine=engine)


@st.composite
def windows(draw: Any) -> tuple[int, dict[str, Any], tuple[int, ...]]:
    """A pooling that some input has: spatial rank, kernel, stride, padding and dilation, and the input's sizes."""
    rank = draw(st.integers(1, 3))
    most = (12, 9, 5)[rank - 1]
    each = [st.lists(st.integers(1, top), min_size=rank, max_size=rank) for top in (4, 4, 3)]
    kernel, stride, dilation = (tuple(draw(numbers)) for numbers in each)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    spatial = tuple(
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), most + d * (k - 1)))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    )
    return rank, dict(kernel_size=kernel, stride=stride, padding=padding, dilation=dilation), spatial


@every_engine
@quick
@given(window=windows(), seed=seeds, layout=layouts, duplicates=st.sampled_from(["last", "sum"]))
def test_pool_and_unpool(window: tuple, seed: int, layout: str, duplicates: str, engine: Any) -> None:
    """Unpooling is linear for given indices; pooling is where maxima stay what they are."""
    rank, options, spatial = window
    x = np.random.default_rng(seed).permutation(6 * math.prod(spatial)).reshape(2, 3, *spatial).astype(float)
    try:
        values, indices = getattr(upsample, f"max_pool{rank}d")(x, **options, return_indices=True)
    except ValueError:  # a window without an element
        assume(False)
    assert_adjoint(layout, getattr(upsample, f"max_pool{rank}d"), x, **options, engine=engine)
    steps = zip(values.shape[2:], *options.values(), spatial, strict=True)
    assume(all(abs((h - 1) * s - 2 * p + d * (k - 1) + 1 - n) < s for h, k, s, p, d, n in steps))
    cells = noise(values.shape, seed, layout)
    rest = dict(options, output_size=spatial, duplicates=duplicates, engine=engine)
    assert_adjoint(layout, getattr(upsample, f"max_unpool{rank}d"), cells, indices, **rest)
    trusted = dict(rest, check_indices=False)
    assert_adjoint(layout, getattr(upsample, f"max_unpool{rank}d"), cells, indices, **trusted)


@every_engine
@quick
@given(small=st.tuples(*[st.integers(1, 9)] * 2), size=st.tuples(*[st.integers(1, 12)] * 2), seed=seeds, layout=layouts)
def test_adaptive_pool(small: tuple, size: tuple, seed: int, layout: str, engine: Any) -> None:
    x = np.random.default_rng(seed).permutation(6 * math.prod(small)).reshape(2, 3, *small).astype(float)
    assert_adjoint(layout, upsample.adaptive_max_pool2d, x, size, engine=engine)


@every_engine
@quick
@given(window=windows(), seed=seeds, layout=layouts, groups=st.sampled_from([1, 2, 6]), more=st.integers(0, 3),
       batched=st.booleans())  # fmt: skip
def test_conv_transpose(
    window: tuple, seed: int, layout: str, groups: int, more: int, batched: bool, engine: Any
) -> None:
    """Linear in the input and in the weight, each."""
    rank, options, small = window
    kernel, stride, padding, dilation = options.values()
    output_padding = tuple(min(more, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    steps = zip(small, kernel, stride, padding, dilation, output_padding, strict=True)
    assume(all((n - 1) * s - 2 * p + d * (k - 1) + o + 1 >= 1 for n, k, s, p, d, o in steps))
    x = noise((2, 6, *small), seed, layout)
    x = x if batched else x[0]
    weight = noise((6, 12 // groups, *kernel), seed + 1, layout)
    rest = dict(
        stride=stride, padding=padding, output_padding=output_padding, groups=groups, dilation=dilation, engine=engine
    )
    function = getattr(upsample, f"conv_transpose{rank}d")
    assert_adjoint(layout, function, x, weight, **rest)
    assert_adjoint(layout, lambda w: function(x, w, **rest), weight)
    bias = noise((12,), seed)
    output, pullback = upsample.vjp(function, x, weight, bias, **rest)
    y = noise(output.shape, seed)
    grads = pullback(y)
    channels = 1 if batched else 0
    others = tuple(axis for axis in range(y.ndim) if axis != channels)
    np.testing.assert_allclose(grads[2], y.sum(axis=others), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", [upsample.pixel_shuffle, chainer.depth2space])
@quick
@given(factor=st.integers(1, 4), shape=st.tuples(*[st.integers(1, 4)] * 4), seed=seeds, layout=layouts)
def test_depth_to_space(function: Any, factor: int, shape: tuple, seed: int, layout: str) -> None:
    batch, channels, height, width = shape
    assert_adjoint(layout, function, noise((batch, channels * factor**2, height, width), seed, layout), factor)


@pytest.mark.parametrize("function", [upsample.pixel_unshuffle, chainer.space2depth])
@quick
@given(factor=st.integers(1, 4), shape=st.tuples(*[st.integers(1, 4)] * 4), seed=seeds, layout=layouts)
def test_space_to_depth(function: Any, factor: int, shape: tuple, seed: int, layout: str) -> None:
    batch, channels, height, width = shape
    assert_adjoint(layout, function, noise((batch, channels, height * factor, width * factor), seed, layout), factor)


@every_engine
@quick
@given(window=windows(), seed=seeds, layout=layouts, cover_all=st.booleans())
def test_chainers(window: tuple, seed: int, layout: str, cover_all: bool, engine: Any) -> None:
    rank, options, large = window
    kernel, stride, padding, _ = options.values()
    rest = dict(ksize=kernel, stride=stride, pad=padding, cover_all=cover_all)
    x = np.random.default_rng(seed).permutation(6 * math.prod(large)).reshape(2, 3, *large).astype(float)
    try:
        values = chainer.max_pooling_nd(x, **rest)
    except ValueError:
        assume(False)
    if np.isfinite(values).all():
        assert_adjoint(layout, chainer.max_pooling_nd, x, **rest, engine=engine)
    try:
        chainer.unpooling_nd(values, **rest, outsize=large)
    except ValueError:
        assume(False)
    cells = noise(values.shape, seed, layout)
    assert_adjoint(layout, chainer.unpooling_nd, cells, **rest, outsize=large, engine=engine)
    if rank == 2:
        _, indexes = chainer.max_pooling_2d(x, **rest, return_indices=True)
        assert_adjoint(layout, chainer.upsampling_2d, cells, indexes, **rest, outsize=large, engine=engine)


def test_the_identity_is_tested() -> None:
    """A gradient that is not the transpose is seen."""
    x = noise((1, 1, 3, 3), 0)
    with pytest.raises(AssertionError):
        assert_adjoint("contiguous", lambda v: upsample.max_unpool2d(v, *_twice(), duplicate_grad="all"), x)
    assert_adjoint("contiguous", lambda v: upsample.max_unpool2d(v, *_twice()), x)


def _twice() -> tuple[np.ndarray, int]:
    """Indices of which two are the same, and the window."""
    return np.asarray([[[[0, 0, 4], [12, 14, 16], [24, 26, 28]]]]), 2
