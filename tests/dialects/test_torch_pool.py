"""upsample's max pools against live torch: values and indices bit for bit."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch_live as live
from dtypes import dtype_of

import upsample

SPATIAL = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
LEADING = {"batched": (2, 3), "unbatched": (3,)}
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
KERNELS = {1: (1, 2, 3, (4,)), 2: (2, 3, (3, 2), (1, 4)), 3: (2, 3, (2, 1, 3))}
STRIDES = {1: (None, 1, 3, (2,)), 2: (None, 1, (2, 3), 3), 3: (None, 1, (1, 2, 3))}
DILATIONS = {1: (1, 2, (3,)), 2: (1, 2, (1, 3)), 3: (1, 2, (2, 1, 1))}


def pool_cases(rank: int) -> list[tuple]:
    """(kernel, stride, padding, dilation, ceil_mode): every window that fits and has an element."""
    cases = []
    for kernel, stride, dilation, ceil_mode in itertools.product(
        KERNELS[rank], STRIDES[rank], DILATIONS[rank], (False, True)
    ):
        for padding in {0, 1, tuple(k // 2 for k in live.per_axis(kernel, rank))}:
            if max(live.per_axis(padding, rank)) > 0 and any(
                2 * p > k for p, k in zip(live.per_axis(padding, rank), live.per_axis(kernel, rank), strict=True)
            ):
                continue
            window = (kernel, kernel if stride is None else stride, padding, dilation)
            out = [
                live.pool_out(n, k, s, p, d, ceil_mode)
                for n, k, s, p, d in zip(SPATIAL[rank], *(live.per_axis(w, rank) for w in window), strict=True)
            ]
            if min(out) > 0 and not live.has_empty_window(SPATIAL[rank], tuple(out), window):
                cases.append((kernel, stride, padding, dilation, ceil_mode))
    return cases


CASES = {rank: pool_cases(rank) for rank in (1, 2, 3)}


def with_ties_and_specials(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Few distinct values, so that most windows have ties; floats with NaN, infinities and -0.0 too."""
    rng = np.random.default_rng([11, *shape])
    x = rng.integers(0, 4, shape).astype(dtype_of(dtype))
    if dtype in live.FLOATS:
        x = x - np.asarray(2, x.dtype)
        for special in (np.nan, np.inf, -np.inf, -0.0):
            x[rng.random(shape) < 0.06] = special
    return x


def assert_same_pool(name: str, x: np.ndarray, *args: Any, **kwargs: Any) -> None:
    theirs = live.call(name, x, *args, **kwargs)
    ours = getattr(upsample, name)(x, *args, **kwargs)
    if not isinstance(theirs, tuple):
        live.assert_same_bits(ours, theirs)
        return
    assert isinstance(ours, tuple), f"got a {type(ours).__name__}, torch returns a pair"
    assert len(ours) == 2
    live.assert_same_bits(ours[0], theirs[0])
    live.assert_same_bits(ours[1], theirs[1])


@pytest.mark.parametrize("dtype", [*live.FLOATS, *INTEGERS])
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_grid_with_indices(rank: int, leading: str, dtype: str) -> None:
    x = with_ties_and_specials((*LEADING[leading], *SPATIAL[rank]), dtype)

    def check(case: tuple) -> None:
        assert_same_pool(f"max_pool{rank}d", x, *case, return_indices=True)

    assert live.run_all(CASES[rank], check) == len(CASES[rank])


# torch's max_pool1d takes integers only with return_indices=True.
@pytest.mark.parametrize(
    ("rank", "dtype"),
    [*itertools.product((1, 2, 3), live.FLOATS), *itertools.product((2, 3), ("int32", "uint8"))],
)
def test_grid_without_indices(rank: int, dtype: str) -> None:
    x = with_ties_and_specials((2, 3, *SPATIAL[rank]), dtype)

    def check(case: tuple) -> None:
        assert_same_pool(f"max_pool{rank}d", x, *case)

    assert live.run_all(CASES[rank], check) == len(CASES[rank])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_with_indices_names(rank: int, dtype: str) -> None:
    """max_pool*_with_indices returns the pair, whatever return_indices says."""
    x = live.values((2, 3, *SPATIAL[rank]), dtype, seed=1)

    def check(case: tuple) -> None:
        kernel, stride, padding, dilation, ceil_mode = case
        assert_same_pool(
            f"max_pool{rank}d_with_indices",
            x,
            kernel_size=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )

    live.run_all(CASES[rank][::4], check)
    assert_same_pool(f"max_pool{rank}d_with_indices", x, 2, None, 0, 1, False, True)
    assert_same_pool(f"max_pool{rank}d", x, 2, None, 0, 1, False, True)
    assert_same_pool(f"max_pool{rank}d", x, 2, None, 0, 1, False, False)


