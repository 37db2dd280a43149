"""Bad input never crashes or returns: the message names operation, argument, value received, rule and remedy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import upsample
from upsample.engines import index_checks

X3 = np.zeros((1, 2, 5), dtype=np.float32)
X4 = np.zeros((1, 2, 4, 5), dtype=np.float32)
X5 = np.zeros((1, 2, 3, 4, 5), dtype=np.float32)
W4 = np.zeros((2, 3, 3, 3), dtype=np.float32)
I4 = np.zeros((1, 2, 4, 5), dtype=np.int64)
U = upsample
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # NumPy discourages it, users have it all the same
    MATRIX = np.matrix([[1]])

MESSAGE = re.compile(
    r"^(?P<op>[a-z0-9_]+): (?P<argument>[^=]+)=(?P<value>.+?), but (?P<rule>.+); (?P<remedy>.+)$", re.S
)

ROWS: list[tuple[str, type[Exception], str, str, Callable[[], Any]]] = [
    # what is wrong, error, operation, argument, call
    ("rank too low", ValueError, "interpolate", "input", lambda: U.interpolate(np.zeros((4, 5)), size=3)),
    ("rank too high", ValueError, "interpolate", "input", lambda: U.interpolate(X5[None], size=3)),
    ("mode of another rank", ValueError, "interpolate", "input", lambda: U.interpolate(X3, size=3, mode="bicubic")),
    ("unknown mode", ValueError, "interpolate", "mode", lambda: U.interpolate(X4, size=3, mode="cubic")),
    ("mode no text", TypeError, "interpolate", "mode", lambda: U.interpolate(X4, size=3, mode=3)),
    ("dtype", TypeError, "interpolate", "input", lambda: U.interpolate(X4.astype(int), size=3, mode="bilinear")),
    ("longdouble", TypeError, "interpolate", "input", lambda: U.interpolate(X4.astype(np.longdouble), size=3)),
    ("object dtype", TypeError, "interpolate", "input", lambda: U.interpolate(X4.astype(object), size=3)),
    ("a list", TypeError, "interpolate", "input", lambda: U.interpolate([[[1.0]]], size=3)),
    ("a matrix", TypeError, "pixel_shuffle", "input", lambda: U.pixel_shuffle(MATRIX, 1)),
    ("a masked array", TypeError, "interpolate", "input", lambda: U.interpolate(np.ma.masked_array(X4), size=3)),
    ("both sizes", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=3, scale_factor=2)),
    ("no size", ValueError, "interpolate", "size", lambda: U.interpolate(X4)),
    ("size 0", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=0)),
    ("size -1", ValueError, "interpolate", "size[1]", lambda: U.interpolate(X4, size=(3, -1))),
    ("size 0 with area", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=0, mode="area")),
    ("size a float", TypeError, "interpolate", "size", lambda: U.interpolate(X4, size=4.0)),
    ("size a bool", TypeError, "interpolate", "size", lambda: U.interpolate(X4, size=True)),
    ("size of three", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=(3, 3, 3))),
    ("scale NaN", ValueError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor=float("nan"))),
    ("scale inf", ValueError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor=float("inf"))),
    ("scale -1", ValueError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor=-1.0)),
    ("scale to nothing", ValueError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor=0.1)),
    ("scale huge", ValueError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor=1e300)),
    ("scale text", TypeError, "interpolate", "scale_factor", lambda: U.interpolate(X4, scale_factor="2")),
    ("past memory", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=2**40)),
    ("past 64 bits", ValueError, "interpolate", "size", lambda: U.interpolate(X4, size=2**80)),
    ("corners: nearest", ValueError, "interpolate", "align_corners", lambda: U.interpolate(X4, 3, align_corners=False)),
    ("corners: text", TypeError, "interpolate", "align_corners", lambda: U.interpolate(X4, 3, None, "bicubic", "no")),
    (
        "antialias: area",
        ValueError,
        "interpolate",
        "antialias",
        lambda: U.interpolate(X4, 3, mode="area", antialias=True),
    ),
    ("lanczos without", ValueError, "interpolate", "antialias", lambda: U.interpolate(X4, 3, mode="lanczos")),
    (
        "recompute without scale",
        ValueError,
        "interpolate",
        "recompute_scale_factor",
        lambda: U.interpolate(X4, 3, recompute_scale_factor=True),
    ),
    ("no channels", ValueError, "interpolate", "input", lambda: U.interpolate(X4[:, :0], size=3)),
    ("engine unknown", ValueError, "interpolate", "engine", lambda: U.interpolate(X4, 3, engine="gpu")),
    ("engine not there", ValueError, "interpolate", "engine", lambda: U.interpolate(X4, 3, engine="cuda")),
    ("engine no text", TypeError, "interpolate", "engine", lambda: U.interpolate(X4, 3, engine=1)),
    ("pool rank", ValueError, "max_pool2d", "input", lambda: U.max_pool2d(np.zeros((4, 5)), 2)),
    ("pool dtype", TypeError, "max_pool2d", "input", lambda: U.max_pool2d(X4.astype(complex), 2)),
    ("kernel 0", ValueError, "max_pool2d", "kernel_size", lambda: U.max_pool2d(X4, 0)),
    ("kernel too large", ValueError, "max_pool2d", "kernel_size", lambda: U.max_pool2d(X4, 6)),
    ("stride 0", ValueError, "max_pool2d", "stride", lambda: U.max_pool2d(X4, 2, 0)),
    ("padding over half", ValueError, "max_pool2d", "padding", lambda: U.max_pool2d(X4, 2, padding=2)),
    ("padding negative", ValueError, "max_pool2d", "padding", lambda: U.max_pool2d(X4, 2, padding=-1)),
    ("dilation 0", ValueError, "max_pool2d", "dilation", lambda: U.max_pool2d(X4, 2, dilation=0)),
    ("empty window", ValueError, "max_pool1d", "dilation", lambda: U.max_pool1d(X3[..., :1], 2, 1, 1, 2)),
    ("adaptive -1", ValueError, "adaptive_max_pool2d", "output_size", lambda: U.adaptive_max_pool2d(X4, -1)),
    ("adaptive None", TypeError, "adaptive_max_pool2d", "output_size", lambda: U.adaptive_max_pool2d(X4, None)),
    ("index shape", ValueError, "max_unpool2d", "indices", lambda: U.max_unpool2d(X4, I4[..., :4], 2)),
    ("index dtype", TypeError, "max_unpool2d", "indices", lambda: U.max_unpool2d(X4, I4.astype(float), 2)),
    ("index bool", TypeError, "max_unpool2d", "indices", lambda: U.max_unpool2d(X4, I4.astype(bool), 2)),
    ("index -1", IndexError, "max_unpool2d", "indices[0, 0, 0, 0]", lambda: U.max_unpool2d(X4, I4 - 1, 2)),
    ("index past", IndexError, "max_unpool2d", "indices[0, 0, 0, 0]", lambda: U.max_unpool2d(X4, I4 + 80, 2)),
    (
        "output_size out",
        ValueError,
        "max_unpool2d",
        "output_size",
        lambda: U.max_unpool2d(X4, I4, 2, output_size=(6, 10)),
    ),
    ("output_size int", TypeError, "max_unpool2d", "output_size", lambda: U.max_unpool2d(X4, I4, 2, output_size=8)),
    (
        "output_size of 3",
        ValueError,
        "max_unpool2d",
        "output_size",
        lambda: U.max_unpool2d(X4, I4, 2, output_size=(1, 8, 10)),
    ),
    ("nothing left", ValueError, "max_unpool2d", "padding", lambda: U.max_unpool2d(X4, I4, 2, padding=5)),
    (
        "duplicates",
        ValueError,
        "max_unpool2d",
        "indices[0, 0, 0, 1]",
        lambda: U.max_unpool2d(X4, I4, 2, duplicates="error"),
    ),
    ("is unknown", ValueError, "max_unpool2d", "duplicates", lambda: U.max_unpool2d(X4, I4, 2, duplicates="first")),
    ("weight channels", ValueError, "conv_transpose2d", "weight", lambda: U.conv_transpose2d(X4, W4[:1])),
    ("weight rank", ValueError, "conv_transpose2d", "weight", lambda: U.conv_transpose2d(X4, W4[0])),
    ("weight dtype", TypeError, "conv_transpose2d", "weight", lambda: U.conv_transpose2d(X4, W4.astype(float))),
    ("int32", TypeError, "conv_transpose2d", "input", lambda: U.conv_transpose2d(X4.astype("i4"), W4.astype("i4"))),
    ("bias length", ValueError, "conv_transpose2d", "bias", lambda: U.conv_transpose2d(X4, W4, W4[0, :2, 0, 0])),
    ("groups", ValueError, "conv_transpose2d", "groups", lambda: U.conv_transpose2d(X4, W4, groups=3)),
    ("groups 0", ValueError, "conv_transpose2d", "groups", lambda: U.conv_transpose2d(X4, W4, groups=0)),
    (
        "output_padding",
        ValueError,
        "conv_transpose2d",
        "output_padding",
        lambda: U.conv_transpose2d(X4, W4, output_padding=1),
    ),
    ("padding", ValueError, "conv_transpose2d", "padding", lambda: U.conv_transpose2d(X4, W4, padding=3)),
    ("shuffle rank", ValueError, "pixel_shuffle", "input", lambda: U.pixel_shuffle(np.zeros((4, 4)), 2)),
    ("shuffle factor", ValueError, "pixel_shuffle", "upscale_factor", lambda: U.pixel_shuffle(X4, 2)),
    ("shuffle 0", ValueError, "pixel_shuffle", "upscale_factor", lambda: U.pixel_shuffle(X4, 0)),
    ("shuffle float", TypeError, "pixel_shuffle", "upscale_factor", lambda: U.pixel_shuffle(X4, 2.0)),
    ("unshuffle", ValueError, "pixel_unshuffle", "downscale_factor", lambda: U.pixel_unshuffle(X4, 3)),
    ("resize: both", ValueError, "resize", "shape", lambda: U.resize(X3, 3, scale=2)),
    ("resize: none", ValueError, "resize", "shape", lambda: U.resize(X3)),
    ("resize: axis", ValueError, "resize", "axes", lambda: U.resize(X3, 3, axes=3)),
    ("resize: axis twice", ValueError, "resize", "axes", lambda: U.resize(X3, 3, axes=(2, -1))),
    ("resize: lengths", ValueError, "resize", "shape", lambda: U.resize(X3, (3, 3), axes=2)),
    ("resize: modes", ValueError, "resize", "mode", lambda: U.resize(X3, 3, axes=2, mode=("linear", "cubic"))),
    ("resize: mode", ValueError, "resize", "mode", lambda: U.resize(X3, 3, mode="bilinear")),
    ("resize: empty axis", ValueError, "resize", "x", lambda: U.resize(X3[..., :0], 3)),
    ("resize: antialias", ValueError, "resize", "antialias", lambda: U.resize(X3, 3, mode="nearest", antialias=True)),
    (
        "resize: corners",
        ValueError,
        "resize",
        "align_corners",
        lambda: U.resize(X3, 3, mode="lanczos", align_corners=True),
    ),
    ("resize: coefficient", ValueError, "resize", "cubic_coeff", lambda: U.resize(X3, 3, cubic_coeff=float("nan"))),
    ("resize: past memory", ValueError, "resize", "shape", lambda: U.resize(X3, 2**62)),
]


@pytest.mark.parametrize(("error", "op", "argument", "call"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_message(error: type[Exception], op: str, argument: str, call: Callable[[], Any]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    parts = MESSAGE.match(str(caught.value))
    assert parts is not None, f"not in the form of the others: {caught.value}"
    assert parts["op"] == op
    assert parts["argument"] == argument


def test_the_first_bad_index_is_named() -> None:
    indices = np.zeros((2, 1, 2, 2), dtype=np.int64)
    indices[1, 0, 0, 1] = 99
    indices[1, 0, 1, 1] = -5
    with pytest.raises(
        IndexError, match=r"indices\[1, 0, 0, 1\]=99, but the output plane \(4, 4\) has indices 0 to 15"
    ):
        upsample.max_unpool2d(np.zeros((2, 1, 2, 2)), indices, 2)


def test_the_first_duplicate_is_named() -> None:
    indices = np.arange(8).reshape(2, 1, 2, 2)
    indices[1, 0] = [[5, 3], [3, 5]]
    with pytest.raises(ValueError, match=r"indices\[1, 0, 1, 0\]=3"):
        upsample.max_unpool2d(np.zeros((2, 1, 2, 2)), indices, 2, duplicates="error")


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint32", "uint64"])
def test_indices_of_any_integer_dtype(dtype: str) -> None:
    indices = np.asarray([[[0, 3], [8, 15]]]).astype(dtype)
    got = upsample.max_unpool2d(np.asarray([[[1.0, 2.0], [3.0, 4.0]]]), indices, 2)
    assert got.reshape(-1)[[0, 3, 8, 15]].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.count_nonzero(got) == 4


def test_without_the_check_a_stray_index_is_dropped() -> None:
    indices = np.asarray([[[0, -7], [999, 15]]])
    got = upsample.max_unpool2d(np.ones((1, 2, 2)), indices, 2, check_indices=False)
    assert np.flatnonzero(got).tolist() == [0, 15]


def test_whether_results_are_deterministic_is_a_bool() -> None:
    with pytest.raises(TypeError, match="max_unpool1d: deterministic='no', but it must be a bool; pass True or False"):
        upsample.max_unpool1d(np.ones((1, 2)), np.asarray([[0, 3]]), 2, deterministic="no")
    with pytest.raises(TypeError, match="unexpected keyword argument 'deterministic'"):
        upsample.chainer.upsampling_2d(np.ones((1, 1, 2, 2)), np.zeros((1, 1, 2, 2), int), 2, deterministic=True)


class TestOut:
    """What `out=` refuses."""

    x = np.zeros((1, 2, 4, 4), dtype=np.float32)

    def call(self, out: Any) -> Any:
        return upsample.interpolate(self.x, size=4, out=out)

    @pytest.mark.parametrize(
        ("error", "out"),
        [
            (ValueError, np.zeros((1, 2, 4, 5), dtype=np.float32)),
            (TypeError, np.zeros((1, 2, 4, 4))),
            (TypeError, [0.0]),
            (TypeError, (np.zeros((1, 2, 4, 4), dtype=np.float32),)),
            (
                ValueError,
                np.lib.stride_tricks.as_strided(np.zeros((1, 2, 4, 4), dtype=np.float32), strides=(0, 0, 4, 4)),
            ),
        ],
    )
    def test_refused(self, error: type[Exception], out: Any) -> None:
        with pytest.raises(error, match="interpolate: out="):
            self.call(out)

    def test_read_only(self) -> None:
        out = np.zeros((1, 2, 4, 4), dtype=np.float32)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="writeable"):
            self.call(out)

    def test_another_byte_order(self) -> None:
        """The error does not say that float32 is not float32."""
        swapped = np.dtype(np.float32).newbyteorder()
        with pytest.raises(TypeError, match=f"out=<dtype {re.escape(str(swapped))}>, but the result is float32"):
            self.call(np.zeros((1, 2, 4, 4), dtype=swapped))

    def test_overlap(self) -> None:
        with pytest.raises(ValueError, match="shares memory with input"):
            self.call(self.x)
        large = np.zeros((1, 2, 4, 8), dtype=np.float32)
        with pytest.raises(ValueError, match="shares memory with input"):
            upsample.interpolate(large[..., :4], size=4, out=large[..., 2:6])

    def test_pool_wants_a_pair(self) -> None:
        with pytest.raises(TypeError, match="a tuple"):
            upsample.max_pool2d(self.x, 2, return_indices=True, out=np.zeros((1, 2, 2, 2), dtype=np.float32))

    def test_pool_pair_apart(self) -> None:
        x = np.zeros((1, 2, 4, 4), dtype=np.int64)
        out = np.zeros((1, 2, 2, 2), dtype=np.int64)
        with pytest.raises(ValueError, match=r"shares memory with out\[0\]"):
            upsample.max_pool2d(x, 2, return_indices=True, out=(out, out))

    def test_nothing_is_written_when_the_call_fails(self) -> None:
        """Except for max_unpool's IndexError, which is raised during the computation: as documented, and as in
        torch."""
        out = np.full((1, 2, 8, 8), 7.0, dtype=np.float32)
        for index in (64, 0):
            with pytest.raises((IndexError, ValueError)):
                upsample.max_unpool2d(self.x, np.full((1, 2, 4, 4), index), 2, duplicates="error", out=out)
        with pytest.raises(ValueError, match="output_size"):
            upsample.max_unpool2d(self.x, np.zeros((1, 2, 4, 4), dtype=int), 2, output_size=(20, 20), out=out)
        with pytest.raises(IndexError):
            upsample.chainer.upsampling_2d(self.x, np.full((1, 2, 4, 4), 4), 2, outsize=(8, 8), out=out)
        assert (out == 7.0).all()


def test_explain_runs_nothing() -> None:
    choice = upsample.explain(upsample.interpolate, np.zeros((1, 1, 2, 2), dtype=np.uint8), size=2**19)
    assert {choice.engine, *choice.reasons} == {"cuda", "cpu", "dask", "jax", "portable"}
    assert f"interpolate runs on the {choice.engine} engine" in str(choice)


def test_explain_wants_an_op() -> None:
    with pytest.raises(TypeError, match="explain: function='len'"):
        upsample.explain(len, [])
    with pytest.raises(ValueError, match="interpolate"):
        upsample.explain(upsample.interpolate, np.zeros((1, 1, 2, 2)))


class Variable:
    """As Chainer's: it holds an array."""

    array = X4


