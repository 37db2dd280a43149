"""torch's CPU tensors as NumPy arrays over the same memory, and back.

The kernels take NumPy arrays. For one call an array is a view of a tensor's memory, and a new result becomes a
tensor without a copy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.engines.thread_count import torch_threads
from upsample.tensors import is_plain_tensor

__all__ = ["on_tensors", "shares_cpu_memory"]


def shares_cpu_memory(x: Any) -> bool:
    """Return whether `x` is a tensor whose memory NumPy can read."""
    if not is_plain_tensor(x) or x.device.type != "cpu":
        return False
    return arrays.dtype_name(x) != "bfloat16" or _has_bfloat16()


def on_tensors(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return an op's `run` for tensors, on as many threads as torch would use."""

    def run_on_tensors(_xp: ModuleType, plan: object, *given: Any) -> Any:
        views = _Views()
        token = torch_threads.set(sys.modules["torch"].get_num_threads())
        try:
            return views.as_tensor(run(np, plan, *map(views.as_array, given)))
        finally:
            torch_threads.reset(token)

    return run_on_tensors


class _Views:
    """The tensors of one call, each with the array that is a view of its memory."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]
        self._pairs: list[tuple[Any, np.ndarray[Any, Any]]] = []

    def as_array(self, value: Any) -> Any:
        """Return the array of a tensor, the arrays of a tuple of tensors, and any other value unchanged."""
        if isinstance(value, tuple):
            return tuple(map(self.as_array, value))
        if not isinstance(value, self._torch.Tensor):
            return value
        tensor = value.detach() if value.requires_grad else value
        if tensor.is_conj() or tensor.is_neg():
            tensor = tensor.resolve_conj().resolve_neg()
        if tensor.dtype == self._torch.bfloat16:  # NumPy has no such dtype of its own
            array = tensor.view(self._torch.int16).numpy().view(_bfloat16())
        else:
            array = tensor.numpy()
        self._pairs.append((value, array))
        return array

    def as_tensor(self, result: Any) -> Any:
        """Return the tensor that an array is a view of, or a new tensor over its memory."""
        if isinstance(result, tuple):
            return tuple(map(self.as_tensor, result))
        if result is None:
            return None
        for tensor, array in self._pairs:
            if array is result:
                if tensor.is_conj() or tensor.is_neg():  # the array is a copy, because memory and values differ
                    tensor.copy_(self._torch.from_numpy(array))
                return tensor
        if arrays.dtype_name(result) == "bfloat16":
            return self._torch.from_numpy(result.view(np.int16)).view(self._torch.bfloat16)
        return self._torch.from_numpy(result)


@lru_cache(maxsize=1)
def _has_bfloat16() -> bool:
    return find_spec("ml_dtypes") is not None


def _bfloat16() -> Any:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)
