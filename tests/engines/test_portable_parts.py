"""The portable engine's parts of planes: none is large, all together are the plane, and results do not hang on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample.engines.portable.blocks import cut_planes
from upsample.engines.portable.conv_transpose import driver as conv_transpose
from upsample.engines.portable.conv_transpose import im2col, weight_grad
from upsample.engines.portable.pool import driver as pool
from upsample.engines.portable.unpool import numpy_scatter
from upsample.plans import cell_blocks
from upsample.plans.window import ConvTransposePlan, SpanAxis, WindowAxis

MOST = 1 << 22
HUGE = {
    "plane": (WindowAxis(8192, 4096, 3, 2, 1, 1),) * 2,
    "row": (WindowAxis(1 << 26, 1 << 25, 2, 2, 0, 1),),
    "rows": (WindowAxis(4, 4, 3, 1, 1, 1), WindowAxis(1 << 24, 1 << 23, 2, 2, 0, 1)),
    "volume": (WindowAxis(256, 254, 3, 1, 0, 1),) * 2 + (WindowAxis(512, 510, 3, 1, 0, 1),),
    "dilated": (WindowAxis(1024, 816, 17, 1, 0, 13),) * 2,
    "adaptive": (SpanAxis(16, 5000),) * 2,
}


@pytest.mark.parametrize("axes", HUGE.values(), ids=HUGE.keys())
def test_no_part_is_large(axes: tuple[WindowAxis | SpanAxis, ...]) -> None:
    """The size of one NumPy call bounds the delay of Ctrl-C."""
    parts = cut_planes(axes, 2, 4, MOST, 1 << 19)
    for part in parts:
        read, made = (math.prod(cut.stop - cut.start for cut in cuts) for cuts in (part.positions, part.cells))
        assert 4 * max(read, made) * (part.planes.stop - part.planes.start) <= 4 * MOST
    cells = sum(math.prod(c.stop - c.start for c in (part.planes, *part.cells)) for part in parts)
    assert cells == 2 * math.prod(axis.small for axis in axes)


@pytest.mark.parametrize("most", [40, 400, 6000])
@pytest.mark.parametrize("special", [0.0, -0.0, np.nan])
def test_pooling_in_parts(monkeypatch: pytest.MonkeyPatch, most: int, special: float) -> None:
    x = noise(2, 3, 37, 41).round(1) + 0.0  # no negative zeros
    x.flat[::97] = special

    def results() -> list[bytes]:
        windows = [
            (3, 2, 1, 1),
            (5, 1, 2, 1),
            (3, 1, 1, 2),
            (3, 5, 1, 1),
            ((7, 2), (1, 3), (3, 1), (2, 1)),
            (37, 1, 0, 1),
        ]
        made = [upsample.max_pool2d_with_indices(x, *window, engine="portable") for window in windows]
        made.append(upsample.adaptive_max_pool2d_with_indices(x, (7, 50), engine="portable"))
        made.append(upsample.chainer.max_pooling_2d(x, 3, 2, 1, return_indices=True, engine="portable"))
        return [array.tobytes() for pair in made for array in pair]

    wanted = results()
    monkeypatch.setattr(pool, "tile_bytes", lambda xp: most)
    monkeypatch.setattr(pool, "_ALONE_BYTES", most)
    assert results() == wanted
    monkeypatch.setattr(pool, "WORTH_SHARING", 0)
    monkeypatch.setattr(pool, "_KEYS_BYTES", most)
    assert results() == wanted


@pytest.mark.parametrize("duplicates", ["last", "sum"])
@pytest.mark.parametrize("anywhere", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "complex128"])
def test_unpooling_in_pieces(monkeypatch: pytest.MonkeyPatch, duplicates: str, anywhere: bool, dtype: str) -> None:
    """Repeated places too: the last cell wins, and alone has the gradient, wherever the pieces end."""
    values, indices = upsample.max_pool2d_with_indices(noise(2, 3, 12, 14), 3, 2, 1)
    if anywhere:
        indices = np.random.default_rng(0).integers(0, 40, indices.shape)
    x = (values * 8).round().astype(dtype)
    options = dict(output_size=(12, 14), duplicates=duplicates, engine="portable")

    def results() -> list[bytes]:
        y, pullback = upsample.vjp(upsample.max_unpool2d, x, indices, 3, 2, 1, **options)
        grads = pullback(np.arange(y.size, dtype=y.dtype).reshape(y.shape))
        near = upsample.max_unpool2d(x, indices, 3, 2, 1, check_indices=False, **options)
        return [y.tobytes(), grads[0].tobytes(), near.tobytes()]

    wanted = results()
    flat = np.zeros((6, 12 * 14), dtype=dtype)
    for plane, (cells, places) in enumerate(zip(x.reshape(6, -1), indices.reshape(6, -1), strict=True)):
        for cell, place in zip(cells, places, strict=True):
            flat[plane, place] = cell + (flat[plane, place] if duplicates == "sum" else 0)
    assert wanted[0] == flat.tobytes()
    monkeypatch.setattr(numpy_scatter, "_ALONE", 5)
    monkeypatch.setattr(numpy_scatter, "_BAND", 37)
    assert results() == wanted
    monkeypatch.setattr(numpy_scatter, "_in_order", lambda dtype: False)  # a NumPy that promises no order
    assert results() == wanted


SPREADS = {
    "plane": (1, 1, (WindowAxis(8192, 4096, 2, 2, 0, 1),) * 2),
    "channels": (3, 8, (WindowAxis(4096, 2048, 4, 2, 1, 1),) * 2),
    "row": (4, 4, (WindowAxis((1 << 23) + 2, 1 << 22, 4, 2, 0, 1),)),
    "wide": (16, 16, (WindowAxis(128, 64, 65, 1, 0, 1),) * 2),
    "volume": (32, 16, (WindowAxis(129, 64, 3, 2, 0, 1),) * 3),
    "long_kernel": (1, 1, (WindowAxis((1 << 20) + 1023, 1 << 20, 1024, 1, 0, 1),)),
    "many_channels": (4096, 512, (WindowAxis(4, 1, 4, 1, 0, 1),) * 2),
}


@pytest.mark.parametrize(("channels", "each", "axes"), SPREADS.values(), ids=SPREADS.keys())
def test_no_product_is_large(channels: int, each: int, axes: tuple[WindowAxis, ...]) -> None:
    plan = ConvTransposePlan(axes, 1, "float32")
    images, _, outputs, planes = conv_transpose._block(plan, 64, channels, each)
    cells = max(math.prod(axis.small for axis in plane.axes) for plane in planes)
    made, kernel = images * outputs * cells, math.prod(plan.kernel_shape)
    assert made <= 2 * max(1 << 14, (1 << 21) // kernel)
    assert made * kernel * channels <= 1 << 32
    positions = sum(math.prod(cut.stop - cut.start for cut in plane.positions) for plane in planes)
    assert positions == math.prod(plan.large_shape)


@pytest.mark.parametrize(("channels", "each", "axes"), SPREADS.values(), ids=SPREADS.keys())
def test_no_layout_is_large(channels: int, each: int, axes: tuple[WindowAxis, ...]) -> None:
    layout = im2col.Columns.of(ConvTransposePlan(axes, 1, "float32"))
    assert layout is not None
    count = np.zeros((1, 1, *(axis.small for axis in axes)), np.uint8)
    for cells, positions, block in layout.blocks(1, channels, each):
        count[cells] += 1
        made = math.prod(axis.small for axis in block.plan.axes)
        read = tuple(cut.stop - cut.start for cut in positions[2:])
        assert block.plan.large_shape == read
        assert block.useful == layout.useful
        others, stride = math.prod(map(len, block.useful[1:])), axes[0].stride
        rows = made * others * each
        assert 4 * rows * min(stride, len(block.useful[0])) <= 1 << 25
        assert rows * channels <= 1 << 32
    assert (count == 1).all()


def convolutions(dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, int]]]:
    """Input, weight and options, in whole numbers, so that no order of sums shows."""
    windows = [(2, 2, 0, 0, 1), (4, 2, 1, 0, 1), (3, 1, 1, 0, 2), (2, 3, 0, 2, 1), (5, 3, 4, 1, 1), (3, 4, 2, 1, 3)]
    for kernel, stride, padding, more, dilation in windows:
        x, weight = (np.round(4 * noise(*shape)).astype(dtype) for shape in ((2, 4, 37, 41), (4, 3, kernel, kernel)))
        yield x, weight, dict(stride=stride, padding=padding, output_padding=more, dilation=dilation, groups=2)


def spied(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[Any]:
    """What a function of a module returns from now on."""
    plain, returned = getattr(module, name), []
    monkeypatch.setattr(module, name, lambda *given: returned.append(plain(*given)) or returned[-1])
    return returned


@pytest.mark.parametrize("most", [1 << 12, 1 << 14])
@pytest.mark.parametrize("dtype", ["float32", "float16", "complex128"])
@pytest.mark.parametrize("special", [0, math.inf])
def test_gradients_of_transposed_convolution_in_parts(
    monkeypatch: pytest.MonkeyPatch, most: int, dtype: str, special: float
) -> None:
    def results() -> list[bytes]:
        made = []
        for x, weight, options in convolutions(dtype):
            weight[1, 1, 0, 1] += special
            result, pull = upsample.vjp(upsample.conv_transpose2d, x, weight, **options, engine="portable")
            made += pull(np.round(2 * noise(*result.shape)).astype(dtype))
        return [array.tobytes() for array in made]

    wanted, cut = results(), spied(monkeypatch, im2col, "cut_cells")
    monkeypatch.setattr(im2col, "_LAID_BYTES", most)
    monkeypatch.setattr(im2col, "_FEW_CELLS", 1)
    monkeypatch.setattr(weight_grad, "_LAID_BYTES", most)
    monkeypatch.setattr(cell_blocks, "_CELLS", 50)
    assert results() == wanted
    assert min(map(len, cut)) > 1


@pytest.mark.parametrize("most", [1 << 9, 1 << 12])
@pytest.mark.parametrize("dtype", ["float32", "float16", "complex128"])
def test_transposed_convolution_in_parts(monkeypatch: pytest.MonkeyPatch, most: int, dtype: str) -> None:
    def results() -> list[bytes]:
        made = []
        for x, weight, options in convolutions(dtype):
            bias = np.round(4 * noise(6)).astype(dtype)
            made.append(upsample.conv_transpose2d(x, weight, bias, **options, engine="portable"))
        return [array.tobytes() for array in made]

    wanted, cut = results(), spied(monkeypatch, conv_transpose, "cut_positions")
    monkeypatch.setattr(conv_transpose, "_PART_BYTES", most)
    monkeypatch.setattr(conv_transpose, "_FEW_CELLS", 40)
    assert results() == wanted
    assert min(map(len, cut)) > 1
    monkeypatch.setattr(conv_transpose, "_TAPS_BYTES", most)  # a few taps at a time
    assert results() == wanted
