"""Named cases that tests and benchmarks share: asymmetric on every axis, size 1, empty batch, each op and option.

A case's expected result comes from `upsample.reference`, plain float64 loops that share no code with the engines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import upsample
import upsample.chainer
from upsample import reference


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes
    ----------
    id : str
        Of the test.
    function : callable
        Of this package.
    arrays : tuple of ndarray
        Its leading arguments.
    options : dict
        The others.
    expected : callable
        Makes the reference's result from `arrays`.
    exact : bool
        Values only move.
    """

    id: str
    function: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]
    options: dict[str, Any]
    expected: Callable[..., Any]
    exact: bool = False
    margin: float = field(default=1.0)

    def __repr__(self) -> str:
        return self.id


def noise(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    if dtype == "uint8":
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.standard_normal(shape).astype(dtype)


def shuffled(*shape: int, seed: int = 0) -> np.ndarray:
    """Distinct integers: every maximum is unique, every sum exact."""
    n = int(np.prod(shape))
    return np.random.default_rng([seed, *shape]).permutation(n).reshape(shape).astype("float32")


def _interpolate() -> list[Case]:
    table = [
        ("nearest-1d-up", (2, 3, 7), dict(size=11)),
        ("nearest-2d-factors", (2, 3, 5, 4), dict(scale_factor=(1.7, 2.3))),
        ("nearest-3d-down", (1, 2, 4, 5, 6), dict(size=(2, 7, 3))),
        ("nearest-exact-2d", (2, 3, 5, 4), dict(size=(3, 9), mode="nearest-exact")),
        ("linear-up", (2, 3, 7), dict(size=12, mode="linear")),
        ("linear-corners", (2, 3, 7), dict(size=12, mode="linear", align_corners=True)),
        ("linear-one-sample", (2, 3, 1), dict(size=4, mode="linear")),
        ("linear-to-one", (2, 3, 6), dict(size=1, mode="linear", align_corners=True)),
        ("bilinear-up", (2, 3, 5, 4), dict(scale_factor=2, mode="bilinear")),
        ("bilinear-mixed", (1, 3, 5, 9), dict(size=(9, 4), mode="bilinear", align_corners=True)),
        ("bilinear-identity-axis", (1, 2, 5, 6), dict(size=(5, 13), mode="bilinear")),
        ("bilinear-antialias", (1, 3, 11, 9), dict(size=(4, 5), mode="bilinear", antialias=True)),
        ("bicubic-up", (2, 3, 5, 4), dict(scale_factor=2, mode="bicubic")),
        ("bicubic-factors", (1, 2, 5, 7), dict(scale_factor=(1.37, 0.7), mode="bicubic")),
        ("bicubic-corners", (1, 2, 5, 7), dict(size=(9, 3), mode="bicubic", align_corners=True)),
        ("bicubic-tiny", (1, 2, 1, 2), dict(size=(3, 5), mode="bicubic")),
        ("bicubic-antialias", (1, 3, 13, 9), dict(size=(4, 14), mode="bicubic", antialias=True)),
        ("lanczos", (1, 3, 13, 9), dict(size=(6, 14), mode="lanczos", antialias=True)),
        ("trilinear", (1, 2, 3, 5, 4), dict(size=(5, 4, 9), mode="trilinear")),
        ("area-1d", (2, 3, 7), dict(size=3, mode="area")),
        ("area-2d-up-down", (1, 3, 7, 3), dict(size=(3, 5), mode="area")),
        ("area-3d", (1, 2, 4, 5, 6), dict(scale_factor=0.5, mode="area")),
        ("empty-batch", (0, 3, 5, 4), dict(size=(3, 9), mode="bicubic")),
        ("over-one-band", (1, 2, 70, 75), dict(size=(150, 161), mode="bicubic")),
    ]
    return [
        Case(
            f"interpolate-{name}",
            upsample.interpolate,
            (noise(*shape),),
            options,
            lambda x, options=options: reference.interpolate(x, **options),
            exact="nearest" in options.get("mode", "nearest"),
            # torch's float32 coordinates are off the reference's by half an ulp of the position
            margin=2.0,
        )
        for name, shape, options in table
    ]


def _resize() -> list[Case]:
    table = [
        ("image-cubic", (9, 7, 3), dict(shape=(5, 12), axes=(0, 1), mode="cubic")),
        ("image-scale", (9, 7, 3), dict(scale=(2.5, 0.6), axes=(0, 1), mode="linear")),
        ("outer-axes", (4, 5, 3, 6), dict(shape=(7, 3), axes=(0, 2), mode=("linear", "nearest"))),
        ("axes-out-of-order", (4, 5, 6), dict(shape=(7, 3), axes=(2, 0), mode="linear")),
        ("volume-lanczos", (5, 6, 7), dict(shape=(3, 9, 7), mode="lanczos")),
        ("volume-antialias", (9, 8, 7), dict(shape=(3, 4, 2), mode="cubic", antialias=True)),
        ("corners", (9, 4), dict(shape=(4, 9), mode="cubic", align_corners=True)),
        ("area-four-axes", (4, 5, 6, 3), dict(shape=(2, 3, 4, 2), mode="area")),
        ("nearest", (6, 5), dict(shape=(9, 3), mode="nearest")),
        ("nearest-exact", (6, 5), dict(shape=(9, 3), mode="nearest-exact")),
        ("keys", (6, 5), dict(shape=(9, 3), mode="cubic", cubic_coeff=-0.5)),
    ]
    cases = []
    for name, shape, options in table:

        def expected(x: np.ndarray, options: dict[str, Any] = options) -> np.ndarray:
            rest = {"axes": tuple(range(x.ndim)), "shape": None, **options}
            size = rest.pop("shape")
            return reference.resize(x, size, **rest)

        exact = options["mode"] in ("nearest", "nearest-exact")
        cases.append(Case(f"resize-{name}", upsample.resize, (noise(*shape),), options, expected, exact))
    return cases


def _pools() -> list[Case]:
    table = [
        ("1d", 1, (2, 3, 9), (3, 2, 1, 1, False)),
        ("2d", 2, (2, 3, 7, 6), ((2, 3), (2, 1), (1, 0), 1, False)),
        ("2d-dilated-ceil", 2, (1, 2, 8, 7), (2, 2, 1, 2, True)),
        ("3d", 3, (1, 2, 5, 4, 6), (2, 2, 0, 1, True)),
        ("unbatched", 2, (3, 7, 6), (3, 2, 1, 1, False)),
        ("empty-batch", 2, (0, 3, 7, 6), (3, 2, 1, 1, False)),
    ]
    cases = [
        Case(
            f"max_pool-{name}",
            getattr(upsample, f"max_pool{n}d_with_indices"),
            (shuffled(*shape),),
            dict(zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), window, strict=True)),
            lambda x, n=n, window=window: reference.max_pool(x, *window, spatial=n),
            exact=True,
        )
        for name, n, shape, window in table
    ]
    cases += [
        Case(
            f"adaptive_max_pool-{n}d",
            getattr(upsample, f"adaptive_max_pool{n}d_with_indices"),
            (shuffled(*shape),),
            dict(output_size=size),
            lambda x, size=size: reference.adaptive_max_pool(x, size),
            exact=True,
        )
        for n, shape, size in [(1, (2, 3, 7), (3,)), (2, (2, 3, 7, 5), (3, 7)), (3, (1, 2, 4, 5, 6), (2, 3, 4))]
    ]
    return cases


