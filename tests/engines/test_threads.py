"""The thread pool: exceptions, interrupts, forks, several callers, the number of threads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import needs_numba
from cases import noise

import upsample
from upsample.engines import threads


def test_every_block_once() -> None:
    for count in (0, 1, 2, 7, 1000):
        done: list[int] = []
        threads.each_block(done.append, count, threads=3)
        assert sorted(done) == list(range(count))


def test_neighbouring_blocks_on_one_thread() -> None:
    """Or two threads would clear the same fresh page."""
    barrier = threading.Barrier(2, timeout=20)
    done: dict[int, list[int]] = {}

    def block(number: int) -> None:
        done.setdefault(threading.get_ident(), []).append(number)
        if number in (0, 50, 39, 89):  # they wait for each other: neither is done early, and takes the other's
            barrier.wait()

    threads.each_block(block, 100, threads=2)
    first, second = sorted(done.values(), key=min)
    assert first[:40] == list(range(40))
    assert second[:40] == list(range(50, 90))


def test_the_number_of_threads() -> None:
    seen = set()
    barrier = threading.Barrier(3, timeout=20)

    def block(_: int) -> None:
        barrier.wait()  # passes only with three threads at work
        seen.add(threading.get_ident())

    with upsample.num_threads(3):
        threads.each_block(block, 3)
    assert len(seen) == 3
    seen.clear()
    with upsample.num_threads(1):
        threads.each_block(lambda _: seen.add(threading.get_ident()), 9)
    assert seen == {threading.get_ident()}


@pytest.mark.parametrize("where", ["caller", "helper", "both"])
def test_an_exception_surfaces(where: str) -> None:
    caller = threading.get_ident()
    barrier = threading.Barrier(2, timeout=20)

    def block(number: int) -> None:
        if number in (0, 50):  # the first of each thread's own
            barrier.wait()
        is_caller = threading.get_ident() == caller
        if where == "both" or is_caller == (where == "caller"):
            raise ArithmeticError("from a block")

    with pytest.raises(ArithmeticError, match="from a block"):
        threads.each_block(block, 100, threads=2)
    done: list[int] = []
    threads.each_block(done.append, 10, threads=2)
    assert len(done) == 10


@pytest.mark.parametrize("inner", [False, True])
def test_a_long_block_looks(inner: bool) -> None:
    """What stops the caller stops a helper in the middle of a block, also after a call within it."""
    caller, barrier = threading.get_ident(), threading.Barrier(2, timeout=20)
    parts: list[int] = []

    def block(_: int) -> None:
        barrier.wait()
        if threading.get_ident() == caller:
            raise ArithmeticError("from the caller")
        if inner:
            threads.each_block(lambda _: None, 5, threads=2)
        for part in range(1000):
            time.sleep(0.02)
            parts.append(part)
            threads.check_cancelled()

    with pytest.raises(ArithmeticError, match="from the caller"):
        threads.each_block(block, 2, threads=2)
    assert len(parts) < 1000
    threads.check_cancelled()  # outside of a call there is nothing to see


def test_a_block_may_call() -> None:
    """Helpers that are all at work are not waited for, or this would never end."""
    done: list[int] = []
    threads.each_block(lambda _: threads.each_block(done.append, 5, threads=3), 6, threads=3)
    assert len(done) == 30


def test_a_short_call_does_not_wait_for_a_long_one() -> None:
    begun, over = threading.Event(), threading.Event()

    def long(_: int) -> None:
        begun.set()
        over.wait(20)

    other = threading.Thread(target=threads.each_block, args=(long, 2), kwargs={"threads": 2})
    other.start()
    begun.wait(20)
    done: list[int] = []
    threads.each_block(done.append, 4, threads=2)
    assert sorted(done) == [0, 1, 2, 3]
    assert not over.is_set()
    over.set()
    other.join()


def test_eight_callers() -> None:
    needs_numba()
    x, weight = noise(4, 16, 96, 96), noise(16, 8, 4, 4, seed=1)

    def work(_: int) -> tuple[bytes, ...]:
        values, indices = upsample.max_pool2d_with_indices(x, 3, 2, 1, engine="cpu")
        back = upsample.max_unpool2d(values, indices, 3, 2, 1, output_size=(96, 96), engine="cpu")
        spread = upsample.conv_transpose2d(x, weight, stride=2, padding=1, engine="cpu")
        alone = upsample.conv_transpose2d(x, weight[:, :1], stride=2, groups=16, engine="cpu")
        return tuple(a.tobytes() for a in (values, indices, back, spread, alone))

    wanted = work(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(got == wanted for got in pool.map(work, range(24)))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="no fork without exec on Windows and macOS")
def test_after_a_fork() -> None:
    """A child has none of its parent's threads, and makes its own."""
    needs_numba()
    code = """
import os, sys
os.environ["UPSAMPLE_NUM_THREADS"] = "2"
import numpy as np, upsample
x = np.random.default_rng(0).standard_normal((8, 16, 128, 128)).astype(np.float32)
def work():
    values, indices = upsample.max_pool2d_with_indices(x, 2, engine="cpu")
    return values.tobytes() + upsample.max_unpool2d(values, indices, 2, engine="cpu").tobytes()
wanted = work()
child = os.fork()
if child == 0:
    os._exit(0 if work() == wanted else 3)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) or (0 if work() == wanted else 4))
"""
    got = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=120, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that sends a signal")