Variable.__module__ = "chainer.variable"


@pytest.mark.parametrize(
    ("remedy", "call"),
    [
        ("name the axes that are meant, such as axes=(0, 1)", lambda: U.resize(X3, (8, 8))),
        ("name the axes that are meant, such as axes=(0, 1)", lambda: U.resize(X3, scale=(2, 2.5))),
        ("name the axes that are meant, such as axes=(1, 2)", lambda: U.resize(X4, (8, 8))),
        ("pass ints, or a factor as scale=", lambda: U.resize(X3, 0.5)),
        ("pass ints, or a factor as scale_factor=", lambda: U.interpolate(X4, (2.0, 4))),
        ("pass an int or a tuple of 2", lambda: U.interpolate(X4, np.asarray([[8, 8]]))),
        ("pass one for all, or 1; upsample.resize takes other layouts", lambda: U.interpolate(X3, (8, 8))),
        (
            "pass 4: [N, C, *spatial], or mode='linear'; upsample.resize takes other layouts",
            lambda: U.interpolate(X3, 8, mode="bilinear"),
        ),
        ("convert it, or use mode='nearest'", lambda: U.resize(X3.astype(bool), 8)),
        ("convert it", lambda: U.resize(X3.astype(object), 8, mode="nearest")),
        ("convert it", lambda: U.resize(X3.astype(object), 8)),
        ("pass one of last, sum, error", lambda: U.max_unpool2d(X4, X4.astype(int), 2, duplicates="first")),
        ("pass one of bilinear, nearest", lambda: U.chainer.resize_images(X4, (8, 8), mode="bicubic")),
        ("pass one of these, or None", lambda: U.chainer.deconvolution_2d(X4, X4[0, :, None], outsize=(99, 9))),
        ("pass the integers that max_pool has returned with return_indices=True", lambda: U.max_unpool2d(X4, X4, 2)),
        ("pass a function or a layer of upsample", lambda: U.explain("interpolate", X4)),  # type: ignore[arg-type]
        ("pass a function or a layer of upsample", lambda: U.explain(U.interpolate(X4, 8))),  # type: ignore[arg-type]
        ("pass one for all, or 1", lambda: U.resize(X3, (8, 8), axes=2)),
        ("pass one for all, or 3", lambda: U.resize(X3, (8, 8, 8, 8))),
        ("pass 'linear'", lambda: U.resize(X3, 3, mode="bilinear")),
        ("pass 'cubic'", lambda: U.resize(X3, 3, mode="bicubic")),
        ("pass the array that it holds, or numpy.asarray(...) of it", lambda: U.chainer.unpooling_2d(Variable(), 2)),
    ],
)
def test_the_remedy_is_of_use_to_whom_it_happens(remedy: str, call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    assert str(raised.value).endswith(f"; {remedy}")


@pytest.mark.parametrize("cells", [1, 4, 5, 23])
@pytest.mark.parametrize("top", [9, 30, 300])
def test_the_first_duplicate_of_a_long_plane(cells: int, top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked for a piece at a time, it is the one that a sort of the whole plane finds."""
    draw = np.random.default_rng(cells + top)
    for _ in range(50):
        flat = draw.integers(-3, top, (1, cells))
        wanted = index_checks._first_twice(np, flat)
        with monkeypatch.context() as patch:
            patch.setattr(index_checks, "_SORTED", 4)
            assert index_checks._first_of_many(flat) == wanted
