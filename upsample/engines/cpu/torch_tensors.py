"""torch's CPU tensors as NumPy arrays over the same memory, and back.

The kernels take NumPy arrays. A tensor lends them its memory for the length of a call; what they make becomes a tensor
without a copy.
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

__all__ = ["is_lendable", "on_tensors"]


def is_lendable(x: Any) -> bool:
    """Say whether `x` is a tensor whose values lie in this process's memory."""
    if not arrays.is_plain_tensor(x) or x.device.type != "cpu":
        return False
    return arrays.dtype_name(x) != "bfloat16" or _has_bfloat16()


def on_tensors(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return an op's `run` for tensors, on as many threads as torch would use."""

    def run_on_tensors(_xp: ModuleType, plan: object, *given: Any) -> Any:
        loan = _Loan()
        token = torch_threads.set(sys.modules["torch"].get_num_threads())
        try:
            return loan.taken_back(run(np, plan, *map(loan.lent, given)))
        finally:
            torch_threads.reset(token)

    return run_on_tensors


class _Loan:
    """The tensors of one call, and the arrays that stand for them."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]
        self._lent: list[tuple[Any, np.ndarray[Any, Any]]] = []

    def lent(self, value: Any) -> Any:
        """The array of a tensor, the arrays of a tuple, and whatever else as it is."""
        if isinstance(value, tuple):
            return tuple(map(self.lent, value))
        if not isinstance(value, self._torch.Tensor):
            return value
        tensor = value.detach().resolve_conj().resolve_neg()
        if tensor.dtype == self._torch.bfloat16:  # NumPy has no such dtype of its own
            array = tensor.view(self._torch.int16).numpy().view(_bfloat16())
        else:
            array = tensor.numpy()
        self._lent.append((value, array))
        return array

    def taken_back(self, made: Any) -> Any:
        """The tensor of an array: that which was lent, or a new one over the same memory."""
        if isinstance(made, tuple):
            return tuple(map(self.taken_back, made))
        if made is None:
            return None
        for tensor, array in self._lent:
            if array is made:
                if tensor.is_conj() or tensor.is_neg():  # its memory holds other bits than its values: a copy was lent
                    tensor.copy_(self._torch.from_numpy(array))
                return tensor
        if arrays.dtype_name(made) == "bfloat16":
            return self._torch.from_numpy(made.view(np.int16)).view(self._torch.bfloat16)
        return self._torch.from_numpy(made)


@lru_cache(maxsize=1)
def _has_bfloat16() -> bool:
    return find_spec("ml_dtypes") is not None


def _bfloat16() -> Any:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)
