"""Pages of results that are gone hold new ones: no two arrays share any, and nothing of what was in them shows."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
import upsample.functional as F
from upsample.engines import result_pool
from upsample.engines.dispatch import ENGINES

pytestmark = pytest.mark.skipif(result_pool.capacity() == 0, reason="this system knows no MADV_FREE")

SHAPE = (3, result_pool.MIN_BYTES // 4)
"""Of float32, 96 MiB: two of them may be kept."""


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> list[mmap.mmap]:
    kept: list[mmap.mmap] = []
    monkeypatch.setattr(result_pool, "_kept", kept)
    return kept


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_a_new_array_lies_where_one_lay_that_is_gone() -> None:
    first = result_pool.empty(SHAPE, np.float32)
    assert not result_pool.is_recycled(first)
    assert first.shape == SHAPE
    assert first.dtype == np.float32
    assert first.flags.carray
    assert first.flags.writeable
    place = address(first)
    del first
    again = result_pool.empty(SHAPE[::-1], "<i4")
    assert address(again) == place
    assert result_pool.is_recycled(again)
    other = result_pool.empty(SHAPE, np.float32)
    assert not result_pool.is_recycled(other)
    assert not np.may_share_memory(again, other)


def test_a_result_is_one_and_its_views_hold_it() -> None:
    x = noise(1, 8, 1024, 1024)
    result = F.interpolate(x, scale_factor=2)
    view = result[0, 3, ::2, 5:].T
    expected, place = view.copy(), address(result)
    del result
    other = F.interpolate(-x, scale_factor=2)
    assert address(other) != place
    np.testing.assert_array_equal(view, expected)
    del view
    assert address(F.interpolate(x, scale_factor=2)) == place


def test_what_is_small_is_left_to_numpy() -> None:
    assert result_pool.empty((result_pool.MIN_BYTES - 1,), np.uint8).flags.owndata
    assert not result_pool.empty((result_pool.MIN_BYTES,), np.uint8).flags.owndata
    assert result_pool.empty((0, 1 << 40), np.uint8).size == 0


@pytest.mark.parametrize("told", ["0", "95"])
def test_what_may_not_be_kept_is_left_to_numpy(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_KEEP_MIB", told)
    assert result_pool.empty(SHAPE, np.float32).flags.owndata


@pytest.mark.parametrize("told", ["", "all", "-3"])
@pytest.mark.filterwarnings("ignore:UPSAMPLE_KEEP_MIB=")
def test_256_mib_are_kept_at_most(told: str, monkeypatch: pytest.MonkeyPatch, nothing_kept: list[mmap.mmap]) -> None:
    monkeypatch.setenv("UPSAMPLE_KEEP_MIB", told)
    made = [result_pool.empty((SHAPE[0], SHAPE[1] + more), np.float32) for more in (0, 1 << 18, 1 << 20)]
    del made[0], made[0], made[0]
    assert [len(one) >> 20 for one in nothing_kept] == [100, 108], "the oldest went"


def test_tracemalloc_sees_every_byte() -> None:
    tracemalloc.start()
    try:
        result = result_pool.empty(SHAPE, np.float32)
        assert result.flags.owndata
        assert tracemalloc.get_traced_memory()[0] >= result.nbytes
    finally:
        tracemalloc.stop()


def test_a_system_without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> mmap.mmap:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", none)
    assert result_pool.empty(SHAPE, np.float32).flags.owndata, "NumPy asks, and raises if it must"


def test_a_kernel_that_does_not_know_what_to_do_with_them(
    monkeypatch: pytest.MonkeyPatch, nothing_kept: list[mmap.mmap]
) -> None:
    monkeypatch.setattr(mmap, "MADV_FREE", 9999)
    result = result_pool.empty(SHAPE, np.float32)
    result[-1, -1] = 3
    del result
    assert not nothing_kept


def test_threads_never_get_the_same_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_pool, "MIN_BYTES", 1)
    wrong: list[int] = []

    def work(number: int) -> None:
        rng, held = np.random.default_rng(number), []
        for turn in range(300):
            mark = number * 1000 + turn
            array = result_pool.empty((int(rng.integers(1, 4)) << 19,), np.int32)
            array[::4096] = mark
            held.append((mark, array))
            while len(held) > 3 or (held and rng.random() < 0.4):
                mark, array = held.pop(int(rng.integers(len(held))))
                if (array[::4096] != mark).any():
                    wrong.append(mark)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert sum(map(len, result_pool._kept)) <= result_pool.capacity()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_has_pages_of_its_own() -> None:
    code = """
