"""torch.autocast: every op returns the dtype that torch's op of the name returns, and the values of that dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch_live as live

import upsample
from upsample.ops.torch_autocast import _IN_FLOAT32

torch = live.torch
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def calls(axes: int, x: Any, indices: Any) -> dict[str, Callable[[Any], Any]]:
    def op(of: Any, name: str) -> Any:
        return getattr(of, f"{name}{axes}d")

    return {
        "nearest": lambda of: of.interpolate(x, scale_factor=2),
        "linear": lambda of: of.interpolate(x, scale_factor=2, mode=LINEAR[axes]),
        "area": lambda of: of.interpolate(x, scale_factor=0.5, mode="area"),
        "pool": lambda of: op(of, "max_pool")(x, 2),
        "pool with indices": lambda of: op(of, "max_pool")(x, 2, return_indices=True)[0],
        "adaptive": lambda of: op(of, "adaptive_max_pool")(x, 2),
        "adaptive with indices": lambda of: op(of, "adaptive_max_pool")(x, 2, return_indices=True)[0],
        "unpool": lambda of: op(of, "max_unpool")(x, indices, 2),
    }


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_dtypes_are_torchs(axes: int, dtype: str) -> None:
    x = torch.randn(1, 2, *(4,) * axes, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    places = torch.arange(4**axes).reshape((1, 1, *(4,) * axes)).expand(1, 2, *(-1,) * axes)
    for name, call in calls(axes, x, places).items():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            ours, theirs = call(upsample), call(torch.nn.functional)
        assert ours.dtype is theirs.dtype, name
        torch.testing.assert_close(ours, theirs)


def test_a_gradient_has_the_dtype_of_its_input() -> None:
    x = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    indices = torch.arange(4).reshape(1, 1, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = upsample.max_unpool2d(x, indices, 2)
        _, pullback = upsample.vjp(upsample.max_unpool2d, x.detach(), indices, 2)
    assert made.dtype is torch.float32
    made.sum().backward()
    assert x.grad.dtype is torch.bfloat16
    assert pullback(torch.ones_like(made))[0].dtype is torch.bfloat16


def test_every_name_is_an_op_or_a_mode() -> None:
    """For a GPU, too, of which nothing here can be tried: ``AT_FORALL_FP32`` of torch's autocast_mode.h has its ops."""
    modes = {f"{mode}{axes}d" for axes, mode in LINEAR.items()} | {"bicubic2d"}
    modes |= {f"{mode}{axes}d" for axes in LINEAR for mode in ("nearest", "nearest-exact", "area")}
    for names in _IN_FLOAT32.values():
        assert all(name in modes or hasattr(upsample, name) for name in names)
