"""Our calls and the rivals' for a case on a GPU, on arrays that share their memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tolerances

import upsample
from benchmarks.bench_resize import NATIVE
from benchmarks.cuda_cases import CudaCase
from benchmarks.cuda_device import Device, device
from upsample.arrays import namespace
from upsample.command_line.bench.difference import Likeness, difference
from upsample.command_line.info import version_of
from upsample.ops.conv_steps import InputGrad, WeightGrad
from upsample.plans.window import ConvTransposePlan, WindowAxis

WHO = ("upsample", "torch", "cupyx zoom", "copy")

TF32 = 2.0**-9
"""Two units in the last place of TF32: sums of some thousand products of any sign, each off by one unit at most."""

Call = Callable[..., Any]


@dataclass(frozen=True)
class Job:
    """What a case is given, and who computes it.

    Attributes
    ----------
    inputs : list of tuple
        Arrays of a call; several sets where one would stay in the L2 cache.
    calls : dict
        By name, the call on such a set.
    reference : callable
        The portable engine on NumPy arrays.
    spline : bool
        The zoom's cubic is another kernel, of the same name.
    volume : int
        Bytes of input and output.
    """

    inputs: list[tuple[Any, ...]]
    calls: dict[str, Call]
    reference: Call
    spline: bool
    volume: int


@lru_cache(maxsize=1)
def job(case: CudaCase) -> Job:
    """Make a case's arrays and calls; the last one's are kept, since who computes it follows each other."""
    gpu = device()
    gpu.clear()
    arrays, ours, rivals = MAKERS[case.op](case, gpu)
    with gpu.active():
        given = tuple(map(gpu.array, arrays))
        results = ours(*given, engine="cuda")
    volume = sum(x.nbytes for x in (*arrays, *as_tuple(results)))
    sets = max(1, math.ceil(4 * gpu.cache / volume))
    inputs = [given, *(tuple(map(gpu.array, arrays)) for _ in range(min(sets, 16) - 1))]
    calls: dict[str, Call] = {"upsample": partial(ours, engine="cuda"), **rivals}
    calls["copy"] = partial(_ignoring, gpu.rotating_copy(volume, len(inputs)))
    return Job(inputs, calls, partial(ours, engine="portable"), case.options.get("mode") == "bicubic", volume)


def _ignoring(call: Callable[[], object], *_: Any) -> None:
    call()


def check(case: CudaCase, who: str) -> None:
    """Compare a result's first and last planes with the portable engine's of the same; a weight's gradient whole."""
    gpu, made = device(), job(case)
    with gpu.active():
        results = as_tuple(made.calls[who](*made.inputs[0]))
    of_images = case.op in ("conv_transpose", "conv")
    for ends in (slice(0, 1), slice(-1, None)) if case.op != "conv_weight" else (slice(None),):
        index = (ends,) if of_images or case.channels_last else (ends, ends)
        batched = 1 if of_images else len(made.inputs[0])
        cut = [gpu.numpy(x[index]) for x in made.inputs[0][:batched]]
        cut += [gpu.numpy(x) for x in made.inputs[0][batched:]]
        for got, wanted in zip(results, as_tuple(made.reference(*cut)), strict=True):
            is_other_kernel = made.spline and who == "cupyx zoom"
            likeness: Likeness = "family" if is_other_kernel else "exact" if wanted.dtype.kind == "u" else "close"
            off = difference([wanted], [gpu.numpy(got[index])], likeness, partial(_allowed, case))
            assert off is None, f"{who}: {off}"


def _allowed(case: CudaCase, dtype: np.dtype[Any], scale: float) -> float:
    return TF32 * scale if case.precision == "tf32" else 4 * tolerances.allowed(dtype, scale)


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _noise(case: CudaCase, shape: tuple[int, ...]) -> np.ndarray:
    made = np.random.default_rng([*shape]).random(shape, dtype=np.float32)
    return made.astype(case.dtype, copy=False)


