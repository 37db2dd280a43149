"""`reference.resize` by its formulas: values known by hand, and what must hold of every resizing."""

import ast
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from upsample import reference

SMOOTH = ("linear", "cubic", "lanczos", "area")


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def one(x, o, **kwargs):
    """A 1-d resizing."""
    return reference.resize(np.asarray(x), o, axes=0, **kwargs)


# ---------------------------------------------------------------------------------- known by hand


def test_linear_by_hand():
    np.testing.assert_array_equal(one([0.0, 10.0], 4, mode="linear"), [0, 2.5, 7.5, 10])
    np.testing.assert_array_equal(one([0.0, 12.0], 4, mode="linear", align_corners=True), [0, 4, 8, 12])
    np.testing.assert_array_equal(one([0.0, 10.0], None, mode="linear", scale=1.6), [0, 4.375, 10])
    np.testing.assert_array_equal(one([4.0, 10.0], 1, mode="linear", align_corners=True), [4])


def test_cubic_by_hand():
    """Half-way between two inputs the weights are a/8, 1/2 - a/8, 1/2 - a/8, a/8."""
    for a in (-0.75, -0.5):
        np.testing.assert_allclose(one([0.0, 8, 0, 0], 2, mode="cubic", cubic_coeff=a), [4 - a, a])


@pytest.mark.parametrize("a", [-0.75, -0.5])
def test_cubic_weights_of_an_impulse(a):
    got = one([0.0, 0, 0, 1, 0, 0, 0], 14, mode="cubic", cubic_coeff=a)

    def keys(t):
        t = abs(t)
        return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t < 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0

    np.testing.assert_allclose(got, [keys((i + 0.5) / 2 - 0.5 - 3) for i in range(14)], atol=1e-15)


def test_lanczos_weights_of_an_impulse():
    n, o = 21, 63
    got = one(np.eye(n)[10], o, mode="lanczos")
    expected = []
    for i in range(o):
        c = (i + 0.5) / 3 - 0.5
        near = np.arange(np.floor(c) - 2, np.floor(c) + 4)
        weights = np.sinc(c - near) * np.sinc((c - near) / 3)
        expected.append((weights / weights.sum())[near == 10].sum())
    np.testing.assert_allclose(got, expected, atol=1e-15)
    assert got.min() < -0.05


def test_area_by_hand():
    np.testing.assert_array_equal(one([1.0, 2, 3, 4, 5], 2, mode="area"), [2, 4])
    np.testing.assert_array_equal(one([1.0, 2, 4], 2, mode="area"), [1.5, 3])
    np.testing.assert_array_equal(one([1.0, 3.0], 3, mode="area"), [1, 2, 3])


def test_antialias_by_hand():
    """Halving stretches the triangle to weights 1, 3, 3, 1 over 8; at the border the outside one is left out."""
    got = one(np.eye(6)[2] * 8, 3, mode="linear", antialias=True)
    np.testing.assert_allclose(got, [8 / 7, 3, 0])
    up = one([0.0, 10.0], 4, mode="linear", antialias=True)
    np.testing.assert_allclose(up, one([0.0, 10.0], 4, mode="linear"))


@pytest.mark.parametrize(("n", "o"), [(7, 3), (3, 7), (1, 5), (5, 1), (49, 50), (1000, 999), (6, 12)])
def test_nearest_is_exact(n, o):
    x = np.arange(n)
    floors = [Fraction(i * n, o).__floor__() for i in range(o)]
    centres = [(Fraction(2 * i + 1, 2) * Fraction(n, o)).__floor__() for i in range(o)]
    assert one(x, o, mode="nearest").tolist() == floors
    assert one(x, o, mode="nearest-exact").tolist() == centres


def test_nearest_with_a_scale():
    assert one(np.arange(4), None, mode="nearest", scale=2.4).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3]
    assert one(np.arange(4), None, mode="nearest-exact", scale=2.4).tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert one(np.arange(100), None, mode="nearest", scale=0.1).tolist() == list(range(0, 100, 10))


