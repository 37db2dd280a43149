"""A call of every op, large enough to fill a GPU; ``python -m gpu.calls`` makes them all, for compute-sanitizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from cases import noise, shuffled

import upsample

__all__ = ["CALLS", "Call", "as_tuple"]


@dataclass(frozen=True)
class Call:
    """A call with its arrays; `exact` where values only move."""

    id: str
    function: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    exact: bool = False

    def __repr__(self) -> str:
        return self.id

    def on(self, arrays: tuple[Any, ...], engine: str) -> tuple[Any, ...]:
        """Return the results, always a tuple."""
        return as_tuple(self.function(*arrays, engine=engine))


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _resizes(x: np.ndarray, volumes: np.ndarray) -> list[Call]:
    resize = partial(partial, upsample.interpolate)
    return [
        Call("nearest", resize(scale_factor=2), (x,), exact=True),
        Call("nearest-down", resize(size=(37, 50), mode="nearest-exact"), (x,), exact=True),
        Call("bilinear", resize(scale_factor=2, mode="bilinear"), (x,)),
        Call("bilinear-corners", resize(size=(200, 91), mode="bilinear", align_corners=True), (x,)),
        Call("bicubic", resize(scale_factor=2, mode="bicubic"), (x,)),
        Call("bicubic-antialias", resize(scale_factor=0.5, mode="bicubic", antialias=True), (x,)),
        Call("area", resize(size=(31, 40), mode="area"), (x,)),
        Call("lanczos", resize(size=(61, 200), mode="lanczos", antialias=True), (x,)),
        Call("trilinear", resize(scale_factor=2, mode="trilinear"), (volumes,)),
        Call("channels-last", partial(upsample.resize, scale=2, axes=(1, 2), mode="cubic"), (x.transpose(0, 2, 3, 1),)),
    ]


def _windows(x: np.ndarray) -> list[Call]:
    calls = []
    for name, window in (("apart", (2, 2, 0)), ("overlapping", (3, 2, 1))):
        values, indices = upsample.max_pool2d_with_indices(x, *window, engine="portable")
        pool = partial(upsample.max_pool2d_with_indices, **dict(zip(KEYS, window, strict=True)))
        calls.append(Call(f"pool-{name}", pool, (x,), exact=True))
        for rule in ("last", "sum"):
            unpool = partial(upsample.max_unpool2d, **dict(zip(KEYS, window, strict=True)), duplicates=rule)
            unpool = partial(unpool, output_size=x.shape[2:])
            calls.append(Call(f"unpool-{name}-{rule}", unpool, (values, indices), exact=rule == "last"))
        for receives in ("winner", "all"):
            unpool = partial(upsample.max_unpool2d, **dict(zip(KEYS, window, strict=True)), output_size=x.shape[2:])
            back = partial(_gradient, partial(unpool, duplicate_grad=receives))
            calls.append(Call(f"unpool-{name}-gradient-{receives}", back, (values, indices), exact=True))
    calls.append(
        Call("pool-adaptive-gradient", partial(_gradient, upsample.adaptive_max_pool2d, output_size=(31, 40)), (x,))
    )
    return calls


def _gradient(function: Callable[..., Any], *arrays: Any, engine: str | None = None, **options: Any) -> Any:
    """The gradient by the first array, of the result itself."""
    result, pullback = upsample.vjp(function, *arrays, **options, engine=engine)
    return pullback(result)[0]


def _pulled(
    function: Callable[..., Any], x: Any, weight: Any, grad: Any, engine: str | None = None, **options: Any
) -> Any:
    """Return the gradients by both, as `vjp` makes them."""
    return upsample.vjp(function, x, weight, **options, engine=engine)[1](grad)


def _gradients(x: np.ndarray) -> list[Call]:
    channels, calls = x.shape[1], []
    for name, weight, options in (
        ("k4s2", (channels, 40, 4, 4), dict(stride=2, padding=1)),
        ("groups", (channels, 6, 3, 3), dict(stride=2, padding=1, output_padding=1, groups=4)),
        ("depthwise", (channels, 1, 4, 4), dict(stride=2, padding=1, groups=channels)),
        ("dilated", (channels, 5, 3, 2), dict(dilation=(2, 3))),
    ):
        given = (x, noise(*weight))
        y = upsample.conv_transpose2d(*given, **options, engine="portable")
        pulled = partial(_pulled, upsample.conv_transpose2d, **options)
        calls.append(Call(f"conv-backward-{name}", pulled, (*given, noise(*y.shape))))
    return calls


def _spreads(x: np.ndarray) -> list[Call]:
    spread, channels = partial(partial, upsample.conv_transpose2d), x.shape[1]
    return [
        Call("conv-k2s2", spread(stride=2), (x, noise(channels, 24, 2, 2), noise(24))),
        Call("conv-k4s2", spread(stride=2, padding=1), (x, noise(channels, 40, 4, 4))),
        Call("conv-groups", spread(stride=2, padding=1, output_padding=1, groups=4), (x, noise(channels, 6, 3, 3))),
        Call("conv-depthwise", spread(stride=2, padding=1, groups=channels), (x, noise(channels, 1, 4, 4))),
        Call("conv-dilated", spread(dilation=(2, 3)), (x, noise(channels, 5, 3, 2))),
    ]


KEYS = ("kernel_size", "stride", "padding")
CALLS = (
    *_resizes(noise(3, 32, 75, 101), noise(2, 8, 13, 30, 27)),
    *_windows(shuffled(3, 32, 75, 101)),
    *_spreads(noise(3, 32, 37, 45)),
    *_gradients(noise(3, 32, 37, 45)),
)


def main() -> None:
    import cupy

    cupy.cuda.set_allocator(None)  # each array by itself: what a pool hands out lies side by side, without a gap
    for call in CALLS:
        call.on(tuple(map(cupy.asarray, call.arrays)), "cuda")
        cupy.cuda.Device().synchronize()
        print(call.id, flush=True)


if __name__ == "__main__":
    main()
