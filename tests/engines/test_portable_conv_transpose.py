"""The portable transposed convolution of NumPy arrays: small products, blocks of every kind, numbers that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from cases import CASES, Case

import upsample
from upsample.engines.portable import products
from upsample.engines.portable.conv_transpose import driver as portable

SPREADS = [case for case in CASES if "conv_transpose" in case.id]
NUMBERS = [(3, 7), (5, 60), (128, 1 << 18)]
"""Terms of a sum in a product, and multiplications of one."""


@pytest.mark.parametrize("share_bytes", [1, 1 << 10, 1 << 22])
@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
@pytest.mark.parametrize("case", SPREADS, ids=repr)
def test_blocks_of_any_size_agree_with_the_reference(
    monkeypatch: pytest.MonkeyPatch, case: Case, numbers: tuple[int, int], share_bytes: int
) -> None:
    for name, value in zip(("_DEPTH", "ONE_THREAD"), numbers, strict=True):
        monkeypatch.setattr(products, name, value)
    monkeypatch.setattr(products, "_VECTOR", numbers[1])
    monkeypatch.setattr(portable, "_SHARES_BYTES", share_bytes)
    monkeypatch.setattr(portable, "_FEW_CHANNELS", 2)
    monkeypatch.setattr(portable, "_SMALL", 0)
    monkeypatch.setattr(portable, "WORTH_SHARING", 0)
    got = case.function(*case.arrays, **case.options, engine="portable")
    tolerances.assert_close(got, case.expected(*case.arrays), exact=False)


@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((2, 64, 37, 41), (64, 50, 2, 2), dict(stride=2)),
        ((1, 64, 64, 64), (64, 33, 3, 3), dict(stride=2, padding=1, output_padding=1)),
        ((1, 96, 9, 8), (96, 33, 4, 4), dict(stride=2, padding=1)),
        ((2, 64, 33, 31), (64, 1, 4, 4), dict(stride=2, padding=1, groups=64)),
        ((1, 32, 8, 9, 10), (32, 16, 2, 2, 2), dict(stride=2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("special", [False, True])
def test_agrees_with_torch(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], special: bool
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s, dtype=np.float32) for s in (shape, weight))
    bias = rng.standard_normal(weight[1] * options.get("groups", 1), dtype=np.float32)
    if special:
        x.flat[5], x.flat[-1], w.flat[3] = np.inf, np.nan, np.nan
    name = f"conv_transpose{len(shape) - 2}d"
    given = (torch.from_numpy(a).double() for a in (x, w, bias))
    want = getattr(torch.nn.functional, name)(*given, **options).numpy()
    got = getattr(upsample, name)(x, w, bias, **options, engine="portable")
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
