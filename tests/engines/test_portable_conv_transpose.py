"""The portable transposed convolution of NumPy arrays: small products, blocks of every kind, numbers that are none."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import tolerances
from cases import CASES, Case

import upsample
from upsample.engines.portable import products
from upsample.engines.portable.conv_transpose import driver as portable
from upsample.engines.portable.conv_transpose import few_cells, im2col

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


@pytest.mark.parametrize("share_bytes", [1, 1 << 23])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_steps_of_cells_have_the_bits_of_steps_of_taps(
    monkeypatch: pytest.MonkeyPatch, axes: int, dtype: str, share_bytes: int
) -> None:
    """With zeros of both signs, NaN, infinity, padding, strides, dilation and windows that lie apart."""
    monkeypatch.setattr(portable, "_SMALL", 0)
    monkeypatch.setattr(portable, "_TAPS_BYTES", share_bytes)
    monkeypatch.setattr(few_cells, "_TAPS", 1)
    rng, by_cells, used = np.random.default_rng(axes), portable.goes_by_cells, 0

    def counted(axis: Any) -> bool:
        nonlocal used
        used += by_cells(axis)
        return by_cells(axis)

    for _ in range(60):
        kernel = tuple(int(n) for n in rng.choice([1, 3, 9, 20][: 5 - axes], axes))
        stride = tuple(int(rng.choice([1, 2, 3, n, n + 1])) for n in kernel)
        small = tuple(int(n) for n in rng.integers(1, 4, axes))
        groups, inputs = int(rng.integers(1, 3)), 1 if share_bytes == 1 else int(rng.integers(1, 4))
        x = rng.choice(np.asarray([-1.5, -0.0, 0.0, 0.7, 3.1], dtype), (2, groups * inputs, *small))
        weight = rng.standard_normal((groups * inputs, 2, *kernel)).astype(dtype)
        x.flat[0], weight.flat[-1] = rng.choice([np.inf, 1.0]), rng.choice([np.nan, -0.0])
        options = dict(stride=stride, padding=tuple(int(rng.integers(0, (n + 1) // 2)) for n in kernel), groups=groups)
        options["dilation"] = tuple(int(n) for n in rng.integers(1, 3, axes))
        results = []
        for rule in (counted, lambda axis: False):
            monkeypatch.setattr(portable, "goes_by_cells", rule)
            results.append(
                getattr(upsample, f"conv_transpose{axes}d")(x, weight, **options, engine="portable").tobytes()
            )
        assert results[0] == results[1], (x.shape, weight.shape, options)
    assert used > 10


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients_of_several_taps_at_once_have_the_bits_of_each_tap(
    monkeypatch: pytest.MonkeyPatch, axes: int, dtype: str
) -> None:
    """With padding, strides, dilation, weights that are not finite, and images enough for pairwise sums."""
    monkeypatch.setattr(im2col, "_MANY_TAPS", 0)
    rng, few, used = np.random.default_rng(axes), im2col.Columns.has_few_cells.fget, 0

    def counted(columns: im2col.Columns) -> bool:
        nonlocal used
        used += few(columns)
        return few(columns)

    for trial in range(40):
        monkeypatch.setattr(im2col, "_STACKED", int(rng.choice([1, 300, 1 << 18])))
        kernel = tuple(int(n) for n in rng.choice([1, 3, 9, 20][: 5 - axes], axes))
        stride = tuple(int(rng.choice([1, 2, 3, n])) for n in kernel)
        small = tuple(int(n) for n in rng.integers(1, 4, axes))
        groups, inputs, outputs = (int(n) for n in rng.integers(1, 4, 3))
        x = rng.standard_normal((int(rng.choice([2, 11])), groups * inputs, *small)).astype(dtype)
        weight = rng.standard_normal((groups * inputs, outputs, *kernel)).astype(dtype)
        weight.flat[-1] = rng.choice([np.inf, np.nan, 1.0])
        options = dict(stride=stride, padding=tuple(int(rng.integers(0, (n + 1) // 2)) for n in kernel), groups=groups)
        options["dilation"] = tuple(int(n) for n in rng.integers(1, 3, axes))
        op = partial(getattr(upsample, f"conv_transpose{axes}d"), **options, engine="portable")
        results = []
        for rule in (counted, lambda columns: False):
            monkeypatch.setattr(im2col.Columns, "has_few_cells", property(rule))
            y, pull = upsample.vjp(op, x, weight)
            grad = np.random.default_rng(trial).standard_normal(y.shape).astype(dtype)
            results.append([part.tobytes() for part in pull(grad)])
        assert results[0] == results[1], (x.shape, weight.shape, options)
    assert used > 10
