"""torch tensors on the CPU that say that they are on a GPU, in the process of the double alone."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from double import cuda, memory
from double.arrays import ndarray

__all__ = ["install", "memory_of", "seen"]

_GPU = torch.device("cuda", 0)
_numbers = itertools.count(1000)


class _Stream:
    """torch.cuda.Stream."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.cuda_stream = next(_numbers)

    def synchronize(self) -> None:
        memory.seen_by_all(self.cuda_stream)


_default = _Stream()
_default.cuda_stream = 0
_streams = [_default]


@contextmanager
def _stream(stream: Any) -> Iterator[None]:
    _streams.append(stream)
    try:
        yield
    finally:
        _streams.pop()


def _on_cpu(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, (str, torch.device)) and "cuda" in str(value) else value


class OnGpu(TorchFunctionMode):
    """All tensors are on ``cuda:0``; what asks for a device gets one."""

    def __torch_function__(self, func: Any, types_: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__get__" and getattr(func, "__self__", None) is torch.Tensor.device:
            return _GPU
        if name == "__get__" and getattr(func, "__self__", None) is torch.Tensor.is_cuda:
            return True
        if name == "numpy" and not _reading[0]:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor")
        if func is torch.device:
            return func(*args, **kwargs)
        if name == "cuda":
            return args[0].clone()
        if name == "cpu":
            return _Host(args[0])
        if "device" in kwargs:
            kwargs["device"] = _on_cpu(kwargs["device"])
        return func(*map(_on_cpu, args), **kwargs)


_reading = [False]


@contextmanager
def _on_host() -> Iterator[None]:
    before, _reading[0] = _reading[0], True
    try:
        with torch._C.DisableTorchFunction():
            yield
    finally:
        _reading[0] = before


class _Host:
    """What ``Tensor.cpu()`` returns: a tensor that has its values for NumPy."""

    def __init__(self, tensor: Any) -> None:
        memory.seen_by_all(_streams[-1].cuda_stream)
        with _on_host():
            self.tensor = tensor.detach().clone()
        self.dtype = tensor.dtype

    def view(self, dtype: Any) -> _Host:
        with _on_host():
            return _Host(self.tensor.view(dtype))

    def numpy(self) -> np.ndarray:
        with _on_host():
            made: np.ndarray = self.tensor.resolve_conj().resolve_neg().numpy()
        return made


def memory_of(tensor: Any) -> tuple[np.ndarray, int]:
    """Return a byte tensor's memory and torch's current stream."""
    with _on_host():
        return tensor.numpy(), int(_streams[-1].cuda_stream)


def seen(capsule: Any) -> ndarray:
    """Return a DLPack capsule's memory as CuPy's array, last written by torch's current stream."""
    if isinstance(capsule, ndarray):
        return capsule
    with _on_host():
        a = torch.utils.dlpack.from_dlpack(capsule).numpy()
    return ndarray.view_of(a, memory.Block(a, "torch", 0, int(_streams[-1].cuda_stream)))


def install() -> None:
    """Let torch have a GPU, in this process and from now on."""
    module: Any = torch.cuda
    module.is_available = lambda: True
    module.device_count = lambda: 1
    module.current_device = lambda: 0
    module.get_device_capability = lambda device=None: (9, 0)
    module.current_stream = lambda device=None: _streams[-1]
    module.Stream, module.stream = _Stream, _stream
    module.synchronize = lambda device=None: memory.seen_by_all(None)
    module._sleep = lambda cycles: None
    module.is_current_stream_capturing = lambda: False
    setattr(torch._C, "_cuda_getCurrentRawStream", lambda device: _streams[-1].cuda_stream)  # noqa: B010
    OnGpu().__enter__()


_ = types, cuda