def _unpools() -> list[Case]:
    cases = []
    table = [
        ("1d", (2, 3, 9), (3, 2, 1), 1),
        ("2d-apart", (2, 3, 8, 6), (2, 2, 0), 1),
        ("2d-overlapping", (2, 3, 7, 6), (3, 2, 1), 1),
        ("2d-dilated", (1, 2, 7, 5), (2, 2, 1), 2),
        ("3d", (1, 2, 5, 4, 6), (2, 1, 0), 1),
        ("unbatched", (3, 7, 6), (3, 2, 1), 1),
        ("empty-batch", (0, 3, 7, 6), (3, 2, 1), 1),
    ]
    for name, shape, window, dilation in table:
        n = int(name[0]) if name[0].isdigit() else 2
        values, indices = reference.max_pool(shuffled(*shape), *window, dilation, spatial=n)
        size = shape[-n:]
        for duplicates in ("last", "sum"):
            options = dict(
                zip(("kernel_size", "stride", "padding"), window, strict=True), output_size=size, duplicates=duplicates
            )
            for told in {1, dilation}:  # told or not, torch takes a dilated pool's indices

                def expected(x: np.ndarray, i: np.ndarray, size: Any = size, rule: str = duplicates) -> np.ndarray:
                    return reference.max_unpool(x, i, size, rule)

                if told > 1:
                    options = {**options, "dilation": told}
                cases.append(
                    Case(
                        f"max_unpool-{name}-{duplicates}-{told}",
                        getattr(upsample, f"max_unpool{n}d"),
                        (values, indices),
                        options,
                        expected,
                        exact=True,
                    )
                )
    return cases


def _spreads() -> list[Case]:
    table = [
        ("1d", 1, (2, 4, 5), (4, 3, 3), dict(stride=2, padding=1, output_padding=1)),
        ("2d-k2s2", 2, (2, 3, 4, 5), (3, 2, 2, 2), dict(stride=2)),
        ("2d-k4s2", 2, (1, 4, 4, 5), (4, 3, 4, 4), dict(stride=2, padding=1)),
        ("2d-groups", 2, (2, 4, 4, 5), (4, 3, 3, 2), dict(stride=(2, 1), groups=2, dilation=(1, 2))),
        ("2d-depthwise", 2, (2, 3, 4, 5), (3, 1, 4, 4), dict(stride=2, padding=1, groups=3)),
        ("2d-gaps", 2, (1, 2, 4, 3), (2, 2, 2, 1), dict(stride=3, output_padding=2)),
        ("3d", 3, (1, 2, 3, 4, 2), (2, 3, 2, 3, 2), dict(stride=2, padding=1, dilation=2)),
        ("empty-batch", 2, (0, 3, 4, 5), (3, 2, 2, 2), dict(stride=2)),
    ]
    cases = []
    for name, n, shape, weight, options in table:
        channels = weight[1] * int(options.get("groups", 1))
        cases.append(
            Case(
                f"conv_transpose-{name}",
                getattr(upsample, f"conv_transpose{n}d"),
                (noise(*shape), noise(*weight, seed=1), noise(channels, seed=2)),
                options,
                lambda x, w, b, options=options: reference.conv_transpose(x, w, b, **options),
            )
        )
    return cases


def _shuffles() -> list[Case]:
    return [
        Case(
            "pixel_shuffle",
            upsample.pixel_shuffle,
            (noise(2, 12, 3, 4),),
            dict(upscale_factor=2),
            lambda x: reference.pixel_shuffle(x, 2),
            exact=True,
        ),
        Case(
            "pixel_unshuffle",
            upsample.pixel_unshuffle,
            (noise(2, 2, 6, 9),),
            dict(downscale_factor=3),
            lambda x: reference.pixel_unshuffle(x, 3),
            exact=True,
        ),
    ]


CASES = [*_interpolate(), *_resize(), *_pools(), *_unpools(), *_spreads(), *_shuffles()]
