"""How much memory a call takes beside its arrays; NumPy reports every byte of its own to tracemalloc."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from backends import needs_numba

import upsample

MIB = 1 << 20
BESIDE = 24 * MIB
"""What a resize may take beside input and output, on any number of threads."""


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    """An array whose pages exist: zeros that are only promised would be filled under the measurement."""
    return np.full(shape, 0.5 if np.dtype(dtype).kind == "f" else 5, dtype=dtype)


def at_most(call: Callable[[], Any]) -> tuple[Any, int]:
    """The result, and the most bytes that were held at once during the call, the result's included."""
    gc.collect()
    tracemalloc.start()
    try:
        result = call()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_resize(x: np.ndarray, resize: Callable[[np.ndarray], np.ndarray], table: int = 0) -> None:
    """Beside input and output there are some tiles, whatever the image's size, and `table` bytes."""
    half = x[..., : x.shape[-1] // 2]
    resize(half.copy() if x.flags.c_contiguous else half)  # kernels that must be compiled take memory, too
    result, peak = at_most(lambda: resize(x))
    over = peak - result.nbytes
    assert over < BESIDE + table, f"temporaries of {over / MIB:.1f} MiB"


def test_the_measurement_sees_numpy() -> None:
    result, peak = at_most(lambda: zeros(256, 1024)[::2].copy())
    assert result.nbytes == MIB // 2
    assert 1.5 * MIB <= peak < 1.6 * MIB


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_three_planes_of_2048_squared(mode: str) -> None:
    """A result of 200 MB, eight times what the call may take beside it."""
    x = zeros(1, 3, 2048, 2048)
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode=mode))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"])
def test_three_planes_of_1024_squared(mode: str) -> None:
    x = zeros(1, 3, 1024, 1024)
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode=mode, antialias=mode == "lanczos"))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float64"])
def test_other_dtypes(dtype: str) -> None:
    x = zeros(1, 3, 1024, 1024, dtype=dtype)
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"))


def test_channels_last() -> None:
    x = zeros(1024, 1024, 4)
    check_resize(x, lambda x: upsample.resize(x, scale=2, axes=(0, 1), mode="cubic"))


def test_views() -> None:
    large = zeros(1, 3, 1024, 2048)
    x = large[:, :, ::-1, ::2]
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"))


def test_nan_costs_a_tile() -> None:
    x = zeros(1, 3, 1024, 1024)
    x[0, 1, 500, 500] = np.nan
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"))


def test_out_is_filled_in_place() -> None:
    x, out = zeros(1, 3, 1024, 1024), zeros(1, 3, 2048, 2048)
    _, peak = at_most(lambda: upsample.interpolate(x, scale_factor=2, mode="bicubic", out=out))
    assert peak < 2 * x.nbytes, f"temporaries of {peak / MIB:.1f} MiB beside input and out="


@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        pytest.param((1, 1, 64, 96, 128), "trilinear", id="volume"),
        pytest.param((1, 1, 8, 512, 512), "trilinear", id="thin volume"),
        pytest.param((1, 1, 16, 1 << 17), "bilinear", id="wide image"),
        pytest.param((1, 1, 1 << 17, 16), "bilinear", id="tall image"),
    ],
)
def test_uncommon_shapes(shape: tuple[int, ...], mode: str) -> None:
    x = zeros(*shape)
    taps = 128 * 2 * shape[-1]  # bytes an output while the taps of the longest axis are worked out
    slices = 8 * MIB  # a tile has whole ones
    check_resize(x, lambda x: upsample.interpolate(x, scale_factor=2, mode=mode), table=slices + taps)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [1024, 2048])
def test_shrinking_takes_little(mode: str, size: int) -> None:
    """Temporaries are of a tile's size, whatever the image's: no float64 copy, no whole pass of rows."""
    x = zeros(1, 3, size, size)
    result, peak = at_most(lambda: upsample.interpolate(x, scale_factor=0.5, mode=mode, antialias=True))
    assert peak - result.nbytes < 12 * MIB, f"temporaries of {(peak - result.nbytes) / MIB:.1f} MiB"


@pytest.mark.parametrize(("weight", "groups"), [((64, 64, 4, 4), 1), ((64, 1, 4, 4), 64)], ids=repr)
def test_transposed_convolution(weight: tuple[int, ...], groups: int) -> None:
    x, w = zeros(8, 64, 128, 128), zeros(*weight)
    options: dict[str, Any] = dict(stride=2, padding=1, groups=groups)
    result, peak = at_most(lambda: upsample.conv_transpose2d(x, w, **options))
    assert result.shape == (8, 64, 256, 256)
    assert peak - result.nbytes < 128 * MIB, f"temporaries of {(peak - result.nbytes) / MIB:.1f} MiB"


@pytest.mark.parametrize(
    ("shape", "weight", "stride"),
    [((1, 8, 40, 40), (8, 4, 65, 65), 1), ((1, 8, 70, 70), (8, 4, 65, 65), 2), ((1, 4, 20000), (4, 2, 4096), 1)],
    ids=repr,
)
def test_portable_transposed_convolution_of_large_windows(
    shape: tuple[int, ...], weight: tuple[int, ...], stride: int
) -> None:
    x, w = zeros(*shape), zeros(*weight)
    spread = upsample.conv_transpose1d if len(shape) == 3 else upsample.conv_transpose2d
    result, peak = at_most(lambda: spread(x, w, stride=stride, engine="portable"))
    assert peak - result.nbytes < 64 * MIB, f"temporaries of {(peak - result.nbytes) / MIB:.1f} MiB"


COMPILED_SPREADS = [
    ((8, 64, 128, 128), (64, 64, 4, 4), 1),
    ((8, 64, 128, 128), (64, 1, 4, 4), 64),
    ((1, 64, 512, 512), (64, 16, 4, 4), 1),
    ((1, 1024, 32, 32), (1024, 512, 4, 4), 1),
]


@pytest.mark.parametrize(("shape", "weight", "groups"), COMPILED_SPREADS, ids=repr)
def test_compiled_transposed_convolution(shape: tuple[int, ...], weight: tuple[int, ...], groups: int) -> None:
    needs_numba()
    x, w = zeros(*shape), zeros(*weight)
    options: dict[str, Any] = dict(stride=2, padding=1, groups=groups, engine="cpu")
    result, peak = at_most(lambda: upsample.conv_transpose2d(x, w, **options))
    assert peak - result.nbytes < 64 * MIB, f"temporaries of {(peak - result.nbytes) / MIB:.1f} MiB"


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (9, 2, 4)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_compiled_pooling(dtype: str, window: tuple[int, int, int]) -> None:
    needs_numba()
    x = zeros(8, 64, 128, 128, dtype=dtype)
    (values, indices), peak = at_most(lambda: upsample.max_pool2d_with_indices(x, *window, engine="cpu"))
    over = peak - values.nbytes - indices.nbytes
    assert over < 32 * MIB, f"temporaries of {over / MIB:.1f} MiB"


def test_pools_and_shuffles_take_a_few_inputs() -> None:
    x = zeros(4, 64, 128, 128)
    calls: list[tuple[Callable[[], Any], float]] = [
        (lambda: upsample.max_pool2d(x, 2), 2.0),
        (lambda: upsample.max_unpool2d(x, np.broadcast_to(grid, x.shape), 2), 8.0),
        (lambda: upsample.pixel_shuffle(x, 2), 1.0),
    ]
    grid = np.arange(128)[:, None] * 2 * 256 + 2 * np.arange(128)
    for call, inputs in calls:
        result, peak = at_most(call)
        assert peak - result.nbytes < inputs * x.nbytes + MIB
