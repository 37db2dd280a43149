"""Faults planted in the resize kernels, each of which the numbers show in some order of the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from cases import noise
from emulator.device import EmulatedDevice
from emulator.trials import ORDERS, differs, faults_are_planted

import upsample
from upsample.engines.cuda.runtime.device import emulating

pytestmark = faults_are_planted

Call = tuple[tuple[int, ...], dict[str, Any]]

LONG_RUNS: Call = (3, 9000), dict(shape=(40,), axes=(1,), mode="cubic", antialias=True)
ROWS: Call = (3, 40), dict(shape=(61,), axes=(1,), mode="lanczos")
DOWN: Call = (2, 40, 9), dict(shape=(11,), axes=(1,), mode="cubic", antialias=True)
DOWN_WIDE: Call = (2, 12, 150), dict(shape=(17,), axes=(1,), mode="cubic")
PLANES: Call = (3, 13, 17), dict(shape=(26, 31), axes=(1, 2), mode="cubic")
BORDERS: Call = (3, 13, 17), dict(shape=(26, 31), axes=(1, 2), mode="linear")
SKIPPED: Call = (2, 60, 50), dict(shape=(7, 5), axes=(1, 2), mode="linear")
SHRUNK: Call = (2, 16, 24), dict(shape=(8, 12), axes=(1, 2), mode="linear", antialias=True)
CHANNELS: Call = (2, 9, 7, 16), dict(shape=(18, 13), axes=(1, 2), mode="cubic")
VOLUME: Call = (2, 4, 5, 17), dict(shape=(7, 9, 31), axes=(1, 2, 3), mode="linear")
SMALL_VOLUME: Call = (2, 4, 5, 7), dict(shape=(7, 9, 12), axes=(1, 2, 3), mode="linear")
DOUBLED: Call = (3, 7, 16), dict(shape=(14, 32), axes=(1, 2), mode="nearest")
MOVED: Call = (2, 4, 5, 7), dict(shape=(7, 9, 13), axes=(1, 2, 3), mode="nearest")

FAULTS = [
    # along_rows: barriers, an index, swapped axes, a lost flag
    (LONG_RUNS, "__syncthreads();  // the chunk before has been summed", ""),
    (LONG_RUNS, "      }\n      __syncthreads();\n      const int64 offset", "      }\n      const int64 offset"),
    (LONG_RUNS, "t = least; t < upto;", "t = least; t + 1 < upto;"),
    (ROWS, "y[(row + group * ROWS + r) * g.out_size + o]", "y[(row + group * ROWS + r) + o * g.rows]"),
    (ROWS, "++place, w += g.out_size", "++place, w += 1"),
    (ROWS, "mine + spread(place)", "mine + spread(place) + 1"),
    # along_columns
    (DOWN, "x[t * g.inner + k * WARP]", "x[(t ? t - 1 : t) * g.inner + k * WARP]"),
    (DOWN, "first[o] * g.inner + (e - o * g.inner)", "first[o] + (e - o * g.inner)"),
    (DOWN_WIDE, "y[k * WARP] = narrowed", "y[0] = narrowed"),
    (DOWN_WIDE, "(a * g.out_size + o) * g.inner + i;", "(o * g.outer + a) * g.inner + i;"),
    # columns and packets
    (PLANES, "window[k][v][phase] =", "window[k][v][phase ? phase - 1 : 0] ="),
    (PLANES, "now.own >> place & 1u", "now.own >> (place + 1) & 1u"),
    (SHRUNK, "window[k][v][phase][l][t] =", "window[k][v][phase][l][t ? t - 1 : 0] ="),
    (SMALL_VOLUME, "return window[k][v][place][l][t]", "return window[k][v][place][0][t]"),
    (PLANES, "(ends ? next.first : now.first) <= row", "(ends ? next.first : now.first) < row"),
    (BORDERS, "t < static_cast<int>(offsets[k] >> COUNT_AT)", "t + 1 < static_cast<int>(offsets[k] >> COUNT_AT)"),
    (PLANES, "target += g.out_row;", "target += g.in_row;"),
    (SKIPPED, "row += turns * TAPS;", "row += turns * TAPS - TAPS;"),
    (CHANNELS, "place.first * g.inner + (in_line - pixel * g.inner)", "place.first * g.inner"),
    (CHANNELS, "narrowed<SCALAR>(total[group * Word + k][v])", "narrowed<SCALAR>(total[group * Word + k][0])"),
    (VOLUME, "& 7u ? g.in_line : 0", "& 7u ? g.inner : 0"),
    (VOLUME, "lines.weight[line * LINES + l]", "lines.weight[line * LINES + 1 - l]"),
    # move
    (DOUBLED, "half.at[k / 2 % HALF]", "half.at[k % HALF]"),
    (DOUBLED, "if (next != row) held", "if (row < 0) held"),
    (MOVED, "(planes ? planes[p] : p)", "(planes ? p : p)"),
    (MOVED, "columns[part + c]", "columns[part + lesser(c + 1, last)]"),
    (MOVED, "if (least + k * step <= last) to", "if (least + k * step < last) to"),
]


@pytest.mark.parametrize(("call", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(call: Call, old: str, new: str) -> None:
    shape, options = call
    base = np.concatenate([noise(1, *shape), np.full((1, *shape), 1e6, np.float32)])
    x = base[0]  # what a read past the end finds is far off
    wanted = upsample.resize(x, **options, engine="portable")
    caught = []
    for order in ORDERS:
        with emulating(EmulatedDevice(order=order)):
            right = upsample.resize(x, **options, engine="cuda")
        with emulating(EmulatedDevice(order=order, fault=(old, new))):
            got = upsample.resize(x, **options, engine="cuda")
        tolerances.assert_close(right, wanted, False, 2.0)
        caught.append(_differs(got, wanted))
    assert any(caught)


@pytest.mark.parametrize(
    ("call", "file", "old", "new"),
    [
        (PLANES, "resize_fused", "(phase + 1) % TAPS, aligned", "phase, aligned"),
        (SHRUNK, "resize_fused", "(phase + 1) % TAPS, aligned", "phase, aligned"),
        (ROWS, "resize_axis", "fused(*w, sample[r * row_step], total[r])", "*w * sample[r * row_step] + total[r]"),
        (
            DOWN,
            "resize_axis",
            "fused(w, widened<ACC>(x[t * g.inner + k * WARP]), total[k])",
            "total[k] + w * widened<ACC>(x[t * g.inner + k * WARP])",
        ),
    ],
)
def test_another_order_of_sums_is_caught(call: Call, file: str, old: str, new: str) -> None:
    shape, options = call
    x = noise(*shape)
    with emulating(EmulatedDevice(order=0)):
        want = upsample.resize(x, **options, engine="cuda")
    assert differs(file, (old, new), lambda: upsample.resize(x, **options, engine="cuda"), want)


def _differs(got: np.ndarray, wanted: np.ndarray) -> bool:
    try:
        tolerances.assert_close(got, wanted, False, 2.0)
    except AssertionError:
        return True
    return False
