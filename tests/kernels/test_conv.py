"""Convolution, the gradient of transposed convolution by its input, on the CUDA engine: its kernels run both.

What `vjp` makes of it is compared with torch in test_conv_weight.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from drawn import spreads
from emulator.device import EmulatedDevice
from emulator.preloaded import SANITIZED
from emulator.spreads import DTYPES, whole
from emulator.trials import differs, examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

from upsample.engines import dispatch
from upsample.engines.cuda.conv_transpose import driver as conv_transpose
from upsample.engines.cuda.conv_transpose import input_grad as cuda
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.portable.conv_transpose import input_grad as portable
from upsample.plans.window import ConvTransposePlan, WindowAxis


@examples(20)
@given(
    spreads(axes=3),
    st.sampled_from(DTYPES),
    st.tuples(st.integers(0, 3), st.integers(1, 21), st.integers(1, 21)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_equals_portable(
    gpu: EmulatedDevice,
    road: str,
    plan: ConvTransposePlan,
    dtype: str,
    counts: tuple[int, int, int],
    odd: bool,
    small_limit: bool,
    seed: int,
) -> None:
    batch, inputs, each = counts
    rng = np.random.default_rng(seed)
    y = whole(rng, dtype, batch, plan.groups * each, *plan.large_shape)
    weight = whole(rng, dtype, plan.groups * inputs, each, *plan.kernel_shape)
    if odd and y.size:
        y.reshape(-1)[rng.integers(0, y.size)] = np.nan
        y.reshape(-1)[rng.integers(0, y.size)] = -np.inf
    gpu.index_limit = 20 if small_limit else 2**31
    launched = len(gpu.launches)
    got, want = cuda.run(np, plan, y, weight), portable.run(np, plan, y, weight)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))
    assert batch == 0 or dict(gpu.launches[-1].kernel.macros)["INDEX"] == ("int64" if small_limit else "int")
    assert (len(gpu.launches) > launched) == (batch > 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_than_a_tile(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_transpose, "_is_direct", lambda *_: False)
    axes, groups = (WindowAxis(18, 9, 4, 2, 1, 1), WindowAxis(11, 9, 3, 1, 0, 1)), 1 if SANITIZED else 2
    plan, rng = ConvTransposePlan(axes, groups, precision="tf32"), np.random.default_rng(0)
    y, weight = whole(rng, dtype, 2, groups * 35, 18, 11), whole(rng, dtype, groups * 70, 35, 4, 3)
    with emulating(EmulatedDevice(order=7)):
        np.testing.assert_array_equal(cuda.run(np, plan, y, weight), portable.run(np, plan, y, weight))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 4, 13, 16])
def test_rows_of_any_length(road: str, dtype: str, width: int) -> None:
    """Rows that begin at multiples of 16 bytes and others; windows that the direct kernel has in one piece or not."""
    rng = np.random.default_rng(width)
    with emulating(EmulatedDevice(order=7)):
        for stride, kernel, padding in ((1, 3, 1), (2, 2, 0), (2, 3, 1), (2, 4, 1), (2, 4, 0), (3, 5, 1)):
            axis = WindowAxis((width - 1) * stride - 2 * padding + kernel, width, kernel, stride, padding, 1)
            plan = ConvTransposePlan((WindowAxis(3, 3, 1, 1, 0, 1), axis), 1, precision="float32")
            y, weight = whole(rng, dtype, 2, 2, *plan.large_shape), whole(rng, dtype, 3, 2, 1, kernel)
            moved = np.zeros(y.size + 1, y.dtype)[1:].reshape(y.shape)
            moved[...] = y
            for given_y in (y, moved):
                np.testing.assert_array_equal(cuda.run(np, plan, given_y, weight), portable.run(np, plan, y, weight))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_count_where_they_meet_a_position(
    gpu: EmulatedDevice, road: str, value: float
) -> None:
    """As torch has it: a tap in the padding adds nothing, whatever its weight is."""
    plan = ConvTransposePlan((WindowAxis(8, 4, 4, 2, 1, 1),), 1, precision="tf32")
    for tap, hidden in enumerate((0, None, None, 3)):  # the cell whose tap lies in the padding
        weight = np.ones((3, 2, 4), np.float32)
        weight[1, 1, tap] = value
        got = cuda.run(np, plan, np.ones((1, 2, 8), np.float32), weight)
        assert np.isfinite(got[0, [0, 2]]).all()
        assert list(np.flatnonzero(np.isfinite(got[0, 1]))) == ([] if hidden is None else [hidden])


def test_taps_that_reach_nothing(gpu: EmulatedDevice, road: str) -> None:
    plan = ConvTransposePlan((WindowAxis(1, 1, 2, 1, 5, 9),), 1, precision="float32")
    assert not cuda.run(np, plan, np.ones((1, 2, 1)), np.ones((3, 2, 2))).any()


def test_the_same_bits_in_any_order(road: str) -> None:
    plan = ConvTransposePlan((WindowAxis(16, 8, 4, 2, 1, 1), WindowAxis(16, 8, 4, 2, 1, 1)), 1, precision="float32")
    rng = np.random.default_rng(0)
    y, weight = (rng.standard_normal(shape).astype("float32") for shape in ((2, 9, 16, 16), (7, 9, 4, 4)))
    made = []
    for order, processors in ((0, 4), (1, 4), (7, 132), (7, 132)):
        with emulating(EmulatedDevice(order=order, processors=processors)):
            made.append(cuda.run(np, plan, y, weight))
    for other in made[1:]:
        np.testing.assert_array_equal(other, made[0])


def test_integers_go_elsewhere(gpu: EmulatedDevice) -> None:
    """No gradient asks for them."""
    plan = ConvTransposePlan((WindowAxis(4, 1, 4, 1, 0, 1),), 1, precision="float32")
    for task in ("conv_transpose.input_grad", "conv_transpose.weight_grad"):
        reasons = {
            engine.name: engine.supports(task, plan, np.ones((1, 1, 4), np.int64)) for engine in dispatch.ENGINES
        }
        assert "int64" in str(reasons["cuda"])


SHARED, DIRECT, WEIGHTS = "conv_transpose", "conv_transpose_direct", "conv_transpose_weights"
FAULTS = [
    (SHARED, "c.at[axis] * g.jump[axis]", "c.at[axis] * g.jump[AXES - 1 - axis]"),
    (SHARED, "c.at[axis] * g.jump[axis]", "c.at[axis] * g.jump[axis] + 1"),
    (SHARED, "cell < g.source[axis]", "cell <= g.source[axis]"),
    (SHARED, "    mover.put(slices);\n  }\n#endif\n  __syncthreads();", "    mover.put(slices);\n  }\n#endif"),
    (
        WEIGHTS,
        "CHANNELS * g.channel_step + int64(output)",
        "CHANNELS * g.output_step + int64(output)",
    ),
    (DIRECT, "z / g.step[0] * g.jump[0]", "z / g.step[0] * g.jump[1]"),
    (DIRECT, "cells[NEAR ? i * JUMP : i]", "cells[i]"),
    (DIRECT, "cells[SPAN + 1] = cell(from, begin + 1 + SPAN);", "cells[SPAN + 1] = cell(from, begin + SPAN);"),
    (DIRECT, "r.cell(row, r.begin + place + i * r.jump)", "r.cell(row, r.begin + place + i)"),
    (DIRECT, "taps += g.channel_step", "taps += g.output_step"),
]


@faults_are_planted
@pytest.mark.parametrize(("file", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str) -> None:
    monkeypatch.setattr(conv_transpose, "_is_direct", lambda *_: file == DIRECT)
    rng = np.random.default_rng(0)
    caught = False
    for stride, kernel, padding in ((2, 4, 1), (3, 5, 1)):
        wide, deep = WindowAxis(5 * stride, 5, kernel, stride, padding, 1), WindowAxis(5, 5, 3, 1, 1, 1)
        plan = ConvTransposePlan((deep, WindowAxis(9, 4, 3, 2, 0, 1), wide), 2, precision="float32")
        y, weight = whole(rng, "float32", 2, 8, *plan.large_shape), whole(rng, "float32", 6, 4, *plan.kernel_shape)
        run = partial(cuda.run, np, plan, y, weight)
        caught = caught or differs(file, (old, new), run, portable.run(np, plan, y, weight))
    assert caught


def test_the_kernel_that_is_chosen(gpu: EmulatedDevice) -> None:
    plan = ConvTransposePlan((WindowAxis(8, 4, 4, 2, 1, 1),), 1, precision="float32")
    for channels, outputs, direct in ((1, 1, True), (64, 3, True), (32, 64, False)):
        y, weight = np.ones((1, channels, 8), np.float32), np.ones((outputs, channels, 4), np.float32)
        cuda.run(np, plan, y, weight)
        assert (gpu.launches[-1].kernel.file == "conv_transpose_direct") == direct
