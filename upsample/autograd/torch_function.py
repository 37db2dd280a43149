"""The door to torch: a step as a function that torch's autograd follows, and as an operator of torch's dispatcher.

Gradients and tangents of a step are made of steps again, so that they can be differentiated in turn. `_Followed` says
how torch differentiates and batches a step, once for all steps. An eager call that is differentiated runs it. A graph,
a dispatch mode and a tensor without memory take the operator ``upsample::step``, whose text says all of the step. The
operator, differentiated or transformed in its turn, is `_Followed` again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter
from torch.autograd import forward_ad

from upsample.autograd.serialize import read, written
from upsample.autograd.step import Arrays, ShapedStep
from upsample.errors import Raw, bad_value
from upsample.tensors import is_below_functions, is_operand, is_transformed, layout_of

__all__ = ["follow"]


class _Followed(torch.autograd.Function):  # type: ignore[misc]
    """One step; its first argument is the step, the others its inputs."""

    @staticmethod
    def forward(step: ShapedStep, *inputs: Any) -> Arrays:
        return _operated(step, inputs) if any(map(is_operand, inputs)) else step.run(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Arrays, output: Arrays) -> None:
        step, *taken = inputs
        ctx.step = step
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*step.keep(tuple(taken), output, ctx.needs_input_grad[1:]))
        ctx.save_for_forward(*taken, *output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Arrays:
        wanted = ctx.needs_input_grad[1:]
        if grads[0] is None:
            return (None,) * (1 + len(wanted))
        return (None, *ctx.step.pull(ctx.saved_tensors, grads[0], wanted))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Any) -> Arrays:
        """Return the tangents of the outputs.

        torch turns forward mode off in here, for all levels of nested transforms: an outer one would lose its tangents.
        """
        with forward_ad._set_fwd_grad_enabled(True):
            saved = [None if x is None else forward_ad.unpack_dual(x).primal for x in ctx.saved_tensors]
            inputs, outputs = tuple(saved[: len(tangents)]), tuple(saved[len(tangents) :])
            return (ctx.step.push(inputs, outputs, tangents), *(None,) * (len(outputs) - 1))

    @staticmethod
    def vmap(info: Any, dims: Any, step: ShapedStep, *inputs: Any) -> tuple[Arrays, tuple[int, ...]]:
        """Run the step on the whole batch if there is a step for that, otherwise on one element after the other."""
        whole = step.over(info.batch_size, tuple(d is not None for d in dims[1:]))
        if whole is not None:
            over, wanted = whole
            outputs = follow(over, tuple(map(partial(_in_front, info.batch_size), inputs, dims[1:], wanted)))
            return outputs, (0,) * len(outputs)
        made = [
            follow(step, tuple(x if d is None else x.select(d, place) for x, d in zip(inputs, dims[1:], strict=True)))
            for place in range(info.batch_size)
        ]
        outputs = tuple(torch.stack(parts) for parts in zip(*made, strict=True))
        return outputs, (0,) * len(outputs)


def _in_front(count: int, x: Any, dim: int | None, wanted: bool) -> Any:
    """Return an input with its batch as the first axis, if it is wanted batched."""
    if not wanted:
        return x
    return x.expand(count, *x.shape) if dim is None else x.movedim(dim, 0)


def follow(step: ShapedStep, inputs: Arrays) -> Arrays:
    """Run a step under torch's autograd, its transforms and its graphs."""
    if any(map(_is_differentiated, inputs)) and not any(map(is_below_functions, inputs)):
        outputs: Arrays = _Followed.apply(step, *inputs)
        return outputs
    return _operated(step, inputs)


def _is_differentiated(x: Any) -> bool:
    return x is not None and (bool(x.requires_grad and torch.is_grad_enabled()) or is_transformed(x))


