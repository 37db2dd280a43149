"""What is measured on a GPU, and the goals: percent of a copy's bandwidth, and torch's time over ours.

Images are (16, 64, 256, 256) in N, C, H, W, photos (8, 3, 1080, 1920), volumes (2, 16, 64, 128, 128): input and output
together are several times the L2 cache of any GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import TINY, Case

IMAGES, PHOTOS, VOLUMES = (16, 64, 256, 256), (8, 3, 1080, 1920), (2, 16, 64, 128, 128)
DTYPES = ("float32", "float16")
CHECKS: dict[object, str] = {False: "unchecked", "later": "checked later"}
"""Values of `check_indices` other than True, which makes the host wait for the GPU."""


@dataclass(frozen=True, eq=False)
class CudaCase(Case):
    """A case with its goals: at least `percent` of a copy's bandwidth and `ratio` of torch's speed.

    `precision` is how a transposed convolution multiplies float32; torch's flag is set accordingly.
    """

    percent: float | None = None
    ratio: float | None = None
    precision: str = "float32"

    @property
    def id(self) -> str:
        return f"{self.line}, {self.tag}, {self.dtype}" if self.tag else f"{self.line}, {self.dtype}"


def _resize() -> Iterator[CudaCase]:
    table: list[tuple[str, str, tuple[int, ...], dict[str, Any], float, float]] = [
        ("nearest ×2", "images", IMAGES, dict(mode="nearest", scale=2.0), 85, 1),
        ("bilinear ×2", "images", IMAGES, dict(mode="bilinear", scale=2.0), 85, 1),
        ("bilinear ×2", "photos", PHOTOS, dict(mode="bilinear", scale=2.0), 85, 1),
        ("bilinear ×1.37", "photos", PHOTOS, dict(mode="bilinear", scale=1.37), 85, 1),
        ("trilinear ×2", "volumes", VOLUMES, dict(mode="trilinear", scale=2.0), 85, 1),
        ("bicubic ×2", "images", IMAGES, dict(mode="bicubic", scale=2.0), 75, 3),
        ("bicubic ×2", "photos", PHOTOS, dict(mode="bicubic", scale=2.0), 75, 3),
        ("bilinear antialiased ×1/2", "images", IMAGES, dict(mode="bilinear", scale=0.5, antialias=True), 70, 1),
        ("bicubic antialiased ×1/2", "photos", PHOTOS, dict(mode="bicubic", scale=0.5, antialias=True), 70, 1),
        ("area ×1/2", "images", IMAGES, dict(mode="area", scale=0.5), 70, 1),
    ]
    section = "Interpolation"
    for line, tag, shape, options, percent, ratio in table:
        for dtype in DTYPES:
            yield CudaCase("resize", section, line, tag, shape, options, dtype=dtype, percent=percent, ratio=ratio)
    for mode, percent, ratio in (("nearest", 85, 1), ("bilinear", 85, 1), ("bicubic", 75, 3)):
        options = dict(mode=mode, scale=2.0)
        rest: dict[str, Any] = dict(channels_last=True, percent=percent, ratio=ratio)
        yield CudaCase("resize", section, f"{mode} ×2, channels last", "images", IMAGES, options, **rest)


def _windows() -> Iterator[CudaCase]:
    for op, name in (("pool", "max_pool with indices"), ("unpool", "max_unpool")):
        for kernel, words in ((2, "2/2"), (3, "3/2/1")):
            options = dict(kernel_size=kernel, stride=2, padding=kernel - 2)
            for dtype in DTYPES:
                line = f"{name} {words}"
                rest: dict[str, Any] = dict(dtype=dtype, percent=85, ratio=1)
                yield CudaCase(op, "Max-pooling and -unpooling", line, "images", IMAGES, options, **rest)
    for check, name in CHECKS.items():
        for kernel, words in ((2, "2/2"), (3, "3/2/1")):
            options = dict(kernel_size=kernel, stride=2, padding=kernel - 2, check_indices=check)
            line = f"max_unpool {words} {name}"
            yield CudaCase("unpool", "Max-pooling and -unpooling", line, "images", IMAGES, options, percent=85, ratio=1)
    for words, receives, size, padding in (
        ("2/2", "winner", 2, 0),
        ("3/2/1", "winner", 3, 1),
        ("3/2/1, every duplicate", "all", 3, 1),
    ):
        options = dict(kernel_size=size, stride=2, padding=padding, duplicate_grad=receives)
        for dtype in DTYPES:
            rest = dict(dtype=dtype, percent=85, ratio=1)
            line = f"max_unpool {words} backward"
            yield CudaCase("unpool backward", "Max-pooling and -unpooling", line, "images", IMAGES, options, **rest)


def _spreads() -> Iterator[CudaCase]:
    section = "Transposed convolution"
    k2, k4 = dict(stride=2), dict(stride=2, padding=1)
    for dtype, ratio in (("float32", 1.0), ("float16", 0.8)):
        for channels, side in ((32, 128), (128, 64), (512, 32)):
            shape = (16, channels, side, side)
            for line, size, options in (("k2s2", 2, k2), ("k4s2", 4, k4)):
                weight, tag = (channels, channels // 2, size, size), f"{channels}→{channels // 2}"
                rest: dict[str, Any] = dict(weight=weight, dtype=dtype, ratio=ratio)
                yield CudaCase("conv_transpose", section, f"conv_transpose {line}", tag, shape, options, **rest)
    for precision in ("tf32", "tf32x3"):
        rest = dict(weight=(512, 256, 4, 4), precision=precision, ratio=1.0)
        line = f"conv_transpose k4s2 {precision}"
        yield CudaCase("conv_transpose", section, line, "512→256", (16, 512, 32, 32), k4, **rest)
    for dtype in DTYPES:
        options = dict(k4, groups=64)
        rest = dict(weight=(64, 1, 4, 4), dtype=dtype, ratio=3)
        yield CudaCase("conv_transpose", section, "conv_transpose depthwise k4s2", "64", IMAGES, options, **rest)


def _gradients() -> Iterator[CudaCase]:
    """Of k4s2 by the input and by the weight, each alone; `shape` is the input's."""
    section, options = "Transposed convolution, backward", dict(stride=2, padding=1)
    for op, words in (("conv", "by its input"), ("conv_weight", "by its weight")):
        line = f"conv_transpose k4s2 {words}"
        for dtype, ratio in (("float32", 1.0), ("float16", 0.8)):
            for channels, side in ((32, 128), (128, 64), (512, 32)):
                shape, weight = (16, channels, side, side), (channels, channels // 2, 4, 4)
                tag, rest = f"{channels}→{channels // 2}", dict[str, Any](weight=weight, dtype=dtype, ratio=ratio)
                yield CudaCase(op, section, line, tag, shape, options, **rest)
            rest = dict(weight=(64, 1, 4, 4), dtype=dtype, ratio=1)
            yield CudaCase(op, section, f"depthwise {line}", "64", IMAGES, dict(options, groups=64), **rest)


def _tiny() -> Iterator[CudaCase]:
    section = "Small: 1×3×8×8, where the host's time is the call's"
    yield CudaCase("resize", section, "tiny bilinear ×2", "", TINY, dict(mode="bilinear", scale=2.0))
    yield CudaCase(
        "resize anew", section, "tiny bilinear uncached, a new size each call", "", TINY, dict(mode="bilinear")
    )
    for op, name in (("pool", "max_pool"), ("unpool", "max_unpool")):
        options = dict(kernel_size=2, stride=2, padding=0)
        yield CudaCase(op, section, f"tiny {name}", "", TINY, options)
    for check, name in CHECKS.items():
        options = dict(kernel_size=2, stride=2, padding=0, check_indices=check)
        yield CudaCase("unpool", section, f"tiny max_unpool {name}", "", TINY, options)
    yield CudaCase("conv_transpose", section, "tiny conv_transpose", "", TINY, dict(stride=2), weight=(3, 3, 2, 2))


CUDA_CASES = (*_resize(), *_windows(), *_spreads(), *_gradients(), *_tiny())
