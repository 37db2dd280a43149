"""upsample's transposed convolutions against live torch."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch_live as live
from dtypes import dtype_of

import upsample

DTYPES = (*live.FLOATS, "complex64", "complex128", "int64")
SPATIAL = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}
KERNELS = {1: (1, 3, 4), 2: ((2, 3), (3, 1)), 3: ((2, 1, 3), (1, 2, 2))}
# (stride, padding, output_padding, dilation)
GEOMETRIES: dict[int, tuple] = {
    1: ((1, 0, 0, 1), (2, 0, 0, 1), (2, 1, 1, 1), (3, 0, 2, 1), (1, 1, 1, 2), ((2,), (0,), (1,), (3,)), (3, 1, 0, 2)),
    2: ((1, 0, 0, 1), (2, 0, 1, 1), ((3, 2), (0, 1), (2, 0), 1), (2, 1, 1, 2), ((1, 2), 0, (0, 1), (2, 1)),
        (1, (1, 0), (0, 1), (1, 2)), (3, 0, 0, (1, 3))),
    3: ((1, 0, 0, 1), (2, 0, 1, 1), ((1, 2, 3), (0, 0, 1), (0, 1, 2), 1), (2, 0, (1, 0, 1), 2)),
}  # fmt: skip
GROUPS = ((1, 3), (2, 2), (4, 1))  # (groups, output channels a group), of 4 input channels
LEADING = {"batched": (2, 4), "unbatched": (4,)}


def out_sizes(rank: int, kernel: Any, geometry: tuple) -> list[int]:
    axes = (SPATIAL[rank], *(live.per_axis(v, rank) for v in (kernel, *geometry)))
    return [
        (n - 1) * s - 2 * p + d * (k - 1) + op + 1 for n, k, s, p, op, d in zip(*axes, strict=True)
    ]  # fmt: skip


# torch accepts some empty outputs in one dtype and refuses them in another: they are in no grid.
CASES = {
    rank: [
        (kernel, geometry, groups, bias)
        for kernel, geometry, groups, bias in itertools.product(KERNELS[rank], GEOMETRIES[rank], GROUPS, (False, True))
        if min(out_sizes(rank, kernel, geometry)) > 0
    ]
    for rank in (1, 2, 3)
}


def assert_conv_agrees(rank: int, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, *window: Any) -> None:
    """`window` is stride, padding, output_padding, groups, dilation, by position."""
    name = f"conv_transpose{rank}d"
    ours = getattr(upsample, name)(x, w, b, *window)
    if x.dtype == np.int64:
        live.assert_same_bits(ours, live.call(name, x, w, b, *window))
        return
    wide = [None if a is None else live.widened(a) for a in (x, w, b)]
    exact = live.call(name, *wide, *window)
    # What rounding is relative to: the sum of the magnitudes that make an output (finite ones).
    sizes = [None if a is None else np.where(np.isfinite(a), np.abs(a), 0.0) for a in wide]
    scale = live.call(name, *sizes, *window)
    if x.dtype.name in live.HALVES:
        live.assert_half_agrees(ours, exact, x.dtype, scale)
    else:
        live.assert_float_agrees(ours, live.call(name, x, w, b, *window), exact, scale)


def operands(rank: int, leading: tuple[int, ...], case: tuple, dtype: str, seed: int = 1) -> tuple:
    kernel, _, (groups, width), has_bias = case
    x = live.values((*leading, *SPATIAL[rank]), dtype, seed)
    w = live.values((leading[-1], width, *live.per_axis(kernel, rank)), dtype, seed + 1)
    b = live.values((groups * width,), dtype, seed + 2) if has_bias else None
    return x, w, b


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_grid(rank: int, leading: str, dtype: str) -> None:
    def check(case: tuple) -> None:
        stride, padding, output_padding, dilation = case[1]
        x, w, b = operands(rank, LEADING[leading], case, dtype)
        assert_conv_agrees(rank, x, w, b, stride, padding, output_padding, case[2][0], dilation)

    assert live.run_all(CASES[rank], check) == len(CASES[rank])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_names_and_defaults(rank: int) -> None:
    """torch's keywords, and each default on its own."""
    name = f"conv_transpose{rank}d"
    x, w, b = operands(rank, (2, 4), (2, None, (2, 3), True), "float64")
    for keywords in (
        {"groups": 2},
        {"groups": 2, "bias": b},
        {"groups": 2, "bias": None, "stride": 2, "output_padding": 1},
        {"groups": 2, "padding": 0, "dilation": 2},
        {"stride": [2] * rank, "padding": [0] * rank, "output_padding": (1,) * rank, "groups": 2},
    ):
        theirs = live.call(name, x, w, **keywords)
        ours = getattr(upsample, name)(x, w, **keywords)
        live.assert_float_agrees(ours, theirs, theirs, live.largest(theirs))
    by_name = getattr(upsample, name)(input=x, weight=w, groups=2)
    live.assert_float_agrees(by_name, theirs := live.call(name, x, w, groups=2), theirs, live.largest(theirs))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_windows(dtype: str) -> None:
    """More channels and larger windows than the grid's."""
    rng = np.random.default_rng(13)
    cases: list[tuple] = []
    while len(cases) < 150:
        rank = int(rng.integers(1, 4))
        spatial = tuple(int(n) for n in rng.integers(1, (30, 10, 6)[rank - 1], rank))
        kernel = tuple(int(n) for n in rng.integers(1, 6, rank))
        stride = tuple(int(n) for n in rng.integers(1, 5, rank))
        padding = tuple(int(n) for n in rng.integers(0, 4, rank))
        dilation = tuple(int(n) for n in rng.integers(1, 4, rank))
        extra = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
        axes = zip(spatial, kernel, stride, padding, extra, dilation, strict=True)
        if min((n - 1) * s - 2 * p + d * (k - 1) + op + 1 for n, k, s, p, op, d in axes) < 1:
            continue
        groups = int(rng.choice((1, 2, 3)))
        channels, width = groups * int(rng.integers(1, 9)), int(rng.integers(1, 9))
        cases.append((spatial, kernel, channels, width, (stride, padding, extra, groups, dilation)))

    def check(case: tuple) -> None:
        spatial, kernel, channels, width, window = case
        x = live.values((2, channels, *spatial), dtype, 3)
        w = live.values((channels, width, *kernel), dtype, 4)
        b = live.values((width * window[3],), dtype, 5)
        assert_conv_agrees(len(spatial), x, w, b, *window)

    assert live.run_all(cases, check) == 150


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_many_terms_in_half_precision_are_summed_in_float32(rank: int) -> None:
    """1,536 terms of like sign: a float16 accumulator would be tens of ulps off."""
    for dtype in live.HALVES:
        x = np.abs(live.values((1, 512, *(3,) * rank), dtype, 6))
        w = np.abs(live.values((512, 2, *(3,) * rank), dtype, 7))
        assert_conv_agrees(rank, x, w, None, 1, 1, 0, 1, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foreign_layouts(rank: int, dtype: str) -> None:
    x, w, b = operands(rank, (2, 4), (3, None, (2, 3), True), dtype)
    for mine, weight in itertools.product(live.layouts(x), live.layouts(w)):
        assert_conv_agrees(rank, mine, weight, b[::-1], 2, 1, 1, 2, 1)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_empty_batch(rank: int) -> None:
    x, w, b = operands(rank, (0, 4), (3, None, (2, 3), True), "float32")
    theirs = live.call(f"conv_transpose{rank}d", x, w, b, 2, 1, 1, 2)
    live.assert_same_bits(getattr(upsample, f"conv_transpose{rank}d")(x, w, b, 2, 1, 1, 2), theirs)


# ------------------------------------------------------------------------------------------ NaN and infinity

# (stride, padding, output_padding, groups, dilation)
REACH_WINDOWS = ((1, 0, 0, 1, 1), (2, 1, 1, 1, 1), (1, 1, 0, 2, 2), (3, 0, 2, 2, 1))
SPECIALS = {"NaN": np.nan, "+inf": np.inf, "-inf": -np.inf}


@pytest.mark.parametrize("zeros", [False, True], ids=["", "with-zeros"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nan_and_infinity_at_each_position(rank: int, dtype: str, zeros: bool) -> None:
    """One NaN, inf or -inf at each position of x (one a batch item), of the weight and of the bias.

    With zeros among the other operand's values: 0 * NaN and 0 * inf are NaN and must arrive.
    """
    spatial = SPATIAL[rank]
    kernel = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}[rank]
    batches = dict(live.special_batches((2, *spatial), dtype))
    plain = next(iter(batches.values()))[:1].copy()
    plain[~np.isfinite(plain)] = 1.0
    cases = [
        (where, special, at, window)
        for window in REACH_WINDOWS
        for special in SPECIALS
        for where, places in (("x", 1), ("weight", 2 * 2 * int(np.prod(kernel))), ("bias", 2 * window[3]))
        for at in range(0, places, 1 if rank < 3 else 5)
    ]

    def check(case: tuple) -> None:
        where, special, at, window = case
        x = batches[special] if where == "x" else plain.copy()
        w = live.values((2, 2, *kernel), dtype, 8)
        b = live.values((2 * window[3],), dtype, 9)
        if zeros:
            (w if where == "x" else x).reshape(-1)[::2] = 0
        if where != "x":
            (w if where == "weight" else b).reshape(-1)[at] = SPECIALS[special]
        theirs = live.call(f"conv_transpose{rank}d", x, w, b, *window)
        ours = getattr(upsample, f"conv_transpose{rank}d")(x, w, b, *window)
        live.assert_float_agrees(ours, theirs, theirs, 2 * 4 * 4 * int(np.prod(kernel)))

    assert live.run_all(cases, check) == len(cases)


@pytest.mark.parametrize("taken", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("asked", ["bfloat16", "float16"])
def test_autocast_converts_what_torch_converts(asked: str, taken: str) -> None:
    torch = live.torch
    made = torch.Generator().manual_seed(0)
    x = torch.randn((2, 3, 4, 5), generator=made).to(getattr(torch, taken))
    stays = taken == "float64"
    w, b = (
        torch.randn(shape, generator=made).to(x.dtype if stays else torch.float32) for shape in ((3, 2, 3, 3), (2,))
    )
    w.requires_grad_()
    with torch.autocast("cpu", dtype=getattr(torch, asked)):
        ours = upsample.conv_transpose2d(x, w, b, stride=2)
        theirs = torch.nn.functional.conv_transpose2d(x, w, b, stride=2)
    assert ours.dtype is theirs.dtype
    by_hand = upsample.conv_transpose2d(x.to(ours.dtype), w.to(ours.dtype), b.to(ours.dtype), stride=2)
    assert torch.equal(ours, by_hand)
    (grad,), (wanted,) = (torch.autograd.grad(y.sum(), w) for y in (ours, by_hand))
    assert grad.dtype is w.dtype
    assert torch.equal(grad, wanted)


def test_an_error_under_autocast_says_why_dtypes_differ() -> None:
    """float64 beside float32 is refused with float32 called bfloat16, which the user never wrote."""
    torch = live.torch
    x, w = torch.zeros((1, 2, 3, 3), dtype=torch.float64), torch.zeros((2, 1, 2, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for given in ((x, w), (w, x.reshape(2, 1, 3, 3))):
            with pytest.raises(TypeError, match=r"as torch\.autocast leaves float64 as it is"):
                upsample.conv_transpose2d(*given)
    with pytest.raises(TypeError, match=r"<dtype float32>.*input is float64[^,]*convert one"):
        upsample.conv_transpose2d(x, w)


# -------------------------------------------------------------------------------------- counts and faults


def test_grid_is_as_large_as_promised() -> None:
    assert sum(map(len, CASES.values())) * len(LEADING) * len(DTYPES) >= 2500


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_planted_fault_is_seen(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """A flipped kernel, a forgotten bias, swapped groups, 1 % off, one NaN: each is a failure."""
    case = ((2, 3), None, (2, 2), True)
    x, w, b = operands(2, (2, 4), case, dtype)
    window = (2, 1, 1, 2, 1)
    wide = [live.widened(a) for a in (x, w, b)] if dtype in live.HALVES else [x, w, b]

    def torch_with(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        return live.call("conv_transpose2d", x, w, b, *window).astype(dtype_of(dtype))

    good = torch_with(*wide)
    monkeypatch.setattr(upsample, "conv_transpose2d", lambda *_: good)
    assert_conv_agrees(2, x, w, b, *window)
    spoilt = good.copy()
    spoilt[1, 3, -1, -1] = 77 if dtype == "int64" else np.nan
    faults = [
        torch_with(wide[0], wide[1][..., ::-1], wide[2]),
        torch_with(wide[0], wide[1], None),
        torch_with(wide[0][:, [2, 3, 0, 1]], wide[1], wide[2]),
        (good * np.asarray(2 if dtype == "int64" else 1.02)).astype(good.dtype),
        spoilt,
        good[:1],
        good.astype({"complex64": "complex128", "complex128": "complex64", "float64": "float32"}.get(dtype, "float64")),
    ]
    for fault in faults:
        monkeypatch.setattr(upsample, "conv_transpose2d", lambda *_, fault=fault: fault)
        with pytest.raises(AssertionError):
            assert_conv_agrees(2, x, w, b, *window)
