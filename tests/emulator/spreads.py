"""What the tests of transposed convolution's kernels share: values, calls, and torch's gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dtypes import dtype_of

import upsample
from emulator.preloaded import SANITIZED

DTYPES = [name for name in ("float16", "bfloat16", "float32", "float64") if not (SANITIZED and name == "bfloat16")]
"""A sanitizer looks at memory alone, where bfloat16 is what float16 is."""


def whole(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    """Whole numbers so small that TF32 holds them and that all their sums are exact."""
    made: np.ndarray = rng.integers(-9, 10, shape).astype(dtype_of(dtype))
    return made


WINDOWS: list[dict[str, Any]] = [
    dict(small=(5, 7), kernel=4, stride=2, padding=1),
    dict(small=(9, 4), kernel=3, padding=1, groups=2),
    dict(small=(3, 4, 5), kernel=2, stride=2, output_padding=1, groups=3),
    dict(small=(6,), kernel=3, stride=3, padding=1, dilation=2, output_padding=1),
    dict(small=(4, 3), kernel=2, stride=5, output_padding=2),
    dict(small=(7, 1), kernel=(1, 5), stride=(1, 2), padding=(0, 2), dilation=(3, 1), output_padding=(0, 1)),
]
"""Calls of transposed convolution: odd sizes, size 1, a stride that is larger than the kernel, and all options."""


def arrays_of(window: dict[str, Any], dtype: str) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
    """Return an input, a weight, and the options of a call."""
    options = {key: value for key, value in window.items() if key not in ("small", "kernel")}
    small, kernel, rng = window["small"], window["kernel"], np.random.default_rng(3)
    sides = kernel if isinstance(kernel, tuple) else (kernel,) * len(small)
    shapes = ((2, 6, *small), (6, 2, *sides))
    made = [rng.standard_normal(shape) for shape in shapes]
    if dtype.startswith("complex"):
        made = [a + 1j * rng.standard_normal(a.shape) for a in made]
    return tuple(a.astype(dtype_of(dtype)) for a in made), options  # type: ignore[return-value]


def function_of(window: dict[str, Any]) -> Any:
    return getattr(upsample, f"conv_transpose{len(window['small'])}d")


def torchs(window: dict[str, Any], x: np.ndarray, weight: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, ...]:
    """torch's gradients by both, of float64 or complex128."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    wide = np.complex128 if np.iscomplexobj(x) else np.float64
    tensors = [torch.from_numpy(a.astype(wide)).requires_grad_() for a in (x, weight)]
    _, options = arrays_of(window, "float32")
    result = getattr(torch.nn.functional, f"conv_transpose{len(window['small'])}d")(*tensors, **options)
    made = torch.autograd.grad(result, tensors, torch.from_numpy(grad.astype(wide)))
    return tuple(g.resolve_conj().numpy() for g in made)
