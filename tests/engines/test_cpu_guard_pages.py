"""Kernels read no value beside their input: arrays lie between pages that no process may touch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from backends import needs_numba

needs_numba()

CODE = """
import ctypes, mmap
import numpy as np
from upsample.engines.cpu.resize import driver
from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.resize_parts import needs, new_part

PAGE, libc = mmap.PAGESIZE, ctypes.CDLL(None, use_errno=True)

def guarded(values, at_end):
    size = -(-values.nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for edge in (0, size + PAGE):
        assert libc.mprotect(ctypes.c_void_p(address + edge), PAGE, 0) == 0
    x = np.frombuffer(memory, values.dtype, values.size, PAGE + (size - values.nbytes if at_end else 0))
    x[:] = values
    return x

x = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
for method, coefficient in (("linear", 0.0), ("cubic", -0.75)):
    full = AxisRule(
        5000, 9999, method, (4999.0, 9998.0), True, False, coefficient, Rounding.FLOAT64, skips_zeros=True
    )  # every second output lies on an input: its other taps have weight zero
    wanted = driver.run(np, ResizePlan((0,), (full,)), x, None)
    for begin, end in ((100, 8293), (101, 9000), (0, 9001), (1000, 9999)):
        low, high = needs(full, begin, end)
        plan = ResizePlan((0,), (new_part(full, begin, end),))
        for at_end in (False, True):
            made = driver.run(np, plan, guarded(x[low:high], at_end), None)
            assert made.tobytes() == wanted[begin:end].tobytes(), (method, begin, end)
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pages are protected by mprotect of Linux")
def test_a_part_of_a_long_axis_reads_its_own_inputs_only() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip()) == (0, "done"), ran.stderr
