"""A first call compiles the op, and no error messages or unused entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from backends import needs_numba

needs_numba()
machine = import_module("upsample.engines.cpu.runtime.machine")

CALLS = {
    "resize": "upsample.interpolate(x, scale_factor=2, mode='bilinear', engine='cpu')",
    "pool": "upsample.max_pool2d(x, 9, 1, engine='cpu')",
    "unpool": "upsample.max_unpool2d(y, places, 2, engine='cpu')",
    "large unpool": "upsample.max_unpool2d(y.repeat(24, 1), places.repeat(24, 1), 2, engine='cpu')",
    "conv_transpose": "upsample.conv_transpose2d(y, y[0, :, None, :3, :3], stride=2, groups=2, engine='cpu')",
    "little conv_transpose": "upsample.conv_transpose2d(x, x[0, :, None, :3, :3], stride=2, groups=2, engine='cpu')",
}
CODE = """
import numpy as np, upsample
from numba.core import event
x, y = np.ones((1, 2, 16, 16), np.float32), np.ones((1, 2, 64, 64), np.float32)
places = (256 * np.arange(64)[:, None] + 2 * np.arange(64)) * y.astype(int)
with event.install_recorder("numba:run_pass") as recorder:
    {call}
for module, name in sorted({{(found.data["module"], found.data["qualname"]) for _, found in recorder.buffer}}):
    print(f"{{module}}:{{name}}")
"""
STORED = {
    "resize": {"doubled", "_lists", "_runs"},  # the last two make its tables
    "pool": {"pool_values"},
    "unpool": {"make_planes", "stream"},
    "large unpool": {"select"} if machine.HAS_AVX2 else {"make_planes", "stream"},
    "conv_transpose": {"sum_products"},
    "little conv_transpose": {"sum_listed"},
}
TABLES = {"_is_inside", "keys32", "keys64", "_nearest", "_source", "_weight"}
TABLES |= {"border", "fill", "fused", "inside", "trim"}
PARTS = {
    "resize": {"_rows2", "_ends", "_zero", "_set", "_add", "_two2", "put"} | TABLES,  # no kernel of cubic filters
    "conv_transpose": {"_pairs", "_lay_out", "sum_rows", "interleave"},
    "little conv_transpose": {"sum_rows", "interleave"},
}


@pytest.mark.parametrize("op", CALLS)
def test_a_first_call_compiles_one_kernel_and_no_messages(tmp_path: Path, op: str) -> None:
    environment = {**os.environ, "UPSAMPLE_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", CODE.format(call=CALLS[op])], env=environment, capture_output=True, text=True
    )
    compiled = [line.split(":") for line in ran.stdout.split()]
    own = {name for module, name in compiled if module.startswith("upsample.engines.cpu")}
    assert own, ran.stderr
    assert not [m for m, _ in compiled if "unicode" in m]  # a message made of numbers compiles for two seconds
    stored = {path.name.split("-")[0].rpartition(".")[2] for path in tmp_path.rglob("*.kernel")}
    assert stored == STORED[op]  # what only kernels call is a part of theirs
    assert op not in PARTS or own == STORED[op] | PARTS[op]