def _torch(call: Call, gpu: Device, *, tf32: bool = False) -> dict[str, Call]:
    """The rival, on tensors of our arrays' memory."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    return {"torch": lambda *arrays: call(*map(gpu.tensor, arrays))}


def _resize(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    mode, scale, antialias = case.options["mode"], case.options["scale"], case.options.get("antialias", False)
    shape = (case.shape[0], *case.shape[2:], case.shape[1]) if case.channels_last else case.shape
    x = _noise(case, shape)
    ours = partial(upsample.interpolate, mode=mode, scale_factor=scale, antialias=antialias)
    if case.channels_last:
        ours = partial(upsample.resize, mode=NATIVE.get(mode, mode), scale=scale, axes=(1, 2))
    rivals: dict[str, Call] = {}
    if version_of("torch"):
        import torch.nn.functional as F

        plain = partial(F.interpolate, mode=mode, scale_factor=scale, antialias=antialias)
        rivals = _torch(lambda x: plain(x.movedim(-1, 1)).movedim(1, -1) if case.channels_last else plain(x), gpu)
    zoom, order = gpu.zoom(), {"bilinear": 1, "trilinear": 1, "bicubic": 3}.get(mode)
    if zoom is not None and order is not None and scale == 2 and case.dtype == "float32":
        factors = [scale if n != m else 1 for n, m in zip(shape, _resized(case, shape), strict=True)]
        rivals["cupyx zoom"] = partial(zoom, zoom=factors, order=order, mode="nearest", grid_mode=True)
    return (x,), ours, rivals


def _resize_anew(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    """A call of a size that was not called before: the plan, the tables and their upload are in the host's time."""
    sizes, last = itertools.count(17), [0]

    def ours(x: Any, *, engine: str) -> Any:
        if engine == "cuda":  # the reference makes the last call's size
            last[0] = next(sizes)
        return upsample.interpolate(x, size=(last[0], 16), mode=case.options["mode"], engine=engine)

    return (_noise(case, case.shape),), ours, {}


def _resized(case: CudaCase, shape: tuple[int, ...]) -> tuple[int, ...]:
    spatial = range(1, len(shape) - 1) if case.channels_last else range(2, len(shape))
    return tuple(int(n * case.options["scale"]) if axis in spatial else n for axis, n in enumerate(shape))


