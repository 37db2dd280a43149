"""Results recorded once have the same bits on every processor with fused multiply-adds, by any number of threads."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from backends import needs_numba
from hostile import worlds

from bits.record import CALLS, RECORDED, hashes
from upsample.engines.thread_count import num_threads

needs_numba()

machine: Any = importlib.import_module("upsample.engines.cpu.runtime.machine")
pytestmark = pytest.mark.skipif(not machine.HAS_FMA, reason="this processor has no fused multiply-adds")

SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import json
from bits.record import hashes
print(json.dumps(hashes()))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_this_processor(threads: int) -> None:
    with num_threads(threads):
        assert hashes() == json.loads(RECORDED.read_text(encoding="utf-8"))
    assert CALLS * len(hashes()) >= 300


@pytest.mark.skipif(not machine.HAS_AVX512, reason="this processor is no wider than what is asked for")
def test_a_narrower_processor() -> None:
    narrowed = worlds.said(SCRIPT, NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    assert narrowed == json.loads(RECORDED.read_text(encoding="utf-8"))
