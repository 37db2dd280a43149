"""A call that was made before skips the checks of its arguments, and must not be told from one that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import upsample
from upsample import caches
from upsample.ops import call_cache

X = np.arange(48, dtype=np.float32).reshape(1, 3, 4, 4)
MAXIMA, INDICES = upsample.max_pool2d_with_indices(X, 2)
WEIGHT = np.ones((3, 2, 2, 2), dtype=np.float32)
BIAS = np.ones(2, dtype=np.float32)

CALLS: dict[str, Callable[..., Any]] = {
    "interpolate": lambda **o: upsample.interpolate(X, scale_factor=2, mode="bilinear", **o),
    "resize": lambda **o: upsample.resize(X, 7, axes=-1, mode="cubic", **o),
    "max_pool2d": lambda **o: upsample.max_pool2d(X, 2, **o),
    "max_pool2d_with_indices": lambda **o: upsample.max_pool2d_with_indices(X, 2, **o),
    "max_unpool2d": lambda **o: upsample.max_unpool2d(MAXIMA, INDICES, 2, **o),
    "conv_transpose2d": lambda **o: upsample.conv_transpose2d(X, WEIGHT, BIAS, 2, **o),
    "conv_transpose2d of one image": lambda **o: upsample.conv_transpose2d(X[0], WEIGHT, stride=2, **o),
}
every_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(call_cache, "_CALLS_BEFORE", 0)
    call_cache._known.clear()
    yield
    call_cache._known.clear()


def parts(result: Any) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


@every_call
@pytest.mark.parametrize("engine", [None, "portable"])
def test_the_second_call_is_known_and_gives_the_same(name: str, engine: str | None) -> None:
    first = CALLS[name](engine=engine)
    assert len(call_cache._known) == 1
    second = CALLS[name](engine=engine)
    assert len(call_cache._known) == 1
    for a, b in zip(parts(first), parts(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.may_share_memory(a, b)


@every_call
def test_a_known_call_fills_and_checks_out(name: str) -> None:
    wanted = parts(CALLS[name]())
    blank = tuple(np.full_like(w, 7) for w in wanted)
    out = blank if len(blank) > 1 else blank[0]
    got = parts(CALLS[name](out=out))
    assert all(g is b for g, b in zip(got, blank, strict=True))
    for a, b in zip(wanted, blank, strict=True):
        np.testing.assert_array_equal(a, b)
    still = np.broadcast_to(X[0, 0, 0, 0], blank[0].shape)
    for bad in (np.zeros(3, dtype=np.float32), blank[0].astype(np.float64), still):
        with pytest.raises((TypeError, ValueError), match="out"):
            CALLS[name](out=(bad, *blank[1:]) if len(blank) > 1 else bad)


@every_call
def test_a_known_call_is_explained(name: str) -> None:
    CALLS[name]()
    assert upsample.explain(CALLS[name], engine="portable").engine == "portable"
    CALLS[name](engine="portable")
    assert "cpu" in upsample.explain(CALLS[name], engine="portable").reasons


def test_equal_arguments_of_other_types_are_other_calls() -> None:
    upsample.interpolate(X, size=1, mode="nearest")
    upsample.interpolate(X, size=(2, 1), mode="nearest")
    for bad in (True, 1.0, np.float32(1), (2, True), (2.0, 1), (2, 1.0), [2, 1.0]):
        with pytest.raises(TypeError, match="interpolate: size"):
            upsample.interpolate(X, size=bad, mode="nearest")
    upsample.resize(X, (2, 1), axes=(2, 3))
    for bad in (dict(shape=(2, True)), dict(axes=(2, 3.0)), dict(antialias=0), dict(cubic_coeff=False)):
        with pytest.raises(TypeError, match=f"resize: {next(iter(bad))}"):
            upsample.resize(X, **{"shape": (2, 1), "axes": (2, 3)} | bad)  # type: ignore[arg-type]
    upsample.max_pool2d(X, 2, ceil_mode=True)
    with pytest.raises(TypeError, match="max_pool2d: ceil_mode"):
        upsample.max_pool2d(X, 2, ceil_mode=1)
    upsample.conv_transpose2d(X, WEIGHT)
    with pytest.raises(TypeError, match="conv_transpose2d: groups"):
        upsample.conv_transpose2d(X, WEIGHT, groups=True)


def test_what_has_another_meaning_is_not_known() -> None:
    upsample.interpolate(X, size=8)
    for other in (X[0, 0].view(np.matrix), np.ma.masked_array(X)):
        with pytest.raises(TypeError, match="would be lost"):
            upsample.interpolate(other, size=8)
    with pytest.raises(ValueError, match="interpolate: input"):
        upsample.interpolate(X[0, 0], size=8)
    np.testing.assert_array_equal(upsample.interpolate(X.astype(">f4"), size=8), upsample.interpolate(X, size=8))
    np.testing.assert_array_equal(
        upsample.interpolate(X[..., ::-1], size=8), upsample.interpolate(X, size=8)[..., ::-1]
    )


def _numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = np.random.default_rng([*shape]).standard_normal(shape) * 50
    return (values > 0 if dtype == "bool" else abs(values)).astype(dtype)


RESIZED: tuple[tuple[tuple[int, ...], str, dict[str, Any]], ...] = (
    *(
        ((1, 3, 8, 8), dtype, dict(scale_factor=2))
        for dtype in ("float16", "float64", "complex64", "complex128", "bool")
    ),
    *(((1, 3, 8, 8), "float32", dict(scale_factor=2.0, mode=m)) for m in ("nearest", "bilinear", "bicubic", "area")),
    *(((1, 2, 7, 5), dtype, dict(size=(4, 9), mode="bilinear")) for dtype in ("uint8", "float16", "complex64")),
    ((2, 1, 9, 7), "float32", dict(size=(4, 3), mode="bicubic", antialias=True)),
    ((1, 2, 3, 4, 5), "float64", dict(size=(5, 4, 3), mode="trilinear")),
    ((1, 2, 6), "int16", dict(size=9, mode="nearest-exact")),
    ((1, 2, 6), "float32", dict(size=6, mode="linear")),
    ((0, 2, 6), "float32", dict(size=9, mode="linear")),
)


@pytest.mark.parametrize(("shape", "dtype", "options"), RESIZED)
def test_a_known_resize_gives_the_same_bits(shape: tuple[int, ...], dtype: str, options: dict[str, Any]) -> None:
    x = _numbers(shape, dtype)
    first = upsample.interpolate(x, **options)
    again, other = upsample.interpolate(x, **options), upsample.interpolate(x.T.copy().T, **options)
    out = np.ones_like(first)
    assert upsample.interpolate(x, **options, out=out) is out
    for got in (again, other, out):
        assert got.dtype == first.dtype
        assert got.shape == first.shape
        assert got.tobytes() == first.tobytes()


SPREAD: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 3, 8, 8), (3, 3, 2, 2), dict(stride=2)),
    ((2, 4, 5, 6), (4, 3, 3, 2), dict(stride=(2, 3), padding=1, groups=2)),
    ((2, 2, 3, 4), (2, 1, 1, 2), dict(stride=(4, 5))),
    ((1, 2, 4, 5), (2, 2, 3, 3), dict(dilation=2, padding=2, output_padding=1)),
    ((2, 3, 7), (3, 2, 4), dict(stride=3, padding=2)),
    ((1, 2, 2), (2, 2, 1), dict(stride=6)),
    ((1, 2, 30, 1), (2, 1, 1, 2), dict(stride=(1, 5000))),
    ((1, 2, 2, 3, 4), (2, 2, 2, 3, 2), dict(stride=(1, 2, 3), padding=(0, 1, 0))),
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "kernel", "options"), SPREAD)
def test_a_known_conv_transpose_gives_the_same_bits(
    shape: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, Any], dtype: str
) -> None:
    x, weight = _numbers(shape, dtype), _numbers(kernel, dtype)
    x.flat[0], x.flat[-1] = np.nan, np.inf
    function = getattr(upsample, f"conv_transpose{x.ndim - 2}d")
    for bias in (None, _numbers((kernel[1] * options.get("groups", 1),), dtype)):
        for some in (x, x[0]):
            first, again = (function(some, weight, bias, **options) for _ in range(2))
            out = np.ones_like(first)
            assert function(some, weight, bias, **options, out=out) is out
            assert first.tobytes() == again.tobytes() == out.tobytes()


@every_call
def test_a_known_call_takes_arrays_that_lie_oddly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays in odd places, and out= with gaps or in the middle of another, give what the first call gave."""
    wanted = parts(CALLS[name]())
    for array in ("X", "MAXIMA", "INDICES", "WEIGHT"):
        given = globals()[array]
        odd = np.empty(given.nbytes + 1, dtype=np.uint8)[1:].view(given.dtype).reshape(given.shape)
        odd[...] = given
        assert not odd.flags.aligned
        monkeypatch.setitem(globals(), array, odd)
    for gap in (1, 2):
        outs = tuple(np.full((3, *w.shape[:-1], gap * w.shape[-1]), 7, w.dtype)[1, ..., ::gap] for w in wanted)
        for got in (CALLS[name](), CALLS[name](out=outs if len(outs) > 1 else outs[0]), outs):
            for g, w in zip(parts(got), wanted, strict=True):
                np.testing.assert_array_equal(g, w)


