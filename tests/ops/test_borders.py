"""`resize` beyond the border, on a part of an axis, and moved: against SciPy, NumPy's pad and plain arithmetic."""

from __future__ import annotations

import backends
import numpy as np
import pytest

import upsample
from upsample.engines.dispatch import ENGINES

USABLE = [engine.name for engine in ENGINES if engine.name not in ("cuda", "dask", "jax") and engine.unusable() is None]
BOUNDARIES = ["edge", "reflect", "mirror", "wrap", "constant"]
PADS = {"edge": "edge", "reflect": "symmetric", "mirror": "reflect", "wrap": "wrap", "constant": "constant"}
SCIPY = {"edge": "nearest", "reflect": "reflect", "mirror": "mirror", "wrap": "grid-wrap", "constant": "grid-constant"}
WEIGHTED = ["linear", "cubic", "lanczos", "hamming", "mitchell", "spline3", "area"]
PAD = 240
SIGNAL = np.random.default_rng(0).random(11)


def padded(x: np.ndarray, boundary: str) -> np.ndarray:
    options = {"constant_values": 0.3} if boundary == "constant" else {}
    return np.pad(x, PAD, mode=PADS[boundary], **options)


def options_of(boundary: str) -> dict[str, object]:
    return {"boundary": boundary, "cval": 0.3} if boundary == "constant" else {"boundary": boundary}


@pytest.mark.parametrize("engine", USABLE)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", *WEIGHTED])
def test_beyond_the_border_lies_what_numpy_pads(mode: str, boundary: str, engine: str) -> None:
    for box, size in (((0.0, 11.0), 23), ((-3.5, 14.0), 20), ((2.25, 7.5), 9), ((-20.0, 30.0), 7)):
        for antialias in (False, True) if mode in WEIGHTED[:-1] else (False,):
            options = dict(mode=mode, antialias=antialias, engine=engine)
            got = upsample.resize(SIGNAL, size, box=box, **options_of(boundary), **options)
            inside = (box[0] + PAD, box[1] + PAD)
            wanted = upsample.resize(padded(SIGNAL, boundary), size, box=inside, boundary="edge", **options)
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12, err_msg=f"{box} {antialias}")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("mode", "order"), [("nearest-exact", 0), ("linear", 1), ("spline3", 3), ("spline5", 5)])
def test_scipy(mode: str, order: int, boundary: str) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is not installed")
    x = np.random.default_rng(1).random((30, 37))
    places = np.meshgrid(np.linspace(-4.3, 33.1, 25), np.linspace(-6.2, 40.7, 31), indexing="ij")
    wanted = ndimage.map_coordinates(x, places, order=order, mode=SCIPY[boundary], cval=0.3)
    steps = [(p.max() - p.min()) / (n - 1) for p, n in zip(places, (25, 31), strict=True)]
    box = [(p.min() + 0.5 - s / 2, p.max() + 0.5 + s / 2) for p, s in zip(places, steps, strict=True)]
    got = upsample.resize(x, (25, 31), mode=mode, box=box, **options_of(boundary))
    if boundary == "constant" and order > 1:  # SciPy's prefilter knows twelve samples of the constant only
        got, wanted = got[4:-4, 4:-4], wanted[4:-4, 4:-4]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 if order > 1 else 1e-12)


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos", "area", "spline3"])
def test_the_whole_of_an_axis_is_the_default(mode: str) -> None:
    for size in (23, 5):
        for antialias in (False, True) if mode != "area" else (False,):
            plain = upsample.resize(SIGNAL, size, mode=mode, antialias=antialias)
            boxed = upsample.resize(SIGNAL, size, mode=mode, antialias=antialias, box=(0, 11))
            np.testing.assert_allclose(boxed, plain, rtol=0, atol=1e-13)
            corners = dict(align_corners=True) if mode in ("linear", "cubic") and not antialias else {}
            boxed = upsample.resize(SIGNAL, size, mode=mode, antialias=antialias, box=((0, 11),), **corners)
            plain = upsample.resize(SIGNAL, size, mode=mode, antialias=antialias, **corners)
            np.testing.assert_allclose(boxed, plain, rtol=0, atol=1e-13)


