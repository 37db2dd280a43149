"""upsample.interpolate against live torch: every mode, dtype and rank, each way to give the size."""

import numpy as np
import pytest
import torch_live as live

import upsample

GRID = [
    pytest.param(mode, rank, antialias, dtype, id=f"{mode}-{rank}d-{'antialias-' * antialias}{dtype}")
    for mode, rank, antialias in live.INTERPOLATE_MODES
    for dtype in live.DTYPES
    if live.torch_takes(mode, rank, dtype)
]


@pytest.mark.parametrize(("mode", "rank", "antialias", "dtype"), GRID)
def test_grid(mode: str, rank: int, antialias: bool, dtype: str) -> None:
    def check(case: tuple) -> None:
        shape, keywords = case
        x = live.values(shape, dtype, seed=1)
        live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)

    cases = live.interpolate_cases(mode, rank, antialias)
    assert live.run_all(cases, check) == len(cases)


def test_grid_is_as_large_as_promised() -> None:
    assert live.torch.__version__.split("+")[0] == "2.13.0"
    assert live.torch.get_num_threads() == 1
    calls = sum(len(live.interpolate_cases(*param.values[:3])) for param in GRID)
    assert calls >= 9000
    reached = {(*p.values[:3], keywords.get("align_corners"), keywords.get("recompute_scale_factor"))
               for p in GRID for _, keywords in live.interpolate_cases(*p.values[:3])}  # fmt: skip
    assert len(reached) == 3 * sum(len(live.aligns(mode)) for mode, _, _ in live.INTERPOLATE_MODES)


# ---------------------------------------------------------------------------------- larger, and one by one


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_random_sizes(mode: str, rank: int, antialias: bool, dtype: str) -> None:
    """Sizes up to 40 and factors that are no round number."""
    if not live.torch_takes(mode, rank, dtype):
        dtype = "float32"
    rng = np.random.default_rng([rank, antialias, *mode.encode()])
    cases = []
    for _ in range(12):
        spatial = tuple(int(n) for n in rng.integers(2, (200, 40, 12)[rank - 1], rank))
        align = live.aligns(mode)[int(rng.integers(len(live.aligns(mode))))]
        keywords = {"mode": mode, "align_corners": align, "antialias": antialias}
        if rng.random() < 0.5:
            keywords["size"] = tuple(int(n) for n in rng.integers(1, (300, 50, 15)[rank - 1], rank))
        else:
            keywords["scale_factor"] = tuple(float(f) for f in rng.uniform(0.6, 2.6, rank))
        cases.append(((1, 2, *spatial), keywords))

    def check(case: tuple) -> None:
        shape, keywords = case
        x = live.values(shape, dtype, seed=2)
        live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)

    assert live.run_all(cases, check) == 12


@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_positional_arguments_and_foreign_layouts(mode: str, rank: int, antialias: bool) -> None:
    """torch's order of arguments; a strided, a read-only and a transposed input give what a copy gives."""
    plain = live.values((2, 3, *live.SPATIAL[rank][0]), "float32", seed=3)
    expected = live.call("interpolate", plain, None, 1.37, mode, None, True, antialias)
    keywords = {"scale_factor": 1.37, "mode": mode, "recompute_scale_factor": True, "antialias": antialias}
    for x in (plain, *live.layouts(plain)):
        ours = upsample.interpolate(x, None, 1.37, mode, None, True, antialias)
        assert ours.shape == expected.shape
        live.assert_interpolate_agrees(ours, plain, keywords)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_empty_batch(mode: str, rank: int, antialias: bool, dtype: str) -> None:
    if not live.torch_takes(mode, rank, dtype):
        dtype = "float32"
    x = live.values((0, 3, *live.SPATIAL[rank][0]), dtype, seed=3)
    expected = live.call("interpolate", x, scale_factor=2, mode=mode, antialias=antialias)
    live.assert_same_bits(upsample.interpolate(x, scale_factor=2, mode=mode, antialias=antialias), expected)


# ------------------------------------------------------------------------------ float16 and bfloat16 extended


