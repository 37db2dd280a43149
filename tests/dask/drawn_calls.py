"""Ordinary calls drawn at random, with sizes at which chunks matter, and random chunks: uneven, of one, of none."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import upsample
from upsample import chainer

__all__ = ["KINDS", "Drawn", "chunks_of", "draw"]


@dataclass
class Drawn:
    """A call: the arrays that become Dask arrays by their names, those that stay NumPy's, and the options."""

    function: Callable[..., Any]
    arrays: dict[str, np.ndarray]
    beside: dict[str, np.ndarray]
    options: dict[str, Any]
    whole: bool = False
    """Whether indices may lie anywhere in their planes, which then are to stay in one chunk."""

    def __str__(self) -> str:
        shapes = {name: (x.shape, str(x.dtype)) for name, x in (self.arrays | self.beside).items()}
        return f"{self.function.__name__}({shapes}, {self.options})"


def values(rng: random.Random, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    made = np.random.default_rng(rng.getrandbits(32))
    kind = np.dtype(dtype)
    if kind.kind in "iub":
        top = 2 if kind.kind == "b" else min(np.iinfo(kind).max, 1 << 40)
        return made.integers(0, top, shape, endpoint=kind.kind != "b").astype(kind)
    x = made.standard_normal(shape)
    if rng.random() < 0.3:
        x = np.round(x * 2) / 2
    if kind.kind == "c":
        x = x + 1j * made.standard_normal(shape)
    x = x.astype(kind)
    if rng.random() < 0.2 and x.size:
        x.reshape(-1)[made.integers(0, x.size, 2)] = rng.choice([np.nan, np.inf, -np.inf])
    return x


def chunks_of(rng: random.Random, n: int, most: int) -> tuple[int, ...]:
    """Chunks of an axis: one, ones, even, uneven, or with an empty one."""
    kind = rng.choice(["one", "ones", "even", "uneven", "uneven", "empty"])
    if kind == "one" or n < 2 or most < 2:
        return (n,)
    if kind == "ones" and n <= most:
        return (1,) * n
    if kind == "even":
        size = max(rng.randint(1, n), -(-n // most))
        return (size,) * (n // size) + ((n % size,) if n % size else ())
    cuts = sorted({0, n, *(rng.randint(0, n) for _ in range(min(most - 1, 4)))})
    sizes = [b - a for a, b in itertools.pairwise(cuts)]
    if kind == "empty":
        sizes.insert(rng.randint(0, len(sizes)), 0)
    return tuple(sizes)


def _space(rng: random.Random, axes: int, least: int) -> tuple[int, ...]:
    tops = {1: (9, 60, 300), 2: (9, 33, 70), 3: (5, 12, 16)}[axes]
    return tuple(rng.randint(least, rng.choice(tops)) for _ in range(axes))


def _lead(rng: random.Random) -> tuple[int, int]:
    return rng.choice([0, 1, 1, 1, 2, 3]), rng.choice([1, 2, 3, 5])


def _interpolate(rng: random.Random) -> Drawn:
    axes = rng.choice([1, 2, 2, 2, 3])
    modes = {1: ["linear"], 2: ["bilinear", "bicubic", "bilinear", "bicubic"], 3: ["trilinear"]}[axes]
    mode = rng.choice([*modes, "nearest", "nearest-exact", "area"])
    shape = (*_lead(rng), *_space(rng, axes, 1))
    dtype = rng.choice(["float32", "float32", "float64", "float16", "uint8"])
    if dtype == "uint8" and axes != 2:
        dtype = "float32"
    if dtype == "uint8" and mode == "area":
        mode = "bilinear"
    options: dict[str, Any] = {"mode": mode}
    if rng.random() < 0.5:
        options["scale_factor"] = rng.choice([2, 2, 3, 0.5, 0.37, 1.7])
    else:
        options["size"] = tuple(max(1, int(n * rng.choice([0.2, 0.5, 1, 1.3, 2, 3.1]))) for n in shape[2:])
    if any(int(n * options.get("scale_factor", 1)) < 1 for n in shape[2:]):
        options = {"mode": mode, "size": shape[2:]}
    if mode in ("bilinear", "bicubic") and rng.random() < 0.3:
        options["antialias"] = True
    elif "linear" in mode or mode == "bicubic":
        options["align_corners"] = rng.random() < 0.3
    return Drawn(upsample.interpolate, {"input": values(rng, shape, dtype)}, {}, options)


def _resize(rng: random.Random) -> Drawn:
    count = rng.choice([1, 2, 2, 3])
    shape = _space(rng, count, 1)
    axes = tuple(sorted(rng.sample(range(count), rng.randint(1, count))))
    mode = rng.choice(["nearest", "nearest-exact", "linear", "cubic", "lanczos", "area"])
    moves = mode in ("nearest", "nearest-exact")
    dtypes = ["float32", "float64", "float16", "uint8", "uint16", "int16", "complex64"]
    dtype = rng.choice([*dtypes, "int64", "bool"] if moves else dtypes)
    options: dict[str, Any] = {"axes": axes, "mode": mode}
    if mode in ("linear", "cubic", "lanczos") and rng.random() < 0.4:
        options["antialias"] = True
    elif mode in ("linear", "cubic") and rng.random() < 0.3:
        options["align_corners"] = True
    options["shape"] = tuple(max(1, int(shape[a] * rng.choice([0.3, 0.5, 0.7, 1, 1.3, 2, 2, 3]))) for a in axes)
    return Drawn(upsample.resize, {"x": values(rng, shape, dtype)}, {}, options)


def _window(rng: random.Random, space: tuple[int, ...]) -> dict[str, Any]:
    kernel, stride, dilation = (tuple(rng.choice(c) for _ in space) for c in ([1, 2, 2, 3, 4], [1, 2, 2, 3], [1, 1, 2]))
    kernel = tuple(k if d * (k - 1) + 1 <= n else 1 for k, d, n in zip(kernel, dilation, space, strict=True))
    padding = tuple(rng.randint(0, k // 2) for k in kernel)
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def _pool(rng: random.Random) -> Drawn:
    axes = rng.choice([1, 2, 2, 3])
    shape = (*_lead(rng), *_space(rng, axes, 1))
    x = values(rng, shape, rng.choice(["float32", "float64", "float16", "uint8", "int64"]))
    if rng.random() < 0.25:
        function = getattr(upsample, f"adaptive_max_pool{axes}d{rng.choice(['', '_with_indices'])}")
        return Drawn(function, {"input": x}, {}, {"output_size": tuple(rng.randint(1, n) for n in shape[2:])})
    function = getattr(upsample, f"max_pool{axes}d{rng.choice(['', '_with_indices'])}")
    return Drawn(function, {"input": x}, {}, _window(rng, shape[2:]) | {"ceil_mode": rng.random() < 0.3})


def _unpool(rng: random.Random) -> Drawn:
    axes = rng.choice([1, 2, 2, 3])
    shape = (*_lead(rng), *_space(rng, axes, 2))
    x = values(rng, shape, rng.choice(["float32", "float64", "float16", "uint8"]))
    window = _window(rng, shape[2:]) | {"dilation": 1}
    window["kernel_size"] = tuple(min(k, n) for k, n in zip(window["kernel_size"], shape[2:], strict=True))
    pooled, indices = getattr(upsample, f"max_pool{axes}d_with_indices")(x, **window)
    del window["dilation"]
    options = window | {"output_size": shape[2:], "check_indices": rng.random() < 0.7}
    whole = rng.random() < 0.3
    if whole and indices.size:
        made = np.random.default_rng(rng.getrandbits(32))
        indices = np.where(
            made.random(indices.shape) < 0.2, made.permutation(indices.reshape(-1)).reshape(indices.shape), indices
        )
    options["duplicates"] = rng.choice(["last", "sum"])
    function = getattr(upsample, f"max_unpool{axes}d")
    return Drawn(function, {"input": pooled, "indices": indices}, {}, options, whole)


def _conv_transpose(rng: random.Random) -> Drawn:
    axes = rng.choice([1, 2, 2, 3])
    batch, groups = _lead(rng)[0], rng.choice([1, 1, 2])
    ins, outs = groups * rng.choice([1, 2, 4, 8, 40]), groups * rng.choice([1, 2, 3, 8])
    space = tuple(min(n, 20) for n in _space(rng, axes, 1))
    dtype = rng.choice(["float32", "float32", "float64", "float16"])
    kernel = tuple(rng.choice([1, 2, 3, 4]) for _ in space)
    weight = values(rng, (ins, outs // groups, *kernel), dtype)
    stride = rng.choice([1, 2, 3])
    options = {"stride": stride, "padding": rng.randint(0, min(kernel) // 2), "groups": groups}
    options |= {"dilation": rng.choice([1, 1, 2]), "output_padding": rng.randint(0, stride - 1)}
    given = {"weight": weight} | ({"bias": values(rng, (outs,), dtype)} if rng.random() < 0.5 else {})
    lazy = rng.random() < 0.3
    arrays = {"input": values(rng, (batch, ins, *space), dtype)} | (given if lazy else {})
    return Drawn(getattr(upsample, f"conv_transpose{axes}d"), arrays, {} if lazy else given, options)


def _shuffle(rng: random.Random) -> Drawn:
    r = rng.choice([1, 2, 3])
    channels, height, width = rng.choice([1, 2, 3]), rng.randint(1, 9), rng.randint(1, 9)
    deep, wide = (_lead(rng)[0], channels * r * r, height, width), (2, channels, height * r, width * r)
    name, shape = rng.choice(
        [("pixel_shuffle", deep), ("pixel_unshuffle", wide), ("depth2space", deep), ("space2depth", wide)]
    )
    if name.endswith(("space", "depth")):
        return Drawn(getattr(chainer, name), {"X": values(rng, shape, "float32")}, {}, {"r": r})
    x = values(rng, shape, rng.choice(["float32", "uint8", "complex64"]))
    factor = "upscale_factor" if name == "pixel_shuffle" else "downscale_factor"
    return Drawn(getattr(upsample, name), {"input": x}, {}, {factor: r})


def _chainer(rng: random.Random) -> Drawn:
    shape = (max(_lead(rng)[0], 1), 2, *_space(rng, 2, 2))
    x = values(rng, shape, rng.choice(["float32", "float64"]))
    kind = rng.choice(["resize", "pool", "unpooling", "upsampling"])
    if kind == "resize":
        size = tuple(max(1, int(n * rng.choice([0.5, 1, 2, 2.3]))) for n in shape[2:])
        return Drawn(chainer.resize_images, {"x": x}, {}, {"output_shape": size})
    k = rng.choice([1, 2, 3])
    if kind == "pool":
        return Drawn(
            chainer.max_pooling_2d,
            {"x": x},
            {},
            {"ksize": min(k, *shape[2:]), "stride": rng.choice([1, 2]), "return_indices": rng.random() < 0.5},
        )
    if kind == "unpooling":
        return Drawn(chainer.unpooling_2d, {"x": x}, {}, {"ksize": k, "stride": rng.choice([1, k])})
    k = min(k, *shape[2:])
    pooled, indices = chainer.max_pooling_2d(x, k, k, return_indices=True)
    return Drawn(
        chainer.upsampling_2d, {"x": pooled, "indexes": indices}, {}, {"ksize": k, "stride": k, "outsize": shape[2:]}
    )


KINDS = {
    "interpolate": _interpolate,
    "resize": _resize,
    "pool": _pool,
    "unpool": _unpool,
    "conv_transpose": _conv_transpose,
    "shuffle": _shuffle,
    "chainer": _chainer,
}


def draw(kind: str, seed: int) -> tuple[Drawn, random.Random]:
    rng = random.Random(f"{kind} {seed}")
    return KINDS[kind](rng), rng
