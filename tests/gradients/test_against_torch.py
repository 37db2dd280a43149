"""upsample.vjp against torch's own backward, over the grids of the forward tests, on every engine that runs here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch_live as live
from dialects import test_torch_conv_transpose as spreads
from dialects import test_torch_pool as pools
from dialects import test_torch_unpool as unpools

import upsample

torch = live.torch
ENGINES = [None, "portable"]
PAIRS = [("float32", None), ("float64", "portable")]
"""In float64 both engines are compared in test_adjoint.py."""


def backward(name: str, inputs: tuple, grad: np.ndarray, *args: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
    """torch's gradients by `inputs`, some of which may be None."""
    tensors = [None if a is None else live.to_torch(a) for a in inputs]
    followed = [t.requires_grad_() for t in tensors if t is not None and t.is_floating_point()]
    result = getattr(torch.nn.functional, name)(*tensors, *args, **kwargs)
    result = result[0] if isinstance(result, tuple) else result
    return tuple(map(live.to_numpy, torch.autograd.grad(result, followed, live.to_torch(grad))))


def ours(name: str, inputs: tuple, seed: int, *args: Any, **kwargs: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """A gradient by the output, and our gradients by `inputs`."""
    output, pullback = upsample.vjp(getattr(upsample, name), *inputs, *args, **kwargs)
    output = output[0] if isinstance(output, tuple) else output
    grad = live.values(output.shape, output.dtype, seed)
    return grad, tuple(g for g in pullback(grad) if g is not None)


# ------------------------------------------------------------------------------------------ interpolate


def differs_from_its_forward(shape: tuple[int, ...], keywords: dict[str, Any]) -> bool:
    """Whether torch's backward is not that of its forward.

    With a factor as it is given, nearest takes other indices; and where a size stays, of bicubic and the antialiased
    modes either the forward or the backward resamples all the same, and the other copies.
    """
    if "scale_factor" not in keywords or keywords.get("recompute_scale_factor"):
        return False
    outs = live.sizes_after(shape[2:], keywords["scale_factor"])
    return keywords["mode"] in live.MOVES or any(n == o for n, o in zip(shape[2:], outs, strict=True))


def of_its_forward(x: np.ndarray, grad: np.ndarray, keywords: dict[str, Any]) -> np.ndarray:
    """The gradient by torch's forward alone: what each input sample gives to the output."""
    spatial = x.shape[2:]
    each = np.eye(int(np.prod(spatial)), dtype=x.dtype).reshape(-1, 1, *spatial)
    nearest = keywords["mode"] in live.MOVES
    given = live.nearest_by_formula(each, keywords) if nearest else live.float_by_torch(each, keywords)
    flat = grad.astype(np.float64).reshape(*x.shape[:2], -1)
    return (flat @ given.astype(np.float64).reshape(len(each), -1).T).reshape(x.shape)


@pytest.mark.parametrize(("dtype", "engine"), PAIRS)
@pytest.mark.parametrize(("mode", "rank", "antialias"), live.INTERPOLATE_MODES)
def test_interpolate(mode: str, rank: int, antialias: bool, dtype: str, engine: str | None) -> None:
    def check(case: tuple) -> None:
        shape, keywords = case
        x = live.values(shape, dtype, seed=1)
        grad, (got,) = ours("interpolate", (x,), 2, **keywords, engine=engine)
        if differs_from_its_forward(shape, keywords):
            exact = of_its_forward(x, grad, keywords)
            allowed = 64 * live.eps_of(x.dtype) * live.largest(grad, exact)
            live.assert_within(got, exact, allowed, "that of torch's forward")
            return
        (theirs,) = backward("interpolate", (x,), grad, **keywords)
        exact = theirs
        if dtype == "float32":
            (exact,) = backward("interpolate", (x.astype(np.float64),), grad.astype(np.float64), **keywords)
        live.assert_float_agrees(got, theirs, exact, live.largest(grad, exact))

    cases = [c for c in live.interpolate_cases(mode, rank, antialias) if not live.repeats_first_row(*c)]
    assert live.run_all(cases, check) == len(cases) > 50


# ------------------------------------------------------------------------------------ pool and unpool


@pytest.mark.parametrize(("dtype", "engine"), PAIRS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_unpool_when_every_duplicate_receives(rank: int, dtype: str, engine: str | None) -> None:
    def check(case: tuple) -> None:
        window, size, _ = case
        shape = (2, 3, *unpools.SPATIAL[rank])
        plane = int(np.prod(size or unpools.default_size(rank, window)))
        x, indices = live.values(shape, dtype, 0), unpools.random_indices(shape, plane, 0)
        args = (*window, size)
        grad, (got,) = ours(f"max_unpool{rank}d", (x, indices), 2, *args, duplicate_grad="all", engine=engine)
        (theirs,) = backward(f"max_unpool{rank}d", (x, indices), grad, *args)
        live.assert_same_bits(got, theirs)

    cases = [case for case in unpools.CASES[rank] if not case[2]]
    assert live.run_all(cases, check) == len(cases) > 10


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("leading", pools.LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pool(rank: int, leading: str, engine: str | None) -> None:
    """Ties and NaN included; whole numbers, so that the order of a sum does not show."""
    x = pools.with_ties_and_specials((*pools.LEADING[leading], *pools.SPATIAL[rank]), "float64")

    def check(case: tuple) -> None:
        output, pullback = upsample.vjp(getattr(upsample, f"max_pool{rank}d"), x, *case, engine=engine)
        grad = np.random.default_rng(1).integers(-8, 9, output.shape).astype(np.float64)
        (theirs,) = backward(f"max_pool{rank}d", (x,), grad, *case)
        (got,) = pullback(grad)
        np.testing.assert_array_equal(got, theirs)

    assert live.run_all(pools.CASES[rank], check) == len(pools.CASES[rank])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("leading", pools.LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_max_pool(rank: int, leading: str, engine: str | None) -> None:
    x = pools.with_ties_and_specials((*pools.LEADING[leading], *pools.SPATIAL[rank]), "float64")

    def check(size: Any) -> None:
        name = f"adaptive_max_pool{rank}d"
        (values, _), pullback = upsample.vjp(getattr(upsample, name), x, size, True, engine=engine)
        grad = np.random.default_rng(1).integers(-8, 9, values.shape).astype(np.float64)
        (theirs,) = backward(name, (x,), grad, size)
        (got,) = pullback((grad, None))
        np.testing.assert_array_equal(got, theirs)

    assert live.run_all(pools.ADAPTIVE[rank], check) == len(pools.ADAPTIVE[rank])


# ------------------------------------------------------------------------------- conv_transpose and pixels


@pytest.mark.parametrize(("dtype", "engine"), [*PAIRS, ("complex64", None)])
@pytest.mark.parametrize("leading", spreads.LEADING)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv_transpose(rank: int, leading: str, dtype: str, engine: str | None) -> None:
    name = f"conv_transpose{rank}d"

    def check(case: tuple) -> None:
        stride, padding, output_padding, dilation = case[1]
        window = (stride, padding, output_padding, case[2][0], dilation)
        inputs = spreads.operands(rank, spreads.LEADING[leading], case, dtype)
        output, pullback = upsample.vjp(getattr(upsample, name), *inputs, *window, engine=engine)
        grad = live.values(output.shape, dtype, 2)
        got = [g for g in pullback(grad) if g is not None]
        theirs = by_torch(name, inputs, grad, window)
        wide = tuple(None if a is None else live.widened(a) for a in inputs)
        exact = by_torch(name, wide, live.widened(grad), window)
        sizes = by_torch(
            name, tuple(None if a is None else np.abs(a) for a in wide), np.abs(live.widened(grad)), window
        )
        assert len(got) == len(theirs) == 2 + (inputs[2] is not None)
        for mine, other, right, scale in zip(got, theirs, exact, sizes, strict=True):
            live.assert_float_agrees(mine, other, right, scale)

    assert live.run_all(spreads.CASES[rank], check) == len(spreads.CASES[rank])


def by_torch(name: str, inputs: tuple, grad: np.ndarray, window: tuple) -> list[np.ndarray]:
    tensors = [None if a is None else live.to_torch(a).requires_grad_() for a in inputs]
    result = getattr(torch.nn.functional, name)(*tensors, *window)
    followed = [t for t in tensors if t is not None]
    return [live.to_numpy(g.resolve_conj()) for g in torch.autograd.grad(result, followed, live.to_torch(grad))]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("channels", [2, 8])
def test_a_weight_that_meets_padding_is_not_seen_there(channels: int, special: float, engine: str | None) -> None:
    """The first tap lies in the padding for the first row and column of cells, the last for the last."""
    x, weight = live.values((2, channels, 5, 6), "float32", 0), live.values((channels, 3, 4, 4), "float32", 1)
    weight[1, 0, 0, 0], weight[channels - 1, 2, 3, 2] = special, -special
    window = dict(stride=2, padding=1)
    grad, (got, _) = ours("conv_transpose2d", (x, weight), 2, **window, engine=engine)
    theirs = backward("conv_transpose2d", (x, weight), grad, **window)[0]
    inside = np.ones_like(x, dtype=bool)
    inside[:, 1, 1:, 1:] = inside[:, channels - 1, :-1] = False
    np.testing.assert_array_equal(np.isfinite(theirs), inside)
    np.testing.assert_allclose(got, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "factor"),
    [("pixel_shuffle", (2, 12, 3, 4), 2), ("pixel_shuffle", (9, 2, 3), 3), ("pixel_unshuffle", (2, 3, 6, 9), 3)],
)
def test_pixel_ops(name: str, shape: tuple[int, ...], factor: int) -> None:
    x = live.values(shape, "float32", 1)
    grad, (got,) = ours(name, (x,), 2, factor)
    live.assert_same_bits(got, backward(name, (x,), grad, factor)[0])


def test_a_planted_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is off in one place is a failure, in each of the comparisons."""
    real = upsample.vjp

    def spoilt(*args: Any, **kwargs: Any) -> Any:
        output, pullback = real(*args, **kwargs)

        def wrong(grad: Any) -> tuple:
            made = [None if g is None else g.copy() for g in pullback(grad)]
            made[0].reshape(-1)[-1] += 0.01
            return tuple(made)

        return output, wrong

    monkeypatch.setattr(upsample, "vjp", spoilt)
    for test in (
        lambda: test_interpolate("bicubic", 2, False, "float32", None),
        lambda: test_max_unpool_when_every_duplicate_receives(2, "float32", None),
        lambda: test_max_pool(1, "batched", None),
        lambda: test_adaptive_max_pool(1, "batched", None),
        lambda: test_conv_transpose(1, "batched", "float32", None),
        lambda: test_pixel_ops("pixel_shuffle", (9, 2, 3), 3),
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            test()