def _pool(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    rivals: dict[str, Call] = {}
    if version_of("torch"):
        import torch.nn.functional as F

        rivals = _torch(partial(F.max_pool2d, **case.options, return_indices=True), gpu)
    return (_noise(case, case.shape),), partial(upsample.max_pool2d, **case.options, return_indices=True), rivals


def _unpool(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    x = _noise(case, case.shape)
    window = {name: value for name, value in case.options.items() if name != "check_indices"}
    values, indices = upsample.max_pool2d(x, **window, return_indices=True, engine="portable")
    size = case.shape[2:]
    rivals: dict[str, Call] = {}
    if version_of("torch"):
        import torch.nn.functional as F

        rivals = _torch(partial(F.max_unpool2d, **window, output_size=size), gpu)
    return (values, indices), partial(upsample.max_unpool2d, **case.options, output_size=size), rivals


def _unpool_backward(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    """Pullbacks, whose forward calls are made once for each set of arrays; of what values is all the same to them."""
    window = {name: case.options[name] for name in ("kernel_size", "stride", "padding")}
    grad, size = _noise(case, case.shape), case.shape[2:]
    indices = upsample.max_pool2d(grad, **window, return_indices=True, engine="portable")[1]
    options = dict(window, output_size=size)
    pullbacks: dict[Any, tuple[Any, Call]] = {}  # beside the arrays whose numbers are the keys

    def ours(grad: Any, indices: Any, *, engine: str) -> Any:
        key = id(indices), engine
        if key not in pullbacks:
            values = grad[..., : indices.shape[-2], : indices.shape[-1]]
            receives = case.options["duplicate_grad"]
            call = partial(upsample.max_unpool2d, **options, duplicate_grad=receives, engine=engine)
            pullbacks[key] = indices, upsample.vjp(call, values, indices)[1]
        return pullbacks[key][1](grad)[0]

    rivals: dict[str, Call] = {}
    if version_of("torch") and (case.options["duplicate_grad"] == "all" or window["kernel_size"] == 2):
        import torch

        followed: dict[int, Any] = {}

        def theirs(grad: Any, indices: Any) -> Any:
            key = indices.data_ptr()
            if key not in followed:
                values = grad[..., : indices.shape[-2], : indices.shape[-1]].clone().requires_grad_()
                followed[key] = torch.nn.functional.max_unpool2d(values, indices, **options), values
            return torch.autograd.grad(*followed[key], grad, retain_graph=True)[0]

        rivals = _torch(theirs, gpu)
    return (grad, indices), ours, rivals


def _conv_transpose(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    x, weight = _noise(case, case.shape) - np.asarray(0.5, case.dtype), _noise(case, case.weight)
    bias = _noise(case, (case.weight[1] * case.options.get("groups", 1),))
    rivals: dict[str, Call] = {}
    if version_of("torch"):
        import torch.nn.functional as F

        rivals = _torch(partial(F.conv_transpose2d, **case.options), gpu, tf32=case.precision == "tf32")
    ours = partial(upsample.conv_transpose2d, **case.options, precision=case.precision)
    return (x, weight - np.asarray(0.5, case.dtype), bias), ours, rivals


def _plan(case: CudaCase) -> ConvTransposePlan:
    stride, padding = case.options["stride"], case.options["padding"]
    sides = zip(case.shape[2:], case.weight[2:], strict=True)
    axes = (WindowAxis((n - 1) * stride - 2 * padding + k, n, k, stride, padding, 1) for n, k in sides)
    return ConvTransposePlan(tuple(axes), case.options.get("groups", 1), precision="float32")


def _backward(case: CudaCase, gpu: Device, by_input: bool) -> dict[str, Call]:
    """What torch's autograd calls for one of the gradients; of the other factor it only asks for the shape."""
    if not version_of("torch"):
        return {}
    import torch

    stride, padding = ([case.options[key]] * 2 for key in ("stride", "padding"))

    def call(a: Any, b: Any) -> Any:
        grad, x, weight = (a, a.new_empty(case.shape), b) if by_input else (b, a, b.new_empty(case.weight))
        wanted = [by_input, not by_input, False]
        rest = (None, stride, padding, [1, 1], True, [0, 0], case.options.get("groups", 1), wanted)
        return torch.ops.aten.convolution_backward(grad, x, weight, *rest)[0 if by_input else 1]

    return _torch(call, gpu)


def _conv(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    plan, half = _plan(case), np.asarray(0.5, case.dtype)
    grad = _noise(case, (case.shape[0], case.weight[1] * plan.groups, *plan.large_shape)) - half

    def ours(y: Any, weight: Any, engine: str) -> Any:
        return InputGrad("conv", namespace("conv", {"y": y}), engine, plan).run(y, weight)[0]

    return (grad, _noise(case, case.weight) - half), ours, _backward(case, gpu, by_input=True)


def _conv_weight(case: CudaCase, gpu: Device) -> tuple[tuple[np.ndarray, ...], Call, dict[str, Call]]:
    plan, half = _plan(case), np.asarray(0.5, case.dtype)
    grad = _noise(case, (case.shape[0], case.weight[1] * plan.groups, *plan.large_shape)) - half

    def ours(x: Any, y: Any, engine: str) -> Any:
        return WeightGrad("conv_weight", namespace("conv_weight", {"x": x}), engine, plan).run(x, y)[0]

    return (_noise(case, case.shape) - half, grad), ours, _backward(case, gpu, by_input=False)


MAKERS = {
    "resize": _resize,
    "resize anew": _resize_anew,
    "pool": _pool,
    "unpool": _unpool,
    "unpool backward": _unpool_backward,
    "conv_transpose": _conv_transpose,
    "conv": _conv,
    "conv_weight": _conv_weight,
}