# ----------------------------------------------------------------------------- what must always hold


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", SMOOTH)
def test_a_constant_stays(mode, antialias):
    for o in (1, 3, 7, 16):
        np.testing.assert_allclose(one(np.full(7, 3.0), o, mode=mode, antialias=antialias), 3.0, rtol=1e-14)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", *SMOOTH])
def test_the_same_size_is_the_same(mode):
    x = draw((4, 5))
    np.testing.assert_allclose(reference.resize(x, x.shape, axes=(0, 1), mode=mode), x, atol=1e-15)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", SMOOTH)
def test_axes_are_independent(mode, antialias):
    x = draw((4, 2, 5, 3))
    both = reference.resize(x, (7, 2), axes=(0, -2), mode=mode, antialias=antialias)
    swapped = reference.resize(x, (2, 7), axes=(2, 0), mode=mode, antialias=antialias)
    np.testing.assert_array_equal(both, swapped)
    one_by_one = reference.resize(x, 7, axes=0, mode=mode, antialias=antialias)
    one_by_one = reference.resize(one_by_one, 2, axes=2, mode=mode, antialias=antialias)
    assert both.shape == (7, 2, 2, 3)
    np.testing.assert_allclose(both, one_by_one, atol=1e-14)
    moved = reference.resize(x.transpose(3, 2, 1, 0), (7, 2), axes=(3, 1), mode=mode, antialias=antialias)
    np.testing.assert_allclose(moved.transpose(3, 2, 1, 0), both, atol=1e-14)


def test_one_mode_and_scale_per_axis():
    x = draw((4, 5))
    got = reference.resize(x, None, axes=(0, 1), mode=("nearest", "cubic"), scale=(2.0, 1.5))
    want = reference.resize(np.repeat(x, 2, axis=0), 7, axes=1, mode="cubic", scale=1.5)
    np.testing.assert_array_equal(got, want)
    partly = reference.resize(x, (8, 7), axes=(0, 1), mode="linear", scale=(None, 1.5))
    assert partly.shape == (8, 7)


@pytest.mark.parametrize("mode", SMOOTH)
def test_complex_numbers_are_two_real_ones(mode):
    x = draw(6) + 1j * draw(6, seed=1)
    x[5] = complex(np.inf, 2)
    got = one(x, 9, mode=mode)
    assert got.dtype == np.complex128
    np.testing.assert_allclose(got.imag, one(x.imag, 9, mode=mode), atol=1e-14)
    np.testing.assert_array_equal(np.isinf(got.real), np.isinf(one(x.real, 9, mode=mode)))


def test_dtypes():
    for dtype in ("float16", "float32", "bool"):
        assert one(np.ones(3, dtype), 5, mode="linear").dtype == np.float64
        assert one(np.ones(3, dtype), 5, mode="nearest").dtype == dtype
    assert one(np.ones(3, "int32"), 5, mode="linear").dtype == np.int32
    assert one(np.ones(3, "complex64"), 5, mode="area").dtype == np.complex128
    assert one(np.ones(3, "uint8"), 5, mode="cubic").dtype == np.uint8


def test_uint8_is_rounded_once_to_even_and_clamped():
    sharp = one(np.array([0, 0, 255, 255], "uint8"), 8, mode="cubic")
    assert (sharp[2], sharp[5]) == (0, 255)  # -17.9 and 272.9 in float64
    x = np.array([[1, 0], [0, 0]], "uint8")  # 1/4 -> 0, where rounding each axis gives 1/2 -> 1, then 1/2 -> 1
    assert reference.resize(x, (3, 3), axes=(0, 1), mode="linear")[1, 1] == 0
    x = np.array([[3, 0], [0, 0]], "uint8")  # [3, 9/4, 3/4, 0], halved
    assert reference.resize(x, (3, 4), axes=(0, 1), mode="linear")[1].tolist() == [2, 1, 0, 0]


