"""A call that was made before skips the checks of its arguments, and must not be told from one that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import upsample
from upsample.ops import repeats

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
def _nothing_is_known() -> Iterator[None]:
    repeats._repeat.cache_clear()
    yield
    repeats._repeat.cache_clear()


def parts(result: Any) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


@every_call
@pytest.mark.parametrize("engine", [None, "portable"])
def test_the_second_call_is_known_and_gives_the_same(name: str, engine: str | None) -> None:
    first = CALLS[name](engine=engine)
    assert repeats._repeat.cache_info().currsize == 1
    second = CALLS[name](engine=engine)
    assert repeats._repeat.cache_info().currsize == 1
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
    assert not repeats._repeat.cache_info().currsize


def test_a_call_that_fails_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(IndexError, match="indices"):
            upsample.max_unpool2d(MAXIMA, INDICES + 99, 2)
    upsample.max_unpool2d(MAXIMA, INDICES, 2)
    with pytest.raises(IndexError, match="indices"):
        upsample.max_unpool2d(MAXIMA, INDICES + 99, 2)


def test_no_more_are_kept_than_room_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_repeat", lru_cache(8, typed=True)(repeats._repeat.__wrapped__))
    for size in range(1, 30):
        upsample.interpolate(X, size=size)
        assert repeats._repeat.cache_info().currsize <= 8


def test_several_threads_make_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_repeat", lru_cache(4, typed=True)(repeats._repeat.__wrapped__))
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
