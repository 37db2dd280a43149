"""upsample.onnx against recorded nodes, on which onnx's reference evaluator and onnxruntime agree, and by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import backends
import dialect_recorded
import numpy as np
import pytest

import upsample
from upsample.onnx import conv_transpose, depth_to_space, max_pool, max_unpool, run_node, space_to_depth
from upsample.onnx.nodes import OPERATORS

NODES = dialect_recorded.calls("onnx")
OPERATOR_NAMES = sorted({call.function for call in NODES} & set(OPERATORS))
MOST = {"strict": 30, "torch": 30, "jax": 2, "dask": 10, "emulated": 10}
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
