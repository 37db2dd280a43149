"""torch.func's transforms: vmap, grad, jvp, hessian, and one in the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch_live as live

import upsample

torch = live.torch
# torch's forward mode imports what torch itself has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


def numbers(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


BATCH = numbers(3, 2, 2, 4, 6)
WEIGHT = numbers(2, 3, 2, 2)


def unpooled(x: Any) -> Any:
    values, indices = upsample.max_pool2d(x, 2, return_indices=True)
    return upsample.max_unpool2d(values, indices, 2)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "interpolate": lambda x: upsample.interpolate(x, scale_factor=2, mode="bicubic"),
    "pool": lambda x: upsample.max_pool2d(x, 2),
    "unpool": unpooled,
    "conv": lambda x: upsample.conv_transpose2d(x, WEIGHT, stride=2),
    "pixels": lambda x: upsample.pixel_unshuffle(x, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_is_one_call_after_the_other(name: str) -> None:
    function = FUNCTIONS[name]
    assert torch.equal(torch.func.vmap(function)(BATCH), torch.stack([function(x) for x in BATCH]))
    last = BATCH.movedim(0, -1)
    assert torch.equal(torch.func.vmap(function, in_dims=-1)(last), torch.stack([function(x) for x in BATCH]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_gradient_for_each_element(name: str) -> None:
    def loss(x: Any) -> Any:
        return FUNCTIONS[name](x).pow(3).sum()

    each = torch.func.vmap(torch.func.grad(loss))(BATCH)
    assert torch.equal(each, torch.stack([torch.func.grad(loss)(x) for x in BATCH]))
    x = BATCH[0].clone().requires_grad_()
    assert torch.equal(each[0], torch.autograd.grad(loss(x), x)[0])


def test_a_weight_shared_by_the_batch() -> None:
    def loss(weight: Any, x: Any) -> Any:
        return upsample.conv_transpose2d(x, weight, stride=2).pow(2).sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(WEIGHT, BATCH)
    assert torch.equal(each, torch.stack([torch.func.grad(loss)(WEIGHT, x) for x in BATCH]))


def test_a_batch_that_wants_gradients() -> None:
    batch = BATCH.clone().requires_grad_()
    torch.func.vmap(FUNCTIONS["interpolate"])(batch).pow(2).sum().backward()
    alone = BATCH[1].clone().requires_grad_()
    FUNCTIONS["interpolate"](alone).pow(2).sum().backward()
    assert torch.equal(batch.grad[1], alone.grad)


def test_hessian_vector_product() -> None:
    def loss(x: Any) -> Any:
        return upsample.interpolate(x, scale_factor=2, mode="bilinear").pow(3).sum()

    def product(x: Any, v: Any) -> Any:
        return torch.func.grad(lambda y: (torch.func.grad(loss)(y) * v).sum())(x)

    x, v = BATCH[0], BATCH[1]
    step = 1e-6
    wanted = (torch.func.grad(loss)(x + step * v) - torch.func.grad(loss)(x - step * v)) / (2 * step)
    torch.testing.assert_close(product(x, v), wanted, rtol=1e-6, atol=1e-6)


def test_a_tangent_beside_a_gradient() -> None:
    x, tangent = BATCH[:2]
    bias = numbers(3)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(WEIGHT.clone().requires_grad_(), WEIGHT)
        shift = torch.autograd.forward_ad.make_dual(bias, bias)
        y = torch.autograd.forward_ad.unpack_dual(upsample.conv_transpose2d(x, dual, shift, stride=2))
    wanted = upsample.conv_transpose2d(x, WEIGHT, bias, stride=2)
    torch.testing.assert_close(y.primal, wanted)
    torch.testing.assert_close(y.tangent, wanted)
    assert y.primal.requires_grad
    made, moved = torch.func.jvp(FUNCTIONS["interpolate"], (x,), (tangent,))
    assert torch.equal(made, FUNCTIONS["interpolate"](x))
    assert torch.equal(moved, FUNCTIONS["interpolate"](tangent))


def test_out_takes_no_tangent() -> None:
    x = BATCH[0]
    with torch.autograd.forward_ad.dual_level(), pytest.raises(ValueError, match="cannot follow out="):
        upsample.interpolate(torch.autograd.forward_ad.make_dual(x, x), scale_factor=1, out=torch.empty_like(x))


SMALL = numbers(1, 2, 2, 4)
KERNEL = numbers(2, 1, 2, 2)
MAXIMA, PLACES = torch.nn.functional.max_pool2d(SMALL, (2, 2), return_indices=True)
MODES = {"nearest": {}, "area": {}, "bilinear": {"align_corners": True}, "bicubic": {"antialias": True}}
SECOND: dict[str, tuple[Callable[[Any], Callable[..., Any]], tuple[Any, ...]]] = {
    **{
        mode: (lambda of, mode=mode, more=more: lambda x: of.interpolate(x, size=(3, 3), mode=mode, **more), (SMALL,))
        for mode, more in MODES.items()
    },
    "pool": (lambda of: lambda x: of.max_pool2d(x, 2, 1), (SMALL,)),
    "unpool": (lambda of: lambda x: of.max_unpool2d(x, PLACES, 2), (MAXIMA,)),
    "conv": (lambda of: lambda *given: of.conv_transpose2d(*given, stride=2), (MAXIMA, KERNEL, numbers(1))),
    "pixels": (lambda of: lambda x: of.pixel_unshuffle(x, 2), (SMALL,)),
}
TWICE = {
    "reverse, forward": lambda f, by: torch.func.hessian(f, by),
    "forward, reverse": lambda f, by: torch.func.jacrev(torch.func.jacfwd(f, by), by),
    "forward, forward": lambda f, by: torch.func.jacfwd(torch.func.jacfwd(f, by), by),
    "reverse, reverse": lambda f, by: torch.func.jacrev(torch.func.jacrev(f, by), by),
}


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch's own max_unpool2d, batched
@pytest.mark.parametrize("order", TWICE)
@pytest.mark.parametrize("name", SECOND)
def test_hessian_is_torchs(name: str, order: str) -> None:
    """By every argument and by two, which forward mode in forward mode would forget."""
    function, given = SECOND[name]
    by = tuple(range(len(given)))
    found, wanted = (
        TWICE[order](lambda *x, of=of: function(of)(*x).pow(3).sum(), by)(*given)
        for of in (upsample, torch.nn.functional)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------ torch.autograd's and torch.fx's own transforms


def batched_grad(f: Callable[[Any], Any], x: Any) -> Any:
    x = x.clone().requires_grad_()
    y = f(x)
    return torch.autograd.grad(y, x, torch.stack([y.detach(), y.detach() ** 2]), is_grads_batched=True)[0]


def linearized(f: Callable[[Any], Any], x: Any) -> Any:
    y, tangent = torch.func.linearize(f, x)
    return y + tangent(x * 2)


def traced(f: Callable[[Any], Any], x: Any) -> Any:
    return torch.jit.trace(f, (x,), check_trace=False)(x * 2)


def as_graph(f: Callable[[Any], Any], x: Any) -> Any:
    graph = torch.fx.experimental.proxy_tensor.make_fx(torch.func.grad(lambda y: f(y).pow(3).sum()))(x)
    return graph(x * 2)


def faked(f: Callable[[Any], Any], x: Any) -> Any:
    """Return zeros of the shape and memory format of a result without values, and of its gradient."""
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(x).requires_grad_()
        y = f(fake)
        (grad,) = torch.autograd.grad(y.sum(), fake)
        shapes = [(t.shape, t.stride(), t.dtype) for t in (y, grad)]
    made = [torch.empty_strided(shape, stride, dtype=dtype).zero_() for shape, stride, dtype in shapes]
    return torch.cat([t.flatten() for t in made])


def checkpointed(f: Callable[[Any], Any], x: Any) -> Any:
    x = x.clone().requires_grad_()
    torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False).pow(2).sum().backward()
    return x.grad


def hessian_by(**how: Any) -> Callable[..., Any]:
    return lambda f, x: torch.autograd.functional.hessian(lambda y: f(y).pow(3).sum(), x, vectorize=True, **how)


TRANSFORMS: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "vectorized jacobian": lambda f, x: torch.autograd.functional.jacobian(f, x, vectorize=True),
    "forward jacobian": lambda f, x: torch.autograd.functional.jacobian(f, x, vectorize=True, strategy="forward-mode"),
    "vectorized hessian": hessian_by(),
    "forward over reverse": hessian_by(outer_jacobian_strategy="forward-mode"),
    "batched grad": batched_grad,
    "linearize": linearized,
    "functionalize": lambda f, x: torch.func.functionalize(f)(x),
    "vmap of vmap": lambda f, x: torch.func.vmap(torch.func.vmap(f), in_dims=1)(
        torch.stack([x] * 6).unflatten(0, (2, 3))
    ),
    "jit.trace": traced,
    "make_fx": as_graph,
    "FakeTensorMode": faked,
    "checkpoint": checkpointed,
}


@pytest.mark.filterwarnings("ignore")  # torch has no batching rule for some of its own, and has deprecated torch.jit
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", SECOND)
def test_what_transforms_torchs_ops_transforms_these(name: str, transform: str) -> None:
    function, (x, *others) = SECOND[name]

    def call(of: Any) -> Any:
        return TRANSFORMS[transform](lambda y: function(of)(y, *others), x)

    found = call(upsample)
    try:
        wanted = call(torch.nn.functional)
    except (RuntimeError, TypeError):  # torch's max_pool2d in vectorized forward mode, its max_unpool2d in a trace
        assert (name, transform) in LACKING
    else:
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


LACKING = {("pool", "forward jacobian"), ("pool", "forward over reverse"), ("unpool", "jit.trace")}
"""Transforms that fail on torch's own ops."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_runs_an_engine_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample.engines import dispatch

    ran, choose = [], dispatch.choose
    monkeypatch.setattr(dispatch, "choose", lambda *given: ran.append(given[1]) or choose(*given))
    torch.func.vmap(FUNCTIONS[name])(BATCH)
    assert len(ran) == (2 if name == "unpool" else 1)


def test_a_parameter_beside_a_tangent() -> None:
    weight = torch.nn.Parameter(WEIGHT)
    x, tangent = BATCH[:2]
    made, moved = torch.func.jvp(lambda y: upsample.conv_transpose2d(y, weight, stride=2), (x,), (tangent,))
    assert torch.equal(moved, upsample.conv_transpose2d(tangent, WEIGHT, stride=2))
    (grad,) = torch.autograd.grad((made * moved).sum(), weight)
    assert grad.shape == weight.shape


@pytest.mark.filterwarnings("ignore")
def test_a_trace_refuses_other_sizes() -> None:
    """Its operators are for the sizes of the trace; another batch is none of them."""
    trace = torch.jit.trace(lambda x: upsample.interpolate(x, size=(7, 7), mode="bicubic"), (SMALL,))
    assert torch.equal(
        trace(numbers(3, 2, 2, 4)), upsample.interpolate(numbers(3, 2, 2, 4), size=(7, 7), mode="bicubic")
    )
    with pytest.raises((RuntimeError, ValueError), match=r"interpolate: input=<shape \(1, 2, 3, 4\)>.*for other sizes"):
        trace(numbers(1, 2, 3, 4))
