"""torch's own autograd follows the functions: gradients, their gradients, and a training that repeats bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch_live as live
from backends import needs_numba

import upsample
from upsample import chainer

torch = live.torch


def numbers(*shape: int, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


def ranked(*shape: int) -> Any:
    """Values far apart, so that no maximum changes within a difference."""
    count = int(np.prod(shape))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    return order.reshape(shape).to(torch.float64).requires_grad_()


POOL = dict(kernel_size=3, stride=2, padding=1)
_, INDICES = upsample.max_pool2d_with_indices(ranked(1, 2, 5, 6).detach(), **POOL)
TWICE = torch.tensor([[[3, 0, 3, 7]]])

CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "nearest": (lambda x: upsample.interpolate(x, scale_factor=1.7), (numbers(1, 2, 5),)),
    "bilinear": (lambda x: upsample.interpolate(x, size=(7, 3), mode="bilinear"), (numbers(1, 2, 4, 5),)),
    "bicubic": (lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"), (numbers(1, 1, 3, 4),)),
    "antialias": (
        lambda x: upsample.interpolate(x, size=(3, 2), mode="bicubic", antialias=True),
        (numbers(1, 1, 7, 5),),
    ),
    "area": (lambda x: upsample.interpolate(x, size=(2, 7), mode="area"), (numbers(1, 1, 5, 4),)),
    "trilinear": (lambda x: upsample.interpolate(x, scale_factor=2, mode="trilinear"), (numbers(1, 1, 2, 2, 3),)),
    "resize": (lambda x: upsample.resize(x, (5, 2), axes=(0, 2), mode="lanczos"), (numbers(4, 2, 5),)),
    "pool": (lambda x: upsample.max_pool2d(x, **POOL), (ranked(1, 2, 5, 6),)),
    "pool-with-indices": (lambda x: upsample.max_pool2d_with_indices(x, **POOL)[0], (ranked(1, 2, 5, 6),)),
    "pool-dilated": (lambda x: upsample.max_pool1d(x, 2, 1, 1, 2), (ranked(1, 2, 7),)),
    "adaptive": (lambda x: upsample.adaptive_max_pool2d(x, (3, 7)), (ranked(1, 2, 5, 6),)),
    "unpool": (
        lambda x: upsample.max_unpool2d(x, INDICES, **POOL, output_size=(5, 6)),
        (numbers(1, 2, 3, 3),),
    ),
    "unpool-last": (lambda x: upsample.max_unpool1d(x, TWICE, 2), (numbers(1, 1, 4),)),
    "unpool-sum": (lambda x: upsample.max_unpool1d(x, TWICE, 2, duplicates="sum"), (numbers(1, 1, 4),)),
    "conv": (
        lambda x, w, b: upsample.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
        (numbers(2, 2, 3, 2), numbers(2, 3, 3, 2), numbers(3)),
    ),
    "conv-groups": (
        lambda x, w: upsample.conv_transpose2d(x, w, stride=(2, 1), groups=2, dilation=(1, 2)),
        (numbers(4, 3, 2), numbers(4, 2, 2, 2)),
    ),
    "shuffle": (lambda x: upsample.pixel_shuffle(x, 2), (numbers(1, 4, 2, 3),)),
    "unshuffle": (lambda x: upsample.pixel_unshuffle(x, 2), (numbers(1, 1, 4, 6),)),
    "chainers-unpooling": (lambda x: chainer.unpooling_2d(x, 3, 2), (numbers(1, 2, 2, 3),)),
    "chainers-upsampling": (
        lambda x: chainer.upsampling_2d(x, torch.tensor([[[[8, 6], [2, 0]]]]), 3, 2, cover_all=False),
        (numbers(1, 1, 2, 2),),
    ),
    "chainers-deconvolution": (
        lambda x, w, b: chainer.deconvolution_2d(x, w, b, stride=2),
        (numbers(1, 2, 2, 3), numbers(2, 3, 2, 2), numbers(1)),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradcheck(name: str) -> None:
    function, inputs = CALLS[name]
    assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("name", CALLS)
def test_gradgradcheck(name: str) -> None:
    function, inputs = CALLS[name]
    assert torch.autograd.gradgradcheck(function, inputs)


def test_gradcheck_sees_a_wrong_gradient() -> None:
    wrong = lambda x: upsample.max_unpool1d(x, TWICE, 2, duplicate_grad="all")  # noqa: E731
    with pytest.raises(RuntimeError, match="mismatch"):
        torch.autograd.gradcheck(wrong, (numbers(1, 1, 4),))


def test_every_duplicate_receives_when_asked() -> None:
    x = numbers(1, 1, 4)
    upsample.max_unpool1d(x, TWICE, 2, duplicate_grad="all").backward(
        torch.arange(1.0, 9.0, dtype=torch.float64)[None, None]
    )
    assert x.grad.tolist() == [[[4, 1, 4, 8]]]


def test_only_what_requires_grad() -> None:
    """A constant weight costs nothing and has no gradient; indices never require one."""
    x, w = numbers(1, 2, 3), numbers(2, 2, 2).detach()
    y = upsample.conv_transpose1d(x, w)
    y.sum().backward()
    assert w.grad is None
    values, indices = upsample.max_pool1d_with_indices(x, 2)
    assert values.requires_grad
    assert not indices.requires_grad
    with torch.no_grad():
        assert not upsample.interpolate(x, scale_factor=2).requires_grad
        out = torch.empty(1, 2, 6, dtype=torch.float64)
        assert upsample.interpolate(x, scale_factor=2, out=out) is out
    with pytest.raises(ValueError, match="autograd"):
        upsample.interpolate(x, scale_factor=2, out=out)


def test_vjp_of_tensors() -> None:
    """upsample.vjp takes tensors too, whether torch follows them or not."""
    x = numbers(1, 1, 3)
    for given in (x, x.detach()):
        y, pullback = upsample.vjp(upsample.interpolate, given, scale_factor=2, mode="linear")
        assert torch.equal(pullback(torch.ones_like(y))[0].detach(), torch.full((1, 1, 3), 2.0, dtype=torch.float64))


# ------------------------------------------------------------------------------------------- a training


class Decoder(torch.nn.Module):
    """A small segmentation network: pool with indices, unpool, transposed convolution, bicubic."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.weight = torch.nn.Parameter(torch.randn(8, 4, 3, 3) / 6)
        self.bias = torch.nn.Parameter(torch.zeros(4))
        self.head = torch.nn.Conv2d(4, 2, 1)

    def forward(self, x: Any) -> Any:
        features = self.encode(x)
        values, indices = upsample.max_pool2d(features, 3, 2, 1, return_indices=True)
        unpooled = upsample.max_unpool2d(values.relu(), indices, 3, 2, 1, output_size=features.shape[2:])
        finer = upsample.conv_transpose2d(unpooled, self.weight, self.bias, stride=2, padding=1, output_padding=1)
        return upsample.interpolate(self.head(finer), scale_factor=1.5, mode="bicubic")


