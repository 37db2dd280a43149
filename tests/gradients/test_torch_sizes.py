"""torch.compile and torch.export leave sizes open: one graph serves all of them, as it does for torch's own ops."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch_live as live

import upsample
from upsample import chainer, keras, pillow

torch = live.torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself

WEIGHT = {d: live.torch.ones(2, 3, *(2,) * d) for d in (1, 2, 3)}
MODES = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}
SIZES = ((8, 9, 6), (12, 10, 4), (7, 14, 8), (9, 6, 9), (6, 7, 12))
"""Every batch size has another one: nine batches are past the limit of torch's recompilations."""


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def torchs_dialect(x: Any) -> list[Any]:
    """Return results of every op of torch's dialect over the axes that `x` has."""
    axes = x.ndim - 2
    pool, unpool, adaptive, conv = (
        getattr(upsample, f"{name}{axes}d")
        for name in ("max_pool", "max_unpool", "adaptive_max_pool", "conv_transpose")
    )
    maxima, indices = pool(x, 2, return_indices=True)
    made = [
        *(upsample.interpolate(x, scale_factor=2, mode=mode) for mode in ("nearest", *MODES[axes])),
        upsample.interpolate(x, scale_factor=1.3, mode=MODES[axes][0]),
        upsample.interpolate(x, size=(7,) * axes, mode="nearest-exact"),
        upsample.interpolate(x, size=[n * 2 - 1 for n in x.shape[2:]], mode="area"),
        upsample.nn.Upsample(scale_factor=2, mode=MODES[axes][0], align_corners=True)(x),
        pool(x, 3, 2, 1, ceil_mode=True),
        maxima,
        unpool(maxima, indices, 2, output_size=x.shape[2:]),
        adaptive(x, 3),
        conv(x, WEIGHT[axes], stride=2, padding=1, output_padding=1),
    ]
    if axes == 2:
        made += [upsample.pixel_shuffle(x.repeat(1, 2, 1, 1), 2), upsample.pixel_unshuffle(x.repeat(1, 1, 2, 2), 2)]
    return made


def other_dialects(x: Any) -> list[Any]:
    """Return results of the native, Chainer's and Keras' functions."""
    maxima, places = chainer.max_pooling_2d(x, 2, return_indices=True)
    return [
        upsample.resize(x, (5, 6), axes=(2, 3), mode="cubic"),
        upsample.resize(x, scale=1.5, axes=(2, 3), mode="linear", antialias=True),
        upsample.resize(x, (x.shape[2] + 1, 3 * x.shape[3]), axes=(2, 3), mode="lanczos", nan="omit"),
        chainer.resize_images(x, (9, 8)),
        chainer.upsampling_2d(maxima, places, 2),
        chainer.unpooling_2d(x, 2),
        chainer.deconvolution_2d(x, WEIGHT[2], stride=2),
        chainer.depth2space(x.repeat(1, 2, 1, 1), 2),
        keras.up_sampling_2d(x, 2, data_format="channels_first"),
    ]


def checked(function: Callable[[Any], list[Any]], compiled: Callable[[Any], list[Any]], x: Any) -> None:
    """Compare results, and the gradient of all of them together."""
    x.requires_grad_()
    got, wanted = compiled(x), function(x)
    for g, w in zip(got, wanted, strict=True):
        assert torch.equal(g, w)
    grads = [torch.autograd.grad(sum(y.square().sum() for y in results), x)[0] for results in (got, wanted)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ("axes", "function"), [(1, torchs_dialect), (2, torchs_dialect), (3, torchs_dialect), (2, other_dialects)]
)
def test_two_graphs_serve_any_number_of_sizes(axes: int, function: Callable[[Any], list[Any]]) -> None:
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=True)
    for place in range(10):
        shape = (3 + place, 2, *SIZES[place % len(SIZES)][:axes])
        checked(function, compiled, torch.randn(*shape, generator=torch.Generator().manual_seed(place)))
    assert graphs() <= 2


def test_a_dialect_that_fixes_sizes_is_compiled_again() -> None:
    """And is right; this also shows that graphs are counted."""
    compiled = torch.compile(lambda x: pillow.resize(x, (5, 4)), backend="eager", fullgraph=True, dynamic=True)
    for height, width in ((8, 9), (7, 6), (9, 5)):
        x = torch.randn(height, width)
        assert torch.equal(compiled(x), pillow.resize(x, (5, 4)))
    assert graphs() == 3


@pytest.mark.parametrize("first", [0, 1, 4])
def test_batches_of_none_and_one(first: int) -> None:
    """torch makes a graph for none, one for one, and one for the others."""

    def function(x: Any) -> Any:
        return upsample.max_pool2d(upsample.interpolate(x, scale_factor=2, mode="bilinear"), 2)

    compiled = torch.compile(function, backend="eager", fullgraph=True)
    for batch in (first, 0, 1, 2, 5, 7):
        x = torch.randn(batch, 2, 4, 4)
        torch._dynamo.mark_dynamic(x, 0)
        assert torch.equal(compiled(x), function(x))
    assert graphs() == 3


def test_out_is_written() -> None:
    def function(x: Any, out: Any) -> Any:
        return upsample.interpolate(x * 2, scale_factor=2, out=out)

    x, out = torch.randn(1, 2, 3, 4), torch.zeros(1, 2, 6, 8)
    made = torch.compile(function, backend="aot_eager", fullgraph=True)(x, out)
    assert torch.equal(out, upsample.interpolate(x * 2, scale_factor=2))
    assert torch.equal(made, out)


class Model(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(WEIGHT[2].clone())

    def forward(self, x: Any) -> list[Any]:
        return [*other_dialects(x), upsample.conv_transpose2d(x.relu(), self.weight, stride=2)]


def test_an_exported_program_has_open_sizes() -> None:
    """In a file, too, and it can be trained and transformed."""
    size = torch.export.Dim
    open_sizes = ({0: size("batch"), 2: size("height", min=4), 3: size("width", min=4)},)
    model = Model()
    program = torch.export.export(model, (torch.randn(3, 2, 8, 10),), dynamic_shapes=open_sizes)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for shape in ((3, 2, 8, 10), (5, 2, 7, 12), (1, 2, 11, 6)):
        checked(model, loaded, torch.randn(*shape))
    x = torch.randn(2, 2, 6, 7)

    def loss(of: Any, x: Any) -> Any:
        return sum(y.square().sum() for y in of(x))

    both = [torch.func.grad(lambda x, of=of: loss(of, x))(x) for of in (loaded, model)]
    torch.testing.assert_close(*both)
    _, moved = torch.func.jvp(lambda x: loss(loaded, x), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(moved, both[1].sum())
    weight_grads = [torch.autograd.grad(loss(of, x), list(of.parameters()))[0] for of in (loaded, model)]
    torch.testing.assert_close(*weight_grads)


def test_inductor() -> None:
    def function(x: Any) -> Any:
        values, indices = upsample.max_pool2d(x.relu(), 2, return_indices=True)
        return upsample.max_unpool2d(values, indices, 2) + 1

    compiled = torch.compile(function, fullgraph=True, dynamic=True)
    for shape in ((3, 2, 8, 10), (5, 2, 6, 4)):
        x = torch.randn(*shape)
        assert torch.equal(compiled(x), function(x))
    assert graphs() == 1
