"""A stream of sizes, each seen once: the memory of the process stays flat."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
import upsample
from upsample import caches

def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def image(i, dtype="float32", *lead):
    return np.ones((*(lead or (1, 1)), 40 + i % 61, 40 + i), dtype)

def tensor(i):
    import torch
    torch.set_num_threads(1)
    return torch.ones(1, 1, 40 + i % 61, 40 + i)

def signal(i, mode, **options):
    return upsample.interpolate(np.ones((1, 1, 70_000 + i), "f4"), scale_factor=2.0, mode=mode, **options)

def unpooled(i):
    made, indices = upsample.max_pool2d_with_indices(image(i), 3, 2)
    upsample.max_unpool2d(made, indices, 3, 2)

def gradient(i):
    made, back = upsample.vjp(upsample.interpolate, image(i), scale_factor=1.5, mode="bilinear")
    back(made)

WEIGHT = np.ones((1, 2, 4, 4), "f4")
WORK = {
    "linear": lambda i: upsample.interpolate(image(i), scale_factor=1.7, mode="bilinear"),
    "cubic": lambda i: upsample.resize(image(i), scale=2.0, axes=(2, 3), mode="cubic"),
    "lanczos": lambda i: upsample.interpolate(image(i), size=33, mode="lanczos", antialias=True),
    "area": lambda i: upsample.interpolate(image(i), size=31, mode="area"),
    "uint8": lambda i: upsample.interpolate(image(i, "uint8"), size=32, mode="bilinear", antialias=True),
    "nearest": lambda i: upsample.interpolate(image(i), scale_factor=2),
    "torch": lambda i: upsample.interpolate(tensor(i), scale_factor=2.0, mode="bilinear"),
    "vjp": gradient,
    "portable": lambda i: upsample.interpolate(image(i), scale_factor=1.7, mode="bilinear", engine="portable"),
    "unpool": unpooled,
    "portable pool": lambda i: upsample.max_pool2d(image(i), 3, 2, engine="portable"),
    "adaptive": lambda i: upsample.adaptive_max_pool2d(image(i), 7),
    "conv": lambda i: upsample.conv_transpose2d(image(i), WEIGHT, stride=2, padding=1),
    "signal": lambda i: signal(i, "linear"),
    "portable signal": lambda i: signal(i, "nearest", engine="portable"),
}
name, calls, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
held = 0.0
for i in (*range(0, calls, 2), *range(1, calls, 2)):  # the second half has sizes between those of the first
    if i == 1:
        before = rss()
    WORK[name](i)
    held = max(held, caches.held().bytes / 2**20)
assert held <= 4.0, held
assert rss() - before < most, rss() - before
"""

CALLS = {
    **dict.fromkeys(["linear", "cubic", "lanczos", "area", "uint8", "nearest", "torch", "conv"], 700),
    **dict.fromkeys(["vjp", "portable", "unpool", "portable pool", "adaptive"], 400),
    **dict.fromkeys(["signal", "portable signal"], 40),
}
"""Sizes of each kind of call."""
GROWTH_MIB = 6.0
"""Most MiB that the second half of the calls may add; the bound of the caches is 4 MiB."""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux tells how much memory a process has")
@pytest.mark.parametrize("name", CALLS)
def test_memory_stays_flat(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    environment = {**os.environ, "UPSAMPLE_CACHE_MIB": "4", "UPSAMPLE_KEEP_MIB": "0", "UPSAMPLE_NUM_THREADS": "1"}
    run = [sys.executable, "-c", SCRIPT, name, str(CALLS[name]), str(GROWTH_MIB)]
    subprocess.run(run, env=environment, check=True, timeout=300)