import os, sys
import numpy as np
from upsample.engines import result_pool
mine = result_pool.empty((1 << 23,), np.float32)
mine[:] = 1
del mine
child = os.fork()
there = result_pool.empty((1 << 23,), np.float32)
there[:] = 2 if child else 3
if not child:
    os._exit(int((there != 3).any()))
assert os.waitpid(child, 0)[1] == 0
assert result_pool.is_recycled(there) and (there == 2).all()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), "at exit, where an array still lives, nothing is said"


def _calls(engine: str) -> list[Callable[[], Any]]:
    """Every op that makes an array of its own, forward and backward."""
    x, weight = noise(2, 4, 9, 10), noise(4, 3, 3, 3)
    values, where = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    loose = np.random.default_rng(0).integers(0, 90, where.shape)
    modes = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
    return [
        *(lambda mode=mode: F.interpolate(x, (17, 23), mode=mode, engine=engine) for mode in modes),
        lambda: F.interpolate(x.astype(np.float16), scale_factor=2, mode="bicubic", engine=engine),
        lambda: F.interpolate((99 * x).astype(np.uint8), (4, 5), mode="bilinear", antialias=True, engine=engine),
        lambda: F.max_pool2d(x, 3, 2, 1, return_indices=True, engine=engine),
        lambda: F.max_unpool2d(values, where, 3, 2, 1, output_size=(9, 10), engine=engine),
        lambda: F.max_unpool2d(values, loose, 3, 2, 1, output_size=(9, 10), engine=engine),
        lambda: F.conv_transpose2d(x, weight, stride=3, output_padding=2, engine=engine),
        lambda: F.conv_transpose2d(x, weight, stride=2, padding=1, dilation=2, engine=engine),
        lambda: upsample.vjp(F.interpolate, x, scale_factor=2, mode="bicubic", engine=engine)[1](noise(2, 4, 18, 20)),
        lambda: upsample.vjp(F.max_pool2d, x, 3, 2, 1, engine=engine)[1](noise(2, 4, 5, 5)),
        lambda: upsample.vjp(F.max_unpool2d, values, where, 3, 2, 1, output_size=(9, 10), engine=engine)[1](x),
        lambda: upsample.vjp(F.conv_transpose2d, x, weight, stride=2, engine=engine)[1](noise(2, 3, 19, 21)),
    ]


@pytest.mark.parametrize("engine", ["cpu", "portable"])
def test_nothing_shows_of_what_was_in_them(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (why := next(e for e in ENGINES if e.name == engine).unusable()) is not None:
        pytest.skip(why)
    keep, found = result_pool._keep, []

    def soiled(kept: mmap.mmap) -> None:
        kept[:] = b"\xff" * len(kept)  # as floats they are NaN
        found.append(len(kept))
        keep(kept)

    for call in _calls(engine):
        plain = call()
        with monkeypatch.context() as patch:
            patch.setattr(result_pool, "MIN_BYTES", 1)
            patch.setattr(result_pool, "_keep", soiled)
            call()
            made = call()
        for a, b in zip(*(one if isinstance(one, tuple) else (one,) for one in (plain, made)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(found) >= len(_calls(engine)), "they were not used"
