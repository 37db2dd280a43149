"""Which tile a transposed convolution takes on GPUs of several sizes: pure functions, without a GPU."""

from __future__ import annotations

from typing import Any

import pytest

from upsample.engines.cuda.conv_transpose import driver as cuda
from upsample.plans.window import ConvTransposePlan, WindowAxis

H200 = (2**31, 132, 227 << 10)
T4 = (2**31, 40, 64 << 10)


def launches(
    side: int, batch: int, channels: tuple[int, int], name: str, gpu: tuple[int, int, int], precision: str = "float32"
) -> tuple[Any, ...]:
    """The launches of a 4×4 window with stride 2."""
    axis = WindowAxis(2 * side, side, 4, 2, 1, 1)
    plan = ConvTransposePlan((axis, axis), 1, precision)
    return cuda._launch(plan, "conv_transpose", name, (batch, *channels), gpu)[0]


def chosen(side: int, batch: int, channels: tuple[int, int], name: str, gpu: tuple[int, int, int]) -> Any:
    """The one launch."""
    (launch,) = launches(side, batch, channels, name, gpu)
    return launch


def test_a_small_grid_is_cut_into_more_blocks() -> None:
    """Tiles of 128×128 would leave 16 blocks for 132 multiprocessors."""
    assert chosen(16, 1, (512, 256), "float16", H200).grid[0] == 128
    assert chosen(16, 64, (512, 256), "float16", H200).grid[0] < 64 * 64


@pytest.mark.parametrize(
    ("precision", "side", "channels"),
    [("float32", 16, (512, 256)), ("tf32x3", 16, (512, 256)), ("tf32", 16, (1024, 256)), ("tf32", 8, (1024, 512))],
)
def test_a_small_grid_of_long_sums_is_cut_into_shares(precision: str, side: int, channels: tuple[int, int]) -> None:
    """Shares of 512 products are added by a second launch; a large grid makes whole sums."""
    shares, finish = launches(side, 1, channels, "float32", H200, precision)
    assert finish.grid[0] == 32
    assert shares.grid[0] == 32 * channels[0] * 4 // 512
    assert len(launches(64, 16, (512, 256), "float32", H200, precision)) == 1
    assert len(launches(16, 1, (64, 32), "float32", H200, precision)) == 1


def test_two_phases_of_half_tiles_fit_the_shared_memory_of_a_large_gpu() -> None:
    """103,424 bytes: with one phase, each value is stored by itself, two bytes at a time."""
    large = chosen(64, 16, (512, 256), "float16", H200)
    geometry = large.scalars[0]
    assert (large.shared, int(geometry["together"]), int(geometry["in_runs"])) == (103_424, 2, 1)


@pytest.mark.parametrize("gpu", [H200, T4])
@pytest.mark.parametrize("side", [16, 64])
def test_shared_memory_is_the_devices(gpu: tuple[int, int, int], side: int) -> None:
    assert chosen(side, 16, (512, 256), "float16", gpu).shared <= gpu[2]
