"""ONNX nodes of any opset, run without the package onnx: a node says by itself what it holds.

Each operator has a table of its attributes by the opset that brought them. A node may use those that its opset has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from upsample.arguments import integer
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName
from upsample.onnx.conv_transpose import conv_transpose
from upsample.onnx.depth_space import depth_to_space, space_to_depth
from upsample.onnx.pooling import max_pool, max_unpool
from upsample.onnx.resize import resize, resize_of_opset_10, upsample

__all__ = ["OPERATORS", "run_node"]

_NEWEST = 28
"""The last opset whose operators were compared; later ones are run as this one."""

_FIELDS: Mapping[int, str] = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
"""Which field of an AttributeProto holds the value, by its type."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What a node of one operator may have.

    Attributes
    ----------
    run : callable
        ``run(opset, inputs, attributes, outputs)``: the list of outputs.
    inputs : tuple of int
        How few and how many inputs there are.
    attributes : mapping of int to tuple of str
        The attributes that each opset added; the first opset is the operator's first here.
    removed : int or None
        The first opset without the operator.
    """

    run: Callable[[int, Sequence[Any], dict[str, Any], int], list[Any]]
    inputs: tuple[int, int]
    attributes: Mapping[int, tuple[str, ...]]
    removed: int | None

    def known(self, opset: int) -> set[str]:
        """Return the attributes that an opset has."""
        return {name for since, names in self.attributes.items() if since <= opset for name in names}


def run_node(
    node: Any, inputs: Sequence[Any], opset: int | None = None, *, engine: EngineName | None = None
) -> list[Any]:
    """Run one ONNX node of Resize, Upsample, MaxPool, MaxUnpool, ConvTranspose, DepthToSpace or SpaceToDepth.

    Parameters
    ----------
    node : onnx.NodeProto
        Or any object with ``op_type``, ``input``, ``output`` and ``attribute``.
    inputs : sequence of array
        One for each of ``node.input``, None for one that is left out. Those that hold sizes, scales or regions may be
        lists.
    opset : int, optional
        Version of the operator set. None is the newest one that has the operator.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    list of array
        One for each of ``node.output``, None for one that is left out.

    Raises
    ------
    ValueError
        Another operator, an opset that lacks it, an attribute that the opset lacks, or what the operator refuses.
    TypeError
        A node that is none, or what the operator refuses.

    Notes
    -----
    The package onnx is not needed; the node may come from it.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace as Node
    >>> import upsample.onnx
    >>> block = Node(name="blocksize", type=2, i=2)
    >>> node = Node(op_type="DepthToSpace", input=["x"], output=["y"], attribute=[block])
    >>> upsample.onnx.run_node(node, [np.arange(4).reshape(1, 4, 1, 1)])
    [array([[[[0, 1],
              [2, 3]]]])]
    """
    op = "run_node"
    name = getattr(node, "op_type", None)
    if not isinstance(name, str):
        raise bad_type(op, "node", node, "it has no op_type", "pass an onnx.NodeProto")
    if name not in OPERATORS or getattr(node, "domain", "") not in ("", "ai.onnx"):
        raise bad_value(op, "node.op_type", name, "upsample lacks it", f"pass one of {', '.join(OPERATORS)}")
    operator = OPERATORS[name]
    version = _opset(op, name, operator, opset)
    fewest, most = operator.inputs
    if not isinstance(inputs, (list, tuple)):
        raise bad_type(op, "inputs", inputs, "one input per entry of node.input is needed", "pass a list of arrays")
    if not fewest <= len(inputs) <= most or any(x is None for x in inputs[:fewest]):
        rule = f"{name} has {fewest} to {most} inputs"
        raise bad_value(op, "inputs", Raw(f"<{len(inputs)} inputs>"), rule, "pass None only for optional ones")
    attributes = {attribute.name: _value(op, attribute) for attribute in node.attribute}
    for attribute in attributes:
        if attribute not in operator.known(version):
            known = ", ".join(sorted(operator.known(version)))
            rule = f"{name} of opset {version} lacks it"
            raise bad_value(op, f"node.{attribute}", attributes[attribute], rule, f"pass some of {known}")
    padded = [*inputs, *[None] * (most - len(inputs))]
    wanted = [bool(output) for output in node.output]
    outputs = operator.run(version, padded, attributes | {"engine": engine}, sum(wanted))
    return [output if is_wanted else None for output, is_wanted in zip(outputs, wanted, strict=False)]


def _opset(op: str, name: str, operator: Operator, opset: object) -> int:
    since = min(operator.attributes)
    newest = _NEWEST if operator.removed is None else operator.removed - 1
    if opset is None:
        return newest
    version = integer(op, "opset", opset, least=1)
    if version < since or (operator.removed is not None and version > newest):
        remedy = f"pass {since} to {newest}" if operator.removed is not None else f"pass {since} or later"
        raise bad_value(op, "opset", version, f"{name} is not in it", remedy)
    return version


def _value(op: str, attribute: Any) -> Any:
    field = _FIELDS.get(attribute.type)
    if field is None:
        rule = f"it is of type {attribute.type}, and the operators have numbers and texts only"
        raise bad_type(op, f"node.{attribute.name}", Raw("<attribute>"), rule, "pass an int, a float, a text or a list")
    value = getattr(attribute, field)
    if field == "s":
        return value.decode() if isinstance(value, bytes) else value
    return list(value) if field in ("floats", "ints") else value


def _pool(_opset: int, inputs: Sequence[Any], attributes: dict[str, Any], outputs: int) -> list[Any]:
    if outputs > 1:
        return list(max_pool(inputs[0], return_indices=True, **attributes))
    return [max_pool(inputs[0], **attributes)]


def _resize(opset: int, inputs: Sequence[Any], attributes: dict[str, Any], _outputs: int) -> list[Any]:
    if opset == 10:
        return [resize_of_opset_10(inputs[0], inputs[1], **attributes)]
    return [resize(*inputs, **attributes)]


def _upsample(opset: int, inputs: Sequence[Any], attributes: dict[str, Any], _outputs: int) -> list[Any]:
    scales = attributes.pop("scales", inputs[1])  # an attribute up to opset 8
    return [upsample(inputs[0], scales, **attributes)]


def _plain(function: Callable[..., Any]) -> Callable[[int, Sequence[Any], dict[str, Any], int], list[Any]]:
    """Return a runner of a function that takes the inputs in order, the same in every opset."""

    def run(_opset: int, inputs: Sequence[Any], attributes: dict[str, Any], _outputs: int) -> list[Any]:
        return [function(*inputs, **attributes)]

    return run


OPERATORS: Mapping[str, Operator] = {
    "Resize": Operator(
        _resize,
        (1, 4),
        {
            10: ("mode",),
            11: (
                "coordinate_transformation_mode",
                "cubic_coeff_a",
                "exclude_outside",
                "extrapolation_value",
                "nearest_mode",
            ),
            18: ("antialias", "axes", "keep_aspect_ratio_policy"),
        },
        None,
    ),
    "Upsample": Operator(_upsample, (1, 2), {7: ("mode", "scales")}, 10),
    "MaxPool": Operator(
        _pool,
        (1, 1),
        {
            1: ("auto_pad", "kernel_shape", "pads", "strides"),
            8: ("storage_order",),
            10: ("ceil_mode", "dilations"),
        },
        None,
    ),
    "MaxUnpool": Operator(_plain(max_unpool), (2, 3), {9: ("kernel_shape", "pads", "strides")}, None),
    "ConvTranspose": Operator(
        _plain(conv_transpose),
        (2, 3),
        {
            1: (
                "auto_pad",
                "dilations",
                "group",
                "kernel_shape",
                "output_padding",
                "output_shape",
                "pads",
                "strides",
            )
        },
        None,
    ),
    "DepthToSpace": Operator(_plain(depth_to_space), (1, 1), {1: ("blocksize",), 11: ("mode",)}, None),
    "SpaceToDepth": Operator(_plain(space_to_depth), (1, 1), {1: ("blocksize",), 28: ("mode",)}, None),
}
