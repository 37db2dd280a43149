"""The direct kernel of transposed convolution: pieces, planes, and faults; see also test_conv_transpose.py."""

from __future__ import annotations

import numpy as np
import pytest
import tolerances
from cases import noise
from emulator.device import EmulatedDevice
from emulator.trials import faults_are_planted

import upsample
from upsample.engines.cuda.conv_transpose import direct as direct
from upsample.engines.cuda.conv_transpose import driver as cuda
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.cuda.runtime.launch import Launch


@pytest.fixture(autouse=True)
def only_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_is_direct", lambda *_: True)


def macros(launch: Launch) -> tuple[str, str]:
    bound = dict(launch.kernel.macros)
    return bound["PHASES"], bound["NEAR"]


@pytest.mark.parametrize("index_limit", [20, 2**31])
def test_more_pieces_and_planes_than_threads(
    gpu: EmulatedDevice, monkeypatch: pytest.MonkeyPatch, index_limit: int
) -> None:
    """Every thread steps over pieces, and over planes."""
    monkeypatch.setattr(direct, "_BLOCKS", 1)
    gpu.processors, gpu.index_limit = 3, index_limit  # no other test has three: plans are cached
    for groups, shape, kernel, stride in (
        (1, (1, 1, 40, 45), 3, 1),
        (9, (40, 9, 2, 3), 4, 2),
        (1, (1, 1, 33, 64), 2, 2),
    ):
        x, weight = noise(*shape), noise(groups, 2, kernel, kernel, seed=1)
        got = upsample.conv_transpose2d(x, weight, stride=stride, groups=groups, engine="cuda")
        assert gpu.launches[-1].grid[0] * gpu.launches[-1].grid[1] <= 3
        want = upsample.conv_transpose2d(x, weight, stride=stride, groups=groups, engine="portable")
        tolerances.assert_close(got, want, exact=False)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "macro"),
    [
        *((4, 2, 1, 1, ("2", "1")), (2, 2, 0, 1, ("2", "1")), (3, 2, 1, 1, ("2", "1")), (4, 2, 0, 1, ("2", "1"))),
        *((6, 2, 2, 1, ("2", "1")), (8, 2, 3, 1, ("2", "0")), (3, 2, 1, 2, ("2", "1")), (5, 2, 0, 3, ("2", "0"))),
        *((3, 1, 1, 1, ("1", "0")), (16, 8, 4, 1, ("1", "0")), (1, 2, 0, 1, ("2", "1"))),
    ],
)
@pytest.mark.parametrize("groups", [3, 6])
def test_windows(
    gpu: EmulatedDevice, kernel: int, stride: int, padding: int, dilation: int, macro: tuple[str, str], groups: int
) -> None:
    """Three groups have two input channels each, and six groups have one."""
    x, weight = noise(2, 6, 5, 7).astype("float32"), noise(6, 2, kernel, kernel, seed=1).astype("float32")
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    got = upsample.conv_transpose2d(x, weight, **options, engine="cuda")
    assert macros(gpu.launches[-1]) == macro
    tolerances.assert_close(got, upsample.conv_transpose2d(x, weight, **options, engine="portable"), exact=False)


FAULTS = [
    (4, 3, "piece.depth + entry.depth", "piece.depth + entry.height"),
    (4, 3, "piece.height + entry.height;", "piece.height + entry.height + 1;"),
    (4, 3, "y < 0 || y >= g.source[1]", "y < 0 || y > g.source[1]"),
    (4, 3, "cells[SPAN + 1] = cell(from, begin + 1 + SPAN);", "cells[SPAN + 1] = cell(from, begin + 2 + SPAN);"),
    (4, 3, "tap[p] = g.tap[(piece.phase + p) * g.window", "tap[p] = g.tap[(piece.phase + 1 - p) * g.window"),
    (4, 3, "sum[(n + k) % PHASES][(n + k) / PHASES], shift", "sum[(n + k) / PHASES % 2][(n + k) % PHASES], shift"),
    (4, 3, "row += plane, taps += g.channel_step", "row += plane"),
    (4, 6, "int tap = g.tap[(piece.phase + p) * g.window", "int tap = g.tap[(piece.phase + 1 - p) * g.window"),
    (4, 6, "add_taps(cells + place, place);", "add_taps(cells, place);"),
    (4, 3, "if (n < left)", "if (n <= left)"),
    (8, 3, "if (i * g.step[2] + p < left)", "if (i * g.step[2] + p <= left)"),
    (8, 3, "own[i] = r.cell(row, r.begin + place", "own[i] = r.cell(row, r.begin"),
    (8, 6, "cells[i] = r.cell(r.row, r.begin + i - 1);", "cells[i] = r.cell(r.row, r.begin + i);"),
    (8, 6, "group = int(set % g.groups)", "group = int(set / g.groups)"),
]
"""The last kernel size, the groups of six channels, and a text of the file with what takes its place."""


@faults_are_planted
@pytest.mark.parametrize(("kernel", "groups", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(kernel: int, groups: int, old: str, new: str) -> None:
    width = 6 if kernel == 4 else 5  # the last piece is not whole; rows are whole packs, or not
    x, weight = noise(2, 6, 3, 5, width).astype("float32"), noise(6, 2, 3, 3, kernel, seed=1).astype("float32")
    options = dict(stride=(1, 2, 2), padding=(1, 0, kernel // 2 - 1), groups=groups)
    want = upsample.conv_transpose3d(x, weight, **options, engine="portable")
    memory = np.full(want.size + 64, 7.0, np.float32)  # what a write past the end spoils
    out = memory[: want.size].reshape(want.shape)
    with emulating(EmulatedDevice(fault=(old, new))):
        upsample.conv_transpose3d(x, weight, **options, engine="cuda", out=out)
    assert not np.allclose(out, want, atol=1e-4) or (memory[want.size :] != 7.0).any()
