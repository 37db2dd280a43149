"""The emulator finds what it should: a kernel with one fault for each, and the same kernel without it passes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from emulator import build, preloaded
from emulator.device import EmulatedDevice
from emulator.faults import launches
from emulator.faults.launches import PLAIN, THREADS, TRIALS, is_right, library

from upsample.engines.cuda.runtime.launch import Launch, kernel, struct

ORDERS = (0, 1, 7)

FOUND = [
    # entry, sanitizer, what the process says before it is ended
    (
        "reads_past_the_end",
        "address",
        r"heap-buffer-overflow.*READ of size 4.*#0 \S+ in reads_past_the_end \S+faults\.cu:\d+",
    ),
    (
        "writes_before_the_start",
        "address",
        r"heap-buffer-overflow.*WRITE of size 4.*#0 \S+ in writes_before_the_start \S+faults\.cu:\d+",
    ),
    (
        "needs_more_shared_memory",
        "address",
        r"heap-buffer-overflow.*WRITE of size 4.*#0 \S+ in needs_more_shared_memory \S+faults\.cu:\d+",
    ),
    ("loads_a_misaligned_pack", "address", r"faults\.cu:\d+.*misaligned address"),
    ("overflows", "address", r"faults\.cu:\d+.*signed integer overflow"),
    (
        "converts_what_is_too_large",
        "address",
        r"faults\.cu:\d+.*outside the range of representable values of type 'int'",
    ),
    (
        "not_all_reach_the_barrier",
        "plain",
        r"threads do not all reach the same barrier: t0=__syncthreads@51 .*t5=exited",
    ),
    ("waits_at_two_barriers", "plain", r"threads wait at different __syncthreads"),
    ("is_not_in_its_own_mask", "plain", r"line \d+: lane not in its own mask"),
    ("shuffles_from_outside_the_mask", "plain", r"shuffle reads a lane outside its mask"),
    ("waits_for_a_lane_that_has_left", "plain", r"warp operation names a lane that has exited.*t3=exited"),
    ("reads_before_it_is_written", "thread", r"data race.*faults\.cu"),
    ("overwrites_what_is_still_read", "thread", r"data race.*faults\.cu"),
    ("blocks_write_one_place", "thread", r"data race.*faults\.cu"),
    ("trusts_the_warp_to_run_in_step", "thread", r"data race.*faults\.cu"),
]

WRONG = [
    "reads_before_it_is_written",
    "overwrites_what_is_still_read",
    "trusts_the_warp_to_run_in_step",
    "reads_what_nobody_wrote",
]
"""What the numbers show, in one order of the threads or another."""


@pytest.fixture(autouse=True)
def _emulator() -> None:
    why = build.missing()
    if why is not None:
        pytest.skip(why)


def launched(sanitizer: str, *, fixed: int, order: int, entries: list[str]) -> tuple[int, str]:
    """Launch in a process of its own; its status and what it said."""
    arguments = ["-m", "emulator.faults.launches", str(fixed), str(order), *entries]
    done = preloaded.run(sanitizer, arguments, seconds=300)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("entry", "sanitizer", "words"), FOUND, ids=[f"{e}-{s}" for e, s, _ in FOUND])
def test_a_fault_ends_the_process(entry: str, sanitizer: str, words: str) -> None:
    status, said = launched(sanitizer, fixed=0, order=0, entries=[entry])
    assert status != 0
    assert re.search(words, said, re.DOTALL), said[-3000:]
    assert not re.search(f"^{entry} (right|wrong)$", said, re.MULTILINE), "it was found only after the launch"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_without_the_fault_nothing_is_found(sanitizer: str, order: int) -> None:
    status, said = launched(sanitizer, fixed=1, order=order, entries=list(TRIALS))
    assert (status, said.splitlines()) == (0, [f"{entry} right" for entry in TRIALS])


@pytest.mark.parametrize("entry", TRIALS)
def test_without_the_fault_the_numbers_are_right(entry: str) -> None:
    assert all(is_right(entry, fixed=1, order=order) for order in ORDERS)


@pytest.mark.parametrize("entry", WRONG)
def test_some_order_of_the_threads_shows_a_race(entry: str) -> None:
    assert not all(is_right(entry, fixed=0, order=order) for order in ORDERS)


def test_only_the_thread_sanitizer_sees_blocks_that_write_one_place() -> None:
    assert all(is_right("blocks_write_one_place", fixed=0, order=order) for order in ORDERS)


def test_every_fault_is_looked_for() -> None:
    assert {entry for entry, _, _ in FOUND} | set(WRONG) == set(TRIALS)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("width", [8, 32])
def test_warp_functions(width: int, order: int) -> None:
    x = np.random.default_rng(0).integers(0, 100, 64).astype(np.int32)
    up, down, across, start = np.zeros((4, 64), dtype=np.int32)
    votes = np.zeros(64, dtype=np.uint32)
    library().launch(
        Launch(launches.warp_functions(width), (1, 1, 1), (4, 4, 4), 0, ()), (x, up, down, across, start, votes), order
    )
    lane = np.arange(64)
    first = lane // width * width

    def read(source: np.ndarray) -> np.ndarray:
        return x[np.where((source >= first) & (source < first + width), source, lane)]

    for got, source in ((up, lane - 3), (down, lane + 3), (across, lane ^ 5), (start, first + 2)):
        np.testing.assert_array_equal(got, read(source))
    for warp in (slice(0, 32), slice(32, 64)):
        bits = sum(1 << i for i, value in enumerate(x[warp]) if value > 50)
        np.testing.assert_array_equal(votes[warp][1::2], bits & 0xAAAAAAAA)
        np.testing.assert_array_equal(votes[warp][::2], bits & 0x55555555)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(block=(1025, 1, 1)), "invalid block size 1025"),
        (dict(grid=(1, 65536, 1)), "invalid grid size"),
        (dict(shared=(227 << 10) + 1), "shared memory over the limit: 232449"),
    ],
    ids=repr,
)
def test_launches_that_no_gpu_takes(change: dict[str, Any], words: str) -> None:
    code = f"""
