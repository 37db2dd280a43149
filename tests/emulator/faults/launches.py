"""Launches the faulty kernels: ``python -m emulator.faults.launches FIXED ORDER ENTRY...``.

It prints for each whether the numbers are right; a fault that is found ends the process before that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from emulator import build
from emulator.device import Library
from emulator.preloaded import SANITIZER
from upsample.engines.cuda.runtime.launch import Kernel, Launch, kernel

THREADS = 64
SOURCE = Path(__file__).with_name("faults.cu")


def _same(x: np.ndarray) -> np.ndarray:
    return x[:THREADS]


def _neighbours(x: np.ndarray) -> np.ndarray:
    return x[:THREADS].reshape(-1, 2)[:, ::-1].reshape(-1)


@dataclass(frozen=True)
class Trial:
    """What a kernel is given, and what it makes without its fault: THREADS numbers of `rows` times as many."""

    expected: Callable[[np.ndarray], np.ndarray] = _same
    rows: int = 1
    blocks: int = 1
    shared: int = 0


_SHARED = 4 * THREADS

TRIALS = MappingProxyType(
    {
        "reads_past_the_end": Trial(),
        "writes_before_the_start": Trial(),
        "needs_more_shared_memory": Trial(shared=_SHARED),
        "loads_a_misaligned_pack": Trial(lambda x: np.tile(x[:4], THREADS // 4)),
        "overflows": Trial(),
        "converts_what_is_too_large": Trial(),
        "not_all_reach_the_barrier": Trial(),
        "waits_at_two_barriers": Trial(),
        "reads_before_it_is_written": Trial(lambda x: x[::-1], shared=_SHARED),
        "overwrites_what_is_still_read": Trial(
            lambda x: np.roll(x.reshape(3, THREADS), -1, axis=1).sum(0), rows=3, shared=_SHARED
        ),
        "blocks_write_one_place": Trial(blocks=3),
        "trusts_the_warp_to_run_in_step": Trial(_neighbours, shared=_SHARED),
        "reads_what_nobody_wrote": Trial(shared=_SHARED),
        "is_not_in_its_own_mask": Trial(_neighbours),
        "shuffles_from_outside_the_mask": Trial(_neighbours),
        "waits_for_a_lane_that_has_left": Trial(_neighbours),
    }
)


def trial(entry: str, fixed: int) -> Kernel:
    return kernel("faults", entry, FIXED=fixed)


def warp_functions(width: int) -> Kernel:
    return kernel("faults", "warp_functions", FIXED=1, WIDTH=width)


PLAIN = Launch(trial("reads_past_the_end", 1), (1, 1, 1), (THREADS, 1, 1), 0, (np.int32(THREADS),))
"""A launch without a fault, on two arrays of THREADS floats."""


@cache
def library() -> Library:
    """All of the kernels, under the sanitizer that this process was started with."""
    kernels = [trial(entry, fixed) for entry in TRIALS for fixed in (0, 1)]
    kernels += [warp_functions(width) for width in (8, 32)]
    return Library(build.library(SOURCE, kernels, SANITIZER))


def is_right(entry: str, *, fixed: int, order: int) -> bool:
    """Launch, and say whether the numbers are right; small integers, so that sums are exact."""
    given = TRIALS[entry]
    x = np.random.default_rng(0).permutation(given.rows * THREADS).astype(np.float32)
    y = np.full(THREADS, np.nan, dtype=np.float32)
    launch = Launch(trial(entry, fixed), (given.blocks, 1, 1), (THREADS, 1, 1), given.shared, (np.int32(THREADS),))
    library().launch(launch, (x, y), order)
    return np.array_equal(y, given.expected(x))


def main() -> None:
    fixed, order, *entries = sys.argv[1:]
    for entry in entries:
        print(entry, "right" if is_right(entry, fixed=int(fixed), order=int(order)) else "wrong", flush=True)


if __name__ == "__main__":
    main()
