"""The gradient of transposed convolution by its weight on the CUDA engine."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import tolerances
from backends import get
from drawn import spreads
from emulator.device import EmulatedDevice
from emulator.listing import listed
from emulator.preloaded import SANITIZED
from emulator.spreads import DTYPES, WINDOWS, arrays_of, function_of, torchs, whole
from emulator.trials import Faulty, differs, examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
from upsample.engines.cuda.conv_transpose import weight_grad as cuda
from upsample.engines.cuda.conv_transpose import weight_grad_direct as direct
from upsample.engines.cuda.conv_transpose import weight_grad_reduce as shares
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.portable.conv_transpose import weight_grad as portable
from upsample.plans.window import ConvTransposePlan, WindowAxis


@examples(20)
@given(
    spreads(axes=3),
    st.sampled_from(DTYPES),
    st.tuples(st.integers(0, 5), st.integers(1, 21), st.integers(1, 21)),
    st.sampled_from(["finite", "x", "y"]),
    st.integers(0, 2**31),
)
def test_equals_portable(
    gpu: EmulatedDevice,
    road: str,
    plan: ConvTransposePlan,
    dtype: str,
    counts: tuple[int, int, int],
    odd: str,
    seed: int,
) -> None:
    batch, inputs, each = counts
    if road == "direct":
        inputs, each = min(inputs, 3), min(each, 4)
    rng = np.random.default_rng(seed)
    x = whole(rng, dtype, batch, plan.groups * inputs, *plan.small_shape)
    y = whole(rng, dtype, batch, plan.groups * each, *plan.large_shape)
    if odd != "finite" and batch:
        spoilt = (x if odd == "x" else y).reshape(-1)
        spoilt[rng.integers(0, spoilt.size)] = np.nan
        spoilt[rng.integers(0, spoilt.size)] = -np.inf
    got, want = cuda.run(np, plan, x, y), portable.run(np, plan, x, y)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))
    assert gpu.launches[-1].kernel.file == "conv_weight_shares"


@pytest.mark.parametrize("dtype", ["float16", "float32"] if SANITIZED else [*DTYPES, "complex64", "complex128"])
@pytest.mark.parametrize("window", WINDOWS[:3] if SANITIZED else WINDOWS, ids=str)
def test_both_gradients_agree_with_torch_and_portable(gpu: EmulatedDevice, window: dict[str, Any], dtype: str) -> None:
    """Through `vjp`, from arrays that may not be written and have gaps."""
    (x, weight), options = arrays_of(window, dtype)
    function = function_of(window)
    y, pullback = upsample.vjp(function, get("strided").make(x), weight, **options, engine="cuda")
    grad = arrays_of(window | {"small": y.shape[2:]}, dtype)[0][0][:, :1].repeat(y.shape[1], axis=1)
    before = len(gpu.launches)
    pulled = pullback(get("readonly").make(get("strided").make(grad)))
    files = {launch.kernel.file for launch in gpu.launches[before:]}
    assert files & {"conv_transpose", "conv_transpose_direct"}
    assert "conv_weight_shares" in files
    twins = upsample.vjp(function, x, weight, **options, engine="portable")[1](grad)
    for got, twin, want in zip(pulled, twins, torchs(window, x, weight, grad), strict=False):
        assert got.dtype == x.dtype
        tolerances.assert_close(got, want, exact=False, margin=4.0)
        tolerances.assert_close(got, twin, exact=False, margin=4.0)


def tiles() -> list[Any]:
    found = [(*key, tile) for key in cuda._TILES if key[0] in DTYPES for tile in cuda._TILES[key]]
    return [pytest.param(*f, id=f"{f[0]}{'-tensor' * f[1]}-{f[2].rows}x{f[2].columns}") for f in found]


@pytest.mark.parametrize(("dtype", "tensor", "tile"), tiles())
def test_every_tile(monkeypatch: pytest.MonkeyPatch, dtype: str, tensor: bool, tile: Any) -> None:
    """More channels, outputs, batches of slices and shares than one, in two groups; pairs that are words, and not.

    Under a sanitizer in one group: that of threads takes seconds for each.
    """
    assert cuda._kernel(dtype, tensor, tile) in listed("conv_weight")
    monkeypatch.setattr(cuda, "_is_direct", lambda *_: False)
    monkeypatch.setattr(cuda, "_best", lambda *_: tile)
    monkeypatch.setattr(cuda, "_run", lambda slices, *_: (-(-slices // 2),) * 2)
    cuda._launch.cache_clear()
    rng = np.random.default_rng(1)
    cases = ((3, (5, 26), (3, 2)), (tile.columns + 5, (7, 9), (1, 2)))
    groups = 1 if SANITIZED else 2
    for outputs, small, kernel in cases[:1] if SANITIZED else cases:
        axes = zip(small, kernel, strict=True)
        plan = ConvTransposePlan(
            tuple(WindowAxis(2 * n, n, k, 2, k // 3, 1) for n, k in axes),
            groups,
            precision="tf32" if tensor else "float32",
        )
        x = whole(rng, dtype, 3, groups * (tile.rows + 3), *small)
        y = whole(rng, dtype, 3, groups * outputs, *plan.large_shape)
        with emulating(EmulatedDevice(order=7)):
            got = cuda.run(np, plan, x, y)
        np.testing.assert_array_equal(got.astype(np.float64), portable.run(np, plan, x, y).astype(np.float64))
    cuda._launch.cache_clear()


def test_the_same_bits_in_any_order_and_on_any_number_of_processors(road: str) -> None:
    plan = ConvTransposePlan((WindowAxis(32, 16, 4, 2, 1, 1), WindowAxis(30, 15, 4, 2, 1, 1)), 1, precision="float32")
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape).astype("float32") for shape in ((3, 3, 16, 15), (3, 2, 32, 30)))
    made = []
    for order, processors in ((0, 4), (1, 4), (7, 132), (7, 132)):
        with emulating(EmulatedDevice(order=order, processors=processors)):
            made.append(cuda.run(np, plan, x, y))
    for other in made[1:]:
        np.testing.assert_array_equal(other, made[0])


def test_shares_add_in_order(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another order the small one would be lost."""
    monkeypatch.setattr(cuda, "_run", lambda slices, *_: (-(-slices // 3),) * 2)
    monkeypatch.setattr(direct, "_CELLS", 1)
    caches = (cuda._launch, direct._launches)
    for cache in caches:
        cache.cache_clear()
    assert sum_of_shares(EmulatedDevice(order=7)) == 1.0
    if not SANITIZED:
        fault = ("int share = first; share < end; ++share", "int share = end - 1; share >= first; --share")
        assert sum_of_shares(Faulty("conv_weight_shares", fault, 0)) != 1.0
    for cache in caches:
        cache.cache_clear()


def sum_of_shares(gpu: EmulatedDevice) -> float:
    plan = ConvTransposePlan((WindowAxis(768, 768, 1, 1, 0, 1),), 1, precision="float32")
    x, y = np.ones((1, 1, 768), np.float32), np.zeros((1, 1, 768), np.float32)
    y[0, 0, [3, 300, 700]] = 1e8, -1e8, 1
    with emulating(gpu):
        made = cuda.run(np, plan, x, y)
    assert int(gpu.launches[-1].scalars[0]["shares"]) == 3
    return float(made[0, 0, 0])


@pytest.mark.parametrize("dtype", ["float32"] if SANITIZED else ["float16", "float32", "float64"])
def test_a_block_of_any_run_has_the_same_bits(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """Blocks compute one share each, a group of shares, or all; the last group and its last share are not whole."""
    plan = ConvTransposePlan((WindowAxis(300, 150, 3, 2, 1, 1),), 1, precision="float32")
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in ((4, 33, 150), (4, 5, 300)))
    share, group = 2, cuda._GROUP
    made = []
    for run in (share, share * group, share * group * 64):
        monkeypatch.setattr(cuda, "_run", lambda *_, run=run: (share, run))
        cuda._launch.cache_clear()
        with emulating(EmulatedDevice(order=7)):
            made.append(cuda.run(np, plan, x, y))
    cuda._launch.cache_clear()
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])
    tolerances.assert_close(made[0], portable.run(np, plan, x, y).astype(np.float64), exact=False, margin=4.0)


@pytest.mark.parametrize("slices", [1, 7, 100, 5000])
@pytest.mark.parametrize("blocks", [1, 8, 264, 1000])
def test_runs_cover_the_sum(slices: int, blocks: int) -> None:
    """A share depends on the slices alone; a run is a share, a group of shares or all, as the grid's size demands."""
    share, run = cuda._run(slices, blocks, 264)
    assert share == cuda._run(slices, 1, 264)[0]
    assert run in (share, share * cuda._GROUP) or run >= slices
    assert slices < 5000 or blocks * -(-slices // run) >= 100


@pytest.mark.parametrize("groups", [1, 2])
def test_nothing_to_sum(gpu: EmulatedDevice, road: str, groups: int) -> None:
    """No image, or no tap that reaches anything; and taps that are padding beside ones that are not."""
    plan = ConvTransposePlan((WindowAxis(3, 2, 2, 1, 0, 1),), groups, precision="float32")
    got = cuda.run(np, plan, np.ones((0, 2, 2)), np.ones((0, 4, 3)))
    assert got.shape == (2, 4 // groups, 2)
    assert not got.any()
    lost = ConvTransposePlan((WindowAxis(1, 1, 2, 1, 5, 9),), groups, precision="float32")
    assert not cuda.run(np, lost, np.ones((1, 2, 1)), np.ones((1, 4, 1))).any()
    some = ConvTransposePlan((WindowAxis(1, 1, 5, 1, 2, 1),), groups, precision="float32")
    got = cuda.run(np, some, np.full((1, 2, 1), np.inf), np.ones((1, 4, 1)))
    assert (got == [0, 0, np.inf, 0, 0]).all()


def test_more_cells_than_can_be_counted_go_elsewhere() -> None:
    plan = ConvTransposePlan((WindowAxis(64, 64, 1, 1, 0, 1),), 1, precision="float32")
    assert shares.fits(plan, 2**31 - 2**17)
    assert not shares.fits(plan, 2**31 - 1)
    assert not shares.fits(ConvTransposePlan((WindowAxis(9, 1, 1, 2**31, 0, 1),), 1, precision="float32"), 1)


@pytest.mark.parametrize(
    ("dtype", "channels", "chosen"),
    [("float32", 1, True), ("float16", 1, True), ("float32", 64, False), ("float32", 3, True), ("float16", 3, False)],
)
def test_the_kernel_that_is_chosen(dtype: str, channels: int, chosen: bool) -> None:
    plan = ConvTransposePlan((WindowAxis(8, 4, 4, 2, 1, 1),) * 2, 1, precision="float32")
    assert cuda._is_direct(plan, dtype, channels) == chosen


TILED, DIRECT, ADDED = "conv_weight", "conv_weight_direct", "conv_weight_shares"
FAULTS = [
    (TILED, "float32", "rest % g.small[axis] * g.stride[axis]", "rest % g.small[axis] * g.stride[AXES - 1 - axis]"),
    (TILED, "float32", "at[axis] < g.large[axis]", "at[axis] <= g.large[axis]"),
    (TILED, "float32", "if (cell >= g.cells) return -1;", "if (cell >= g.cells - 1) return -1;"),
    (TILED, "float32", "if (++unit < g.units) continue;", "if (++unit <= g.units) continue;"),
    (TILED, "float32", "places + (g.batch - at) * each", "places + at * each"),
    (TILED, "float32", "rows + i * 4 * STEP + word", "rows + i * 4 * STEP + (word + WIDE) % DEPTH"),
    (TILED, "float32", "  mover.put(slices);\n  __syncthreads();", "  mover.put(slices);"),
    (TILED, "float32", "taps, work, g);\n  __syncthreads();", "taps, work, g);"),
    (TILED, "float32", "taps, work, g);\n    __syncthreads();", "taps, work, g);"),
    (TILED, "float16", "word + k / 2 * 4];", "word + k % 2 * 4];"),
    (TILED, "float16", "(g.small_plane % CELLS == 0 && ", "("),
    (
        DIRECT,
        "float32",
        "carry = at[axis] >= g.small[axis - 1] ? 1 : 0;",
        "carry = at[axis] > g.small[axis - 1] ? 1 : 0;",
    ),
    (DIRECT, "float32", "cell.at[2] * g.stride[1]", "cell.at[2] * g.stride[2]"),
    (DIRECT, "float32", "z + g.low[0] >= 0", "z + g.low[0] >= -1"),
    (DIRECT, "float32", "wt >= 0 && wt < g.large[2]", "wt >= 0 && wt <= g.large[2]"),
    (DIRECT, "float32", "  }\n  __syncthreads();", "  }"),
    (ADDED, "float32", "(channel * g.reaching + place)", "(channel * g.reaching + tap)"),
    (
        ADDED,
        "float32",
        "(channel * g.outputs + output) * g.taps + tap",
        "(output * g.channels + channel) * g.taps + tap",
    ),
    (ADDED, "float32", "int first = 0;", "int first = 1;"),
    (TILED, "float32", "(n - 1) / g.slices", "n / g.slices"),
    (TILED, "float32", "if (has_group) made", "if (false) made"),
    (TILED, "float32", "if (has_all) made", "if (false) made"),
]


@faults_are_planted
@pytest.mark.parametrize(("file", "dtype", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch, file: str, dtype: str, old: str, new: str) -> None:
    monkeypatch.setattr(cuda, "_is_direct", lambda *_: file == DIRECT)
    monkeypatch.setattr(cuda, "_GROUP", 2)
    monkeypatch.setattr(cuda, "_run", lambda slices, *_: (2, 4 * -(-slices // 4)))
    cuda._launch.cache_clear()
    rng = np.random.default_rng(0)
    axes = (WindowAxis(5, 5, 7, 1, 6, 1), WindowAxis(16, 7, 3, 2, 0, 1), WindowAxis(20, 7, 4, 3, 1, 1))
    plan = ConvTransposePlan(axes, 2, precision="float32")
    x, y = whole(rng, dtype, 3, 6, *plan.small_shape), whole(rng, dtype, 3, 8, *plan.large_shape)
    want = portable.run(np, plan, x, y)
    caught = differs(file, (old, new), partial(cuda.run, np, plan, x, y), want)
    cuda._launch.cache_clear()
    assert caught
