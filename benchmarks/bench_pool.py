"""`max_pool2d` with indices."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

import upsample
from benchmarks import cases, pairs
from benchmarks.cases import Case
from benchmarks.pairs import Job
from upsample.command_line.bench.rivals import Rival


@pytest.mark.parametrize(("engine", "how"), pairs.PAIRS)
@pytest.mark.parametrize("case", cases.of("pool"), ids=str)
def bench_pool(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case.small() if quick else case), engine, how, quick)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    x = np.random.default_rng([*case.shape]).random(case.shape, dtype=np.float32)
    kernel, stride, padding = (case.options[key] for key in ("kernel_size", "stride", "padding"))
    shape = (*case.shape[:2], *((n + 2 * padding - kernel) // stride + 1 for n in case.shape[2:]))
    count = int(np.prod(shape))
    return Job(
        "pool",
        upsample.max_pool2d,
        (x,),
        dict(case.options, return_indices=True),
        lambda: (np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.int64)),
        _torch(case, x, shape),
        x.nbytes + count * (4 + 8),
    )


def _torch(case: Case, x: np.ndarray, shape: tuple[int, ...]) -> tuple[Rival, ...]:
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        return ()
    given = torch.from_numpy(x)
    kernel, stride, padding = ([case.options[key]] * 2 for key in ("kernel_size", "stride", "padding"))
    maxima, indices = torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
    operator = torch.ops.aten.max_pool2d_with_indices.out
    into = partial(operator, given, kernel, stride, padding, [1, 1], False, out=maxima, indices=indices)
    fresh = partial(F.max_pool2d, given, kernel[0], stride[0], padding[0], return_indices=True)
    return (Rival("torch", fresh, "exact", lambda result: tuple(part.numpy() for part in result), into),)
