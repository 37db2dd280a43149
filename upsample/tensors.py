"""What torch tensors have that other arrays have not: memory formats, tangents, a tracer that follows them."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["has_tangent", "is_traced", "is_transformed", "layout_of"]


def layout_of(x: object) -> Any:
    """Return torch's memory format of a tensor whose channels come last in memory; None for any other array."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor) or x.layout is not torch.strided or x.is_contiguous():
        return None
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    return layout if layout is not None and x.is_contiguous(memory_format=layout) else None


def has_tangent(tensor: Any) -> bool:
    """Return whether a torch tensor has a tangent of forward mode."""
    return sys.modules["torch"].autograd.forward_ad.unpack_dual(tensor).tangent is not None


def is_transformed(x: object) -> bool:
    """Return whether a tensor is inside a transform of ``torch.func``, or has a tangent."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        return False
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(x)) or has_tangent(x)


def is_traced(x: object) -> bool:
    """Return whether `torch.jit.trace` follows a tensor; it would record the numbers of one call as constants."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor) and bool(torch.jit.is_tracing())