def test_random_windows() -> None:
    """Larger inputs and windows than the grid's."""
    rng = np.random.default_rng(3)
    cases: list[tuple] = []
    while len(cases) < 250:
        rank = int(rng.integers(1, 4))
        spatial = tuple(int(n) for n in rng.integers(1, (40, 16, 8)[rank - 1], rank))
        kernel = tuple(int(k) for k in rng.integers(1, 6, rank))
        stride = tuple(int(s) for s in rng.integers(1, 6, rank))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        dilation = tuple(int(d) for d in rng.integers(1, 4, rank))
        ceil_mode = bool(rng.integers(2))
        axes = zip(spatial, kernel, stride, padding, dilation, strict=True)
        out = tuple(live.pool_out(*axis, ceil_mode) for axis in axes)
        window = (kernel, stride, padding, dilation)
        if min(out) > 0 and not live.has_empty_window(spatial, out, window):
            cases.append((rank, (2, 2, *spatial), *window, ceil_mode))

    def check(case: tuple) -> None:
        rank, shape, *window = case
        x = with_ties_and_specials(shape, "float32")
        assert_same_pool(f"max_pool{rank}d", x, *window, return_indices=True)

    assert live.run_all(cases, check) == 250


# --------------------------------------------------------------------------------------------- adaptive

ADAPTIVE = {
    1: (1, 2, 5, 9, 12, (4,)),
    2: (1, 3, (7, 6), (4, 9), (2, 5), (None, 4), (3, None), (None, None), 10),
    3: (1, 3, (5, 4, 6), (2, 3, 5), (None, 2, 3), (4, None, None), 7),
}


@pytest.mark.parametrize("dtype", live.FLOATS)
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_grid(rank: int, leading: str, dtype: str) -> None:
    shape = (*LEADING[leading], *SPATIAL[rank])
    cases = list(itertools.product(ADAPTIVE[rank], (False, True), ("plain", "ties")))
    cases += [(out, True, "with_indices") for out in ADAPTIVE[rank]]

    def check(case: tuple) -> None:
        out, return_indices, kind = case
        x = live.values(shape, dtype, seed=2) if kind == "plain" else with_ties_and_specials(shape, dtype)
        if kind == "with_indices":
            assert_same_pool(f"adaptive_max_pool{rank}d_with_indices", x, out)
        else:
            assert_same_pool(f"adaptive_max_pool{rank}d", x, out, return_indices)

    assert live.run_all(cases, check) == len(cases)


# ------------------------------------------------------------------------------- NaN, -inf, ties, layouts


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nan_and_infinity_at_each_position(rank: int, dtype: str) -> None:
    """One NaN, inf or -inf at each position in turn (one a batch item), overlapping windows included."""
    windows = ((2, None, 0), (3, 1, 1), (2, 1, 0), (3, 2, 1))
    shape = (1, *((6,), (4, 3), (3, 3, 2))[rank - 1])
    cases = [
        (special, window, indices)
        for special, _ in live.special_batches(shape, dtype)
        for window in windows
        for indices in (False, True)
        if shape[-1] + 2 * window[2] >= window[0]
    ]
    batches = dict(live.special_batches(shape, dtype))

    def check(case: tuple) -> None:
        special, window, indices = case
        assert_same_pool(f"max_pool{rank}d", batches[special], *window, return_indices=indices)
        if window[2] == 0 and indices:
            assert_same_pool(f"adaptive_max_pool{rank}d", batches[special], window[0], True)

    live.run_all(cases, check)


def test_the_last_nan_of_a_window_has_the_index() -> None:
    x = np.array([[[1.0, np.nan, 3.0, np.nan, 2.0, 7.0]]], dtype=np.float32)
    _, indices = upsample.max_pool1d(x, 6, return_indices=True)
    assert indices.tolist() == [[[3]]]
    assert_same_pool("max_pool1d", x, 6, return_indices=True)


