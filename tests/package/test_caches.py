"""One bound in bytes over all caches."""

from __future__ import annotations

import pickle
import sys
import threading
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from upsample import caches
from upsample.caches import Cache, cached

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_store", caches._Store())
    monkeypatch.setenv("UPSAMPLE_CACHE_MIB", "4")
    table.cache_clear()


def array(mib: float) -> np.ndarray:
    return np.zeros(int(mib * MIB), np.uint8)


@cached
def table(number: int, mib: float = 1.0) -> np.ndarray:
    CALLED.append(number)
    return array(mib)


CALLED: list[int] = []


def called(*numbers: int) -> list[int]:
    CALLED.clear()
    for number in numbers:
        table(number)
    return list(CALLED)


def test_the_least_recently_used_is_dropped_first() -> None:
    assert called(1, 2, 3, 1) == [1, 2, 3]
    assert called(4) == [4]  # 2 is dropped
    assert called(1, 3, 4) == []
    assert called(2) == [2]
    assert called(3, 4) == []
    assert called(1) == [1]


def test_all_caches_share_the_bound() -> None:
    one, other = Cache[np.ndarray](), Cache[np.ndarray]()
    for number in range(3):
        one.put(number, array(1))
    other.put(0, array(2))
    assert one.get(0) is None
    assert one.get(1) is None
    assert one.get(2) is not None
    assert other.get(0) is not None
    assert caches.held().entries == 2
    assert 3 * MIB < caches.held().bytes < 3.01 * MIB
    one.clear()
    other.clear()
    assert caches.held() == (0, 0)


def test_a_value_larger_than_the_bound_is_not_kept() -> None:
    cache = Cache[np.ndarray]()
    cache.put(0, array(1))
    cache.put(1, array(5))
    assert cache.get(1) is None
    assert cache.get(0) is not None


def test_a_call_finds_what_the_bound_has_no_room_for() -> None:
    cache = Cache[np.ndarray]()
    with caches.during_call(apart=False):
        cache.put(1, array(5))
        assert cache.get(1) is not None
        with caches.during_call(apart=False):
            assert cache.get(1) is not None
    assert cache.get(1) is None


def test_a_key_is_replaced() -> None:
    cache = Cache[np.ndarray]()
    for _ in range(100):
        cache.put(0, array(1))
    assert len(cache) == caches.held().entries == 1
    assert caches.held().bytes < 1.01 * MIB


def test_a_value_that_became_too_large_is_dropped() -> None:
    cache = Cache[np.ndarray]()
    cache.put(0, array(1))
    cache.put(0, array(5))
    assert cache.get(0) is None
    assert caches.held() == (0, 0)


class ForeignArray:
    """An array as other libraries have them: without a hash, with a size in bytes."""

    __hash__ = None  # type: ignore[assignment]
    nbytes = 3 * MIB


def test_memory_of_other_libraries_counts() -> None:
    cache = Cache[object]()
    shared = ForeignArray()
    for number in range(4):
        cache.put(number, (shared, number))
    assert 3 * MIB < caches.held().bytes < 3.01 * MIB
    cache.put(4, ForeignArray())
    assert list(cache.entries) == [4]


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    whole: np.ndarray
    parts: tuple[np.ndarray, ...]


Tables.__module__ = "upsample.tests"


def test_memory_that_is_shared_counts_once() -> None:
    cache = Cache[object]()
    whole = array(1)
    for number in range(8):
        cache.put(number, Tables(whole, (whole[: MIB // 2], whole[MIB // 2 :])))
        cache.put(-number - 1, partial(np.sum, whole))
    assert len(cache) == 16
    assert caches.held().bytes < 1.1 * MIB
    del whole
    cache.put("other", array(3.5))
    assert list(cache.entries) == ["other"]
    assert not caches._store.users.keys() - {id(cache.values()[0])}


def test_nothing_is_kept_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_CACHE_MIB", "0")
    assert called(1, 1) == [1, 1]
    assert caches.held() == (0, 0)


def test_a_cached_function_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(table)) is table


def test_threads_share_the_bound() -> None:
    wrong = []

    def work() -> None:
        for turn in range(300):
            if table(turn * 7 % 11, 1.0).nbytes != MIB or caches.held().bytes > 5 * MIB:
                wrong.append(turn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert caches.held().bytes <= 4 * MIB
    table.cache_clear()
    assert caches.held() == (0, 0)


def test_a_look_up_reorders_while_another_thread_drops() -> None:
    """Look-ups take no lock: dropping must not iterate over the queue."""
    kept, done, wrong = Cache[int](), threading.Event(), []
    keys = range(3_000)  # some 600 bytes each, so 4 MiB has room for all, and not for those that are added
    for key in keys:
        kept.put(key, key)

    def look_up() -> None:
        try:
            while not done.is_set():
                for key in keys:
                    kept.get(key)
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=look_up) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for number in range(20_000):
            Cache[int]().put(number, number)
    finally:
        done.set()
        sys.setswitchinterval(interval)
        for thread in threads:
            thread.join()
    assert not wrong
