"""The door to torch: a step as a function that torch's autograd follows, and that torch.compile does not look into.

Gradients and tangents of a step are made of steps again, so that they can be differentiated in turn. In a call that
torch.compile traces, a step is the custom op ``upsample::step``, whose text says all of the step; eager calls take the
shorter way through ``torch.autograd.Function``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

from upsample.autograd.serialize import read, written
from upsample.autograd.step import Arrays, ShapedStep
from upsample.tensors import layout_of

__all__ = ["follow"]


class _Followed(torch.autograd.Function):  # type: ignore[misc]
    """One step; its first argument is the step, the others its inputs."""

    @staticmethod
    def forward(step: ShapedStep, *inputs: Any) -> Arrays:
        return step.run(*inputs)

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
        """Run the step on one element of the batch after the other."""
        made = [
            _Followed.apply(
                step, *(x if d is None else x.select(d, place) for x, d in zip(inputs, dims[1:], strict=True))
            )
            for place in range(info.batch_size)
        ]
        outputs = tuple(torch.stack(parts) for parts in zip(*made, strict=True))
        return outputs, (0,) * len(outputs)


def _all(step: ShapedStep, inputs: Any) -> Arrays:
    """The inputs with the None that a list of tensors cannot have: a bias that is not there comes last."""
    return (*inputs, *(None,) * (step.differentiable - len(inputs)))


def _run(inputs: list[torch.Tensor], step: str) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(read(step).run(*_all(read(step), inputs)))


def _fake(inputs: Any, step: str) -> list[torch.Tensor]:
    taken = _all(read(step), inputs)
    values, *indices = read(step).shapes(*(None if x is None else tuple(x.shape) for x in taken))
    made = [inputs[0].new_empty(values), *(inputs[0].new_empty(shape, dtype=torch.int64) for shape in indices)]
    layout, ndim = layout_of(inputs[0]), inputs[0].ndim
    return [x if layout is None or x.ndim != ndim else x.contiguous(memory_format=layout) for x in made]


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    taken, ctx.text = inputs
    step = read(ctx.text)
    ctx.wanted = _all(step, [x.requires_grad for x in taken])
    ctx.count = len(taken)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*step.keep(_all(step, taken), tuple(output), ctx.wanted))


def _backward(ctx: Any, grads: Any) -> tuple[Any, None]:
    return list(read(ctx.text).pull(ctx.saved_tensors, grads[0], ctx.wanted))[: ctx.count], None


_schema = "(Tensor[] inputs, str step) -> Tensor[]"
_op = torch.library.custom_op("upsample::step", _run, mutates_args=(), schema=_schema)
_op.register_fake(_fake)
_op.register_autograd(_backward, setup_context=_setup)


def follow(step: ShapedStep, inputs: Arrays) -> Arrays:
    """Run a step under torch's autograd, or under torch.compile."""
    if torch.compiler.is_compiling():
        return tuple(_op([x for x in inputs if x is not None], written(step)))
    outputs: Arrays = _Followed.apply(step, *inputs)
    return outputs