def trained(device: str) -> list[Any]:
    """Train from one seed and return the weights."""
    torch.manual_seed(0)
    network = Decoder().to(device)
    images = torch.randn(4, 3, 12, 10, device=device)
    classes = torch.randint(0, 2, (4, 36, 30), device=device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    return [p.detach().cpu() for p in network.parameters()]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_training_gives_the_same_weights_twice(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    torch.use_deterministic_algorithms(True)
    try:
        first, second = trained(device), trained(device)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    torch.manual_seed(0)
    assert not any(torch.equal(a, b) for a, b in zip(first, Decoder().parameters(), strict=True))


def test_a_forced_engine_is_preferred_in_the_gradient() -> None:
    """The cpu engine unpools complex128, and has no gradient of it."""
    needs_numba()
    gradients = []
    for engine in ("cpu", "portable"):
        x = torch.complex(numbers(1, 2, 3, 3), numbers(1, 2, 3, 3, seed=1)).detach().requires_grad_()
        y = upsample.max_unpool2d(x, INDICES, **POOL, output_size=(5, 6), engine=engine)
        (first,) = torch.autograd.grad((y * y.conj()).real.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first * first.conj()).real.sum(), x)
        gradients.append((first, second))
    for got, wanted in zip(*gradients, strict=True):
        assert torch.equal(got, wanted)