def test_an_offset_is_a_box_of_the_same_length() -> None:
    x = np.random.default_rng(2).random((9, 8))
    moved = upsample.resize(x, scale=2, offset=(0.25, -1), boundary="reflect")
    boxed = upsample.resize(x, (18, 16), box=((0.25, 9.25), (-1, 7)), boundary="reflect")
    np.testing.assert_allclose(moved, boxed, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(
        upsample.resize(SIGNAL, 11, offset=2, mode="nearest"), SIGNAL[[*range(2, 11), 10, 10]]
    )
    np.testing.assert_array_equal(upsample.resize(SIGNAL, 11, offset=-3, boundary="wrap"), np.roll(SIGNAL, 3))


@pytest.mark.parametrize("name", ["numpy", "portable", "strict", "torch", "jax", "dask", "emulated"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_libraries(boundary: str, name: str) -> None:
    backend = backends.get(name)
    x = np.random.default_rng(3).random((7, 9, 2), dtype=np.float32)
    for mode in ("nearest", "cubic"):
        options = dict(axes=(0, 1), mode=mode, box=((-1.5, 9), (2, 11)), **options_of(boundary))
        with backend.active():
            got = backend.back(upsample.resize(backend.make(x), (11, 10), **options, **backend.options))
        np.testing.assert_allclose(got, upsample.resize(x, (11, 10), **options), rtol=0, atol=2e-6)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "spline3", "hamming", "mitchell"])
def test_gradient_is_the_transpose(mode: str, boundary: str) -> None:
    x = np.random.default_rng(4).random((8, 6))
    options = dict(mode=mode, box=((-2.5, 9), (1, 13)), boundary=boundary)
    y, pull = upsample.vjp(upsample.resize, x, (9, 17), **options)
    g = np.random.default_rng(5).random(y.shape)
    np.testing.assert_allclose((y * g).sum(), (x * pull(g)[0]).sum(), rtol=1e-12)
    if boundary == "constant":  # the constant has no part in it
        z, pull = upsample.vjp(upsample.resize, x, (9, 17), cval=5.0, **options)
        np.testing.assert_allclose((z * g).sum() - (x * pull(g)[0]).sum(), ((z - y) * g).sum(), rtol=1e-12)


def test_torch_autograd() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for boundary in BOUNDARIES:
        x = torch.rand(5, 6, dtype=torch.float64, requires_grad=True)
        options = dict(mode="cubic", box=((-2, 6), (0, 9)), **options_of(boundary))
        assert torch.autograd.gradcheck(lambda x, o=options: upsample.resize(x, (7, 8), **o), (x,))


def test_integers_are_rounded_once() -> None:
    x = np.random.default_rng(6).integers(0, 256, (9, 8), dtype=np.uint8)
    for boundary in BOUNDARIES:
        options = {"boundary": boundary, "cval": 77} if boundary == "constant" else {"boundary": boundary}
        options["box"] = ((-2, 10), (0, 8))
        got = upsample.resize(x, (13, 5), **options)
        exact = upsample.resize(x.astype(np.float64), (13, 5), **options)
        assert got.dtype == np.uint8
        assert np.abs(got - exact).max() <= 0.5 + 2**-16
    labels = upsample.resize(x > 100, (13, 5), mode="nearest", boundary="constant", cval=1, box=((-9, 10), (0, 8)))
    assert labels.dtype == bool
    assert labels[:4].all()


def test_out() -> None:
    out = np.empty((5, 6))
    for boundary in BOUNDARIES:
        options = dict(boundary=boundary, box=((-1, 9), (0, 9)))
        x = np.random.default_rng(7).random((8, 9))
        assert upsample.resize(x, (5, 6), out=out, **options) is out
        np.testing.assert_array_equal(out, upsample.resize(x, (5, 6), **options))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (dict(boundary="symmetric"), ValueError, "boundary='symmetric'"),
        (dict(boundary=1), TypeError, "boundary=1"),
        (dict(cval=1.0), ValueError, "cval=1.0"),
        (dict(boundary="edge", cval=1.0), ValueError, "cval=1.0"),
        (dict(boundary="constant", cval="0"), TypeError, "cval='0'"),
        (dict(box=(0, 3, 4)), ValueError, "box=(0, 3, 4)"),
        (dict(box=((0, 3), (0, 3))), ValueError, "box="),
        (dict(box=((3, 3),)), ValueError, "box[0]=(3, 3)"),
        (dict(box=((0, "3"),)), TypeError, "box[0][1]='3'"),
        (dict(offset=(1, 2)), ValueError, "offset=(1, 2)"),
        (dict(offset="1"), TypeError, "offset='1'"),
        (dict(offset=2.0**33), ValueError, "positions are not exact past 4294967296 samples"),
        (dict(offset=-(2**70), boundary="reflect"), ValueError, f"offset=-{2**70}"),
        (dict(box=(0, 1e20), boundary="wrap"), ValueError, "box=(0, 1e+20)"),
    ],
)
def test_errors(options: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        upsample.resize(SIGNAL, 5, **options)
    assert words in str(caught.value)


def test_wrap_by_a_large_offset_takes_no_memory() -> None:
    got = upsample.resize(SIGNAL, 22, boundary="wrap", offset=11.0 * 2**50)
    np.testing.assert_array_equal(got, upsample.resize(SIGNAL, 22, boundary="wrap"))


def test_the_constant_is_rounded_and_clamped_to_integers() -> None:
    for cval, want in ((300.0, 255), (-3.0, 0), (1.5, 2), (0.75, 1)):
        for mode in ("nearest", "linear"):
            x = np.full(4, 7, dtype=np.uint8)
            got = upsample.resize(x, 4, mode=mode, boundary="constant", cval=cval, offset=9)
            assert got.tolist() == [want] * 4
