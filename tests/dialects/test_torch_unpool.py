"""upsample's max_unpool against live torch (in one thread: with two, its duplicates race)."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch_live as live

import upsample

SPATIAL = {1: (5,), 2: (3, 4), 3: (2, 3, 2)}
LEADING = {"batched": (2, 3), "unbatched": (3,)}
# (kernel, stride, padding)
WINDOWS = {
    1: ((2, None, 0), (3, 2, 0), (3, 2, 1), (2, 3, 0), (3, 1, 1), (4, (3,), (2,)), (1, 1, 0)),
    2: ((2, None, 0), (3, 2, 1), ((3, 2), (2, 3), (1, 0)), (2, (1, 3), 0), ((4, 3), 3, 1), (1, 2, 0)),
    3: ((2, None, 0), (3, 2, 1), ((2, 3, 1), (2, 1, 3), 0), (3, (1, 2, 2), (0, 1, 1))),
}


def default_size(rank: int, window: tuple) -> tuple[int, ...]:
    kernel, stride, padding = (live.per_axis(w, rank) for w in (window[0], window[1] or window[0], window[2]))
    return tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(SPATIAL[rank], kernel, stride, padding, strict=True))


def output_sizes(rank: int, window: tuple) -> list[tuple[int, ...] | None]:
    """The default, and every size strictly within a stride of it (three of them where there are many)."""
    stride = live.per_axis(window[1] or window[0], rank)
    default = default_size(rank, window)
    ranges = [range(max(d - s + 1, 1), d + s) for d, s in zip(default, stride, strict=True)]
    sizes = list(itertools.product(*ranges))
    picked = [sizes[0], sizes[len(sizes) // 2], sizes[-1], sizes[len(sizes) // 3]]
    return [None, *dict.fromkeys(picked)]


def cases_of(rank: int) -> list[tuple]:
    return [
        (window, size, full)
        for window in WINDOWS[rank]
        for size in output_sizes(rank, window)
        for full in ((False, True) if size else (False,))
    ]


CASES = {rank: cases_of(rank) for rank in (1, 2, 3)}


def random_indices(shape: tuple[int, ...], plane: int, seed: int) -> np.ndarray:
    """Flat positions in the output plane, with many duplicates: from half of the plane only."""
    rng = np.random.default_rng([seed, *shape])
    allowed = rng.permutation(plane)[: max(1, plane // 2)]
    return rng.choice(allowed, shape).astype(np.int64)


def assert_same_unpool(rank: int, x: np.ndarray, indices: np.ndarray, *args: Any, **kwargs: Any) -> None:
    theirs = live.call(f"max_unpool{rank}d", x, indices, *args, **kwargs)
    live.assert_same_bits(getattr(upsample, f"max_unpool{rank}d")(x, indices, *args, **kwargs), theirs)


@pytest.mark.parametrize("dtype", live.FLOATS)
@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_grid_of_random_indices_with_duplicates(rank: int, leading: str, dtype: str) -> None:
    """Of duplicates the last in row-major order stays, whatever window the call describes."""
    shape = (*LEADING[leading], *SPATIAL[rank])

    def check(case: tuple) -> None:
        window, size, full = case
        plane = int(np.prod(size or default_size(rank, window)))
        output_size = (7, 9, *size) if full else size  # the N and C of a full size are ignored
        for seed in (0, 1):
            x, indices = live.values(shape, dtype, seed), random_indices(shape, plane, seed)
            assert_same_unpool(rank, x, indices, *window, output_size)

    assert live.run_all(CASES[rank], check) == len(CASES[rank])


@pytest.mark.parametrize("dtype", live.FLOATS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_what_a_pool_returned(rank: int, dtype: str) -> None:
    """Pool with torch, unpool with both, to the pool's input size; NaN, infinities and -0.0 move too."""
    spatial = {1: (11,), 2: (7, 10), 3: (5, 6, 7)}[rank]
    x = live.values((2, 3, *spatial), dtype, seed=4)
    for k, special in enumerate((np.nan, np.inf, -np.inf, -0.0)):
        x[:, k % 3].reshape(2, -1)[:, 3 * k] = special

    def check(case: tuple) -> None:
        window, ceil_mode = case
        y, indices = live.call(f"max_pool{rank}d", x, *window, 1, ceil_mode, return_indices=True)
        if not ceil_mode:
            assert_same_unpool(rank, y, indices, *window, output_size=spatial)
            assert_same_unpool(rank, y, indices, *window, output_size=x.shape)
            assert_same_unpool(rank, y, indices, *window, output_size=list(spatial))
        elif all(n % 2 == 0 for n in spatial):
            assert_same_unpool(rank, y, indices, *window)

    windows = [(2, None, 0), (2, 2, 0), (3, 2, 1), (3, 1, 1), (1, 1, 0)]
    live.run_all(itertools.product(windows, (False, True)), check)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_after_a_dilated_pool(rank: int) -> None:
    """max_unpool has no dilation; indices that lie outside its windows are positions all the same."""
    spatial = {1: (13,), 2: (12, 11), 3: (9, 10, 9)}[rank]
    x = live.values((2, 3, *spatial), "float32", seed=5)
    y, indices = live.call(f"max_pool{rank}d", x, 2, 2, 0, 3, return_indices=True)
    for window in ((2, 2, 0), (4, 3, 0)):
        size = [(n - 1) * window[1] + window[0] for n in y.shape[2:]]
        clipped = indices % int(np.prod(size))
        assert_same_unpool(rank, y, clipped, *window)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_indices_of_any_integer_dtype(rank: int, dtype: str) -> None:
    """An extension: torch takes int64 alone, and the result is that of int64."""
    shape = (2, 3, *SPATIAL[rank])
    x = live.values(shape, "float32", seed=6)
    indices = random_indices(shape, int(np.prod(default_size(rank, (2, None, 0)))), 6)
    with pytest.raises(RuntimeError):
        live.call(f"max_unpool{rank}d", x, indices.astype(dtype), 2)
    theirs = live.call(f"max_unpool{rank}d", x, indices, 2)
    live.assert_same_bits(getattr(upsample, f"max_unpool{rank}d")(x, indices.astype(dtype), 2), theirs)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_values_of_integer_dtype(rank: int, dtype: str) -> None:
    """An extension: torch takes floats alone; small integers go through its float64."""
    shape = (2, 3, *SPATIAL[rank])
    x = live.values(shape, dtype, seed=7)
    indices = random_indices(shape, int(np.prod(default_size(rank, (2, None, 0)))), 7)
    theirs = live.call(f"max_unpool{rank}d", x.astype(np.float64), indices, 2).astype(dtype)
    live.assert_same_bits(getattr(upsample, f"max_unpool{rank}d")(x, indices, 2), theirs)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foreign_layouts(rank: int) -> None:
    shape = (2, 3, *SPATIAL[rank])
    x = live.values(shape, "float64", seed=8)
    indices = random_indices(shape, int(np.prod(default_size(rank, (3, 2, 1)))), 8)
    expected = live.call(f"max_unpool{rank}d", x, indices, 3, 2, 1)
    for mine, where in itertools.product(live.layouts(x), live.layouts(indices)):
        live.assert_same_bits(getattr(upsample, f"max_unpool{rank}d")(mine, where, 3, 2, 1), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_empty_batch(rank: int) -> None:
    shape = (0, 3, *SPATIAL[rank])
    assert_same_unpool(rank, np.empty(shape, np.float32), np.empty(shape, np.int64), 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_nan_and_infinity_at_each_position(rank: int, dtype: str) -> None:
    shape = (1, *((5,), (3, 2), (2, 2, 2))[rank - 1])
    for _, x in live.special_batches(shape, dtype):
        plane = int(np.prod([2 * n for n in shape[1:]]))
        indices = random_indices(x.shape, plane, 9)
        assert_same_unpool(rank, x, indices, 2)


def test_grid_is_as_large_as_promised() -> None:
    calls = 2 * sum(map(len, CASES.values())) * len(LEADING) * len(live.FLOATS)
    assert calls >= 2000
    assert live.torch.get_num_threads() == 1


def test_a_planted_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """First write wins, adding instead of overwriting, -0.0 for 0.0: each is a failure."""
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    indices = np.array([[[[6, 6], [0, 0]]]])
    good = live.call("max_unpool2d", x, indices, 2)
    assert (good[0, 0, 1, 2], good[0, 0, 0, 0]) == (2.0, 4.0)
    first, added, negative = good.copy(), good.copy(), good.copy()
    first[0, 0, 1, 2], added[0, 0, 1, 2], negative[0, 0, 3, 3] = 1.0, 3.0, -0.0
    for fault in (first, added, negative, good.astype(np.float32), good[0], good.swapaxes(2, 3)):
        monkeypatch.setattr(upsample, "max_unpool2d", lambda *_, fault=fault, **__: fault)
        with pytest.raises(AssertionError):
            assert_same_unpool(2, x, indices, 2)
