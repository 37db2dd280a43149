"""Long sums are sums of shares: one block makes a sum, or each share has a block, with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import tolerances
from cases import noise
from emulator.device import EmulatedDevice
from emulator.preloaded import SANITIZED
from emulator.trials import Faulty, faults_are_planted

import upsample
from upsample.engines.cuda.conv_transpose import driver
from upsample.engines.cuda.runtime.device import emulating
from upsample.precision import PRECISIONS

CHANNELS = 300
"""Three shares of a sum, of which the last one is not whole."""
KINDS = [("float64", "float32"), *(("float32", precision) for precision in PRECISIONS)]
KINDS = KINDS[1:2] if SANITIZED else KINDS
WINDOWS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((CHANNELS, 66, 2, 3), dict(padding=(0, 1))),
    ((CHANNELS, 5, 4, 4), dict(stride=2, padding=1)),
    ((2 * CHANNELS, 3, 2, 3), dict(stride=(2, 1), groups=2)),
]


@pytest.fixture(autouse=True)
def products(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(driver, "_is_direct", lambda *_: False)
    driver._launch.cache_clear()
    yield
    driver._launch.cache_clear()


def by(shares: bool, call: Callable[[], np.ndarray]) -> np.ndarray:
    """Make a call by blocks of whole sums alone, or of shares alone."""
    cuts, launch = driver._cuts, driver._launch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_cuts", lambda *given: [c for c in cuts(*given) if (c.shares > 1) == shares])
        launch.cache_clear()
        made = call()
    launch.cache_clear()
    return made


def values(window: int, dtype: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    shape, options = WINDOWS[window]
    return noise(2, shape[0], 3, 4, seed=1).astype(dtype), noise(*shape, seed=2).astype(dtype), options


@pytest.mark.parametrize("window", range(len(WINDOWS)))
@pytest.mark.parametrize(("dtype", "precision"), KINDS)
def test_shares_have_the_bits_of_whole_sums(gpu: EmulatedDevice, window: int, dtype: str, precision: str) -> None:
    x, weight, options = values(window, dtype)
    bias = noise(weight.shape[1] * options.get("groups", 1)).astype(dtype)
    call = partial(upsample.conv_transpose2d, x, weight, bias, **options, precision=precision)
    whole = by(False, partial(call, engine="cuda"))
    launched = len(gpu.launches)
    apart = by(True, partial(call, engine="cuda"))
    assert [launch.kernel.entry for launch in gpu.launches[launched:]] == ["arrange", "multiply", "multiply"]
    np.testing.assert_array_equal(apart, whole)
    if precision != "tf32":
        tolerances.assert_close(whole, call(engine="portable").astype(np.float64), exact=False)


def test_gradients_by_the_input_have_shares_too(gpu: EmulatedDevice) -> None:
    x = noise(1, 8, 5, 6).astype("float32")
    weight = noise(8, CHANNELS, 3, 3).astype("float32")
    gradients = []
    for engine, shares in (("cuda", False), ("cuda", True), ("portable", False)):
        y, pull = upsample.vjp(partial(upsample.conv_transpose2d, padding=1, engine=engine), x, weight)
        gradients.append(by(shares, lambda p=pull, y=y: p(np.ones_like(y))[0]))
    np.testing.assert_array_equal(gradients[0], gradients[1])
    tolerances.assert_close(gradients[0], gradients[2].astype(np.float64), exact=False)


def test_infinity_and_nan_reach_no_other_position() -> None:
    x, weight, options = values(0, "float32")
    weight[3, 1, 0, 0], x[0, 7, 1, 1], x[1, 8, 2, 0] = np.inf, np.nan, np.inf
    call = partial(upsample.conv_transpose2d, x, weight, **options)
    with emulating(EmulatedDevice(order=7)), np.errstate(invalid="ignore"):
        want = call(engine="portable").astype(np.float64)
        for shares in (False, True):
            tolerances.assert_close(by(shares, partial(call, engine="cuda")), want, exact=False)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_batch_of_one_has_the_bits_of_the_whole(precision: str) -> None:
    """On a GPU of 132 multiprocessors the small grid is cut into shares, and the large one is not."""
    gpu = EmulatedDevice(order=1, processors=132)
    x, weight = noise(12, 640, 4, 4, seed=3).astype("float32"), noise(640, 16, 2, 2, seed=4).astype("float32")
    call = partial(upsample.conv_transpose2d, weight=weight, precision=precision, engine="cuda")
    with emulating(gpu), pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_SECOND_LAUNCH", 0)
        alone = call(x[3:4])
        assert [launch.kernel.entry for launch in gpu.launches].count("multiply") == 2
        gpu.launches.clear()
        patch.setattr(driver, "_SECOND_LAUNCH", 1 << 60)
        whole = call(x)
        assert [launch.kernel.entry for launch in gpu.launches].count("multiply") == 1
    np.testing.assert_array_equal(whole[3:4], alone)


@faults_are_planted
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int first_part = SPLIT == 1 ? share * SHARE : 0;", "int first_part = 0;"),
        ("(tile * g.shares + share) * SUMS_OF_BLOCK", "(tile * g.shares) * SUMS_OF_BLOCK"),
    ],
)
def test_planted_faults_are_found(old: str, new: str) -> None:
    x, weight, options = values(0, "float32")
    call = partial(upsample.conv_transpose2d, x, weight, **options, engine="cuda")
    with emulating(EmulatedDevice()):
        want = by(True, call)
    with emulating(Faulty("conv_transpose", (old, new), 0)):
        assert (by(True, call) != want).any()


@faults_are_planted
def test_totals_that_are_not_kept_are_found() -> None:
    x, weight, options = values(0, "float32")
    call = partial(upsample.conv_transpose2d, x, weight, **options, engine="cuda")
    with emulating(EmulatedDevice()):
        want = by(False, call)
    with emulating(Faulty("conv_transpose", ("if (from > first_part) add_totals", "if (false) add_totals"), 0)):
        assert (by(False, call) != want).any()