def test_other_integers_are_rounded_once_to_even():
    assert one(np.array([0, 1, 1, 2], "uint8"), 2, mode="area").tolist() == [0, 2]
    x = np.array([[1, 0], [0, 0]], "uint8")  # 1/4
    assert reference.resize(x, (1, 1), axes=(0, 1), mode="area").tolist() == [[0]]
    assert reference.resize(x.astype("int16"), (3, 3), axes=(0, 1), mode="linear")[1, 1] == 0
    assert one(np.array([-(2**15), 2**15 - 1], "int16"), 8, mode="cubic").tolist()[::7] == [-(2**15), 2**15 - 1]


def test_inputs_are_neither_written_nor_returned():
    x = draw((3, 4))
    x.flags.writeable = False
    for mode in ("nearest", "linear"):
        same = reference.resize(x, (3, 4), axes=(0, 1), mode=mode)
        assert not np.shares_memory(same, x)
    image = draw((1, 1, 3, 4))
    for kwargs in ({"mode": "bilinear", "antialias": True}, {"mode": "nearest"}):
        assert not np.shares_memory(reference.interpolate(image, size=(3, 4), **kwargs), image)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"shape": 0, "axes": 0, "mode": "linear"},
        {"shape": None, "axes": 0, "mode": "linear"},
        {"shape": 3, "axes": 0, "mode": "bilinear"},
        {"shape": (3, 3), "axes": (0, -2), "mode": "linear"},
        {"shape": (3,), "axes": (0, 1), "mode": "linear"},
        {"shape": (3, 3), "axes": (0, 1), "mode": ("linear",)},
    ],
)
def test_nonsense_is_refused(kwargs):
    shape = kwargs.pop("shape")
    with pytest.raises(ValueError):
        reference.resize(draw((4, 5)), shape, **kwargs)


# --------------------------------------------------------------------------------- against others


@pytest.mark.parametrize("mode", ["linear", "cubic", "lanczos"])
@pytest.mark.parametrize("size", [(5, 7), (30, 11), (3, 40)])
def test_antialias_is_what_pillow_does(mode, size):
    """In Pillow's float32 images; its bicubic has a = -0.5."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    x = draw((13, 17)).astype("float32")
    method = {"linear": "BILINEAR", "cubic": "BICUBIC", "lanczos": "LANCZOS"}[mode]
    want = np.asarray(image.fromarray(x).resize(size[::-1], getattr(image.Resampling, method)))
    got = reference.resize(x, size, axes=(0, 1), mode=mode, antialias=True, cubic_coeff=-0.5)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("ours", "theirs"), [("linear", "bilinear"), ("cubic", "bicubic"), ("area", "area")])
@pytest.mark.parametrize("goal", [{"size": (9, 4)}, {"scale_factor": (1.7, 0.6)}])
def test_resize_and_interpolate_agree(ours, theirs, goal):
    """They share the formula where torch has no rule of its own; natively taps of one sample are added up first."""
    x = draw((1, 2, 5, 8))
    want = reference.interpolate(x, mode=theirs, **goal)
    got = reference.resize(x, goal.get("size"), axes=(2, 3), mode=ours, scale=goal.get("scale_factor"))
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


def test_the_reference_imports_nothing_from_the_package():
    allowed = {"math", "itertools", "fractions", "numpy", "numpy.typing", "typing", "collections.abc"}
    files = sorted(Path(sys.modules[reference.__name__].__file__).parent.glob("*.py"))
    assert len(files) == 6
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= allowed, file.name
            if isinstance(node, ast.ImportFrom):
                assert node.module in allowed or node.level == 1, file.name


def test_everything_public_is_listed():
    assert set(reference.__all__) == {
        name for name, value in vars(reference).items() if callable(value) and not name.startswith("_")
    }