def test_the_first_of_equals_has_the_index() -> None:
    x = np.array([[[2.0, 5.0, 5.0, 5.0]]])
    assert upsample.max_pool1d(x, 4, return_indices=True)[1].tolist() == [[[1]]]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_minus_infinity_everywhere(rank: int) -> None:
    """A window of -inf has its first element's index; padding never wins."""
    x = np.full((1, 2, *SPATIAL[rank]), -np.inf, dtype=np.float32)
    for window in ((2, None, 0), (3, 1, 1), (3, 2, 1)):
        assert_same_pool(f"max_pool{rank}d", x, *window, return_indices=True)
    assert_same_pool(f"adaptive_max_pool{rank}d", x, 3, True)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_smallest_integer_everywhere(rank: int, dtype: str) -> None:
    """Padding counts as the dtype's lowest value and never wins; so do both ends of the range."""
    info = np.iinfo(dtype)
    for fill in (info.min, info.max):
        x = np.full((1, 2, *SPATIAL[rank]), fill, dtype=dtype)
        assert_same_pool(f"max_pool{rank}d", x, 3, 2, 1, return_indices=True)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foreign_layouts(rank: int) -> None:
    plain = with_ties_and_specials((2, 3, *SPATIAL[rank]), "float32")
    expected = live.call(f"max_pool{rank}d", plain, 3, 2, 1, return_indices=True)
    for x in live.layouts(plain):
        ours = getattr(upsample, f"max_pool{rank}d")(x, 3, 2, 1, return_indices=True)
        live.assert_same_bits(ours[0], expected[0])
        live.assert_same_bits(ours[1], expected[1])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_empty_batch(rank: int) -> None:
    x = np.empty((0, 3, *SPATIAL[rank]), dtype=np.float32)
    assert_same_pool(f"max_pool{rank}d", x, 2, return_indices=True)
    assert_same_pool(f"adaptive_max_pool{rank}d", x, 2, True)


# ----------------------------------------------------------------------- stricter than torch, on purpose


@pytest.mark.parametrize(
    ("n", "window"),
    [(1, (2, 2, 1, 2, False)), (2, (2, 1, 1, 3, False)), (3, (2, 3, 1, 5, True))],
)
def test_a_window_with_no_element_is_refused(n: int, window: tuple) -> None:
    """torch gives -inf and an index outside the input, and its backward then corrupts memory."""
    x = np.ones((1, 1, n), dtype=np.float32)
    out = (live.pool_out(n, *window),)
    if out[0] < 1 or not live.has_empty_window((n,), out, window[:4]):
        pytest.fail("this case has no empty window")
    theirs = live.call("max_pool1d", x, *window, return_indices=True)
    assert np.isneginf(theirs[0]).any()
    for indices in (False, True):
        with pytest.raises(ValueError, match=r"^max_pool1d"):
            upsample.max_pool1d(x, *window, return_indices=indices)


# -------------------------------------------------------------------------------------- counts and faults


def test_grid_is_as_large_as_promised() -> None:
    dtypes = len(live.FLOATS) + len(INTEGERS)
    calls = sum(len(CASES[rank]) for rank in (1, 2, 3)) * len(LEADING) * dtypes
    assert calls >= 2000
    for rank in (1, 2, 3):  # nothing that matters was filtered away
        assert {c[4] for c in CASES[rank]} == {False, True}
        assert {c[3] for c in CASES[rank]} == set(DILATIONS[rank])
        assert {c[0] for c in CASES[rank]} == set(KERNELS[rank])


def test_a_planted_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later tie's index, a NaN for a number, indices of another dtype, no pair: each is a failure."""
    x = with_ties_and_specials((2, 3, *SPATIAL[2]), "float32")
    y, indices = live.call("max_pool2d", x, 2, return_indices=True)
    other, spoilt = indices.copy(), y.copy()
    other[0, 0, 0, 0] += 1
    spoilt[-1, -1, -1, -1] = np.nan if not np.isnan(y[-1, -1, -1, -1]) else 0
    faults = [(y, other), (spoilt, indices), (y, indices.astype(np.int32)), y, (y[..., :1], indices[..., :1])]
    for fault in faults:
        monkeypatch.setattr(upsample, "max_pool2d", lambda *_, fault=fault, **__: fault)
        with pytest.raises(AssertionError):
            assert_same_pool("max_pool2d", x, 2, return_indices=True)
