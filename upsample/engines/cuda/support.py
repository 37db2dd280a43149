"""Decide which calls the CUDA engine supports."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cuda.runtime.device import emulated
from upsample.engines.cuda.runtime.launch import INDEX_LIMIT
from upsample.engines.cuda.runtime.windows import AXES
from upsample.plans.resize import ResizePlan
from upsample.plans.window import ConvTransposePlan
from upsample.tensors import is_plain_tensor

__all__ = ["supports", "unusable"]

_DTYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "resize": arrays.FLOATING | arrays.COMPLEX | arrays.INTEGER,
        "pool": arrays.FLOATING | arrays.INTEGER | {"bool"},
        "unpool": arrays.MOVABLE,
        "unpool.backward": arrays.MOVABLE,
        "conv_transpose": arrays.FLOATING | arrays.COMPLEX | {"int64"},
        "conv_transpose.input_grad": arrays.FLOATING | arrays.COMPLEX,
        "conv_transpose.weight_grad": arrays.FLOATING | arrays.COMPLEX,
    }
)
"""The dtypes of each op; a resize that only copies values supports all movable ones."""
_MOST_ROWS = 1 << 31
"""Least rows that a kernel cannot count in its 32-bit integers."""


@lru_cache(maxsize=1)
def unusable() -> str | None:
    """Return None if this machine can run the engine, otherwise the reason in words; imports CuPy if installed."""
    if find_spec("cupy") is None:
        return 'CuPy is not installed: pip install "upsample[cuda12]" or "upsample[cuda13]"'
    try:
        import cupy

        if cupy.cuda.runtime.is_hip:
            return "this CuPy is built for AMD's ROCm, and the kernels are for NVIDIA's CUDA"
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # whatever a broken installation raises is the reason
        return f"CuPy is installed but no CUDA device answers: {error}"
    return None if count else "CuPy is installed but there is no CUDA device"


def supports(task: str, plan: object, x: Array) -> str | None:
    """Return None if this engine supports `plan` on `x`, otherwise the reason in words."""
    if not _on_device(x):
        return "it takes CuPy arrays and torch CUDA tensors only"
    if emulated() is None and unusable() is not None:
        return unusable()
    if task not in _DTYPES:
        return "it has no kernel for this"
    if task != "resize" and len(getattr(plan, "axes", ())) > AXES:
        return f"its windows have at most {AXES} axes"
    name = arrays.dtype_name(x)
    moves = task == "resize" and isinstance(plan, ResizePlan) and plan.only_moves
    if name not in (arrays.MOVABLE if moves else _DTYPES[task]):
        return f"it does not take {name} for this"
    if isinstance(plan, ConvTransposePlan):
        return _spreads(task, plan, x, name)
    if isinstance(plan, ResizePlan) and plan.arithmetic.ordered and not moves:
        return "its kernels fuse products and sums, which this plan keeps apart"
    if isinstance(plan, ResizePlan) and plan.arithmetic.sums == "high":
        return "its kernels keep all places of a product, of which this plan drops some"
    if moves and isinstance(plan, ResizePlan) and plan.axes and _rows(plan, x) >= _MOST_ROWS:
        return f"it counts rows, of which there are {_MOST_ROWS} or more, in 31 bits"
    return None


def _spreads(task: str, plan: ConvTransposePlan, x: Array, name: str) -> str | None:
    """Return what `supports` returns for the remaining checks of a transposed convolution and its gradients."""
    from upsample.engines.cuda.conv_transpose import direct, weight_grad_reduce  # 11 modules that few programs need

    if math.prod(plan.kernel_shape) >= INDEX_LIMIT:
        return "it counts the taps of a window in 31 bits"
    if task == "conv_transpose.weight_grad":
        images = x.shape[0] if x.ndim == len(plan.axes) + 2 else 1
        fits = weight_grad_reduce.fits(plan, images * math.prod(plan.small_shape))
        return None if fits else "it counts the cells of all images, and positions along an axis, in 31 bits"
    if name == "int64" and not direct.fits(plan, task):
        return "its kernel for integers takes smaller windows"
    return None


def _rows(plan: ResizePlan, x: Array) -> int:
    """Return the number of rows along the last resized axis, in the larger of input and result."""
    shape = tuple(x.shape)
    return max(math.prod(sizes[: plan.axes[-1]]) for sizes in (shape, plan.out_shape(shape)))


def _on_device(x: Array) -> bool:
    if isinstance(x, np.ndarray):
        return emulated() is not None
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(x, cupy.ndarray):
        return True
    return bool(getattr(x, "is_cuda", False)) and is_plain_tensor(x)
