"""torch.compile takes calls of the functions into one graph, as custom ops, and their gradients are the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch_live as live

import upsample
from upsample import chainer
from upsample.autograd.serialize import read, written

torch = live.torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself


def tensors() -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(*shape, generator=generator).requires_grad_() for shape in ((1, 2, 4, 6), (2, 3, 2, 2), (3,))
    )


def decoder(x: Any, weight: Any, bias: Any) -> Any:
    values, indices = upsample.max_pool2d(x * 2, 2, return_indices=True)
    unpooled = upsample.max_unpool2d(values.relu(), indices, 2)
    finer = upsample.conv_transpose2d(unpooled, weight, bias, stride=2)
    return upsample.interpolate(finer, scale_factor=1.5, mode="bicubic")


FUNCTIONS = {
    "decoder": decoder,
    "no-bias": lambda x, w, b: upsample.conv_transpose2d(x[0], w) + b[:, None, None],
    "twice": lambda x, w, b: (
        upsample.interpolate(upsample.interpolate(x, scale_factor=2), size=3).sum() + w.sum() + b.sum()
    ),
    "pixels": lambda x, w, b: upsample.pixel_unshuffle(x, 2).sum() * w.sum() * b.sum(),
    "resize": lambda x, w, b: upsample.resize(x, (3, 5), axes=(2, 3)).sum() * w.sum() * b.sum(),
    "chainer": lambda x, w, b: chainer.deconvolution_2d(chainer.unpooling_2d(x, 2), w, b),
    "layer": lambda x, w, b: upsample.nn.Upsample(scale_factor=2)(x).sum() * w.sum() * b.sum(),
}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize(("name", "backend"), [*((name, "aot_eager") for name in FUNCTIONS), ("decoder", "eager")])
def test_one_graph_and_the_same_gradients(name: str, backend: str) -> None:
    function, inputs = FUNCTIONS[name], tensors()
    compiled = torch.compile(function, backend=backend, fullgraph=True)
    got, wanted = compiled(*inputs), function(*inputs)
    assert torch.equal(got, wanted)
    for g, w in zip(
        torch.autograd.grad(got.square().sum(), inputs), torch.autograd.grad(wanted.square().sum(), inputs), strict=True
    ):
        assert torch.equal(g, w)
    with torch.no_grad():
        assert torch.equal(compiled(*inputs), wanted)


@pytest.mark.parametrize("fullgraph", [True, False])
def test_a_second_shape_is_compiled_too(fullgraph: bool) -> None:
    """From which on torch's compiler would see sizes as symbols."""
    compiled = torch.compile(decoder, backend="aot_eager", fullgraph=fullgraph)
    for height, width in ((4, 6), (8, 10), (6, 14)):
        x = torch.randn(1, 2, height, width, requires_grad=True)
        _, weight, bias = tensors()
        got, wanted = compiled(x, weight, bias), decoder(x, weight, bias)
        assert torch.equal(got, wanted)
        assert torch.equal(torch.autograd.grad(got.sum(), x)[0], torch.autograd.grad(wanted.sum(), x)[0])


def test_they_are_custom_ops() -> None:
    """In the graph that the backend receives, forward and backward."""
    seen: list[str] = []

    def backend(graph: Any, _examples: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    from torch._dynamo.backends.common import aot_autograd

    inputs = tensors()
    result = torch.compile(decoder, backend=aot_autograd(fw_compiler=backend), fullgraph=True)(*inputs)
    assert sum(name.startswith("upsample.step") for name in seen) == 4
    assert seen.count("upsample.step_with_indices.default") == 1
    seen.clear()
    result.sum().backward()
    assert seen.count("upsample.step.default") == 5  # of the convolution, one for the input and one for the weight


def test_the_custom_op_is_well_made() -> None:
    """torch's own check: schema, fake tensors, autograd."""
    import array_api_compat.torch as xp

    from upsample.autograd import torch_function as door
    from upsample.autograd.tape import recording
    from upsample.ops import conv_steps, steps
    from upsample.plans.window import ConvTransposePlan, PoolPlan, WindowAxis

    plan = ConvTransposePlan((WindowAxis(9, 4, 3, 2, 0, 1), WindowAxis(12, 6, 2, 2, 0, 1)), 1, "float32")
    step = conv_steps.ConvTranspose("conv_transpose2d", xp, None, plan)
    x, weight, bias = tensors()
    weight = torch.randn(2, 3, 3, 2).requires_grad_()
    windows = WindowAxis(4, 2, 2, 2, 0, 1), WindowAxis(6, 3, 2, 2, 0, 1)
    pool = steps.Pool("max_pool2d", xp, None, PoolPlan(windows, False, False))
    with recording(None):
        for inputs in ((x, weight, bias), (x.detach(), weight, None)):
            text, sizes = written(step)
            torch.library.opcheck(door._OPERATORS[1], (*inputs, sizes, text))
        text, sizes = written(pool)
        torch.library.opcheck(door._OPERATORS[2], (x, None, None, sizes, text))


def test_a_step_is_read_as_it_was_written() -> None:
    """All that a graph holds of it, which may be kept in a file: nothing else is made of a text."""
    import array_api_compat.torch as xp

    from upsample.engines.dispatch import Preferred
    from upsample.ops import steps
    from upsample.plans.resize import AxisRule, ResizePlan, Rounding
    from upsample.plans.shuffle import ShufflePlan
    from upsample.plans.window import SpanAxis, UnpoolPlan, WindowAxis

    rule = AxisRule(3, 5, "cubic", (0.1 + 0.2, 1.0), False, True, -0.75, Rounding.FLOAT64_FLOORF)
    unpooling = UnpoolPlan((SpanAxis(5, 3), WindowAxis(9, 4, 3, 2, 0, 1)), True, "sum", False, True)
    shuffling = ShufflePlan(*([(1, 2)] * len(dataclasses.fields(ShufflePlan))))
    for step in (
        steps.Resize("it's", xp, Preferred("cpu"), ResizePlan((1,), (rule.transpose(),))),
        steps.Unpool("max_unpool2d", xp, "portable", unpooling, True, "indices"),
        steps.Rearrange("pixel_shuffle", xp, None, shuffling, (4, 2)),
    ):
        again = read(*written(step))
        assert again == step
        assert type(again.engine) is type(step.engine)
    for text in ("{'os:system': ('true',)}", "{'os': None}", "{'upsample.arrays:namespace': ()}", "{'upsample': None}"):
        with pytest.raises(ValueError, match="this is no step"):
            read(text, ())
