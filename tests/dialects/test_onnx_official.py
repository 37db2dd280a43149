"""ONNX's own backend test cases, as the package onnx ships them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample.onnx
from upsample.onnx.nodes import OPERATORS

onnx = pytest.importorskip("onnx", reason="onnx is not installed, and this test runs its cases")

FEWEST = {
    "ConvTranspose": 14,
    "DepthToSpace": 2,
    "MaxPool": 28,
    "MaxUnpool": 2,
    "Resize": 33,
    "SpaceToDepth": 2,
    "Upsample": 1,
}
"""Cases that onnx 1.17 to 1.23 have at least."""


def tensor(file: Path) -> np.ndarray:
    proto = onnx.TensorProto()
    proto.ParseFromString(file.read_bytes())
    return onnx.numpy_helper.to_array(proto)


def is_ours(model: Any) -> bool:
    nodes = model.graph.node
    return len(nodes) == 1 and nodes[0].op_type in OPERATORS and nodes[0].domain in ("", "ai.onnx")


def data_sets(case: Any) -> list[tuple[list[Any], list[Any]]]:
    """Return the inputs and outputs of each data set."""
    if case.data_sets is not None:
        return [tuple([plain(x) for x in side] for side in one) for one in case.data_sets]
    sets = []
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        sides = [
            [folder / f"{side}_{i}.pb" for i in range(len(list(folder.glob(f"{side}_*.pb"))))]
            for side in ("input", "output")
        ]
        sets.append(tuple([tensor(file) for file in files] for files in sides))
    return sets


def plain(value: Any) -> Any:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def all_cases() -> Iterator[Any]:
    """Load the cases of these operators alone: those of all of ONNX take 20 s."""
    for operator in OPERATORS:
        import_module(f"onnx.backend.test.case.node.{operator.lower()}")
    yield from import_module("onnx.backend.test.case.node")._NodeTestCases
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        yield from import_module("onnx.backend.test.loader").load_model_tests(kind=kind)


def cases() -> Iterator[Any]:
    for case in all_cases():
        model = case.model
        if model is None and case.model_dir is not None:
            model = onnx.load(Path(case.model_dir) / "model.onnx")
        if model is not None and is_ours(model):
            yield pytest.param(case, model, id=case.name)


CASES = list(cases())


@pytest.mark.parametrize(("case", "model"), CASES)
def test_case(case: Any, model: Any) -> None:
    node, graph = model.graph.node[0], model.graph
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    for inputs, outputs in data_sets(case):
        names = [i.name for i in graph.input]
        if len(inputs) < len(names):
            names = [name for name in names if name not in constants]
        known = constants | dict(zip(names, inputs, strict=True))
        given = [known.get(name) if name else None for name in node.input]
        results = upsample.onnx.run_node(node, given, opset)
        wanted = dict(zip([o.name for o in graph.output], outputs, strict=True))
        for name, result in zip(node.output, results, strict=True):
            if name in wanted:
                assert result.dtype == wanted[name].dtype
                np.testing.assert_allclose(result, wanted[name], rtol=case.rtol, atol=case.atol)


def test_no_case_was_lost() -> None:
    found = [model.graph.node[0].op_type for _, model in (case.values for case in CASES)]
    assert {name: found.count(name) for name in FEWEST if found.count(name) < FEWEST[name]} == {}
