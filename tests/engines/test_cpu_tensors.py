"""torch's CPU tensors on the compiled engine: what is lent, what comes back, and which tensors are left alone."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch_live as live
from backends import needs_numba

import upsample

torch = live.torch
needs_numba()


def numbers(*shape: int, dtype: Any = None) -> Any:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape).to(dtype or torch.float32)


def engine_of(x: Any, **options: Any) -> str:
    return upsample.explain(upsample.interpolate, x, scale_factor=2, **options).engine


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "uint8", "int64", "bool"])
def test_every_dtype_comes_back_as_it_went(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = numbers(1, 2, 3, 4, dtype=getattr(torch, dtype))
    assert engine_of(x) == "cpu"
    got = upsample.interpolate(x, scale_factor=2)
    assert type(got) is torch.Tensor
    assert got.dtype == x.dtype
    assert torch.equal(got, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_memory_is_lent_and_not_copied() -> None:
    x = numbers(2, 3, 4, 6)[:, ::2, :, 1:]
    values, indices = torch.empty(2, 2, 2, 2), torch.empty(2, 2, 2, 4, dtype=torch.int64)[..., ::2]
    made = upsample.max_pool2d(x, 2, return_indices=True, out=(values, indices))
    assert made[0] is values
    assert made[1] is indices
    wanted = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(values, wanted[0])
    assert torch.equal(indices, wanted[1])


def test_a_lazily_conjugated_out_holds_the_values() -> None:
    x = torch.complex(numbers(1, 1, 2, 2), numbers(1, 1, 2, 2) + 7)
    out = torch.zeros(1, 1, 4, 4, dtype=torch.complex64).conj()
    assert upsample.interpolate(x.conj(), scale_factor=2, out=out) is out
    assert torch.equal(out, upsample.interpolate(x, scale_factor=2).conj())


def test_parameters_run_on_it_too_and_keep_their_gradients() -> None:
    weight = torch.nn.Parameter(numbers(2, 3, 2, 2))
    x = numbers(1, 2, 4, 4)
    upsample.conv_transpose2d(x, weight, stride=2).sum().backward()
    assert torch.equal(weight.grad, x.sum(dim=(0, 2, 3))[:, None, None, None].expand(2, 3, 2, 2))
    with torch.no_grad():
        assert upsample.explain(upsample.conv_transpose2d, x, weight, stride=2).engine == "cpu"


def test_an_index_outside_the_plane_raises() -> None:
    indices = torch.tensor([[[[9]]]])
    with pytest.raises(IndexError, match="max_unpool2d: indices"):
        upsample.max_unpool2d(numbers(1, 1, 1, 1), indices, 2, output_size=(2, 2))


def test_a_subclass_keeps_its_type() -> None:
    class Marked(torch.Tensor):  # type: ignore[misc]
        pass

    x = numbers(1, 1, 2, 2).as_subclass(Marked)
    assert engine_of(x) == "portable"
    assert type(upsample.interpolate(x, scale_factor=2)) is Marked


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # of torch, by torch
def test_a_tangent_is_not_lost() -> None:
    forward = torch.autograd.forward_ad
    x, tangent = numbers(1, 1, 3, 3), numbers(1, 1, 3, 3) + 1
    with forward.dual_level():
        dual = forward.make_dual(x, tangent)
        made = forward.unpack_dual(upsample.interpolate(dual, scale_factor=2, mode="bilinear"))
        torch.testing.assert_close(made.tangent, upsample.interpolate(tangent, scale_factor=2, mode="bilinear"))


def test_tensors_on_no_device_are_left_alone() -> None:
    assert engine_of(torch.empty(1, 1, 2, 2, device="meta")) == "portable"
    with pytest.raises(ValueError, match="it takes NumPy arrays and torch CPU tensors only"):
        upsample.interpolate(torch.empty(1, 1, 2, 2, device="meta"), scale_factor=2, engine="cpu")


def _empty(*shape: int, dtype: Any = None, device: str = "cpu") -> Any:
    return torch.zeros(shape, dtype=dtype, device=device)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: upsample.interpolate(x(1, 2, 40, 60), size=(70, 30), mode="bilinear"),
        lambda x: upsample.interpolate(x(1, 2, 40, 60), size=(7, 30), mode="bicubic", antialias=True),
        lambda x: upsample.interpolate(x(1, 2, 5, 6, dtype=torch.uint8), scale_factor=2, mode="bilinear"),
        lambda x: upsample.resize(x(5, 6, dtype=torch.complex64), 9, axes=0),
        lambda x: upsample.max_pool2d(x(1, 2, 5, 6), 3, 2, 1, return_indices=True),
        lambda x: upsample.adaptive_max_pool2d(x(1, 2, 5, 6), 3, return_indices=True),
        lambda x: upsample.max_unpool2d(x(1, 2, 5, 6), x(1, 2, 5, 6, dtype=torch.int64), 2, duplicates="sum"),
        lambda x: upsample.conv_transpose2d(x(1, 2, 5, 6), x(2, 3, 7, 2), x(3), stride=2),
        lambda x: upsample.pixel_shuffle(x(1, 4, 5, 6), 2),
        lambda x: upsample.chainer.max_pooling_2d(x(1, 2, 5, 6), 2, return_indices=True),
        lambda x: upsample.chainer.upsampling_2d(x(1, 2, 5, 6), x(1, 2, 5, 6, dtype=torch.int64), 3, 2),
        lambda x: upsample.chainer.unpooling_2d(x(1, 2, 5, 6), 3, 2),
    ],
)
def test_meta_tensors_show_what_a_call_returns(call: Any) -> None:
    """As in torch: nothing is computed, and shape, dtype and whether there is a gradient are known."""
    made, wanted = call(functools.partial(_empty, device="meta")), call(_empty)
    for one, other in zip(*(y if isinstance(y, tuple) else (y,) for y in (made, wanted)), strict=True):
        assert (one.shape, one.dtype, one.device.type) == (other.shape, other.dtype, "meta")


def test_gradients_of_meta_tensors() -> None:
    x, w = (torch.empty(*shape, device="meta", requires_grad=True) for shape in ((1, 2, 5, 6), (2, 3, 4, 4)))
    y = upsample.conv_transpose2d(upsample.interpolate(x, scale_factor=2, mode="bicubic"), w)
    pooled, indices = upsample.max_pool2d(y, 2, return_indices=True)
    upsample.max_unpool2d(pooled, indices, 2).sum().backward()
    assert (x.grad.shape, w.grad.shape, x.grad.device.type) == (x.shape, w.shape, "meta")
