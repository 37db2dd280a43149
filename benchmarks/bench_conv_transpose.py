"""`conv_transpose2d` and `conv_transpose3d`.

torch has no ``out=`` here that saves a copy: its fresh result is compared with ours with out=, too.
"""

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
@pytest.mark.parametrize("case", cases.of("conv_transpose"), ids=str)
def bench_conv_transpose(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case.small() if quick else case), engine, how, quick)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    rng = np.random.default_rng([*case.shape])
    spatial = len(case.shape) - 2
    x = rng.standard_normal(case.shape, dtype=np.float32)
    if case.channels_last:  # the shape stays N, C, H, W; the memory is N, H, W, C
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    weight = rng.standard_normal(case.weight, dtype=np.float32)
    bias = rng.standard_normal(case.weight[1] * case.options.get("groups", 1), dtype=np.float32)
    stride, padding, extra = (case.options.get(key, 0) for key in ("stride", "padding", "output_padding"))
    sizes = ((n - 1) * stride - 2 * padding + k + extra for n, k in zip(case.shape[2:], case.weight[2:], strict=True))
    shape = (case.shape[0], bias.size, *sizes)
    return Job(
        "conv_transpose",
        {2: upsample.conv_transpose2d, 3: upsample.conv_transpose3d}[spatial],
        (x, weight, bias),
        dict(case.options),
        lambda: np.zeros(shape, dtype=np.float32),
        _torch(case, x, weight, bias),
        x.nbytes + weight.nbytes + bias.nbytes + int(np.prod(shape)) * 4,
    )


def _torch(case: Case, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[Rival, ...]:
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        return ()
    given = [torch.from_numpy(a) for a in (x, weight, bias)]
    function = F.conv_transpose2d if x.ndim == 4 else F.conv_transpose3d
    fresh = partial(function, *given, **case.options)
    return (Rival("torch", fresh, "close", lambda result: (result.numpy(),)),)