def _operated(step: ShapedStep, inputs: Arrays) -> Arrays:
    """Run a step as the operator that says all of it."""
    given = [x for x in inputs if x is not None]  # an absent bias comes last
    count = len(step.shapes(*(None if x is None else tuple(x.shape) for x in inputs)))
    text, sizes = written(step)
    made = _OPERATORS[count](*given, *(None,) * (_MOST - len(given)), sizes, text)
    return (made,) if count == 1 else tuple(made)


def _read(given: tuple[Any, ...]) -> tuple[ShapedStep, Arrays]:
    """Return the step of an operator's arguments, and its inputs."""
    *tensors, sizes, text = given
    step = read(text, sizes)
    inputs = [x for x in tensors if x is not None]
    return step, (*inputs, *(None,) * (step.differentiable - len(inputs)))


def _result(outputs: Any) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _run(*given: Any) -> Any:
    step, inputs = _read(given)
    shapes = tuple(None if x is None else tuple(x.shape) for x in inputs)
    if not step.takes(*shapes):
        remedy = "trace it with such tensors, or torch.export it with dynamic sizes"
        raise bad_value(step.op, "input", Raw(f"<shape {shapes[0]}>"), "its graph is for other sizes", remedy)
    with forward_ad._set_fwd_grad_enabled(False):  # tangents are above
        return _result(step.run(*inputs))


def _fake(*given: Any) -> Any:
    """Return outputs without values, of the shapes, dtypes and memory formats that `_run` returns."""
    step, inputs = _read(given)
    values, *indices = step.shapes(*(None if x is None else tuple(x.shape) for x in inputs))
    x = inputs[0]
    made = [x.new_empty(values), *(x.new_empty(shape, dtype=torch.int64) for shape in indices)]
    layout = layout_of(x)
    return _result([y if layout is None or y.ndim != x.ndim else y.contiguous(memory_format=layout) for y in made])


def _differentiate(*given: Any) -> Any:
    """Run an operator under autograd."""
    step, inputs = _read(given)
    if any(map(_is_differentiated, inputs)):
        return _result(_Followed.apply(step, *inputs))
    with torch._C._AutoDispatchBelowAutograd():
        return _result(_operated(step, inputs))


def _transform(*given: Any) -> Any:
    """Run an operator inside transforms of torch.func, which know how to take `_Followed` apart."""
    step, inputs = _read(given)
    interpreter = retrieve_current_functorch_interpreter()
    if interpreter.key() != TransformType.Functionalize:
        return _result(_Followed.apply(step, *inputs))
    plain = tuple(map(_unwrapped, inputs))
    with interpreter.lower():
        outputs = follow(step, plain)
    return _result([torch._C._functorch._wrap_functional_tensor(y, interpreter.level()) for y in outputs])


def _unwrapped(x: Any) -> Any:
    """Return the tensor within a functional one, after what is to be written to it."""
    if x is None or not torch._is_functional_tensor(x):
        return x
    torch._sync(x)
    return torch._C._functorch._unwrap_functional_tensor(x, True)


_MOST = 3
"""Inputs of a step at most."""
_library = torch.library.Library("upsample", "DEF")
_TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_exact_strides)


def _registered(name: str, returns: str) -> Any:
    """Define an operator by the rules of all steps."""
    schema = f"{name}(Tensor x, Tensor? y, Tensor? z, SymInt[] sizes, str step) -> {returns}"
    _library.define(schema, tags=_TAGS)
    _library.impl(name, _run, "CompositeExplicitAutograd")
    _library.impl(name, _differentiate, "Autograd")
    _library.impl(name, _transform, "FuncTorchDynamicLayerFrontMode")
    torch.library.register_fake(f"upsample::{name}", _fake, lib=_library)
    return getattr(torch.ops.upsample, name).default


_OPERATORS = {1: _registered("step", "Tensor"), 2: _registered("step_with_indices", "(Tensor, Tensor)")}
"""Operators by the number of outputs. No lists of tensors: torch.autograd.grad(is_grads_batched=True) takes none."""
