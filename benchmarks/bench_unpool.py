"""`max_unpool2d` of what `max_pool2d` made; a window of 3 by 3 leaves duplicate indices."""

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
@pytest.mark.parametrize("case", cases.of("unpool"), ids=str)
def bench_unpool(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case.small() if quick else case), engine, how, quick)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    x = np.random.default_rng([*case.shape]).random(case.shape, dtype=np.float32)
    values, indices = upsample.max_pool2d(x, **case.options, return_indices=True, engine="portable")
    size = case.shape[2:]
    return Job(
        "unpool",
        upsample.max_unpool2d,
        (values, indices),
        dict(case.options, output_size=size),
        lambda: np.zeros(case.shape, dtype=np.float32),
        _torch(case, values, indices),
        values.nbytes + indices.nbytes + x.nbytes,
    )


def _torch(case: Case, values: np.ndarray, indices: np.ndarray) -> tuple[Rival, ...]:
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        return ()
    given, places, target = torch.from_numpy(values), torch.from_numpy(indices), torch.zeros(case.shape)
    size = list(case.shape[2:])
    into = partial(torch._C._nn.max_unpool2d, given, places, size, out=target)
    fresh = partial(F.max_unpool2d, given, places, **case.options, output_size=size)
    return (Rival("torch", fresh, "exact", lambda result: (result.numpy(),), into),)
