"""The gradients of every op, by `vjp`, beside torch's backward; the forward calls are made before, and not timed.

Of a transposed convolution all three gradients are made. Of max_unpool every duplicate receives its gradient, which is
what torch does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import upsample
from benchmarks import cases, pairs
from benchmarks.cases import Case
from benchmarks.pairs import Job
from upsample.command_line.bench.rivals import Rival

FRESH = [pair for pair in pairs.PAIRS if pair.values[1] == "fresh"]


@pytest.mark.parametrize(("engine", "how"), FRESH)
@pytest.mark.parametrize("case", [case for case in cases.CASES if case.op.endswith(" backward")], ids=str)
def bench_backward(benchmark: Any, case: Case, engine: str, how: str, quick: bool) -> None:
    pairs.measure(benchmark, case, job(case.small() if quick else case), engine, how, quick)


class Pull:
    """The pullback of one call, for each engine."""

    def __init__(self, function: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.function, self.inputs, self.options = function, inputs, options
        self.made: dict[str, Callable[[Any], Any]] = {}

    def follow(self, engine: str) -> None:
        """Make the forward call."""
        if engine not in self.made:
            self.made[engine] = upsample.vjp(self.function, *self.inputs, **self.options, engine=engine)[1]

    def __call__(self, grad: np.ndarray, *, engine: str) -> tuple[np.ndarray, ...]:
        self.follow(engine)
        return tuple(g for g in self.made[engine](grad) if g is not None)


@lru_cache(maxsize=1)
def job(case: Case) -> Job:
    task = case.op.removesuffix(" backward")
    function, inputs, options = MAKERS[task](case)
    output = function(*inputs, **options, engine="portable")
    rng = np.random.default_rng([*output.shape])
    grad = rng.standard_normal(output.shape, dtype=np.float32)
    floating = [x for x in inputs if x.dtype.kind == "f"]
    return Job(
        task,
        Pull(function, inputs, options),
        (grad,),
        {},
        lambda: None,
        _torch(function.__name__, inputs, options, grad),
        grad.nbytes + sum(x.nbytes for x in floating),
        margin=4.0,
    )


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def _resize(case: Case) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    options = {key: value for key, value in case.options.items() if key != "scale"}
    return upsample.interpolate, (_noise(case.shape, 0),), dict(options, scale_factor=case.options["scale"])


def _pool(case: Case) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    return upsample.max_pool2d, (_noise(case.shape, 0),), dict(case.options)


def _unpool(case: Case) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    values, indices = upsample.max_pool2d_with_indices(_noise(case.shape, 0), **case.options)
    options = dict(case.options, output_size=case.shape[2:], duplicate_grad="all")
    return upsample.max_unpool2d, (values, indices), options


def _spread(case: Case) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    function = upsample.conv_transpose2d if len(case.shape) == 4 else upsample.conv_transpose3d
    channels = (case.weight[1] * case.options.get("groups", 1),)
    return function, (_noise(case.shape, 0), _noise(case.weight, 1), _noise(channels, 2)), dict(case.options)


MAKERS = {"resize": _resize, "pool": _pool, "unpool": _unpool, "conv_transpose": _spread}


def _torch(name: str, inputs: tuple[Any, ...], options: dict[str, Any], grad: np.ndarray) -> tuple[Rival, ...]:
    try:
        import torch
    except ImportError:
        return ()
    given = [torch.from_numpy(x) for x in inputs]
    followed = [x.requires_grad_() for x in given if x.is_floating_point()]
    own = {key: value for key, value in options.items() if key != "duplicate_grad"}
    output = getattr(torch.nn.functional, name)(*given, **own)
    by = torch.from_numpy(grad)

    def backward() -> Any:
        return torch.autograd.grad(output, followed, by, retain_graph=True)

    return (Rival("torch", backward, "close", lambda result: tuple(g.numpy() for g in result)),)
