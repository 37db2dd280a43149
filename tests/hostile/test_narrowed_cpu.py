"""Numba told to compile for an older processor: nothing is aborted, and results are those of this machine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from backends import needs_numba

from hostile import worlds

needs_numba()

machine: Any = importlib.import_module("upsample.engines.cpu.runtime.machine")

CALLS = """
import hashlib, json
import numpy as np, upsample
from upsample import opencv
from upsample.engines.cpu.runtime import machine
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 3, 9, 14)).astype(np.float32)
large = rng.standard_normal((1, 1, 800, 800)).astype(np.float32)
photo = rng.integers(0, 256, (1, 3, 9, 40), dtype=np.uint8)
rgb = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
weight = rng.standard_normal((32, 16, 2, 2)).astype(np.float32)
wide = rng.standard_normal((1, 32, 5, 5)).astype(np.float32)
calls = {
    "linear": lambda e: upsample.interpolate(x, scale_factor=1.37, mode="bilinear", engine=e),
    "photo": lambda e: upsample.interpolate(photo, scale_factor=1.37, mode="bilinear", engine=e),
    "fused": lambda e: opencv.resize(rgb, (55, 17), engine=e),
    "fused, wide": lambda e: opencv.resize(rgb, (55, 17), interpolation=opencv.INTER_CUBIC, engine=e),
    "ordered": lambda e: opencv.resize(rgb.astype(np.float32), (55, 17), interpolation=opencv.INTER_CUBIC, engine=e),
    "halves": lambda e: opencv.resize(rgb, (20, 15), interpolation=opencv.INTER_AREA, engine=e),
    "cells": lambda e: opencv.resize(rgb, (10, 10), interpolation=opencv.INTER_AREA, engine=e),
    "halves of floats": lambda e: opencv.resize(rgb.astype(np.float32), (20, 15), interpolation=3, engine=e),
    "pool": lambda e: upsample.max_pool2d_with_indices(x, 3, 2, 1, engine=e)[1],
    "unpool": lambda e: upsample.max_unpool2d(
        *upsample.max_pool2d_with_indices(large, 2, engine="portable"), 2, engine=e
    ),
    "conv_transpose": lambda e: upsample.conv_transpose2d(wide, weight, stride=2, engine=e),
}
bits, far = {}, []
for name, call in calls.items():
    got, expected = call("cpu"), call("portable")
    bits[name] = hashlib.sha256(got.tobytes()).hexdigest()
    if not np.allclose(got.astype(np.float64), expected, rtol=1e-5, atol=1e-4):
        far.append(name)
print(json.dumps({"bits": bits, "far": far, "features": sorted(machine.features()), "width": machine.VECTOR_BITS}))
"""

TARGETS: dict[str, tuple[dict[str, str], set[str], int]] = {
    "generic": ({"NUMBA_CPU_NAME": "generic"}, set(), 128),
    "haswell": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}, {"avx", "avx2", "fma"}, 256),
}


@pytest.mark.skipif(not machine.HAS_AVX2, reason="this processor is older than those that are asked for")
def test_narrowed_targets(tmp_path: Path) -> None:
    """One folder of kernels serves all of them: no target loads another's."""
    folder = {"UPSAMPLE_CACHE_DIR": str(tmp_path)}
    host = worlds.said(CALLS, **folder)
    assert host["far"] == []
    for variables, features, width in TARGETS.values():
        got = worlds.said(CALLS, **folder, **variables)
        assert (got["far"], set(got["features"]), got["width"]) == ([], features, width)
        if "fma" in features:
            assert got["bits"] == host["bits"]
        else:
            unfused = (
                "pool",
                "unpool",
                "photo",
                "fused",
                "fused, wide",
                "ordered",
                "halves",
                "cells",
                "halves of floats",
            )
            assert {got["bits"][name] == host["bits"][name] for name in unfused} == {True}


ASKED = {
    "nothing": ({}, None),
    "a name alone keeps this machine's features": ({"NUMBA_CPU_NAME": "haswell"}, None),
    "a name and features": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+avx2"}, {"avx", "avx2"}),
    "features without": ({"NUMBA_CPU_FEATURES": "-avx512f"}, {"avx", "avx2", "fma"}),
    "features of a name": ({"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": ""}, set(machine._PROBES)),
    "no AVX": ({"NUMBA_ENABLE_AVX": "0"}, {"fma"}),
}


@pytest.mark.skipif(not machine.HAS_AVX512, reason="this processor has less than what is asked for")
@pytest.mark.parametrize("asked", ASKED)
def test_what_the_target_has(asked: str) -> None:
    variables, expected = ASKED[asked]
    code = (
        "import json\nfrom upsample.engines.cpu.runtime import machine\nprint(json.dumps(sorted(machine.features())))"
    )
    assert set(worlds.said(code, **variables)) == (set(machine._PROBES) if expected is None else expected)