@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_stops_a_long_call(count: int) -> None:
    """Ctrl-C while blocks of 5 ms are made: the call ends within 0.2 s, no thread works on, and later calls work."""
    done: list[int] = []

    def block(number: int) -> None:
        time.sleep(0.005)
        done.append(number)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
    try:
        begin = time.perf_counter()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            threads.each_block(block, 4000, threads=count)
        assert time.perf_counter() - begin < 0.1 + 0.2 + 0.5  # half a second for a machine that is busy
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler)
    made = len(done)
    time.sleep(0.03)
    assert len(done) == made
    threads.each_block(done.append, 3, threads=count)
    assert len(done) == made + 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer that sends a signal")
def test_an_interrupt_while_waiting_for_a_helper() -> None:
    caller, stopped = threading.get_ident(), threading.Event()
    barrier = threading.Barrier(2, timeout=20)

    def block(_: int) -> None:
        barrier.wait()
        if threading.get_ident() != caller:
            time.sleep(0.3)
            stopped.set()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            threads.each_block(block, 2, threads=2)
        assert stopped.is_set()  # the helper was not left at work on the caller's arrays
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler)


def _ones(*shape: int) -> np.ndarray:
    return np.broadcast_to(np.ones((), dtype=np.float32), shape)


@pytest.mark.parametrize(
    ("call", "work"),
    [
        (lambda: upsample.max_pool2d_with_indices(_ones(64, 64, 128, 128), 65, 1, 32, engine="cpu"), 2**26 * 130),
        (lambda: upsample.max_pool2d(_ones(1, 1, 2560, 2048), (1280, 1024), 1, engine="cpu"), 2**25 * 1280),
        (lambda: upsample.max_pool2d(_ones(1, 1, 12000, 12000), 2, engine="cpu"), 12000**2),
        (lambda: upsample.max_pool1d(_ones(1, 1, 2**26), 3, 1, 1, engine="cpu"), 2**26 * 3),
        (lambda: upsample.adaptive_max_pool2d(_ones(1, 1, 16, 16), 9000, engine="cpu"), 9000**2 * 4),
        (lambda: upsample.conv_transpose1d(_ones(1, 256, 8192), _ones(256, 2, 8192), engine="cpu"), 2**35),
        (
            lambda: upsample.conv_transpose2d(_ones(1, 1024, 64, 64), _ones(1024, 512, 9, 9), stride=2, engine="cpu"),
            2**31 * 81,
        ),
        (lambda: upsample.chainer.unpooling_2d(_ones(16, 32, 256, 256), 9, 2, engine="cpu"), 2**25 * 81),
    ],
)
def test_blocks_of_a_real_call_are_small(
    call: Callable[[], object], work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python does not handle Ctrl-C within a block: comparisons, products and positions are counted, not timed."""
    needs_numba()
    blocks: list[int] = []
    monkeypatch.setattr(threads, "each_block", lambda _, count, *__: blocks.append(count))
    call()
    assert work / max(blocks, default=1) <= 1 << 29


def test_machine_code_is_old_where_any_file_of_the_engine_is_newer(tmp_path: Path) -> None:
    """A kernel has what it calls in its machine code; Numba alone would look at the kernel's own file only."""
    needs_numba()
    package = Path(upsample.__file__).parent
    copied = shutil.copytree(package, tmp_path / "upsample", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import numpy as np, upsample\n"
        "x = np.zeros((1, 1, 4, 64), np.float32)\n"
        "upsample.interpolate(x, scale_factor=2)\n"
        "from upsample.engines.cpu.resize import nearest as module\n"
        "found = [getattr(value, 'stats', None) for value in vars(module).values()]\n"
        "print(upsample.__file__, sum(len(stats.cache_hits) for stats in found if stats))\n"
    )

    def hits() -> int:
        environment = {**os.environ, "UPSAMPLE_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        where, count = ran.stdout.split()
        assert where.startswith(str(tmp_path)), ran.stderr
        return int(count)

    assert hits() == 0
    assert hits() > 0
    other = copied / "engines" / "cpu" / "unpool" / "scatter.py"
    other.write_text(other.read_text() + "\n")
    assert hits() == 0


def test_a_finished_call_keeps_no_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that is busy elsewhere finds it in the queue much later."""
    pool = threads._Pool()
    monkeypatch.setattr(pool, "grow", lambda size: None)
    monkeypatch.setattr(threads, "_pool", pool)
    array = np.ones(8)
    alive = weakref.ref(array)

    def block(number: int, array: Any = array) -> None:
        array[number] = 0

    threads.each_block(block, 8, 2)
    del block, array
    assert alive() is None
    assert pool.calls.qsize() == 1
