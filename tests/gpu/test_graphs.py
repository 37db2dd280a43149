"""A CUDA graph that torch captures replays the engine's launches, and nothing else gets its memory."""

from __future__ import annotations

from typing import Any

import backends
import numpy as np
import pytest
from backends import Backend

import upsample

pytestmark = pytest.mark.gpu

WEIGHT = np.random.default_rng(1).standard_normal((16, 40, 4, 4)).astype("float32")
OPS = {
    "two-passes": lambda x, w: upsample.interpolate(x, scale_factor=0.25, mode="bicubic", antialias=True),
    "weights": lambda x, w: upsample.conv_transpose2d(x, w, stride=2, padding=1),
    "strided": lambda x, w: upsample.interpolate(x[..., ::2], scale_factor=2, mode="bilinear"),
}
"""Calls that need scratch memory."""


@pytest.fixture
def made() -> Backend:
    return backends.get("torch-cuda")


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 16, 48, 64)).astype("float32")


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("name", OPS)
def test_a_replayed_graph(name: str, before: int, made: Backend, cupy: Any) -> None:
    """Also of a call that was recorded before the capture."""
    import torch

    x, w, run = made.make(values(0)), made.make(WEIGHT), OPS[name]
    for _ in range(before):  # the first compiles, and uploads the tables
        run(x, w)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = run(x, w)
    junk = [torch.full((1 << 20,), float("nan"), device="cuda") for _ in range(8)]
    more = [cupy.full(1 << 20, np.nan) for _ in range(8)]
    for seed in (1, 2):
        x.copy_(made.make(values(seed)))
        graph.replay()
        torch.cuda.synchronize()
        np.testing.assert_array_equal(made.back(y), made.back(run(made.make(values(seed)), w)))
    assert all(bool(j.isnan().all()) for j in junk)
    assert all(bool(cupy.isnan(m).all()) for m in more)


def test_a_first_call_within_a_capture_says_what_to_do(made: Backend) -> None:
    import torch

    x = made.make(np.zeros((1, 1, 7, 13), dtype="float32"))
    with pytest.raises(RuntimeError, match="before the capture"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        upsample.interpolate(x, size=(29, 31), mode="bicubic")
