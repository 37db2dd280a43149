"""Layers: torch.nn's signatures, texts, results and rules, on every library."""

import copy
import inspect
import pickle
import warnings

import backends
import numpy as np
import pytest

import upsample
from upsample import nn

LAYERS = (
    *("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "PixelShuffle", "PixelUnshuffle"),
    *(f"{name}{n}d" for name in ("MaxPool", "MaxUnpool", "ConvTranspose", "AdaptiveMaxPool") for n in (1, 2, 3)),
)
OURS_ALONE = {
    *("precision", "dilation", "duplicates", "duplicate_grad", "check_indices", "deterministic"),
    *("xp", "rng", "engine"),
}
CONV = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SPATIAL = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}


def torch_nn():
    return pytest.importorskip("torch", reason="torch is not installed, and this test compares with it").nn


def values(*shape, dtype="float32"):
    return np.random.default_rng([7, *shape]).uniform(-1, 1, shape).astype(dtype)


def call(name, *args, **kwargs):
    return f"{name}({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])})"


class Case:
    """A layer by name and arguments, readable as a test id."""

    def __init__(self, name, *args, **kwargs):
        self.name, self.args, self.kwargs = name, args, kwargs

    def made(self, module, **more):
        return getattr(module, self.name)(*self.args, **self.kwargs, **more)

    def __repr__(self):
        return call(self.name, *self.args, **self.kwargs)


CASES = [
    Case("Upsample", scale_factor=2),
    Case("Upsample", 5),
    Case("Upsample", (7,), mode="linear"),
    Case("Upsample", (2, 9), mode="bicubic", align_corners=True),
    Case("Upsample", None, (2, 1.5), "bilinear", False, True),
    Case("Upsample", scale_factor=1.3, mode="nearest-exact", recompute_scale_factor=True),
    Case("Upsample", scale_factor=(2.0, 1.0, 1.5), mode="trilinear"),
    Case("Upsample", 3, mode="area"),
    Case("UpsamplingNearest2d", scale_factor=3),
    Case("UpsamplingNearest2d", (4, 5)),
    Case("UpsamplingBilinear2d", size=6),
    Case("UpsamplingBilinear2d", None, (1.5, 2)),
    Case("PixelShuffle", 2),
    Case("PixelUnshuffle", 3),
]
for n in (1, 2, 3):
    each = tuple(range(1, n + 1))
    CASES += [
        Case(f"MaxPool{n}d", 2),
        Case(f"MaxPool{n}d", 3, 2, 1, 1, False, True),
        Case(f"MaxPool{n}d", 2, stride=1, return_indices=True),
        Case(f"MaxPool{n}d", (2,) * n, each, 0, 1, True),
        Case(f"MaxPool{n}d", 2, 1, 0, 1 + (n == 1)),
        Case(f"MaxPool{n}d", (2,), (1,)),
        Case(f"AdaptiveMaxPool{n}d", 2),
        Case(f"AdaptiveMaxPool{n}d", each, True),
        Case(f"MaxUnpool{n}d", 2),
        Case(f"MaxUnpool{n}d", (3,) * n, 2, 1),
        Case(f"MaxUnpool{n}d", 2, each),
        Case(f"ConvTranspose{n}d", 4, 6, 3),
        Case(f"ConvTranspose{n}d", 4, 6, each, 2, 0, 1),
        Case(f"ConvTranspose{n}d", 4, 6, 2, each, 1, 0, 2, False, 2),
        Case(f"ConvTranspose{n}d", 4, 2, 3, stride=2, padding=1, output_padding=1, groups=2, bias=True),
    ]
CASES += [Case("AdaptiveMaxPool2d", (None, 2)), Case("AdaptiveMaxPool3d", (1, None, None), True)]


