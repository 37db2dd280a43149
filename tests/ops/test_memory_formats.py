"""Memory of torch's tensors: channels that come last stay last, and a storage that is too short is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
X = noise(2, 4, 8, 10).astype(np.float32)
WEIGHT = torch.asarray(noise(4, 3, 2, 2).astype(np.float32))
CALLS: dict[str, Callable[[Any], Any]] = {
    "bilinear": lambda x: upsample.interpolate(x, scale_factor=2, mode="bilinear"),
    "nearest": lambda x: upsample.interpolate(x, scale_factor=2),
    "resize": lambda x: upsample.resize(x, (3, 5), axes=(2, 3), mode="cubic", engine="portable"),
    "max_pool2d": lambda x: upsample.max_pool2d(x, 2),
    "adaptive_max_pool2d": lambda x: upsample.adaptive_max_pool2d(x, 3),
    "max_unpool2d": lambda x: upsample.max_unpool2d(*upsample.max_pool2d(x, 2, return_indices=True), 2),
    "conv_transpose2d": lambda x: upsample.conv_transpose2d(x, WEIGHT),
    "pixel_shuffle": lambda x: upsample.pixel_shuffle(x, 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_channels_last(name: str) -> None:
    last = torch.asarray(X).contiguous(memory_format=torch.channels_last).requires_grad_()
    first = torch.asarray(X).requires_grad_()
    made, plain = CALLS[name](last), CALLS[name](first)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert plain.is_contiguous()
    torch.testing.assert_close(made.contiguous(), plain)
    grads = [torch.autograd.grad(y.square().sum(), x)[0] for y, x in ((made, last), (plain, first))]
    torch.testing.assert_close(*grads)


def test_indices_and_three_axes() -> None:
    x = torch.asarray(X).contiguous(memory_format=torch.channels_last)
    maxima, indices = upsample.max_pool2d(x, 2, return_indices=True)
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in (maxima, indices))
    volume = torch.asarray(noise(1, 3, 4, 5, 6)).contiguous(memory_format=torch.channels_last_3d)
    made = upsample.interpolate(volume, scale_factor=2, mode="trilinear")
    assert made.is_contiguous(memory_format=torch.channels_last_3d)


def test_out_stays_what_it_is() -> None:
    x, out = torch.asarray(X).contiguous(memory_format=torch.channels_last), torch.empty(2, 4, 16, 20)
    assert upsample.interpolate(x, scale_factor=2, out=out) is out
    assert out.is_contiguous()


def test_two_arrays_of_out_stay_what_they_are() -> None:
    x = torch.asarray(X).contiguous(memory_format=torch.channels_last)
    want = upsample.max_pool2d(x, 2, return_indices=True)
    out = torch.empty_like(want[0]).contiguous(), torch.empty_like(want[1]).contiguous()
    got = upsample.max_pool2d_with_indices(x, 2, out=out)
    assert all(g is o for g, o in zip(got, out, strict=True))
    assert all(torch.equal(o, w) for o, w in zip(out, want, strict=True))


def shortened(x: Any, size: int) -> Any:
    """Return a copy whose storage has `size` bytes, as FSDP leaves the parameters of other ranks."""
    copy = x.clone()
    copy.untyped_storage().resize_(size)
    return copy


@pytest.mark.parametrize("size", [0, 200])
@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_a_released_storage_is_an_error(name: str, follows: bool, size: int) -> None:
    """torch's own ops read what lies behind it, or crash."""
    with pytest.raises(ValueError, match="its storage is shorter than the tensor"):
        CALLS[name](shortened(torch.asarray(X), size).requires_grad_(follows))


def test_a_released_weight_or_out_is_an_error() -> None:
    x, weight = torch.asarray(X), torch.nn.Parameter(shortened(WEIGHT, 0))
    with pytest.raises(ValueError, match=r"conv_transpose2d: weight=.*its storage is shorter"):
        upsample.conv_transpose2d(x, weight)
    with pytest.raises(ValueError, match=r"interpolate: out=.*its storage is shorter"):
        upsample.interpolate(x, scale_factor=2, out=shortened(torch.empty(2, 4, 16, 20), 0))
    for whole in (x[:0], x[:1].expand(3, -1, -1, -1), x[:, 1:, ::2]):  # no element, or fewer than the shape says
        assert upsample.max_pool2d(whole, 2).shape[0] == whole.shape[0]
