"""upsample.onnx against recorded nodes, on which onnx's reference evaluator and onnxruntime agree, and by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import backends
import dialect_recorded
import numpy as np
import pytest

import upsample
import upsample.onnx
from upsample.onnx import (
    conv_transpose,
    depth_to_space,
    max_pool,
    max_unpool,
    resize,
    run_node,
    space_to_depth,
)
from upsample.onnx.nodes import OPERATORS

NODES = dialect_recorded.calls("onnx")
OPERATOR_NAMES = sorted({call.function for call in NODES})
MOST = {"strict": 30, "torch": 30, "jax": 1, "dask": 8, "emulated": 4}
"""Calls per operator, where not all are made; JAX compiles for each shape."""
LIBRARIES = ("numpy", "portable", "strict", "torch", "jax", "dask", "emulated")


def attribute(name: str, value: Any) -> SimpleNamespace:
    """Return what an AttributeProto is."""
    item = value[0] if isinstance(value, (list, tuple)) else value
    kind = {float: 1, int: 2, str: 3}[type(item)] + (5 if isinstance(value, (list, tuple)) else 0)
    field = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints"}[kind]
    return SimpleNamespace(name=name, type=kind, **{field: value.encode() if kind == 3 else value})


def node(op_type: str, inputs: int = 1, outputs: int = 1, **attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        op_type=op_type,
        input=[f"i{n}" for n in range(inputs)],
        output=[f"o{n}" for n in range(outputs)],
        attribute=[attribute(name, value) for name, value in attributes.items()],
    )


def is_image(value: Any, place: int, function: str) -> bool:
    """Whether an input is data; sizes, scales and regions stay on the host."""
    return value is not None and (place == 0 or (function not in ("Resize", "Upsample") and value.ndim != 1))


def run(call: dialect_recorded.Call, backend: backends.Backend) -> np.ndarray:
    options = dict(call.options)
    opset, output = options.pop("opset"), options.pop("output")
    made = node(call.function, len(call.args), output + 1, **options)
    inputs = [
        backend.make(value) if is_image(value, place, call.function) or call.function == "ConvTranspose" else value
        for place, value in enumerate(call.args)
    ]
    if call.function == "MaxUnpool":
        inputs = [backends.in_whole_planes(value) for value in inputs]
    with backend.active():
        results = run_node(made, inputs, opset, **backend.options)
    assert type(results[output]) is type(inputs[0])
    return backend.back(results[output])


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("function", OPERATOR_NAMES)
def test_recorded(function: str, name: str) -> None:
    backend = backends.get(name)
    few = [call for call in NODES if call.function == function]
    few = few[:: len(few) // MOST.get(name, len(few))]
    wrong = {repr(call): fault for call in few if (fault := dialect_recorded.fault(call, run(call, backend)))}
    assert wrong == {}


def test_every_operator_is_recorded() -> None:
    assert set(OPERATOR_NAMES) == set(OPERATORS)


def test_indices_count_over_the_whole_tensor_in_both_orders() -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 5, 6))
    values, indices = max_pool(x, kernel_shape=[2, 3, 2], strides=[1, 2, 2], return_indices=True)
    np.testing.assert_array_equal(x.ravel()[indices], values)
    _, turned = max_pool(x, kernel_shape=[2, 3, 2], strides=[1, 2, 2], storage_order=1, return_indices=True)
    planes = x.transpose(0, 1, 4, 3, 2).ravel()
    np.testing.assert_array_equal(planes[turned], values)


def test_unpool_undoes_pool() -> None:
    x = np.random.default_rng(1).random((2, 3, 6, 8), dtype=np.float32)
    values, indices = max_pool(x, kernel_shape=[2, 2], strides=[2, 2], return_indices=True)
    back = max_unpool(values, indices, kernel_shape=[2, 2], strides=[2, 2])
    np.testing.assert_array_equal(back, np.where(np.isin(x, values), x, 0))
    wide = max_unpool(values, indices, [2, 3, 7, 9], kernel_shape=[2, 2], strides=[2, 2])
    np.testing.assert_array_equal(wide[..., :6, :8], back)
    assert not wide[..., 6:, :].any()
    assert not wide[..., 8:].any()


@pytest.mark.parametrize("place", [-1, 4, 8])
@pytest.mark.parametrize("shape", [None, [1, 2, 6]])
def test_an_index_outside_its_plane_is_an_error(place: int, shape: list[int] | None) -> None:
    x = np.ones((1, 2, 2))
    with pytest.raises(IndexError, match="max_unpool: I"):
        max_unpool(x, np.asarray([[[0, place], [5, 7]]]), shape, kernel_shape=[2], strides=[2])


def test_shuffles_are_inverse() -> None:
    x = np.arange(2 * 8 * 3 * 2).reshape(2, 8, 3, 2)
    for mode in ("DCR", "CRD"):
        made = depth_to_space(x, blocksize=2, mode=mode)
        np.testing.assert_array_equal(space_to_depth(made, blocksize=2, mode=mode), x)


def test_gradients() -> None:
    rng = np.random.default_rng(2)
    x, w, b = rng.random((2, 2, 4, 3)), rng.random((2, 3, 2, 3)), rng.random(3)
    options = dict(strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 2])
    y, pullback = upsample.vjp(conv_transpose, x, w, b, **options)
    g = rng.random(y.shape)
    for given, grad in zip((x, w, b), pullback(g), strict=True):
        place = tuple(n // 2 for n in given.shape)
        step = np.zeros_like(given)
        step[place] = 1.0
        moved = [a + step if a is given else a for a in (x, w, b)]
        np.testing.assert_allclose(((conv_transpose(*moved, **options) - y) * g).sum(), grad[place], rtol=1e-9)
    values, pull = upsample.vjp(lambda x: max_pool(x, kernel_shape=[2, 2], strides=[2, 1]), x)
    np.testing.assert_allclose(pull(np.ones_like(values))[0].sum(), values.size)


@pytest.mark.parametrize(
    "options",
    [
        dict(sizes=[3, 9], axes=[0, 1], mode="linear"),
        dict(sizes=[9, 3], axes=[1, 0], mode="cubic", exclude_outside=1, antialias=1),
        dict(
            scales=[1.5, 0.7],
            roi=[-0.2, 0.1, 1.1, 0.8],
            mode="linear",
            coordinate_transformation_mode="tf_crop_and_resize",
        ),
        dict(scales=[2.0, 1.0], mode="nearest"),
    ],
)
def test_gradients_of_resize(options: dict[str, Any]) -> None:
    """A resize is linear: its gradient is its transposed matrix."""
    rng = np.random.default_rng(3)
    x, step = rng.standard_normal((2, 5, 4))
    y, pullback = upsample.vjp(resize, x, **options)
    (back,) = pullback(y)
    moved = resize(step, **options)
    np.testing.assert_allclose((moved * y).sum(), (back * step).sum())
    if "roi" in options:
        assert (y == 0).any()
        filled = resize(step, **options, extrapolation_value=2.5)
        np.testing.assert_array_equal(filled, np.where(y == 0, 2.5, moved))


@pytest.mark.parametrize("name", LIBRARIES)
def test_sizes_scales_and_regions_may_be_arrays(name: str) -> None:
    backend = backends.get(name)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    options = dict(mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
    given = [np.asarray([0.0, 0.25, 1.0, 0.75], np.float32), np.asarray([2.0, 1.0], np.float32)]
    with backend.active():
        made = resize(backend.make(x), *map(backend.make, given), **options, **backend.options)
        sized = resize(backend.make(x), sizes=backend.make(np.asarray([6, 4])), **backend.options)
    np.testing.assert_allclose(backend.back(made), resize(x, *[v.tolist() for v in given], **options), rtol=1e-6)
    np.testing.assert_array_equal(backend.back(sized), resize(x, scales=[2.0, 1.0]))


def test_integers_are_cut_towards_zero_and_saturated() -> None:
    x = np.asarray([-7, 100, -100, 127, 127, -128, -128, 127, 3], np.int8)
    made = resize(x, scales=[2.5], mode="cubic")
    exact = resize(x.astype(np.float64), scales=[2.5], mode="cubic")
    np.testing.assert_array_equal(made, np.clip(np.trunc(exact), -128, 127).astype(np.int8))
    assert exact.min() < -129
    large = np.asarray([2**31 - 1, 2**31 - 1, -(2**31)], np.int32)
    assert resize(large, scales=[4.0], mode="cubic").max() == 2**31 - 1


def test_opset_10_takes_the_sample_above_when_shrinking() -> None:
    x = np.arange(7.0)
    scales = np.asarray([0.6], np.float32)
    assert run_node(node("Resize", 2, mode="nearest"), [x, scales], 10)[0].tolist() == [0, 2, 4, 5]
    assert run_node(node("Resize", 2), [x, np.asarray([1.5], np.float32)], 10)[0][:5].tolist() == [0, 0, 1, 2, 2]
    empty = np.asarray([], np.float32)
    sized = run_node(node("Resize", 4), [x, empty, empty, np.asarray([14])], 11)[0]
    np.testing.assert_array_equal(sized, np.repeat(x, 2))
    old = node("Upsample", scales=[1.0, 2.0], mode="nearest")
    np.testing.assert_array_equal(run_node(old, [x[None]], 7)[0], np.repeat(x, 2)[None])


def test_other_opsets() -> None:
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    pooled = run_node(node("MaxPool", kernel_shape=[2, 2]), [x], 1)[0]
    np.testing.assert_array_equal(pooled, x[..., 1:, 1:])
    for opset, name, attributes in (
        (7, "MaxPool", {"storage_order": 1}),
        (9, "MaxPool", {"ceil_mode": 1}),
        (10, "DepthToSpace", {"mode": "CRD"}),
        (27, "SpaceToDepth", {"mode": "CRD"}),
    ):
        with pytest.raises(ValueError, match=f"{name} of opset {opset} lacks it"):
            run_node(node(name, **attributes), [x], opset)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: run_node(node("Conv"), [x]), ValueError, "node.op_type='Conv'"),
        (lambda x: run_node(x, [x]), TypeError, "node="),
        (lambda x: run_node(node("Upsample", 2), [x, [1, 1, 2, 2]], 10), ValueError, "opset=10"),
        (lambda x: run_node(node("Resize", 2, antialias=1), [x, [1, 1, 2, 2]], 13), ValueError, "antialias=1"),
        (lambda x: resize(x), ValueError, "scales=None"),
        (lambda x: resize(x, scales=[1, 1, 2, 2], sizes=[1, 1, 8, 8]), ValueError, "pass one of them"),
        (lambda x: resize(x, scales=[2, 2]), ValueError, "scales="),
        (lambda x: resize(x, scales=[0.1], axes=[2]), ValueError, "scales=0.1"),
        (lambda x: resize(x, scales=[2, 2], axes=[2, -2]), ValueError, "axes="),
        (lambda x: resize(x, sizes=[8], axes=[4]), ValueError, "axes="),
        (lambda x: resize(x, sizes=[8], axes=[3], mode="bilinear"), ValueError, "mode='bilinear'"),
        (lambda x: resize(x, sizes=[8], axes=[3], antialias=1), ValueError, "antialias=1"),
        (
            lambda x: resize(x, sizes=[8], axes=[3], coordinate_transformation_mode="tf_crop_and_resize"),
            ValueError,
            "roi=None",
        ),
        (lambda x: upsample.onnx.upsample(x, [1, 1, 0.5, 2]), ValueError, "scales="),
        (lambda x: run_node(node("MaxPool", kernel_shape=[2, 2]), []), ValueError, "inputs="),
        (lambda x: run_node(node("MaxUnpool", 2, kernel_shape=[2, 2]), [x, None]), ValueError, "inputs="),
        (lambda x: run_node(node("MaxUnpool", 2), [x, x], 8), ValueError, "opset=8"),
        (lambda x: max_pool(x, kernel_shape=2), TypeError, "kernel_shape=2"),
        (lambda x: max_pool(x, kernel_shape=[2]), ValueError, "kernel_shape"),
        (lambda x: max_pool(x, kernel_shape=[9, 9]), ValueError, "kernel_shape"),
        (lambda x: max_pool(x, kernel_shape=[2, 2], pads=[1, 1]), ValueError, "pads"),
        (lambda x: max_pool(x, kernel_shape=[2, 2], auto_pad="SAME"), ValueError, "auto_pad='SAME'"),
        (lambda x: max_pool(x, kernel_shape=[2, 2], ceil_mode=2), TypeError, "ceil_mode=2"),
        (lambda x: max_pool(x[0, 0], kernel_shape=[2, 2]), ValueError, "X="),
        (lambda x: max_unpool(x, x, kernel_shape=[2, 2]), TypeError, "I="),
        (lambda x: max_unpool(x, x.astype(int), [1, 1, 3, 3], kernel_shape=[2, 2]), ValueError, "output_shape"),
        (lambda x: conv_transpose(x, np.ones((2, 1, 2, 2))), ValueError, "W="),
        (lambda x: conv_transpose(x, np.ones((1, 1, 2, 2)), kernel_shape=[3, 2]), ValueError, "kernel_shape"),
        (lambda x: conv_transpose(x, np.ones((1, 1, 2, 2), np.float32)), TypeError, "W="),
        (lambda x: conv_transpose(x, np.ones((1, 1, 2, 2)), pads=[4, 4, 4, 4]), ValueError, "pads"),
        (lambda x: conv_transpose(x, np.ones((1, 1, 2, 2)), group=3), ValueError, "group=3"),
        (lambda x: depth_to_space(x, blocksize=2), ValueError, "blocksize=2"),
        (lambda x: space_to_depth(x, blocksize=5), ValueError, "input="),
    ],
)
def test_errors(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call(np.ones((1, 1, 4, 4)))
    assert words in str(caught.value)
