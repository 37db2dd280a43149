"""What torch tensors have that other arrays have not: memory formats, tangents, transforms, sizes that are symbols."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

__all__ = [
    "are_plain_tensors",
    "has_symbols",
    "has_tangent",
    "is_below_functions",
    "is_operand",
    "is_plain_tensor",
    "is_released",
    "is_symbol",
    "is_traced",
    "is_transformed",
    "is_watched",
    "layout_of",
    "lesser",
]

_MEMORYLESS = frozenset({"FakeTensor", "FunctionalTensor"})
"""Classes of torch whose tensors have no memory, and stand for a tensor in a graph."""


class _Torch:
    """What is looked at in every call on a tensor: attributes of modules, found once."""

    def __init__(self, torch: Any) -> None:
        self.Tensor, self.plain_types = torch.Tensor, frozenset({torch.Tensor, torch.nn.Parameter})
        self.strided, self.forward_ad = torch.strided, torch.autograd.forward_ad
        self.is_grad_enabled, self.is_tangent_enabled = torch.is_grad_enabled, torch._C._is_fwd_grad_enabled
        self.count_modes, self.tracing_state = torch._C._len_torch_dispatch_stack, torch._C._get_tracing_state
        self.is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor
        self.is_batched_by_grad = torch._C._functorch.is_legacy_batchedtensor
        self.is_functional = torch._is_functional_tensor


@lru_cache(maxsize=1)
def _looked_up() -> _Torch:
    return _Torch(sys.modules["torch"])


def _is_imported() -> bool:
    """Return whether torch is imported: not blocked by None, and not in the middle of its import by another thread."""
    return hasattr(sys.modules.get("torch"), "compile")  # which torch defines last


def _torch_of(x: object) -> _Torch | None:
    """Return torch if `x` is a tensor."""
    if not _is_imported():
        return None
    torch = _looked_up()
    return torch if isinstance(x, torch.Tensor) else None


def layout_of(x: object) -> Any:
    """Return torch's memory format of a tensor whose channels come last in memory; None for any other array."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor) or x.layout is not torch.strided or x.is_contiguous():
        return None
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    return layout if layout is not None and x.is_contiguous(memory_format=layout) else None


def has_tangent(tensor: Any) -> bool:
    """Return whether a torch tensor has a tangent of forward mode."""
    torch = _looked_up()
    if torch.forward_ad._current_level < 0 or not torch.is_tangent_enabled() or torch.is_batched_by_grad(tensor):
        return False
    return torch.forward_ad.unpack_dual(tensor).tangent is not None


def is_transformed(x: object) -> bool:
    """Return whether a tensor is inside a transform of ``torch.func``, or has a tangent."""
    torch = _torch_of(x)
    return torch is not None and (bool(torch.is_wrapped(x)) or has_tangent(x))


def is_operand(x: object) -> bool:
    """Return whether torch must run an op on a tensor through its dispatcher, as an operator of a graph.

    A dispatch mode (torch.compile, torch.export, FakeTensorMode, make_fx) or `torch.jit.trace` records operators. Fake
    tensors have no memory, and neither have the batched ones of ``torch.autograd.grad(is_grads_batched=True)``.
    """
    torch = _torch_of(x)
    if torch is None:
        return False
    return torch.count_modes() > 0 or type(x).__name__ in _MEMORYLESS or is_below_functions(x)


def is_below_functions(x: object) -> bool:
    """Return whether what follows a tensor takes operators alone, and no ``torch.autograd.Function``."""
    torch = _torch_of(x)
    if torch is None:
        return False
    if torch.tracing_state() is not None or torch.is_batched_by_grad(x):
        return True
    return bool(torch.is_wrapped(x) and torch.is_functional(x))


def is_watched(x: Any) -> bool:
    """Return whether torch follows what is made of a tensor: for gradients, in a transform or for a graph."""
    torch = _torch_of(x)
    if torch is None:
        return False
    return bool(x.requires_grad and torch.is_grad_enabled()) or is_transformed(x) or is_operand(x)


def is_plain_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor that is nothing but its memory.

    A subclass has rules of its own; inside torch.func's transforms a tensor has no memory; and one with a tangent, of
    torch's forward-mode derivatives, would lose it.
    """
    return _is_imported() and are_plain_tensors((x,))


def are_plain_tensors(given: tuple[Any, ...]) -> bool:
    """Return whether all are tensors that are nothing but their memory; see `is_plain_tensor`. torch is imported."""
    torch = _looked_up()
    if torch.count_modes() > 0 or torch.tracing_state() is not None:
        return False
    for x in given:
        if type(x) not in torch.plain_types or x.layout is not torch.strided or x.is_meta:
            return False
        if torch.is_wrapped(x) or torch.is_batched_by_grad(x) or has_tangent(x):
            return False
    return True


def is_traced() -> bool:
    """Return whether `torch.jit.trace` records this thread, where sizes of tensors are tensors."""
    return _is_imported() and _looked_up().tracing_state() is not None


def is_released(x: Any) -> bool:
    """Return whether the memory of a tensor was released, or cut shorter than the tensor: its values are gone."""
    torch = _torch_of(x)
    if torch is None or type(x) not in torch.plain_types or torch.tracing_state() is not None:
        return False
    try:
        held = x.untyped_storage().nbytes()
        if x.nbytes <= held and x.is_contiguous() and x.storage_offset() == 0:
            return False
    except (NotImplementedError, RuntimeError):  # sparse tensors, and those of transforms
        return False
    last = x.storage_offset() + sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
    return x.numel() > 0 and bool((last + 1) * x.itemsize > held and is_plain_tensor(x))


def is_symbol(value: object) -> bool:
    """Return whether a number is one of torch's symbols, which a graph leaves open: a size, or what is made of one."""
    return type(value).__name__ in ("SymInt", "SymFloat") and type(value).__module__ == "torch"


def has_symbols(values: tuple[Any, ...]) -> bool:
    """Return whether one of the values, or of the tuples among them, is a symbol."""
    return any(has_symbols(v) if isinstance(v, tuple) else is_symbol(v) for v in values)


def lesser(a: int, b: int) -> int:
    """Return the lesser of two sizes; of symbols the expression, because a comparison would fix them."""
    if not has_symbols((a, b)):
        return min(a, b)
    made: int = sys.modules["torch"].sym_min(a, b)
    return made
