"""Every op on 1×3×8×8, where the checks of the arguments are most of the work."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from benchmarks import bench_conv_transpose, bench_pool, bench_resize, bench_unpool, cases, pairs
from benchmarks.cases import Case
from benchmarks.pairs import Job

JOBS = {
    "resize": bench_resize.job,
    "pool": bench_pool.job,
    "unpool": bench_unpool.job,
    "conv_transpose": bench_conv_transpose.job,
}


@pytest.mark.parametrize(("engine", "how"), pairs.PAIRS)
@pytest.mark.parametrize("case", cases.TINY_CASES, ids=str)
def bench_tiny(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case), engine, how, quick)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    return JOBS[case.op](case)
