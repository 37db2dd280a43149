"""upsample.chainer on arrays of other libraries, into out=, and on arrays of any layout."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import upsample
from upsample import chainer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 3, 5)).astype(np.float32)
W = RNG.standard_normal((4, 2, 3, 2)).astype(np.float32)
B = RNG.standard_normal(2).astype(np.float32)
INDEXES = RNG.integers(0, 6, X.shape)

CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...], dict[str, Any]]] = {
    "max_pooling_2d": (chainer.max_pooling_2d, (X,), {"ksize": 2, "pad": (1, 0)}),
    "unpooling_2d": (chainer.unpooling_2d, (X,), {"ksize": (3, 2), "stride": 2, "outsize": (None, 10)}),
    "upsampling_2d": (chainer.upsampling_2d, (X, INDEXES), {"ksize": (3, 2), "stride": (2, 1), "pad": (1, 0)}),
    "deconvolution_2d": (chainer.deconvolution_2d, (X, W, B), {"stride": 2, "outsize": (None, 11), "groups": 1}),
    "deconvolution_nd": (chainer.deconvolution_nd, (X, W, B[:1]), {"dilate": (1, 2)}),
    "resize_images": (chainer.resize_images, (X,), {"output_shape": (5, 7)}),
    "depth2space": (chainer.depth2space, (X,), {"r": 2}),
    "space2depth": (chainer.space2depth, (np.ascontiguousarray(X[:, :, :2, :4]),), {"r": 2}),
}
LIBRARIES = {
    "torch": ("torch", "from_numpy"),
    "jax": ("jax.numpy", "asarray"),
    "dask": ("dask.array", "from_array"),
    "array_api_strict": ("array_api_strict", "asarray"),
}
by_call = pytest.mark.parametrize("name", CALLS)


def run(name: str, convert: Callable[[np.ndarray], Any] = lambda a: a, **more: Any) -> Any:
    function, args, kwargs = CALLS[name]
    return function(*(convert(a) for a in args), **kwargs, **more)


@by_call
@pytest.mark.parametrize("library", LIBRARIES)
def test_library(name: str, library: str) -> None:
    module, maker = LIBRARIES[library]
    pytest.importorskip(module, reason=f"{library} is not installed")
    convert = getattr(importlib.import_module(module), maker)
    want = run(name)
    got = run(name, lambda a: convert(a.copy()))
    assert type(got) is type(convert(want))
    got = np.from_dlpack(got) if library == "array_api_strict" else np.asarray(got)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@by_call
def test_out(name: str) -> None:
    want = run(name)
    plain = np.full_like(want, 7)
    assert run(name, out=plain) is plain
    np.testing.assert_array_equal(plain, want)
    roomy = np.full((*want.shape[:1], 2 * want.shape[1], *want.shape[2:]), 7, want.dtype)
    part = roomy[:, : want.shape[1]]  # its first two axes cannot be joined without a copy
    assert run(name, out=part) is part
    np.testing.assert_array_equal(part, want)
    assert (roomy[:, want.shape[1] :] == 7).all()


@by_call
def test_out_that_does_not_fit(name: str) -> None:
    want = run(name)
    op = CALLS[name][0].__name__
    with pytest.raises(ValueError, match=f"{op}: out=<shape"):
        run(name, out=np.zeros((*want.shape, 1), want.dtype))
    with pytest.raises(TypeError, match=f"{op}: out=<dtype"):
        run(name, out=np.zeros(want.shape, np.int8))
    with pytest.raises(ValueError, match=f"{op}: out="):
        run(name, out=np.broadcast_to(want, want.shape))


def test_out_that_is_an_input() -> None:
    x = X.copy()
    with pytest.raises(ValueError, match="unpooling_2d: out=<array>, but it shares memory with x"):
        chainer.unpooling_2d(x, 1, out=x)


def test_out_of_a_pair() -> None:
    want = chainer.max_pooling_2d(X, 2, return_indices=True)
    pair = np.empty_like(want[0]), np.empty_like(want[1])
    got = chainer.max_pooling_2d(X, 2, return_indices=True, out=pair)
    assert got[0] is pair[0]
    assert got[1] is pair[1]
    np.testing.assert_array_equal(pair[0], want[0])
    np.testing.assert_array_equal(pair[1], want[1])


def test_out_of_mixed_dtypes() -> None:
    """The sum is made in float64, and rounded into out."""
    want = chainer.deconvolution_2d(X, W.astype(np.float64), B, 2)
    out = np.empty_like(want)
    assert chainer.deconvolution_2d(X, W.astype(np.float64), B, 2, out=out) is out
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, want)
    with pytest.raises(TypeError, match="deconvolution_2d: out=<dtype float64>"):
        chainer.deconvolution_2d(X, W.astype(np.float64), out=np.empty(want.shape))


@by_call
def test_layout_and_byte_order_do_not_matter(name: str) -> None:
    want = run(name)

    def strided(a: np.ndarray) -> np.ndarray:
        view = np.repeat(a, 2, axis=-1)[..., ::2].T.copy().T
        view.flags.writeable = False
        return view

    np.testing.assert_allclose(run(name, strided), want, rtol=1e-6, atol=1e-6)
    swapped = run(name, lambda a: a.astype(a.dtype.newbyteorder()))
    assert swapped.dtype == want.dtype.newbyteorder()
    np.testing.assert_allclose(swapped, want, rtol=1e-6, atol=1e-6)


@by_call
def test_engine(name: str) -> None:
    np.testing.assert_allclose(run(name, engine="portable"), run(name), rtol=1e-5, atol=1e-5)
    function, args, kwargs = CALLS[name]
    with pytest.raises(ValueError, match=f"{function.__name__}: engine='abacus'"):
        run(name, engine="abacus")
    assert upsample.explain(function, *args, **kwargs).op == function.__name__


@by_call
def test_no_array(name: str) -> None:
    function, args, kwargs = CALLS[name]
    with pytest.raises(TypeError, match=f"{function.__name__}: [xX]=<list>"):
        function(args[0].tolist(), *args[1:], **kwargs)


@pytest.mark.parametrize("name", ["deconvolution_2d", "unpooling_2d", "upsampling_2d", "max_pooling_2d"])
def test_under_jit(name: str) -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    function, args, kwargs = CALLS[name]
    got = jax.jit(lambda *a: function(*a, **kwargs))(*map(jax.numpy.asarray, args))
    np.testing.assert_allclose(np.asarray(got), run(name), rtol=1e-5, atol=1e-5)


def test_halves_of_torch() -> None:
    """Either half with either: the result has the dtype of x, rounded once."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, w = torch.from_numpy(X), torch.from_numpy(W)
    for one, two in ((torch.float16, torch.bfloat16), (torch.bfloat16, torch.float16)):
        y = chainer.deconvolution_2d(x.to(one), w.to(two))
        assert y.dtype == one
        exact = chainer.deconvolution_2d(x.to(one).double(), w.to(two).double())
        assert torch.equal(y, exact.float().to(one)) or (y.double() - exact).abs().max() <= torch.finfo(one).eps * 16
