"""The references give torch's results in float64; what only selects is equal bit for bit."""

import itertools

import numpy as np
import pytest

from upsample import reference

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare the references with")
F = torch.nn.functional
torch.set_num_threads(1)

SPACES = {1: (7,), 2: (5, 8), 3: (3, 5, 4)}


def draw(shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "uint8":
        return rng.integers(0, 256, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def tie(shape, seed=0):
    """Few different values, so that most windows have equal maxima."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype("float64")


def of_torch(name, x, *args, **kwargs):
    return getattr(F, name)(torch.from_numpy(x.copy()), *args, **kwargs).numpy()


def close(got, want):
    assert got.shape == want.shape
    assert got.dtype == want.dtype == np.float64
    assert np.isfinite(want).all()
    scale = max(1.0, np.abs(want).max(initial=0.0))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * scale)


def same(got, want):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


# --------------------------------------------------------------------------------------- interpolate

SIZES = {
    1: [(7,), (1,), (3,), (11,), (14,), (20,)],
    2: [(5, 8), (1, 1), (10, 16), (3, 5), (13, 3), (5, 17), (8, 8)],
    3: [(3, 5, 4), (1, 2, 9), (6, 10, 8), (4, 5, 3)],
}
FACTORS = {
    1: [1.05, 2.17, 0.6, 3, 0.34],
    2: [1.05, (2.17, 0.55), 2, (1.3, 1.05), 0.41],
    3: [1.05, (2.3, 0.5, 1.9), 2],
}
SMOOTH = {1: ["linear", "area"], 2: ["bilinear", "bicubic", "area"], 3: ["trilinear", "area"]}


def goals(spatial):
    yield from ({"size": size} for size in SIZES[spatial])
    for factor, again in itertools.product(FACTORS[spatial], (None, True)):
        yield {"scale_factor": factor, "recompute_scale_factor": again}


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("spatial", "mode"), [(d, mode) for d in SMOOTH for mode in SMOOTH[d]])
def test_smooth_modes(spatial, mode, align_corners):
    if mode == "area" and align_corners:
        align_corners = None
    x = draw((2, 3, *SPACES[spatial]))
    for goal in goals(spatial):
        kwargs = {"mode": mode, "align_corners": None if mode == "area" else align_corners, **goal}
        close(reference.interpolate(x, **kwargs), of_torch("interpolate", x, **kwargs))


ANTIALIASED = [(mode, align) for mode in ("bilinear", "bicubic") for align in (False, True)] + [("lanczos", None)]


@pytest.mark.parametrize(("mode", "align_corners"), ANTIALIASED)
def test_antialias(mode, align_corners):
    x = draw((1, 2, 13, 9))
    sizes = [(13, 9), (4, 9), (13, 20), (2, 5), (30, 3), (1, 1), (12, 8), (13, 1)]
    factors = [(0.3, 0.77), (1.05, 0.5), (2.2, 1.05), 0.25, (0.97, 1.6)]
    for goal in [{"size": s} for s in sizes] + [{"scale_factor": f} for f in factors]:
        kwargs = {"mode": mode, "align_corners": align_corners, "antialias": True, **goal}
        close(reference.interpolate(x, **kwargs), of_torch("interpolate", x, **kwargs))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialias_to_one_column(mode):
    """torch 2.13 repeats the first row when it antialiases floats to a width of 1; to a height of 1 it is right."""
    x = draw((1, 2, 13, 9))
    want = of_torch("interpolate", x.swapaxes(2, 3), size=(1, 4), mode=mode, antialias=True).swapaxes(2, 3)
    close(reference.interpolate(x, size=(4, 1), mode=mode, antialias=True), want)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_nearest_bit_for_bit(spatial, mode, dtype):
    x = draw((2, 3, *SPACES[spatial]), dtype)
    for goal in goals(spatial):
        kwargs = {"mode": mode, **goal}
        if spatial == 2 and mode == "nearest" and "size" not in goal and not goal["recompute_scale_factor"]:
            continue  # torch's shortcut for small planes: see below
        same(reference.interpolate(x, **kwargs), of_torch("interpolate", x, **kwargs))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_coordinates_of_many_sizes(mode, dtype):
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(rng.integers(1, 200))
        x = np.arange(n).astype(dtype)[None, None]
        goal = (
            {"size": int(rng.integers(1, 500))}
            if rng.random() < 0.5
            else {"scale_factor": float(np.round(rng.uniform(1 / n, 5), int(rng.integers(1, 8)))) + 1 / n}
        )
        same(reference.interpolate(x, mode=mode, **goal), of_torch("interpolate", x, mode=mode, **goal))


def test_nearest_with_scales_in_a_plane_without_shortcut():
    x = draw((1, 2, 60, 70), "float32")
    for factor in (1.05, (2.017, 0.55), 2, (1.3, 1.05), 1.016):
        same(reference.interpolate(x, scale_factor=factor), of_torch("interpolate", x, scale_factor=factor))


def test_nearest_without_the_shortcut_of_small_planes():
    """n=4, factor 2.17: torch's 2-d nearest takes i//2 (a shortcut), its 1-d nearest and the reference do not."""
    x = np.arange(4.0, dtype=np.float32).reshape(1, 1, 1, 4)
    ours = reference.interpolate(x, scale_factor=(1.0, 2.17))
    same(ours[:, :, 0], of_torch("interpolate", x[:, :, 0], scale_factor=2.17))
    assert (ours != of_torch("interpolate", x, scale_factor=(1.0, 2.17))).any()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("mode", "antialias", "levels"),
    [
        ("bilinear", False, 1),
        ("bilinear", True, 1),
        # torch rounds the weights to 15 bits: the level that the first pass is off by then weighs more than 1
        ("bicubic", False, 2),
        ("bicubic", True, 2),
        ("lanczos", True, 2),
    ],
)
def test_uint8(mode, antialias, levels, channels):
    x = draw((2, channels, 9, 14), "uint8")
    sizes = [{"size": s} for s in [(9, 14), (20, 33), (4, 14), (3, 5), (18, 6), (4, 1)]]
    for goal in [*sizes, {"scale_factor": 1.7}]:
        kwargs = {"mode": mode, "antialias": antialias, **goal}
        got, want = reference.interpolate(x, **kwargs), of_torch("interpolate", x, **kwargs)
        assert got.dtype == want.dtype == np.uint8
        off = np.abs(got.astype(int) - want)
        assert off.max() <= levels, kwargs
        assert (off == 0).mean() > 0.9, kwargs


def test_uint8_rounds_after_each_axis():
    """A single pass in float64 is many levels off in bicubic: torch clamps between the passes."""
    x = (255 * (np.indices((8, 8)).sum(0) % 2)).astype("uint8")[None, None]
    want = of_torch("interpolate", x, size=(19, 19), mode="bicubic").astype(int)
    once = np.clip(np.floor(reference.interpolate(x.astype(float), size=(19, 19), mode="bicubic") + 0.5), 0, 255)
    twice = reference.interpolate(x, size=(19, 19), mode="bicubic")
    assert np.abs(twice - want).max() <= 1
    assert np.abs(once - want).max() > 5


@pytest.mark.parametrize("size", [(1, 5), (1, 10), (1, 9), (2, 5), (1, 3), (3, 15)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_nan_and_infinity_spread_as_in_torch(mode, size):
    x = np.array([1, np.nan, 3, np.inf, 5, 6]).reshape(1, 1, 1, 6)
    want = of_torch("interpolate", x, size=size, mode=mode)
    np.testing.assert_allclose(reference.interpolate(x, size=size, mode=mode), want, rtol=1e-12)
    want = of_torch("interpolate", x[:, :, 0], size=size[1], mode="linear")
    np.testing.assert_allclose(reference.interpolate(x[:, :, 0], size=size[1], mode="linear"), want, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "kwargs"),
    [
        ((1, 1, 4), {"size": 3, "scale_factor": 2.0}),
        ((1, 1, 4), {}),
        ((1, 1, 4), {"size": 3, "mode": "bilinear"}),
        ((1, 1, 4), {"size": 3, "mode": "linear", "antialias": True}),
        ((1, 1, 4, 4), {"size": 3, "mode": "lanczos"}),
        ((1, 1, 4, 4), {"size": 3, "mode": "lanczos", "antialias": True, "align_corners": True}),
        ((1, 1, 4), {"size": 0}),
        ((1, 1, 4), {"scale_factor": 0.1}),
        ((1, 1, 4, 4), {"size": (3,)}),
    ],
)
def test_interpolate_refuses_what_torch_refuses(shape, kwargs):
    x = np.zeros(shape)
    with pytest.raises((ValueError, RuntimeError, NotImplementedError)):
        of_torch("interpolate", x, **kwargs)
    with pytest.raises(ValueError):
        reference.interpolate(x, **kwargs)


# ------------------------------------------------------------------------------------------- pooling


def windows(spatial):
    return itertools.product([1, 2, (3, 2, 4)[:spatial]], [None, 1, 3], [0, 1], [1, 2], [False, True])


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_max_pool(spatial):
    compared = 0
    for kernel, stride, padding, dilation, ceil in windows(spatial):
        if padding and kernel == 1:
            continue
        pad = tuple(min(padding, k // 2) for k in (kernel if isinstance(kernel, tuple) else (kernel,) * spatial))
        for x in (tie((2, 2, *SPACES[spatial])), draw((2, 2, *SPACES[spatial]))):
            x[0, 0].flat[[1, 2, 5]] = np.nan
            x[1].flat[[0, 3]] = -np.inf
            kwargs = {"stride": stride, "padding": pad, "dilation": dilation, "ceil_mode": ceil}
            try:
                values, indices = getattr(F, f"max_pool{spatial}d")(
                    torch.from_numpy(x), kernel, **kwargs, return_indices=True
                )
            except RuntimeError:
                with pytest.raises(ValueError):
                    reference.max_pool(x, kernel, **kwargs, spatial=spatial)
                continue
            ours = reference.max_pool(x, kernel, **kwargs, spatial=spatial)
            if (ours[1] < 0).any():  # a window without an element: torch reads outside of the input
                continue
            same(ours[0], values.numpy())
            same(ours[1], indices.numpy())
            compared += 1
    assert compared > 60


def test_max_pool_takes_the_last_nan_and_the_first_maximum():
    x = np.array([[[3.0, np.nan, 1.0, np.nan, 2.0, 2.0]]])
    values, indices = F.max_pool1d(torch.from_numpy(x), (4,), stride=(2,), return_indices=True)
    assert indices.tolist() == [[[3, 3]]]
    same(reference.max_pool(x, (4,), (2,))[1], indices.numpy())
    same(reference.max_pool(x[..., 4:], (2,))[1], np.array([[[0]]]))
    assert np.isnan(values.numpy()).all()


@pytest.mark.parametrize(("shape", "size"), [((7,), (3,)), ((5, 8), (2, 3)), ((5, 8), (7, 8)), ((3, 5, 4), (2, 1, 6))])
def test_adaptive_max_pool(shape, size):
    x = tie((2, 3, *shape))
    x[0].flat[[1, 2, 9]] = np.nan
    values, indices = getattr(F, f"adaptive_max_pool{len(size)}d")(torch.from_numpy(x), size, return_indices=True)
    ours = reference.adaptive_max_pool(x, size)
    same(ours[0], values.numpy())
    same(ours[1], indices.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_max_unpool_with_duplicates(spatial, dtype):
    """Random indices, so many of them twice: the last value stays."""
    size = tuple(2 * n for n in SPACES[spatial])
    x = draw((2, 3, *SPACES[spatial]), dtype)
    indices = np.random.default_rng(2).integers(0, np.prod(size) // 4, x.shape)
    kwargs = {"kernel_size": 2, "output_size": list(size)}
    want = of_torch(f"max_unpool{spatial}d", x, torch.from_numpy(indices), **kwargs)
    same(reference.max_unpool(x, indices, size), want)
    summed = reference.max_unpool(x, indices, size, duplicates="sum")
    added = np.zeros((6, np.prod(size)))
    np.add.at(added, (np.arange(6)[:, None], indices.reshape(6, -1)), x.reshape(6, -1))
    np.testing.assert_allclose(summed, added.reshape(summed.shape), rtol=0, atol=1e-12)
    assert (summed != want).any()


@pytest.mark.parametrize("index", [-1, 6])
def test_max_unpool_refuses_an_index_outside(index):
    with pytest.raises(IndexError):
        reference.max_unpool(np.ones((1, 2)), np.array([[0, index]]), (6,))


# ---------------------------------------------------------------- transposed convolution, pixel shuffle


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_conv_transpose(spatial, groups):
    x = draw((2, 4, *(3, 4, 2)[:spatial]))
    weight, bias = draw((4, 3, *(3, 2, 4)[:spatial]), seed=1), draw(3 * groups, seed=2)
    for stride, padding, dilation, extra in itertools.product([1, (2, 3, 1)[:spatial]], [0, 1], [1, 2], [0, 1]):
        if extra and stride == dilation == 1:
            continue  # torch wants output_padding below the stride or the dilation
        if extra and dilation == 1:
            extra = tuple(min(1, s - 1) for s in stride)
        kwargs = {"stride": stride, "padding": padding, "dilation": dilation, "output_padding": extra}
        try:
            want = of_torch(
                f"conv_transpose{spatial}d",
                x,
                torch.from_numpy(weight),
                torch.from_numpy(bias),
                groups=groups,
                **kwargs,
            )
        except RuntimeError:
            continue
        close(reference.conv_transpose(x, weight, bias, groups=groups, **kwargs), want)
        close(
            reference.conv_transpose(x, weight, groups=groups, **kwargs),
            want - bias.reshape(-1, *(1,) * spatial),
        )


def test_conv_transpose_of_complex_numbers():
    x = draw((1, 2, 5)) + 1j * draw((1, 2, 5), seed=1)
    weight = draw((2, 3, 4), seed=2) - 1j * draw((2, 3, 4), seed=3)
    want = F.conv_transpose1d(torch.from_numpy(x), torch.from_numpy(weight), stride=2).numpy()
    got = reference.conv_transpose(x, weight, stride=2)
    assert got.dtype == np.complex128
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_pixel_shuffle_and_back(r):
    x = draw((2, 3, 2 * r * r, 2, 5), "float32")
    y = reference.pixel_shuffle(x, r)
    same(y, of_torch("pixel_shuffle", x, r))
    same(reference.pixel_unshuffle(y, r), x)
    same(reference.pixel_unshuffle(y, r), of_torch("pixel_unshuffle", y, r))
