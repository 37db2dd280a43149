"""Resources of the portable engine: calls and memory grow neither with windows nor with samples that it skips."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backends
import numpy as np
import pytest

import upsample
from upsample import chainer, reference
from upsample.plans.filter_weights import normalise

MIB = 1 << 20


def calls(run: Callable[[], Any]) -> int:
    """Return how many functions a call enters: as many as it takes steps."""
    count = 0

    def look(_frame: object, event: str, _what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    run()  # tables are kept
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def peak(run: Callable[[], Any]) -> int:
    """Return the most bytes of NumPy that were held at once."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@dataclass(frozen=True)
class Pooling:
    """A call of long windows, and what is right."""

    run: Callable[[Any], Any]
    expected: Callable[[np.ndarray], Any]


POOLED = {
    "adaptive": Pooling(
        lambda x: upsample.adaptive_max_pool1d(x, 3, return_indices=True, engine="portable"),
        lambda x: reference.adaptive_max_pool(x, (3,)),
    ),
    "one window": Pooling(
        lambda x: upsample.max_pool1d(x, x.shape[-1], return_indices=True, engine="portable"),
        lambda x: reference.max_pool(x, (x.shape[-1],)),
    ),
    "padded": Pooling(
        lambda x: upsample.max_pool1d(x, x.shape[-1] // 2, padding=9, return_indices=True, engine="portable"),
        lambda x: reference.max_pool(x, (x.shape[-1] // 2,), padding=(9,)),
    ),
    "dilated": Pooling(
        lambda x: upsample.max_pool1d(
            x, x.shape[-1] // 3, stride=x.shape[-1] // 9, dilation=2, return_indices=True, engine="portable"
        ),
        lambda x: reference.max_pool(x, (x.shape[-1] // 3,), stride=(x.shape[-1] // 9,), dilation=(2,)),
    ),
    "Chainer": Pooling(
        lambda x: chainer.max_pooling_1d(x, x.shape[-1] // 3, pad=5, return_indices=True, engine="portable"),
        lambda x: reference.chainer_max_pooling(x, (x.shape[-1] // 3,), pad=(5,)),
    ),
}


@pytest.mark.parametrize("name", POOLED)
def test_pooling_does_not_take_a_step_for_each_tap(name: str) -> None:
    x = np.random.default_rng(0).random((1, 2, 30_000), dtype=np.float32)
    assert calls(lambda: POOLED[name].run(x)) < calls(lambda: POOLED[name].run(x[..., :3000])) + 1000


@pytest.mark.parametrize("name", POOLED)
@pytest.mark.parametrize("library", ["numpy", "strict", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8"])
def test_long_windows_are_those_of_the_reference(name: str, library: str, dtype: str) -> None:
    """With NaN, padding, infinities, zeros of both signs, and ties."""
    if name == "Chainer" and dtype != "float32":
        pytest.skip("Chainer pools floats")
    backend, rng = backends.get(library), np.random.default_rng(0)
    for trial in range(4):
        x = rng.integers(0, 5, (2, 3, 900)).astype(dtype)
        if dtype == "float32":
            x[rng.random(x.shape) < 0.002 * (trial > 1)] = np.nan
            x[0, 0] = -np.inf if trial % 2 else -0.0
            x[0, 1] *= rng.choice([-0.0, 0.0], 900)
        for got, wanted in zip(POOLED[name].run(backend.make(x)), POOLED[name].expected(x), strict=True):
            found = backend.back(got)
            np.testing.assert_array_equal(found, wanted)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_the_gradient_of_long_windows_follows_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (2, 2, 900)).astype(np.float64)).requires_grad_()
    upsample.adaptive_max_pool1d(x, 2, engine="portable").pow(2).sum().backward()
    own, x.grad = x.grad, None
    torch.nn.functional.adaptive_max_pool1d(x, 2).pow(2).sum().backward()
    assert torch.equal(own, x.grad)


def test_nearest_looks_at_the_samples_that_it_takes() -> None:
    x = np.broadcast_to(np.zeros((), np.uint8), (1, 1, 50_000, 50_000))
    assert peak(lambda: upsample.interpolate(x, size=(5, 5), engine="portable")) < 4 * MIB
    line = np.broadcast_to(np.zeros((), np.uint8), (1, 1, 3_000_000_000))
    assert peak(lambda: upsample.interpolate(line, size=7, engine="portable")) < MIB


SHRUNK: dict[str, Callable[..., Any]] = {
    "linear": lambda x, engine="portable": upsample.interpolate(x, size=7, mode="linear", engine=engine),
    "area": lambda x, engine="portable": upsample.interpolate(x, size=7, mode="area", engine=engine),
    "lanczos": lambda x, engine="portable": upsample.resize(
        x, (3,), axes=(2,), mode="lanczos", antialias=True, engine=engine
    ),
}


@pytest.mark.parametrize("name", SHRUNK)
def test_a_long_axis_takes_some_tables_of_its_size(name: str) -> None:
    """Blocks of several outputs had as many zeros more, and one step for each tap made the weights sum to one."""
    x = np.random.default_rng(0).random((1, 1, 400_000), dtype=np.float32)
    assert peak(lambda: SHRUNK[name](x)) < 48 * x.nbytes
    assert calls(lambda: SHRUNK[name](x + 1)) < 20_000
    np.testing.assert_allclose(SHRUNK[name](x), SHRUNK[name](x, engine=None), 0, 1e-5)


def test_the_weights_of_one_long_window_are_held_twice_at_most() -> None:
    """Beside the table of float64 there is the matrix, in the dtype of sums."""
    x = np.random.default_rng(0).random((1, 1, 1_234_567), dtype=np.float32)
    assert peak(lambda: upsample.interpolate(x, size=1, mode="area", engine="portable")) < 4 * x.nbytes


def test_weights_of_long_windows_are_added_one_by_one() -> None:
    for shape in ((3, 200_000), (300, 70), (1, 1)):
        weight = np.random.default_rng(0).random(shape)
        total = np.zeros((shape[0], 1))
        for column in weight.T:
            total[:, 0] += column
        wanted = weight / total
        normalise(weight)
        np.testing.assert_array_equal(weight, wanted)


def test_bytes_of_a_large_image_shrunk_much() -> None:
    x = np.random.default_rng(0).integers(0, 256, (1, 1, 3000, 3000), dtype=np.uint8)

    def shrink(x: np.ndarray, engine: str | None = None) -> Any:
        return upsample.interpolate(x, size=(10, 10), mode="bilinear", antialias=True, engine=engine)

    np.testing.assert_array_equal(shrink(x, "portable"), shrink(x))


def few_cells(taps: int, cells: tuple[int, ...], stride: int) -> Callable[[], Any]:
    """Return a transposed convolution of few cells by a window that is long on the first axis."""
    rng, spatial = np.random.default_rng(0), len(cells)
    x = rng.random((1, 2, *cells), dtype=np.float32)
    weight = rng.random((2, 2, taps, *(1,) * (spatial - 1)), dtype=np.float32)
    function = getattr(upsample, f"conv_transpose{spatial}d")
    return lambda: function(x, weight, stride=stride, engine="portable")


@pytest.mark.parametrize("cells", [(2,), (2, 3), (2, 1, 3)], ids=str)
def test_transposed_convolution_of_few_cells_does_not_take_a_step_for_each_tap(cells: tuple[int, ...]) -> None:
    assert calls(few_cells(30_000, cells, 1)) < calls(few_cells(3000, cells, 1)) + 100


def test_tiles_of_a_long_stride_do_not_take_a_step_for_each_position() -> None:
    assert calls(few_cells(30_000, (2,), 30_000)) < calls(few_cells(3000, (2,), 3000)) + 100


@pytest.mark.parametrize(
    ("cells", "options"), [((12, 12), {}), ((4, 4), {"pad": 5}), ((30, 30), {"stride": 1})], ids=str
)
def test_unpooling_by_large_windows_takes_the_memory_of_the_result(
    cells: tuple[int, int], options: dict[str, int]
) -> None:
    x = np.random.default_rng(0).random((2, 1, *cells), dtype=np.float32)

    def unpool() -> Any:
        return chainer.unpooling_2d(x, 151, **options, engine="portable")

    result = unpool()
    assert peak(unpool) < 1.5 * result.nbytes + 8 * MIB
    np.testing.assert_allclose(result, chainer.unpooling_2d(x, 151, **options), 1e-5)


@pytest.mark.parametrize("cells", [(2,), (2, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("stride", [1, 2, None], ids=str)
def test_gradients_of_few_cells_do_not_take_a_step_for_each_tap(cells: tuple[int, ...], stride: int | None) -> None:
    def pull_back(taps: int) -> int:
        rng, spatial = np.random.default_rng(0), len(cells)
        x = rng.random((1, 2, *cells), dtype=np.float32)
        weight = rng.random((2, 2, taps, *(1,) * (spatial - 1)), dtype=np.float32)
        op = getattr(upsample, f"conv_transpose{spatial}d")
        y, pull = upsample.vjp(
            lambda x, w: op(x, w, stride=stride or (taps, *(1,) * (spatial - 1)), engine="portable"), x, weight
        )
        return calls(lambda: pull(y))

    assert pull_back(16_000) < pull_back(2000) + 200


@pytest.mark.parametrize(
    ("taps", "stride", "dilation", "padding"), [(300, 300, 1, 0), (301, 100, 1, 7), (120, 90, 3, 11), (60, 90, 2, 0)]
)
@pytest.mark.parametrize("infinite", [False, True])
def test_gradients_of_few_cells_with_a_long_stride_are_right(
    taps: int, stride: int, dilation: int, padding: int, infinite: bool
) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.random((3, 2, 3)), rng.random((2, 2, taps))
    if infinite:
        weight[0, 0, 0] = np.inf  # a tap of the first cell that the padding cuts off reads nothing
    options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding}
    y, pull = upsample.vjp(lambda x, w: upsample.conv_transpose1d(x, w, **options, engine="portable"), x, weight)
    grad = rng.random(y.shape)
    of_x, of_weight = np.zeros(x.shape), np.zeros(weight.shape)
    for cell in range(x.shape[2]):
        for tap in range(taps):
            place = cell * stride + tap * dilation - padding
            if 0 <= place < y.shape[2]:
                of_x[:, :, cell] += grad[:, :, place] @ weight[:, :, tap].T
                of_weight[:, :, tap] += x[:, :, cell].T @ grad[:, :, place]
    for made, right in zip(pull(grad), (of_x, of_weight), strict=True):
        np.testing.assert_allclose(made, right, 1e-12)
