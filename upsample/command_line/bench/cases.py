"""The measured calls: each op in typical use, on arrays that are larger than the caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import upsample

__all__ = ["CASES", "SIZES", "Arrays", "Case", "matching"]

Arrays: TypeAlias = tuple[NDArray[Any], ...]

SIZES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "cpu": {
        "features": (4, 32, 96, 96),
        "photo": (720, 1280, 3),
        "volume": (1, 8, 32, 48, 48),
        "deep": (4, 64, 48, 48),
    },
    "cuda": {
        "features": (16, 32, 192, 192),
        "photo": (2160, 3840, 3),
        "volume": (2, 16, 64, 128, 128),
        "deep": (16, 128, 64, 64),
    },
    "quick": {"features": (2, 4, 12, 10), "photo": (24, 40, 3), "volume": (1, 2, 6, 6, 8), "deep": (1, 4, 8, 6)},
}
"""Shapes of the inputs for a CPU, for a GPU, and for a quick test."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call.

    Attributes
    ----------
    name : str
        The name in the table.
    function : str
        The name of a function of this package.
    input : str
        The key of the first input in `SIZES`.
    dtype : str
        The dtype of the input.
    options : mapping
        Arguments by name.
    weight : tuple of int
        Output channels of a transposed convolution, then its kernel. 0 channels is depthwise: one group a channel.
    gradient : bool
        Whether to measure the gradients instead of the call.
    """

    name: str
    function: str
    input: str
    options: Mapping[str, Any]
    dtype: str = "float32"
    weight: tuple[int, ...] = ()
    gradient: bool = False

    @property
    def ours(self) -> Callable[..., Any]:
        """The function."""
        return getattr(upsample, self.function)  # type: ignore[no-any-return]

    def group(self, size: str) -> str:
        """Return the heading of a group of the table: function, shape and dtype."""
        shape = "×".join(map(str, SIZES[size][self.input]))
        return f"{'gradients' if self.gradient else self.function}, {self.input} {shape}, {self.dtype}"

    def arrays(self, size: str) -> Arrays:
        """Create the inputs, from one seed."""
        shape, rng = SIZES[size][self.input], np.random.default_rng(0)
        if self.dtype == "uint8":
            return (rng.integers(96, 160, shape, dtype=np.uint8),)  # libraries differ in where they clamp
        x: NDArray[Any] = rng.random(shape, dtype=np.float32).astype(self.dtype, copy=False)
        if self.function == "max_unpool2d":
            pooled: Arrays = upsample.max_pool2d_with_indices(x, self.options["kernel_size"], engine="portable")
            return pooled
        if not self.weight:
            return (x,)
        channels, kernel = shape[1], self.weight[1:]
        made = rng.random((channels, self.weight[0] or 1, *kernel), dtype=np.float32) - np.float32(0.5)
        return x - np.float32(0.5), made

    def given(self, size: str) -> dict[str, Any]:
        """Return the arguments by name; only the groups depend on the size."""
        depthwise = self.weight[:1] == (0,)
        return {**self.options, **({"groups": SIZES[size][self.input][1]} if depthwise else {})}


def _cases() -> Iterator[Case]:
    twice, half = {"scale_factor": 2}, {"scale_factor": 0.5}
    for mode in ("nearest", "bilinear", "bicubic"):
        yield Case(f"{mode} ×2", "interpolate", "features", {"mode": mode, **twice})
    for mode, more in (("area", {}), ("bilinear", {"antialias": True}), ("bicubic", {"antialias": True})):
        name = f"{mode} ×1/2" + ", antialias" * bool(more)
        yield Case(name, "interpolate", "features", {"mode": mode, **half, **more})
    yield Case("trilinear ×2", "interpolate", "volume", {"mode": "trilinear", **twice})
    plane, smooth = {"axes": (0, 1)}, {"axes": (0, 1), "scale": 0.5, "antialias": True}
    for dtype in ("uint8", "float32"):
        for mode in ("linear", "cubic"):
            yield Case(f"{mode} ×2", "resize", "photo", {"mode": mode, "scale": 2, **plane}, dtype)
        if dtype == "uint8":
            yield Case(
                "cubic ×1/2, antialias", "resize", "photo", {"mode": "cubic", "cubic_coeff": -0.5, **smooth}, dtype
            )
            yield Case("lanczos ×1/2, antialias", "resize", "photo", {"mode": "lanczos", **smooth}, dtype)
        else:
            yield Case("area ×1/2", "resize", "photo", {"mode": "area", "scale": 0.5, **plane}, dtype)
    yield Case("k2, with indices", "max_pool2d", "features", {"kernel_size": 2, "return_indices": True})
    yield Case("k2", "max_unpool2d", "features", {"kernel_size": 2})
    k4 = {"stride": 2, "padding": 1}
    yield Case("k2 s2, 32 channels", "conv_transpose2d", "deep", {"stride": 2}, weight=(32, 2, 2))
    yield Case("k4 s2, 32 channels", "conv_transpose2d", "deep", k4, weight=(32, 4, 4))
    yield Case("k4 s2, depthwise", "conv_transpose2d", "deep", k4, weight=(0, 4, 4))
    yield Case("r = 2", "pixel_shuffle", "features", {"upscale_factor": 2})
    yield Case("of bilinear ×2", "interpolate", "features", {"mode": "bilinear", **twice}, gradient=True)
    yield Case("of max_pool2d, k2", "max_pool2d", "features", {"kernel_size": 2, "return_indices": True}, gradient=True)
    yield Case("of conv_transpose2d, k4", "conv_transpose2d", "deep", k4, weight=(32, 4, 4), gradient=True)


CASES = tuple(_cases())


def matching(words: str | None) -> tuple[Case, ...]:
    """Return the cases with all these words in function, input, dtype or name; None is all cases."""
    wanted = (words or "").lower().split()
    return tuple(case for case in CASES if all(word in _line(case) for word in wanted))


def _line(case: Case) -> str:
    return f"{case.group('cpu')} {case.function} {case.name}".lower()