@pytest.mark.parametrize("name", LAYERS)
def test_constructor_has_torchs_arguments(name):
    theirs = inspect.signature(getattr(torch_nn(), name)).parameters
    ours = inspect.signature(getattr(nn, name)).parameters
    shared = [(p.name, p.kind, p.default) for p in ours.values() if p.kind is not p.KEYWORD_ONLY]
    assert shared == [(p.name, p.kind, p.default) for p in theirs.values()]
    assert {p.name for p in ours.values() if p.kind is p.KEYWORD_ONLY} <= OURS_ALONE
    assert ours["engine"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", LAYERS)
def test_forward_has_torchs_arguments(name):
    theirs = inspect.signature(getattr(torch_nn(), name).forward).parameters
    ours = inspect.signature(getattr(nn, name).forward).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_all_layers_are_public():
    assert {*LAYERS, "Layer", "IncompatibleKeys"} == set(nn.__all__)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_repr_is_torchs(case):
    assert repr(case.made(nn)) == repr(case.made(torch_nn()))


def test_repr_shows_what_is_ours_alone():
    assert repr(nn.PixelShuffle(2, engine="portable")) == "PixelShuffle(upscale_factor=2, engine='portable')"
    layer = nn.MaxUnpool2d(2, dilation=(1, 2), duplicates="sum", check_indices=False)
    shown = "kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 2), duplicates='sum', check_indices=False"
    assert repr(layer) == f"MaxUnpool2d({shown})"
    layer = nn.MaxUnpool1d(2, deterministic=False)
    assert repr(layer) == "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,), deterministic=False)"
    layer = nn.ConvTranspose1d(1, 2, 3, bias=False, precision="tf32")
    assert repr(layer) == "ConvTranspose1d(1, 2, kernel_size=(3,), stride=(1,), bias=False, precision='tf32')"


class Plain(nn.Layer):
    """A user's own."""

    def forward(self, x):
        return upsample.pixel_shuffle(x, 2)


def test_a_layer_of_ones_own():
    x = np.arange(4).reshape(4, 1, 1)
    assert repr(Plain()) == "Plain()"
    np.testing.assert_array_equal(Plain()(x), upsample.pixel_shuffle(x, 2))
    assert upsample.explain(Plain(), x).engine == "portable"


def spatial_of(case):
    """How many spatial axes a layer's input has, and their sizes."""
    if case.name[-2:] in ("1d", "2d", "3d"):
        n = int(case.name[-2])
    else:
        sized = [v for v in (*case.args, *case.kwargs.values()) if isinstance(v, tuple)]
        n = len(sized[0]) if sized else 2
    return {1: (9,), 2: (6, 9), 3: (4, 6, 5)}[n]


@pytest.mark.parametrize("case", [c for c in CASES if not c.name.startswith("MaxUnpool")], ids=repr)
@pytest.mark.parametrize("batched", [True, False])
def test_result_is_torchs(case, batched):
    if not batched and case.name.startswith("Upsampl"):
        pytest.skip("interpolation has no unbatched form")
    torch = pytest.importorskip("torch")
    ours, theirs = case.made(nn), case.made(torch.nn)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = values(2, 4, *spatial_of(case))
    x = x if batched else x[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Note that order of the arguments: ceil_mode")
        expected = theirs(torch.asarray(x))
    results, expected = (r if isinstance(r, tuple) else (r,) for r in (ours(x), expected))
    assert len(results) == len(expected)
    for got, want in zip(results, expected, strict=True):
        want = want.detach().numpy()
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("size", [None, "given", "whole"])
def test_unpooling_is_torchs(n, size):
    torch = pytest.importorskip("torch")
    x = values(2, 3, *((6, 8, 4) if size is None else (7, 9, 5))[:n])
    maxima, indices = getattr(nn, f"MaxPool{n}d")(2, return_indices=True)(x)
    output_size = {None: None, "given": x.shape[2:], "whole": x.shape}[size]
    name = f"MaxUnpool{n}d"
    got = getattr(nn, name)(2)(maxima, indices, output_size)
    want = getattr(torch.nn, name)(2)(torch.asarray(maxima), torch.asarray(indices), output_size)
    assert got.shape == x.shape
    np.testing.assert_array_equal(got, want.numpy())


def test_unpooling_passes_its_own_options_on():
    x, indices = np.asarray([[1.0, 2.0]]), np.asarray([[0, 0]])
    assert nn.MaxUnpool1d(2)(x, indices).tolist() == [[2.0, 0.0, 0.0, 0.0]]
    assert nn.MaxUnpool1d(2, duplicates="sum")(x, indices).tolist() == [[3.0, 0.0, 0.0, 0.0]]
    with pytest.raises(ValueError, match="max_unpool1d"):
        nn.MaxUnpool1d(2, duplicates="error")(x, indices)
    assert nn.MaxUnpool1d(2, dilation=3)(x, indices).shape == (1, 6)
    outside = np.asarray([[0, 99]])
    with pytest.raises(IndexError):
        nn.MaxUnpool1d(2)(x, outside)
    assert nn.MaxUnpool1d(2, check_indices=False)(x, outside).tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert nn.MaxUnpool1d(2, deterministic=False)(x, indices).tolist() == [[2.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
def test_output_size_follows_torchs_rule(n, batched):
    torch = pytest.importorskip("torch")
    arguments = dict(kernel_size=3, stride=(3, 2, 4)[:n], padding=1, output_padding=1, dilation=2)
    ours, theirs = CONV[n](2, 4, **arguments), getattr(torch.nn, f"ConvTranspose{n}d")(2, 4, **arguments)
    ours.load_state_dict(theirs.state_dict())
    x = values(*((2,) if batched else ()), 2, *SPATIAL[n])
    least = [(h - 1) * s - 2 + 4 + 1 for h, s in zip(SPATIAL[n], ours.stride, strict=True)]
    for more in range(-1, max(ours.stride) + 1):
        spatial = tuple(low + more for low in least)
        for size in (spatial, list(spatial), (9,) * (x.ndim - n) + spatial):
            if 0 <= more < min(ours.stride):
                want = theirs(torch.asarray(x), size).detach().numpy()
                assert want.shape[-n:] == spatial
                np.testing.assert_allclose(ours(x, output_size=size), want, rtol=1e-5, atol=1e-5)
            else:
                with pytest.raises(ValueError):
                    theirs(torch.asarray(x), size)
                with pytest.raises(ValueError, match=rf"ConvTranspose{n}d: output_size="):
                    ours(x, size)
    for wrong in ((), (5,) * (n + 3), (5,) * (n + (1 if batched else 2))):
        with pytest.raises(ValueError, match=rf"ConvTranspose{n}d: output_size=.*entries"):
            ours(x, wrong)
    with pytest.raises(TypeError, match=r"output_size=7, but it must be a sequence"):
        ours(x, 7)
    with pytest.raises(TypeError, match="input"):
        ours([1.0], spatial)
    with pytest.raises(ValueError, match="input"):
        ours(values(3), spatial)


@pytest.mark.parametrize(
    ("case", "error", "match"),
    [
        (Case("Upsample"), ValueError, "Upsample: size=None.*neither"),
        (Case("Upsample", 2, 2), ValueError, "Upsample: size=2.*scale_factor is given too"),
        (Case("Upsample", 0), ValueError, "Upsample: size=0"),
        (Case("Upsample", 2.0), TypeError, "Upsample: size=2.0"),
        (
            Case("Upsample", (2, 2), mode="linear"),
            ValueError,
            "Upsample: size=.*2 entries.*sequence of 1 for mode 'linear'",
        ),
        (Case("Upsample", (1, 1, 1, 1)), ValueError, "Upsample: size=.*4 entries"),
        (Case("Upsample", None, (2.0,), "bilinear"), ValueError, "Upsample: scale_factor=.*1 entries"),
        (Case("Upsample", None, 0.0), ValueError, "Upsample: scale_factor=0.0.*positive"),
        (Case("Upsample", None, (1, -1.0)), ValueError, "Upsample: scale_factor.1.=-1.0.*positive"),
        (Case("Upsample", None, float("nan")), ValueError, "Upsample: scale_factor=nan"),
        (Case("Upsample", None, "2"), TypeError, "Upsample: scale_factor='2'"),
        (Case("Upsample", 2, mode="cubic"), ValueError, "Upsample: mode='cubic'"),
        (Case("Upsample", 2, mode=None), TypeError, "Upsample: mode=None"),
        (Case("Upsample", 2, mode="lanczos"), ValueError, "Upsample: mode='lanczos'.*antialias"),
        (Case("Upsample", 2, align_corners=True), ValueError, "Upsample: align_corners=True"),
        (Case("Upsample", 2, mode="linear", align_corners=1), TypeError, "Upsample: align_corners=1"),
        (Case("Upsample", 2, recompute_scale_factor=True), ValueError, "Upsample: recompute_scale_factor=True"),
        (Case("Upsample", None, 2, recompute_scale_factor="no"), TypeError, "Upsample: recompute_scale_factor='no'"),
        (Case("UpsamplingNearest2d"), ValueError, "UpsamplingNearest2d: size=None"),
        (Case("UpsamplingBilinear2d", (1, 2, 3)), ValueError, "UpsamplingBilinear2d: size=.*3 entries"),
        (Case("MaxPool2d", 0), ValueError, "MaxPool2d: kernel_size=0"),
        (Case("MaxPool2d", 2.0), TypeError, "MaxPool2d: kernel_size=2.0"),
        (Case("MaxPool1d", (2, 2)), ValueError, "MaxPool1d: kernel_size=.*2 entries"),
        (Case("MaxPool2d", 2, 0), ValueError, "MaxPool2d: stride=0"),
        (Case("MaxPool3d", 2, 1, -1), ValueError, "MaxPool3d: padding=-1"),
        (Case("MaxPool2d", 2, dilation=0), ValueError, "MaxPool2d: dilation=0"),
        (Case("MaxPool2d", 2, return_indices="yes"), TypeError, "MaxPool2d: return_indices='yes'"),
        (Case("MaxPool2d", 2, ceil_mode=None), TypeError, "MaxPool2d: ceil_mode=None"),
        (Case("AdaptiveMaxPool2d", None), TypeError, "AdaptiveMaxPool2d: output_size=None"),
        (Case("AdaptiveMaxPool2d", (2,)), ValueError, "AdaptiveMaxPool2d: output_size=.*1 entries"),
        (Case("AdaptiveMaxPool1d", -1), ValueError, "AdaptiveMaxPool1d: output_size=-1"),
        (Case("AdaptiveMaxPool3d", (1, -1, 2)), ValueError, "AdaptiveMaxPool3d: output_size.1.=-1"),
        (Case("AdaptiveMaxPool1d", 2, 1), TypeError, "AdaptiveMaxPool1d: return_indices=1"),
        (Case("MaxUnpool2d", (2,)), ValueError, "MaxUnpool2d: kernel_size=.*1 entries"),
        (Case("MaxUnpool1d", 2, 0), ValueError, "MaxUnpool1d: stride=0"),
        (Case("MaxUnpool3d", 2, padding=-1), ValueError, "MaxUnpool3d: padding=-1"),
        (Case("MaxUnpool2d", 2, 2, (0,)), ValueError, "MaxUnpool2d: padding=.*1 entries"),
        (Case("MaxUnpool2d", 2, dilation=0), ValueError, "MaxUnpool2d: dilation=0"),
        (Case("MaxUnpool2d", 2, duplicates="first"), ValueError, "MaxUnpool2d: duplicates='first'"),
        (Case("MaxUnpool2d", 2, duplicates=None), TypeError, "MaxUnpool2d: duplicates=None"),
        (Case("MaxUnpool2d", 2, check_indices=0), TypeError, "MaxUnpool2d: check_indices=0"),
        (Case("MaxUnpool2d", 2, deterministic=1), TypeError, "MaxUnpool2d: deterministic=1"),
        (Case("ConvTranspose2d", 0, 1, 1), ValueError, "ConvTranspose2d: in_channels=0"),
        (Case("ConvTranspose2d", 1, 1.0, 1), TypeError, "ConvTranspose2d: out_channels=1.0"),
        (Case("ConvTranspose2d", 1, 1, 0), ValueError, "ConvTranspose2d: kernel_size=0"),
        (Case("ConvTranspose1d", 1, 1, (1, 1)), ValueError, "ConvTranspose1d: kernel_size=.*2 entries"),
        (Case("ConvTranspose2d", 1, 1, 1, 0), ValueError, "ConvTranspose2d: stride=0"),
        (Case("ConvTranspose2d", 1, 1, 1, 1, "same"), TypeError, "ConvTranspose2d: padding='same'"),
        (Case("ConvTranspose2d", 1, 1, 1, output_padding=-1), ValueError, "ConvTranspose2d: output_padding=-1"),
        (Case("ConvTranspose3d", 1, 1, 1, dilation=0), ValueError, "ConvTranspose3d: dilation=0"),
        (Case("ConvTranspose2d", 2, 2, 1, groups=0), ValueError, "ConvTranspose2d: groups=0"),
        (Case("ConvTranspose2d", 3, 2, 1, groups=2), ValueError, "ConvTranspose2d: in_channels=3.*groups=2"),
        (Case("ConvTranspose2d", 2, 3, 1, groups=2), ValueError, "ConvTranspose2d: out_channels=3.*groups=2"),
        (Case("ConvTranspose2d", 1, 1, 1, bias=1), TypeError, "ConvTranspose2d: bias=1"),
        (
            Case("ConvTranspose2d", 1, 1, 1, padding_mode="reflect"),
            ValueError,
            "ConvTranspose2d: padding_mode='reflect'",
        ),
        (Case("ConvTranspose2d", 1, 1, 1, padding_mode=0), TypeError, "ConvTranspose2d: padding_mode=0"),
        (Case("ConvTranspose2d", 1, 1, 1, dtype="int32"), TypeError, "ConvTranspose2d: dtype"),
        (Case("ConvTranspose2d", 1, 1, 1, dtype="float99"), TypeError, "ConvTranspose2d: dtype='float99'.*numpy"),
        (Case("ConvTranspose2d", 1, 1, 1, dtype=3), TypeError, "ConvTranspose2d: dtype=3"),
        (Case("ConvTranspose2d", 1, 1, 1, device="cuda"), ValueError, "ConvTranspose2d: device='cuda'.*numpy"),
        (Case("ConvTranspose2d", 1, 1, 1, xp="numpy"), TypeError, "ConvTranspose2d: xp=<str>"),
        (Case("ConvTranspose2d", 1, 1, 1, xp=warnings), TypeError, "ConvTranspose2d: xp=<warnings>"),
        (Case("ConvTranspose2d", 1, 1, 1, rng="seed"), TypeError, "ConvTranspose2d: rng='seed'"),
        (Case("ConvTranspose2d", 1, 1, 1, rng=-1), ValueError, "ConvTranspose2d: rng=-1"),
        (Case("PixelShuffle", 0), ValueError, "PixelShuffle: upscale_factor=0"),
        (Case("PixelShuffle", 2.0), TypeError, "PixelShuffle: upscale_factor=2.0"),
        (Case("PixelUnshuffle", -2), ValueError, "PixelUnshuffle: downscale_factor=-2"),
    ],
    ids=repr,
)
def test_constructor_refuses(case, error, match):
    with pytest.raises(error, match=match):
        case.made(nn)


LEAST = {"MaxPool": (2,), "MaxUnpool": (2,), "ConvTranspose": (1, 1, 2), "AdaptiveMaxPool": (2,)}


def least_of(name):
    """A layer's shortest arguments."""
    return LEAST.get(name[:-2], (2,))


@pytest.mark.parametrize("name", LAYERS)
def test_engine_is_checked_and_passed_on(name):
    with pytest.raises(ValueError, match=f"{name}: engine='nonsense'"):
        getattr(nn, name)(*least_of(name), engine="nonsense")
    with pytest.raises(TypeError, match=f"{name}: engine=1"):
        getattr(nn, name)(*least_of(name), engine=1)
    layer = getattr(nn, name)(*least_of(name), engine="portable")
    n = int(name[-2]) if name[-1] == "d" else 2
    channels = 1 if name.startswith("Conv") else 4
    x = values(2, channels, *(4,) * n)
    more = (np.zeros(x.shape, dtype=np.int64),) if name.startswith("MaxUnpool") else ()
    assert upsample.explain(layer, x, *more).engine == "portable"
    layer(x, *more)
    layer.engine = "nonsense"  # reaches the function
    with pytest.raises(ValueError, match="engine='nonsense'"):
        layer(x, *more)


def test_explain_takes_a_layer():
    choice = upsample.explain(nn.ConvTranspose2d(1, 1, 2, engine="portable"), values(1, 2, 2))
    assert (choice.op, choice.engine) == ("conv_transpose2d", "portable")


def test_arguments_may_be_numpy_integers_and_lists():
    layer = nn.MaxPool2d(np.int64(2), [1, np.int32(2)], stride_is := 0)
    assert (layer.kernel_size, layer.stride, layer.padding) == (2, (1, 2), stride_is)
    assert type(layer.kernel_size) is int
    assert layer(values(1, 4, 4)).shape == (1, 3, 2)
    assert nn.MaxPool2d(3, []).stride == 3
    assert nn.Upsample([4, 5]).size == (4, 5)
    assert nn.AdaptiveMaxPool2d([None, 3])(values(1, 4, 4)).shape == (1, 4, 3)


# ---------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_weights_are_drawn_as_torch_draws_them(n, groups):
    layer = CONV[n](32, 64, (3, 2, 2)[:n], groups=groups, rng=3)
    bound = 1 / np.sqrt(64 // groups * np.prod(layer.kernel_size))
    assert layer.weight.shape == (32, 64 // groups, *layer.kernel_size)
    assert layer.bias.shape == (64,)
    for array in layer.weight, layer.bias:
        assert array.dtype == np.float32
        assert 0.85 * bound < np.abs(array).max() <= bound * (1 + 1e-6)
        assert abs(array.mean()) < 0.3 * bound
        assert 0.4 * bound < array.std() < 0.7 * bound  # 1 / sqrt(3) is 0.577
    theirs = pytest.importorskip("torch").nn
    theirs = getattr(theirs, f"ConvTranspose{n}d")(32, 64, layer.kernel_size, groups=groups)
    assert float(theirs.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)


def test_rng_repeats_and_goes_on():
    one, two = nn.ConvTranspose1d(2, 2, 3, rng=5), nn.ConvTranspose1d(2, 2, 3, rng=5)
    np.testing.assert_array_equal(one.weight, two.weight)
    np.testing.assert_array_equal(one.bias, two.bias)
    generator = np.random.default_rng(5)
    three, four = (nn.ConvTranspose1d(2, 2, 3, rng=generator) for _ in range(2))
    np.testing.assert_array_equal(one.weight, three.weight)
    assert not np.array_equal(three.weight, four.weight)
    assert not np.array_equal(nn.ConvTranspose1d(2, 2, 3).weight, nn.ConvTranspose1d(2, 2, 3).weight)


LIBRARIES = {"numpy": "numpy", "strict": "array_api_strict", "torch": "torch", "jax": "jax.numpy", "dask": "dask.array"}


@pytest.fixture(params=[*LIBRARIES, "cupy"])
def library(request):
    """A library's own module and its backend."""
    backend = backends.get(request.param)
    return pytest.importorskip(LIBRARIES.get(request.param, "cupy")), backend


@pytest.mark.parametrize("n", [1, 2, 3])
def test_weights_are_of_any_library(library, n):
    xp, backend = library
    layer, ours = (CONV[n](2, 4, 3, 2, groups=2, rng=1, **more) for more in (dict(xp=xp), {}))
    x = values(2, 2, *SPATIAL[n])
    array = backend.make(x)
    assert type(layer.weight) is type(layer.bias) is type(array)
    np.testing.assert_array_equal(backend.back(layer.weight), ours.weight)
    result = layer(array)
    assert type(result) is type(array)
    np.testing.assert_allclose(backend.back(result), ours(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_dtype_is_of_the_library_or_a_name(library, dtype):
    xp, backend = library
    one = nn.ConvTranspose1d(2, 2, 3, xp=xp, dtype=dtype, rng=0)
    two = nn.ConvTranspose1d(2, 2, 3, xp=xp, dtype=getattr(xp, dtype), rng=0)
    three = nn.ConvTranspose1d(2, 2, 3, xp=xp, dtype=one.weight.dtype, rng=0)
    for layer in one, two, three:
        assert backend.back(layer.weight).dtype == backend.back(layer.bias).dtype == np.dtype(dtype)
        np.testing.assert_array_equal(backend.back(layer.weight), backend.back(one.weight))
    if dtype == "complex64":
        assert np.abs(backend.back(one.weight).imag).min() > 0


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision(name):
    torch = pytest.importorskip("torch")
    layer = nn.ConvTranspose2d(2, 3, 2, xp=torch, dtype=name, rng=0)
    assert layer.weight.dtype == getattr(torch, name)
    assert layer(torch.ones(1, 2, 3, 3, dtype=getattr(torch, name))).dtype == getattr(torch, name)
    pytest.importorskip("ml_dtypes")
    ours = nn.ConvTranspose2d(2, 3, 2, dtype=name, rng=0)
    assert ours.weight.dtype.name == name
    ours.load_state_dict(layer.state_dict())
    assert ours.weight.dtype.name == name
    np.testing.assert_array_equal(ours.weight.astype("float32"), layer.weight.float().numpy())
    layer.load_state_dict({key: -value for key, value in ours.state_dict().items()})
    np.testing.assert_array_equal(ours.weight.astype("float32"), -layer.weight.float().numpy())


def test_dtype_and_device_errors_name_the_library():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"ConvTranspose1d: dtype=.*torch has no such dtype"):
        nn.ConvTranspose1d(1, 1, 1, xp=torch, dtype=np.float32)
    with pytest.raises(ValueError, match="ConvTranspose1d: device='nonsense', but torch refuses it"):
        nn.ConvTranspose1d(1, 1, 1, xp=torch, device="nonsense")
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="dtype='bfloat16', but array_api_strict has no such dtype"):
        nn.ConvTranspose1d(1, 1, 1, xp=strict, dtype="bfloat16")


def test_device_is_the_librarys_and_stays():
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")
    layer = nn.ConvTranspose1d(1, 1, 2, xp=strict, device=device)
    assert layer.weight.device == layer.bias.device == device
    layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": strict.zeros(1)})
    assert layer.weight.device == layer.bias.device == device
    assert layer.weight.dtype == strict.float32
    layer.load_state_dict(layer.state_dict())
    assert layer.weight.device == device
    x = strict.ones((1, 1, 3), dtype=strict.float32, device=device)
    assert layer(x).device == device
    torch = pytest.importorskip("torch")
    assert nn.ConvTranspose1d(1, 1, 2, xp=torch, device="meta").weight.device.type == "meta"


def test_autograd_reaches_the_weights():
    torch = pytest.importorskip("torch")
    layer = nn.ConvTranspose1d(1, 1, 2, stride=2, xp=torch)
    layer.weight.requires_grad_()
    layer(torch.ones(1, 1, 3)).sum().backward()
    assert layer.weight.grad.tolist() == [[[3.0, 3.0]]]
    layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": np.ones(1)})
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf
    assert not layer.bias.requires_grad


# ------------------------------------------------------------------------------------------- state_dict


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith("Conv")])
def test_layers_without_weights_have_no_state(name):
    layer = getattr(nn, name)(*least_of(name))
    assert layer.state_dict() == {}
    assert layer.load_state_dict({}) == ([], [])
    with pytest.raises(ValueError, match=f"{name}.load_state_dict: .*weight is unexpected.*an empty mapping"):
        layer.load_state_dict({"weight": np.ones(1)})


def test_state_goes_from_any_library_to_any_other(library):
    _, backend = library
    weight, bias = values(2, 3, 2, dtype="float64"), values(3, dtype="float64")
    state = {"weight": backend.make(weight), "bias": backend.make(bias)}
    for name in LIBRARIES:
        try:
            other = backends.get(name)
        except pytest.skip.Exception:
            continue
        layer = nn.ConvTranspose1d(2, 3, 2, xp=pytest.importorskip(LIBRARIES[name]))
        kind = type(layer.weight)
        assert layer.load_state_dict(state) == ([], [])
        assert type(layer.weight) is type(layer.bias) is kind
        got = other.back(layer.weight)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, weight.astype("float32"))
        np.testing.assert_array_equal(other.back(layer.bias), bias.astype("float32"))


def test_loaded_arrays_are_copies():
    torch = pytest.importorskip("torch")
    for xp in (np, torch):
        for make in (np.asarray, torch.asarray):
            source = make(values(1, 1, 2))
            layer = nn.ConvTranspose1d(1, 1, 2, xp=xp, bias=False)
            layer.load_state_dict({"weight": source})
            before = float(layer.weight[0, 0, 0])
            source[...] = 77
            assert float(layer.weight[0, 0, 0]) == before


def test_state_may_require_grad_or_be_of_any_layout():
    torch = pytest.importorskip("torch")
    weight = values(2, 3, 2)
    forms = [
        torch.nn.Parameter(torch.asarray(weight)),
        torch.asarray(weight.T.copy()).permute(2, 1, 0),
        *(backends.get(name).make(weight) for name in ("readonly", "strided", "reversed", "fortran", "swapped")),
    ]
    for xp in (np, torch):
        layer = nn.ConvTranspose1d(2, 3, 2, xp=xp, bias=False)
        for form in forms:
            layer.weight = layer.weight * 0
            layer.load_state_dict({"weight": form})
            assert not getattr(layer.weight, "requires_grad", False)
            np.testing.assert_array_equal(np.asarray(layer.weight), weight)
            assert layer.weight.dtype == xp.float32


def test_state_errors_name_everything_and_change_nothing():
    layer = nn.ConvTranspose2d(2, 3, 2, rng=0)
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    for state, error, parts in [
        ({}, ValueError, ["state_dict=<empty>", "weight is missing", "bias is missing"]),
        (
            {"weight": np.ones(3), "scale": 1, "shift": 2},
            ValueError,
            [
                "bias is missing",
                "scale is unexpected",
                "shift is unexpected",
                "weight has shape (3,) and not (2, 3, 2, 2)",
            ],
        ),
        (
            {"weight": np.ones((3, 2, 2, 2)), "bias": np.ones(2)},
            ValueError,
            ["weight has shape", "bias has shape (2,)"],
        ),
        ({"weight": np.ones((2, 3, 2, 2)), "bias": [1, 2, 3]}, TypeError, ["bias=<list>", "it must be an array"]),
        ({"weight": np.ones((2, 3, 2, 2)), "bias": np.ones(3) * 1j}, TypeError, ["bias=<dtype complex128>"]),
        ({"weight": np.ones((2, 3, 2, 2)), "bias": np.asarray(["a"] * 3)}, TypeError, ["bias=<dtype str"]),
        ([("weight", 1)], TypeError, ["state_dict=<list>", "mapping"]),
        (None, TypeError, ["state_dict=<NoneType>"]),
    ]:
        with pytest.raises(error) as caught:
            layer.load_state_dict(state)
        assert str(caught.value).startswith("ConvTranspose2d.load_state_dict: ")
        for part in parts:
            assert part in str(caught.value)
        for name, array in before.items():
            np.testing.assert_array_equal(getattr(layer, name), array)
    with pytest.raises(TypeError, match="strict=1"):
        layer.load_state_dict(before, 1)


def test_state_that_is_not_strict():
    layer = nn.ConvTranspose1d(1, 1, 2, rng=0)
    bias = layer.bias.copy()
    passed_over = layer.load_state_dict({"weight": np.ones((1, 1, 2)), "scale": None}, strict=False)
    assert passed_over.missing_keys == ["bias"]
    assert passed_over.unexpected_keys == ["scale"]
    np.testing.assert_array_equal(layer.weight, np.ones((1, 1, 2)))
    np.testing.assert_array_equal(layer.bias, bias)
    with pytest.raises(ValueError, match="weight has shape"):
        layer.load_state_dict({"weight": np.ones(2)}, strict=False)


def test_no_bias():
    layer = nn.ConvTranspose1d(1, 1, 2, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    with pytest.raises(ValueError, match="bias is unexpected"):
        layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": np.ones(1)})


def test_complex_state():
    layer = nn.ConvTranspose1d(1, 1, 2, bias=False, dtype="complex128")
    layer.load_state_dict({"weight": np.asarray([[[1, 2j]]])})
    assert layer.weight.tolist() == [[[1, 2j]]]
    layer.load_state_dict({"weight": np.asarray([[[1, 2]]])})
    assert layer.weight.tolist() == [[[1, 2]]]


# ----------------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_layers_can_be_copied_and_pickled(name, copied):
    layer = getattr(nn, name)(*least_of(name), engine="portable")
    other = copied(layer)
    assert type(other) is type(layer)
    assert repr(other) == repr(layer)
    assert other.state_dict().keys() == layer.state_dict().keys()
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key], array)


def test_copies_are_apart_and_keep_their_library(library):
    xp, backend = library
    layer = nn.ConvTranspose1d(1, 1, 2, xp=xp)
    for other in copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)):
        assert type(other.weight) is type(layer.weight)
        np.testing.assert_array_equal(backend.back(other.weight), backend.back(layer.weight))
        before = backend.back(layer.weight).copy()
        other.load_state_dict({"weight": np.zeros((1, 1, 2)), "bias": np.zeros(1)})
        np.testing.assert_array_equal(backend.back(layer.weight), before)


def test_layers_work_under_jit():
    jax = pytest.importorskip("jax")
    layer = nn.ConvTranspose2d(2, 3, 2, xp=jax.numpy, rng=0)
    x = jax.numpy.asarray(values(1, 2, 3, 4))
    np.testing.assert_allclose(jax.jit(layer)(x), layer(x), rtol=1e-5, atol=1e-6)


def test_a_layer_must_have_a_forward():
    with pytest.raises(TypeError, match=r"abstract class Layer .*forward"):
        nn.Layer()