from dataclasses import replace
from emulator.faults.launches import PLAIN, THREADS, library, np
library().launch(replace(PLAIN, **{change!r}), tuple(np.zeros((2, THREADS), np.float32)), 0)
"""
    done = preloaded.run("plain", ["-c", code], seconds=100)
    assert done.returncode != 0
    assert words in done.stdout


READ_ONLY = np.zeros(THREADS, dtype=np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("given", "scalars", "words"),
    [
        ((READ_ONLY,), PLAIN.scalars, "2 arguments for 3 parameters"),
        ((READ_ONLY, READ_ONLY), PLAIN.scalars, "argument 1: a read-only array for a pointer that is not const"),
        ((READ_ONLY[::2], READ_ONLY.copy()), PLAIN.scalars, "argument 0: an array without gaps is wanted"),
        ((READ_ONLY.astype("S3"), READ_ONLY.copy()), PLAIN.scalars, "argument 0: items of 3 bytes for a pointer to 4"),
        ((READ_ONLY, READ_ONLY.copy()), (np.int64(5),), "argument 2: .* for a 4-byte 'i'"),
        ((READ_ONLY, READ_ONLY.copy()), (np.float32(5),), "argument 2: .* for a 4-byte 'i'"),
        ((READ_ONLY, READ_ONLY.copy()), (5,), "argument 2: 5 for a 4-byte 'i'"),
        (
            (READ_ONLY, READ_ONLY.copy()),
            (struct({"n": np.int32(5)}),),
            r"argument 2: array\(\(5,\)(.|\n)* for a 4-byte 'i'",
        ),
    ],
)
def test_arguments_that_a_gpu_would_misread(given: tuple[Any, ...], scalars: tuple[Any, ...], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        library().launch(replace(PLAIN, scalars=scalars), given, 0)


def test_memory_is_nan_before_it_is_written() -> None:
    made = EmulatedDevice().empty((3, 5), np.float32)
    assert np.isnan(made).all()


def test_a_fault_needs_one_place() -> None:
    with pytest.raises(ValueError, match=r"pool\.cu has 0 times 'no such text'"):
        build.planted("pool", ("no such text", ""))


def test_a_macro_that_the_file_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"has no macros \{'FIXT'\}"):
        build.library(launches.SOURCE, [kernel("faults", "overflows", FIXT=1)], "plain")


def test_a_warning_of_the_compiler_is_an_error(tmp_path: Any) -> None:
    source = tmp_path / "warned.cu"
    source.write_text("KERNEL(32) warned(float* y) { if (y = nullptr) return; }\n")
    with pytest.raises(RuntimeError, match="-Wparentheses"):
        build.library(source, [kernel("warned", "warned")], "plain")