class Changeable:
    """An integer that says something else each time."""

    def __init__(self) -> None:
        self.value = 4

    def __index__(self) -> int:
        self.value += 1
        return self.value


def test_arguments_that_may_change_are_asked_again() -> None:
    size = Changeable()
    assert upsample.interpolate(X, size=size).shape[2:] == (5, 5)
    assert upsample.interpolate(X, size=size).shape[2:] == (6, 6)
    assert upsample.interpolate(X, size=(size, 3)).shape[2:] == (7, 3)
    assert not call_cache._known


def test_only_a_call_that_is_repeated_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_cache, "_CALLS_BEFORE", 1)
    call_cache._seen.clear()
    for known in (0, 1, 1):
        upsample.interpolate(X, scale_factor=2)
        assert len(call_cache._known) == known


def test_a_call_that_fails_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(IndexError, match="indices"):
            upsample.max_unpool2d(MAXIMA, INDICES + 99, 2)
    upsample.max_unpool2d(MAXIMA, INDICES, 2)
    with pytest.raises(IndexError, match="indices"):
        upsample.max_unpool2d(MAXIMA, INDICES + 99, 2)


def test_no_more_are_kept_than_room_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_ENTRY_BYTES", 1 << 24)
    for size in range(1, 30):
        upsample.interpolate(X, size=size)
        assert len(call_cache._known) <= 4


def test_several_threads_make_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_ENTRY_BYTES", 1 << 23)
    wrong = []

    def work() -> None:
        for turn in range(200):
            size = 1 + turn % 9
            if upsample.interpolate(X, size=size).shape != (1, 3, size, size):
                wrong.append(size)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