@pytest.mark.parametrize("dtype", live.HALVES)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialias_in_half_precision_is_an_extension(mode: str, dtype: str) -> None:
    """torch refuses what the grid above holds to its float64 result."""
    x = live.values((1, 1, 4, 4), dtype, seed=0)
    with pytest.raises(RuntimeError, match="not implemented"):
        live.call("interpolate", x, size=3, mode=mode, antialias=True)
    assert upsample.interpolate(x, size=3, mode=mode, antialias=True).dtype == x.dtype


# ------------------------------------------------------------------------------------------ NaN and infinity

REACH_SPATIAL = {1: (6,), 2: (4, 3), 3: (2, 3, 2)}
REACH_REQUESTS = {
    1: ({"size": 1}, {"size": 6}, {"size": 11}, {"size": 12}, {"size": 4}, {"scale_factor": 2},
        {"scale_factor": 0.5}, {"scale_factor": 1.37}, {"scale_factor": 2.17}, {"scale_factor": 1.05}),
    2: ({"size": 1}, {"size": (4, 3)}, {"size": (7, 5)}, {"size": (8, 6)}, {"size": (3, 2)},
        {"scale_factor": 2}, {"scale_factor": 0.5}, {"scale_factor": 1.37}, {"scale_factor": 2.17},
        {"scale_factor": 1.05}, {"scale_factor": (3.0, 0.73)}),
    3: ({"size": 1}, {"size": (2, 3, 2)}, {"size": (3, 5, 3)}, {"scale_factor": 2},
        {"scale_factor": 1.37}, {"scale_factor": 2.17}, {"scale_factor": (0.5, 3.0, 1.05)}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_nan_and_infinity_reach_what_they_reach_in_torch(mode: str, rank: int, antialias: bool, dtype: str) -> None:
    """One NaN, inf or -inf at each position in turn (one a batch item)."""
    batches = list(live.special_batches((1, *REACH_SPATIAL[rank]), dtype))
    cases = [
        (special, {**request, "mode": mode, "align_corners": align, "antialias": antialias})
        for special, _ in batches
        for request in REACH_REQUESTS[rank]
        for align in live.aligns(mode)
    ]

    def check(case: tuple) -> None:
        special, keywords = case
        x = dict(batches)[special]
        live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)

    assert live.run_all(cases, check) == len(cases)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_nan_alone_in_a_batch_stays_in_its_plane(mode: str, rank: int, antialias: bool, special: float) -> None:
    x = live.values((2, 3, *REACH_SPATIAL[rank]), "float32", seed=6)
    x[(1, 0, *(n // 2 for n in REACH_SPATIAL[rank]))] = special
    keywords = {"scale_factor": 1.37, "mode": mode, "antialias": antialias}
    live.assert_interpolate_agrees(upsample.interpolate(x, **keywords), x, keywords)


# ---------------------------------------------------------------------------- where torch contradicts itself


@pytest.mark.parametrize("mode", live.MOVES)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
def test_the_formula_for_nearest_is_torchs_away_from_the_shortcut(mode: str, rank: int, dtype: str) -> None:
    """The formula that replaces torch in its shortcut is right wherever torch has none."""
    checked = 0
    for shape, keywords in live.interpolate_cases(mode, rank, False):
        if not live.takes_shortcut(shape, keywords):
            x = live.values(shape, dtype, seed=4)
            live.assert_same_bits(live.nearest_by_formula(x, keywords), live.call("interpolate", x, **keywords))
            checked += 1
    assert checked >= 50


def test_torch_contradicts_itself_between_1d_and_2d_nearest() -> None:
    """n=4 by 2.17: torch's 2-d op takes i // 2 for o == 2n, its 1-d and 3-d ops the documented formula.

    Ours follows the formula in every rank.
    """
    line = np.arange(4, dtype=np.float32)
    one, two = line.reshape(1, 1, 4), line.reshape(1, 1, 1, 4)
    formula = [0, 0, 0, 1, 1, 2, 2, 3]
    assert live.call("interpolate", one, scale_factor=2.17).ravel().tolist() == formula
    assert live.call("interpolate", two, scale_factor=(1.0, 2.17)).ravel().tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert upsample.interpolate(one, scale_factor=2.17).ravel().tolist() == formula
    assert upsample.interpolate(two, scale_factor=(1.0, 2.17)).ravel().tolist() == formula
    three = upsample.interpolate(line.reshape(1, 1, 1, 1, 4), scale_factor=(1.0, 1.0, 2.17))
    assert three.ravel().tolist() == formula


def test_torch_contradicts_itself_between_1d_and_2d_nearest_of_one_size() -> None:
    """The same where the size does not change: n=4 by 1.05 is the identity in torch's 2-d op alone."""
    line = np.arange(4, dtype=np.float32)
    one, two = line.reshape(1, 1, 4), line.reshape(1, 1, 1, 4)
    formula = [0, 0, 1, 2]
    assert live.call("interpolate", one, scale_factor=1.05).ravel().tolist() == formula
    assert live.call("interpolate", two, scale_factor=(1.0, 1.05)).ravel().tolist() == [0, 1, 2, 3]
    assert upsample.interpolate(one, scale_factor=1.05).ravel().tolist() == formula
    assert upsample.interpolate(two, scale_factor=(1.0, 1.05)).ravel().tolist() == formula


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_torch_contradicts_itself_in_antialias_to_width_1(mode: str, dtype: str) -> None:
    """To width 1, torch's antialias repeats its first row; of the transpose it gives the right result.

    Ours is the same either way. (Every test here compares with torch by way of the transpose in this case.)
    """
    x = (np.arange(8.0) ** 2).reshape(1, 1, 4, 2).astype(dtype)
    keywords = {"mode": mode, "antialias": True}
    tall = live.call("interpolate", x, size=(2, 1), **keywords)
    wide = live.call("interpolate", x.swapaxes(2, 3), size=(1, 2), **keywords).swapaxes(2, 3)
    assert tall[0, 0, 0, 0] == tall[0, 0, 1, 0]
    assert np.abs(tall - wide).max() > 10
    ours = upsample.interpolate(x, size=(2, 1), **keywords)
    live.assert_float_agrees(ours, wide, wide, live.largest(x))


def test_bicubic_resamples_where_a_factor_leaves_the_size_alone_and_linear_does_not() -> None:
    x = live.values((1, 1, 5, 8), "float64", seed=8)
    linear = upsample.interpolate(x, scale_factor=1.05, mode="bilinear")
    cubic = upsample.interpolate(x, scale_factor=1.05, mode="bicubic")
    live.assert_same_bits(linear, x)
    assert np.abs(cubic - x).max() > 0.05
    live.assert_same_bits(upsample.interpolate(x, scale_factor=1.05, mode="bicubic", antialias=True), x)


# ---------------------------------------------------------------------------------- these tests can fail


@pytest.mark.parametrize("dtype", live.DTYPES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_a_planted_fault_is_seen(mode: str, dtype: str) -> None:
    """One value off, one NaN too many, one column out of place, the wrong dtype: each is a failure."""
    keywords = {"size": (7, 5), "mode": mode}
    x = live.values((1, 2, 4, 6), dtype, seed=9)
    if dtype in live.HALVES and mode == "bicubic":  # torch's own is ulps off: it rounds the weights
        good = live.call("interpolate", x.astype(np.float64), **keywords).astype(x.dtype)
    else:
        good = live.call("interpolate", x, **keywords)
    live.assert_interpolate_agrees(good, x, keywords)
    faults = [good[..., ::-1], good.astype(np.int16), good[0], good.tolist()]
    off = good.copy()
    off[0, 1, 3, 2] = off[0, 1, 3, 2] + 2 if dtype == "uint8" else off[0, 1, 3, 2] * 1.02 + 0.02
    faults.append(off)
    if dtype != "uint8":
        for special in (np.nan, np.inf, -np.inf):
            spoilt = good.copy()
            spoilt[0, 0, 0, 0] = special
            faults.append(spoilt)
    if dtype in ("float32", "float64"):
        faults.append(good * np.asarray(1 + 300 * live.eps_of(good.dtype), good.dtype))
    for fault in faults:
        with pytest.raises(AssertionError):
            live.assert_interpolate_agrees(fault, x, keywords)
