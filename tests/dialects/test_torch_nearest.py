"""Which sample nearest and nearest-exact take, against torch: all pairs of sizes up to 300, and drawn factors."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch_live as live

import upsample
from upsample.functional.interpolate import _plan
from upsample.plans.taps import taps_between

LARGEST = 300
KNOWN = ((2, 41), (2, 47), (2, 55), (4, 82))
"""Sizes of which ``floor((i + 1/2) * n / o)`` in float32 takes a sample too low."""
STRIDE = 1 if "UPSAMPLE_FUZZ_EXAMPLES" in os.environ else 5
"""Sizes from one to the next where no fault was ever seen: all pairs of all dtypes take a minute."""


def by_torch(n: int, mode: str, dtype: str, **size: float) -> np.ndarray:
    """The samples that torch takes: its 1-D result of the numbers of the samples."""
    line = live.torch.arange(n, dtype=getattr(live.torch, dtype)).reshape(1, 1, n)
    return live.torch.nn.functional.interpolate(line, mode=mode, **size).numpy().reshape(-1)


def by_plan(n: int, mode: str, dtype: str, *, size: int | None = None, scale_factor: float | None = None) -> np.ndarray:
    """The samples that our plan takes; a public call of each pair would take a minute."""
    sizes, scales = (None if size is None else (size,)), (None if scale_factor is None else (scale_factor,))
    rule = _plan.__wrapped__("interpolate", (n,), sizes, scales, mode, False, False, False, dtype).rules[0]
    return taps_between(rule, 0, rule.out_size).first


def drawn_factors(count: int) -> Iterator[tuple[int, float]]:
    rng = np.random.default_rng(3)
    for _ in range(count):
        n = int(rng.integers(1, LARGEST + 1))
        kinds = (rng.uniform(0.1, 5.0), rng.integers(1, 9) / rng.integers(1, 9), round(rng.uniform(0.1, 5.0), 1))
        factor = float(kinds[rng.integers(3)])
        if n * factor >= 1.0:
            yield n, factor


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_every_pair_of_sizes(mode: str, dtype: str) -> None:
    stride = 1 if (mode, dtype) == ("nearest-exact", "float32") else STRIDE
    for n in range(1, LARGEST + 1, stride):
        for o in range(1, LARGEST + 1):
            ours, theirs = by_plan(n, mode, dtype, size=o), by_torch(n, mode, dtype, size=o)
            assert (ours == theirs).all(), (n, o, ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_drawn_factors(mode: str, dtype: str) -> None:
    for n, factor in drawn_factors(3000):
        ours = by_plan(n, mode, dtype, scale_factor=factor)
        theirs = by_torch(n, mode, dtype, scale_factor=factor)
        assert np.array_equal(ours, theirs), (n, factor, ours, theirs)


@pytest.mark.parametrize("engine", ["cpu", "portable"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", live.DTYPES)
def test_sizes_that_float32_takes_wrong(dtype: str, rank: int, engine: str) -> None:
    """In each dtype and rank; torch's own 2-D result differs from its 1-D one here."""
    for n, o in KNOWN:
        line = np.arange(n).astype(live.dtype_of(dtype))
        x = line.reshape(1, 1, *(1,) * (rank - 1), n)
        ours = upsample.interpolate(x, size=(*(1,) * (rank - 1), o), mode="nearest-exact", engine=engine)
        theirs = live.call("interpolate", line.reshape(1, 1, n), size=o, mode="nearest-exact")
        live.assert_same_bits(ours.reshape(theirs.shape), theirs)


def test_torch_contradicts_itself_between_1d_and_2d_nearest_exact() -> None:
    """Results of at most 128 rows and columns take another of torch's loops, which is a sample off at a border."""
    line = np.asarray([0.0, 1.0], np.float32)
    one, two = line.reshape(1, 1, 2), line.reshape(1, 1, 1, 2)
    assert live.call("interpolate", one, size=41, mode="nearest-exact")[0, 0, 20] == 1.0  # floor(20.5 * 2 / 41) is 1
    assert live.call("interpolate", two, size=(1, 41), mode="nearest-exact")[0, 0, 0, 20] == 0.0
    assert live.call("interpolate", two, size=(100, 41), mode="nearest-exact")[0, 0, 0, 20] == 1.0
    for x, size in ((one, 41), (two, (1, 41)), (two, (100, 41))):
        ours = upsample.interpolate(x, size=size, mode="nearest-exact")
        assert (ours[..., 20] == 1.0).all()
